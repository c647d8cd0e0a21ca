//! Background work of the service: when it last succeeded, and whether it is failing.

use super::store::wall;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tradewind_core::Millis;

/// Time after which work that has not succeeded again is reported, in milliseconds.
const STALE: i64 = 120_000;

/// Work that is repeated for as long as the service runs.
pub(crate) struct Pulse {
    /// Its name in `/healthz`.
    what: &'static str,
    /// Metric of its last success (Unix time in seconds).
    metric: &'static str,
    /// Start of the service, by the machine's clock.
    since: i64,
    /// Last success, by the machine's clock; 0 before the first.
    last: AtomicI64,
    /// Whether the last attempt failed.
    failing: AtomicBool,
}

impl Pulse {
    pub(crate) fn new(what: &'static str, metric: &'static str) -> Self {
        Self { what, metric, since: wall(), last: AtomicI64::new(0), failing: AtomicBool::new(false) }
    }

    /// Records a success.
    pub(crate) fn done(&self) {
        let now = wall();
        self.last.store(now, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
        metrics::gauge!(self.metric).set(now as f64 / 1_000.0);
    }

    /// Records a failure.
    pub(crate) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Time of the last success, by the machine's clock.
    pub(crate) fn last(&self) -> Option<Millis> {
        Some(Millis(self.last.load(Ordering::Relaxed))).filter(|last| last.0 > 0)
    }

    /// Describes what is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        let failing = self.failing.load(Ordering::Relaxed);
        let last = self.last().map_or(self.since, |last| last.0);
        if !failing && wall() - last < STALE {
            return None;
        }
        let how = if failing { "failed" } else { "did not finish in time" };
        Some(format!("{} {how}; see the log", self.what))
    }
}
