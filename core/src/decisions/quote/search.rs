//! Choice among the allowed prices.

use crate::{
    domain::{
        money::{BasisPoints, Money},
        price_guard::{Bound, CoverPolicy, Past, PriceGuard, Rounding, Window},
    },
    error::{Error, ErrorKind, Result},
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Objective of a price, as weights; only their proportions matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Objective {
    /// Weight of the margin: revenue minus cost.
    pub margin: u16,
    /// Weight of the revenue.
    pub revenue: u16,
    /// Weight of units sold, each valued at the current price.
    pub sell_through: u16,
}

/// Reason for a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PriceReason {
    /// The price is locked.
    Locked,
    /// The model failed, or the product has no sales, so the price is not changed.
    ModelFault,
    /// No allowed price serves the objective better than the current one.
    Unchanged,
    /// A lower price serves the objective better.
    Lowered,
    /// A higher price serves the objective better.
    Raised,
    /// Stock is low, so there is no discount.
    StockShort,
    /// Stock is in excess, so selling units is worth more.
    StockLong,
    /// The price is at the limit of this guard.
    Held(Bound),
}

/// Inputs of a price, except the response of demand.
#[derive(Debug)]
pub struct Terms<'a> {
    /// Limits on the price.
    pub guard: &'a PriceGuard,
    /// Whether the price is locked.
    pub locked: bool,
    /// Price endings.
    pub rounding: &'a Rounding,
    /// Current and past prices.
    pub past: Past,
    /// Objective of the price.
    pub objective: Objective,
    /// Units that can be sold; `None` if unknown.
    pub stock: Option<u64>,
    /// Pricing policy for low and excess stock.
    pub cover: CoverPolicy,
}

/// Candidate prices, for which the model predicts units.
#[derive(Debug, PartialEq, Eq)]
pub struct Ladder {
    /// Prices, ascending; never empty.
    pub prices: Vec<Money>,
    window: Window,
}

/// Price with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Price.
    pub price: Money,
    /// Expected weekly units at the price; `None` if the model failed.
    pub units: Option<f32>,
    /// Relative change of units for a relative change of price, between the adjacent prices of the ladder.
    pub elasticity: Option<f32>,
    /// Reasons for the price.
    pub reasons: Vec<PriceReason>,
}

/// Maximum plausible weekly units of a product; a greater output is invalid.
const MAX_UNITS: f32 = 1e9;

impl Objective {
    /// Margin alone.
    pub const MARGIN: Self = Self { margin: 1, revenue: 0, sell_through: 0 };

    /// Checks a received objective.
    pub(crate) fn check(self) -> Result<()> {
        if (self.margin, self.revenue, self.sell_through) == (0, 0, 0) {
            let message = String::from("the objective has no weights; set margin, revenue or sell_through");
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        Ok(())
    }
}

impl Terms<'_> {
    /// Candidate prices.
    pub fn ladder(&self) -> Ladder {
        let window = self.guard.window(&self.past);
        let prices = match self.locked {
            true => Vec::from([self.past.current]),
            false => self.rounding.ladder(&window, self.past.current),
        };
        Ladder { prices, window }
    }

    /// Selects the best price of the ladder for the weekly `units` at each price, or `None` if the model failed.
    ///
    /// The current price, or the nearest allowed one, stays unless another is better.
    pub fn choose(&self, ladder: &Ladder, units: Option<&[f32]>) -> Choice {
        let Ladder { prices, window } = ladder;
        let stays = if self.locked { self.past.current } else { window.nearest(self.past.current) };
        let usable =
            |units: &&[f32]| units.len() == prices.len() && units.iter().all(|units| (0.0..=MAX_UNITS).contains(units));
        let Some(units) = units.filter(usable) else {
            let mut reasons = Vec::from([PriceReason::ModelFault]);
            self.held(window, stays, &mut reasons);
            return Choice { price: stays, units: None, elasticity: None, reasons };
        };
        // If that price is not on the ladder because of its ending, use the nearest price of the ladder.
        let home = nearest(prices, stays);
        let weekly = |place: usize| units.get(place).copied().map_or(0.0, f64::from);
        let cover = |weeks: u8| weekly(home) * f64::from(weeks);
        let short = self.stock.is_some_and(|stock| (stock as f64) < cover(self.cover.short_weeks));
        let long = self.stock.is_some_and(|stock| stock as f64 > cover(self.cover.long_weeks));
        let mut best = home;
        for (place, &price) in prices.iter().enumerate() {
            let discount = short && price < self.past.current;
            if !discount && self.value(price, weekly(place)) > self.value(prices[best], weekly(best)) {
                best = place;
            }
        }
        let price = prices[best];
        let mut reasons = Vec::from([match price.cmp(&self.past.current) {
            _ if self.locked => PriceReason::Locked,
            core::cmp::Ordering::Less => PriceReason::Lowered,
            core::cmp::Ordering::Equal => PriceReason::Unchanged,
            core::cmp::Ordering::Greater => PriceReason::Raised,
        }]);
        if short {
            reasons.push(PriceReason::StockShort);
        }
        if long {
            reasons.push(PriceReason::StockLong);
        }
        self.held(window, price, &mut reasons);
        let (below, above) = (best.saturating_sub(1), (best + 1).min(prices.len() - 1));
        let slope = relative(weekly(below), weekly(above)) / relative(prices[below].0 as f64, prices[above].0 as f64);
        Choice {
            price,
            units: units.get(best).copied(),
            elasticity: slope.is_finite().then_some(slope as f32),
            reasons,
        }
    }

    /// Weekly value of a price, in minor units.
    fn value(&self, price: Money, weekly: f64) -> f64 {
        let cost = self.guard.floor.cost().0 as f64;
        let price = price.0 as f64;
        let mut sold = weekly;
        let mut excess = 0.0;
        if let Some(stock) = self.stock {
            let (stock, long) = (stock as f64, f64::from(self.cover.long_weeks.max(1)));
            // Weekly sales that stock allows over the shortest period that it should last.
            sold = sold.min(stock / f64::from(self.cover.short_weeks.max(1)));
            excess = (stock / long - weekly).max(0.0);
        }
        let lost = excess * cost * f64::from(self.cover.excess_loss.0) / f64::from(BasisPoints::WHOLE.0);
        let Objective { margin, revenue, sell_through } = self.objective;
        f64::from(margin) * (sold * (price - cost) - lost)
            + f64::from(revenue) * (sold * price - lost)
            + f64::from(sell_through) * (sold * self.past.current.0 as f64 - lost)
    }

    /// Adds the guards that limit a price.
    fn held(&self, window: &Window, price: Money, reasons: &mut Vec<PriceReason>) {
        if !self.locked {
            let ends = [window.low, window.high];
            reasons.extend(ends.iter().filter(|end| end.0 == price).map(|end| PriceReason::Held(end.1)));
        }
    }
}

/// Index of the price nearest to `to`; the lower of two.
fn nearest(prices: &[Money], to: Money) -> usize {
    let mut best = 0;
    for (place, price) in prices.iter().enumerate() {
        if (price.0 - to.0).abs() < (prices[best].0 - to.0).abs() {
            best = place;
        }
    }
    best
}

/// Change from `a` to `b`, relative to their mean.
fn relative(a: f64, b: f64) -> f64 {
    2.0 * (b - a) / (a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::price_guard::Floor;
    use alloc::vec;
    use proptest::prelude::*;

    /// Weekly units at a price, for a product with a constant elasticity of −2 that sells 100 at 10.00.
    fn response(price: Money) -> f32 {
        let relative = price.0 as f32 / 1_000.0;
        100.0 / (relative * relative)
    }

    fn choice(cost: i64, stock: Option<u64>, objective: Objective) -> Choice {
        let guard = PriceGuard::above(Floor::Margin { cost: Money(cost), margin: BasisPoints(0) });
        let rounding = Rounding { unit: 10, endings: vec![9] };
        let past = Past { current: Money(1_000), yesterday: Money(1_000), week_ago: Money(1_000) };
        let cover = CoverPolicy { short_weeks: 2, long_weeks: 10, excess_loss: BasisPoints(5_000) };
        let terms = Terms { guard: &guard, locked: false, rounding: &rounding, past, objective, stock, cover };
        let ladder = terms.ladder();
        let units: Vec<f32> = ladder.prices.iter().map(|&price| response(price)).collect();
        terms.choose(&ladder, Some(&units))
    }

    #[test]
    fn the_best_margin_is_found() {
        // With an elasticity of −2 the best price is twice the cost.
        let found = choice(450, None, Objective::MARGIN);
        assert!((860..=940).contains(&found.price.0), "{found:?}");
        assert_eq!(found.reasons, [PriceReason::Lowered]);
        assert!(found.elasticity.is_some_and(|elasticity| (-2.2..-1.8).contains(&elasticity)), "{found:?}");
    }

    #[test]
    fn low_stock_is_not_discounted_and_excess_stock_is() {
        let short = choice(400, Some(150), Objective::MARGIN);
        assert!(short.price >= Money(1_000) && short.reasons.contains(&PriceReason::StockShort), "{short:?}");
        let [enough, long] = [500, 5_000].map(|stock| choice(600, Some(stock), Objective::MARGIN));
        assert!(long.price < enough.price && long.reasons.contains(&PriceReason::StockLong), "{long:?} {enough:?}");
    }

    #[test]
    fn an_invalid_output_keeps_the_price() {
        let guard = PriceGuard::above(Floor::Price(Money(1_200)));
        let rounding = Rounding { unit: 1, endings: vec![] };
        let past = Past { current: Money(1_000), yesterday: Money(1_000), week_ago: Money(1_000) };
        let cover = CoverPolicy { short_weeks: 2, long_weeks: 10, excess_loss: BasisPoints(0) };
        let objective = Objective::MARGIN;
        let terms = Terms { guard: &guard, locked: false, rounding: &rounding, past, objective, stock: None, cover };
        let ladder = terms.ladder();
        for nonsense in [f32::NAN, f32::INFINITY, -1.0, 1e30] {
            let choice = terms.choose(&ladder, Some(&vec![nonsense; ladder.prices.len()]));
            assert_eq!(choice.price, Money(1_200), "the nearest price that the floor allows");
            assert_eq!(choice.reasons, [PriceReason::ModelFault, PriceReason::Held(Bound::Floor)]);
        }
    }

    proptest! {
        #[test]
        fn no_output_of_a_model_breaks_a_guard(
            floor in 1..5_000_i64, ceiling in proptest::option::of(1..5_000_i64), current in 0..5_000_i64,
            step in proptest::option::of(0..9_000_i32), stock in proptest::option::of(0..10_000_u64),
            weights in (0..3_u16, 0..3_u16, 1..3_u16), seed: u32, locked: bool,
        ) {
            let guard = PriceGuard {
                ceiling: ceiling.map(Money), day_step: step.map(BasisPoints), ..PriceGuard::above(Floor::Price(Money(floor)))
            };
            let rounding = Rounding { unit: 10, endings: vec![5, 9] };
            let past = Past { current: Money(current), yesterday: Money(current), week_ago: Money(current) };
            let cover = CoverPolicy { short_weeks: 1, long_weeks: 9, excess_loss: BasisPoints(1_000) };
            let objective = Objective { margin: weights.0, revenue: weights.1, sell_through: weights.2 };
            let terms = Terms { guard: &guard, locked, rounding: &rounding, past, objective, stock, cover };
            let ladder = terms.ladder();
            // Arbitrary outputs: any bit pattern, and one value too many.
            let mut bits = seed;
            let units: Vec<f32> = (0..ladder.prices.len() + usize::from(seed % 11 == 0))
                .map(|_| { bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); f32::from_bits(bits) })
                .collect();
            for units in [Some(&units[..]), None] {
                let Choice { price, .. } = terms.choose(&ladder, units);
                match locked {
                    true => prop_assert_eq!(price, past.current),
                    false => prop_assert!(guard.window(&past).allows(price)),
                }
            }
        }
    }
}
