//! Names of products: SKUs, and ids within a catalogue.

use super::check::read;
use crate::error::{Error, ErrorKind, Result};
use alloc::{format, string::String};
use bytemuck::{Pod, Zeroable};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize};

/// Merchant's stock-keeping unit: 1 to [`Sku::MAX_LEN`] bytes of text, stored unchanged.
///
/// Products are always identified by SKU outside the core, because SKUs are stable across catalogues.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(min_length = 1, max_length = 64, description = "A merchant's stock-keeping unit: 1 to 64 bytes of text.")
)]
pub struct Sku(String);

/// Position of a product in one [`Catalog`](crate::Catalog).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Pod, Zeroable)]
#[repr(transparent)]
pub struct SkuId(pub u32);

impl Sku {
    /// Maximum length of a SKU, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Creates a SKU.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) if `code` is empty or too long.
    ///
    /// ```
    /// use tradewind_core::Sku;
    /// assert_eq!(Sku::new("1082185")?.as_str(), "1082185");
    /// assert!(Sku::new("").is_err());
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    pub fn new(code: impl Into<String>) -> Result<Self> {
        let sku = Self(code.into());
        sku.check()?;
        Ok(sku)
    }

    /// Creates a SKU whose length was already checked.
    pub(crate) fn checked(code: &str) -> Self {
        Self(code.into())
    }

    /// Text of the SKU.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks a received SKU, like [`new`](Self::new).
    pub(crate) fn check(&self) -> Result<()> {
        Self::check_len(self.0.len())
    }

    /// Checks the length of a SKU, in bytes.
    pub(crate) fn check_len(len: usize) -> Result<()> {
        match len {
            1..=Self::MAX_LEN => Ok(()),
            len => Err(Error::new(ErrorKind::BadRequest, format!("a SKU of {len} bytes, not 1 to {}", Self::MAX_LEN))),
        }
    }
}

impl SkuId {
    /// Id that stands for no product.
    pub(crate) const NONE: Self = Self(u32::MAX);
}

impl<'de> Deserialize<'de> for Sku {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        read(deserializer, Self, Self::check)
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
