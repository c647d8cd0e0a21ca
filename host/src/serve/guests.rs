//! Guests of the module, kept warm: as many at a time as there are processors, and a bounded queue before them.

use crate::{WasmGuest, receipts::Record};
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use tradewind_core::{
    Digest, ErrorKind,
    guest::{Client, ClientError, Guest, GuestError},
};

/// How many callers may wait for each guest before others are turned away.
const WAITING: usize = 32;

/// How long a caller waits before it is turned away.
const PATIENCE: Duration = Duration::from_secs(2);

/// The gate to the guests, the same for each release after the other.
pub(crate) struct Gate {
    /// Callers inside and before the gate.
    queue: Semaphore,
    /// Callers inside.
    guests: Semaphore,
}

/// Guests that are loaded and wait to be asked, and what makes others.
pub(crate) struct Pool {
    idle: Mutex<Vec<Client<WasmGuest>>>,
    make: Box<dyn Fn() -> Result<Client<WasmGuest>, NotMade> + Send + Sync>,
    /// The digest of the module.
    module: Digest,
}

/// Why another guest could not be made.
type NotMade = Box<dyn Error + Send + Sync>;

/// Why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Too many ask at once.
    #[error("too many requests at once; try again")]
    Overloaded,
    /// The guest refused, or died.
    #[error(transparent)]
    Client(#[from] ClientError<GuestError>),
    /// Another guest could not be made.
    #[error("{0}")]
    Guest(NotMade),
    /// The call did not come to its end.
    #[error("the call was cut short; try again")]
    Cut,
}

impl AskError {
    /// Whether what was asked is at fault, rather than the service: another question may well be answered.
    pub(crate) fn is_of_request(&self) -> bool {
        match self {
            Self::Client(ClientError::Fault(fault)) => !matches!(
                fault.kind(),
                Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired | ErrorKind::UnknownPack)
            ),
            Self::Client(_) => true,
            Self::Overloaded | Self::Guest(_) | Self::Cut => false,
        }
    }
}

impl Gate {
    pub(crate) fn new(guests: usize) -> Self {
        Self { queue: Semaphore::new(guests * (1 + WAITING)), guests: Semaphore::new(guests) }
    }

    /// For callers that wait for an answer: turned away where too many do.
    async fn enter(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), AskError> {
        let queued = self.queue.try_acquire().map_err(|_| AskError::Overloaded)?;
        match tokio::time::timeout(PATIENCE, self.guests.acquire()).await {
            Err(_) => Err(AskError::Overloaded),
            Ok(permit) => Ok((queued, permit.map_err(|_| AskError::Cut)?)),
        }
    }

    /// Asks for a caller that waits.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        pool: &Arc<Pool>,
        question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
    ) -> Result<(T, Option<Record>), AskError> {
        let permits = self.enter().await.inspect_err(|_| metrics::counter!("tradewind_turned_away_total").increment(1));
        let _permits = permits?;
        run(pool, question).await
    }

    /// Asks for the service itself, which has time.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        pool: &Arc<Pool>,
        question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
    ) -> Result<(T, Option<Record>), AskError> {
        let _permit = self.guests.acquire().await.map_err(|_| AskError::Cut)?;
        run(pool, question).await
    }
}

/// Asks on a thread that may block, and returns the record of what was asked.
async fn run<T: Send + 'static>(
    pool: &Arc<Pool>,
    question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
) -> Result<(T, Option<Record>), AskError> {
    let pool = Arc::clone(pool);
    let asked = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        let mut client = pool.take().map_err(AskError::Guest)?;
        let answer = question(&mut client);
        let record = Record::take(&mut client, pool.module);
        if client.guest().is_dead() {
            metrics::counter!("tradewind_guests_lost_total").increment(1);
        }
        pool.put(client);
        metrics::histogram!("tradewind_decision_seconds").record(started.elapsed().as_secs_f64());
        Ok::<_, AskError>((answer, record))
    });
    asked.await.map_err(|_| AskError::Cut)?
}

impl Pool {
    /// A pool of guests of a module, of which the first is made already.
    pub(crate) fn new(
        module: Digest,
        first: Client<WasmGuest>,
        make: impl Fn() -> Result<Client<WasmGuest>, NotMade> + Send + Sync + 'static,
    ) -> Self {
        Self { idle: Mutex::new(vec![first]), make: Box::new(make), module }
    }

    fn take(&self) -> Result<Client<WasmGuest>, NotMade> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| (self.make)(), Ok)
    }

    /// Keeps a guest for the next, unless a trap has ended it.
    fn put(&self, client: Client<WasmGuest>) {
        if !client.guest().is_dead() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}
