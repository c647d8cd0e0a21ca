//! The edge's Worker: compiled, put together with the module, bundled, and tested in workerd.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::create;
use crate::files::{copy, link, tests};
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::toolchain::{TARGET, WasmToolchain};
use crate::tools;
use crate::workspace::Workspace;

/// Installs what the Worker is built and run with.
pub fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    WorkerTools::obtain(workspace, steps).map(drop)
}

/// Builds the Worker into `dist/edge`, from the module that is in `dist`.
pub fn build(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    let tools = WorkerTools::obtain(workspace, steps)?;
    create(&workspace.dist("edge"))?;
    create(&workspace.dist("tools"))?;

    // Where tests find them.
    link(&tools.wrangler, &workspace.dist("tools/wrangler"))?;
    link(&tools.binaryen, &workspace.dist("tools/binaryen"))?;

    let compiled = steps.run("compile the Worker", || compile(workspace, toolchain))?;
    let stamp = workspace.dist("stamps/edge");
    let mut inputs = Fingerprint::of(&tools::versions()).and(&compiled)?;
    for file in ["edge-worker/entry.mjs", "edge-worker/wrangler.toml"] {
        inputs = inputs.and(&workspace.path(file))?;
    }
    inputs = inputs.and(&workspace.dist("tradewind.wasm"))?;
    if workspace.dist("edge/bundle/entry.js").exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("put the Worker together", || {
        write_glue(workspace, toolchain, &tools)?;
        copy(&workspace.path("edge-worker/entry.mjs"), &workspace.dist("edge/entry.mjs"))?;
        copy(&workspace.dist("tradewind.wasm"), &workspace.dist("edge/tradewind.wasm"))?;
        let digest = format!("export default \"{}\";\n", sha256(&workspace.dist("tradewind.wasm"))?);
        fs::write(workspace.dist("edge/digest.mjs"), digest)?;
        bundle(workspace, &tools)?;
        inputs.record(&stamp)
    })
}

/// Tests the Worker in workerd.
pub fn test(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    steps.run("test the Worker in workerd", || {
        Run::new("node")
            .args(["--test", "--test-reporter=spec"])
            .args(tests(&workspace.path("edge-worker/tests"))?)
            .dir(workspace.root())
            .advice("TRADEWIND_VERBOSE=1 shows what the Worker says")
            .run()?;
        Ok(())
    })
}

/// What a Worker is built and run with.
struct WorkerTools {
    bindgen: PathBuf,
    worker_build: PathBuf,
    binaryen: PathBuf,
    /// The folder with wrangler, which brings workerd, miniflare and esbuild.
    wrangler: PathBuf,
}

impl WorkerTools {
    fn obtain(workspace: &Workspace, steps: &mut Steps) -> Result<Self> {
        let cache = &workspace.cache;
        Ok(Self {
            bindgen: tools::cargo_tool(cache, steps, &tools::WASM_BINDGEN)?,
            worker_build: tools::cargo_tool(cache, steps, &tools::WORKER_BUILD)?,
            binaryen: tools::npm_packages(cache, steps, &tools::BINARYEN_PACKAGE)?,
            wrangler: tools::npm_packages(cache, steps, &tools::WRANGLER)?,
        })
    }
}

/// The options of the compiler, for cargo and for worker-build, which calls it: it then finds its work done.
fn options(workspace: &Workspace) -> Result<Vec<String>> {
    let flags = crate::toolchain::remaps(workspace.root(), "/tradewind")?;
    Ok(vec!["--locked".into(), "--config".into(), format!("target.{TARGET}.rustflags={flags:?}")])
}

fn compile(workspace: &Workspace, toolchain: WasmToolchain) -> Result<PathBuf> {
    with_environment(toolchain.run("cargo"))
        .args(["build", "--lib", "--release", "--target", TARGET])
        .args(options(workspace)?)
        .dir(&workspace.path("edge-worker"))
        .advice("the compiler's messages are above")
        .run()?;
    Ok(workspace.target_dir()?.join(TARGET).join("release/tradewind_edge.wasm"))
}

/// The Worker's own WebAssembly and the JavaScript around it.
fn write_glue(workspace: &Workspace, toolchain: WasmToolchain, tools: &WorkerTools) -> Result<()> {
    let esbuild = tools.wrangler.join("node_modules/esbuild/bin/esbuild");
    with_environment(toolchain.run(tools.worker_build.join("worker-build")))
        .args(["--release", "--out-dir", "../dist/edge/worker", "--"])
        .args(options(workspace)?)
        .env("WASM_BINDGEN_BIN", tools.bindgen.join("wasm-bindgen"))
        .env("WASM_OPT_BIN", tools.binaryen.join(tools::WASM_OPT))
        .env("ESBUILD_BIN", esbuild)
        .dir(&workspace.path("edge-worker"))
        .run()?;
    Ok(())
}

/// `wasm-bindgen`'s macros look at the first; flags from the environment would replace those of `.cargo/config.toml`.
fn with_environment(run: Run) -> Run {
    run.env("WASM_BINDGEN_USE_JS_SYS", "1").without_env("RUSTFLAGS").without_env("CARGO_ENCODED_RUSTFLAGS")
}

/// What `wrangler deploy` would upload, into `dist/edge/bundle`.
fn bundle(workspace: &Workspace, tools: &WorkerTools) -> Result<()> {
    let out = workspace.dist("edge/bundle");
    if out.exists() {
        fs::remove_dir_all(&out)?; // names of modules have their digest, and old ones would stay
    }
    Run::new("node")
        .arg(tools.wrangler.join("node_modules/wrangler/bin/wrangler.js"))
        .args(["deploy", "--dry-run", "--config", "edge-worker/wrangler.toml", "--outdir"])
        .arg(&out)
        .env("WRANGLER_SEND_METRICS", "false")
        .env("WRANGLER_SEND_ERROR_REPORTS", "false")
        .env("WRANGLER_HIDE_BANNER", "true")
        .env("CI", "1")
        .dir(workspace.root())
        .run()?;
    Ok(())
}

fn sha256(file: &Path) -> Result<String> {
    let output = Run::new("sha256sum").arg(file).output()?;
    Ok(output.split_whitespace().next().context("`sha256sum` gave no digest")?.to_owned())
}
