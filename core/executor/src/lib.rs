//! Compiled models and their executor.
//!
//! A [`plan::Plan`] is a flat list of kernel calls over numbered buffers; an [`Executor`] checks it once and then runs
//! it over rows, without allocating. This crate does not depend on the purpose of a model; `tradewind-core` does, and
//! re-exports this crate.
//!
//! | module | contents |
//! |---|---|
//! | [`plan`] | compiled models |
//! | `kernels` | computations of steps, one file per kernel; their types are part of [`plan`] |
//! | [`exec`] | execution of plans |
//! | [`tensor`] | named tensors in messages |
//! | [`text`] | texts as numbers: counts of n-grams |
//! | [`aligned`] | bytes that can be read as any element type |
//! | [`columns`] | arrays stored in a file as in memory, and read in place |
//! | [`error`] | the error type, and the table of fault codes |
//! | [`bounded`] | decoding of bounded lists |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aligned;
pub mod bounded;
pub mod columns;
pub mod error;
pub mod exec;
mod kernels;
pub mod plan;
pub mod tensor;
pub mod text;

pub use error::{Error, ErrorKind, Result};
pub use exec::Executor;
