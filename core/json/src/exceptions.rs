//! Shipments, and what happened to them.

use serde::{Deserialize, Serialize};
use tradewind_core::{
    Error, Id, Millis, Money, Sku,
    exceptions::{self, Way},
    tracking::Scan,
};

/// A shipment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
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
    pub lines: Vec<ShipmentLine>,
    /// When the node was told to send it.
    pub created: Millis,
    /// Until when it is promised.
    pub promised: Millis,
    /// What happened to it, the first first.
    #[serde(default)]
    pub scans: Vec<Scan>,
    /// Other services that could carry it; other nodes, the snapshot knows.
    #[serde(default)]
    pub services: Vec<Alternative>,
}

/// Some units of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ShipmentLine {
    /// The product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// What all of them were sold for, in minor units.
    pub value: Money,
}

/// Another service of the carrier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// Its name.
    pub service: Id,
    /// What it costs on top, in minor units.
    pub cost: Money,
    /// When the shipment would be there.
    pub arrives: Millis,
}

impl Shipment {
    /// The shipment as the module takes it: one that it can judge.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn message(self) -> Result<exceptions::Shipment, Error> {
        let lines = self.lines.into_iter().map(|ShipmentLine { sku, quantity, value }| exceptions::ShipmentLine {
            sku,
            quantity,
            value,
            stock: None,
        });
        let services = self.services.into_iter().map(|Alternative { service, cost, arrives }| {
            exceptions::Alternative { way: Way::Service(service), cost, arrives }
        });
        let shipment = exceptions::Shipment {
            id: self.id,
            order: self.order,
            node: self.node,
            region: self.region,
            lines: lines.collect(),
            created: self.created,
            promised: self.promised,
            leg: None,
            scans: self.scans,
            alternatives: services.collect(),
        };
        shipment.check()?;
        Ok(shipment)
    }
}
