//! Competitors, each in a process of its own that lives as long as the run: so they can take turns.
//!
//! A question is a line of JSON, and so is its answer:
//!
//! ```text
//! {"prepare": CASE}                        {"ready": {"outputs": [[…], …], "phases": [["load", 1.2], …]}}
//!                                          {"refused": "why"}
//! {"run": {"case": NAME, "iterations": 9}} {"nanoseconds": 81000}
//! ```
//!
//! A run takes the case's inputs from the caller's arrays to arrays of the caller's, copies and
//! encoding included.

use crate::case::Case;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What a competitor is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Question {
    /// Open a model and answer once.
    Prepare(Box<Case>),
    /// Answer again and again.
    Run {
        /// The name of a case that was prepared.
        case: String,
        /// How often.
        iterations: u64,
    },
}

/// The answer to [`Question::Prepare`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prepared {
    /// The model runs.
    Ready {
        /// The elements of its outputs.
        outputs: Vec<Vec<f64>>,
        /// Milliseconds from nothing to the first answer, by phase.
        phases: Vec<(String, f64)>,
    },
    /// The competitor cannot run it.
    Refused(String),
}

/// The answer to [`Question::Run`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Took {
    /// All iterations together.
    pub nanoseconds: f64,
}

/// A competitor's process.
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
    /// When there is no such program.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("{name} does not start"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("a process without output")?);
        Ok(Self { name, child, stdin, stdout })
    }

    /// The competitor.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Opens a model and answers once.
    ///
    /// # Errors
    /// When the process is gone or does not keep to the protocol.
    pub fn prepare(&mut self, case: &Case) -> Result<Prepared> {
        self.ask(&Question::Prepare(Box::new(case.clone())))
    }

    /// Nanoseconds for one answer, on average over `iterations`.
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
        // Closing its input ends it.
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
