//! Shipments, and what happened to them.

use super::Moment;
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Error, Id, Money, Sku,
    exceptions::{self, Way},
    tracking::{self, State},
};

/// A shipment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    /// Its name.
    pub id: String,
    /// The order that it is of.
    pub order: String,
    /// The node that sends it.
    pub node: String,
    /// Where it goes.
    pub region: String,
    /// What is in it.
    pub lines: Vec<ShipmentLine>,
    /// When the node was told to send it.
    pub created: Moment,
    /// Until when it is promised.
    pub promised: Moment,
    /// What happened to it, the first first.
    #[serde(default)]
    pub scans: Vec<Scan>,
    /// Other services that could carry it; other nodes, the snapshot knows.
    #[serde(default)]
    pub services: Vec<Alternative>,
}

/// Some units of a product.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ShipmentLine {
    /// The product.
    pub sku: String,
    /// Units.
    pub quantity: u32,
    /// What all of them were sold for, in minor units.
    pub value: i64,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// What: `created`, `packed`, `picked_up`, `arrived`, `departed`, `out_for_delivery`, `attempted`,
    /// `address_rejected` or `delivered`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: State,
    /// When.
    pub at: Moment,
    /// Where.
    pub place: String,
}

/// Another service of the carrier.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// Its name.
    pub service: String,
    /// What it costs on top, in minor units.
    pub cost: i64,
    /// When the shipment would be there.
    pub arrives: Moment,
}

impl Scan {
    /// The scan as the module takes it: one that it can judge.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn message(self) -> Result<tracking::Scan, Error> {
        let scan = tracking::Scan { state: self.state, at: self.at.0, place: named("place", self.place)? };
        scan.check()?;
        Ok(scan)
    }
}

impl Shipment {
    /// The shipment as the module takes it: one that it can judge.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn message(self) -> Result<exceptions::Shipment, Error> {
        let lines = self.lines.into_iter().enumerate().map(|(n, line)| {
            let sku = Sku::new(line.sku).map_err(|error| error.within(&format!("`lines[{n}].sku`")))?;
            Ok(exceptions::ShipmentLine { sku, quantity: line.quantity, value: Money(line.value), stock: None })
        });
        let scans = self.scans.into_iter().enumerate();
        let scans = scans.map(|(n, scan)| scan.message().map_err(|error| error.within(&format!("`scans[{n}]`"))));
        let services = self.services.into_iter().map(|other| {
            let way = Way::Service(named("service", other.service)?);
            Ok(exceptions::Alternative { way, cost: Money(other.cost), arrives: other.arrives.0 })
        });
        let shipment = exceptions::Shipment {
            id: named("id", self.id)?,
            order: named("order", self.order)?,
            node: named("node", self.node)?,
            region: named("region", self.region)?,
            lines: lines.collect::<Result<_, Error>>()?,
            created: self.created.0,
            promised: self.promised.0,
            leg: None,
            scans: scans.collect::<Result<_, Error>>()?,
            alternatives: services.collect::<Result<_, Error>>()?,
        };
        shipment.check()?;
        Ok(shipment)
    }
}

/// What a field names.
pub(super) fn named(field: &str, name: String) -> Result<Id, Error> {
    Id::new(name).map_err(|error| error.within(&format!("`{field}`")))
}
