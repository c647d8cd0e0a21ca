//! Files of a build in `dist/`: the module and its signature, the host, a development key, the packs, the reference
//! snapshot, and the shells.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::browser;
use crate::browsers::{CHROMIUM, FIREFOX};
use crate::cache::create;
use crate::edge;
use crate::files::link;
use crate::fingerprint::Fingerprint;
use crate::python::{self, Python};
use crate::shell::Run;
use crate::steps::Steps;
use crate::system::{self, NODE, Need, PYTHON};
use crate::target::TARGET;
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// Flags that optimise the module.
const WASM_OPT: [&str; 5] = [
    "-O3",
    "--converge",
    // The first KiB is the end of the stack, so an address and a constant can be added in a load.
    "--low-memory-unused",
    // Kernels are not inlined, though each has one caller: engines compile small functions sooner and better.
    "--one-caller-inline-max-function-size=200",
    "--flexible-inline-max-function-size=10",
];

/// Arguments of all builds of native programs. `--workspace`, though one program is needed: cargo then selects the
/// features of shared crates for all members together, as for the tests, and compiles wasmtime and tract once for both.
pub const NATIVE_BUILD: [&str; 6] =
    ["build", "--locked", "--release", "--workspace", "--exclude=tradewind-module", "--bin"];

/// System packages that a build needs.
pub const NEEDS: [&Need; 2] = [&NODE, &PYTHON];

/// Builds everything.
pub fn build(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    link_programs(workspace)?;
    build_programs(workspace, steps)?;
    pack_models(workspace, steps)?;
    build_snapshot(workspace, steps)?;
    choose_shoppers(workspace, steps)?;
    browser::build(workspace, steps)?;
    edge::build(workspace, steps)
}

/// Builds the module and the host, and makes the development key for packs.
pub fn build_programs(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    // Tools first, so that missing ones are reported before long steps.
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    let wasm_opt = tools::wasm_opt(&workspace.cache, steps)?;
    create(&workspace.dist("stamps"))?;

    let compiled = steps.run("compile the module", || compile_module(workspace, toolchain))?;
    optimise_module(workspace, steps, wasm_opt, &compiled)?;
    record_versions(workspace, toolchain)?;
    steps.run("compile the host", || compile_host(workspace))?;
    make_key(workspace, steps)?;
    sign_module(workspace, steps)
}

/// Packs and signs every model: each folder of `models/` with a `pack.json`.
pub fn pack_models(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    create(&workspace.dist("packs/page"))?;
    for model in models(workspace)? {
        let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pack = workspace.dist(&format!("packs/{name}.pack"));
        let page = workspace.dist(&format!("packs/page/{name}.pack"));
        let stamp = workspace.dist(&format!("stamps/{name}.pack"));
        let inputs = Fingerprint::of(&name)
            .and(&workspace.dist("tradewind"))?
            .and(&workspace.dist("keys/dev.key"))?
            .and(&model)?;
        if pack.exists() && page.exists() && inputs.is_recorded_in(&stamp) {
            continue;
        }
        steps.run(&format!("pack the model {name}"), || {
            host(workspace)
                .args(["pack", &format!("models/{name}"), "--key", "dist/keys/dev.key"])
                .args(["--out", &format!("dist/packs/{name}.pack")])
                .args(["--page", &format!("dist/packs/page/{name}.pack")])
                .advice("the model is refused for the reason above; its folder contains the input")
                .run()?;
            inputs.record(&stamp)
        })?;
    }
    Ok(())
}

/// Builds and signs the reference snapshot, with the demand forecast of its pack.
fn build_snapshot(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let (whole, public) = (workspace.dist("reference.snapshot"), workspace.dist("reference.public.snapshot"));
    let stamp = workspace.dist("stamps/reference.snapshot");
    let inputs = Fingerprint::of("reference")
        .and(&workspace.dist("tradewind.wasm"))?
        .and(&workspace.dist("packs/demand.pack"))?
        .and(&workspace.dist("stamps/demand.pack"))?
        .and(&workspace.path("models/snapshot"))?;
    if whole.exists() && public.exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("build the reference snapshot", || {
        host(workspace)
            .args(["snapshot", "build", "models/snapshot", "--key", "dist/keys/dev.key"])
            .args(["--module", "dist/tradewind.wasm"])
            .args(["--demand", "dist/packs/demand.pack", "--trust", "dist/keys/dev.pub"])
            .args(["--out", "dist/reference.snapshot", "--public", "dist/reference.public.snapshot"])
            .advice("a table in `models/snapshot` is refused for the reason above")
            .run()?;
        inputs.record(&stamp)
    })
}

/// Selects real households for the demo's page. Rows of the panel are not committed; they are read during the build.
fn choose_shoppers(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    const SCRIPT: &str = "models/train/shoppers.py";
    let data = python::complete_journey(workspace, steps)?;
    let (out, stamp) = (workspace.dist("shoppers.json"), workspace.dist("stamps/shoppers"));
    let inputs = Fingerprint::of("shoppers")
        .and(&workspace.path(SCRIPT))?
        .and(&workspace.path("models/snapshot/products.csv"))?
        .and(&data.join("made-by"))?;
    if out.exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    let python = Python::obtain(workspace, steps, python::DATA)?;
    steps.run("choose households for the demo", || {
        let script = python.script(workspace, SCRIPT).arg("--data").arg(&data);
        script.args(["--snapshot", "models/snapshot", "--out", "dist/shoppers.json"]).run()?;
        inputs.record(&stamp)
    })
}

/// Links the installed system programs for the tests.
fn link_programs(workspace: &Workspace) -> Result<()> {
    create(&workspace.dist("tools"))?;
    let browsers = [CHROMIUM, FIREFOX].map(|browser| (browser.find(), browser.name));
    for (program, name) in browsers.into_iter().chain([(system::postgresql(), "postgresql")]) {
        if let Some(program) = program {
            link(&program, &workspace.dist("tools").join(name))?;
        }
    }
    Ok(())
}

/// Returns the built host, run at the root.
pub fn host(workspace: &Workspace) -> Run {
    Run::new(workspace.dist("tradewind")).dir(workspace.root())
}

fn compile_module(workspace: &Workspace, toolchain: WasmToolchain) -> Result<PathBuf> {
    toolchain
        .cargo(workspace, "build")?
        .args(["--locked", "--profile", "module", "--package", "tradewind-module"])
        .advice("see the compiler's messages above")
        .run()?;
    let folder = workspace.target_dir()?.join(TARGET).join("module");
    Ok(folder.join("tradewind_module.wasm"))
}

fn optimise_module(workspace: &Workspace, steps: &mut Steps, wasm_opt: Run, compiled: &Path) -> Result<()> {
    let (module, stamp) = (workspace.dist("tradewind.wasm"), workspace.dist("stamps/module"));
    let flags = [&WASM_OPT[..], &tools::WASM_OPT_FEATURES].concat();
    let inputs = Fingerprint::of(&format!("{} {}", tools::BINARYEN, flags.join(" "))).and(compiled)?;
    if module.exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("optimise the module", || {
        let partial = workspace.dist("tradewind.wasm.partial");
        wasm_opt
            .args(flags)
            .arg(compiled)
            .arg("--output")
            .arg(&partial)
            .dir(workspace.root())
            .advice("wasm-opt's message is above; `WASM_OPT` in xtask has its flags")
            .run()?;
        fs::rename(&partial, &module)?;
        inputs.record(&stamp)
    })
}

/// Records the versions of the tools that made the module: budgets such as fuel are valid only for these.
fn record_versions(workspace: &Workspace, toolchain: WasmToolchain) -> Result<()> {
    let text = format!("{}\nwasm-opt {}\n", toolchain.version(workspace)?, tools::BINARYEN);
    let path = workspace.dist("tradewind.wasm.tools");
    fs::write(&path, text).with_context(|| format!("`{}` could not be written", path.display()))
}

fn compile_host(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(NATIVE_BUILD).arg("tradewind").advice("see the compiler's messages above").run()?;
    let compiled = workspace.target_dir()?.join("release/tradewind");
    let host = workspace.dist("tradewind");
    let same = |path: &Path| Fingerprint::of("host").and(path);
    if host.exists() && same(&host)? == same(&compiled)? {
        return Ok(());
    }
    // Renamed into place, because a running program cannot be written to.
    let partial = workspace.dist("tradewind.partial");
    fs::copy(&compiled, &partial)
        .and_then(|_| fs::rename(&partial, &host))
        .with_context(|| format!("`{}` could not be copied to dist/", compiled.display()))
}

/// Makes a key pair for packs made on this machine, once.
fn make_key(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    if workspace.dist("keys/dev.key").exists() && workspace.dist("keys/dev.pub").exists() {
        return Ok(());
    }
    create(&workspace.dist("keys"))?;
    steps.run("make a key for development", || Ok(host(workspace).args(["keygen", "--out", "dist/keys/dev"]).run()?))
}

/// Signs the module; the signature is a separate file, which a service requires.
fn sign_module(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let stamp = workspace.dist("stamps/tradewind.wasm.sig");
    let inputs =
        Fingerprint::of("signature").and(&workspace.dist("tradewind.wasm"))?.and(&workspace.dist("keys/dev.key"))?;
    if workspace.dist("tradewind.wasm.sig").exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("sign the module", || {
        host(workspace).args(["sign", "dist/tradewind.wasm", "--key", "dist/keys/dev.key"]).run()?;
        inputs.record(&stamp)
    })
}

pub fn models(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.path("models");
    let entries = fs::read_dir(&folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut models = Vec::new();
    for entry in entries {
        let model = entry?.path();
        if !model.join("pack.json").exists() {
            continue;
        }
        match model.file_name().and_then(OsStr::to_str) {
            Some(_) => models.push(model),
            None => bail!("`{}` is not a valid model name", model.display()),
        }
    }
    models.sort();
    Ok(models)
}
