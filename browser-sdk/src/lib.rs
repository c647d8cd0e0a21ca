//! The module in a page or a web worker: a wasm-bindgen shim around `tradewind.wasm`.
//!
//! A `Pack` is a verified file; a `Guest` is the module with such files loaded. Pages use the npm package `tradewind`,
//! which wraps this shim and implements the messages in TypeScript.
#![cfg(target_arch = "wasm32")]

mod guest;
mod js;
mod pack;

pub use guest::Guest;
pub use pack::Pack;
