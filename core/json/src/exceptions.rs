//! Shipments in JSON.

use serde::{Deserialize, Serialize};
use tradewind_core::{
    Error, Id, Millis, Money, Sku,
    exceptions::{self, Way},
    tracking::Scan,
};

/// Shipment that is planned or on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
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
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub lines: Vec<ShipmentLine>,
    /// Moment at which the node was instructed to ship it.
    pub created: Millis,
    /// Promised moment of delivery.
    pub promised: Millis,
    /// Scans, oldest first.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub scans: Vec<Scan>,
    /// Other services that could carry it; alternative nodes come from the snapshot.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub services: Vec<Alternative>,
}

/// Line of a shipment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ShipmentLine {
    /// Product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// Price of all units, in minor units.
    pub value: Money,
}

/// Another service of the carrier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// Name of the service.
    pub service: Id,
    /// Additional cost, in minor units.
    pub cost: Money,
    /// Moment at which the shipment would arrive.
    pub arrives: Millis,
}

impl Shipment {
    /// Converts the shipment to the module's type, and checks it.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names the invalid field.
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
