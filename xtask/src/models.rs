//! Training and evaluation of models, and the tables of the reference snapshot.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cache::create;
use crate::dist;
use crate::python::{self, Python};
use crate::shell::Run;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Training and evaluation of a model by the script of its name in `models/train`: the `train.toml` in its folder.
struct Training {
    /// Training data.
    data: fn(&Workspace, &mut Steps) -> Result<PathBuf>,
    /// Arguments of its training in addition to those of all models.
    arguments: Vec<String>,
}

impl Training {
    /// Reads lines of `name = "value"`, the only TOML used here.
    fn read(text: &str) -> Result<Self> {
        let value = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim().trim_matches('"'))
        };
        let data = match value("data") {
            Some("complete_journey") => python::complete_journey,
            Some("legs") => python::legs,
            other => bail!("unknown `data` {other:?} (expected complete_journey or legs)"),
        };
        let arguments = value("arguments").unwrap_or_default();
        Ok(Self { data, arguments: arguments.split_whitespace().map(str::to_owned).collect() })
    }
}

/// Returns the trainable models, by name.
fn models(workspace: &Workspace) -> Result<BTreeMap<String, Training>> {
    let mut models = BTreeMap::new();
    for folder in dist::models(workspace)? {
        let path = folder.join("train.toml");
        if path.exists() {
            let training = Training::read(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
            models.insert(folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), training);
        }
    }
    Ok(models)
}

/// Decisions evaluated in addition to models, by `benches`.
const DECISIONS: [&str; 2] = ["exceptions", "allocate"];

/// Program arguments of every script.
const PROGRAMS: [&str; 4] = ["--tradewind", "dist/tradewind", "--module", "dist/tradewind.wasm"];
const EVALUATE: &str = "models/train/evaluate.py";

/// Trains one model or all models, then packs.
pub fn train(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let mut models = models(workspace)?;
    match args {
        [] => {}
        [name] if models.contains_key(*name) => models.retain(|model, _| model == name),
        _ => {
            let names: Vec<_> = models.into_keys().collect();
            bail!("`{}` is not one of {}", args.join(" "), names.join(", "));
        }
    }
    let python = Python::obtain(workspace, steps, python::TRAINING)?;
    // Without the packs, whose models are about to change or do not exist yet.
    dist::build_programs(workspace, steps)?;
    for (name, Training { data, arguments }) in models {
        let data = data(workspace, steps)?;
        steps.run(&format!("train the model {name}"), || {
            let script = python.script(workspace, &format!("models/train/{name}.py")).args(PROGRAMS);
            let script = script.arg("--data").arg(&data).args(["--out", &format!("models/{name}")]);
            Ok(script.args(arguments).run()?)
        })?;
    }
    dist::pack_models(workspace, steps)
}

/// Evaluates one or all committed models and decisions; without an argument, also writes the table of
/// `models/README.md`.
pub fn evaluate(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let models = models(workspace)?;
    let systems: Vec<&str> = models.keys().map(String::as_str).chain(DECISIONS).collect();
    let wanted = match args {
        [] => &systems[..],
        [name] if systems.contains(name) => args,
        _ => bail!("`{}` is not one of {}", args.join(" "), systems.join(", ")),
    };
    let python = Python::obtain(workspace, steps, python::TRAINING)?;
    dist::build(workspace, steps)?;
    create(&workspace.dist("evaluation"))?;
    for name in wanted {
        let out = format!("dist/evaluation/{name}.json");
        match models.get(*name) {
            Some(Training { data, .. }) => {
                let data = data(workspace, steps)?;
                steps.run(&format!("evaluate the model {name}"), || {
                    let script = python.script(workspace, EVALUATE).args(["model", name]).args(PROGRAMS);
                    Ok(script.args(["--models", "models", "--out", &out, "--data"]).arg(&data).run()?)
                })?;
            }
            None => {
                steps.run("compile the evaluation", || {
                    let build = workspace.cargo().args(dist::NATIVE_BUILD).arg("judge");
                    Ok(build.advice("see the compiler's messages above").run()?)
                })?;
                let judge = workspace.target_dir()?.join("release/judge");
                steps.run(&format!("evaluate the decision {name}"), || {
                    Ok(Run::new(&judge).args([name, "--out", &out]).dir(workspace.root()).run()?)
                })?;
            }
        }
    }
    if args.is_empty() {
        steps.run("write the table of models/README.md", || {
            let table = python.script(workspace, EVALUATE).args(["table", "dist/evaluation", "--models", "models"]);
            Ok(table.args(["--readme", "models/README.md"]).run()?)
        })?;
    }
    Ok(())
}

/// Writes the tables of the reference snapshot, and the requests of tests and demo that use it.
pub fn tables(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let python = Python::obtain(workspace, steps, python::TRAINING)?;
    let legs = python::legs(workspace, steps)?;
    let journey = python::complete_journey(workspace, steps)?;
    let script = |name: &str| -> Run { python.script(workspace, &format!("models/train/{name}.py")) };
    let snapshot = "models/snapshot";
    steps.run("write nodes, regions and lanes", || {
        Ok(script("places").arg("--places").arg(legs.join("places.csv")).args(["--out", snapshot]).run()?)
    })?;
    steps.run("write products, prices, sales and stock", || {
        let script = script("snapshot").arg("--data").arg(&journey);
        Ok(script.args(["--places", snapshot, "--out", snapshot]).run()?)
    })?;
    steps.run("write the requests that use them", || {
        let script = script("decisions").arg("--data").arg(&journey);
        Ok(script.args(["--snapshot", snapshot, "--out", "tests/cases/decisions"]).run()?)
    })
}
