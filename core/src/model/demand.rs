//! Demand: units of a product sold in a coming week, and units sold at other prices.
//!
//! ```text
//! past weeks, coming week             → features      → plan → P10, P50, P90    (DemandModel)
//! past weeks, coming week and a price → features, SKU → plan → expected units   (PriceModel)
//! ```
//!
//! Both models read the same few facts: units, prices and promotions of the last
//! [`HISTORY`](crate::offer::Week::HISTORY) weeks, and the [`Offer`](crate::offer::Offer) of the coming week. The same
//! code computes the features for training and for serving. All are ratios, shares and units, so they do not depend on
//! the currency.

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

/// Columns of a demand model.
///
/// The input is `features` (f32, a column for each feature). The output is three columns of f32: the 10 %, 50 % and 90
/// % quantiles of the units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandSpec {
    /// Columns of the model's input, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Source>,
}

/// Columns of a price model.
///
/// The inputs are `sku` (text, one column) and `features` (f32, a column for each feature). The output is one column of
/// f32: the expected units. Only [`Source::PriceToList`] may depend on the price, so that its coefficient alone
/// determines how demand responds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSpec {
    /// Columns of the model's input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Source>,
}

impl PriceSpec {
    /// Checks that the features include the price, and no other source that depends on it.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) names the feature.
    pub fn check(&self) -> Result<()> {
        if !self.features.contains(&Source::PriceToList) {
            return Err(Error::new(ErrorKind::PackCorrupt, "a price model needs the source `price_to_list`"));
        }
        let other = self.features.iter().find(|&&feature| feature.follows_price() && feature != Source::PriceToList);
        other.map_or(Ok(()), |feature| {
            Err(Error::new(
                ErrorKind::PackCorrupt,
                format!(
                    "source {} depends on the price; in a price model only `price_to_list` may; see models/FEATURES.md",
                    *feature as u8
                ),
            ))
        })
    }
}

impl Outlook<'_> {
    /// Appends the week's row, one value for each of `features`.
    pub fn row(&self, features: &[Source], row: &mut Vec<f32>) {
        Row { week: Some(self.facts()), ..Row::default() }.append(features, row);
    }
}

/// Checks that all features are defined for products and weeks.
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
    fn a_promotion_with_its_usual_lift_leaves_the_base_unchanged() {
        // Half the price and all displays: five times the units.
        let history = [week(40, PLAIN), week(200, offer(100, 10_000))];
        let features = [Source::Base, Source::Expected, Source::PlainUnits, Source::PriceToMean13];
        assert_eq!(row(&history, PLAIN, &features), [40.0, 40.0, 40.0 / 41.0, 200.0 / 150.0]);
        assert_eq!(row(&history, offer(100, 10_000), &features), [40.0, 200.0, 40.0 / 41.0, 100.0 / 150.0]);
        let means = [Source::MeanUnits13, Source::LeastUnits, Source::MostUnits, Source::LastUnits];
        assert_eq!(row(&history, PLAIN, &means), [120.0 / 41.0, 40.0 / 41.0, 200.0 / 41.0, 200.0 / 41.0]);
    }

    #[test]
    fn weeks_with_a_similar_offer_count_most() {
        let history = [week(10, PLAIN), week(30, offer(100, 10_000))];
        let similar = |offer| row(&history, offer, &[Source::Base, Source::SimilarUnits]);
        for (offer, units) in [(PLAIN, 10.0), (offer(100, 10_000), 30.0)] {
            let row = similar(offer);
            assert!((row[1] * (row[0] + 1.0) - units).abs() < 0.5, "{row:?} for {units}");
        }
    }

    #[test]
    fn features_of_past_weeks_are_nan_without_history() {
        let back = of_week().into_iter().filter(|feature| {
            let known = [Source::Lift, Source::PriceToList, Source::Display, Source::Mailer, Source::Horizon];
            !known.contains(feature) && *feature != Source::Similarity
        });
        for feature in back {
            assert!(row(&[], PLAIN, &[feature])[0].is_nan(), "{}", feature.name());
        }
    }

    #[test]
    fn only_declared_sources_depend_on_the_price() {
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
    fn invalid_offers_and_horizons_are_refused() {
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
