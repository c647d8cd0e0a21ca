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
use tradewind_core::{Digest, guest::Client};
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
    args: &RequestArgs,
    out: &mut dyn Write,
    decide: &mut Decide<'_>,
) -> anyhow::Result<ExitCode> {
    let mut receipts = Receipts::new(args, loaded)?;
    let requests = read_requests(args.requests.as_deref())?;
    let mut out = BufWriter::new(out);
    let mut failed = 0;
    let mut told = Instant::now();
    for (done, (number, request)) in requests.iter().enumerate() {
        let client = loaded.guest.client()?;
        let reply = decide(client, request);
        receipts.keep(client)?;
        match reply {
            Ok(reply) => writeln!(out, "{reply}")?,
            Err(error) => {
                failed += 1;
                fail(&mut out, *number, &error)?;
            }
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!("tradewind: {} of {} requests", done + 1, requests.len());
        }
    }
    out.flush()?;
    receipts.finish()?;
    Ok(status(failed, requests.len()))
}

/// Decides over all lines of a file or of standard input at once. A line that is not as it should be is
/// reported, and the others are decided over.
pub fn answer_all<T>(
    loaded: &mut Loaded,
    args: &RequestArgs,
    out: &mut dyn Write,
    parse: impl Fn(&str) -> anyhow::Result<T>,
    decide: impl FnOnce(&mut Client<WasmGuest>, Vec<T>, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut receipts = Receipts::new(args, loaded)?;
    let lines = read_requests(args.requests.as_deref())?;
    let mut out = BufWriter::new(out);
    let mut parsed = Vec::with_capacity(lines.len());
    let mut failed = 0;
    for (number, line) in &lines {
        match parse(line) {
            Ok(line) => parsed.push(line),
            Err(error) => {
                failed += 1;
                fail(&mut out, *number, &error)?;
            }
        }
    }
    let client = loaded.guest.client()?;
    decide(client, parsed, &mut out)?;
    receipts.keep(client)?;
    out.flush()?;
    receipts.finish()?;
    Ok(status(failed, lines.len()))
}

fn fail(out: &mut dyn Write, number: usize, error: &anyhow::Error) -> anyhow::Result<()> {
    eprintln!("tradewind: request {number}: {error:#}");
    serde_json::to_writer(&mut *out, &Failure { request: number, error: format!("{error:#}") })?;
    Ok(writeln!(out)?)
}

fn status(failed: usize, all: usize) -> ExitCode {
    if failed == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("tradewind: {failed} of {all} requests could not be answered");
    ExitCode::FAILURE
}

/// The file that decisions are kept in, if that was asked for.
struct Receipts {
    file: Option<BufWriter<File>>,
    module: Digest,
}

impl Receipts {
    fn new(args: &RequestArgs, loaded: &Loaded) -> anyhow::Result<Self> {
        Ok(Self { file: args.receipts.as_deref().map(create).transpose()?, module: sha256(&loaded.module) })
    }

    /// Keeps the client's last decision.
    fn keep(&mut self, client: &mut Client<WasmGuest>) -> anyhow::Result<()> {
        if let (Some(file), Some(record)) = (&mut self.file, Record::take(client, self.module)) {
            serde_json::to_writer(&mut *file, &record)?;
            writeln!(file)?;
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        Ok(self.file.map_or(Ok(()), |mut file| file.flush())?)
    }
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
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // A document that spans lines is one request or an array of them; everything else is lines.
    if text.trim_start().starts_with(['[', '{'])
        && let Ok(document) = serde_json::from_str::<&serde_json::value::RawValue>(text)
    {
        if let Ok(array) = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(document.get()) {
            return Ok(array.iter().enumerate().map(|(n, request)| (n + 1, request.get().to_owned())).collect());
        }
        return Ok(vec![(1, document.get().to_owned())]);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(n, line)| (n + 1, line.to_owned())).collect())
}
