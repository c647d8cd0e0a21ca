//! Why a product is in a ranking.

use crate::{
    domain::sku::Sku,
    model::moment::{Candidate, Moment},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A fact about the shopper or the product that speaks for it.
///
/// Reasons are the facts that the model was shown, not an account of its arithmetic. Shells have words for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The shopper bought it before.
    BoughtBefore {
        /// In so many orders.
        orders: u32,
        /// The last time so many days ago.
        days_ago: u32,
    },
    /// It is about time to buy it again.
    DueAgain {
        /// Days from one purchase to the next, on average.
        every_days: u32,
    },
    /// The shopper looked at it lately.
    LookedAt,
    /// Those who buy it often buy something that the shopper bought or looked at.
    GoesWith {
        /// That product.
        sku: Sku,
    },
    /// Many buy it.
    Popular {
        /// Of 10,000 orders in the last four weeks, so many contained it.
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
