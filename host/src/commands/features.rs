//! Feature matrices for training, by decision.

mod insight;
mod late;
mod rank;
mod weeks;

use std::{io::Write, process::ExitCode};
use tradewind_core::demand::{DemandSpec, PriceSpec};

#[derive(clap::Subcommand)]
pub enum Features {
    /// Ranking model: a row for each candidate of each decision.
    Rank(rank::RankFeatures),
    /// Demand model: a row for each week to forecast.
    Demand(weeks::WeekFeatures),
    /// Price model: a row for each week at its price.
    Price(weeks::WeekFeatures),
    /// Insight: the rows of each moment.
    Insight(insight::InsightFeatures),
    /// Lateness model: a row for each leg.
    Late(late::LateFeatures),
}

impl Features {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Rank(command) => command.run(out),
            Self::Demand(command) => command.run(out, |spec| Ok(serde_json::from_slice::<DemandSpec>(spec)?.features)),
            Self::Price(command) => command.run(out, |spec| Ok(serde_json::from_slice::<PriceSpec>(spec)?.features)),
            Self::Insight(command) => command.run(out),
            Self::Late(command) => command.run(out),
        }
    }
}
