//! The demo: a shop's origin, the edge in front of it and the warehouse behind it, on this machine.

use anyhow::{Result, bail};

use crate::dist;
use crate::files;
use crate::shell::Run;
use crate::steps::Steps;
use crate::system::{self, CHROMIUM};
use crate::workspace::Workspace;

/// Runs `cargo xtask demo [--once]`.
pub fn run(workspace: &Workspace, steps: &mut Steps, args: &[&str]) -> Result<()> {
    let once = match args {
        [] => false,
        ["--once"] => true,
        other => bail!("`cargo xtask demo` takes `--once` or nothing, but was given `{}`", other.join(" ")),
    };
    if once {
        system::provide(&workspace.cache, steps, &[&CHROMIUM])?;
    }
    dist::build(workspace, steps)?;
    if once { tell(workspace, steps) } else { Ok(node(workspace).run()?) }
}

/// Tests the demo's parts together in Chromium, then runs the story.
pub fn test(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    steps.run("test the demo's parts together in Chromium", || {
        let tests = files::node_tests(workspace, "tests/demo", filter)?;
        Ok(tests.advice("see the failed tests above").run()?)
    })?;
    if filter.is_some() { Ok(()) } else { tell(workspace, steps) }
}

/// Runs the story in headless Chromium; fails at the first unexpected step.
fn tell(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.run("run the story of the demo", || {
        Ok(node(workspace).arg("--once").advice("TRADEWIND_VERBOSE=1 shows the output of edge and warehouse").run()?)
    })
}

fn node(workspace: &Workspace) -> Run {
    Run::new("node").arg("tests/demo/main.mjs").dir(workspace.root())
}
