//! Prices.

use serde::{Deserialize, Serialize};
use tradewind_core::{
    Error, Millis, Sku,
    pack::Digest,
    quote::{self, Objective, Quote},
    snapshot::Code,
};

/// A request for a price.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Comes back in the reply; the decision does not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The moment of the decision, in milliseconds since 1970.
    pub at: i64,
    /// The product.
    pub sku: String,
    /// Where it is offered.
    pub region: String,
    /// What the price is for: weights of `margin`, `revenue` and `sell_through`.
    pub objective: Objective,
}

/// A price.
#[derive(Debug, Clone, Serialize)]
pub struct QuoteReply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The currency of all amounts, which are in its minor units.
    pub currency: String,
    /// The price, and what there is to say of it.
    #[serde(flatten)]
    pub quote: Quote,
}

impl QuoteRequest {
    /// The message for a module that has loaded the snapshot of a root.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn message(self, snapshot: Digest) -> Result<quote::QuoteRequest, Error> {
        Ok(quote::QuoteRequest {
            snapshot,
            at: Millis(self.at),
            product: Sku::new(self.sku)?,
            region: Code::new(self.region)?,
            objective: self.objective,
        })
    }
}
