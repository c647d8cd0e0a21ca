//! How products were and will be offered.

use super::{
    check::bad,
    money::{BasisPoints, Money},
};
use crate::error::Result;
use alloc::format;
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// How a product is offered in a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Pod, Zeroable)]
#[repr(C)]
pub struct Offer {
    /// What a unit costs; above zero.
    pub price: Money,
    /// What it costs where it is not reduced; above zero.
    pub list: Money,
    /// The share of the shops that display it apart from its shelf, or of the pages that feature it.
    pub display: BasisPoints,
    /// The share of the shops whose mailer has it.
    pub mailer: BasisPoints,
}

/// A week that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Week {
    /// How it was offered.
    pub offer: Offer,
    /// Units sold.
    pub units: u32,
    /// Zero.
    reserved: u32,
}

impl Week {
    /// A week in which a product was offered so, and its units sold.
    pub const fn new(offer: Offer, units: u32) -> Self {
        Self { offer, units, reserved: 0 }
    }
}

impl Offer {
    /// Checks an offer that was received.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) for a price that is not above zero, or a share beyond the whole.
    pub fn check(&self) -> Result<()> {
        for (what, price) in [("price", self.price), ("list", self.list)] {
            if !(1..=Money::MAX.0).contains(&price.0) {
                return Err(bad(format!("`{what}` is {} minor units; 1 to {} are taken", price.0, Money::MAX.0)));
            }
        }
        for (what, share) in [("display", self.display), ("mailer", self.mailer)] {
            if !(0..=BasisPoints::WHOLE.0).contains(&share.0) {
                return Err(bad(format!("`{what}` is {} basis points; it is a share, of 0 to 10,000", share.0)));
            }
        }
        Ok(())
    }
}

impl Week {
    /// The weeks that features look back, at most.
    pub const HISTORY: usize = 13;
}
