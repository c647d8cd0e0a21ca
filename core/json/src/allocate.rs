//! Orders, and from where they ship.

use super::{Date, Quantity, exceptions::named};
use serde::{Deserialize, Serialize};
use tradewind_core::{
    BasisPoints, Code, Error, Id, Money, Sku,
    allocate::{AllocatedOrder as Answer, AllocationPolicy, Breakdown, OrderShortfall, Planned, Problem, ShopOrder},
};

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its name.
    pub id: String,
    /// Where it goes.
    pub region: String,
    /// What it wants.
    pub lines: Vec<Quantity>,
    /// The day by which it was promised.
    pub promised: Date,
    /// 0 is served first.
    #[serde(default)]
    pub priority: u8,
    /// Ship all of it, or nothing.
    #[serde(default)]
    pub complete: bool,
    /// At most so many shipments beyond the first; as many as it takes when absent.
    #[serde(default)]
    pub max_splits: Option<u16>,
    /// From this node only.
    #[serde(default)]
    pub pinned: Option<String>,
    /// Not from these nodes.
    #[serde(default)]
    pub excluded: Vec<String>,
}

/// What things cost, in minor units: see [`AllocationPolicy`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the cost of its name in `AllocationPolicy`")]
pub struct Policy {
    pub day_late: i64,
    pub late: i64,
    pub split: i64,
    pub missing: i64,
    pub stock_out: i64,
    pub change: i64,
}

/// What becomes of an order. A file of these can be given as the previous plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AllocatedOrder {
    /// Its name.
    pub id: String,
    /// Its shipments, by node.
    pub shipments: Vec<Shipment>,
    /// What is not shipped, and why.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub shortfalls: Vec<OrderShortfall>,
    /// What it costs, by cause.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub cost: Breakdown,
}

/// What leaves one node for one order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AllocatedShipment))]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    /// The node.
    pub node: String,
    /// The day it leaves.
    pub dispatch: Date,
    /// The day it arrives, if it is not late.
    pub arrival: Date,
    /// How probable it is that it is late, from 0 to 1.
    pub late: f64,
    /// What is in it.
    pub lines: Vec<Quantity>,
}

impl Order {
    /// The order as the module takes it: one that can be planned over a snapshot that has what it names.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) or [`TooLarge`](tradewind_core::ErrorKind::TooLarge) names
    /// what does not hold.
    pub fn message(self) -> Result<ShopOrder, Error> {
        let within = |field: &'static str| move |error: Error| error.within(&format!("`{field}`"));
        let lines = self.lines.into_iter().enumerate();
        let lines = lines.map(|(n, line)| line.message().map_err(|error| error.within(&format!("`lines[{n}].sku`"))));
        let order = ShopOrder {
            id: named("id", self.id)?,
            region: Code::new(self.region).map_err(within("region"))?,
            lines: lines.collect::<Result<_, _>>()?,
            promised: self.promised.checked().map_err(within("promised"))?,
            priority: self.priority,
            complete: self.complete,
            max_splits: self.max_splits.unwrap_or(Problem::MAX_SHIPMENTS as u16),
            pinned: self.pinned.map(Code::new).transpose().map_err(within("pinned"))?,
            excluded: self.excluded.into_iter().map(Code::new).collect::<Result<_, _>>().map_err(within("excluded"))?,
        };
        order.check()?;
        Ok(order)
    }
}

impl Default for Policy {
    /// A guess to begin with, in cents: a merchant knows better.
    fn default() -> Self {
        Self { day_late: 300, late: 500, split: 250, missing: 2_500, stock_out: 150, change: 100 }
    }
}

impl From<Policy> for AllocationPolicy {
    fn from(policy: Policy) -> Self {
        let Policy { day_late, late, split, missing, stock_out, change } = policy;
        Self {
            day_late: Money(day_late),
            late: Money(late),
            split: Money(split),
            missing: Money(missing),
            stock_out: Money(stock_out),
            change: Money(change),
        }
    }
}

impl From<Answer> for AllocatedOrder {
    fn from(order: Answer) -> Self {
        let shipments = order.shipments.into_iter().map(|shipment| Shipment {
            node: shipment.node.to_string(),
            dispatch: Date(shipment.dispatch),
            arrival: Date(shipment.arrival),
            late: f64::from(shipment.late.0) / f64::from(BasisPoints::WHOLE.0),
            lines: shipment.lines.into_iter().map(Quantity::from).collect(),
        });
        Self {
            id: order.id.to_string(),
            shipments: shipments.collect(),
            shortfalls: order.shortfalls,
            cost: order.cost,
        }
    }
}

impl AllocatedOrder {
    /// Its shipments as parts of a previous plan.
    ///
    /// # Errors
    /// [`BadRequest`](tradewind_core::ErrorKind::BadRequest) names what does not hold.
    pub fn planned(&self) -> Result<Vec<Planned>, Error> {
        let lines = self.shipments.iter().flat_map(|shipment| shipment.lines.iter().map(move |line| (shipment, line)));
        let planned = lines.map(|(shipment, line)| {
            Ok(Planned {
                order: Id::new(self.id.as_str())?,
                node: Code::new(shipment.node.as_str())?,
                sku: Sku::new(line.sku.as_str())?,
                quantity: line.quantity,
            })
        });
        planned.collect()
    }
}
