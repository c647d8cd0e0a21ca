//! The module in a page or a web worker: a shim of wasm-bindgen's around `tradewind.wasm`.
//!
//! [`Runtime::load`] verifies packs and snapshot and hands them to the module; what it then answers
//! is the JSON of the edge's API and of `tradewind rank` and `quote`. A page uses the npm package
//! `tradewind`, which wraps this.
#![cfg(target_arch = "wasm32")]

mod error;
mod pack;
mod products;
mod reply;
mod request;
mod runtime;
mod value;

pub use pack::Pack;
pub use runtime::Runtime;
