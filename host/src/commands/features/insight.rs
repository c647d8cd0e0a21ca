use super::super::read_json;
use anyhow::ensure;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::{insight::InsightSpec, rank::RankTables};
use tradewind_host::training::{EventLog, Target, read_products, write_insight_features};

#[derive(clap::Args)]
pub struct InsightFeatures {
    /// Purchases: CSV with the columns profile,at,order,sku,quantity.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Products file from `tradewind tables`, for rows with products.
    #[arg(long, value_name = "FILE")]
    tables: Option<PathBuf>,
    /// Insight specification: JSON.
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Moments: CSV with the columns split,profile,at, and any others.
    #[arg(long, value_name = "FILE")]
    targets: PathBuf,
    /// Split to use.
    #[arg(long, value_name = "NAME")]
    split: String,
    /// Output folder for features.npy, rows.csv and columns.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl InsightFeatures {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let spec: InsightSpec = read_json(&self.spec)?;
        spec.check()?;
        let tables = match &self.tables {
            Some(path) => read_products(path)?.0,
            None => RankTables::default(),
        };
        let log = EventLog::read(&self.events)?;
        let targets = Target::read(&self.targets, &self.split)?;
        ensure!(!targets.is_empty(), "`{}` has no targets of split `{}`", self.targets.display(), self.split);
        let rows = write_insight_features(&self.out, &spec, &tables, &log, &targets)?;
        writeln!(out, "{rows} rows for {} moments in {}", targets.len(), self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
