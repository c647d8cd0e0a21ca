//! Shipments, and what happened to them.

use super::{Quantiles, bad};
use crate::{
    bounded,
    error::Result,
    event::{Millis, at_most},
    money::Money,
    sku::Sku,
};
use alloc::{format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a merchant or carrier calls a shipment, an order, a place or a service: 1 to 64 bytes of text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(String);

/// A parcel on its way, or about to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shipment {
    /// Its name.
    pub id: Id,
    /// The order that it is of.
    pub order: Id,
    /// The node that sends it.
    pub node: Id,
    /// Where it goes.
    pub region: Id,
    /// What is in it.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_LINES }, _, _>")]
    pub lines: Vec<ShipmentLine>,
    /// When the node was told to send it.
    pub created: Millis,
    /// Until when it is promised.
    pub promised: Millis,
    /// The probability of the lateness model for the leg that it is on or will be on.
    pub leg: Option<f32>,
    /// What happened to it, the first first.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_SCANS }, _, _>")]
    pub scans: Vec<Scan>,
    /// Other ways to send it.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_ALTERNATIVES }, _, _>")]
    pub alternatives: Vec<Alternative>,
}

/// Some units of a product in a shipment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentLine {
    /// The product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// What all of them were sold for.
    pub value: Money,
    /// The stock that they come from, while they are not packed.
    pub stock: Option<Stock>,
}

/// What a node has of a product, and what is asked of it until the shipment leaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// Units that can be promised, those for this shipment among them.
    pub available: u32,
    /// Units that others ask for before it leaves.
    pub demand: Quantiles,
}

/// Something that happened to a shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// What.
    pub state: State,
    /// When.
    pub at: Millis,
    /// Where.
    pub place: Id,
}

/// Where a shipment is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The node knows of it.
    Created,
    /// It waits for the carrier.
    Packed,
    /// The carrier has it.
    PickedUp,
    /// It is at a hub.
    Arrived,
    /// It left a hub.
    Departed,
    /// It is on its way to the door.
    OutForDelivery,
    /// Nobody opened.
    Attempted,
    /// The carrier does not find the address.
    AddressRejected,
    /// It is there.
    Delivered,
}

/// Another way to send a shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// How.
    pub way: Way,
    /// What it costs on top.
    pub cost: Money,
    /// When it would be there.
    pub arrives: Millis,
}

/// How a shipment is sent otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// From a node that has all of it.
    Node(Id),
    /// By another service of the carrier.
    Service(Id),
}

impl Id {
    /// The longest, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A name.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) when `text` is empty or too long.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let id = Self(text.into());
        id.check()?;
        Ok(id)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            1..=Self::MAX_LEN => Ok(()),
            len => Err(bad(format!("a name of {len} bytes; it needs 1 to {}", Self::MAX_LEN))),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shipment {
    /// The most lines.
    pub const MAX_LINES: usize = 1_000;
    /// The most scans.
    pub const MAX_SCANS: usize = 1_000;
    /// The most other ways.
    pub const MAX_ALTERNATIVES: usize = 1_000;

    /// What it was sold for.
    pub fn value(&self) -> Money {
        Money(self.lines.iter().map(|line| line.value.0).sum())
    }

    /// Checks what no program should send: names, moments, amounts and lists within their limits. A shipment that
    /// passes can be judged, over any snapshot.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) or [`TooLarge`](crate::ErrorKind::TooLarge) names what does not hold.
    pub fn check(&self) -> Result<()> {
        [&self.id, &self.order, &self.node, &self.region].into_iter().try_for_each(Id::check)?;
        at_most("lines", self.lines.len(), Self::MAX_LINES)?;
        at_most("scans", self.scans.len(), Self::MAX_SCANS)?;
        at_most("alternatives", self.alternatives.len(), Self::MAX_ALTERNATIVES)?;
        [self.created, self.promised].into_iter().try_for_each(Millis::check)?;
        if !self.leg.is_none_or(|leg| (0.0..=1.0).contains(&leg)) {
            return Err(bad("`leg` is no probability"));
        }
        for line in &self.lines {
            line.sku.check()?;
            amount("value", line.value)?;
            line.stock.map_or(Ok(()), |stock| stock.demand.check())?;
        }
        self.scans.iter().try_for_each(Scan::check)?;
        self.alternatives.iter().try_for_each(|alternative| {
            let (Way::Node(id) | Way::Service(id)) = &alternative.way;
            id.check()?;
            alternative.arrives.check()?;
            alternative.cost.check("cost")
        })
    }
}

impl Scan {
    /// Checks a scan that was received.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names what does not hold.
    pub fn check(&self) -> Result<()> {
        self.at.check()?;
        self.place.check()
    }
}

impl State {
    /// Whether the node has it still.
    pub(super) fn is_at_node(self) -> bool {
        self <= Self::Packed
    }
}

/// An amount that is not below 0.
fn amount(what: &str, money: Money) -> Result<()> {
    money.check(what)?;
    if money.0 >= 0 { Ok(()) } else { Err(bad(format!("`{what}` is {}, below 0", money.0))) }
}
