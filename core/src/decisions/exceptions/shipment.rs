//! Shipments, and what happened to them.

use crate::{
    bounded,
    domain::{
        check::{at_most, bad},
        money::Money,
        name::Id,
        quantiles::Quantiles,
        sku::Sku,
        time::Millis,
        tracking::Scan,
    },
    error::Result,
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

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

/// An amount that is not below 0.
fn amount(what: &str, money: Money) -> Result<()> {
    money.check(what)?;
    if money.0 >= 0 { Ok(()) } else { Err(bad(format!("`{what}` is {}, below 0", money.0))) }
}
