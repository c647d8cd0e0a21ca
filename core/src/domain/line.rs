//! Lines of orders and carts.

use super::sku::Sku;
use crate::error::{Error, ErrorKind, Result};
use alloc::format;
use serde::{Deserialize, Serialize};

/// Quantity of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// Product.
    pub sku: Sku,
    /// Units (at least 1).
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub quantity: u32,
}

impl Line {
    pub(crate) fn check(&self) -> Result<()> {
        if self.quantity == 0 {
            return Err(Error::new(ErrorKind::BadRequest, format!("0 units of `{}`; leave the line out", self.sku)));
        }
        self.sku.check()
    }
}
