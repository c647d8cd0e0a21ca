//! A wasm32 toolchain from Debian's packages, for machines that cannot reach rustup's server.
//!
//! Debian has no package with the standard library for `wasm32-unknown-unknown`, but one with its
//! source: it is compiled once and put where Debian's compiler looks. Rustup's own toolchains stay
//! as they are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::cache::{Cache, create};
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::target::{TARGET, has_std, remaps};

/// Compiler, cargo and sources (1.96 in Debian 12's security updates), and the linker of the same
/// LLVM.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const LINKER: &str = "/usr/lib/llvm-22/bin/lld";
const CLIPPY: &str = "rust-web-clippy";

/// Where Debian's compiler looks for the libraries of its targets.
const RUSTLIB: &str = "/usr/lib/rustlib";

/// Rustup's name for the toolchain in `/usr`.
const NAME: &str = "debian";

/// Compiled against the standard library to see that it works, whole-program optimisation
/// included.
const PROBE: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn probe(n: usize) -> usize {\n    \
    vec![n; n].iter().map(|n| n.to_string().len()).sum()\n}\n";

/// Debian's cargo. Through rustup, which makes it find the right compiler and clippy whatever the
/// order of `PATH`.
pub fn cargo() -> Run {
    run("cargo")
}

/// Debian's compiler.
pub fn rustc() -> Run {
    run("rustc")
}

/// Can Debian's toolchain compile for the target? Proven once per version of the compiler.
pub fn is_ready(cache: &Cache) -> bool {
    let Ok(version) = rustc().arg("-vV").output() else {
        return false;
    };
    let proof = cache.path("debian-wasm32");
    let fingerprint = Fingerprint::of(&version);
    if !has_std(&libraries()) {
        return false;
    }
    fingerprint.is_recorded_in(&proof) || (probe(cache).is_ok() && fingerprint.record(&proof).is_ok())
}

/// Installs the packages, and compiles the standard library.
pub fn set_up(cache: &Cache, steps: &mut Steps) -> Result<()> {
    steps.run("install Debian's Rust for wasm32", || {
        apt::install(&PACKAGES)?;
        if !rustc().arg("--version").succeeds() {
            Run::new("rustup")
                .args(["toolchain", "link", NAME, "/usr"])
                .advice("install Rust through rustup, which keeps the two toolchains apart")
                .run()?;
        }
        link_linker()
    })?;
    steps.run("compile the standard library for wasm32", || {
        let built = cache.install("debian-std", compile_std)?;
        install_std(&built)?;
        Ok(fs::remove_dir_all(built)?)
    })?;
    steps.run("try Debian's Rust for wasm32", || {
        probe(cache)?;
        if is_ready(cache) { Ok(()) } else { bail!("it compiles, but is not found again") }
    })
}

/// Installs Debian's clippy.
pub fn set_up_clippy(steps: &mut Steps) -> Result<()> {
    if Path::new("/usr/bin/clippy-driver").exists() {
        return Ok(());
    }
    steps.run("install Debian's clippy", || apt::install(&[CLIPPY]))
}

/// A program that finds Debian's cargo and compiler.
pub fn run(program: impl AsRef<OsStr>) -> Run {
    Run::new("rustup").args(["run", NAME]).arg(program)
}

fn libraries() -> PathBuf {
    Path::new(RUSTLIB).join(TARGET).join("lib")
}

/// The compiler looks for its linker among its own tools, where Debian has none.
fn link_linker() -> Result<()> {
    let version = rustc().arg("-vV").output()?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` does not name the host")?;
    let tools = Path::new(RUSTLIB).join(host).join("bin");
    let linker = tools.join("rust-lld");
    if !linker.exists() {
        apt::as_root("mkdir")?.arg("-p").arg(&tools).run()?;
        apt::as_root("ln")?.args(["-sfn", LINKER]).arg(&linker).run()?;
    }
    Ok(())
}

/// Compiles the standard library into `dir/lib`, as a dependency of an empty crate.
fn compile_std(dir: &Path) -> Result<()> {
    let (source, target) = (dir.join("src"), dir.join("target"));
    create(&source)?;
    fs::write(source.join("lib.rs"), "")?;
    fs::write(
        dir.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [workspace]\n",
    )?;
    // Embedded bitcode is what lets a module be optimised together with its standard library.
    let sources = Path::new(RUSTLIB).join("src/rust");
    let mut flags = remaps(&sources, "/rust")?;
    flags.push("-Cembed-bitcode=yes".to_owned());
    cargo()
        .args(["build", "-Zbuild-std=std,panic_abort,test", "--release", "--target", TARGET])
        .dir(dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .without_env("RUSTFLAGS")
        .advice("check that the registry of crates can be reached, then run the command again")
        .run()?;

    let lib = dir.join("lib");
    create(&lib)?;
    for entry in fs::read_dir(target.join(TARGET).join("release/deps"))? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let of_std = !name.to_string_lossy().starts_with("libempty-");
        if of_std && path.extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(&path, lib.join(name))?;
        }
    }
    if !has_std(&lib) {
        bail!("the build left no standard library in `{}`", lib.display());
    }
    Ok(())
}

/// Puts `built/lib` where the compiler looks, in one move.
fn install_std(built: &Path) -> Result<()> {
    let place = libraries();
    let partial = place.with_extension("partial");
    let parent = place.parent().unwrap_or(&place);
    apt::as_root("mkdir")?.arg("-p").arg(parent).run()?;
    apt::as_root("rm")?.arg("-rf").arg(&place).arg(&partial).run()?;
    apt::as_root("cp")?.arg("-r").arg(built.join("lib")).arg(&partial).run()?;
    apt::as_root("mv")?.arg(&partial).arg(&place).run()?;
    Ok(())
}

/// Compiles a small module with whole-program optimisation.
fn probe(cache: &Cache) -> Result<()> {
    let probe = cache.install("debian-probe", |dir| {
        fs::write(dir.join("probe.rs"), PROBE)?;
        rustc()
            .args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=3", "-Clto=fat"])
            .args(["--target", TARGET, "-o", "probe.wasm", "probe.rs"])
            .dir(dir)
            .advice(format!(
                "remove `{}` and run the command again: the standard library is compiled anew",
                libraries().display()
            ))
            .output()?;
        Ok(())
    })?;
    Ok(fs::remove_dir_all(probe)?)
}
