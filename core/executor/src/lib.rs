//! Compiled models and what runs them.
//!
//! A [`plan::Plan`] is a flat list of kernel calls over numbered buffers; an [`Executor`] checks it
//! once and then runs it over rows, without allocating. Nothing in here knows what a model is for:
//! that is `tradewind-core`, which has all of this under its own name.
//!
//! | module | what it holds |
//! |---|---|
//! | [`plan`] | what a model is compiled to |
//! | `kernels` | what a step can compute: a file for each kernel, and all it takes is part of [`plan`] |
//! | [`exec`] | what runs a plan |
//! | [`tensor`] | named tensors, as they travel |
//! | [`aligned`] | bytes that may be read as any element type |
//! | [`columns`] | arrays that lie in a file as they lie in memory, and are read where they lie |
//! | [`error`] | the one error type, and the table of fault codes |
//! | [`bounded`] | how lists are decoded |
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

pub use error::{Error, ErrorKind, Result};
pub use exec::Executor;
