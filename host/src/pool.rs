//! Pool of warm instances of the module: each call has exclusive use of one, and trapped ones are replaced.

use crate::runtime::WasmGuest;
use std::{
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tradewind_core::guest::{Client, Guest};

/// Client of an instance with all files loaded.
pub(crate) type Loaded = Client<WasmGuest>;

/// At most `size` instances, each serving one caller at a time.
pub(crate) struct Pool<E> {
    instances: Mutex<Instances>,
    /// Signals that an instance is free, or may be created.
    freed: Condvar,
    size: NonZeroUsize,
    /// Maximum time that a caller waits for an instance.
    patience: Duration,
    make: Box<dyn Fn() -> Result<Loaded, E> + Send + Sync>,
}

struct Instances {
    idle: Vec<Loaded>,
    /// Number of idle and busy instances.
    count: usize,
}

/// Reason why a caller gets no instance.
#[derive(Debug)]
pub(crate) enum NoInstance<E> {
    /// All instances were busy for the caller's maximum waiting time.
    Busy,
    /// Another instance could not be created.
    NotMade(E),
}

/// Instance in use by one caller, returned when dropped.
struct Lease<'a, E> {
    pool: &'a Pool<E>,
    client: Option<Loaded>,
}

impl<E> Pool<E> {
    /// Creates a pool with its first instance.
    pub(crate) fn new(
        size: NonZeroUsize,
        patience: Duration,
        first: Loaded,
        make: impl Fn() -> Result<Loaded, E> + Send + Sync + 'static,
    ) -> Self {
        let instances = Mutex::new(Instances { idle: vec![first], count: 1 });
        Self { instances, freed: Condvar::new(), size, patience, make: Box::new(make) }
    }

    /// Runs a function with an instance.
    pub(crate) fn with<T>(&self, question: impl FnOnce(&mut Loaded) -> T) -> Result<T, NoInstance<E>> {
        let mut lease = self.lease()?;
        let client = match &mut lease.client {
            Some(client) => client,
            empty => empty.insert((self.make)().map_err(NoInstance::NotMade)?),
        };
        Ok(question(client))
    }

    /// Returns an idle instance, or the right to create one.
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
        // A panic may have interrupted a call.
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
