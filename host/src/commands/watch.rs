//! Limits on compiling a model. The compiler bounds what it counts; the library that reads ONNX may still run away.

use std::{
    fs, process,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Memory that compiling may take, in KB.
const MOST_MEMORY: u64 = 2 << 20;
/// Time that it may take.
const MOST_TIME: Duration = Duration::from_secs(60);
/// How often both are looked at.
const INTERVAL: Duration = Duration::from_millis(10);
/// The exit code of a process that passed a limit.
pub const OVER_LIMIT: u8 = 3;

/// Does `work`, and ends the process with an error where that passes a limit.
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
        // Dropped also where the work panics: the watch must end.
        let _done = done;
        work()
    })
}

fn end(limit: &str) -> ! {
    eprintln!("tradewind: compiling the model takes more than {limit}; export it with smaller tensors and fewer nodes");
    process::exit(OVER_LIMIT.into())
}

/// Memory that the process has, in KB; 0 where the system does not say.
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
