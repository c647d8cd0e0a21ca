//! wasm32 toolchain from Debian's packages, for machines that cannot reach rustup's server.
//!
//! Debian has no package with the standard library for `wasm32-unknown-unknown`, but one with its source: it is
//! compiled once, into a separate toolchain in the cache. That toolchain's `bin` calls Debian's compiler with its own
//! sysroot, which links to Debian's libraries for the machine itself and contains those for wasm32. Rustup's toolchains
//! and `/usr` are not changed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::{Cache, create};
use crate::fingerprint::Fingerprint;
use crate::shell::Run;
use crate::steps::Steps;
use crate::system::{self, Manager, Need};
use crate::target::{TARGET, has_std, remaps};

/// Compiler, cargo and sources (1.96 in Debian 12's security updates), and the linker of the same
/// LLVM.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const LINKER: &str = "/usr/lib/llvm-22/bin/lld";

const RUST: Need = system::debian(
    "Rust for wasm32 (rustup's server did not provide it)",
    |manager| if manager == Manager::Apt { &PACKAGES } else { &[] },
    || system::are_installed(&PACKAGES),
);
const CLIPPY: Need = system::debian(
    "clippy for wasm32",
    |manager| if manager == Manager::Apt { &["rust-web-clippy"] } else { &[] },
    || Path::new("/usr/bin/clippy-driver").exists(),
);

/// Debian's libraries for the machine, and the sources of the standard library.
const RUSTLIB: &str = "/usr/lib/rustlib";

/// Name of the toolchain in the cache.
const NAME: &str = "debian-rust";

/// Compiled with the standard library as a test, including link-time optimisation.
const PROBE: &str = "#[unsafe(no_mangle)] pub extern \"C\" fn probe(n: usize) -> usize {\n    \
    vec![n; n].iter().map(|n| n.to_string().len()).sum()\n}\n";

/// Returns the toolchain's cargo.
pub fn cargo(cache: &Cache) -> Run {
    run(cache, cache.path(NAME).join("bin/cargo"))
}

/// Returns the toolchain's compiler.
pub fn rustc(cache: &Cache) -> Run {
    Run::new(cache.path(NAME).join("bin/rustc"))
}

/// Whether the toolchain can compile for the target; tested once per compiler version.
pub fn is_ready(cache: &Cache) -> bool {
    if !has_std(&libraries(cache)) {
        return false;
    }
    let Ok(version) = rustc(cache).arg("-vV").output() else {
        return false;
    };
    let proof = cache.path("debian-wasm32");
    let fingerprint = Fingerprint::of(&version);
    fingerprint.is_recorded_in(&proof) || (probe(cache).is_ok() && fingerprint.record(&proof).is_ok())
}

/// Installs the packages, and builds the toolchain. The caller holds the cache's lock.
pub fn set_up(cache: &Cache, steps: &mut Steps) -> Result<()> {
    system::install(steps, &[&RUST])?;
    steps.run("compile the standard library for wasm32", || {
        make_toolchain(cache)?;
        let built = cache.install("debian-std", |dir| compile_std(cache, dir))?;
        fs::rename(built.join("lib"), libraries(cache))?;
        Ok(fs::remove_dir_all(built)?)
    })?;
    steps.run("try Debian's Rust for wasm32", || {
        probe(cache)?;
        if is_ready(cache) { Ok(()) } else { bail!("it compiles, but cannot be found") }
    })
}

/// Installs Debian's clippy.
pub fn set_up_clippy(cache: &Cache, steps: &mut Steps) -> Result<()> {
    system::provide(cache, steps, &[&CLIPPY])
}

/// Returns a program that finds the toolchain's cargo, compiler and clippy.
pub fn run(cache: &Cache, program: impl AsRef<OsStr>) -> Run {
    let sysroot = cache.path(NAME);
    // `clippy-driver` reads its sysroot from the variable.
    Run::new(program).with_path(&sysroot.join("bin")).env("SYSROOT", sysroot)
}

fn libraries(cache: &Cache) -> PathBuf {
    cache.path(NAME).join("lib/rustlib").join(TARGET).join("lib")
}

/// Makes a toolchain with everything except the target's libraries.
fn make_toolchain(cache: &Cache) -> Result<()> {
    let version = Run::new("/usr/bin/rustc").arg("-vV").output()?;
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` does not name the host")?;
    let place = cache.path(NAME);
    cache.install(NAME, |dir| {
        let (bin, rustlib, debian) = (dir.join("bin"), dir.join("lib/rustlib"), Path::new(RUSTLIB));
        for folder in [&bin, &rustlib.join(host).join("bin"), &rustlib.join(TARGET)] {
            create(folder)?;
        }
        let compiler = bin.join("rustc");
        fs::write(&compiler, format!("#!/bin/sh\nexec /usr/bin/rustc --sysroot '{}' \"$@\"\n", place.display()))?;
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755))?;
        for program in ["cargo", "cargo-clippy", "clippy-driver"] {
            symlink(Path::new("/usr/bin").join(program), bin.join(program))?;
        }
        symlink(debian.join("src"), rustlib.join("src"))?;
        symlink(debian.join(host).join("lib"), rustlib.join(host).join("lib"))?;
        // The compiler looks for its linker among its own tools, where Debian has none.
        Ok(symlink(LINKER, rustlib.join(host).join("bin/rust-lld"))?)
    })?;
    Ok(())
}

/// Compiles the standard library into `dir/lib`, as a dependency of an empty crate.
fn compile_std(cache: &Cache, dir: &Path) -> Result<()> {
    let (source, target) = (dir.join("src"), dir.join("target"));
    create(&source)?;
    fs::write(source.join("lib.rs"), "")?;
    fs::write(
        dir.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [workspace]\n",
    )?;
    // Embedded bitcode allows optimising a module together with its standard library.
    let sources = cache.path(NAME).join("lib/rustlib/src/rust");
    let mut flags = remaps(&sources, "/rust")?;
    flags.push("-Cembed-bitcode=yes".to_owned());
    cargo(cache)
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

/// Compiles a small module with link-time optimisation.
fn probe(cache: &Cache) -> Result<()> {
    let probe = cache.install("debian-probe", |dir| {
        fs::write(dir.join("probe.rs"), PROBE)?;
        rustc(cache)
            .args(["--edition=2024", "--crate-type=cdylib", "-Copt-level=3", "-Clto=fat"])
            .args(["--target", TARGET, "-o", "probe.wasm", "probe.rs"])
            .dir(dir)
            .advice(format!(
                "remove `{}` and run the command again: the standard library is compiled again",
                cache.path(NAME).display()
            ))
            .output()?;
        Ok(())
    })?;
    Ok(fs::remove_dir_all(probe)?)
}
