//! Why a product is in a ranking.

use crate::{
    domain::sku::Sku,
    model::moment::{Candidate, Moment},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Reason for a ranked product: a fact about the shopper or the product.
///
/// Reasons are the facts that the model was shown, not an account of its arithmetic. Shells have words for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The shopper bought it in `orders` orders, the last time `days_ago` days ago.
    BoughtBefore {
        /// Number of orders.
        orders: u32,
        /// Days since the last order.
        days_ago: u32,
    },
    /// It is about time to buy it again: the shopper buys it every `every_days` days.
    DueAgain {
        /// Mean number of days from one purchase to the next.
        every_days: u32,
    },
    /// The shopper viewed it recently.
    LookedAt,
    /// It is often bought together with the product `sku`, which the shopper bought or viewed.
    GoesWith {
        /// The other product.
        sku: Sku,
    },
    /// Of 10,000 orders in the last four weeks, `orders_in_10000` contained it.
    Popular {
        /// Number of orders, of 10,000.
        orders_in_10000: u32,
    },
}

/// The reasons for a candidate: what the shopper did first, then what others do. There is always one.
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
    if let Some(sku) = candidate.affinity.through.and_then(|through| moment.tables.catalog.sku(through)) {
        reasons.push(Reason::GoesWith { sku });
    }
    let popularity = moment.tables.stats(candidate.id).recent_popularity;
    if popularity >= 0.01 || reasons.is_empty() {
        reasons.push(Reason::Popular { orders_in_10000: libm::roundf(popularity * 10_000.0) as u32 });
    }
    reasons
}
