//! Tools that a command needs, each pinned to a version.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Binaryen's release, which `binaryen/package-lock.json` pins together with its SHA-512.
pub const BINARYEN: &str = "132.0.0";
/// Where its `wasm-opt` is.
pub const WASM_OPT: &str = "node_modules/binaryen/bin/wasm-opt";
/// What `wasm-opt` may use of WebAssembly: nothing that a current browser, workerd or wasmtime lacks, and no relaxed
/// SIMD. Names and producers go, since they differ between machines.
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
/// Optimises modules, and in tests makes modules with faults.
pub const BINARYEN_PACKAGE: NpmPackages = NpmPackages {
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

/// What compiles, bundles and tests the package for pages; its `devDependencies`.
pub const BROWSER: NpmPackages = NpmPackages {
    name: "playwright-core",
    what: "TypeScript, esbuild, Vite, Playwright, React and Vue",
    version: "1.65.1",
    package: include_str!("../../browser-sdk/package.json"),
    lock: include_str!("../../browser-sdk/package-lock.json"),
};

/// What runs the edge's Worker here and uploads it; workerd, miniflare and esbuild come with it. The last that runs on
/// Node.js 20.
pub const WRANGLER: NpmPackages = NpmPackages {
    name: "wrangler",
    what: "wrangler",
    version: "4.86.0",
    package: include_str!("../../edge-worker/package.json"),
    lock: include_str!("../../edge-worker/package-lock.json"),
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

/// A tool that cargo installs from source.
#[derive(Debug)]
pub struct CargoTool {
    package: &'static str,
    version: &'static str,
    /// Options that leave out what is not used here.
    options: &'static [&'static str],
}

/// Checks licences, sources and advisories.
pub const CARGO_DENY: CargoTool = CargoTool { package: "cargo-deny", version: "0.20.2", options: &[] };
/// Writes the JavaScript beside a module; of the very version of the crate `wasm-bindgen`.
/// Without TLS, which only its test runner would use, for remote browsers.
pub const WASM_BINDGEN: CargoTool =
    CargoTool { package: "wasm-bindgen-cli", version: "0.2.129", options: &["--no-default-features"] };
/// Builds and tests the page's shim.
pub const WASM_PACK: CargoTool = CargoTool { package: "wasm-pack", version: "0.15.1", options: &[] };

/// `wasm-opt`, ready to be given arguments.
pub fn wasm_opt(cache: &Cache, steps: &mut Steps) -> Result<Run> {
    let dir = npm_packages(cache, steps, &BINARYEN_PACKAGE)?;
    Ok(Run::new("node").arg(dir.join(WASM_OPT)))
}

/// The versions of all that makes JavaScript and WebAssembly of a compiled shell.
pub fn versions() -> String {
    format!("{BINARYEN} {} {}", WASM_BINDGEN.version, WRANGLER.version)
}

/// A folder whose `node_modules` has what a lock file lists.
pub fn npm_packages(cache: &Cache, steps: &mut Steps, packages: &NpmPackages) -> Result<PathBuf> {
    // The lock file may pin other packages beside the one that gives its name.
    let name = format!("{}-{}-{}", packages.name, packages.version, Fingerprint::of(packages.lock));
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

/// The folder with a tool's program.
pub fn cargo_tool(cache: &Cache, steps: &mut Steps, tool: &CargoTool) -> Result<PathBuf> {
    let CargoTool { package, version, options } = tool;
    let what = format!("install {package} {version}");
    let dir = cache.obtain(&format!("{package}-{version}"), steps, &what, |dir| {
        // Without optimisation and debug information it compiles far sooner, and it has little to do.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_wasm_bindgen_is_of_the_version_of_its_crate() {
        assert!(include_str!("../../Cargo.toml").contains(&format!("wasm-bindgen = \"={}\"", WASM_BINDGEN.version)));
    }

    #[test]
    fn lock_files_pin_the_versions_that_name_the_folders() {
        let all = [BINARYEN_PACKAGE, PEERS, BROWSER, WRANGLER, VEGA_DATASETS];
        for NpmPackages { name, version, package, lock, .. } in all {
            assert!(package.contains(&format!("\"{name}\": \"{version}\"")));
            assert!(lock.contains(&format!("\"version\": \"{version}\"")));
        }
    }
}
