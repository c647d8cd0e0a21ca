//! Requests and replies in lines, for all decision commands.

use anyhow::Context;
use serde::Serialize;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use tradewind_core::message::Decision;
use tradewind_host::Tradewind;

/// Error of a request.
#[derive(Serialize)]
struct Failure {
    request: usize,
    error: String,
}

/// Decision: from a request to its reply, both one line of JSON.
pub type Decide<'a> = dyn FnMut(&mut Asked<'_>, &str) -> anyhow::Result<String> + 'a;

/// Requests, and the file for recorded decisions.
#[derive(clap::Args)]
pub struct RequestArgs {
    /// Requests: one JSON document, an array, or one per line (default or `-`: standard input).
    requests: Option<PathBuf>,
    /// Record each decision with its receipt, one per line, for `tradewind replay`.
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
}

/// Interval between lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// Writes a line for each request of a file or of standard input: its reply or its error.
pub fn answer(
    tradewind: &Tradewind,
    args: &RequestArgs,
    out: &mut dyn Write,
    decide: &mut Decide<'_>,
) -> anyhow::Result<ExitCode> {
    let mut asked = Asked::new(tradewind, args)?;
    let requests = read_requests(args.requests.as_deref())?;
    let mut out = BufWriter::new(out);
    let mut failed = 0;
    let mut told = Instant::now();
    for (done, (number, request)) in requests.iter().enumerate() {
        match decide(&mut asked, request) {
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
    asked.finish()?;
    Ok(status(failed, requests.len()))
}

/// Decides all lines of a file or of standard input together. Invalid lines are reported, and the others are decided.
pub fn answer_all<T>(
    tradewind: &Tradewind,
    args: &RequestArgs,
    out: &mut dyn Write,
    parse: impl Fn(&str) -> anyhow::Result<T>,
    decide: impl FnOnce(&mut Asked<'_>, Vec<T>, &mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut asked = Asked::new(tradewind, args)?;
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
    decide(&mut asked, parsed, &mut out)?;
    out.flush()?;
    asked.finish()?;
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
    eprintln!("tradewind: {failed} of {all} requests failed");
    ExitCode::FAILURE
}

/// Host for requests, and the optional file for recorded decisions.
pub struct Asked<'a> {
    tradewind: &'a Tradewind,
    receipts: Option<BufWriter<File>>,
}

impl<'a> Asked<'a> {
    fn new(tradewind: &'a Tradewind, args: &RequestArgs) -> anyhow::Result<Self> {
        Ok(Self { tradewind, receipts: args.receipts.as_deref().map(create).transpose()? })
    }

    /// Makes a decision, and records it.
    pub fn ask<D: Decision>(&mut self, request: &D) -> anyhow::Result<D::Answer> {
        let Some(file) = &mut self.receipts else { return Ok(self.tradewind.ask(request)?) };
        let (answer, record) = self.tradewind.ask_recorded(request);
        if let Some(record) = record {
            serde_json::to_writer(&mut *file, &record)?;
            writeln!(file)?;
        }
        Ok(answer?)
    }

    fn finish(self) -> anyhow::Result<()> {
        Ok(self.receipts.map_or(Ok(()), |mut file| file.flush())?)
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?))
}

/// Reads the requests, each with its line (or position in the array), counted from 1.
pub fn read_requests(path: Option<&Path>) -> anyhow::Result<Vec<(usize, String)>> {
    let text = match path.filter(|path| *path != Path::new("-")) {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?,
        None => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // A document over several lines is one request or an array of them; otherwise each line is a request.
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
