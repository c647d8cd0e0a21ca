//! The native shell: hosts `tradewind.wasm` under wasmtime, verifies what it loads, and speaks JSON
//! (`tradewind-json` has the types).
//!
//! ```no_run
//! use tradewind_core::guest::Client;
//! use tradewind_host::{Runtime, Trust};
//!
//! # fn main() -> anyhow::Result<()> {
//! let runtime = Runtime::new(&std::fs::read("dist/tradewind.wasm")?)?;
//! let mut client = Client::new(runtime.guest()?);
//! let pack = std::fs::read("dist/packs/recommend.pack")?;
//! Trust::read(&["dist/keys/dev.pub"])?.verify(&pack)?;
//! println!("{} is ready", client.load(&pack)?.name);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Runtime`] compiles the module once; each [`WasmGuest`] is an instance of it.
//! - [`Trust`] holds the keys whose packs are loaded; [`KeyPair`] signs packs.
//! - [`snapshot`] builds snapshots from tables, which [`rows`] reads.
//! - [`receipts`] records decisions, and makes them again.
//! - [`comparison`] judges whether outputs are those that were recorded.
//! - `packing` compiles ONNX models into packs, and `verification` runs recorded cases (feature `compiler`, on by
//!   default).
//! - [`serve`] is the warehouse's service: orders in, allocations and a worklist out.
//! - [`training`] computes tables and features from an event log, with the code that serves them.

pub mod comparison;
#[cfg(feature = "compiler")]
mod data_sets;
#[cfg(feature = "compiler")]
pub mod packing;
pub mod receipts;
pub mod rows;
mod runtime;
pub mod serve;
pub mod snapshot;
pub mod training;
mod trust;
#[cfg(feature = "compiler")]
pub mod verification;

pub use runtime::{Limits, Runtime, RuntimeConfig, WasmGuest, WasmInstance};
pub use trust::{KeyPair, Trust, TrustError, sha256};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the example of the page about a model of one's own.
#[cfg(doctest)]
#[doc = include_str!("../../models/OWN_MODEL.md")]
struct OwnModel;
