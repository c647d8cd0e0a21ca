//! Tools that a command needs, each pinned to a version.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::cache::Cache;
use crate::shell::Run;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Binaryen's release, which `binaryen/package-lock.json` pins together with its SHA-512.
pub const BINARYEN: &str = "132.0.0";
const BINARYEN_PACKAGE: &str = include_str!("../binaryen/package.json");
const BINARYEN_LOCK: &str = include_str!("../binaryen/package-lock.json");

const CARGO_DENY: &str = "0.20.2";

/// The oldest Node.js that runs Binaryen (Debian 12's is 18).
const NODE: u32 = 18;

/// `wasm-opt`, ready to be given arguments.
pub fn wasm_opt(cache: &Cache, steps: &mut Steps) -> Result<Run> {
    let name = format!("binaryen-{BINARYEN}");
    if !node_is_there() {
        let _lock = cache.lock()?;
        steps.run("install Node.js", || {
            apt::install(&["nodejs", "npm"])?;
            if node_is_there() {
                Ok(())
            } else {
                bail!("`node` and `npm` are missing or older than Node.js {NODE}: install newer ones")
            }
        })?;
    }
    let dir = cache.obtain(&name, steps, &format!("install wasm-opt {BINARYEN}"), |dir| {
        fs::write(dir.join("package.json"), BINARYEN_PACKAGE)?;
        fs::write(dir.join("package-lock.json"), BINARYEN_LOCK)?;
        Run::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .dir(dir)
            .advice("check that npm's registry can be reached, then run the command again")
            .run()?;
        Ok(())
    })?;
    Ok(Run::new("node").arg(dir.join("node_modules/binaryen/bin/wasm-opt")))
}

/// The program `cargo-deny`, which takes the place of `cargo deny`.
pub fn cargo_deny(cache: &Cache, steps: &mut Steps) -> Result<PathBuf> {
    let name = format!("cargo-deny-{CARGO_DENY}");
    let dir = cache.obtain(&name, steps, &format!("install cargo-deny {CARGO_DENY}"), |dir| {
        // Without optimisation it compiles far sooner, and it has little to do.
        Run::cargo()
            .args(["install", "--locked", "--debug", "--version", CARGO_DENY, "--root"])
            .arg(dir)
            .arg("cargo-deny")
            .dir(cache.dir())
            .without_env("CARGO_TARGET_DIR")
            .advice("check that the registry of crates can be reached, then run the command again")
            .run()?;
        Ok(())
    })?;
    Ok(dir.join("bin/cargo-deny"))
}

/// Makes `cargo fmt` and `cargo clippy` work.
pub fn rust_components(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if workspace.cargo().args([command, "--version"]).succeeds() {
            continue;
        }
        steps.run(&format!("add {component} to rustup's toolchain"), || {
            Run::new("rustup")
                .args(["component", "add", component])
                .limit(Duration::from_secs(120))
                .advice(format!("install Rust through rustup, with its component {component}"))
                .run()
                .context("the tests check formatting and lints")
        })?;
    }
    Ok(())
}

fn node_is_there() -> bool {
    let version = Run::new("node").arg("--version").output().unwrap_or_default();
    major(&version).is_some_and(|major| major >= NODE)
        && Run::new("npm").arg("--version").dir(Path::new("/")).succeeds()
}

/// The first number of a version like `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_are_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("18.0"), Some(18));
        assert_eq!(major(""), None);
    }

    #[test]
    fn the_lock_file_pins_the_version_that_names_the_folder() {
        assert!(BINARYEN_PACKAGE.contains(&format!("\"binaryen\": \"{BINARYEN}\"")));
        assert!(BINARYEN_LOCK.contains(&format!("\"version\": \"{BINARYEN}\"")));
    }
}
