//! Verification of prices at checkout.

use super::{Client, ClientError, Guest};
use crate::{
    decisions::quote::{Objective, Quote, QuoteRequest},
    domain::{digest::Digest, money::Money, name::Code, sku::Sku, time::Millis},
};
use core::fmt;

/// Price that a shopper's cart claims was quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Snapshot from which it was computed.
    pub snapshot: Digest,
    /// Moment of the quote.
    pub at: Millis,
    /// Product.
    pub sku: Sku,
    /// Price.
    pub price: Money,
}

/// Reason why a claimed price is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal<E> {
    /// The moment of the quote is in the future.
    NotYet,
    /// The price expired at this moment.
    Expired(Millis),
    /// The quoted price is different.
    Price {
        /// Price in the cart.
        claimed: Money,
        /// Price computed again.
        quoted: Money,
    },
    /// The price cannot be computed: another snapshot is loaded, it expired, or it lacks the product or region.
    Quote(ClientError<E>),
}

impl<G: Guest> Client<G> {
    /// Verifies a claimed price by computing it again from the backend's own state.
    ///
    /// The claim only supplies a snapshot, a moment, a product and a price. The snapshot must be the one that the
    /// backend issued and has loaded; region and objective are the backend's; stock and costs come from the snapshot.
    /// `now` is the moment of the checkout.
    ///
    /// # Errors
    /// [`Refusal`] names the difference.
    pub fn verify_quote(
        &mut self,
        claim: &Claim,
        region: Code,
        objective: Objective,
        now: Millis,
    ) -> Result<Quote, Refusal<G::Error>> {
        let Claim { snapshot, at, sku, price } = claim.clone();
        if at > now {
            return Err(Refusal::NotYet);
        }
        let quote =
            self.quote(QuoteRequest { pack: None, snapshot, at, sku, region, objective }).map_err(Refusal::Quote)?;
        if now >= quote.valid_until {
            return Err(Refusal::Expired(quote.valid_until));
        }
        if price != quote.price {
            return Err(Refusal::Price { claimed: price, quoted: quote.price });
        }
        Ok(quote)
    }
}

impl<E: fmt::Display> fmt::Display for Refusal<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("the price is for a moment in the future; request a new price"),
            Self::Expired(until) => write!(f, "the price expired at {}; request a new price", until.0),
            Self::Price { claimed, quoted } => {
                write!(f, "the cart has price {}, the quote was {}; request a new price", claimed.0, quoted.0)
            }
            Self::Quote(error) => write!(f, "the price cannot be computed again: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Refusal<E> {}
