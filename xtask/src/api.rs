//! Tools that judge the warehouse's API: a linter of its document, a generator of clients, and a fuzzer.

use anyhow::Result;

use crate::cache::create;
use crate::dist;
use crate::files::link;
use crate::python::{self, Python};
use crate::steps::Steps;
use crate::tools;
use crate::workspace::Workspace;

/// Installs the tools, and links them for the tests.
pub fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let redocly = tools::npm_packages(&workspace.cache, steps, &tools::REDOCLY)?;
    let python = Python::obtain(workspace, steps, python::API)?;
    create(&workspace.dist("tools"))?;
    link(&redocly, &workspace.dist("tools/redocly"))?;
    link(python.program(), &workspace.dist("tools/python-api"))
}

/// Runs `cargo xtask schemathesis`: builds, then sends the requests that the document allows, and others, to a real
/// service for minutes.
pub fn fuzz(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    dist::build(workspace, steps)?;
    set_up(workspace, steps)?;
    steps.run("fuzz the API", || {
        let test = workspace.cargo().args(["test", "--locked", "--release", "--workspace", "--test=serve_api"]);
        let test = test.args(["schemathesis", "--", "--ignored", "--nocapture"]);
        // Without the access log.
        let test = test.env("RUST_LOG", "warn");
        Ok(test.advice("the requests above reproduce each failure").run()?)
    })
}
