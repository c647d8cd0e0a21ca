//! Errors for invalid input.

use crate::error::{Error, ErrorKind, Result};
use alloc::{format, string::String};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Error for an invalid request or an inconsistent snapshot.
#[cold]
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

pub(crate) fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, format!("{found} {what}; the limit is {most}")))
}

/// Reads a name. Names in JSON are checked here; the decision checks those in messages.
pub(crate) fn read<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    name: fn(String) -> T,
    check: fn(&T) -> Result<()>,
) -> core::result::Result<T, D::Error> {
    let is_written = deserializer.is_human_readable();
    let name = name(String::deserialize(deserializer)?);
    if is_written {
        check(&name).map_err(D::Error::custom)?;
    }
    Ok(name)
}
