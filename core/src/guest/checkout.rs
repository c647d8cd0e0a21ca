//! Prices that come back: what a backend asks at checkout.

use super::{Client, ClientError, Guest};
use crate::{
    decisions::quote::{Objective, Quote, QuoteRequest},
    domain::{digest::Digest, money::Money, name::Code, sku::Sku, time::Millis},
};
use core::fmt;

/// A price that a shopper's cart claims to have been quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The snapshot it was computed from.
    pub snapshot: Digest,
    /// When.
    pub at: Millis,
    /// The product.
    pub sku: Sku,
    /// The price.
    pub price: Money,
}

/// Why a claimed price is not honoured.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal<E> {
    /// The price was computed for a moment that has not come.
    NotYet,
    /// The price held until this moment.
    Expired(Millis),
    /// Another price was quoted.
    Price {
        /// What the cart says.
        claimed: Money,
        /// What was quoted.
        quoted: Money,
    },
    /// The module cannot quote it: another snapshot is loaded, it has expired, or it lacks product or region.
    Quote(ClientError<E>),
}

impl<G: Guest> Client<G> {
    /// Checks a claimed price, by computing it again from the backend's own state.
    ///
    /// The claim names a snapshot, a moment, a product and a price, and nothing else is believed: the
    /// snapshot must be the one that the backend has loaded, having issued it; region and objective are the
    /// backend's; stock and costs come from the snapshot. `now` is the moment of the checkout.
    ///
    /// # Errors
    /// [`Refusal`] says what differs.
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
            Self::NotYet => f.write_str("the price is of a moment that has not come; ask for a price again"),
            Self::Expired(until) => write!(f, "the price held until {}; ask for a price again", until.0),
            Self::Price { claimed, quoted } => {
                write!(f, "the cart says {}, and {} was quoted; ask for a price again", claimed.0, quoted.0)
            }
            Self::Quote(error) => write!(f, "the price cannot be computed again: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Refusal<E> {}
