//! Shipments, and what happened to them.

use super::Moment;
use serde::{Deserialize, Serialize};
use tradewind_core::{
    Error, Money, Sku,
    exceptions::{self, Id, State, Way},
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

impl Shipment {
    /// The shipment as the module takes it.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn message(self) -> Result<exceptions::Shipment, Error> {
        let lines = self.lines.into_iter().map(|line| {
            let (sku, value) = (Sku::new(line.sku)?, Money(line.value));
            Ok(exceptions::ShipmentLine { sku, quantity: line.quantity, value, stock: None })
        });
        let scans = self
            .scans
            .into_iter()
            .map(|scan| Ok(exceptions::Scan { state: scan.state, at: scan.at.0, place: Id::new(scan.place)? }));
        let services = self.services.into_iter().map(|other| {
            let way = Way::Service(Id::new(other.service)?);
            Ok(exceptions::Alternative { way, cost: Money(other.cost), arrives: other.arrives.0 })
        });
        Ok(exceptions::Shipment {
            id: Id::new(self.id)?,
            order: Id::new(self.order)?,
            node: Id::new(self.node)?,
            region: Id::new(self.region)?,
            lines: lines.collect::<Result<_, Error>>()?,
            created: self.created.0,
            promised: self.promised.0,
            leg: None,
            scans: scans.collect::<Result<_, Error>>()?,
            alternatives: services.collect::<Result<_, Error>>()?,
        })
    }
}
