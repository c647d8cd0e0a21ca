//! The first answer of a process that has done nothing before: script, compile, load, answer.
//!
//! What a page would fetch lies in memory when the clock starts, and Node keeps no code cache.

use crate::{
    case::Case,
    measure::Spread,
    worker::{Prepared, Worker},
};
use anyhow::Result;

/// Those that a page could run. Tradewind comes first.
pub const COMPETITORS: [&str; 3] = ["tradewind", "onnxruntime-web", "rten"];

/// Models whose first answer for one row is awaited.
const MODELS: [&str; 2] = ["mlp-64", "lightgbm"];

/// First answers of one competitor with one model.
#[derive(Debug)]
pub struct Cold {
    /// The model in words.
    pub title: String,
    /// The competitor.
    pub competitor: &'static str,
    /// The phases of each round, in milliseconds; empty where the model is refused.
    rounds: Vec<Vec<(String, f64)>>,
}

impl Cold {
    /// Milliseconds in all.
    pub fn total(&self) -> Option<Spread> {
        let total = |round: &Vec<(String, f64)>| round.iter().map(|(_, took)| took).sum();
        Spread::of(&self.rounds.iter().map(total).collect::<Vec<f64>>())
    }

    /// Milliseconds of each phase, the median over the rounds.
    pub fn phases(&self) -> Vec<(&str, f64)> {
        let names = self.rounds.first().into_iter().flatten().map(|(name, _)| name.as_str());
        let took = |at: usize| Spread::of(&self.rounds.iter().map(|round| round[at].1).collect::<Vec<_>>());
        names.enumerate().filter_map(|(at, name)| Some((name, took(at)?.median))).collect()
    }
}

/// Starts processes in turns.
///
/// # Errors
/// When one does not start.
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
