//! Benchmarks of Tradewind against alternatives. `cargo xtask bench` obtains the
//! competitors and runs this; `RESULTS.md` has the results.
//!
//! | file | contents |
//! |---|---|
//! | `../models.py` | writes the models and their inputs |
//! | [`case`] | measured cases: a model and a number of rows |
//! | [`worker`] | competitor in its own process, and the protocol |
//! | `../peers` | the competitors in JavaScript and Python; `../rten`, one as WebAssembly |
//! | [`native`] | the competitors in Rust |
//! | [`mod@measure`] | comparison of answers, rounds, statistics |
//! | [`cold`] | first answers of fresh processes |
//! | [`report`], [`plot`] | `RESULTS.md` and its plots |

mod case;
mod cold;
mod measure;
mod native;
mod plot;
mod report;
mod worker;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use measure::{Effort, measure};
use report::{Machine, Report, Weight};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tradewind_tests::{dist, root};
use worker::Worker;

/// Measures Tradewind and its competitors.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure, and write RESULTS.md and plots.
    Run(Competition),
    /// Run a competitor in Rust (wasmtime, native or tract), with requests on standard input.
    Work {
        /// Name of the competitor.
        competitor: String,
    },
}

/// Paths. Competitors without a path are skipped.
#[derive(clap::Args)]
struct Competition {
    /// Folder written by `models.py`.
    #[arg(long)]
    models: PathBuf,
    /// Folder for `RESULTS.md` and `plots`.
    #[arg(long)]
    out: PathBuf,
    /// Folder whose `node_modules` contains onnxruntime-web.
    #[arg(long)]
    npm: Option<PathBuf>,
    /// rten as WebAssembly.
    #[arg(long)]
    rten: Option<PathBuf>,
    /// Python with onnxruntime, LightGBM and XGBoost.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Run only a few rounds, as a smoke test.
    #[arg(long)]
    quick: bool,
    /// Run only cases whose name contains this text; skip sizes and first answers.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
}

const THOROUGH: Effort = Effort { rounds: 40, turn: 20e6, case: 60e9, cold_rounds: 15 };
const QUICK: Effort = Effort { rounds: 3, turn: 1e6, case: 2e9, cold_rounds: 2 };

fn main() -> Result<()> {
    match Arguments::parse().command {
        Task::Run(competition) => competition.run(),
        Task::Work { competitor } => native::work(&competitor),
    }
}

impl Competition {
    fn run(&self) -> Result<()> {
        let effort = if self.quick { QUICK } else { THOROUGH };
        let machine = Machine::now()?;
        let packs = tempfile::tempdir()?;
        let (mut cases, refusals) = case::cases(&self.models, packs.path())?;
        cases.extend(case::decisions(packs.path())?);
        if let Some(word) = &self.only {
            cases.retain(|case| case.name.contains(word.as_str()));
        }

        let names = self.competitors();
        let mut workers =
            names.iter().map(|name| Worker::start(name, &mut self.command(name)?)).collect::<Result<Vec<_>>>()?;
        let mut measured = Vec::new();
        for (n, case) in cases.iter().enumerate() {
            println!("    {:>2}/{}  {}", n + 1, cases.len(), case.name);
            measured.push(measure(case, &mut workers, effort)?);
        }
        drop(workers);

        let browsers: Vec<_> = names.iter().copied().filter(|name| cold::COMPETITORS.contains(name)).collect();
        let (mut cold, mut weights) = (Vec::new(), Vec::new());
        if self.only.is_none() {
            println!("    fresh processes");
            let start = |name: &'static str| Worker::start(name, &mut self.command(name)?);
            cold = cold::measure(&cases, &browsers, effort.cold_rounds, start)?;
            // Compressing well takes longer than a quick run.
            for name in browsers.iter().filter(|_| !self.quick) {
                println!("    size of {name}");
                weights.push(self.weight(name)?);
            }
        }
        Report { machine, measured, refusals, cold, weights, effort }.write(&self.out)
    }

    /// Competitors to run. The first one's answers are the reference for the others.
    fn competitors(&self) -> Vec<&'static str> {
        let (python, npm, rten) = (self.python.is_some(), self.npm.is_some(), self.rten.is_some());
        let there = report::COMPETITORS.iter().filter(|(name, _)| match *name {
            "onnxruntime" | "lightgbm" | "xgboost" => python,
            "onnxruntime-web" => npm,
            "rten" => rten,
            _ => true,
        });
        there.map(|(name, _)| *name).collect()
    }

    /// Command that starts a competitor.
    fn command(&self, name: &str) -> Result<Command> {
        let peers = root().join("benches/peers");
        let mut command;
        match (name, &self.python) {
            ("onnxruntime" | "lightgbm" | "xgboost", Some(python)) => {
                command = Command::new(python);
                command.arg(peers.join("native.py")).arg(name).env("OMP_NUM_THREADS", "1");
            }
            ("wasmtime" | "native" | "tract", _) => {
                command = Command::new(env::current_exe()?);
                command.args(["work", name]);
            }
            _ => {
                command = Command::new("node");
                command.arg(peers.join("worker.mjs")).arg(name).arg(self.wasm(name)?);
                command.args(&self.npm);
            }
        }
        Ok(command)
    }

    /// WebAssembly file of a competitor in V8.
    fn wasm(&self, name: &str) -> Result<PathBuf> {
        match name {
            "onnxruntime-web" => Ok(self.web("ort-wasm-simd-threaded.wasm")?),
            "rten" => self.rten.clone().context("no rten"),
            _ => dist("tradewind.wasm"),
        }
    }

    /// File of onnxruntime-web.
    fn web(&self, file: &str) -> Result<PathBuf> {
        Ok(self.npm.as_ref().context("no onnxruntime-web")?.join("node_modules/onnxruntime-web/dist").join(file))
    }

    /// Files that a page downloads before it can run a model: WebAssembly and its script.
    fn weight(&self, name: &'static str) -> Result<Weight> {
        let peers = root().join("benches/peers");
        let script = match name {
            "onnxruntime-web" => self.web("ort.wasm.bundle.min.mjs")?,
            _ => peers.join(format!("{name}.mjs")),
        };
        let measure = peers.join("sizes.mjs");
        let sizes = output(Command::new("node").arg(measure).arg(self.wasm(name)?).arg(script))?;
        Ok(Weight { competitor: name, bytes: serde_json::from_str(&sizes)? })
    }
}

/// Runs a program and returns its output.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} does not start", command.get_program().display()))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Reads a file of the checkout.
fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
