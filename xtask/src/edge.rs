//! The edge Worker: compiled, assembled with the module, bundled, and tested in workerd.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cache::create;
use crate::files::{copy, link, node_tests};
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::target::TARGET;
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// Installs the tools that build and run the Worker.
pub fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    WorkerTools::obtain(workspace, steps).map(drop)
}

/// Builds the Worker into `dist/edge`, with the module in `dist`.
pub fn build(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    let tools = WorkerTools::obtain(workspace, steps)?;
    create(&workspace.dist("edge"))?;
    create(&workspace.dist("tools"))?;

    // Links for the tests.
    link(&tools.wrangler, &workspace.dist("tools/wrangler"))?;
    link(&tools.binaryen, &workspace.dist("tools/binaryen"))?;

    let compiled = steps.run("compile the Worker", || compile(workspace, toolchain))?;
    let stamp = workspace.dist("stamps/edge");
    let mut inputs = Fingerprint::of(&tools::versions()).and(&compiled)?;
    let scripts = scripts(workspace)?;
    for script in &scripts {
        inputs = inputs.and(script)?;
    }
    inputs = inputs.and(&workspace.path("edge-worker/wrangler.toml"))?;
    inputs = inputs.and(&workspace.dist("tradewind.wasm"))?;
    if workspace.dist("edge/bundle/entry.js").exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("assemble the Worker", || {
        write_glue(workspace, &compiled, &tools)?;
        let worker = workspace.dist("edge/worker");
        if worker.exists() {
            fs::remove_dir_all(&worker)?; // scripts that are gone would stay
        }
        create(&worker)?;
        for script in &scripts {
            copy(script, &workspace.dist("edge").join(script.strip_prefix(workspace.path("edge-worker"))?))?;
        }
        copy(&workspace.dist("tradewind.wasm"), &workspace.dist("edge/tradewind.wasm"))?;
        let digest = format!("export default \"{}\";\n", sha256(&workspace.dist("tradewind.wasm"))?);
        fs::write(workspace.dist("edge/digest.mjs"), digest)?;
        bundle(workspace, &tools)?;
        inputs.record(&stamp)
    })
}

/// Tests the Worker in workerd.
pub fn test(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    steps.run("test the Worker in workerd", || {
        let tests = node_tests(workspace, "edge-worker/tests", filter)?;
        Ok(tests.advice("TRADEWIND_VERBOSE=1 shows the Worker's output").run()?)
    })
}

/// Tools that build and run a Worker.
struct WorkerTools {
    bindgen: PathBuf,
    binaryen: PathBuf,
    /// Folder with wrangler, which includes workerd, miniflare and esbuild.
    wrangler: PathBuf,
}

impl WorkerTools {
    fn obtain(workspace: &Workspace, steps: &mut Steps) -> Result<Self> {
        let cache = &workspace.cache;
        Ok(Self {
            bindgen: tools::cargo_tool(cache, steps, &tools::WASM_BINDGEN)?,
            binaryen: tools::npm_packages(cache, steps, &tools::BINARYEN_PACKAGE)?,
            wrangler: tools::npm_packages(cache, steps, &tools::WRANGLER)?,
        })
    }
}

/// Returns the Worker's JavaScript files.
fn scripts(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut scripts = vec![workspace.path("edge-worker/entry.mjs")];
    for entry in fs::read_dir(workspace.path("edge-worker/worker"))? {
        scripts.push(entry?.path());
    }
    scripts.sort();
    Ok(scripts)
}

fn compile(workspace: &Workspace, toolchain: WasmToolchain) -> Result<PathBuf> {
    toolchain
        .run(workspace, "cargo")
        .args(["build", "--locked", "--lib", "--release", "--target", TARGET, "--config"])
        .arg(format!("target.{TARGET}.rustflags={:?}", crate::target::remaps(workspace.root(), "/tradewind")?))
        // `wasm-bindgen`'s macros read it.
        .env("WASM_BINDGEN_USE_JS_SYS", "1")
        // Flags from the environment would replace those of `.cargo/config.toml`.
        .without_env("RUSTFLAGS")
        .without_env("CARGO_ENCODED_RUSTFLAGS")
        .dir(&workspace.path("edge-worker"))
        .advice("see the compiler's messages above")
        .run()?;
    Ok(workspace.target_dir()?.join(TARGET).join("release/tradewind_edge.wasm"))
}

/// Writes the Worker's WebAssembly and the JavaScript around it, which can restart with another instance.
fn write_glue(workspace: &Workspace, compiled: &Path, tools: &WorkerTools) -> Result<()> {
    let shim = workspace.dist("edge/shim");
    if shim.exists() {
        fs::remove_dir_all(&shim)?;
    }
    Run::new(tools.bindgen.join("wasm-bindgen"))
        .args(["--target", "web", "--experimental-reset-state-function", "--no-typescript", "--out-dir"])
        .args([&shim, compiled])
        .run()?;
    let module = shim.join("tradewind_edge_bg.wasm");
    let wasm_opt = Run::new("node").arg(tools.binaryen.join(tools::WASM_OPT));
    wasm_opt.arg("-O").args(tools::WASM_OPT_FEATURES).arg(&module).arg("--output").arg(&module).run()?;
    Ok(())
}

/// Bundles the files that `wrangler deploy` would upload, into `dist/edge/bundle`.
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
    let digest = "crypto.createHash('sha256').update(fs.readFileSync(process.argv[1])).digest('hex')";
    Ok(Run::new("node").args(["--print", digest]).arg(file).output()?.trim().to_owned())
}
