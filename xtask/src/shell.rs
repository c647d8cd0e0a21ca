//! Running of other programs: output streams through, and a failure reports the command, its folder, and advice.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Command line to run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    limit: Option<Limit>,
    advice: Option<String>,
}

/// Maximum time without visible progress.
struct Limit {
    patience: Duration,
    progress: Box<dyn Fn() -> u64>,
}

impl Run {
    /// Creates a command line for `program`, which is looked up on `PATH` unless it is a path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        // `cargo run` describes this package in the environment. It does not concern the programs started here, and
        // build scripts that read it would rebuild for no reason.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        Self { command, limit: None, advice: None }
    }

    /// Returns the cargo that runs this program, from the user's own toolchain.
    pub fn cargo() -> Self {
        Self::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Puts a folder first on `PATH`.
    pub fn with_path(self, folder: &Path) -> Self {
        let set = self.command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
        let rest = set.map(OsStr::to_owned).or_else(|| env::var_os("PATH")).unwrap_or_default();
        let mut path = folder.as_os_str().to_owned();
        path.push(":");
        path.push(rest);
        self.env("PATH", path)
    }

    /// Unsets an environment variable.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs in `dir` instead of the current folder.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Adds advice for failures.
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Stops the command once it has run for this long.
    pub fn limit(self, patience: Duration) -> Self {
        self.limit_without_progress(patience, || 0)
    }

    /// Stops the command once `progress` has returned the same number for this long.
    pub fn limit_without_progress(mut self, patience: Duration, progress: impl Fn() -> u64 + 'static) -> Self {
        self.limit = Some(Limit { patience, progress: Box::new(progress) });
        self
    }

    /// Runs the command; its output streams through.
    pub fn run(mut self) -> Result<(), Failure> {
        let status = match self.limit.take() {
            Some(limit) => self.wait_within(&limit)?,
            None => self.command.status().map_err(|error| self.not_started(error))?,
        };
        if status.success() { Ok(()) } else { Err(self.failure(Outcome::Exit(status))) }
    }

    /// Runs the command silently and returns what it wrote to standard output.
    pub fn output(mut self) -> Result<String, Failure> {
        let output = self.command.stdin(Stdio::null()).output().map_err(|error| self.not_started(error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            let mut failure = self.failure(Outcome::Exit(output.status));
            failure.said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(failure)
        }
    }

    /// Runs the command silently; returns whether it exists and succeeds.
    pub fn succeeds(self) -> bool {
        self.output().is_ok()
    }

    fn wait_within(&mut self, limit: &Limit) -> Result<ExitStatus, Failure> {
        let mut child = self.command.spawn().map_err(|error| self.not_started(error))?;
        let mut seen = (limit.progress)();
        let mut since = Instant::now();
        loop {
            if let Some(status) = child.try_wait().map_err(|error| self.not_started(error))? {
                return Ok(status);
            }
            let now = (limit.progress)();
            if now != seen {
                seen = now;
                since = Instant::now();
            }
            if since.elapsed() >= limit.patience {
                // It may just have ended by itself; either way it is gone after `wait`.
                let _ended = child.kill();
                child.wait().map_err(|error| self.not_started(error))?;
                return Err(self.failure(Outcome::Stopped(limit.patience)));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn not_started(&self, error: io::Error) -> Failure {
        self.failure(Outcome::NotStarted(error))
    }

    fn failure(&self, outcome: Outcome) -> Failure {
        Failure {
            line: self.to_string(),
            dir: match self.command.get_current_dir() {
                Some(dir) => dir.display().to_string(),
                None => env::current_dir().unwrap_or_default().display().to_string(),
            },
            outcome,
            said: String::new(),
            advice: self.advice.clone(),
        }
    }
}

/// Command line as typed in a shell, with the environment variables set for it.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
            }
        }
        // `cargo` without the path of its toolchain is easier to read.
        let program = self.command.get_program();
        let is_cargo = env::var_os("CARGO").is_some_and(|cargo| cargo == program);
        f.write_str(&if is_cargo { "cargo".into() } else { quoted(program) })?;
        for arg in self.command.get_args() {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.patience.fmt(f)
    }
}

/// Failed command.
#[derive(Debug)]
pub struct Failure {
    line: String,
    dir: String,
    outcome: Outcome,
    /// Standard error, if it was not shown yet.
    said: String,
    advice: Option<String>,
}

#[derive(Debug)]
enum Outcome {
    Exit(ExitStatus),
    Stopped(Duration),
    NotStarted(io::Error),
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command failed:")?;
        writeln!(f, "  command  {}", self.line)?;
        writeln!(f, "  folder   {}", self.dir)?;
        write!(f, "  ended    {}", self.outcome)?;
        if !self.said.is_empty() {
            write!(f, "\n  output   {}", self.said.replace('\n', "\n           "))?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "\n  try      {advice}")?;
        }
        Ok(())
    }
}

impl Failure {
    /// Short description of the outcome.
    pub fn outcome(&self) -> String {
        self.outcome.to_string()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => status.fmt(f),
            Self::Stopped(patience) => {
                write!(f, "stopped after {} s without progress", patience.as_secs())
            }
            Self::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
                f.write_str("not started: no such program")
            }
            Self::NotStarted(error) => write!(f, "not started: {error}"),
        }
    }
}

/// Returns the first of these programs that is on `PATH`.
pub fn program_on_path(names: &[&str]) -> Option<PathBuf> {
    let folders = folders_on_path();
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file())
}

/// Folders of `PATH`.
pub fn folders_on_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

/// Quotes `word` for a shell if it contains other than plain characters.
fn quoted(word: &OsStr) -> String {
    let word = OsString::from(word).to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let run = Run::new("tool").args(["--flag", "two words", "it's", ""]).env("LEVEL", "a b");
        assert_eq!(run.to_string(), r#"LEVEL='a b' tool --flag 'two words' 'it'\''s' ''"#);
    }

    #[test]
    fn a_failure_names_command_folder_status_and_advice() {
        let failure = Run::new("sh")
            .args(["-c", "exit 3"])
            .dir(Path::new("/"))
            .advice("something else")
            .run()
            .map_err(|failure| failure.to_string());
        assert_eq!(
            failure,
            Err("command failed:\n  command  sh -c 'exit 3'\n  folder   /\n  \
                 ended    exit status: 3\n  try      something else"
                .into())
        );
    }

    #[test]
    fn a_command_over_its_limit_is_stopped() {
        let start = Instant::now();
        let failure = Run::new("sleep").arg("20").limit(Duration::from_millis(200)).run();
        assert!(matches!(failure, Err(Failure { outcome: Outcome::Stopped(_), .. })));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
