//! What shoppers do.

use crate::{
    bounded,
    domain::{
        check::{at_most, bad},
        line::Line,
        sku::Sku,
        time::Millis,
    },
    error::Result,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Action of a shopper, with time and channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Time of the action.
    pub at: Millis,
    /// Channel of the action.
    pub channel: Channel,
    /// Kind of the action.
    pub kind: EventKind,
}

/// Where something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The merchant's web shop.
    #[default]
    Web,
    /// The merchant's app.
    App,
    /// Another company's market place.
    Marketplace,
    /// A shop with a door.
    Store,
    /// A shopping agent that acts for the shopper.
    Agent,
}

/// Kind of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The shopper opened a product's page.
    View {
        /// Product.
        sku: Sku,
    },
    /// The shopper searched. A profile never keeps the words.
    Search {
        /// Words.
        query: String,
    },
    /// The shopper put units of a product into the cart.
    AddToCart(Line),
    /// The shopper placed an order.
    Purchase {
        /// All lines of the order.
        #[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")]
        lines: Vec<Line>,
    },
    /// The shopper returned units of a product.
    Return(Line),
    /// The shopper was shown products.
    Impression {
        /// Products.
        #[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")]
        skus: Vec<Sku>,
    },
    /// The shopper chose a product that was shown.
    Click {
        /// Product.
        sku: Sku,
    },
    /// The shopper asked not to see a product again.
    Dismiss {
        /// Product.
        sku: Sku,
    },
}

impl Event {
    /// The most lines or products in one event.
    pub const MAX_LINES: usize = 1_000;
    /// The longest search, in bytes.
    pub const MAX_SEARCH: usize = 1_000;

    /// Checks an event that was received for a decision at a moment, which it must not follow.
    pub(crate) fn check_before(&self, at: Millis) -> Result<()> {
        self.check()?;
        if self.at <= at {
            return Ok(());
        }
        Err(bad(format!(
            "an event at {} lies after the decision at {}; a decision knows the past only",
            self.at.0, at.0
        )))
    }

    /// Checks an event that was received.
    fn check(&self) -> Result<()> {
        self.at.check()?;
        match &self.kind {
            EventKind::View { sku } | EventKind::Click { sku } | EventKind::Dismiss { sku } => sku.check(),
            EventKind::AddToCart(line) | EventKind::Return(line) => line.check(),
            EventKind::Search { query } => at_most("bytes in a search", query.len(), Self::MAX_SEARCH),
            EventKind::Impression { skus } => skus.iter().try_for_each(Sku::check),
            EventKind::Purchase { lines } => lines.iter().try_for_each(Line::check),
        }
    }
}
