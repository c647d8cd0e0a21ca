//! Offers: prices and promotion of products, week by week.

use super::{
    check::bad,
    money::{BasisPoints, Money},
};
use crate::error::Result;
use alloc::format;
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Price and promotion of a product in one week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Pod, Zeroable)]
#[repr(C)]
pub struct Offer {
    /// Price of a unit (above 0).
    pub price: Money,
    /// Price without reductions (above 0).
    pub list: Money,
    /// Share of shops that display it away from its shelf, or of pages that feature it.
    pub display: BasisPoints,
    /// Share of shops whose mailer contains it.
    pub mailer: BasisPoints,
}

/// Past week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Week {
    /// Price and promotion.
    pub offer: Offer,
    /// Units sold.
    pub units: u32,
    /// Padding; always zero.
    reserved: u32,
}

impl Week {
    /// Creates a week of an offer and the units sold.
    pub const fn new(offer: Offer, units: u32) -> Self {
        Self { offer, units, reserved: 0 }
    }
}

impl Offer {
    /// Checks a received offer.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) for a price that is not above 0, or a share outside 0 to 100 %.
    pub fn check(&self) -> Result<()> {
        for (what, price) in [("price", self.price), ("list", self.list)] {
            if !(1..=Money::MAX.0).contains(&price.0) {
                return Err(bad(format!("`{what}` is {} minor units, not 1 to {}", price.0, Money::MAX.0)));
            }
        }
        for (what, share) in [("display", self.display), ("mailer", self.mailer)] {
            if !(0..=BasisPoints::WHOLE.0).contains(&share.0) {
                return Err(bad(format!("`{what}` is {} basis points, not 0 to 10,000", share.0)));
            }
        }
        Ok(())
    }
}

impl Week {
    /// Maximum number of past weeks that features use.
    pub const HISTORY: usize = 13;
}
