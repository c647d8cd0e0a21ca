//! Runs recorded cases, isolated from each other: a worker process of this program runs case after case, and is
//! replaced if one of them ends it.

use super::{
    ModuleArgs,
    pack::{binding, bindings},
    watch::{OVER_LIMIT, watched},
};
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, BufReader, IsTerminal, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};
use tradewind_host::verification::{Case, Outcome, Settings, find_cases, verify};

/// Maximum time of a case.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Verify {
    /// Folders with model.onnx and test_data_set_N, or folders of such folders.
    #[arg(required_unless_present_any = ["worker", "bind"], value_name = "CASE_DIR")]
    cases: Vec<PathBuf>,
    /// Extent of an input axis, by name (`steps=50`) or by input and axis number (`ids[1]=50`). Without a value, takes
    /// from the data what a refused case lacks: axes without an extent, and integer inputs that determine a shape.
    #[arg(long, value_name = "AXIS=NUMBER", num_args = 0..=1, default_missing_value = "")]
    bind: Vec<String>,
    /// Print one JSON document instead of a line for each case.
    #[arg(long)]
    json: bool,
    /// Output folder, for DIR/CASE/test_data_set_N/output_K.pb.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    module: ModuleArgs,
    /// Read cases from standard input, one JSON object per line, and reply likewise.
    #[arg(long, hide = true)]
    worker: bool,
}

/// Case with its outcome.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    name: String,
    #[serde(flatten)]
    outcome: Outcome,
    seconds: f64,
}

#[derive(Serialize)]
struct Document {
    cases: Vec<Verdict>,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Default, Serialize)]
struct Totals {
    ok: usize,
    /// Number of `ok` cases with bound inputs.
    bound: usize,
    refused: usize,
    wrong: usize,
    unusable: usize,
}

impl Verify {
    pub fn run(mut self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        // A value after `--bind` that is not a binding is a folder.
        for folder in self.bind.iter_mut().filter(|binding| !binding.contains('=')) {
            self.cases.extend((!folder.is_empty()).then(|| PathBuf::from(std::mem::take(folder))));
        }
        if self.worker {
            return self.work(out);
        }
        ensure!(!self.cases.is_empty(), "no cases: give a folder with model.onnx and test_data_set_N");
        let cases = self.find()?;
        let mut totals = Totals::default();
        let mut verdicts = Vec::new();
        self.each(&cases, |verdict| {
            totals.count(&verdict.outcome);
            if self.json {
                verdicts.push(verdict);
            } else {
                writeln!(out, "{} {}", verdict.name, line(&verdict.outcome))?;
            }
            Ok(())
        })?;
        let code = totals.code();
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &Document { cases: verdicts, totals })?;
            writeln!(out)?;
        } else {
            write!(out, "{} ok, {} refused, {} wrong", totals.ok, totals.refused, totals.wrong)?;
            match totals.unusable {
                0 => writeln!(out)?,
                some => writeln!(out, ", {some} unusable")?,
            }
        }
        Ok(code)
    }

    fn find(&self) -> anyhow::Result<Vec<Case>> {
        let mut cases = Vec::new();
        for folder in &self.cases {
            let found = find_cases(folder).with_context(|| format!("cannot read `{}`", folder.display()))?;
            ensure!(!found.is_empty(), "`{}` contains no case (a folder with model.onnx)", folder.display());
            cases.extend(found);
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = cases.iter().find(|case| !names.insert(case.name.as_str())) {
            bail!("two cases have the name `{}`; give a folder that contains both", twice.name);
        }
        Ok(cases)
    }

    /// Verifies cases on all cores, and passes on the verdicts in the order of the cases.
    fn each(&self, cases: &[Case], mut take: impl FnMut(Verdict) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let next = Mutex::new(cases.iter().enumerate());
        let (sender, verdicts) = mpsc::channel();
        let workers = thread::available_parallelism().map_or(1, usize::from).min(cases.len());
        thread::scope(|scope| {
            for _ in 0..workers {
                let (next, sender) = (&next, sender.clone());
                scope.spawn(move || {
                    let mut worker = None;
                    loop {
                        let Some((at, case)) = next.lock().ok().and_then(|mut next| next.next()) else { return };
                        let verdict = verdict(&mut worker, case, DEADLINE, || self.worker());
                        let failed = verdict.is_err();
                        if sender.send((at, verdict)).is_err() || failed {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let progress = io::stderr().is_terminal();
            let mut early = BTreeMap::new();
            let mut done = 0;
            for (count, (at, verdict)) in verdicts.iter().enumerate() {
                early.insert(at, verdict?);
                if progress {
                    eprint!("\r{} of {} ", count + 1, cases.len());
                }
                while let Some(verdict) = early.remove(&done) {
                    done += 1;
                    if progress && !self.json {
                        eprint!("\r\x1b[K");
                    }
                    take(verdict)?;
                }
            }
            if progress {
                eprint!("\r\x1b[K");
            }
            Ok(())
        })
    }

    /// Command that starts a worker.
    fn worker(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["verify", "--worker"]).args(self.bind.iter().map(|binding| format!("--bind={binding}")));
        for (option, path) in [("--out", &self.out), ("--module", &self.module.module)] {
            command.args(path.iter().flat_map(|path| [option.as_ref(), path.as_os_str()]));
        }
        Ok(command)
    }

    /// Runs a worker: reads and writes one line per case.
    fn work(&self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let runtime = self.module.load()?;
        let (alone, axes): (Vec<_>, Vec<_>) = self.bind.iter().partition(|binding| binding.is_empty());
        let axes = axes.into_iter().map(|text| binding(text).map_err(anyhow::Error::msg));
        let extents = bindings(&axes.collect::<anyhow::Result<Vec<_>>>()?)?;
        let mut settings = Settings::default();
        (settings.bind, settings.extents, settings.out) = (!alone.is_empty(), extents, self.out.clone());
        // Reports that the module is compiled: from now on a case's time counts.
        writeln!(out)?;
        out.flush()?;
        for line in io::stdin().lock().lines() {
            let case: Case = serde_json::from_str(&line?)?;
            let started = Instant::now();
            let outcome = watched(|| verify(&runtime, &case, &settings));
            let verdict = Verdict { name: case.name, outcome, seconds: started.elapsed().as_secs_f64() };
            serde_json::to_writer(&mut *out, &verdict)?;
            writeln!(out)?;
            out.flush()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Process that verifies case after case.
struct Worker {
    process: Child,
    cases: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Worker {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a worker")?;
        let cases = process.stdin.take().context("a worker without standard input")?;
        let output = process.stdout.take().context("a worker without standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut worker = Self { process, cases, lines };
        if worker.lines.recv().is_err() {
            bail!("a worker did not start: {}", worker.end()?);
        }
        Ok(worker)
    }

    fn ask(&mut self, case: &Case, deadline: Duration) -> Result<Verdict, mpsc::RecvTimeoutError> {
        // A worker that has ended does not read; that is noticed when it does not reply.
        let _sent = serde_json::to_writer(&mut self.cases, case)
            .map_err(io::Error::from)
            .and_then(|()| self.cases.write_all(b"\n"));
        let line = self.lines.recv_timeout(deadline)?;
        serde_json::from_str(&line).map_err(|_| {
            // The process does not reply in time; `end` must not wait for it.
            let _ended = self.process.kill();
            mpsc::RecvTimeoutError::Disconnected
        })
    }

    /// Exit status.
    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.process.wait()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after `wait`.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Verifies a case in a worker; a worker that crashes or hangs is ended, and the next case gets another.
fn verdict(
    slot: &mut Option<Worker>,
    case: &Case,
    deadline: Duration,
    command: impl Fn() -> io::Result<Command>,
) -> anyhow::Result<Verdict> {
    let worker = match slot {
        Some(worker) => worker,
        None => slot.insert(Worker::start(command()?)?),
    };
    let started = Instant::now();
    let outcome = match worker.ask(case, deadline) {
        Ok(verdict) => return Ok(verdict),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Outcome::Wrong { difference: format!("it took more than {} s", deadline.as_secs()) }
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let status = worker.end()?;
            match status.code() {
                Some(code) if code == i32::from(OVER_LIMIT) => {
                    Outcome::Refused { reason: "compiling it exceeds the limit of memory or time".into() }
                }
                _ => Outcome::Wrong { difference: format!("it crashed: {status}") },
            }
        }
    };
    *slot = None;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Verdict { name: case.name.clone(), outcome, seconds })
}

impl Totals {
    const fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok { bound } => {
                self.ok += 1;
                self.bound += !bound.is_empty() as usize;
            }
            Outcome::Refused { .. } => self.refused += 1,
            Outcome::Wrong { .. } => self.wrong += 1,
            Outcome::Unusable { .. } => self.unusable += 1,
        }
    }

    fn code(&self) -> ExitCode {
        match (self.wrong, self.unusable) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok { bound } if bound.is_empty() => "ok".into(),
        Outcome::Ok { bound } => format!("ok (bound: {})", bound.join(", ")),
        Outcome::Refused { reason } => format!("refused: {}", one_line(reason)),
        Outcome::Wrong { difference } => format!("wrong: {}", one_line(difference)),
        Outcome::Unusable { reason } => format!("unusable: {}", one_line(reason)),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Worker that reports ready, reads the names of cases and runs `script` for each.
    fn shell(script: &str) -> io::Result<Command> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("echo; while read -r line; do {script}; done")]);
        Ok(command)
    }

    fn difference(script: &str, slot: &mut Option<Worker>) -> anyhow::Result<String> {
        let case = Case { name: "c".into(), folder: "c".into() };
        let verdict = verdict(slot, &case, Duration::from_secs(1), || shell(script))?;
        Ok(match verdict.outcome {
            Outcome::Wrong { difference } => difference,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn a_crash_or_a_hang_is_wrong_and_the_next_case_gets_another_worker() -> anyhow::Result<()> {
        let mut slot = None;
        assert!(difference("kill -ABRT $$", &mut slot)?.starts_with("it crashed: signal: 6"));
        assert!(slot.is_none());
        assert!(difference("exit 4", &mut slot)?.starts_with("it crashed: exit status: 4"));
        assert_eq!(difference("while :; do sleep 1; done", &mut slot)?, "it took more than 1 s");
        assert!(slot.is_none());
        let answer = r#"echo '{"name": "c", "outcome": "ok", "bound": [], "seconds": 0}'"#;
        assert_eq!(difference(answer, &mut slot)?, "Ok { bound: [] }");
        assert!(slot.is_some(), "a worker that replies is kept");
        Ok(())
    }

    #[test]
    fn a_worker_that_does_not_start_is_an_error() {
        let case = Case { name: "c".into(), folder: "c".into() };
        let verdict = verdict(&mut None, &case, DEADLINE, || Ok(Command::new("false")));
        assert!(verdict.is_err_and(|error| error.to_string().contains("exit status: 1")));
    }
}
