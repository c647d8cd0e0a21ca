//! What was decided.

use crate::domain::{money::Money, time::Day};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// From where each order ships, and what that costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    /// One for each order of the problem, in its order.
    pub orders: Vec<OrderPlan>,
    /// The sum over all orders.
    pub total: Money,
    /// No plan whatever costs less than this: what a better one could save is at most `total − bound`.
    pub bound: Money,
}

/// What becomes of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderPlan {
    /// Its shipments, by node.
    pub shipments: Vec<Shipment>,
    /// What is not shipped.
    pub shortfalls: Vec<Shortfall>,
    /// What all of it costs.
    pub cost: Breakdown,
}

/// What leaves one node for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// The node.
    pub node: u32,
    /// The day it leaves.
    pub dispatch: Day,
    /// The day it arrives, if it is not late.
    pub arrival: Day,
    /// Lines of the order and their units, by line.
    pub lines: Vec<(u32, u32)>,
}

/// Units that are not shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    /// The line of the order.
    pub line: u32,
    /// Units.
    pub quantity: u32,
    /// Why.
    pub reason: Reason,
}

/// Why units are not shipped: the first of these that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Reason {
    /// No node has the product.
    NoStock,
    /// No node that has it ships to the region.
    NoLane,
    /// The nodes that could are closed, excluded, or not the one that the order is pinned to.
    Excluded,
    /// The order ships completely or not at all, and something else in it is missing.
    Incomplete,
    /// The nodes that may serve the order have nothing left: all of it is promised.
    SoldOut,
    /// The nodes that have some left can ship no more in this run.
    Capacity,
    /// It would take more shipments than the order may have.
    Splits,
    /// To ship it costs more than to leave it.
    Cost,
}

/// What an order costs, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Breakdown {
    /// Freight.
    pub shipping: Money,
    /// Work at the nodes.
    pub handling: Money,
    /// Days after the promise that are known now.
    pub transit: Money,
    /// What lateness costs, times how probable it is; to the nearest minor unit for each shipment.
    pub risk: Money,
    /// Shipments beyond the first.
    pub splits: Money,
    /// Stock that was taken where it is short (positive) or in excess (negative).
    pub pressure: Money,
    /// Units that moved away from where the previous plan had them.
    pub changes: Money,
    /// Units that are not shipped.
    pub shortfall: Money,
}

impl Breakdown {
    /// All of it.
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
