//! Evaluates the decisions that have no training, and writes their metrics: `cargo xtask evaluate`.

mod allocate;
mod exceptions;
mod random;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::{fs, path::PathBuf};
use tradewind_core::pack::Metric;

#[derive(Parser)]
struct Arguments {
    decision: Decision,
    /// Output file, JSON.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Decision {
    /// Evaluate exceptions on generated scans, in the module.
    Exceptions,
    /// Compare allocation with recorded optima.
    Allocate,
}

/// Written metrics, in the form of a model card.
#[derive(Serialize)]
struct Metrics {
    metrics: Vec<Metric>,
}

fn main() -> Result<()> {
    let Arguments { decision, out } = Arguments::parse();
    let metrics = match decision {
        Decision::Exceptions => exceptions::judge()?,
        Decision::Allocate => allocate::judge()?,
    };
    let text = serde_json::to_string_pretty(&Metrics { metrics })? + "\n";
    fs::write(&out, text).with_context(|| format!("`{}` cannot be written", out.display()))
}

/// Metric, rounded as in cards.
fn metric(
    name: impl Into<String>,
    split: &str,
    value: f64,
    baseline: &str,
    baseline_value: f64,
    difference: [f64; 2],
) -> Metric {
    let round = |value: f64| (value * 1e4).round() / 1e4;
    Metric {
        name: name.into(),
        split: split.to_owned(),
        value: round(value),
        baseline: baseline.to_owned(),
        baseline_value: round(baseline_value),
        difference_low: round(difference[0]),
        difference_high: round(difference[1]),
    }
}
