//! Announcement and timing of steps, with a summary at the end; asks for consent where needed.

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Steps shorter than this share a line of the summary.
const SHORT: Duration = Duration::from_millis(100);

/// Steps done so far.
#[derive(Debug)]
pub struct Steps {
    start: Instant,
    done: Vec<(String, Duration)>,
    asks: bool,
}

impl Steps {
    /// Starts the clock, without steps. `consents` answers every question with yes.
    pub fn new(consents: bool) -> Self {
        let person = io::stdin().is_terminal() && io::stdout().is_terminal() && env::var_os("CI").is_none();
        Self { start: Instant::now(), done: Vec::new(), asks: person && !consents }
    }

    /// Asks the user at the terminal. Without a terminal, or with `--yes`, the answer is yes.
    pub fn may(&self, question: &str) -> Result<bool> {
        if !self.asks {
            return Ok(true);
        }
        print!("{question} [Y/n] ");
        io::stdout().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(is_yes(&answer))
    }

    /// Runs `work` as one announced and timed step. `name` is an imperative ("compile the module"), so that a failure
    /// can say "could not …".
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        if result.is_ok() && took >= SHORT {
            println!("    took {}", readable(took));
        }
        self.done.push((name.to_owned(), took));
        result.with_context(|| format!("could not {name}"))
    }

    /// Prints the time of each step.
    pub fn print_summary(&self) {
        if !self.done.is_empty() {
            println!("\n{}", table(&self.done, self.start.elapsed()));
        }
    }
}

/// Whether a typed line consents. A closed terminal returns an empty line.
fn is_yes(line: &str) -> bool {
    line.ends_with('\n') && ["", "y", "yes"].contains(&line.trim().to_lowercase().as_str())
}

fn table(steps: &[(String, Duration)], total: Duration) -> String {
    let (short, long): (Vec<_>, Vec<_>) = steps.iter().partition(|(_, took)| *took < SHORT);
    let mut rows: Vec<(String, Duration)> = long.into_iter().cloned().collect();
    if !short.is_empty() {
        let sum = short.iter().map(|(_, took)| *took).sum();
        rows.push((format!("short steps ({})", short.len()), sum));
    }
    rows.push(("total".to_owned(), total));

    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(name, took)| format!("  {name:width$}  {:>12}", readable(*took)));
    let mut text = String::from("Where the time went");
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text
}

fn readable(time: Duration) -> String {
    // Rounded first, so that 59.96 s does not become "60.0 s".
    let tenths = (time.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        let seconds = (time.as_millis() + 500) / 1000;
        format!("{} min {:2} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_merges_short_steps_and_aligns_times() {
        let steps = [
            ("compile".to_owned(), Duration::from_secs(125)),
            ("look".to_owned(), Duration::from_millis(20)),
            ("copy the module".to_owned(), Duration::from_millis(1_234)),
            ("stamp".to_owned(), Duration::from_millis(30)),
        ];
        assert_eq!(
            table(&steps, Duration::from_millis(126_400)),
            "Where the time went
  compile            2 min  5 s
  copy the module         1.2 s
  short steps (2)         0.1 s
  total              2 min  6 s"
        );
    }

    #[test]
    fn only_yes_and_an_empty_line_consent() {
        assert!(["\n", "y\n", "Yes\r\n"].into_iter().all(is_yes));
        assert!(!["", "n\n", "no\n", "yes please\n"].into_iter().any(is_yes));
    }

    #[test]
    fn times_round_before_they_change_unit() {
        assert_eq!(readable(Duration::from_millis(59_940)), "59.9 s");
        assert_eq!(readable(Duration::from_millis(59_960)), "1 min  0 s");
    }
}
