//! The browser shell: the shim, the npm package, the demo shop's site, and their tests in Chromium.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::create;
use crate::files::{copy, link, node_tests};
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::target::{TARGET, remaps};
use crate::toolchain::WasmToolchain;
use crate::tools;
use crate::workspace::Workspace;

/// Public files in `dist/site/tradewind`: files of `dist/`, and their names there.
const SITE: [(&str, &str); 5] = [
    ("tradewind.wasm", "tradewind.wasm"),
    ("packs/page/recommend.pack", "recommend.pack"),
    ("packs/page/price.pack", "price.pack"),
    ("reference.public.snapshot", "public.snapshot"),
    ("shoppers.json", "shoppers.json"),
];

/// Scripts of the package: the page's part, the runtime, and the runtime in a worker.
const MODULES: [&str; 5] = ["de", "index", "insights", "runtime", "worker"];

/// Optimises for size; inlining makes the code smaller, but the compressed file larger.
const WASM_OPT: [&str; 4] =
    ["--converge", "-Oz", "--always-inline-max-function-size=0", "--one-caller-inline-max-function-size=20"];

/// Installs the tools that build and test the package.
pub fn set_up(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    tools::cargo_tool(&workspace.cache, steps, &tools::WASM_BINDGEN)?;
    tools::cargo_tool(&workspace.cache, steps, &tools::WASM_PACK)?;
    tools::npm_packages(&workspace.cache, steps, &tools::BROWSER).map(drop)
}

/// Builds the package into `dist/npm`, and the site into `dist/site`, from files in `dist/`.
pub fn build(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let toolchain = WasmToolchain::obtain(workspace, steps)?;
    let binaryen = tools::npm_packages(&workspace.cache, steps, &tools::BINARYEN_PACKAGE)?;
    let npm = tools::npm_packages(&workspace.cache, steps, &tools::BROWSER)?;
    // Links for the tests.
    create(&workspace.dist("tools"))?;
    link(&npm, &workspace.dist("tools/browser"))?;
    link(&binaryen, &workspace.dist("tools/binaryen"))?;

    compile_shim(workspace, steps, toolchain)?;
    let stamp = workspace.dist("stamps/browser");
    let mut inputs = Fingerprint::of(&WASM_OPT.join(" ")).and(&npm.join("package-lock.json"))?;
    for input in ["pkg", "ts", "package.json", "tsconfig.json", "README.md", "scripts", "storefront"] {
        inputs = inputs.and(&workspace.path("browser-sdk").join(input))?;
    }
    for (file, _) in SITE {
        inputs = inputs.and(&workspace.dist(file))?;
    }
    if workspace.dist("npm").exists() && inputs.is_recorded_in(&stamp) {
        return Ok(());
    }
    steps.run("assemble the npm package", || package(workspace, &npm, &binaryen))?;
    steps.run("assemble the demo shop's site", || site(workspace))?;
    inputs.record(&stamp)
}

/// Tests the package and the demo shop in Chromium.
pub fn test(workspace: &Workspace, steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    steps.run("test the package and the demo shop in Chromium", || {
        let tests = node_tests(workspace, "browser-sdk/tests", filter)?;
        Ok(tests.advice("see the failed tests above; screenshots are in dist/demo").run()?)
    })
}

/// Checks the types of the package's TypeScript.
pub fn check_types(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    let npm = tools::npm_packages(&workspace.cache, steps, &tools::BROWSER)?;
    if !workspace.path("browser-sdk/pkg").exists() {
        let toolchain = WasmToolchain::obtain(workspace, steps)?;
        compile_shim(workspace, steps, toolchain)?;
    }
    steps.run("check the page's types", || {
        let tsc = Run::new("node").arg(npm.join("node_modules/typescript/bin/tsc"));
        let tsc = tsc.args(["--project", "browser-sdk", "--noEmit", "--emitDeclarationOnly", "false"]);
        Ok(tsc.dir(workspace.root()).advice("see the compiler's messages above").run()?)
    })
}

/// Compiles the shim, and the JavaScript around it, into `browser-sdk/pkg`.
fn compile_shim(workspace: &Workspace, steps: &mut Steps, toolchain: WasmToolchain) -> Result<()> {
    let bindgen = tools::cargo_tool(&workspace.cache, steps, &tools::WASM_BINDGEN)?;
    let wasm_pack = tools::cargo_tool(&workspace.cache, steps, &tools::WASM_PACK)?.join("wasm-pack");
    steps.run("compile the page's shim", || {
        toolchain
            .run(workspace, wasm_pack)
            .args(["--quiet", "build", "browser-sdk", "--mode", "no-install", "--target", "web", "--profile", "page"])
            .args(["--no-pack", "--no-opt", "--out-dir", "pkg", "--", "--locked", "--config"])
            .arg(format!("target.{TARGET}.rustflags={:?}", remaps(workspace.root(), "/tradewind")?))
            .with_path(&bindgen)
            .without_env("RUSTFLAGS")
            .without_env("CARGO_ENCODED_RUSTFLAGS")
            .dir(workspace.root())
            .advice("see the compiler's messages above")
            .run()?;
        Ok(())
    })
}

/// Writes types, scripts, shim and module to `dist/package`, and packs them as one file in `dist/npm`.
fn package(workspace: &Workspace, npm: &Path, binaryen: &Path) -> Result<()> {
    let (folder, package) = (workspace.path("browser-sdk"), workspace.dist("package"));
    let out = package.join("dist");
    for stale in [&package, &workspace.dist("npm")] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    create(&out)?;
    create(&workspace.dist("npm"))?;
    let node = |program: &str| Run::new("node").arg(npm.join("node_modules").join(program)).dir(&folder);
    node("typescript/bin/tsc").args(["--project", ".", "--outDir"]).arg(&out).run()?;
    let bundle = |module: &str| {
        node("esbuild/bin/esbuild").arg(format!("ts/{module}.ts")).args([
            "--bundle",
            "--minify",
            "--target=es2022",
            "--charset=utf8",
            "--log-level=warning",
        ])
    };
    for module in MODULES {
        bundle(module)
            .args(["--format=esm", "--external:./runtime.js", "--external:./index.js", "--external:./de.js"])
            .arg(format!("--outfile={}", out.join(module).with_extension("js").display()))
            .run()?;
    }
    bundle("script")
        .args(["--format=iife"])
        .arg(format!("--outfile={}", out.join("tradewind.iife.js").display()))
        .run()?;
    let shim = "tradewind_browser_bg.wasm";
    let wasm_opt = Run::new("node").arg(binaryen.join(tools::WASM_OPT));
    wasm_opt
        .args(WASM_OPT)
        .args(tools::WASM_OPT_FEATURES)
        .arg(folder.join("pkg").join(shim))
        .arg("--output")
        .arg(out.join(shim))
        .run()?;
    copy(&workspace.dist("tradewind.wasm"), &out.join("tradewind.wasm"))?;
    for (from, to) in [
        ("browser-sdk/package.json", "package.json"),
        ("browser-sdk/README.md", "README.md"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
    ] {
        copy(&workspace.path(from), &package.join(to))?;
    }
    Run::new("npm").args(["pack", "--silent", "--pack-destination", "../npm"]).dir(&package).output()?;
    Ok(())
}

/// Writes the public files of page and edge.
fn site(workspace: &Workspace) -> Result<()> {
    let folder = workspace.dist("site/tradewind");
    create(&folder.join("sdk"))?;
    for (file, name) in SITE {
        copy(&workspace.dist(file), &folder.join(name))?;
    }
    for entry in fs::read_dir(workspace.dist("package/dist"))? {
        let file = entry?.path();
        let name = file.file_name().context("a file without a name")?;
        if file.extension().is_some_and(|kind| kind == "js" || kind == "wasm") && name != "tradewind.wasm" {
            copy(&file, &folder.join("sdk").join(name))?;
        }
    }
    Run::new("node")
        .arg("browser-sdk/scripts/site.mjs")
        .args([&folder, &workspace.dist("tradewind.wasm"), &workspace.dist("keys/dev.pub")])
        .dir(workspace.root())
        .run()?;
    Ok(())
}
