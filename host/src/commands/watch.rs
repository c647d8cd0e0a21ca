//! Limits on compiling a model. The compiler has its own limits, but the library that reads ONNX may exceed them.

use std::{
    fs, process,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Maximum memory of compiling, in KB.
const MOST_MEMORY: u64 = 2 << 20;
/// Maximum time of compiling.
const MOST_TIME: Duration = Duration::from_secs(60);
/// Interval between checks.
const INTERVAL: Duration = Duration::from_millis(10);
/// Exit code of a process that exceeded a limit.
pub const OVER_LIMIT: u8 = 3;

/// Runs `work`, and ends the process with an error if that exceeds a limit.
pub fn watched<T>(work: impl FnOnce() -> T) -> T {
    let (done, waits) = mpsc::channel::<()>();
    let (started, before) = (Instant::now(), memory());
    thread::scope(|scope| {
        scope.spawn(move || {
            while waits.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if memory().saturating_sub(before) > MOST_MEMORY {
                    end(&format!("{} GB of memory", MOST_MEMORY >> 20));
                }
                if started.elapsed() > MOST_TIME {
                    end(&format!("{} s", MOST_TIME.as_secs()));
                }
            }
        });
        // Dropped also if the work panics, so that the watch ends.
        let _done = done;
        work()
    })
}

fn end(limit: &str) -> ! {
    eprintln!("tradewind: compiling the model takes more than {limit}; export it with smaller tensors and fewer nodes");
    process::exit(OVER_LIMIT.into())
}

/// Memory of the process, in KB; 0 if unknown.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_the_limits_is_done() {
        assert_eq!(watched(|| 2 + 2), 4);
        assert!(memory() > 0 || !cfg!(target_os = "linux"));
    }
}
