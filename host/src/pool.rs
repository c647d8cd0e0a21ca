//! Instances of the module, kept warm: a caller has one to itself while it asks, and one that trapped is replaced.

use crate::runtime::WasmGuest;
use std::{
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tradewind_core::guest::{Client, Guest};

/// A client of an instance, with everything loaded.
pub(crate) type Loaded = Client<WasmGuest>;

/// At most `size` instances, of which each answers one caller at a time.
pub(crate) struct Pool<E> {
    instances: Mutex<Instances>,
    /// An instance is free, or may be made.
    freed: Condvar,
    size: NonZeroUsize,
    /// How long a caller waits for an instance.
    patience: Duration,
    make: Box<dyn Fn() -> Result<Loaded, E> + Send + Sync>,
}

struct Instances {
    idle: Vec<Loaded>,
    /// Idle ones, and those that answer.
    count: usize,
}

/// Why a caller has no instance.
#[derive(Debug)]
pub(crate) enum NoInstance<E> {
    /// All of them were busy for as long as a caller waits.
    Busy,
    /// Another could not be made.
    NotMade(E),
}

/// An instance that one caller has: when it is dropped, the next one may have it.
struct Lease<'a, E> {
    pool: &'a Pool<E>,
    client: Option<Loaded>,
}

impl<E> Pool<E> {
    /// A pool whose first instance was made already.
    pub(crate) fn new(
        size: NonZeroUsize,
        patience: Duration,
        first: Loaded,
        make: impl Fn() -> Result<Loaded, E> + Send + Sync + 'static,
    ) -> Self {
        let instances = Mutex::new(Instances { idle: vec![first], count: 1 });
        Self { instances, freed: Condvar::new(), size, patience, make: Box::new(make) }
    }

    /// Asks an instance something.
    pub(crate) fn with<T>(&self, question: impl FnOnce(&mut Loaded) -> T) -> Result<T, NoInstance<E>> {
        let mut lease = self.lease()?;
        let client = match &mut lease.client {
            Some(client) => client,
            empty => empty.insert((self.make)().map_err(NoInstance::NotMade)?),
        };
        Ok(question(client))
    }

    /// An idle instance, or the right to make one.
    fn lease(&self) -> Result<Lease<'_, E>, NoInstance<E>> {
        let size = self.size.get();
        let busy = |instances: &mut Instances| instances.idle.is_empty() && instances.count >= size;
        let waited = self.freed.wait_timeout_while(self.lock(), self.patience, busy);
        let (mut instances, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(NoInstance::Busy);
        }
        let client = instances.idle.pop();
        instances.count += usize::from(client.is_none());
        Ok(Lease { pool: self, client })
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Drop for Lease<'_, E> {
    fn drop(&mut self) {
        // What a panic has interrupted may be in the middle of something.
        let alive = self.client.take().filter(|client| !client.guest().is_dead() && !thread::panicking());
        let mut instances = self.pool.lock();
        match alive {
            Some(client) => instances.idle.push(client),
            None => instances.count -= 1,
        }
        drop(instances);
        self.pool.freed.notify_one();
    }
}
