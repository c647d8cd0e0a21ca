//! What shoppers do.

use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
    sku::Sku,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub i64);

/// A day: the number of whole days since 1970-01-01, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

impl Millis {
    /// Milliseconds in a day.
    pub const DAY: i64 = 86_400_000;

    /// The day that the moment lies in.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(Self::DAY) as i32)
    }

    /// The moment lies between the years 1970 and 2262.
    pub(crate) fn check(self) -> Result<()> {
        if (0..=9_223_372_036_854).contains(&self.0) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("`at` is {}; it needs milliseconds since 1970, up to the year 2262", self.0),
        ))
    }
}

impl Day {
    /// Whole days from `earlier` to this day; negative if it is later.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Something a shopper did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// Where.
    pub channel: Channel,
    /// What.
    pub kind: EventKind,
}

/// Where something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// What a shopper did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// Looked at a product's page.
    View(Sku),
    /// Searched. The words serve this moment only; a profile never keeps them.
    Search(String),
    /// Put a product into the cart.
    AddToCart(Line),
    /// Bought: one event for one order, however many lines it has.
    Purchase(#[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")] Vec<Line>),
    /// Sent something back.
    Return(Line),
    /// Was shown these products.
    Impression(#[serde(deserialize_with = "bounded::list::<{ Event::MAX_LINES }, _, _>")] Vec<Sku>),
    /// Chose a product that was shown.
    Click(Sku),
    /// Asked not to see a product again.
    Dismiss(Sku),
}

/// Some units of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub sku: Sku,
    /// Units; at least 1.
    pub quantity: u32,
}

impl Event {
    /// The most lines or products in one event.
    pub const MAX_LINES: usize = 1_000;
    /// The longest search, in bytes.
    pub const MAX_SEARCH: usize = 1_000;

    /// Checks an event that was received.
    pub(crate) fn check(&self) -> Result<()> {
        self.at.check()?;
        match &self.kind {
            EventKind::View(sku) | EventKind::Click(sku) | EventKind::Dismiss(sku) => sku.check(),
            EventKind::AddToCart(line) | EventKind::Return(line) => line.check(),
            EventKind::Search(words) => at_most("bytes in a search", words.len(), Self::MAX_SEARCH),
            EventKind::Impression(skus) => skus.iter().try_for_each(Sku::check),
            EventKind::Purchase(lines) => lines.iter().try_for_each(Line::check),
        }
    }
}

impl Line {
    pub(crate) fn check(&self) -> Result<()> {
        if self.quantity == 0 {
            return Err(Error::new(ErrorKind::BadRequest, format!("0 units of `{}`; leave the line out", self.sku)));
        }
        self.sku.check()
    }
}

/// A request that no program should send, or a snapshot that contradicts itself.
#[cold]
pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

pub(crate) fn at_most(what: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, format!("{found} {what}; at most {most} are taken")))
}
