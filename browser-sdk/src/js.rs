//! Errors in JavaScript: an `Error` with its kind as `code`.

use tradewind_core::guest::{ClientError, GuestError};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(inline_js = "export const error = (code, message) => Object.assign(new Error(message), { code });")]
extern "C" {
    fn error(code: &str, message: &str) -> JsValue;
}

/// Error of the core about a file.
pub fn untrusted(why: tradewind_core::Error) -> JsValue {
    error("untrusted", why.message())
}

/// Error about an unverified file.
pub fn unverified() -> JsValue {
    error("input", "a pack or snapshot was not verified")
}

/// Error of a client.
pub fn client(failure: ClientError<GuestError>) -> JsValue {
    let code = match &failure {
        ClientError::Fault(_) => "refused",
        ClientError::Guest(GuestError::Trap(_)) => "trap",
        ClientError::Guest(_) | ClientError::Protocol(_) => "module",
    };
    error(code, &failure.to_string())
}
