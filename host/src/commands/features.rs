//! The matrices that models are trained on, by decision.

mod late;
mod rank;

use std::{io::Write, process::ExitCode};

#[derive(clap::Subcommand)]
pub enum Features {
    /// For a ranking model: a row for each candidate of each decision.
    Rank(rank::RankFeatures),
    /// For a lateness model: a row for each leg.
    Late(late::LateFeatures),
}

impl Features {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Rank(command) => command.run(out),
            Self::Late(command) => command.run(out),
        }
    }
}
