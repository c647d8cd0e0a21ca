use super::super::read_json;
use anyhow::ensure;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::rank::RankSpec;
use tradewind_host::training::{EventLog, Target, read_products, write_features};

#[derive(clap::Args)]
pub struct RankFeatures {
    /// Purchases: CSV with the columns profile,at,order,sku,quantity.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Products file from `tradewind tables`.
    #[arg(long, value_name = "FILE")]
    tables: PathBuf,
    /// Features and candidates: JSON.
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Decisions: CSV with the columns split,profile,at,order.
    #[arg(long, value_name = "FILE")]
    targets: PathBuf,
    /// Split to use.
    #[arg(long, value_name = "NAME")]
    split: String,
    /// Output folder for features.npy, rows.csv and columns.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl RankFeatures {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let spec: RankSpec = read_json(&self.spec)?;
        let (tables, _) = read_products(&self.tables)?;
        let log = EventLog::read(&self.events)?;
        let targets = Target::read(&self.targets, &self.split)?;
        ensure!(!targets.is_empty(), "`{}` has no targets of split `{}`", self.targets.display(), self.split);
        let rows = write_features(&self.out, &spec, &tables, &log, &targets)?;
        writeln!(out, "{rows} rows for {} decisions in {}", targets.len(), self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
