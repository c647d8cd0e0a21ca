//! Gate to the instances of the module: one call per instance at a time, and a bounded queue of callers.

use crate::{BuildError, Tradewind, Unavailable, WasmGuest, receipts::Record};
use std::time::Instant;
use tokio::sync::{Semaphore, SemaphorePermit};
use tradewind_core::{
    ErrorKind,
    guest::{Client, ClientError, Guest, GuestError},
};

/// Maximum number of callers waiting for each guest.
const WAITING: usize = 32;

/// Gate to the guests, shared by successive releases.
pub(crate) struct Gate {
    /// Callers inside and waiting.
    queue: Semaphore,
    /// Callers inside.
    guests: Semaphore,
}

/// Reason why a decision was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The queue is full.
    #[error("too many requests at once; try again")]
    Overloaded,
    /// The guest refused, or died.
    #[error(transparent)]
    Client(#[from] ClientError<GuestError>),
    /// Another instance could not be created.
    #[error("{0}")]
    NotMade(BuildError),
    /// The call was interrupted.
    #[error("the call was interrupted; try again")]
    Cut,
}

impl AskError {
    /// Whether the request is at fault, not the service, so that other requests may succeed.
    pub(crate) fn is_of_request(&self) -> bool {
        match self {
            Self::Client(ClientError::Fault(fault)) => !matches!(
                fault.kind(),
                Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired | ErrorKind::UnknownPack)
            ),
            Self::Client(_) => true,
            Self::Overloaded | Self::NotMade(_) | Self::Cut => false,
        }
    }
}

impl Gate {
    pub(crate) fn new(guests: usize) -> Self {
        Self { queue: Semaphore::new(guests * (1 + WAITING)), guests: Semaphore::new(guests) }
    }

    /// Admits an external caller; rejects it if the queue is full.
    async fn enter(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), AskError> {
        let queued = self.queue.try_acquire().map_err(|_| AskError::Overloaded)?;
        match tokio::time::timeout(Tradewind::PATIENCE, self.guests.acquire()).await {
            Err(_) => Err(AskError::Overloaded),
            Ok(permit) => Ok((queued, permit.map_err(|_| AskError::Cut)?)),
        }
    }

    /// Makes a call for an external caller.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        tradewind: &Tradewind,
        question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
    ) -> Result<(T, Option<Record>), AskError> {
        let permits = self.enter().await.inspect_err(|_| metrics::counter!("tradewind_turned_away_total").increment(1));
        let _permits = permits?;
        run(tradewind, question).await
    }

    /// Makes a call for the service itself, which can wait.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        tradewind: &Tradewind,
        question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
    ) -> Result<(T, Option<Record>), AskError> {
        let _permit = self.guests.acquire().await.map_err(|_| AskError::Cut)?;
        run(tradewind, question).await
    }
}

/// Makes a call on a blocking thread, and returns its record.
async fn run<T: Send + 'static>(
    tradewind: &Tradewind,
    question: impl FnOnce(&mut Client<WasmGuest>) -> T + Send + 'static,
) -> Result<(T, Option<Record>), AskError> {
    let tradewind = tradewind.clone();
    let span = tracing::info_span!("decision");
    let asked = tokio::task::spawn_blocking(move || {
        let _entered = span.entered();
        let started = Instant::now();
        let answered = tradewind.recorded(|client| {
            let answer = question(client);
            if client.guest().is_dead() {
                metrics::counter!("tradewind_guests_lost_total").increment(1);
            }
            answer
        });
        metrics::histogram!("tradewind_decision_seconds").record(started.elapsed().as_secs_f64());
        answered
    });
    Ok(asked.await.map_err(|_| AskError::Cut)??)
}

impl From<Unavailable> for AskError {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Overloaded => Self::Overloaded,
            Unavailable::Guest(error) => Self::Client(ClientError::Guest(error)),
            Unavailable::NotMade(error) => Self::NotMade(error),
        }
    }
}
