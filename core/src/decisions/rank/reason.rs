//! Reasons for a product in a ranking.

use crate::{
    domain::sku::Sku,
    model::moment::{Candidate, Moment},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Fact about the shopper or the product that supports the recommendation.
///
/// Reasons are facts that the model reads, not an explanation of its computation. Shells have texts for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The shopper bought it in `orders` orders, the last time `days_ago` days ago.
    BoughtBefore {
        /// Number of orders that contained it.
        orders: u32,
        /// Days since the last of them.
        days_ago: u32,
    },
    /// The shopper is due to buy it again.
    DueAgain {
        /// Mean number of days between purchases.
        every_days: u32,
    },
    /// The shopper viewed it recently.
    LookedAt,
    /// Its buyers often buy a product that the shopper bought or viewed.
    GoesWith {
        /// The other product.
        sku: Sku,
    },
    /// The product is popular.
    Popular {
        /// Orders of the last four weeks that contained it, per 10,000.
        orders_in_10000: u32,
    },
}

/// Reasons for a candidate: actions of the shopper first, then of others. Never empty.
pub fn reasons(moment: &Moment<'_>, candidate: &Candidate) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(interest) = moment.interest(candidate.id) {
        if interest.attention_at(moment.at) >= 0.5 {
            reasons.push(Reason::LookedAt);
        }
        if interest.orders > 0 {
            let days_ago = moment.at.day().since(interest.last).max(0) as u32;
            reasons.push(Reason::BoughtBefore { orders: interest.orders, days_ago });
            if let Some(gap) = interest.mean_gap_days()
                && (0.8..=2.0).contains(&(days_ago as f32 / gap.max(1.0)))
            {
                reasons.push(Reason::DueAgain { every_days: libm::roundf(gap) as u32 });
            }
        }
    }
    if let Some(sku) = candidate.affinity.through.and_then(|through| moment.products.sku(through)) {
        reasons.push(Reason::GoesWith { sku });
    }
    let popularity = moment.products.stats(candidate.id).recent_popularity;
    if popularity >= 0.01 || reasons.is_empty() {
        reasons.push(Reason::Popular { orders_in_10000: libm::roundf(popularity * 10_000.0) as u32 });
    }
    reasons
}
