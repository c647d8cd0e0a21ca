//! Demand: how many units of a product are sold in a coming week, and how many at another price.
//!
//! ```text
//! weeks that were, the week that comes → features → plan → P10, P50, P90     (DemandModel)
//!                                  and a price, SKU → plan → expected units  (PriceModel)
//! ```
//!
//! Both models are shown the same few numbers of a product: units, prices and promotions of its last
//! [`HISTORY`](crate::offer::Week::HISTORY) weeks, and the [`Offer`](crate::offer::Offer) of the week to come. The
//! features are computed by the code that writes the training data. All are ratios, shares and units, so they do not
//! depend on the currency.

mod features;
mod model;

pub use features::{Feature, Outlook};
pub use model::{DemandModel, PriceModel};

use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

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
