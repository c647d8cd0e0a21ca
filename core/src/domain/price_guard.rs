//! Price guards: limits that no price may break.

use super::{
    money::{BasisPoints, Money},
    time::Millis,
};
use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Limits on the price of a product, whatever the model predicts.
///
/// If guards contradict each other, this is their precedence: lock, floor, minimum advertised price, ceiling, day's
/// step, week's step, endings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceGuard {
    /// Lowest price.
    pub floor: Floor,
    /// Highest price.
    pub ceiling: Option<Money>,
    /// Manufacturer's minimum advertised price: no displayed price is below it.
    pub minimum_advertised: Option<Money>,
    /// Maximum change from yesterday's price, as a share of it.
    pub day_step: Option<BasisPoints>,
    /// Maximum change from the price of seven days ago, as a share of it.
    pub week_step: Option<BasisPoints>,
    /// End of the lock; until then the price does not change.
    pub locked_until: Option<Millis>,
}

/// Lowest price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// Price without its cost, for data that must not contain costs.
    Price(Money),
    /// Cost of a unit plus a margin.
    Margin {
        /// Cost of a unit to the merchant.
        cost: Money,
        /// Minimum margin, as a share of the cost.
        margin: BasisPoints,
    },
}

/// Pricing policy for low and excess stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverPolicy {
    /// Weeks that stock should last; below this there is no discount.
    pub short_weeks: u8,
    /// Weeks that stock may last; units beyond this are excess.
    pub long_weeks: u8,
    /// Loss on an excess unit, as a share of its cost.
    pub excess_loss: BasisPoints,
}

/// Price endings: a price is allowed if its remainder by `unit` is one of `endings`. For 4.49 and 4.99 the unit is 100
/// and the endings are 49 and 99. Without endings, every price is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// Minor units after which the endings repeat.
    pub unit: u32,
    /// Minor units below `unit`, ascending.
    #[serde(deserialize_with = "bounded::list::<100, _, _>")]
    pub endings: Vec<u32>,
}

/// Current and past prices of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Current price: the answer if no change is better.
    pub current: Money,
    /// Price at the end of yesterday.
    pub yesterday: Money,
    /// Price seven days ago.
    pub week_ago: Money,
}

/// Guard that limits a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PriceGuard))]
pub enum Bound {
    /// Lowest price, by cost or amount.
    Floor,
    /// Lowest price that may be advertised.
    MinimumAdvertised,
    /// Highest price.
    Ceiling,
    /// Largest change in a day.
    DayStep,
    /// Largest change in a week.
    WeekStep,
    /// Twice or half the current price: no computed price leaves this range.
    Range,
}

/// Range of prices that the guards allow: `low ..= high`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Lowest price, and the guard that sets it.
    pub low: (Money, Bound),
    /// Highest price, and the guard that sets it.
    pub high: (Money, Bound),
}

impl Floor {
    /// Lowest price (at least one minor unit).
    pub fn price(self) -> Money {
        Money(
            match self {
                Self::Price(price) => price.0,
                // Rounded up, so that rounding never reduces the margin.
                Self::Margin { cost, margin } => cost.0 - Money(-cost.0).share(margin).0,
            }
            .max(1),
        )
    }

    /// Cost of a unit; the floor's price if the cost is not known.
    pub const fn cost(self) -> Money {
        match self {
            Self::Price(price) => price,
            Self::Margin { cost, .. } => cost,
        }
    }
}

impl PriceGuard {
    /// Creates a guard with only a floor.
    pub const fn above(floor: Floor) -> Self {
        Self { floor, ceiling: None, minimum_advertised: None, day_step: None, week_step: None, locked_until: None }
    }

    /// Range of prices allowed at a moment without a lock.
    pub fn window(&self, past: &Past) -> Window {
        let mut low = (self.floor.price(), Bound::Floor);
        if let Some(advertised) = self.minimum_advertised.filter(|&advertised| advertised > low.0) {
            low = (advertised, Bound::MinimumAdvertised);
        }
        let high = (self.ceiling.unwrap_or(Money::MAX).max(low.0), Bound::Ceiling);
        let mut window = Window { low, high };
        let steps = [(self.day_step, past.yesterday, Bound::DayStep), (self.week_step, past.week_ago, Bound::WeekStep)];
        for (step, from, bound) in steps {
            if let Some(step) = step {
                let most = from.share(step).0;
                window = window.within(Money(from.0 - most), Money(from.0 + most), bound);
            }
        }
        window.within(Money(past.current.0.div_euclid(2)), Money(past.current.0 * 2), Bound::Range)
    }

    /// Checks a received guard.
    pub(crate) fn check(&self) -> Result<()> {
        let (amount, margin) = match self.floor {
            Floor::Price(price) => (price, BasisPoints(0)),
            Floor::Margin { cost, margin } => (cost, margin),
        };
        let ceiling = self.ceiling.unwrap_or_default();
        let advertised = self.minimum_advertised.unwrap_or_default();
        for (amount, what) in [(amount, "floor"), (ceiling, "ceiling"), (advertised, "minimum_advertised")] {
            amount.check(what)?;
            if amount.0 < 0 {
                return Err(Error::new(ErrorKind::BadRequest, format!("`{what}` is negative: {}", amount.0)));
            }
        }
        margin.check("margin")?;
        self.day_step.unwrap_or_default().check("day_step")?;
        self.week_step.unwrap_or_default().check("week_step")?;
        self.floor.price().check("the floor with its margin")
    }
}

impl Window {
    /// Intersects the window with `low ..= high`; if the intersection is empty, the result is the nearest end of this
    /// window.
    fn within(self, low: Money, high: Money, bound: Bound) -> Self {
        let tighten = |end: (Money, Bound), to: Money| {
            let clamped = to.clamp(self.low.0, self.high.0);
            if clamped == end.0 { end } else { (clamped, bound) }
        };
        let low = if low > self.low.0 { tighten(self.low, low) } else { self.low };
        let high = if high < self.high.0 { tighten(self.high, high) } else { self.high };
        Self { low, high }
    }

    /// Allowed price nearest to `price`.
    pub fn nearest(&self, price: Money) -> Money {
        price.clamp(self.low.0, self.high.0)
    }

    /// Whether a price is allowed.
    pub fn allows(&self, price: Money) -> bool {
        self.nearest(price) == price
    }
}

impl Rounding {
    /// Maximum number of prices on a ladder.
    pub const MAX_LADDER: usize = 64;

    /// Candidate prices, ascending: allowed prices with the right endings, thinned evenly to
    /// [`MAX_LADDER`](Self::MAX_LADDER), and the current price if it is allowed. Never empty.
    pub fn ladder(&self, window: &Window, current: Money) -> Vec<Money> {
        let (first, past) = (self.rank(window.low.0), self.rank(Money(window.high.0.0 + 1)));
        let count = past - first;
        let taken = count.min(Self::MAX_LADDER as i64 - 1);
        let mut ladder: Vec<Money> = (0..taken)
            .map(|n| self.price(first + if taken > 1 { n * (count - 1) / (taken - 1) } else { count / 2 }))
            .collect();
        if window.allows(current) {
            if let Err(place) = ladder.binary_search(&current) {
                ladder.insert(place, current);
            }
        } else if ladder.is_empty() {
            ladder.push(window.nearest(current));
        }
        ladder
    }

    /// Number of prices with the right endings in `0..price`.
    fn rank(&self, price: Money) -> i64 {
        if self.endings.is_empty() {
            return price.0;
        }
        let (whole, rest) = (price.0 / i64::from(self.unit), price.0 % i64::from(self.unit));
        let below = self.endings.iter().filter(|&&ending| i64::from(ending) < rest).count();
        whole * self.endings.len() as i64 + below as i64
    }

    /// Price at a rank.
    fn price(&self, rank: i64) -> Money {
        let len = self.endings.len() as i64;
        match self.endings.get(rank.rem_euclid(len.max(1)) as usize) {
            None => Money(rank),
            Some(&ending) => Money(rank / len * i64::from(self.unit) + i64::from(ending)),
        }
    }

    /// Checks received endings.
    pub(crate) fn check(&self) -> Result<()> {
        let ascending = self.endings.windows(2).all(|pair| pair[0] < pair[1]);
        if self.unit == 0 || !ascending || self.endings.last().is_some_and(|&last| last >= self.unit) {
            let message = String::from("`rounding` needs a unit above 0, and endings below it, ascending");
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const STILL: fn(i64) -> Past =
        |price| Past { current: Money(price), yesterday: Money(price), week_ago: Money(price) };

    #[test]
    fn a_floor_is_rounded_up() {
        let floor = Floor::Margin { cost: Money(333), margin: BasisPoints(2_000) };
        assert_eq!(floor.price(), Money(400), "333 and a fifth is 399.6");
    }

    #[test]
    fn guards_apply_in_order_of_precedence() {
        let guard = PriceGuard {
            ceiling: Some(Money(1_100)),
            minimum_advertised: Some(Money(900)),
            day_step: Some(BasisPoints(500)),
            ..PriceGuard::above(Floor::Price(Money(500)))
        };
        let window = guard.window(&STILL(1_000));
        assert_eq!((window.low, window.high), ((Money(950), Bound::DayStep), (Money(1_050), Bound::DayStep)));
        // The manufacturer's minimum exceeds the reach of a day's step: the minimum has precedence.
        let raised = PriceGuard { minimum_advertised: Some(Money(1_080)), ..guard.clone() };
        assert_eq!(raised.window(&STILL(1_000)).low, (Money(1_080), Bound::MinimumAdvertised));
        // A floor above the ceiling also has precedence.
        let contradictory = PriceGuard { floor: Floor::Price(Money(2_000)), ..guard };
        assert_eq!(contradictory.window(&STILL(1_000)).nearest(Money(1_000)), Money(2_000));
    }

    #[test]
    fn a_ladder_has_retail_endings_and_the_current_price() {
        let rounding = Rounding { unit: 100, endings: vec![49, 99] };
        let guard = PriceGuard { ceiling: Some(Money(320)), ..PriceGuard::above(Floor::Price(Money(150))) };
        let ladder = rounding.ladder(&guard.window(&STILL(210)), Money(210));
        assert_eq!(ladder, [199, 210, 249, 299].map(Money));
        let any = Rounding { unit: 1, endings: vec![] };
        assert_eq!(any.ladder(&guard.window(&STILL(20_000)), Money(20_000)).last(), Some(&Money(320)));
    }

    fn amounts() -> impl Strategy<Value = Money> {
        prop_oneof![0..2_000_i64, 0..=Money::MAX.0].prop_map(Money)
    }

    fn rates() -> impl Strategy<Value = Option<BasisPoints>> {
        proptest::option::of((0..30_000).prop_map(BasisPoints))
    }

    prop_compose! {
        fn guards()(
            price in amounts(), cost in amounts(), margin in 0..20_000_i32, with_cost: bool,
            ceiling in proptest::option::of(amounts()), advertised in proptest::option::of(amounts()),
            day_step in rates(), week_step in rates(),
        ) -> PriceGuard {
            let cost = Money(cost.0 / 4);
            let floor = if with_cost { Floor::Margin { cost, margin: BasisPoints(margin) } } else { Floor::Price(price) };
            PriceGuard { floor, ceiling, minimum_advertised: advertised, day_step, week_step, locked_until: None }
        }
    }

    proptest! {
        #[test]
        fn every_price_on_a_ladder_is_allowed(
            guard in guards(), current in amounts(), yesterday in amounts(), week_ago in amounts(),
            unit in 1..200_u32, endings in proptest::collection::btree_set(0..200_u32, 0..4),
        ) {
            prop_assume!(guard.check().is_ok());
            let rounding = Rounding { unit, endings: endings.into_iter().filter(|&ending| ending < unit).collect() };
            prop_assert!(rounding.check().is_ok());
            let window = guard.window(&Past { current, yesterday, week_ago });
            let ladder = rounding.ladder(&window, current);
            prop_assert!(!ladder.is_empty() && ladder.len() <= Rounding::MAX_LADDER);
            prop_assert!(ladder.windows(2).all(|pair| pair[0] < pair[1]));
            for price in ladder {
                prop_assert!(window.allows(price), "{price:?} of {window:?}");
                prop_assert!(price >= guard.floor.price());
                prop_assert!(guard.minimum_advertised.is_none_or(|advertised| price >= advertised));
                let hard = guard.floor.price().max(guard.minimum_advertised.unwrap_or_default());
                prop_assert!(guard.ceiling.is_none_or(|ceiling| price <= ceiling.max(hard)));
            }
        }
    }
}
