use super::{LoadArgs, Loaded, client_of};
use anyhow::{Context, ensure};
use serde::Serialize;
use std::{
    fs,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::{
    pack::{PackView, SectionKind, Task},
    rank::RankTables,
};
use tradewind_host::json::{RankReply, RankRequest};

#[derive(clap::Args)]
pub struct Rank {
    #[command(flatten)]
    load: LoadArgs,
    /// Write each shopper's updated profile too.
    #[arg(long)]
    profiles: bool,
    /// Requests: one JSON document, an array, or one a line; standard input when absent or `-`.
    requests: Option<PathBuf>,
}

/// A request that could not be answered.
#[derive(Serialize)]
struct Failure {
    request: usize,
    error: String,
}

impl Rank {
    /// Writes a line for each request: its reply, or what was wrong with it.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let requests = read_requests(self.requests.as_deref())?;
        let Loaded { mut client, pack, runtime, .. } = self.load.load()?;
        let view = PackView::parse(&pack)?;
        let name = view.manifest().name.clone();
        ensure!(matches!(view.read(SectionKind::Task)?, Task::Rank(_)), "pack `{name}` does not rank");
        let catalog = view.read::<RankTables>(SectionKind::Tables)?.prepared()?.catalog;

        let mut out = BufWriter::new(out);
        let mut failed = 0;
        for (number, request) in &requests {
            let reply = request_of(request).and_then(|request| {
                let id = request.id.clone();
                let ranking = client.rank(request.message(&name, &catalog)?)?;
                Ok(RankReply::new(id, ranking, self.profiles))
            });
            if client.guest_mut().is_dead() {
                client = client_of(&runtime, &pack)?;
            }
            match reply {
                Ok(reply) => serde_json::to_writer(&mut out, &reply)?,
                Err(error) => {
                    failed += 1;
                    eprintln!("tradewind: request {number}: {error:#}");
                    serde_json::to_writer(&mut out, &Failure { request: *number, error: format!("{error:#}") })?;
                }
            }
            writeln!(out)?;
        }
        out.flush()?;
        if failed > 0 {
            eprintln!("tradewind: {failed} of {} requests could not be answered", requests.len());
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn request_of(text: &str) -> anyhow::Result<RankRequest> {
    serde_json::from_str(text).context("this is no rank request")
}

/// The requests, each with its line (or place in the array), counted from 1.
fn read_requests(path: Option<&Path>) -> anyhow::Result<Vec<(usize, String)>> {
    let text = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
        None => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
    };
    // A document that spans lines is one request or an array of them; everything else is lines.
    if text.trim_start().starts_with(['[', '{'])
        && let Ok(document) = serde_json::from_str::<&serde_json::value::RawValue>(&text)
    {
        if let Ok(array) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(document.get()) {
            return Ok(array.iter().enumerate().map(|(n, request)| (n + 1, request.get().to_owned())).collect());
        }
        return Ok(vec![(1, document.get().to_owned())]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(n, line)| (n + 1, line.to_owned())).collect())
}
