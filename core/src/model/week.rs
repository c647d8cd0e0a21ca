//! Facts about a product and a coming week; the same code for training and for serving.

use crate::{
    domain::{
        check::bad,
        money::BasisPoints,
        offer::{Offer, Week},
    },
    error::Result,
};
use alloc::format;

/// Weight of a week, as a multiple of the following week's.
const DECAY: f32 = 0.9;

/// Product with its past weeks, and the offer of a coming week.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    history: &'a [Week],
    offer: Offer,
    horizon: u8,
}

impl<'a> Outlook<'a> {
    /// Last week that can be forecast, counted from the last past week.
    pub const MAX_HORIZON: u8 = 4;

    /// Creates the outlook for the week that is `horizon` weeks after the last past week; `history` has the past weeks
    /// without gaps, oldest first, and `offer` is the offer of the coming week.
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
    /// [`BadRequest`](crate::ErrorKind::BadRequest) for an invalid offer or horizon.
    pub fn new(history: &'a [Week], offer: Offer, horizon: u8) -> Result<Self> {
        let history = history.get(history.len().saturating_sub(Week::HISTORY)..).unwrap_or_default();
        history.iter().try_for_each(|week| week.offer.check())?;
        offer.check()?;
        if !(1..=Self::MAX_HORIZON).contains(&horizon) {
            return Err(bad(format!("a horizon of {horizon} weeks, not 1 to {}", Self::MAX_HORIZON)));
        }
        Ok(Self { history, offer, horizon })
    }

    /// Facts shared by several sources.
    pub(crate) fn facts(self) -> WeekFacts<'a> {
        WeekFacts { outlook: self, base: self.base(Week::HISTORY) }
    }

    /// Last `weeks` weeks, newest first.
    fn last(&self, weeks: usize) -> impl Iterator<Item = &'a Week> {
        self.history.iter().rev().take(weeks)
    }

    /// Mean of a value over the last `weeks` weeks; NaN without weeks.
    fn mean(&self, weeks: usize, of: impl Fn(&Week) -> f32) -> f32 {
        let weeks = self.last(weeks);
        let (sum, count) = weeks.fold((0.0, 0.0), |(sum, count), week| (sum + of(week), count + 1.0_f32));
        sum / count
    }

    /// Units of a week without promotion, estimated from the last `weeks` weeks; NaN without weeks.
    fn base(&self, weeks: usize) -> f32 {
        let (mut units, mut lifts, mut decay) = (0.0, 0.0, 1.0);
        for week in self.last(weeks) {
            units += decay * week.units as f32;
            lifts += decay * lift(&week.offer);
            decay *= DECAY;
        }
        units / lifts
    }

    /// Mean units of weeks without promotion; NaN without such weeks.
    fn plain_units(&self) -> f32 {
        let plain = self.last(Week::HISTORY).filter(|week| !is_promoted(&week.offer));
        let (units, weeks) =
            plain.fold((0.0, 0.0_f32), |(units, weeks), week| (units + week.units as f32, weeks + 1.0));
        units / weeks
    }

    /// Mean units of weeks with an offer similar to the coming one, and the sum of their weights.
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

    /// Units at the list price under a promotion similar to the coming one.
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

    /// Distance of display and mailer from the coming week's, in steps of 15 percentage points.
    fn promotion_apart(&self, offer: &Offer) -> f32 {
        ((share(offer.display) - share(self.offer.display)).abs()
            + (share(offer.mailer) - share(self.offer.mailer)).abs())
            / 0.15
    }
}

/// [`Outlook`] with facts shared by several sources.
#[derive(Debug, Clone, Copy)]
pub struct WeekFacts<'a> {
    outlook: Outlook<'a>,
    /// Units of a week without promotion; NaN without history.
    pub(crate) base: f32,
}

impl WeekFacts<'_> {
    /// Usual units under the coming offer, as a multiple of the base.
    pub(crate) fn lift(&self) -> f32 {
        lift(&self.outlook.offer)
    }

    /// Divides a number of units by (base + 1).
    pub(crate) fn relative(&self, units: f32) -> f32 {
        units / (self.base + 1.0)
    }

    /// Base computed from the last `weeks` weeks only.
    pub(crate) fn base_of(&self, weeks: usize) -> f32 {
        self.outlook.base(weeks)
    }

    /// Mean weekly units of the last `weeks` weeks.
    pub(crate) fn mean_units(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| week.units as f32)
    }

    /// Minimum weekly units.
    pub(crate) fn least_units(&self) -> f32 {
        self.outlook.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::min)
    }

    /// Maximum weekly units.
    pub(crate) fn most_units(&self) -> f32 {
        self.outlook.history.iter().map(|week| week.units as f32).fold(f32::NAN, f32::max)
    }

    /// Mean units of weeks without promotion.
    pub(crate) fn plain_units(&self) -> f32 {
        self.outlook.plain_units()
    }

    /// Mean units of weeks with an offer similar to the coming one.
    pub(crate) fn similar_units(&self) -> f32 {
        self.outlook.similar().0
    }

    /// Sum of the weights of such weeks.
    pub(crate) fn similarity(&self) -> f32 {
        self.outlook.similar().1
    }

    /// Units at the list price under a promotion similar to the coming one.
    pub(crate) fn similar_base(&self) -> f32 {
        self.outlook.similar_base(self.base)
    }

    /// Price of the coming week as a share of the list price.
    pub(crate) fn price_to_list(&self) -> f32 {
        price_to_list(&self.outlook.offer)
    }

    /// Mean of that share over the last `weeks` weeks.
    pub(crate) fn mean_price_to_list(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| price_to_list(&week.offer))
    }

    /// Price divided by the mean price of the last `weeks` weeks.
    pub(crate) fn price_to_mean(&self, weeks: usize) -> f32 {
        price(&self.outlook.offer) / self.outlook.mean(weeks, |week| price(&week.offer))
    }

    /// Price divided by the lowest price of the past weeks.
    pub(crate) fn price_to_lowest(&self) -> f32 {
        let prices = self.outlook.history.iter().map(|week| price(&week.offer));
        price(&self.outlook.offer) / prices.fold(f32::NAN, f32::min)
    }

    /// Share of displays.
    pub(crate) fn display(&self) -> f32 {
        share(self.outlook.offer.display)
    }

    /// Mean share of displays over the last `weeks` weeks.
    pub(crate) fn mean_display(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| share(week.offer.display))
    }

    /// Share of mailers.
    pub(crate) fn mailer(&self) -> f32 {
        share(self.outlook.offer.mailer)
    }

    /// Mean share of mailers over the last `weeks` weeks.
    pub(crate) fn mean_mailer(&self, weeks: usize) -> f32 {
        self.outlook.mean(weeks, |week| share(week.offer.mailer))
    }

    /// Weeks from the last past week to the coming one.
    pub(crate) fn horizon(&self) -> f32 {
        f32::from(self.outlook.horizon)
    }
}

/// Weight of a week at a distance: a half at one step, a fifth at two.
fn nearness(apart: f32) -> f32 {
    1.0 / (1.0 + apart * apart)
}

/// Usual units under an offer, as a multiple of those without promotion.
fn lift(offer: &Offer) -> f32 {
    promotion_lift(offer) / price_to_list(offer)
}

/// Part of the lift that comes from display and mailer.
fn promotion_lift(offer: &Offer) -> f32 {
    (1.0 + 1.5 * share(offer.display)) * (1.0 + 0.5 * share(offer.mailer))
}

/// Whether an offer is a promotion: at least 5 % below the list price, in more than 15 % of displays, or in more than
/// 10 % of mailers.
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
