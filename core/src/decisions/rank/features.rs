//! What a model is shown of a candidate: the same code for training and for serving.

use super::{candidates::Candidate, moment::Moment, tables::ProductStats};
use crate::{domain::sku::SkuId, model::columns::columns, profile::Interest};
use alloc::vec::Vec;

columns! {
    /// A column of the feature matrix. NaN where it has no value, which trees route as
    /// *missing*.
    pub enum Feature {
        /// Share of the shopper's orders that contain the product.
        OrderShare = "order_share",
        /// The shopper's orders that contain it, each counting 0.90 to the power of the orders since.
        Decayed90 = "decayed_90",
        /// The same with 0.95.
        Decayed95 = "decayed_95",
        /// The same with 0.98.
        Decayed98 = "decayed_98",
        /// Days since the shopper last bought it; NaN if never.
        DaysSince = "days_since",
        /// The shopper's orders since the one that last contained it; NaN if none did.
        OrdersSince = "orders_since",
        /// Days from one purchase of it by the shopper to the next, on average; NaN before the second.
        Gap = "gap",
        /// Days since, as a multiple of that gap (of one day at least); NaN where the gap is.
        Due = "due",
        /// Share of all orders that contain it.
        Popularity = "popularity",
        /// Share of the last four weeks' orders that contain it.
        RecentPopularity = "recent_popularity",
        /// Recent popularity as a multiple of popularity.
        Trend = "trend",
        /// Share of its buyers who bought it again.
        RepeatRate = "repeat_rate",
        /// Days from one purchase to the next over all shoppers, the median; NaN where nobody has two.
        TypicalGap = "typical_gap",
        /// Days since, as a multiple of that gap (of one day at least); NaN where either is.
        TypicalDue = "typical_due",
        /// How well it goes with what the shopper bought or looked at: [`Affinity::sum`](super::Affinity::sum).
        Affinity = "affinity",
        /// The shopper's orders.
        ShopperOrders = "shopper_orders",
        /// Days from one of the shopper's orders to the next, on average; NaN before the second.
        OrderGap = "order_gap",
        /// Different products in one of the shopper's orders, on average; NaN before the first.
        BasketSize = "basket_size",
        /// Days since the shopper's last order; NaN before the first.
        DaysSinceOrder = "days_since_order",
    }
}

impl Moment<'_> {
    /// Appends a candidate's row, one value for each of `features`.
    pub fn row(&self, features: &[Feature], candidate: &Candidate, row: &mut Vec<f32>) {
        let facts = self.facts(candidate.id);
        row.extend(features.iter().map(|&feature| self.value(feature, candidate, &facts).unwrap_or(f32::NAN)));
    }

    /// What several features are made of.
    fn facts(&self, id: SkuId) -> Facts {
        let bought = self.interest(id).filter(|interest| interest.orders > 0);
        let stats = self.tables.stats(id);
        Facts {
            stats,
            typical_gap: (!stats.gap_days.is_nan()).then_some(stats.gap_days),
            orders: bought.map_or(0, |interest| interest.orders),
            decayed: bought.map_or([0.0; 3], |interest| interest.by_order_at(self.profile.orders)),
            days_since: bought.map(|interest| self.at.day().since(interest.last) as f32),
            orders_since: bought.map(|interest| self.profile.orders.saturating_sub(interest.last_order()) as f32),
            gap: bought.and_then(Interest::mean_gap_days),
        }
    }

    /// A feature's value, where it has one.
    fn value(&self, feature: Feature, candidate: &Candidate, facts: &Facts) -> Option<f32> {
        let Self { profile, .. } = self;
        let Facts { stats, decayed, .. } = facts;
        let has_orders = profile.orders > 0;
        match feature {
            Feature::OrderShare => Some(facts.orders as f32 / profile.orders.max(1) as f32),
            Feature::Decayed90 => Some(decayed[0]),
            Feature::Decayed95 => Some(decayed[1]),
            Feature::Decayed98 => Some(decayed[2]),
            Feature::DaysSince => facts.days_since,
            Feature::OrdersSince => facts.orders_since,
            Feature::Gap => facts.gap,
            Feature::Due => facts.due(facts.gap),
            Feature::Popularity => Some(stats.popularity),
            Feature::RecentPopularity => Some(stats.recent_popularity),
            Feature::Trend => Some(stats.recent_popularity / stats.popularity.max(1e-6)),
            Feature::RepeatRate => Some(stats.repeat_rate),
            Feature::TypicalGap => facts.typical_gap,
            Feature::TypicalDue => facts.due(facts.typical_gap),
            Feature::Affinity => Some(candidate.affinity.sum),
            Feature::ShopperOrders => Some(profile.orders as f32),
            Feature::OrderGap => profile.mean_gap_days(),
            Feature::BasketSize => has_orders.then(|| profile.lines as f32 / profile.orders as f32),
            Feature::DaysSinceOrder => has_orders.then(|| self.at.day().since(profile.last) as f32),
        }
    }
}

/// One shopper and one product at one moment.
struct Facts {
    stats: ProductStats,
    typical_gap: Option<f32>,
    orders: u32,
    decayed: [f32; 3],
    days_since: Option<f32>,
    orders_since: Option<f32>,
    gap: Option<f32>,
}

impl Facts {
    /// Days since the last purchase as a multiple of a gap, of one day at least.
    fn due(&self, gap: Option<f32>) -> Option<f32> {
        self.days_since.zip(gap).map(|(days, gap)| days / gap.max(1.0))
    }
}
