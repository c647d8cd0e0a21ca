//! Names given by merchants and carriers.

use super::check::{bad, read};
use crate::error::{Error, ErrorKind, Result};
use alloc::{format, string::String};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize};

/// Name of a region or node: 1 to 16 capital letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 16, pattern = "^[A-Z0-9-]+$"))]
pub struct Code(String);

/// Name of a shipment, order, location or service, given by a merchant or carrier: 1 to 64 bytes of text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(min_length = 1, max_length = 64))]
pub struct Id(String);

impl Code {
    /// Maximum length of a code, in bytes.
    pub const MAX_LEN: usize = 16;

    /// Creates a code.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) if it is empty, too long, or contains other characters.
    ///
    /// ```
    /// use tradewind_core::Code;
    /// assert_eq!(Code::new("US-SEA")?.as_str(), "US-SEA");
    /// assert!(Code::new("Ms. Jane Doe").is_err(), "a code cannot contain a person's name");
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    pub fn new(code: impl Into<String>) -> Result<Self> {
        let code = Self(code.into());
        code.check()?;
        Ok(code)
    }

    /// Text of the code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks a received code.
    pub(crate) fn check(&self) -> Result<()> {
        let fits = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'-';
        if (1..=Self::MAX_LEN).contains(&self.0.len()) && self.0.as_bytes().iter().all(fits) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            "a region or node needs a code of 1 to 16 capital letters, digits and hyphens",
        ))
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        read(deserializer, Self, Self::check)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Id {
    /// Maximum length of a name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Creates a name.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) if `text` is empty or too long.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let id = Self(text.into());
        id.check()?;
        Ok(id)
    }

    /// Text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            1..=Self::MAX_LEN => Ok(()),
            len => Err(bad(format!("a name of {len} bytes, not 1 to {}", Self::MAX_LEN))),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        read(deserializer, Self, Self::check)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
