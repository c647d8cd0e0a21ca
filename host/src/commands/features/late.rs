use super::super::read_json;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::late::LateSpec;
use tradewind_host::training::write_late_features;

#[derive(clap::Args)]
pub struct LateFeatures {
    /// Legs: CSV with the columns from,to,departs,utc_offset,distance, and any others.
    #[arg(long, value_name = "FILE")]
    legs: PathBuf,
    /// Features: JSON.
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Output folder for features.npy and columns.json.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl LateFeatures {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let spec: LateSpec = read_json(&self.spec)?;
        let rows = write_late_features(&self.out, &spec, &self.legs)?;
        writeln!(out, "{rows} rows in {}", self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
