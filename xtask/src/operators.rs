//! The ONNX project's own test cases, and the table of their results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::fingerprint::Fingerprint;
use crate::python::{self, Python};
use crate::steps::Steps;
use crate::workspace::Workspace;

/// The committed table.
const TABLE: &str = "core/OPERATORS.md";
const MAKE_CASES: &str = "tests/cases/node/make_cases.py";
const MAKE_TABLE: &str = "tests/cases/node/table.py";

/// Writes the table; needs the files of `dist::build`.
pub fn write(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    run(workspace, steps, &workspace.path(TABLE))
}

/// Fails if the cases give another table than the committed one, or one of them is wrong.
pub fn check(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let (found, committed) = (workspace.dist("OPERATORS.md"), workspace.path(TABLE));
    run(workspace, steps, &found)?;
    let text = |path: &Path| fs::read_to_string(path).with_context(|| format!("`{}`", path.display()));
    if text(&found)? != text(&committed)? {
        bail!(
            "the cases give dist/OPERATORS.md, which differs from {TABLE}: run `cargo xtask operators` and review the diff"
        );
    }
    Ok(())
}

fn run(workspace: &Workspace, steps: &mut Steps, out: &Path) -> Result<()> {
    let python = Python::obtain(workspace, steps, python::NODE_CASES)?;
    let cases = cases(workspace, steps, &python)?;
    steps.run("verify the ONNX project's cases", || {
        python
            .script(workspace, MAKE_TABLE)
            .args(["--tradewind", "dist/tradewind", "--cases"])
            .arg(&cases)
            .arg("--out")
            .arg(out)
            .advice("`dist/tradewind verify --bind FOLDER` gives details about the cases above")
            .run()?;
        Ok(())
    })
}

/// Returns the folder of the cases, and makes them if they are missing.
fn cases(workspace: &Workspace, steps: &mut Steps, python: &Python) -> Result<PathBuf> {
    let made_by =
        Fingerprint::of("cases").and(&workspace.path(python::NODE_CASES))?.and(&workspace.path(MAKE_CASES))?;
    workspace.cache.obtain(&format!("node-cases-{made_by}"), steps, "make the ONNX project's cases", |dir| {
        python.script(workspace, MAKE_CASES).env("PYTHONWARNINGS", "ignore").arg("--out").arg(dir).run()?;
        Ok(())
    })
}
