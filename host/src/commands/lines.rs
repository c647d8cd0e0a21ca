//! Requests in, replies out: what every decision's command does.

use super::Loaded;
use anyhow::Context;
use serde::Serialize;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use tradewind_core::guest::Client;
use tradewind_host::{WasmGuest, receipts::Record, sha256};

/// A request that could not be answered.
#[derive(Serialize)]
struct Failure {
    request: usize,
    error: String,
}

/// A decision: from a request to its reply, both JSON on a line.
pub type Decide<'a> = dyn FnMut(&mut Client<WasmGuest>, &str) -> anyhow::Result<String> + 'a;

/// Requests, and what is kept of their answers.
#[derive(clap::Args)]
pub struct RequestArgs {
    /// Requests: one JSON document, an array, or one a line; standard input when absent or `-`.
    requests: Option<PathBuf>,
    /// Write each decision with its receipt, for `tradewind replay`: a line for each.
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
}

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// Writes a line for each request of a file or of standard input: its reply, or what was wrong with it.
pub fn answer(
    loaded: &mut Loaded,
    requests: &RequestArgs,
    out: &mut dyn Write,
    decide: &mut Decide<'_>,
) -> anyhow::Result<ExitCode> {
    let mut receipts = requests.receipts.as_deref().map(create).transpose()?;
    let requests = read_requests(requests.requests.as_deref())?;
    let module = sha256(&loaded.module);
    let mut out = BufWriter::new(out);
    let mut failed = 0;
    let mut told = Instant::now();
    for (done, (number, request)) in requests.iter().enumerate() {
        let reply = decide(&mut loaded.client, request);
        if let (Some(file), Some(record)) = (&mut receipts, Record::take(&mut loaded.client, module)) {
            serde_json::to_writer(&mut *file, &record)?;
            writeln!(file)?;
        }
        loaded.revive()?;
        let reply = reply.or_else(|error| {
            failed += 1;
            eprintln!("tradewind: request {number}: {error:#}");
            serde_json::to_string(&Failure { request: *number, error: format!("{error:#}") })
        })?;
        writeln!(out, "{reply}")?;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!("tradewind: {} of {} requests", done + 1, requests.len());
        }
    }
    out.flush()?;
    receipts.map_or(Ok(()), |mut file| file.flush())?;
    if failed > 0 {
        eprintln!("tradewind: {failed} of {} requests could not be answered", requests.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?))
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
