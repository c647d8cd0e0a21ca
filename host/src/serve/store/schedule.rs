//! Points before statements, at which tests decide which task runs next.

/// Place of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Outside transactions, or the beginning of one.
    Outside,
    Inside,
    Commit,
}

/// Point before a statement.
#[cfg(not(test))]
pub(super) async fn step(_: Point) {}

#[cfg(test)]
pub(crate) use of_tests::{Event, TURN, Turn, step};

#[cfg(test)]
mod of_tests {
    use super::Point;
    use std::sync::Arc;
    use tokio::sync::{Semaphore, mpsc};

    tokio::task_local! {
        pub(crate) static TURN: Turn;
    }

    /// Place of a task in a schedule.
    #[derive(Clone)]
    pub(crate) struct Turn {
        pub(crate) task: usize,
        /// Whether it waits inside transactions.
        pub(crate) inside: bool,
        pub(crate) events: mpsc::UnboundedSender<Event>,
        pub(crate) go: Arc<Semaphore>,
    }

    pub(crate) enum Event {
        /// A task waits before a statement.
        Waits(usize, Point),
        /// A task has ended; `false` if it was refused.
        Ended(usize, anyhow::Result<bool>),
    }

    /// Waits for the scheduler, in a task that has one.
    pub(crate) async fn step(point: Point) {
        let Ok(turn) = TURN.try_with(Turn::clone) else { return };
        if point != Point::Outside && !turn.inside {
            return;
        }
        // The scheduler is gone if a check has failed.
        let _ = turn.events.send(Event::Waits(turn.task, point));
        if let Ok(permit) = turn.go.acquire().await {
            permit.forget();
        }
    }
}
