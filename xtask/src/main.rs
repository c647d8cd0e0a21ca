//! `cargo xtask COMMAND`: all development commands of Tradewind.
//!
//! Each command installs only what it needs and is missing; a second run finds everything installed. Tools and data are
//! outside the checkout ([`cache`]), in folders named by version.
//!
//! - [`system`], [`browsers`], [`toolchain`], [`debian`], [`target`], [`tools`], [`python`]: set-up
//! - [`bindings`]: generated TypeScript; [`dist`], [`browser`], [`edge`]: build; [`mod@watch`]: rebuild on changes; [`demo`]: demo
//! - [`checks`], [`api`], [`fuzz`], [`mod@operators`]: tests
//! - [`mod@bench`] runs the benchmarks
//! - [`models`]: training and evaluation
//! - [`shell`], [`steps`]: running, timing and reporting of commands

mod api;
mod bench;
mod bindings;
mod browser;
mod browsers;
mod cache;
mod checks;
mod debian;
mod demo;
mod dist;
mod edge;
mod files;
mod fingerprint;
mod fuzz;
mod models;
mod operators;
mod python;
mod shell;
mod steps;
mod system;
mod target;
mod toolchain;
mod tools;
mod watch;
mod workspace;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::python::Python;
use crate::steps::Steps;
use crate::system::{CHROMIUM, NODE, Need, POSTGRESQL, PYTHON};
use crate::toolchain::WasmToolchain;
use crate::workspace::Workspace;

/// Command: name, arguments, description and function.
struct Command {
    name: &'static str,
    argument: &'static str,
    about: &'static str,
    /// System packages that it needs; parts and options may need more.
    needs: &'static [&'static Need],
    run: fn(&Workspace, &mut Steps, &[&str]) -> Result<()>,
}

const COMMANDS: [Command; 14] = [
    Command {
        name: "setup",
        argument: "",
        about: "Install all missing tools of the other commands",
        needs: &checks::NEEDS,
        run: |workspace, steps, _| set_up(workspace, steps),
    },
    Command {
        name: "build",
        argument: "",
        about: "Build the module, the host, the packs and the shells into dist/",
        needs: &dist::NEEDS,
        run: |workspace, steps, _| dist::build(workspace, steps),
    },
    Command {
        name: "demo",
        argument: "[--once]",
        about: "Build, then start a shop, its edge and its warehouse; --once runs their story as a test",
        needs: &dist::NEEDS,
        run: demo::run,
    },
    Command {
        name: "check",
        argument: "",
        about: "Check format, lints, docs and types, without building",
        needs: &[&NODE],
        run: |workspace, steps, _| checks::check(workspace, steps),
    },
    Command {
        name: "test",
        argument: "[PART]",
        about: "Run all checks, build, run all tests; or only those of core, models, host, sdk, edge or demo [FILTER]",
        needs: &[],
        run: checks::test,
    },
    Command {
        name: "watch",
        argument: "sdk",
        about: "Rebuild the npm package whenever its sources change",
        needs: &dist::NEEDS,
        run: watch::run,
    },
    Command {
        name: "bench",
        argument: "[--quick]",
        about: "Build, then compare speed and size with other runtimes",
        needs: &[&NODE, &PYTHON, &CHROMIUM, &POSTGRESQL],
        run: bench::run,
    },
    Command {
        name: "bindings",
        argument: "",
        about: "Write browser-sdk/ts/generated.ts, the page's types and codecs, from the core's declarations",
        needs: &[],
        run: |workspace, steps, _| bindings::write(workspace, steps),
    },
    Command {
        name: "operators",
        argument: "",
        about: "Build, run the ONNX project's cases, and write core/OPERATORS.md",
        needs: &dist::NEEDS,
        run: |workspace, steps, _| operators(workspace, steps),
    },
    Command {
        name: "fuzz",
        argument: "TARGET",
        about: "Fuzz the pack decoder, the executor or the compiler: pack, executor, model [--minutes N]",
        needs: &[&NODE],
        run: fuzz::run,
    },
    Command {
        name: "schemathesis",
        argument: "",
        about: "Build, then fuzz the API of a running warehouse service, for minutes",
        needs: &dist::NEEDS,
        run: |workspace, steps, _| api::fuzz(workspace, steps),
    },
    Command {
        name: "train",
        argument: "[MODEL]",
        about: "Train one model or all models from their source data, then pack",
        needs: &dist::NEEDS,
        run: models::train,
    },
    Command {
        name: "evaluate",
        argument: "[SYSTEM]",
        about: "Evaluate one or all committed models and decisions; write the table of models/README.md",
        needs: &dist::NEEDS,
        run: models::evaluate,
    },
    Command {
        name: "tables",
        argument: "",
        about: "Write the tables of the reference snapshot, and the requests that use it",
        needs: &dist::NEEDS,
        run: |workspace, steps, _| models::tables(workspace, steps),
    },
];

fn main() -> ExitCode {
    let (yes, args): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|argument| argument == "--yes");
    let mut steps = Steps::new(!yes.is_empty());
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
        bail!("unknown command `{name}`: `cargo xtask` lists all");
    };
    if command.argument.is_empty() && !rest.is_empty() {
        bail!("`cargo xtask {name}` takes no argument, but was given `{}`", rest.join(" "));
    }
    let workspace = Workspace::locate()?;
    system::provide(&workspace.cache, steps, command.needs)?;
    (command.run)(&workspace, steps, &rest)
}

fn print_help() {
    println!("cargo xtask COMMAND: set-up, build, demo, test, bench, fuzz, train and evaluate of Tradewind\n");
    for Command { name, argument, about, .. } in &COMMANDS {
        println!("  {:<15}  {about}", format!("{name} {argument}"));
    }
    println!(
        "
Each command first installs missing tools. Tools and data are kept outside the checkout, in
~/.cache/tradewind. Before installing system packages it asks; with --yes, or without a
terminal, it installs them and prints their names.

  TRADEWIND_CACHE           folder for tools and data
  TRADEWIND_WASM_TOOLCHAIN  source of the wasm32 target: rustup or debian
                            (default: rustup, or Debian's packages if rustup's server is unreachable)
  PYTHON                    Python interpreter (default: python3)
  CHROMIUM, FIREFOX         path of the browser (default: found automatically)"
    );
}

fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::rust_components(workspace, steps)?;
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    toolchain.obtain_clippy(workspace, steps)?;
    tools::wasm_opt(&workspace.cache, steps)?;
    tools::cargo_tool(&workspace.cache, steps, &tools::CARGO_DENY)?;
    browser::set_up(workspace, steps)?;
    edge::set_up(workspace, steps)?;
    Python::obtain(workspace, steps, python::TRAINING)?;
    python::complete_journey(workspace, steps)?;
    python::legs(workspace, steps)?;
    Python::obtain(workspace, steps, python::NODE_CASES)?;
    api::set_up(workspace, steps)?;
    println!("Everything is installed: {} for wasm32,", toolchain.version(workspace)?);
    println!("tools and data in {}", workspace.cache.dir().display());
    Ok(())
}

fn operators(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    dist::build_programs(workspace, steps)?;
    operators::write(workspace, steps)
}
