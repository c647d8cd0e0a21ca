//! Turns of a process's planners: one decides about the next orders while another commits its plan.

use tokio::sync::{Mutex, MutexGuard};

/// Turns of a process's planners. Plans are committed in the order of their claims, so that orders of high priority are
/// not overtaken.
#[derive(Debug, Default)]
pub(super) struct Turns {
    deciding: Mutex<()>,
    committing: Mutex<()>,
}

/// A planner's turn: first to claim and decide, then to commit.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// `None` after [`commit`](Self::commit).
    deciding: Option<MutexGuard<'a, ()>>,
    committing: Option<MutexGuard<'a, ()>>,
}

impl Turns {
    /// Waits until no other planner decides.
    pub(super) async fn next(&self) -> Turn<'_> {
        Turn { turns: self, deciding: Some(self.deciding.lock().await), committing: None }
    }
}

impl Turn<'_> {
    /// Waits until earlier plans are committed, then lets the next planner decide. A later call has no effect.
    pub(super) async fn commit(&mut self) {
        if self.committing.is_none() {
            self.committing = Some(self.turns.committing.lock().await);
            self.deciding = None;
        }
    }
}
