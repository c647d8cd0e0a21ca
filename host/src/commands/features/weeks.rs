use super::super::read;
use anyhow::{Context, ensure};
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::Source;
use tradewind_host::training::{Sales, WeekTarget, write_week_features};

#[derive(clap::Args)]
pub struct WeekFeatures {
    /// Sales: CSV with the columns sku,week,units,price,list,display,mailer.
    #[arg(long, value_name = "FILE")]
    sales: PathBuf,
    /// Features: JSON.
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Weeks to forecast: CSV with the columns split,sku,week,horizon.
    #[arg(long, value_name = "FILE")]
    targets: PathBuf,
    /// Split to use.
    #[arg(long, value_name = "NAME")]
    split: String,
    /// Output folder for features.npy, rows.csv and columns.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl WeekFeatures {
    /// Writes the matrix; `features` reads the names of features from a spec.
    pub fn run(
        self,
        out: &mut dyn Write,
        features: fn(&[u8]) -> serde_json::Result<Vec<Source>>,
    ) -> anyhow::Result<ExitCode> {
        let features = features(&read(&self.spec)?).with_context(|| format!("`{}`", self.spec.display()))?;
        let sales = Sales::read(&self.sales)?;
        let targets = WeekTarget::read(&self.targets, &self.split)?;
        ensure!(!targets.is_empty(), "`{}` has no targets of split `{}`", self.targets.display(), self.split);
        write_week_features(&self.out, &features, &sales, &targets)?;
        writeln!(out, "{} rows in {}", targets.len(), self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
