//! A product before a week to come, as models are shown it: the same code for training and for serving.

use crate::{
    domain::{
        check::bad,
        money::BasisPoints,
        offer::{Offer, Week},
    },
    error::Result,
};
use alloc::format;

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
    /// use tradewind_core::{BasisPoints, Money, Source, demand::Outlook, offer::{Offer, Week}};
    ///
    /// let plain = Offer { price: Money(200), list: Money(200), display: BasisPoints(0), mailer: BasisPoints(0) };
    /// let history = [Week::new(plain, 8); 2];
    /// let outlook = Outlook::new(&history, Offer { price: Money(160), ..plain }, 1)?;
    /// let mut row = Vec::new();
    /// outlook.row(&[Source::Base, Source::Lift, Source::Expected], &mut row);
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

    /// What several sources are made of.
    pub(crate) fn facts(self) -> WeekFacts<'a> {
        WeekFacts { outlook: self, base: self.base(Week::HISTORY) }
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

/// A product before a week to come, with what several sources are made of.
#[derive(Debug, Clone, Copy)]
pub struct WeekFacts<'a> {
    outlook: Outlook<'a>,
    /// Units of a week without promotion; NaN without history.
    pub(crate) base: f32,
}

impl WeekFacts<'_> {
    /// How many times the base the offer usually sells.
    pub(crate) fn lift(&self) -> f32 {
        lift(&self.outlook.offer)
    }

    /// A number of units as a multiple of (base + 1).
    pub(crate) fn relative(&self, units: f32) -> f32 {
        units / (self.base + 1.0)
    }

    /// The base of the last weeks alone.
    pub(crate) fn base_of(&self, weeks: usize) -> f32 {
        self.outlook.base(weeks)
    }

    /// Units of a week, on average over the last.
    pub(crate) fn mean_units(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| week.units as f32)
    }

    /// Units of the week with the least.
    pub(crate) fn least_units(&self) -> f32 {
        self.outlook.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::min)
    }

    /// Units of the week with the most.
    pub(crate) fn most_units(&self) -> f32 {
        self.outlook.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::max)
    }

    /// Mean units of the weeks without promotion.
    pub(crate) fn plain_units(&self) -> f32 {
        self.outlook.plain_units()
    }

    /// Units of weeks with an offer like the one to come.
    pub(crate) fn similar_units(&self) -> f32 {
        self.outlook.similar().0
    }

    /// How much such weeks there are.
    pub(crate) fn similarity(&self) -> f32 {
        self.outlook.similar().1
    }

    /// Units at the list price under a promotion like the one to come.
    pub(crate) fn similar_base(&self) -> f32 {
        self.outlook.similar_base(self.base)
    }

    /// The price of the week to come as a share of the list price.
    pub(crate) fn price_to_list(&self) -> f32 {
        price_to_list(&self.outlook.offer)
    }

    /// The same of the last weeks, on average.
    pub(crate) fn mean_price_to_list(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| price_to_list(&week.offer))
    }

    /// The price as a multiple of that of the last weeks on average.
    pub(crate) fn price_to_mean(&self, weeks: usize) -> f32 {
        price(&self.outlook.offer) / self.outlook.mean(weeks, |week| price(&week.offer))
    }

    /// The price as a multiple of the lowest of the last weeks.
    pub(crate) fn price_to_lowest(&self) -> f32 {
        let prices = self.outlook.history.iter().map(|week| price(&week.offer));
        price(&self.outlook.offer) / prices.fold(f32::NAN, f32::min)
    }

    /// The share of displays.
    pub(crate) fn display(&self) -> f32 {
        share(self.outlook.offer.display)
    }

    /// The same of the last weeks, on average.
    pub(crate) fn mean_display(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| share(week.offer.display))
    }

    /// The share of mailers.
    pub(crate) fn mailer(&self) -> f32 {
        share(self.outlook.offer.mailer)
    }

    /// The same of the last weeks, on average.
    pub(crate) fn mean_mailer(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| share(week.offer.mailer))
    }

    /// From the last week to the one to come.
    pub(crate) fn horizon(&self) -> f32 {
        f32::from(self.outlook.horizon)
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
