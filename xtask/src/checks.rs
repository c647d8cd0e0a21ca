//! All checks required before merging: format, lints, docs, licences and tests.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::api;
use crate::bindings;
use crate::browser;
use crate::demo;
use crate::dist;
use crate::edge;
use crate::fuzz;
use crate::operators;
use crate::shell::Run;
use crate::steps::Steps;
use crate::system::{self, CHROMIUM, FIREFOX, NODE, Need, POSTGRESQL, PYTHON};
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// Maximum time to fetch the list of advisories.
const PATIENCE: Duration = Duration::from_secs(60);

/// Part that can be tested separately.
struct Part {
    name: &'static str,
    about: &'static str,
    /// Needs of its tests in addition to those of a build.
    needs: &'static [&'static Need],
    test: fn(&Workspace, &mut Steps, Option<&str>) -> Result<()>,
}

const PARTS: [Part; 6] = [
    Part { name: "core", about: "the core, without any built files", needs: &[], test: test_core },
    Part {
        name: "models",
        about: "models of all kinds on all runtimes, messages, bytes, layers",
        needs: &[&CHROMIUM, &FIREFOX],
        test: test_models,
    },
    Part { name: "rust", about: "everything in Rust", needs: &[&CHROMIUM, &FIREFOX, &POSTGRESQL], test: test_rust },
    Part { name: "sdk", about: "the package for pages, in Chromium", needs: &[&CHROMIUM], test: browser::test },
    Part { name: "edge", about: "the Worker, in workerd", needs: &[&CHROMIUM], test: edge::test },
    Part { name: "demo", about: "page, edge and warehouse together", needs: &[&CHROMIUM], test: demo::test },
];

/// System packages that the tests of all parts need.
pub const NEEDS: [&Need; 5] = [&NODE, &PYTHON, &CHROMIUM, &FIREFOX, &POSTGRESQL];

/// Integration tests of models, messages and the rules for code.
const OF_MODELS: [&str; 16] = [
    "abi",
    "budget",
    "corpus",
    "demand",
    "features",
    "figures",
    "late",
    "layers",
    "models",
    "own_model",
    "rank",
    "runtimes",
    "snapshot",
    "verify",
    "weights",
    "words",
];

/// Runs `cargo xtask check`: checks that need no build, in a few minutes.
pub fn check(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::rust_components(workspace, steps)?;
    steps.run("check the formatting", || {
        let fmt = workspace.cargo().args(["fmt", "--all", "--check"]);
        Ok(fmt.advice("cargo fmt --all").run()?)
    })?;
    bindings::check(workspace, steps)?;
    lint(workspace, steps)?;
    steps.run("check the documentation", || {
        let doc = workspace.cargo().args(["doc", "--locked", "--release", "--workspace"]);
        let doc = doc.arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings");
        Ok(doc.advice("each warning above is an error").run()?)
    })?;
    browser::check_types(workspace, steps)
}

/// Runs `cargo xtask test [PART] [FILTER]`. Without a part, runs every check and test, the quick ones first. All native
/// code is compiled in the release profile, so that later steps reuse it.
pub fn test(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let (name, filter) = match args {
        [] => return all(workspace, steps),
        [name] => (*name, None),
        [name, filter] => (*name, Some(*filter)),
        _ => bail!("`cargo xtask test` takes a part and a filter at most, but was given `{}`", args.join(" ")),
    };
    let Some(part) = PARTS.iter().find(|part| part.name == name) else {
        let parts = PARTS.map(|Part { name, about, .. }| format!("  {name:<7} {about}")).join("\n");
        bail!("unknown part `{name}` (expected one of these):\n{parts}");
    };
    if part.name != "core" {
        system::provide(&workspace.cache, steps, &[&dist::NEEDS, part.needs].concat())?;
        dist::build(workspace, steps)?;
    }
    (part.test)(workspace, steps, filter)
}

fn all(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    system::provide(&workspace.cache, steps, &NEEDS)?;
    check(workspace, steps)?;
    check_dependencies(workspace, steps)?;
    steps.run("check the fuzzers' lock file", || fuzz::check(workspace))?;
    dist::build(workspace, steps)?;
    operators::check(workspace, steps)?;
    for Part { test, .. } in PARTS.iter().filter(|part| !["core", "models"].contains(&part.name)) {
        test(workspace, steps, None)?;
    }
    Ok(())
}

fn test_core(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    let packages = ["core", "executor", "json"].map(|name| format!("--package=tradewind-{name}"));
    cargo_test(workspace, steps, &packages, filter)
}

fn test_models(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    let file = filter.filter(|filter| OF_MODELS.contains(filter));
    let files: Vec<_> = OF_MODELS.into_iter().filter(|name| file.is_none_or(|file| file == *name)).collect();
    integration_tests(workspace, steps, &files, filter.filter(|_| file.is_none()))
}

/// Includes the tests of `core` and `models`.
fn test_rust(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    api::set_up(workspace, steps)?;
    match filter {
        Some(file) if workspace.root().join("tests/tests").join(file).with_extension("rs").exists() => {
            integration_tests(workspace, steps, &[file], None)
        }
        _ => cargo_test(workspace, steps, &["--workspace".to_owned()], filter),
    }
}

fn integration_tests(workspace: &Workspace, steps: &mut Steps, files: &[&str], filter: Option<&str>) -> Result<()> {
    let mut which = vec!["--workspace".to_owned()];
    which.extend(files.iter().map(|file| format!("--test={file}")));
    cargo_test(workspace, steps, &which, filter)
}

/// The filter is a part of the names of tests; one that no test has is an error.
fn cargo_test(workspace: &Workspace, steps: &mut Steps, which: &[String], filter: Option<&str>) -> Result<()> {
    let tests = || workspace.cargo().args(["test", "--locked", "--release"]).args(which).args(filter);
    steps.run("run the tests", || Ok(tests().advice("see the failed tests above").run()?))?;
    if let Some(filter) = filter {
        let listed = tests().args(["--", "--list", "--format=terse"]).output()?;
        if !listed.lines().any(|line| line.ends_with(": test")) {
            bail!("no file of tests is called `{filter}`, and no test has it in its name");
        }
    }
    Ok(())
}

fn lint(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let advice = "each warning above is an error; #[expect(…, reason = \"…\")] makes an exception";
    steps.run("lint the native code", || {
        let clippy = workspace.cargo().args(["clippy", "--locked", "--release", "--workspace"]);
        let clippy = clippy.args(["--all-targets", "--", "-Dwarnings"]);
        clippy.advice(advice).run()?;
        let clippy = workspace.cargo().args(["clippy", "--locked", "--release", "--workspace"]);
        let clippy = clippy.args(["--features=tradewind-host/otel", "--", "-Dwarnings"]);
        Ok(clippy.advice(advice).run()?)
    })?;

    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    toolchain.obtain_clippy(workspace, steps)?;
    steps.run("lint the code for wasm32", || {
        // The module separately: it has no `std`, but the others enable it in shared crates.
        for names in [&["core", "module"], &["browser", "edge"]] {
            let clippy = toolchain.cargo(workspace, "clippy")?.args(["--locked", "--release"]);
            let clippy = clippy.args(names.map(|name| format!("--package=tradewind-{name}")));
            clippy.args(["--", "-Dwarnings"]).advice(advice).run()?;
        }
        Ok(())
    })
}

/// Checks licences, bans and sources always, and advisories if their list can be fetched.
fn check_dependencies(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let program = tools::cargo_tool(&workspace.cache, steps, &tools::CARGO_DENY)?.join("cargo-deny");
    steps.run("check the dependencies' licences and sources", || {
        let check = cargo_deny(workspace, &program).args(["check", "licenses", "bans", "sources"]);
        Ok(check.advice("deny.toml lists the allowed ones, with reasons").run()?)
    })?;

    let unreachable = steps.run("fetch the list of advisories", || {
        let fetch = cargo_deny(workspace, &program).args(["fetch", "db"]).limit(PATIENCE);
        Ok(fetch.run().err())
    })?;
    if let Some(failure) = unreachable {
        println!(
            "    SKIPPED: advisories were not checked, because their list could not be fetched ({})",
            failure.outcome()
        );
        return Ok(());
    }
    steps.run("check the dependencies against advisories", || {
        let check = cargo_deny(workspace, &program);
        let check = check.args(["--offline", "check", "advisories"]);
        Ok(check.advice("update the crate, or accept the advisory with a reason in deny.toml").run()?)
    })
}

fn cargo_deny(workspace: &Workspace, program: &Path) -> Run {
    Run::new(program).args(["--locked", "--workspace"]).dir(workspace.root())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_needs_what_its_tests_run_and_no_more() {
        let of = |name: &str| -> Vec<&str> {
            let part = PARTS.iter().find(|part| part.name == name);
            part.map(|part| part.needs.iter().map(|need| need.what).collect()).unwrap_or_default()
        };
        assert!(of("core").is_empty());
        assert_eq!(of("models"), [CHROMIUM.what, FIREFOX.what]);
        assert_eq!(of("rust"), [CHROMIUM.what, FIREFOX.what, POSTGRESQL.what]);
        assert!(["sdk", "edge", "demo"].iter().all(|name| of(name) == [CHROMIUM.what]));
        let all = NEEDS.map(|need| need.what);
        assert!(PARTS.iter().all(|part| of(part.name).iter().all(|what| all.contains(what))));
    }
}
