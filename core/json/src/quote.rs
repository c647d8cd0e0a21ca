//! Prices.

use crate::{Priced, hex};
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Code, Currency, Digest, Millis, Money, Sku,
    quote::{self, Objective, PriceReason, Quote},
};

/// A request for a price.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Comes back in the reply; the decision does not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The moment of the decision.
    pub at: Millis,
    /// The product.
    pub sku: Sku,
    /// Where it is offered.
    pub region: Code,
    /// What the price is for: weights of `margin`, `revenue` and `sell_through`.
    pub objective: Objective,
    /// The price pack, where several are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
}

/// A price.
#[derive(Debug, Clone, Serialize)]
pub struct QuoteReply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The price, and what there is to say of it.
    #[serde(flatten)]
    pub quote: Priced<Quote>,
}

/// A shopper's question for a price: moment and objective are the shop's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRequest {
    /// Comes back in the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The product.
    pub sku: Sku,
    /// Where it is offered; where the shopper is, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Code>,
}

/// A price as everyone may know it: nothing from which floor, margin, stock or demand could be told.
#[derive(Debug, Clone, Serialize)]
pub struct PublicQuote {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The product.
    pub sku: Sku,
    /// The currency of all amounts, which are in its minor units.
    pub currency: Currency,
    /// The price.
    pub price: Money,
    /// The list price.
    pub list: Money,
    /// The lowest price of the 30 days before this price began.
    pub lowest_30_days: Money,
    /// Why: whether it is locked, unchanged, lowered or raised.
    pub reasons: Vec<PriceReason>,
    /// As of when it was decided.
    pub at: Millis,
    /// Until when it holds.
    pub valid_until: Millis,
    /// The root of the snapshot that it was computed from, in hexadecimal digits.
    pub snapshot: String,
}

impl PublicQuote {
    /// What may be known of a quote, decided at a moment over the snapshot of a root.
    pub fn new(quote: &Quote, currency: Currency, at: Millis, snapshot: Digest) -> Self {
        use PriceReason::{Locked, Lowered, Raised, Unchanged};
        let open = |reason: &&PriceReason| matches!(reason, Locked | Unchanged | Lowered | Raised);
        Self {
            id: None,
            sku: quote.sku.clone(),
            currency,
            price: quote.price,
            list: quote.list,
            lowest_30_days: quote.lowest_30_days,
            reasons: quote.reasons.iter().filter(open).copied().collect(),
            at,
            valid_until: quote.valid_until,
            snapshot: hex(&snapshot),
        }
    }
}

impl QuoteRequest {
    /// The message for a module that has loaded the snapshot of a root.
    pub fn message(self, snapshot: Digest) -> quote::QuoteRequest {
        let Self { id: _, at, sku, region, objective, pack } = self;
        quote::QuoteRequest { pack, snapshot, at, sku, region, objective }
    }
}
