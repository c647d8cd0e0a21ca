//! Benchmarks: obtains the competitors, and runs them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::dist;
use crate::fingerprint::Fingerprint;
use crate::python::{self, Python};
use crate::shell::Run;
use crate::steps::Steps;
use crate::target::TARGET;
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// Runs the benchmarks, and writes `benches/RESULTS.md` with its plots. `--quick` is a smoke test: its results go to
/// `target/bench`.
pub fn run(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let quick = match args {
        [] => false,
        ["--quick"] => true,
        _ => bail!("`cargo xtask bench` takes `--quick`, but was given `{}`", args.join(" ")),
    };
    dist::build(workspace, steps)?;
    let rten = rten(workspace, steps)?;
    let npm = tools::npm_packages(&workspace.cache, steps, &tools::PEERS)?;
    let python = Python::obtain(workspace, steps, python::CASES)?;
    let models = models(workspace, steps, &python)?;
    steps.run("compile the benchmarks", || {
        let build = ["build", "--locked", "--release", "--package", "tradewind-benches"];
        Ok(workspace.cargo().args(build).advice("see the compiler's messages above").run()?)
    })?;
    let out = if quick { workspace.target_dir()?.join("bench") } else { workspace.path("benches") };
    steps.run("measure", || {
        let bench = workspace.cargo().args(["run", "--quiet", "--locked", "--release", "--package"]);
        let bench = bench
            .args(["tradewind-benches", "--bin", "bench", "--", "run", "--models"])
            .arg(models)
            .arg("--out")
            .arg(&out);
        let bench = bench.arg("--npm").arg(&npm).arg("--rten").arg(rten).arg("--python").arg(python.program());
        Ok(bench.args(quick.then_some("--quick")).run()?)
    })?;
    let results = out.join("RESULTS.md");
    let rounds = if quick { ["2", "50", "1"] } else { ["15", "1000", "7"] };
    for (title, script, folder, rounds) in [
        ("Browser", "benches/browser/first-rank.mjs", Some(&npm), rounds[0]),
        ("Edge", "benches/edge/latency.mjs", None, rounds[1]),
        ("Large catalogues", "benches/catalogue/load.mjs", None, rounds[2]),
    ] {
        steps.run(&format!("measure with {script}"), || {
            let table = Run::new("node").arg(script).args(folder).arg(rounds).dir(workspace.root()).output()?;
            append(&results, title, &format!("node {script}"), &table)
        })?;
    }
    steps.run("measure the host", || {
        let effort = if quick { ["1", "200"] } else { ["7", "1000"] };
        let host = ["run", "--quiet", "--locked", "--release", "--package", "tradewind-benches", "--bin", "host"];
        let table = workspace.cargo().args(host).arg("--").args(effort).output()?;
        append(&results, "Host", "cargo run --release --package tradewind-benches --bin host", &table)
    })?;
    steps.run("measure the warehouse with a year of history", || {
        let effort = if quick { &["1", "200", "--divide", "40"][..] } else { &["3", "4000"] };
        let history = ["run", "--quiet", "--locked", "--release", "--package", "tradewind-benches", "--bin", "history"];
        let table = workspace.cargo().args(history).arg("--").args(effort.iter().copied()).output()?;
        append(&results, "History", "cargo run --release --package tradewind-benches --bin history", &table)
    })?;
    println!("Results are in {}", results.display());
    Ok(())
}

/// Appends a program's output to the results.
fn append(results: &Path, title: &str, command: &str, table: &str) -> Result<()> {
    let section = format!("\n## {title}\n\n`{command}`\n\n{table}");
    Ok(OpenOptions::new().append(true).open(results)?.write_all(section.as_bytes())?)
}

/// Returns rten as WebAssembly, compiled once for each version and toolchain.
fn rten(workspace: &Workspace, steps: &mut Steps) -> Result<PathBuf> {
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    let source = workspace.path("benches/rten");
    let made_by = Fingerprint::of(&toolchain.version(workspace)?)
        .and(&source.join("Cargo.toml"))?
        .and(&source.join("Cargo.lock"))?
        .and(&source.join("src"))?;
    let dir =
        workspace.cache.obtain(&format!("rten-{made_by}"), steps, "compile rten (takes minutes, once)", |dir| {
            let target = dir.join("target");
            toolchain
                .cargo(workspace, "build")?
                .args(["--locked", "--release", "--manifest-path", "benches/rten/Cargo.toml", "--target-dir"])
                .arg(&target)
                .advice("see the compiler's messages above")
                .run()?;
            let compiled = target.join(TARGET).join("release/tradewind_bench_rten.wasm");
            fs::copy(compiled, dir.join("rten.wasm"))?;
            Ok(fs::remove_dir_all(target)?)
        })?;
    Ok(dir.join("rten.wasm"))
}

/// Returns the models, trained once for each version of their scripts.
fn models(workspace: &Workspace, steps: &mut Steps, python: &Python) -> Result<PathBuf> {
    let script = "benches/models.py";
    let made_by = Fingerprint::of("models")
        .and(&workspace.path(script))?
        .and(&workspace.path("tests/cases/make"))?
        .and(&workspace.path(python::CASES))?;
    workspace.cache.obtain(&format!("bench-models-{made_by}"), steps, "train the models to measure", |dir| {
        Ok(python.script(workspace, script).arg("--out").arg(dir).run()?)
    })
}
