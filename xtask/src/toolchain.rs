//! Rust toolchain that compiles for `wasm32-unknown-unknown`.
//!
//! Rustup's is preferred. If the target is missing and rustup's server does not answer, Debian's packages provide one
//! ([`crate::debian`]). `TRADEWIND_WASM_TOOLCHAIN=rustup` or `=debian` overrides the choice. Each compiles the same
//! sources to different bytes.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::debian;
use crate::shell::{Failure, Run};
use crate::steps::Steps;
use crate::system;
use crate::target::{TARGET, has_std, home, remaps};
use crate::workspace::Workspace;

/// Maximum time without download progress of rustup.
const PATIENCE: Duration = Duration::from_secs(60);

/// Toolchain with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WasmToolchain {
    /// The user's own, which also compiles natively.
    Rustup,
    /// Debian's compiler, with a separate sysroot.
    Debian,
}

impl WasmToolchain {
    /// Returns the toolchain to use, and sets it up if necessary.
    pub fn obtain(workspace: &Workspace, steps: &mut Steps) -> Result<Self> {
        let wanted = Self::wanted()?;
        if let Some(found) = Self::find(workspace, wanted) {
            return Ok(found);
        }
        let _lock = workspace.cache.lock()?;
        if let Some(found) = Self::find(workspace, wanted) {
            return Ok(found); // set up by another run, while this one waited
        }
        if wanted != Some(Self::Debian) {
            match steps.run("add the wasm32 target to rustup's toolchain", add_target) {
                Ok(()) => return Ok(Self::Rustup),
                Err(error) if wanted == Some(Self::Rustup) || !system::is_debian() => {
                    return Err(error);
                }
                Err(error) => {
                    let outcome = error.downcast_ref().map(Failure::outcome).unwrap_or_default();
                    println!("    rustup failed ({outcome}): using Debian's packages");
                }
            }
        }
        debian::set_up(&workspace.cache, steps)?;
        Ok(Self::Debian)
    }

    /// Finds an installed toolchain. Without an explicit choice, a Debian toolchain from an earlier run avoids waiting
    /// for a server that did not answer then.
    fn find(workspace: &Workspace, wanted: Option<Self>) -> Option<Self> {
        if wanted != Some(Self::Debian) && has_target() {
            Some(Self::Rustup)
        } else if wanted != Some(Self::Rustup) && debian::is_ready(&workspace.cache) {
            Some(Self::Debian)
        } else {
            None
        }
    }

    /// Makes `cargo clippy` work for the target.
    pub fn obtain_clippy(self, workspace: &Workspace, steps: &mut Steps) -> Result<()> {
        match self {
            Self::Rustup => Ok(()), // it comes with the native one
            Self::Debian => debian::set_up_clippy(&workspace.cache, steps),
        }
    }

    /// Returns a cargo command of this toolchain, for the target: `cargo COMMAND --target …`.
    ///
    /// Flags from the environment are removed, because they would replace those of `.cargo/config.toml`, without which
    /// the module has other kernels. The added flags keep this machine's folders out of the module.
    pub fn cargo(self, workspace: &Workspace, command: &str) -> Result<Run> {
        let run = match self {
            Self::Rustup => workspace.cargo(),
            Self::Debian => debian::cargo(&workspace.cache).dir(workspace.root()),
        };
        Ok(run
            .args([command, "--target", TARGET, "--config"])
            .arg(format!("target.{TARGET}.rustflags={:?}", remaps(workspace.root(), "/tradewind")?))
            .without_env("RUSTFLAGS")
            .without_env("CARGO_ENCODED_RUSTFLAGS"))
    }

    /// Returns a program that finds this toolchain's cargo and compiler.
    pub fn run(self, workspace: &Workspace, program: impl AsRef<OsStr>) -> Run {
        match self {
            Self::Rustup => Run::new(program),
            Self::Debian => debian::run(&workspace.cache, program),
        }
    }

    /// Version of the compiler, as printed by `rustc --version`.
    pub fn version(self, workspace: &Workspace) -> Result<String> {
        let rustc = match self {
            Self::Rustup => rustc(),
            Self::Debian => debian::rustc(&workspace.cache),
        };
        Ok(rustc.arg("--version").output()?.trim().to_owned())
    }

    fn wanted() -> Result<Option<Self>> {
        let variable = "TRADEWIND_WASM_TOOLCHAIN";
        match env::var(variable).unwrap_or_default().as_str() {
            "" => Ok(None),
            "rustup" => Ok(Some(Self::Rustup)),
            "debian" => Ok(Some(Self::Debian)),
            other => bail!("invalid {variable} `{other}` (expected `rustup`, `debian` or unset)"),
        }
    }
}

/// Whether the user's own toolchain has the target.
fn has_target() -> bool {
    rustc()
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|dir| has_std(Path::new(dir.trim())))
}

fn add_target() -> Result<()> {
    let downloads = home("RUSTUP_HOME", ".rustup")?.join("downloads");
    Run::new("rustup")
        .args(["target", "add", TARGET])
        .without_env("RUST_BACKTRACE")
        .limit_without_progress(PATIENCE, move || bytes_in(&downloads))
        .advice(
            "install Rust through rustup; where its server cannot be reached, \
             TRADEWIND_WASM_TOOLCHAIN=debian takes the target from Debian's packages",
        )
        .run()?;
    if !has_target() {
        bail!("rustup added {TARGET}, but not to the active toolchain: call `cargo xtask` without a toolchain");
    }
    Ok(())
}

/// Returns the compiler beside the cargo that runs this program.
fn rustc() -> Run {
    let beside = env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
    Run::new(beside.filter(|path| path.exists()).unwrap_or_else(|| "rustc".into()))
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}
