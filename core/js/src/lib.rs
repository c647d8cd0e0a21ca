//! The module in a JavaScript engine: code shared by page and edge. Empty on native targets.
//!
//! - `instantiate` makes a guest from a compiled module, with the engine's `WebAssembly`.
//! - `verify` checks digests and signature of a pack or a snapshot with WebCrypto.
//!
//! ```ignore
//! # async fn start(module: &js_sys::WebAssembly::Module, pack: &[u8], key: [u8; 32]) {
//! tradewind_js::verify(pack, &[key]).await.expect("a pack that we signed");
//! let mut client = tradewind_core::guest::Client::new(tradewind_js::instantiate(module).expect("the module"));
//! client.load(pack).expect("a pack of this ABI");
//! # }
//! ```

#![cfg(target_arch = "wasm32")]

mod instance;
mod verify;

pub use instance::{JsGuest, JsInstance, instantiate, instantiate_with, said};
pub use verify::{VerifyError, sha256, verify, web_crypto};
