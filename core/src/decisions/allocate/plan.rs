//! Result of an allocation.

use crate::domain::{money::Money, time::Day};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Plan for all orders, with its costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Plan of each order, in the problem's order.
    pub orders: Vec<OrderPlan>,
    /// Total cost of all orders.
    pub total: Money,
    /// Lower bound on the cost of every plan: a better plan saves at most `total − bound`.
    pub bound: Money,
}

/// Plan of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderPlan {
    /// Shipments, by node.
    pub shipments: Vec<Shipment>,
    /// Units that are not shipped.
    pub shortfalls: Vec<Shortfall>,
    /// Cost, by cause.
    pub cost: Breakdown,
}

/// Shipment from one node for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Node that ships it.
    pub node: u32,
    /// Day on which it leaves.
    pub dispatch: Day,
    /// Day on which it arrives, if it is not late.
    pub arrival: Day,
    /// Lines of the order with their units, by line.
    pub lines: Vec<(u32, u32)>,
}

/// Units that are not shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// Line of the order.
    pub line: u32,
    /// Units.
    pub quantity: u32,
    /// Reason.
    pub reason: Reason,
}

/// Reason why units are not shipped: the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reason {
    /// No node has the product.
    NoStock,
    /// No node with stock ships to the region.
    NoLane,
    /// The nodes that could ship it are closed, excluded, or not the one the order is pinned to.
    Excluded,
    /// The order is all or nothing, and another part of it is missing.
    Incomplete,
    /// The nodes that may serve the order have no units left to promise.
    SoldOut,
    /// The nodes with units left have no capacity left.
    Capacity,
    /// It would need more shipments than the order allows.
    Splits,
    /// Shipping it costs more than leaving it out.
    Cost,
}

/// Cost of an order, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Breakdown {
    /// Freight.
    pub shipping: Money,
    /// Handling at the nodes.
    pub handling: Money,
    /// Days after the promise, as known now.
    pub transit: Money,
    /// Cost of lateness times its probability, rounded to the nearest minor unit for each shipment.
    pub risk: Money,
    /// Shipments beyond the first.
    pub splits: Money,
    /// Use of stock that is short (positive) or in excess (negative).
    pub pressure: Money,
    /// Units that no longer ship from their node of the previous plan.
    pub changes: Money,
    /// Units that are not shipped.
    pub shortfall: Money,
}

impl Breakdown {
    /// Sum of all costs.
    pub const fn total(&self) -> Money {
        Money(
            self.shipping.0
                + self.handling.0
                + self.transit.0
                + self.risk.0
                + self.splits.0
                + self.pressure.0
                + self.changes.0
                + self.shortfall.0,
        )
    }
}
