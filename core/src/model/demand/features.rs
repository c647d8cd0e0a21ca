//! What models are shown of a product and a week to come: the same code for training and for serving.

use crate::{
    domain::{
        check::bad,
        money::BasisPoints,
        offer::{Offer, Week},
    },
    error::Result,
    model::columns::columns,
};
use alloc::{format, vec::Vec};

columns! {
    /// A column of the feature matrix. NaN where it has no value, as all that look back have none for a
    /// product without history.
    pub enum Feature {
        /// Units of a week without promotion: those of the last 13 weeks by the lifts of their offers,
        /// a week counting nine tenths of the one after it.
        Base = "base",
        /// How many times the base the offer of the week to come usually sells:
        /// list / price × (1 + 1.5 display) × (1 + 0.5 mailer).
        Lift = "lift",
        /// Base × lift: the units that are usual under the offer.
        Expected = "expected",
        /// The base of the last four weeks, as a multiple of (base + 1).
        Base4 = "base_4",
        /// Units of the last week, so too.
        LastUnits = "last_units",
        /// Units of the last four weeks on average, so too.
        MeanUnits4 = "mean_units_4",
        /// Units of the last 13 weeks on average, so too.
        MeanUnits13 = "mean_units_13",
        /// Units of the least of the last 13 weeks, so too.
        LeastUnits = "least_units",
        /// Units of the most of them, so too.
        MostUnits = "most_units",
        /// Units of those of them without promotion on average, so too; NaN where there is none.
        PlainUnits = "plain_units",
        /// Units of those of them whose offer was like the one to come, so too: a week with a price 10 %,
        /// or a display or mailer 15 points away counts half.
        SimilarUnits = "similar_units",
        /// How much such weeks there are: the sum of what they count.
        Similarity = "similarity",
        /// Units at the list price under displays and mailers like those to come, so too: units of the last 13
        /// weeks by list / price, where a display or mailer 15 points away counts half, and half a week of
        /// what is usual.
        SimilarBase = "similar_base",
        /// The price as a share of the list price.
        PriceToList = "price_to_list",
        /// The price as a multiple of that of the last four weeks on average.
        PriceToMean4 = "price_to_mean_4",
        /// The price as a multiple of that of the last 13 weeks on average.
        PriceToMean13 = "price_to_mean_13",
        /// The price as a multiple of the lowest of them.
        PriceToLowest = "price_to_lowest",
        /// The share of displays.
        Display = "display",
        /// The share of mailers.
        Mailer = "mailer",
        /// Price as a share of the list price, of the last week.
        LastPriceToList = "last_price_to_list",
        /// Display of the last week.
        LastDisplay = "last_display",
        /// Mailer of the last week.
        LastMailer = "last_mailer",
        /// Price as a share of the list price, of the last 13 weeks on average.
        MeanPriceToList = "mean_price_to_list",
        /// Display of the last 13 weeks on average.
        MeanDisplay = "mean_display",
        /// Mailer of the last 13 weeks on average.
        MeanMailer = "mean_mailer",
        /// From the last week to the one to come: 1 to 4.
        Horizon = "horizon",
    }
}

impl Feature {
    /// Whether its value changes with the price of the week to come.
    pub const fn follows_price(self) -> bool {
        matches!(
            self,
            Self::Lift
                | Self::Expected
                | Self::SimilarUnits
                | Self::Similarity
                | Self::PriceToList
                | Self::PriceToMean4
                | Self::PriceToMean13
                | Self::PriceToLowest
        )
    }
}

/// A week counts so much of the one after it.
const DECAY: f32 = 0.9;

/// A product before a week to come.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    history: &'a [Week],
    offer: Offer,
    horizon: u8,
}

impl<'a> Outlook<'a> {
    /// The furthest week that is forecast, counted from the last.
    pub const MAX_HORIZON: u8 = 4;

    /// `history` is the product's weeks without a gap, the last one last, and `offer` that of the week which
    /// is `horizon` weeks after it.
    ///
    /// ```
    /// use tradewind_core::{BasisPoints, Money, demand::{Feature, Outlook}, offer::{Offer, Week}};
    ///
    /// let plain = Offer { price: Money(200), list: Money(200), display: BasisPoints(0), mailer: BasisPoints(0) };
    /// let history = [Week { units: 8, offer: plain }, Week { units: 8, offer: plain }];
    /// let outlook = Outlook::new(&history, Offer { price: Money(160), ..plain }, 1)?;
    /// let mut row = Vec::new();
    /// outlook.row(&[Feature::Base, Feature::Lift, Feature::Expected], &mut row);
    /// assert_eq!(row, [8.0, 1.25, 10.0]);
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) for an offer or a horizon that cannot be.
    pub fn new(history: &'a [Week], offer: Offer, horizon: u8) -> Result<Self> {
        let history = history.get(history.len().saturating_sub(Week::HISTORY)..).unwrap_or_default();
        history.iter().try_for_each(|week| week.offer.check())?;
        offer.check()?;
        if !(1..=Self::MAX_HORIZON).contains(&horizon) {
            return Err(bad(format!("a horizon of {horizon} weeks; 1 to {} are forecast", Self::MAX_HORIZON)));
        }
        Ok(Self { history, offer, horizon })
    }

    /// Appends the row of the week, one value for each of `features`.
    pub fn row(&self, features: &[Feature], row: &mut Vec<f32>) {
        let base = self.base(Week::HISTORY);
        row.extend(features.iter().map(|&feature| self.value(feature, base)));
    }

    fn value(&self, feature: Feature, base: f32) -> f32 {
        let offer = &self.offer;
        let relative = |units: f32| units / (base + 1.0);
        let mean_units = |weeks| relative(self.mean(weeks, |week| week.units as f32));
        let price_to_mean = |weeks| price(offer) / self.mean(weeks, |week| price(&week.offer));
        match feature {
            Feature::Base => base,
            Feature::Lift => lift(offer),
            Feature::Expected => base * lift(offer),
            Feature::Base4 => relative(self.base(4)),
            Feature::LastUnits => mean_units(1),
            Feature::MeanUnits4 => mean_units(4),
            Feature::MeanUnits13 => mean_units(Week::HISTORY),
            Feature::LeastUnits => relative(self.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::min)),
            Feature::MostUnits => relative(self.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::max)),
            Feature::PlainUnits => relative(self.plain_units()),
            Feature::SimilarUnits => relative(self.similar().0),
            Feature::Similarity => self.similar().1,
            Feature::SimilarBase => relative(self.similar_base(base)),
            Feature::PriceToList => price_to_list(offer),
            Feature::PriceToMean4 => price_to_mean(4),
            Feature::PriceToMean13 => price_to_mean(Week::HISTORY),
            Feature::PriceToLowest => {
                price(offer) / self.history.iter().map(|week| price(&week.offer)).fold(f32::NAN, f32::min)
            }
            Feature::Display => share(offer.display),
            Feature::Mailer => share(offer.mailer),
            Feature::LastPriceToList => self.mean(1, |week| price_to_list(&week.offer)),
            Feature::LastDisplay => self.mean(1, |week| share(week.offer.display)),
            Feature::LastMailer => self.mean(1, |week| share(week.offer.mailer)),
            Feature::MeanPriceToList => self.mean(Week::HISTORY, |week| price_to_list(&week.offer)),
            Feature::MeanDisplay => self.mean(Week::HISTORY, |week| share(week.offer.display)),
            Feature::MeanMailer => self.mean(Week::HISTORY, |week| share(week.offer.mailer)),
            Feature::Horizon => f32::from(self.horizon),
        }
    }

    /// The last weeks with their ages, last first.
    fn last(&self, weeks: usize) -> impl Iterator<Item = &'a Week> {
        self.history.iter().rev().take(weeks)
    }

    /// NaN of no weeks.
    fn mean(&self, weeks: usize, of: impl Fn(&Week) -> f32) -> f32 {
        let weeks = self.last(weeks);
        let (sum, count) = weeks.fold((0.0, 0.0), |(sum, count), week| (sum + of(week), count + 1.0_f32));
        sum / count
    }

    /// Units of a week without promotion, from the last weeks; NaN of none.
    fn base(&self, weeks: usize) -> f32 {
        let (mut units, mut lifts, mut decay) = (0.0, 0.0, 1.0);
        for week in self.last(weeks) {
            units += decay * week.units as f32;
            lifts += decay * lift(&week.offer);
            decay *= DECAY;
        }
        units / lifts
    }

    /// Mean units of the weeks without promotion; NaN of none.
    fn plain_units(&self) -> f32 {
        let plain = self.last(Week::HISTORY).filter(|week| !is_promoted(&week.offer));
        let (units, weeks) =
            plain.fold((0.0, 0.0_f32), |(units, weeks), week| (units + week.units as f32, weeks + 1.0));
        units / weeks
    }

    /// Units of the weeks with an offer like the one to come, and how much such weeks there are.
    fn similar(&self) -> (f32, f32) {
        let (mut units, mut count, mut decay) = (0.0, 0.0, 1.0);
        for week in self.last(Week::HISTORY) {
            let apart = (price(&week.offer) / price(&self.offer) - 1.0).abs() / 0.1;
            let weight = decay * nearness(apart + self.promotion_apart(&week.offer));
            units += weight * week.units as f32;
            count += weight;
            decay *= DECAY;
        }
        (units / count, count)
    }

    /// Units at the list price under a promotion like the one to come.
    fn similar_base(&self, base: f32) -> f32 {
        let (mut units, mut lifts, mut decay) = (0.5 * base * promotion_lift(&self.offer), 0.5, 1.0);
        for week in self.last(Week::HISTORY) {
            let weight = decay * nearness(self.promotion_apart(&week.offer));
            units += weight * week.units as f32;
            lifts += weight / price_to_list(&week.offer);
            decay *= DECAY;
        }
        units / lifts
    }

    /// How far display and mailer are from those to come, in steps of 15 points.
    fn promotion_apart(&self, offer: &Offer) -> f32 {
        ((share(offer.display) - share(self.offer.display)).abs()
            + (share(offer.mailer) - share(self.offer.mailer)).abs())
            / 0.15
    }
}

/// Half at one step, a fifth at two.
fn nearness(apart: f32) -> f32 {
    1.0 / (1.0 + apart * apart)
}

/// How many times the units of a week without promotion an offer usually sells.
fn lift(offer: &Offer) -> f32 {
    promotion_lift(offer) / price_to_list(offer)
}

/// The part of it that display and mailer have.
fn promotion_lift(offer: &Offer) -> f32 {
    (1.0 + 1.5 * share(offer.display)) * (1.0 + 0.5 * share(offer.mailer))
}

/// At least 5 % below the list price, in more than 15 % of displays, or in more than 10 % of mailers.
fn is_promoted(offer: &Offer) -> bool {
    price_to_list(offer) < 0.95 || offer.display.0 > 1_500 || offer.mailer.0 > 1_000
}

fn price_to_list(offer: &Offer) -> f32 {
    price(offer) / offer.list.0 as f32
}

fn price(offer: &Offer) -> f32 {
    offer.price.0 as f32
}

fn share(share: BasisPoints) -> f32 {
    share.0 as f32 / BasisPoints::WHOLE.0 as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;
    use alloc::vec;

    const PLAIN: Offer = offer(200, 0);

    const fn offer(price: i64, display: i32) -> Offer {
        Offer { price: Money(price), list: Money(200), display: BasisPoints(display), mailer: BasisPoints(0) }
    }

    const fn week(units: u32, offer: Offer) -> Week {
        Week { units, offer }
    }

    fn row(history: &[Week], offer: Offer, features: &[Feature]) -> Vec<f32> {
        let mut row = Vec::new();
        Outlook::new(history, offer, 1).unwrap().row(features, &mut row);
        row
    }

    #[test]
    fn a_promotion_that_sold_what_it_usually_does_leaves_the_base() {
        // Half the price and all displays: five times the units.
        let history = [week(40, PLAIN), week(200, offer(100, 10_000))];
        let features = [Feature::Base, Feature::Expected, Feature::PlainUnits, Feature::PriceToMean13];
        assert_eq!(row(&history, PLAIN, &features), [40.0, 40.0, 40.0 / 41.0, 200.0 / 150.0]);
        assert_eq!(row(&history, offer(100, 10_000), &features), [40.0, 200.0, 40.0 / 41.0, 100.0 / 150.0]);
        let means = [Feature::MeanUnits13, Feature::LeastUnits, Feature::MostUnits, Feature::LastUnits];
        assert_eq!(row(&history, PLAIN, &means), [120.0 / 41.0, 40.0 / 41.0, 200.0 / 41.0, 200.0 / 41.0]);
    }

    #[test]
    fn weeks_with_an_offer_like_the_one_to_come_count_most() {
        let history = [week(10, PLAIN), week(30, offer(100, 10_000))];
        let similar = |offer| row(&history, offer, &[Feature::Base, Feature::SimilarUnits]);
        for (offer, units) in [(PLAIN, 10.0), (offer(100, 10_000), 30.0)] {
            let row = similar(offer);
            assert!((row[1] * (row[0] + 1.0) - units).abs() < 0.5, "{row:?} for {units}");
        }
    }

    #[test]
    fn what_looks_back_is_missing_without_history() {
        let back = Feature::ALL.iter().filter(|feature| {
            let known = [Feature::Lift, Feature::PriceToList, Feature::Display, Feature::Mailer, Feature::Horizon];
            !known.contains(feature) && **feature != Feature::Similarity
        });
        for &feature in back {
            assert!(row(&[], PLAIN, &[feature])[0].is_nan(), "{}", feature.name());
        }
    }

    #[test]
    fn only_what_says_so_follows_the_price() {
        let history = vec![week(3, PLAIN), week(9, offer(150, 2_000)), week(4, PLAIN)];
        let at = |price| row(&history, offer(price, 3_000), Feature::ALL);
        for ((&feature, one), other) in Feature::ALL.iter().zip(at(120)).zip(at(180)) {
            assert_eq!(one != other, feature.follows_price(), "{}: {one} and {other}", feature.name());
        }
    }

    #[test]
    fn weeks_of_long_ago_are_forgotten() {
        let mut history = vec![week(1_000, offer(1, 10_000))];
        history.extend([week(5, PLAIN); Week::HISTORY]);
        let all = row(&history, PLAIN, Feature::ALL);
        assert_eq!(all, row(&history[1..], PLAIN, Feature::ALL));
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
