//! The fuzzers of `tests/fuzz`: built with libFuzzer on the stable toolchain, fed with the cases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::create;
use crate::dist;
use crate::shell::Run;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Fuzz targets, from `tests/targets`.
const TARGETS: [&str; 3] = ["pack", "executor", "model"];

/// Default duration in minutes.
const MINUTES: u64 = 10;

/// Instrumentation that libFuzzer needs in the code under test. The compiler's own passes provide it; a sanitizer would
/// need a nightly toolchain, and finds little in code without `unsafe`.
const COVERAGE: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Ten seconds, 1.5 GB in total, and 512 MB per allocation: exceeding one is a finding.
const LIMITS: [&str; 4] = ["-timeout=10", "-rss_limit_mb=1536", "-malloc_limit_mb=512", "-max_len=131072"];

/// Fuzzes one target, starting with its corpus and the cases.
///
/// The learnt corpus stays in the target folder; a finding is also written there, and reported. Once it is fixed, move
/// its file into `tests/fuzz/corpus/TARGET`, where the tests replay it.
pub fn run(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let (target, minutes) = match args {
        [target] => (*target, MINUTES),
        [target, "--minutes", minutes] => (*target, minutes.parse().context("--minutes takes a whole number")?),
        _ => bail!("missing target: `cargo xtask fuzz TARGET [--minutes N]` (TARGET is one of {})", TARGETS.join(", ")),
    };
    if !TARGETS.contains(&target) {
        bail!("unknown fuzz target `{target}` (expected one of {})", TARGETS.join(", "));
    }
    let folder = workspace.target_dir()?.join("fuzz");
    let program = steps.run("compile the fuzzer", || compile(workspace, &folder, target))?;
    let seeds = match target {
        "model" => models(workspace, &folder)?,
        _ => {
            dist::build_programs(workspace, steps)?;
            steps.run("pack the cases", || packs(workspace, &folder))?
        }
    };
    let learnt = folder.join("corpus").join(target);
    create(&learnt)?;
    let found = folder.join("found");
    create(&found)?;
    steps.run(&format!("fuzz the {target} for {minutes} minutes"), || {
        Run::new(program)
            .arg(&learnt)
            .arg(workspace.path("tests/fuzz/corpus").join(target))
            .arg(&seeds)
            .args(LIMITS)
            .arg(format!("-max_total_time={}", 60 * minutes))
            .arg(format!("-artifact_prefix={}/{target}-", found.display()))
            .arg("-print_final_stats=1")
            .advice("the input is in the file named above; run the fuzzer with only that file to reproduce it")
            .run()?;
        Ok(())
    })
}

/// Checks that the fuzzers' lock file matches the workspace: they are not part of it, so no other build checks this.
pub fn check(workspace: &Workspace) -> Result<()> {
    let metadata = Run::cargo().args(["metadata", "--locked", "--format-version", "1"]);
    let metadata = metadata.dir(&workspace.path("tests/fuzz"));
    metadata.advice("cargo update --workspace in tests/fuzz, and commit its Cargo.lock").output().map(drop)?;
    Ok(())
}

/// With a separate target folder, so that build scripts are not instrumented.
fn compile(workspace: &Workspace, folder: &Path, target: &str) -> Result<PathBuf> {
    let host = Run::new("rustc").args(["--print", "host-tuple"]).output()?;
    let host = host.trim();
    let features: &[&str] = if target == "model" { &["--features", "compiler"] } else { &[] };
    Run::cargo()
        .args(["build", "--locked", "--release", "--target", host, "--bin", target])
        .args(features)
        .dir(&workspace.path("tests/fuzz"))
        .env("RUSTFLAGS", COVERAGE.join(" "))
        .env("CARGO_TARGET_DIR", folder)
        .advice("libFuzzer is C++: a compiler for it is needed, such as g++")
        .run()?;
    Ok(folder.join(host).join("release").join(target))
}

/// Packs of all cases without options, as seeds.
fn packs(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let seeds = folder.join("packs");
    create(&seeds)?;
    for (name, model) in cases(workspace)? {
        // A case that needs options, or cannot be compiled yet, is skipped.
        let pack = dist::host(workspace).arg("pack").arg(&model).args(["--unsigned", "--out"]);
        let _packed = pack.arg(seeds.join(format!("{name}.pack"))).succeeds();
    }
    Ok(seeds)
}

/// Models of all cases in one folder, as seeds.
fn models(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let seeds = folder.join("models");
    create(&seeds)?;
    for (name, model) in cases(workspace)? {
        fs::copy(&model, seeds.join(format!("{name}.onnx"))).with_context(|| model.display().to_string())?;
    }
    Ok(seeds)
}

/// Name and model of each case.
fn cases(workspace: &Workspace) -> Result<Vec<(String, PathBuf)>> {
    let folder = workspace.path("tests/cases/onnx");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut cases = Vec::new();
    for entry in entries {
        let entry = entry?;
        let model = entry.path().join("model.onnx");
        if model.exists() {
            cases.push((entry.file_name().to_string_lossy().into_owned(), model));
        }
    }
    Ok(cases)
}
