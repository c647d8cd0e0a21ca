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
const WASM_OPT: NpmPackages = NpmPackages {
    name: "binaryen",
    what: "wasm-opt",
    version: BINARYEN,
    package: include_str!("../binaryen/package.json"),
    lock: include_str!("../binaryen/package-lock.json"),
};

/// What Tradewind is measured against in Node.js.
pub const PEERS: NpmPackages = NpmPackages {
    name: "onnxruntime-web",
    what: "onnxruntime-web",
    version: "1.30.0",
    package: include_str!("../../benches/peers/package.json"),
    lock: include_str!("../../benches/peers/package-lock.json"),
};

/// Where legs and places come from; nothing of it is run.
pub const VEGA_DATASETS: NpmPackages = NpmPackages {
    name: "vega-datasets",
    what: "the data of vega-datasets",
    version: "3.2.1",
    package: include_str!("../../models/train/vega-datasets/package.json"),
    lock: include_str!("../../models/train/vega-datasets/package-lock.json"),
};

/// A package of npm's with what it needs, pinned by a lock file.
#[derive(Debug)]
pub struct NpmPackages {
    name: &'static str,
    what: &'static str,
    version: &'static str,
    package: &'static str,
    lock: &'static str,
}

const CARGO_DENY: &str = "0.20.2";

/// The oldest Node.js that runs Binaryen (Debian 12's is 18).
const NODE: u32 = 18;

/// `wasm-opt`, ready to be given arguments.
pub fn wasm_opt(cache: &Cache, steps: &mut Steps) -> Result<Run> {
    let dir = npm_packages(cache, steps, &WASM_OPT)?;
    Ok(Run::new("node").arg(dir.join("node_modules/binaryen/bin/wasm-opt")))
}

/// A folder whose `node_modules` has what a lock file lists; and Node.js itself.
pub fn npm_packages(cache: &Cache, steps: &mut Steps, packages: &NpmPackages) -> Result<PathBuf> {
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
    let name = format!("{}-{}", packages.name, packages.version);
    cache.obtain(&name, steps, &format!("install {} {}", packages.what, packages.version), |dir| {
        fs::write(dir.join("package.json"), packages.package)?;
        fs::write(dir.join("package-lock.json"), packages.lock)?;
        Run::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
            .dir(dir)
            .advice("check that npm's registry can be reached, then run the command again")
            .run()?;
        Ok(())
    })
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

/// The programs of PostgreSQL, on which the service is tested: each test starts one of its own.
pub fn postgres(cache: &Cache, steps: &mut Steps) -> Result<()> {
    if Path::new("/usr/lib/postgresql").exists() || Run::new("initdb").arg("--version").succeeds() {
        return Ok(());
    }
    let _lock = cache.lock()?;
    steps.run("install PostgreSQL", || apt::install(&["postgresql"]))
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
    fn lock_files_pin_the_versions_that_name_the_folders() {
        for NpmPackages { name, version, package, lock, .. } in [WASM_OPT, PEERS, VEGA_DATASETS] {
            assert!(package.contains(&format!("\"{name}\": \"{version}\"")));
            assert!(lock.contains(&format!("\"version\": \"{version}\"")));
        }
    }
}
