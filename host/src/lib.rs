//! Native shell: runs `tradewind.wasm` under wasmtime, verifies all loaded files, and converts JSON (types in
//! `tradewind-json`).
//!
//! ```no_run
//! use std::fs::{read, read_to_string};
//! use tradewind_core::rank::RankRequest;
//! use tradewind_host::{Tradewind, Trust};
//!
//! # fn main() -> anyhow::Result<()> {
//! let tradewind = Tradewind::builder()
//!     .module(read("dist/tradewind.wasm")?)
//!     .signature(read_to_string("dist/tradewind.wasm.sig")?)
//!     .trust(Trust::read(&["dist/keys/dev.pub"])?)
//!     .pack(read("dist/packs/recommend.pack")?)
//!     .build()?;
//! let ranking = tradewind.rank(&RankRequest::new("recommend", "2017-12-04T00:00:00Z".parse()?, 8))?;
//! assert_eq!(ranking.items.len(), 8);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Tradewind`] is the main type: callable from any thread, with a pool of instances of the module.
//! - [`Verified`] is a checked file, the only kind that is loaded; [`Trust`] contains the trusted keys, and [`KeyPair`]
//!   signs files.
//! - [`Runtime`] is the compiled module; [`Limits`] bound its calls.
//! - [`receipts`] records and replays decisions.
//! - [`comparison`] compares outputs with recorded ones.
//! - `snapshot` builds snapshots from tables, which `rows` reads; `training` computes tables and features from an event
//!   log, with the code used for serving (feature `tables`).
//! - `packing` compiles ONNX models into packs, and `verification` runs recorded cases (feature `compiler`).
//! - `serve` is the warehouse backend: orders in, allocations and a worklist out (feature `serve`).
//!
//! # Features
//!
//! All are on by default. A service that only runs packs needs none of them: `default-features = false` builds without
//! axum, sqlx, parquet and tract.
//!
//! | feature | modules | dependencies |
//! |---|---|---|
//! | `serve` | `serve` | axum, sqlx, tokio |
//! | `tables` | `rows`, `snapshot`, `training` | parquet, csv, npyz |
//! | `compiler` | `packing`, `verification`; implies `tables` | tract |
//! | `cli` | the program `tradewind`, with the commands of the other features; implies `tables` | clap |

pub mod comparison;
#[cfg(feature = "compiler")]
mod data_sets;
#[cfg(feature = "compiler")]
pub mod packing;
mod pool;
pub mod receipts;
#[cfg(feature = "tables")]
pub mod rows;
mod runtime;
#[cfg(feature = "serve")]
pub mod serve;
pub mod slice;
#[cfg(feature = "tables")]
pub mod snapshot;
mod tradewind;
#[cfg(feature = "tables")]
pub mod training;
mod trust;
#[cfg(feature = "compiler")]
pub mod verification;
mod verified;

pub use runtime::{Limits, Runtime, RuntimeConfig, WasmGuest, WasmInstance};
pub use tradewind::{AskError, BuildError, Builder, Tradewind, Unavailable};
pub use trust::{KeyPair, Trust, TrustError, sha256};
pub use verified::{Module, Pack, Verified};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the example of the host's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct HostReadme;

/// Compiles the example in the guide to your own model.
#[cfg(doctest)]
#[doc = include_str!("../../models/OWN_MODEL.md")]
struct OwnModel;
