//! Shared parts of the tests: the corpus, and the runtimes under test.
//!
//! Every runtime is a [`Guest`], so a new case reaches all of them, and a new runtime is added in [`runtimes`]. Its
//! [`Comparison`] says how replies are compared; an [`Ensemble`] calls all of them.

pub mod allocation;
mod corpus;
pub mod database;
pub mod decisions;
mod ensemble;
mod node;
pub mod service;
pub mod sources;

pub use corpus::{Case, DataSet, PACK, Refused, cases, pack_at, pack_of, random, refused};
pub use ensemble::{Answers, Ensemble};
pub use node::NodeGuest;

use anyhow::{Context, Result};
use std::{ffi::OsStr, fs, path::PathBuf};
use tradewind_core::{Engine, guest::Guest};
use tradewind_host::{Runtime, WasmGuest};

/// Comparison of a runtime's replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same module: replies are byte-identical.
    Exact,
    /// The same source, compiled for another machine: numbers agree within the tolerance.
    Close,
}

/// Runtime under test.
pub struct Subject {
    /// Name in messages.
    pub name: &'static str,
    /// Comparison with the others.
    pub comparison: Comparison,
    /// Runtime.
    pub guest: Box<dyn Guest<Error = anyhow::Error>>,
}

/// Starts every runtime, each with the module as shipped by its shell. The first is the reference for
/// [`Comparison::Exact`].
///
/// # Errors
/// If the module is not built, or a runtime cannot be started.
pub fn runtimes() -> Result<Vec<Subject>> {
    let wasmtime = Wasmtime(Runtime::new(&module()?)?.unverified_guest()?);
    let mut runtimes = vec![Subject { name: "wasmtime", comparison: Comparison::Exact, guest: Box::new(wasmtime) }];
    for (name, script, browser, module) in [
        ("Node", "guest.mjs", None, "tradewind.wasm"),
        ("workerd", "workerd.mjs", None, "edge/tradewind.wasm"),
        ("Chromium", "browser.mjs", Some("chromium"), "package/dist/tradewind.wasm"),
        ("Firefox", "browser.mjs", Some("firefox"), "package/dist/tradewind.wasm"),
    ] {
        let module = dist(module)?;
        let arguments: Vec<&OsStr> = browser.map(OsStr::new).into_iter().chain([module.as_os_str()]).collect();
        let guest = Box::new(NodeGuest::start(script, &arguments)?);
        runtimes.push(Subject { name, comparison: Comparison::Exact, guest });
    }
    runtimes.push(Subject { name: "native", comparison: Comparison::Close, guest: Box::new(Native(Engine::new())) });
    Ok(runtimes)
}

/// Returns the path of a built file; tests do not build, `cargo xtask test` does so first.
///
/// # Errors
/// If the file is missing.
pub fn dist(file: &str) -> Result<PathBuf> {
    let path = root().join("dist").join(file);
    anyhow::ensure!(path.exists(), "`{}` is missing; run `cargo xtask build` first", path.display());
    Ok(path)
}

/// Returns the program or folder that `cargo xtask setup` installs and links.
///
/// # Errors
/// If it is missing.
pub fn tool(name: &str) -> Result<PathBuf> {
    let link = root().join("dist/tools").join(name);
    fs::read_link(link).with_context(|| format!("no {name}: `cargo xtask setup` installs and links it"))
}

/// Root of the checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads the module's bytes.
///
/// # Errors
/// If it is not built.
pub fn module() -> Result<Vec<u8>> {
    fs::read(dist("tradewind.wasm")?).context("cannot read the module")
}

/// The core as a native library.
struct Native(Engine);

/// The module under wasmtime.
struct Wasmtime(WasmGuest);

/// Converts a guest's error type to that of the others.
macro_rules! any_error {
    ($type:ty) => {
        impl Guest for $type {
            type Error = anyhow::Error;

            fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>> {
                Ok(Guest::load(&mut self.0, pack)?)
            }

            fn call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
                Ok(Guest::call(&mut self.0, request)?)
            }

            fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>> {
                Ok(Guest::score(&mut self.0, pack, rows, columns, scores)?)
            }
        }
    };
}

any_error!(Native);
any_error!(Wasmtime);
