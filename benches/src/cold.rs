//! First answer of a fresh process: evaluate the script, compile, load, answer.
//!
//! The files that a page would download are in memory when the clock starts, and Node has no code cache.

use crate::{
    case::Case,
    measure::Spread,
    worker::{Prepared, Worker},
};
use anyhow::Result;

/// Competitors that run in a page, Tradewind first.
pub const COMPETITORS: [&str; 3] = ["tradewind", "onnxruntime-web", "rten"];

/// Models to measure, with one row.
const MODELS: [&str; 2] = ["mlp-64", "lightgbm"];

/// First answers of one competitor for one model.
#[derive(Debug)]
pub struct Cold {
    /// Title of the model.
    pub title: String,
    /// Name of the competitor.
    pub competitor: &'static str,
    /// Phases of each round, in milliseconds; empty if the model is refused.
    rounds: Vec<Vec<(String, f64)>>,
}

impl Cold {
    /// Total time in milliseconds.
    pub fn total(&self) -> Option<Spread> {
        let total = |round: &Vec<(String, f64)>| round.iter().map(|(_, took)| took).sum();
        Spread::of(&self.rounds.iter().map(total).collect::<Vec<f64>>())
    }

    /// Median time of each phase over the rounds, in milliseconds.
    pub fn phases(&self) -> Vec<(&str, f64)> {
        let names = self.rounds.first().into_iter().flatten().map(|(name, _)| name.as_str());
        let took = |at: usize| Spread::of(&self.rounds.iter().map(|round| round[at].1).collect::<Vec<_>>());
        names.enumerate().filter_map(|(at, name)| Some((name, took(at)?.median))).collect()
    }
}

/// Starts processes in turns.
///
/// # Errors
/// If a process does not start.
pub fn measure(
    cases: &[Case],
    competitors: &[&'static str],
    rounds: usize,
    start: impl Fn(&'static str) -> Result<Worker>,
) -> Result<Vec<Cold>> {
    let mut all = Vec::new();
    for case in cases.iter().filter(|case| case.rows == 1 && MODELS.contains(&case.model.as_str())) {
        let cold = |&competitor| Cold { title: case.title.clone(), competitor, rounds: Vec::new() };
        let mut found: Vec<Cold> = competitors.iter().map(cold).collect();
        for _ in 0..rounds {
            for cold in &mut found {
                if let Prepared::Ready { phases, .. } = start(cold.competitor)?.prepare(case)? {
                    cold.rounds.push(phases);
                }
            }
        }
        all.extend(found);
    }
    Ok(all)
}
