use super::LoadArgs;
use anyhow::Context;
use std::{fs, io::Write, path::PathBuf, process::ExitCode};
use tradewind_host::receipts::Record;

#[derive(clap::Args)]
pub struct Replay {
    #[command(flatten)]
    load: LoadArgs,
    /// Decisions recorded with `--receipts`, one per line.
    records: PathBuf,
}

impl Replay {
    /// Replays each decision, and prints whether it is identical, or the differences.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let text =
            fs::read_to_string(&self.records).with_context(|| format!("cannot read `{}`", self.records.display()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let tradewind = self.load.load()?;
        let (mut identical, mut different) = (0, 0);
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("`{}`, line {}", self.records.display(), n + 1);
            let record: Record = serde_json::from_str(line).with_context(place)?;
            let differences = tradewind.replay(&record).with_context(place)?;
            if differences.is_empty() {
                identical += 1;
                continue;
            }
            different += 1;
            writeln!(out, "line {}", n + 1)?;
            for difference in differences {
                writeln!(out, "  {difference}")?;
            }
        }
        writeln!(out, "{identical} identical, {different} different")?;
        Ok(if different > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
