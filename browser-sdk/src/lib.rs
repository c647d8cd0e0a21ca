//! The module in a page or a web worker: a shim of wasm-bindgen's around `tradewind.wasm`.
//!
//! A `Pack` is a file that was checked; a `Guest` is the module with such files loaded, which answers bytes with
//! bytes. A page uses the npm package `tradewind`, which wraps this and has the messages in TypeScript.
#![cfg(target_arch = "wasm32")]

mod guest;
mod js;
mod pack;

pub use guest::Guest;
pub use pack::Pack;
