//! A shopper at one moment.

use crate::{domain::time::Millis, profile::Profile};

/// Facts about a shopper at a moment, from the profile.
#[derive(Debug, Clone, Copy)]
pub struct Shopper<'a> {
    profile: &'a Profile,
    at: Millis,
}

impl<'a> Shopper<'a> {
    /// Creates the facts about a profile's shopper at a moment.
    pub const fn new(profile: &'a Profile, at: Millis) -> Self {
        Self { profile, at }
    }

    /// Orders placed.
    pub fn orders(&self) -> f32 {
        self.profile.orders as f32
    }

    /// Mean number of days between orders; NaN before the second.
    pub fn order_gap(&self) -> f32 {
        self.profile.mean_gap_days().unwrap_or(f32::NAN)
    }

    /// Mean number of different products in an order; NaN before the first.
    pub fn basket_size(&self) -> f32 {
        self.profile.lines as f32 / self.after_first(self.profile.orders as f32)
    }

    /// Days since the last order; NaN before the first.
    pub fn days_since_order(&self) -> f32 {
        self.after_first(self.at.day().since(self.profile.last) as f32)
    }

    /// Days since the first order; NaN before it.
    pub fn days_since_first_order(&self) -> f32 {
        self.after_first(self.at.day().since(self.profile.first) as f32)
    }

    /// Days since the last order, divided by the gap between orders (at least one day); NaN before the second.
    pub fn order_due(&self) -> f32 {
        self.days_since_order() / self.order_gap().max(1.0)
    }

    /// Days with a known order among the last `days` (at most 127): days on which a product in the profile was bought
    /// for the first or last time.
    pub fn order_days(&self, days: u32) -> f32 {
        let today = self.at.day();
        let mut known = 0_u128;
        let bought = self.profile.items().iter().filter(|item| item.orders > 0);
        for day in bought.flat_map(|item| [item.first, item.last]) {
            let since = u32::try_from(today.since(day)).unwrap_or(u32::MAX);
            if since <= days {
                known |= 1_u128.checked_shl(since).unwrap_or_default();
            }
        }
        known.count_ones() as f32
    }

    /// Returns the value, or NaN before the first order.
    fn after_first(&self, value: f32) -> f32 {
        if self.profile.orders > 0 { value } else { f32::NAN }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{line::Line, sku::Sku},
        profile::event::{Channel, Event, EventKind},
    };
    use alloc::format;

    fn after(orders: &[(i64, &[usize])]) -> Profile {
        let mut profile = Profile::default();
        for (day, codes) in orders {
            let lines = codes.iter().map(|code| Line { sku: Sku::new(format!("{code}")).unwrap(), quantity: 1 });
            let kind = EventKind::Purchase { lines: lines.collect() };
            profile.apply(&Event { at: Millis(day * Millis::DAY), channel: Channel::Web, kind });
        }
        profile
    }

    #[test]
    fn order_days_are_first_and_last_purchases_of_products() {
        // The second of the three orders of 1 is the first one of 2.
        let profile = after(&[(10, &[1]), (20, &[1, 2]), (40, &[1, 2])]);
        let shopper = Shopper::new(&profile, Millis(50 * Millis::DAY));
        let known = [9, 10, 29, 30, 40].map(|days| shopper.order_days(days));
        assert_eq!(known, [0.0, 1.0, 1.0, 2.0, 3.0]);
        assert_eq!((shopper.days_since_order(), shopper.order_gap(), shopper.order_due()), (10.0, 15.0, 10.0 / 15.0));
        assert_eq!(shopper.days_since_first_order(), 40.0);
    }

    #[test]
    fn an_empty_profile_has_no_facts() {
        let profile = Profile::default();
        let shopper = Shopper::new(&profile, Millis(0));
        assert_eq!((shopper.orders(), shopper.order_days(84)), (0.0, 0.0));
        for unknown in [
            shopper.order_gap(),
            shopper.basket_size(),
            shopper.days_since_order(),
            shopper.days_since_first_order(),
            shopper.order_due(),
        ] {
            assert!(unknown.is_nan());
        }
    }
}
