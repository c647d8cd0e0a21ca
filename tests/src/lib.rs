//! What the tests share: the corpus, and the runtimes that are held to it.
//!
//! Every runtime is a [`Guest`], so a new case reaches all of them, and a new runtime joins by
//! being added to [`runtimes`]. How closely each is compared is its [`Comparison`]; an [`Ensemble`] asks them all.

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

/// How a runtime's replies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same module: replies are the same, byte for byte.
    Exact,
    /// The same source, compiled for another machine: numbers agree within the tolerance.
    Close,
}

/// A runtime under test.
pub struct Subject {
    /// Its name in messages.
    pub name: &'static str,
    /// How it is compared with the others.
    pub comparison: Comparison,
    /// The runtime.
    pub guest: Box<dyn Guest<Error = anyhow::Error>>,
}

/// Every runtime, new and empty, each with the module as its shell ships it. The first is the one that
/// [`Comparison::Exact`] ones must equal.
///
/// # Errors
/// When the module is not built, or a runtime cannot be started.
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

/// A built artefact; tests do not build, `cargo xtask test` does first.
///
/// # Errors
/// When it is not there.
pub fn dist(file: &str) -> Result<PathBuf> {
    let path = root().join("dist").join(file);
    anyhow::ensure!(path.exists(), "`{}` is not there; run `cargo xtask build` first", path.display());
    Ok(path)
}

/// The checkout.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The module's bytes.
///
/// # Errors
/// When it is not built.
pub fn module() -> Result<Vec<u8>> {
    fs::read(dist("tradewind.wasm")?).context("cannot read the module")
}

/// The core itself.
struct Native(Engine);

/// The module under wasmtime.
struct Wasmtime(WasmGuest);

/// Gives a guest the error of all the others.
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
