//! Tools of the commands, each pinned to a version.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Binaryen's release, pinned by `binaryen/package-lock.json` with its SHA-512.
pub const BINARYEN: &str = "132.0.0";
/// Path of its `wasm-opt`.
pub const WASM_OPT: &str = "node_modules/binaryen/bin/wasm-opt";
/// WebAssembly features that `wasm-opt` may use: all of them are supported by current browsers, workerd and wasmtime,
/// without relaxed SIMD. Names and producers are removed, because they differ between machines.
pub const WASM_OPT_FEATURES: [&str; 10] = [
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];
/// Optimises modules, and makes faulty modules in tests.
pub const BINARYEN_PACKAGE: NpmPackages = NpmPackages {
    name: "binaryen",
    what: "wasm-opt",
    version: BINARYEN,
    package: include_str!("../binaryen/package.json"),
    lock: include_str!("../binaryen/package-lock.json"),
};

/// Competitors in Node.js.
pub const PEERS: NpmPackages = NpmPackages {
    name: "onnxruntime-web",
    what: "onnxruntime-web",
    version: "1.30.0",
    package: include_str!("../../benches/peers/package.json"),
    lock: include_str!("../../benches/peers/package-lock.json"),
};

/// Tools that compile, bundle and test the npm package; its `devDependencies`.
pub const BROWSER: NpmPackages = NpmPackages {
    name: "playwright-core",
    what: "TypeScript, esbuild, Vite, Playwright, React and Vue",
    version: "1.65.1",
    package: include_str!("../../browser-sdk/package.json"),
    lock: include_str!("../../browser-sdk/package-lock.json"),
};

/// Runs and uploads the edge Worker; includes workerd, miniflare and esbuild. The last version that runs on Node.js 20.
pub const WRANGLER: NpmPackages = NpmPackages {
    name: "wrangler",
    what: "wrangler",
    version: "4.86.0",
    package: include_str!("../../edge-worker/package.json"),
    lock: include_str!("../../edge-worker/package-lock.json"),
};

/// Checks the warehouse's OpenAPI document.
pub const REDOCLY: NpmPackages = NpmPackages {
    name: "@redocly/cli",
    what: "redocly",
    version: "2.77.0",
    package: include_str!("../../tests/api/package.json"),
    lock: include_str!("../../tests/api/package-lock.json"),
};

/// Source of legs and locations; none of its code is run.
pub const VEGA_DATASETS: NpmPackages = NpmPackages {
    name: "vega-datasets",
    what: "the data of vega-datasets",
    version: "3.2.1",
    package: include_str!("../../models/train/vega-datasets/package.json"),
    lock: include_str!("../../models/train/vega-datasets/package-lock.json"),
};

/// npm package with its dependencies, pinned by a lock file.
#[derive(Debug)]
pub struct NpmPackages {
    name: &'static str,
    what: &'static str,
    version: &'static str,
    package: &'static str,
    lock: &'static str,
}

/// Tool that cargo installs from source.
#[derive(Debug)]
pub struct CargoTool {
    package: &'static str,
    version: &'static str,
    /// Options that disable unused features.
    options: &'static [&'static str],
}

/// Checks licences, sources and advisories.
pub const CARGO_DENY: CargoTool = CargoTool { package: "cargo-deny", version: "0.20.2", options: &[] };
/// Writes the JavaScript for a module; exactly the version of the crate `wasm-bindgen`. Without TLS, which only its
/// test runner needs for remote browsers.
pub const WASM_BINDGEN: CargoTool =
    CargoTool { package: "wasm-bindgen-cli", version: "0.2.129", options: &["--no-default-features"] };
/// Builds and tests the page's shim.
pub const WASM_PACK: CargoTool = CargoTool { package: "wasm-pack", version: "0.15.1", options: &[] };

/// Returns `wasm-opt`, without arguments.
pub fn wasm_opt(cache: &Cache, steps: &mut Steps) -> Result<Run> {
    let dir = npm_packages(cache, steps, &BINARYEN_PACKAGE)?;
    Ok(Run::new("node").arg(dir.join(WASM_OPT)))
}

/// Versions of all tools that make JavaScript and WebAssembly from a compiled shell.
pub fn versions() -> String {
    format!("{BINARYEN} {} {}", WASM_BINDGEN.version, WRANGLER.version)
}

/// Returns a folder whose `node_modules` has the packages of a lock file.
pub fn npm_packages(cache: &Cache, steps: &mut Steps, packages: &NpmPackages) -> Result<PathBuf> {
    // The lock file may pin other packages besides the one that names it.
    let name = format!(
        "{}-{}-{}",
        packages.name.trim_start_matches('@').replace('/', "-"),
        packages.version,
        Fingerprint::of(packages.lock)
    );
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

/// Returns the folder with a tool's program.
pub fn cargo_tool(cache: &Cache, steps: &mut Steps, tool: &CargoTool) -> Result<PathBuf> {
    let CargoTool { package, version, options } = tool;
    let what = format!("install {package} {version}");
    let dir = cache.obtain(&format!("{package}-{version}"), steps, &what, |dir| {
        // Compiles much faster without optimisation and debug information, and its work is small.
        Run::cargo()
            .args(["install", "--locked", "--debug", "--version", version, "--root"])
            .arg(dir)
            .arg(package)
            .args(*options)
            .dir(cache.dir())
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .without_env("CARGO_TARGET_DIR")
            .advice("check that the registry of crates can be reached, then run the command again")
            .run()?;
        Ok(())
    })?;
    Ok(dir.join("bin"))
}

/// Installs the components for `cargo fmt` and `cargo clippy`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_wasm_bindgen_is_of_the_version_of_its_crate() {
        assert!(include_str!("../../Cargo.toml").contains(&format!("wasm-bindgen = \"={}\"", WASM_BINDGEN.version)));
    }

    #[test]
    fn lock_files_pin_the_versions_that_name_the_folders() {
        let all = [BINARYEN_PACKAGE, PEERS, BROWSER, WRANGLER, REDOCLY, VEGA_DATASETS];
        for NpmPackages { name, version, package, lock, .. } in all {
            assert!(package.contains(&format!("\"{name}\": \"{version}\"")));
            assert!(lock.contains(&format!("\"version\": \"{version}\"")));
        }
    }
}
