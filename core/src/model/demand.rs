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

mod model;

pub use super::week::Outlook;
pub use model::{DemandModel, PriceModel};

use super::source::{Part, Row, Source, of_rows};
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
    pub features: Vec<Source>,
}

/// The columns of a price model.
///
/// Its inputs are `sku` (text, a column) and `features` (f32, a column for each feature), its output is a
/// column of f32: the units that are expected. Only [`Source::PriceToList`] may follow the price, so that
/// the model's coefficient of it is all that decides how demand responds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSpec {
    /// The columns of the model's input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Source>,
}

impl PriceSpec {
    /// Checks that the price, and nothing that follows from it, is among the features.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) names the feature.
    pub fn check(&self) -> Result<()> {
        if !self.features.contains(&Source::PriceToList) {
            return Err(Error::new(ErrorKind::PackCorrupt, "a price model without `price_to_list` knows no price"));
        }
        let other = self.features.iter().find(|&&feature| feature.follows_price() && feature != Source::PriceToList);
        other.map_or(Ok(()), |feature| {
            Err(Error::new(
                ErrorKind::PackCorrupt,
                format!(
                    "source {} follows the price, which only `price_to_list` may in a price model; see models/FEATURES.md",
                    *feature as u8
                ),
            ))
        })
    }
}

impl Outlook<'_> {
    /// Appends the row of the week, one value for each of `features`.
    pub fn row(&self, features: &[Source], row: &mut Vec<f32>) {
        Row { week: Some(self.facts()), ..Row::default() }.append(features, row);
    }
}

/// Checks that features are known of products and weeks.
fn of_weeks(features: &[Source]) -> Result<()> {
    of_rows(features, &[Part::Week], "products and weeks")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        money::{BasisPoints, Money},
        offer::{Offer, Week},
    };
    use alloc::vec;

    fn of_week() -> Vec<Source> {
        Source::ALL.iter().copied().filter(|source| source.part() == Part::Week).collect()
    }

    const PLAIN: Offer = offer(200, 0);

    const fn offer(price: i64, display: i32) -> Offer {
        Offer { price: Money(price), list: Money(200), display: BasisPoints(display), mailer: BasisPoints(0) }
    }

    const fn week(units: u32, offer: Offer) -> Week {
        Week::new(offer, units)
    }

    fn row(history: &[Week], offer: Offer, features: &[Source]) -> Vec<f32> {
        let mut row = Vec::new();
        Outlook::new(history, offer, 1).unwrap().row(features, &mut row);
        row
    }

    #[test]
    fn a_promotion_that_sold_what_it_usually_does_leaves_the_base() {
        // Half the price and all displays: five times the units.
        let history = [week(40, PLAIN), week(200, offer(100, 10_000))];
        let features = [Source::Base, Source::Expected, Source::PlainUnits, Source::PriceToMean13];
        assert_eq!(row(&history, PLAIN, &features), [40.0, 40.0, 40.0 / 41.0, 200.0 / 150.0]);
        assert_eq!(row(&history, offer(100, 10_000), &features), [40.0, 200.0, 40.0 / 41.0, 100.0 / 150.0]);
        let means = [Source::MeanUnits13, Source::LeastUnits, Source::MostUnits, Source::LastUnits];
        assert_eq!(row(&history, PLAIN, &means), [120.0 / 41.0, 40.0 / 41.0, 200.0 / 41.0, 200.0 / 41.0]);
    }

    #[test]
    fn weeks_with_an_offer_like_the_one_to_come_count_most() {
        let history = [week(10, PLAIN), week(30, offer(100, 10_000))];
        let similar = |offer| row(&history, offer, &[Source::Base, Source::SimilarUnits]);
        for (offer, units) in [(PLAIN, 10.0), (offer(100, 10_000), 30.0)] {
            let row = similar(offer);
            assert!((row[1] * (row[0] + 1.0) - units).abs() < 0.5, "{row:?} for {units}");
        }
    }

    #[test]
    fn what_looks_back_is_missing_without_history() {
        let back = of_week().into_iter().filter(|feature| {
            let known = [Source::Lift, Source::PriceToList, Source::Display, Source::Mailer, Source::Horizon];
            !known.contains(feature) && *feature != Source::Similarity
        });
        for feature in back {
            assert!(row(&[], PLAIN, &[feature])[0].is_nan(), "{}", feature.name());
        }
    }

    #[test]
    fn only_what_says_so_follows_the_price() {
        let history = vec![week(3, PLAIN), week(9, offer(150, 2_000)), week(4, PLAIN)];
        let at = |price| row(&history, offer(price, 3_000), &of_week());
        for ((&feature, one), other) in of_week().iter().zip(at(120)).zip(at(180)) {
            assert_eq!(one != other, feature.follows_price(), "{}: {one} and {other}", feature.name());
        }
    }

    #[test]
    fn weeks_of_long_ago_are_forgotten() {
        let mut history = vec![week(1_000, offer(1, 10_000))];
        history.extend([week(5, PLAIN); Week::HISTORY]);
        let all = row(&history, PLAIN, &of_week());
        assert_eq!(all, row(&history[1..], PLAIN, &of_week()));
    }

    #[test]
    fn offers_and_horizons_that_cannot_be_are_refused() {
        let free = Offer { price: Money(0), ..PLAIN };
        let beyond = Offer { mailer: BasisPoints(10_001), ..PLAIN };
        for offer in [free, beyond] {
            assert!(Outlook::new(&[], offer, 1).is_err());
            assert!(Outlook::new(&[week(1, offer)], PLAIN, 1).is_err());
        }
        assert!(Outlook::new(&[], PLAIN, 0).is_err());
        assert!(Outlook::new(&[], PLAIN, Outlook::MAX_HORIZON + 1).is_err());
    }
}
