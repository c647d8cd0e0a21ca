//! Errors of what was received.

use crate::error::{Error, ErrorKind, Result};
use alloc::{format, string::String};

/// A request that no program should send, or a snapshot that contradicts itself.
#[cold]
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

pub(crate) fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, format!("{found} {what}; at most {most} are taken")))
}
