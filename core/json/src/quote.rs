//! Prices in JSON.

use crate::{Priced, hex};
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Code, Currency, Digest, Millis, Money, Sku,
    quote::{self, Objective, PriceReason, Quote},
};

/// Request for a price.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Identifier that the reply repeats; the decision does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Moment of the decision.
    pub at: Millis,
    /// Product.
    pub sku: Sku,
    /// Region in which it is offered.
    pub region: Code,
    /// Objective of the price: weights of `margin`, `revenue` and `sell_through`.
    pub objective: Objective,
    /// Price pack, if several are loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
}

/// Reply with a price.
#[derive(Debug, Clone, Serialize)]
pub struct QuoteReply {
    /// Identifier from the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Price, with its reasons.
    #[serde(flatten)]
    pub quote: Priced<Quote>,
}

/// Request of a shopper for a price; the shop supplies moment and objective.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRequest {
    /// Identifier that the reply repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Product.
    pub sku: Sku,
    /// Region in which it is offered; the shopper's region if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Code>,
}

/// Public price, without data that would reveal floor, margin, stock or demand.
#[derive(Debug, Clone, Serialize)]
pub struct PublicQuote {
    /// Identifier from the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Product.
    pub sku: Sku,
    /// Currency of all amounts, which are in its minor units.
    pub currency: Currency,
    /// Price.
    pub price: Money,
    /// List price.
    pub list: Money,
    /// Lowest price of the 30 days before this price began.
    pub lowest_30_days: Money,
    /// Reasons: locked, unchanged, lowered or raised.
    pub reasons: Vec<PriceReason>,
    /// Moment of the decision.
    pub at: Millis,
    /// Moment at which it expires.
    pub valid_until: Millis,
    /// Root of the snapshot from which it was computed, in hexadecimal digits.
    pub snapshot: String,
}

impl PublicQuote {
    /// Creates the public part of a quote, decided at a moment over the snapshot of a root.
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
    /// Converts the request to the module's type, for the loaded snapshot.
    pub fn message(self, snapshot: Digest) -> quote::QuoteRequest {
        let Self { id: _, at, sku, region, objective, pack } = self;
        quote::QuoteRequest { pack, snapshot, at, sku, region, objective }
    }
}
