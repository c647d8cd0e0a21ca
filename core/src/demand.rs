//! Demand: how many units of a product are sold in a coming week, and how many at another price.
//!
//! ```text
//! weeks that were, the week that comes → features → plan → P10, P50, P90     (DemandModel)
//!                                  and a price, SKU → plan → expected units  (PriceModel)
//! ```
//!
//! Both models are shown the same few numbers of a product: units, prices and promotions of its last
//! [`Week::HISTORY`] weeks, and the [`Offer`] of the week to come. The features are computed by the code
//! that writes the training data. All are ratios, shares and units, so they do not depend on the currency.

mod features;
mod forecast;
mod model;

pub use features::{Feature, Outlook};
pub(crate) use forecast::forecast;
pub use forecast::{ForecastRequest, Weeks};
pub use model::{DemandModel, PriceModel};

use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
    event::bad,
    money::{BasisPoints, Money},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// How a product is offered in a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// Units sold.
    pub units: u32,
    /// How it was offered.
    pub offer: Offer,
}

/// The columns of a demand model.
///
/// Its input is `features` (f32, a column for each feature), its output three columns of f32: the 10 %,
/// 50 % and 90 % quantiles of the units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandSpec {
    /// The columns of the model's input, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Feature>,
}

/// The columns of a price model.
///
/// Its inputs are `sku` (text, a column) and `features` (f32, a column for each feature), its output is a
/// column of f32: the units that are expected. Only [`Feature::PriceToList`] may follow the price, so that
/// the model's coefficient of it is all that decides how demand responds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSpec {
    /// The columns of the model's input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Feature>,
}

impl Offer {
    /// Checks an offer that was received.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for a price that is not above zero, or a share beyond the whole.
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

impl PriceSpec {
    /// Checks that the price, and nothing that follows from it, is among the features.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) names the feature.
    pub fn check(&self) -> Result<()> {
        if !self.features.contains(&Feature::PriceToList) {
            return Err(Error::new(ErrorKind::PackCorrupt, "a price model without `price_to_list` knows no price"));
        }
        let other = self.features.iter().find(|&&feature| feature.follows_price() && feature != Feature::PriceToList);
        other.map_or(Ok(()), |feature| {
            Err(Error::new(
                ErrorKind::PackCorrupt,
                format!("`{}` follows the price, which only `price_to_list` may in a price model", feature.name()),
            ))
        })
    }
}
