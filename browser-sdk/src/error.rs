//! Errors as JavaScript has them: an `Error` whose `code` says what kind it is.

use js_sys::Reflect;
use tradewind_core::guest::{ClientError, GuestError};
use wasm_bindgen::JsValue;

/// What went wrong, for a program; the message is for people.
#[derive(Clone, Copy)]
pub enum Code {
    /// The module cannot be used.
    Module,
    /// The module trapped; the next call has a new instance.
    Trap,
    /// A pack or the snapshot is damaged, unsigned, or signed by somebody else.
    Untrusted,
    /// The module refused the request.
    Refused,
    /// What was asked is not what the function takes.
    Input,
}

/// An error to throw.
pub fn error(code: Code, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    let code = match code {
        Code::Module => "module",
        Code::Trap => "trap",
        Code::Untrusted => "untrusted",
        Code::Refused => "refused",
        Code::Input => "input",
    };
    // A new object takes any property.
    let _set = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

/// An input that cannot be taken.
pub fn input(message: &[&str]) -> JsValue {
    error(Code::Input, &message.concat())
}

/// What the core says of an input.
pub fn refused(why: &tradewind_core::Error) -> JsValue {
    error(Code::Input, why.message())
}

/// What a client says.
pub fn client(failure: ClientError<GuestError>) -> JsValue {
    let code = match &failure {
        ClientError::Fault(_) => Code::Refused,
        ClientError::Guest(GuestError::Trap(_)) => Code::Trap,
        ClientError::Guest(_) | ClientError::Protocol(_) => Code::Module,
    };
    error(code, &failure.to_string())
}
