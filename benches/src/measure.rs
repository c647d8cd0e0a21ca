//! Rounds in which competitors take turns, and their statistics.

use crate::{
    case::Case,
    worker::{Prepared, Worker},
};
use anyhow::{Result, bail, ensure};
use std::time::Instant;

/// Relative tolerance of outputs.
const RTOL: f64 = 1e-3;
/// Minimum rounds of a case, for any duration.
const FEWEST: usize = 3;
/// Nanoseconds of an answer that needs no separate warm-up.
const LONG: f64 = 1e9;
/// Tolerance near zero, relative to the largest number of the output.
const ATOL: f64 = 1e-5;

/// Number and length of the measurements.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Turns of each competitor for each case.
    pub rounds: usize,
    /// Nanoseconds of a turn; at least one answer.
    pub turn: f64,
    /// Nanoseconds after which a case ends, after a few rounds.
    pub case: f64,
    /// Number of fresh processes of each competitor.
    pub cold_rounds: usize,
}

/// Times of one competitor for one case.
#[derive(Debug, Clone)]
pub struct Times {
    /// Name of the competitor.
    pub competitor: &'static str,
    /// Nanoseconds per answer in each round, or the reason for a refusal.
    pub rounds: Result<Vec<f64>, String>,
}

/// Times of a case.
#[derive(Debug)]
pub struct Measured {
    /// Measured case.
    pub case: Case,
    /// Times of each competitor, in their order.
    pub times: Vec<Times>,
}

/// Best, median and quartiles of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub best: f64,
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
}

impl Spread {
    /// Computes them; `None` without samples.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get((share * (sorted.len() as f64 - 1.0)).round() as usize).copied();
        Some(Self { best: at(0.0)?, lower_quartile: at(0.25)?, median: at(0.5)?, upper_quartile: at(0.75)? })
    }
}

impl Measured {
    /// Rounds of a competitor, if any.
    pub fn rounds(&self, competitor: &str) -> Option<&[f64]> {
        let times = self.times.iter().find(|times| times.competitor == competitor)?;
        times.rounds.as_deref().ok()
    }

    /// Time of `peer` as a multiple of that of `ours`, over the rounds.
    pub fn ratio(&self, peer: &str, ours: &str) -> Option<Spread> {
        let pairs = self.rounds(peer)?.iter().zip(self.rounds(ours)?);
        Spread::of(&pairs.map(|(peer, ours)| peer / ours).collect::<Vec<_>>())
    }

    /// Time of `peer` as a multiple of that of `ours`, each in its best round.
    pub fn ratio_of_best(&self, peer: &str, ours: &str) -> Option<f64> {
        Some(Spread::of(self.rounds(peer)?)?.best / Spread::of(self.rounds(ours)?)?.best)
    }
}

/// Compares the competitors' answers, then measures them in turns.
///
/// # Errors
/// If they disagree, or one of them ends.
pub fn measure(case: &Case, workers: &mut [Worker], effort: Effort) -> Result<Measured> {
    let mut answers = Vec::new();
    let mut times = Vec::new();
    let mut workers: Vec<_> = workers.iter_mut().filter(|worker| case.concerns(worker.name())).collect();
    for worker in &mut workers {
        let rounds = match worker.prepare(case)? {
            Prepared::Ready { outputs, .. } => {
                answers.push((worker.name(), outputs));
                Ok(Vec::new())
            }
            Prepared::Refused(reason) => Err(reason),
        };
        times.push(Times { competitor: worker.name(), rounds });
    }
    compare(&case.name, &answers)?;
    let mut turns = Vec::new();
    for (worker, times) in workers.into_iter().zip(&mut times) {
        if let Ok(rounds) = &mut times.rounds {
            turns.push((warm_up(worker, case, effort.turn)?, worker, rounds));
        }
    }
    let start = Instant::now();
    for round in 0..effort.rounds {
        if round >= FEWEST && start.elapsed().as_nanos() as f64 > effort.case {
            break;
        }
        for (iterations, worker, rounds) in &mut turns {
            rounds.push(worker.run(case, *iterations)?);
        }
    }
    Ok(Measured { case: case.clone(), times })
}

/// Warms up caches and compilers; returns the number of iterations per turn.
fn warm_up(worker: &mut Worker, case: &Case, turn: f64) -> Result<u64> {
    let mut iterations = 1;
    loop {
        let once = worker.run(case, iterations)?;
        if once > LONG {
            return Ok(1);
        }
        let enough = (turn / once).ceil().max(1.0) as u64;
        if enough <= 2 * iterations {
            worker.run(case, enough)?;
            return Ok(enough);
        }
        iterations = enough.min(8 * iterations);
    }
}

/// Checks that all competitors answer like the first. A library without ONNX has only the first output.
fn compare(case: &str, answers: &[(&str, Vec<Vec<f64>>)]) -> Result<()> {
    let Some(((judge, expected), others)) = answers.split_first() else {
        return Ok(());
    };
    for (name, outputs) in others {
        ensure!(outputs.len() <= expected.len(), "{name} has {} outputs for {case}", outputs.len());
        for (found, expected) in outputs.iter().zip(expected) {
            let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let near =
                |(found, expected): (&f64, &f64)| (found - expected).abs() <= RTOL * expected.abs() + ATOL * largest;
            ensure!(found.len() == expected.len(), "{name} answers {case} with {} numbers", found.len());
            if let Some(at) = found.iter().zip(expected).position(|pair| !near(pair)) {
                bail!("{case}: at {at}, {name} answers {} and {judge} {}", found[at], expected[at]);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_samples() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        let expected = Spread { best: 1.0, lower_quartile: 2.0, median: 3.0, upper_quartile: 4.0 };
        assert_eq!(spread, Some(expected));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn competitors_that_disagree_are_not_timed() {
        let answers = |other: f64| [("a", vec![vec![1.0, 100.0]]), ("b", vec![vec![other, 100.05]])];
        assert!(compare("case", &answers(1.001)).is_ok());
        assert!(compare("case", &answers(1.02)).is_err());
        assert!(compare("case", &answers(f64::NAN)).is_err());
    }
}
