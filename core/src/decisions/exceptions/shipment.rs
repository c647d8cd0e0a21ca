//! Shipments and their alternatives.

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

/// Shipment that is planned or on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shipment {
    /// Name of the shipment.
    pub id: Id,
    /// Order that it belongs to.
    pub order: Id,
    /// Node that ships it.
    pub node: Id,
    /// Region of the destination.
    pub region: Id,
    /// Products in it.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_LINES }, _, _>")]
    pub lines: Vec<ShipmentLine>,
    /// Moment at which the node was instructed to ship it.
    pub created: Millis,
    /// Promised moment of delivery.
    pub promised: Millis,
    /// Probability that its current or next leg is late, from the lateness model (0 to 1).
    pub leg: Option<f32>,
    /// Scans, oldest first.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_SCANS }, _, _>")]
    pub scans: Vec<Scan>,
    /// Alternative nodes and services.
    #[serde(deserialize_with = "bounded::list::<{ Shipment::MAX_ALTERNATIVES }, _, _>")]
    pub alternatives: Vec<Alternative>,
}

/// Line of a shipment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShipmentLine {
    /// Product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// Price of all units.
    pub value: Money,
    /// Stock they come from, while they are not packed.
    pub stock: Option<Stock>,
}

/// Stock and demand of a product at a node until the shipment leaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// Units available to promise, including those of this shipment.
    pub available: u32,
    /// Demand of other orders before it leaves, in units.
    pub demand: Quantiles,
}

/// Alternative way to ship.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// Node or service.
    pub way: Way,
    /// Additional cost.
    pub cost: Money,
    /// Moment at which it would arrive.
    pub arrives: Millis,
}

/// Kind of alternative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Another node, which has all of its products.
    Node(Id),
    /// Another service of the carrier.
    Service(Id),
}

impl Shipment {
    /// Maximum number of lines.
    pub const MAX_LINES: usize = 1_000;
    /// Maximum number of scans.
    pub const MAX_SCANS: usize = 1_000;
    /// Maximum number of alternatives.
    pub const MAX_ALTERNATIVES: usize = 1_000;

    /// Price of all its units.
    pub fn value(&self) -> Money {
        Money(self.lines.iter().map(|line| line.value.0).sum())
    }

    /// Checks names, moments, amounts and lengths of lists. A shipment that passes can be evaluated with any snapshot.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) or [`TooLarge`](crate::ErrorKind::TooLarge) names the invalid
    /// field.
    pub fn check(&self) -> Result<()> {
        [&self.id, &self.order, &self.node, &self.region].into_iter().try_for_each(Id::check)?;
        at_most("lines", self.lines.len(), Self::MAX_LINES)?;
        at_most("scans", self.scans.len(), Self::MAX_SCANS)?;
        at_most("alternatives", self.alternatives.len(), Self::MAX_ALTERNATIVES)?;
        [self.created, self.promised].into_iter().try_for_each(Millis::check)?;
        if !self.leg.is_none_or(|leg| (0.0..=1.0).contains(&leg)) {
            return Err(bad("`leg` is not in 0 to 1"));
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

/// Checks that an amount is not negative.
fn amount(what: &str, money: Money) -> Result<()> {
    money.check(what)?;
    if money.0 >= 0 { Ok(()) } else { Err(bad(format!("`{what}` is {}, below 0", money.0))) }
}
