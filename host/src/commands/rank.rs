use super::{
    LoadArgs,
    lines::{self, RequestArgs},
    pack,
};
use anyhow::Context;
use std::{io::Write, process::ExitCode};
use tradewind_core::{Task, pack::SectionKind, rank::RankTables};
use tradewind_json::{RankReply, RankRequest};

#[derive(clap::Args)]
pub struct Rank {
    #[command(flatten)]
    load: LoadArgs,
    /// Also write each shopper's updated profile.
    #[arg(long)]
    profiles: bool,
    #[command(flatten)]
    requests: RequestArgs,
}

impl Rank {
    /// Writes a line for each request: its reply or its error.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tradewind = self.load.load()?;
        let pack = pack(&tradewind, |task| matches!(task, Task::Rank(_)), "ranks")?;
        let catalog = pack.view()?.copied_columns::<RankTables>(SectionKind::Tables)?.catalog;

        lines::answer(&tradewind, &self.requests, out, &mut |asked, request| {
            let request: RankRequest = serde_json::from_str(request).context("invalid rank request")?;
            let id = request.id.clone();
            let ranking = asked.ask(&request.message(&pack.name, &catalog)?)?;
            Ok(serde_json::to_string(&RankReply::new(id, ranking, self.profiles))?)
        })
    }
}
