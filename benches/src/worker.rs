//! Competitors, each in its own process for the whole run, so that they can take turns.
//!
//! Request and reply are each a line of JSON:
//!
//! ```text
//! {"prepare": CASE}                        {"ready": {"outputs": [[…], …], "phases": [["load", 1.2], …]}}
//!                                          {"refused": "reason"}
//! {"run": {"case": NAME, "iterations": 9}} {"nanoseconds": 81000}
//! ```
//!
//! The time of a run includes encoding, and copies from and to the caller's arrays.

use crate::case::Case;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Request to a competitor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Load a model and answer once.
    Prepare(Box<Case>),
    /// Answer repeatedly.
    Run {
        /// Name of a prepared case.
        case: String,
        /// Number of answers.
        iterations: u64,
    },
}

/// Reply to [`Question::Prepare`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prepared {
    /// The model is loaded.
    Ready {
        /// Elements of its outputs.
        outputs: Vec<Vec<f64>>,
        /// Milliseconds until the first answer, by phase.
        phases: Vec<(String, f64)>,
    },
    /// The competitor cannot run it.
    Refused(String),
}

/// Reply to [`Question::Run`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Took {
    /// Total of all iterations.
    pub nanoseconds: f64,
}

/// Process of a competitor.
pub struct Worker {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a competitor.
    ///
    /// # Errors
    /// If the program does not exist.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("{name} does not start"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a process without output")?);
        Ok(Self { name, child, stdin, stdout })
    }

    /// Name of the competitor.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Loads a model and answers once.
    ///
    /// # Errors
    /// If the process has ended or violates the protocol.
    pub fn prepare(&mut self, case: &Case) -> Result<Prepared> {
        self.ask(&Question::Prepare(Box::new(case.clone())))
    }

    /// Average nanoseconds per answer over `iterations`.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare).
    pub fn run(&mut self, case: &Case, iterations: u64) -> Result<f64> {
        let took: Took = self.ask(&Question::Run { case: case.name.clone(), iterations })?;
        Ok(took.nanoseconds / iterations as f64)
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &Question) -> Result<T> {
        let gone = || format!("{} ended; its message is above", self.name);
        let stdin = self.stdin.as_mut().with_context(gone)?;
        writeln!(stdin, "{}", serde_json::to_string(question)?).with_context(gone)?;
        stdin.flush().with_context(gone)?;
        let mut answer = String::new();
        self.stdout.read_line(&mut answer)?;
        serde_json::from_str(&answer).with_context(|| {
            let start: String = answer.trim_end().chars().take(100).collect();
            format!("{} answered `{start}`", self.name)
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The process ends when its input closes.
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
