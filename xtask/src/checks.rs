//! Everything that must hold before a change lands: format, lints, docs, licences and tests.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::browser;
use crate::demo;
use crate::dist;
use crate::edge;
use crate::fuzz;
use crate::operators;
use crate::shell::Run;
use crate::steps::Steps;
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// How long fetching the list of advisories may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs every check, the quick ones first. All native code is compiled in the release profile, so
/// that what one step compiles is there for the next.
pub fn run(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::rust_components(workspace, steps)?;
    steps.run("check the formatting", || {
        let fmt = workspace.cargo().args(["fmt", "--all", "--check"]);
        Ok(fmt.advice("cargo fmt --all").run()?)
    })?;
    lint(workspace, steps)?;
    steps.run("check the documentation", || {
        let doc = workspace.cargo().args(["doc", "--locked", "--release", "--workspace"]);
        let doc = doc.arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings");
        Ok(doc.advice("each warning above counts as an error").run()?)
    })?;
    check_dependencies(workspace, steps)?;
    steps.run("check the fuzzers' lock file", || fuzz::check(workspace))?;

    tools::postgres(&workspace.cache, steps)?;
    browser::chromium(steps)?;
    browser::firefox(steps)?;
    dist::build(workspace, steps)?;
    operators::check(workspace, steps)?;
    steps.run("run the tests", || {
        let tests = workspace.cargo().args(["test", "--locked", "--release", "--workspace"]);
        Ok(tests.advice("the failed tests are listed above").run()?)
    })?;
    browser::test(workspace, steps)?;
    edge::test(workspace, steps)?;
    demo::test(workspace, steps)
}

fn lint(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let advice = "each warning above counts as an error; #[expect(…, reason = \"…\")] excepts one";
    steps.run("lint the native code", || {
        let clippy = workspace.cargo().args(["clippy", "--locked", "--release", "--workspace"]);
        let clippy = clippy.args(["--all-targets", "--", "-Dwarnings"]);
        Ok(clippy.advice(advice).run()?)
    })?;

    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    toolchain.obtain_clippy(steps)?;
    steps.run("lint the code for wasm32", || {
        // The module by itself: it has no `std`, which the others bring to the crates that they share.
        for names in [&["core", "module"], &["browser", "edge"]] {
            let clippy = toolchain.cargo(workspace, "clippy")?.args(["--locked", "--release"]);
            let clippy = clippy.args(names.map(|name| format!("--package=tradewind-{name}")));
            clippy.args(["--", "-Dwarnings"]).advice(advice).run()?;
        }
        Ok(())
    })
}

/// Licences, bans and sources always; advisories where their list can be fetched.
fn check_dependencies(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let program = tools::cargo_tool(&workspace.cache, steps, &tools::CARGO_DENY)?.join("cargo-deny");
    steps.run("check the dependencies' licences and sources", || {
        let check = cargo_deny(workspace, &program).args(["check", "licenses", "bans", "sources"]);
        Ok(check.advice("deny.toml has what is allowed, and why").run()?)
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
