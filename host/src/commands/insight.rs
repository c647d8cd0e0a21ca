use super::{
    LoadArgs,
    lines::{self, RequestArgs},
};
use anyhow::{Context, ensure};
use std::{io::Write, process::ExitCode};
use tradewind_core::Task;
use tradewind_json::{InsightReply, InsightRequest};

#[derive(clap::Args)]
pub struct Insight {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    requests: RequestArgs,
}

impl Insight {
    /// Writes a line for each request: its reply or its error.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tradewind = self.load.load()?;
        let has_insight = tradewind.packs().iter().any(|pack| matches!(pack.task, Task::Insight(_)));
        ensure!(has_insight, "no pack has the task `insight`: give one with `--pack`");
        lines::answer(&tradewind, &self.requests, out, &mut |asked, request| {
            let request: InsightRequest = serde_json::from_str(request).context("invalid insight request")?;
            let id = request.id.clone();
            let insights = asked.ask(&request.message()?)?;
            Ok(serde_json::to_string(&InsightReply::new(id, insights))?)
        })
    }
}
