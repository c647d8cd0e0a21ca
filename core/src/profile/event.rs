//! Events of shoppers.

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

/// Action of a shopper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Moment of the event.
    pub at: Millis,
    /// Channel of the event.
    pub channel: Channel,
    /// Kind of the event.
    pub kind: EventKind,
}

/// Channel of an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Channel {
    /// The merchant's web shop.
    #[default]
    Web,
    /// The merchant's app.
    App,
    /// Another company's marketplace.
    Marketplace,
    /// Physical shop.
    Store,
    /// Software agent that acts for the shopper.
    Agent,
}

/// Kind of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// View of a product's page.
    View {
        /// SKU of the product.
        sku: Sku,
    },
    /// Search. Its words are used only for the current request; a profile never stores them.
    Search {
        /// Words of the search.
        query: String,
    },
    /// Addition to the cart.
    AddToCart(Line),
    /// Purchase: one event for each order, with any number of lines.
    Purchase {
        /// All lines of the order.
        #[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")]
        lines: Vec<Line>,
    },
    /// Return of units.
    Return(Line),
    /// Products that were displayed.
    Impression {
        /// SKUs of the products.
        #[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")]
        skus: Vec<Sku>,
    },
    /// Click on a displayed product.
    Click {
        /// SKU of the product.
        sku: Sku,
    },
    /// Request not to see a product again.
    Dismiss {
        /// SKU of the product.
        sku: Sku,
    },
}

impl Event {
    /// Maximum number of lines or products in one event.
    pub const MAX_LINES: usize = 1_000;
    /// Maximum length of a search, in bytes.
    pub const MAX_SEARCH: usize = 1_000;

    /// Checks a received event for a decision at a moment; the event must not be later.
    pub(crate) fn check_before(&self, at: Millis) -> Result<()> {
        self.check()?;
        if self.at <= at {
            return Ok(());
        }
        Err(bad(format!("an event at {} is later than the decision at {}; leave it out", self.at.0, at.0)))
    }

    /// Checks a received event.
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
