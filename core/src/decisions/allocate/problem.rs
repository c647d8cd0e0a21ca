//! Problem of an allocation.

use crate::{
    domain::{
        check::{at_most, bad},
        money::Money,
        time::Day,
    },
    error::Result,
};
use alloc::{format, vec::Vec};

/// Orders, and the nodes, stock and lanes that can serve them. Orders, nodes and lines are identified by index,
/// products and regions by numbers of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// Orders to ship.
    pub orders: Vec<Order>,
    /// Nodes that can ship.
    pub nodes: Vec<Node>,
    /// Stock of the nodes. Products that are not listed have none; a node and product are listed at most once.
    pub stock: Vec<Stock>,
    /// Lanes from nodes to regions. A node and region are listed at most once.
    pub lanes: Vec<Lane>,
    /// Costs that are the same for all orders.
    pub costs: Costs,
    /// Previous plan, for replanning; empty otherwise.
    pub previous: Vec<Held>,
}

/// Order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Region of the destination.
    pub region: u32,
    /// Lines; each product at most once.
    pub lines: Vec<OrderLine>,
    /// Promised day of arrival.
    pub promised: Day,
    /// Cost of a late shipment, in addition to the days that are known now (at least 0).
    pub late: Money,
    /// Cost of a unit that is not shipped (at least 0). A unit that costs more to ship is not shipped.
    pub missing: Money,
    /// Priority, from 0 (first) to [`Problem::MAX_PRIORITY`].
    pub priority: u8,
    /// Whether the order is all or nothing.
    pub complete: bool,
    /// Maximum number of shipments beyond the first; every order has at most [`Problem::MAX_SHIPMENTS`] shipments.
    pub max_splits: u16,
    /// The only node that may ship it.
    pub pinned: Option<u32>,
    /// Nodes that may not ship it.
    pub excluded: Vec<u32>,
}

/// Line of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderLine {
    /// Product.
    pub sku: u32,
    /// Units (at least 1).
    pub quantity: u32,
}

/// Warehouse, shop or supplier that ships orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Node {
    /// Remaining capacity.
    pub capacity: Capacity,
    /// Day on which a shipment allocated now leaves.
    pub dispatch: Day,
    /// Handling cost of a shipment (at least 0).
    pub shipment: Money,
    /// Handling cost of a unit (at least 0).
    pub unit: Money,
    /// Whether the node ships nothing.
    pub closed: bool,
}

/// Capacity of a node in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capacity {
    /// No limit.
    #[default]
    Unlimited,
    /// Maximum number of shipments.
    Shipments(u32),
    /// Maximum number of units.
    Units(u32),
}

/// Stock of a product at a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// Node.
    pub node: u32,
    /// Product.
    pub sku: u32,
    /// Units available to promise: on hand minus reserved minus safety stock (at least 0).
    pub available: u32,
    /// Cost of taking a unit here rather than elsewhere: positive if stock is short, negative if it will be marked
    /// down.
    pub pressure: Money,
}

/// Connection from a node to a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lane {
    /// Node.
    pub node: u32,
    /// Region.
    pub region: u32,
    /// Freight of a shipment (at least 0).
    pub shipment: Money,
    /// Freight of a unit (at least 0).
    pub unit: Money,
    /// Days from dispatch to arrival.
    pub transit: u16,
    /// Probability that a shipment arrives later than that, in millionths.
    pub late: u32,
}

/// Costs that are the same for all orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// Cost of each day that a shipment arrives after the promised day (at least 0).
    pub day_late: Money,
    /// Cost of each shipment of an order beyond its first (at least 0).
    pub split: Money,
    /// Cost of a unit of the previous plan that no longer ships from its node (at least 0).
    pub change: Money,
}

/// Units of the previous plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Order.
    pub order: u32,
    /// Line of the order.
    pub line: u32,
    /// Node that it was to ship from.
    pub node: u32,
    /// Units.
    pub quantity: u32,
}

/// Parts of a minor unit in the solver's amounts, so that prices can have fractions.
pub(super) const SCALE: i64 = 256;

/// Maximum possible cost of a plan, in minor units: sums of it, scaled and multiplied by the number of nodes, fit in an
/// `i64`.
const MOST: i64 = 1 << 42;

impl Problem {
    /// Maximum number of orders.
    pub const MAX_ORDERS: usize = 20_000;
    /// Maximum number of lines of all orders.
    pub const MAX_LINES: usize = 100_000;
    /// Maximum number of lines of one order.
    pub const MAX_ORDER_LINES: usize = 500;
    /// Maximum number of shipments of one order.
    pub const MAX_SHIPMENTS: usize = 32;
    /// Maximum number of nodes.
    pub const MAX_NODES: usize = 1_000;
    /// Maximum number of stock entries, and of lanes.
    pub const MAX_ENTRIES: usize = 2_000_000;
    /// Lowest priority.
    pub const MAX_PRIORITY: u8 = 7;

    /// Checks numbers and limits. Returns the maximum that nodes, lanes and stock can add to the cost of a unit, in
    /// parts of minor units.
    pub(super) fn check(&self) -> Result<i64> {
        at_most("orders", self.orders.len(), Self::MAX_ORDERS)?;
        at_most("nodes", self.nodes.len(), Self::MAX_NODES)?;
        at_most("entries in `stock`", self.stock.len(), Self::MAX_ENTRIES)?;
        at_most("lanes", self.lanes.len(), Self::MAX_ENTRIES)?;
        at_most("entries in `previous`", self.previous.len(), Self::MAX_LINES)?;
        let lines = self.orders.iter().map(|order| order.lines.len()).sum();
        at_most("lines of all orders", lines, Self::MAX_LINES)?;
        let longest = self.orders.iter().map(|order| order.lines.len()).max().unwrap_or(0);
        at_most("lines of one order", longest, Self::MAX_ORDER_LINES)?;
        let excluded = self.orders.iter().map(|order| order.excluded.len()).max().unwrap_or(0);
        at_most("nodes in `excluded`", excluded, Self::MAX_NODES)?;

        let (mut first, mut units, mut worth, mut late) = (Day::default(), 0_i64, 0_i64, 0_i64);
        for (n, order) in self.orders.iter().enumerate() {
            if order.priority > Self::MAX_PRIORITY {
                let (found, most) = (order.priority, Self::MAX_PRIORITY);
                return Err(bad(format!("order {n} has priority {found}, not 0 to {most}")));
            }
            if let Some(line) = order.lines.iter().position(|line| line.quantity == 0) {
                return Err(bad(format!("order {n} has 0 units in line {line}; leave it out")));
            }
            cost(order.late, "late")
                .and(cost(order.missing, "missing"))
                .map_err(|e| e.within(&format!("order {n}")))?;
            first = if n == 0 { order.promised } else { first.min(order.promised) };
            late = late.max(order.late.0);
            worth = worth.max(order.missing.0);
            units += order.lines.iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        }
        let (mut shipment, mut unit, mut last) = (0, 0, first);
        for node in &self.nodes {
            cost(node.shipment, "node.shipment").and(cost(node.unit, "node.unit"))?;
            shipment = shipment.max(node.shipment.0);
            unit = unit.max(node.unit.0);
            last = last.max(node.dispatch);
        }
        let (mut freight, mut freight_unit, mut transit) = (0, 0, 0);
        for lane in &self.lanes {
            cost(lane.shipment, "lane.shipment").and(cost(lane.unit, "lane.unit"))?;
            if lane.late > 1_000_000 {
                return Err(bad(format!("a lane's `late` is {} millionths; the limit is 1,000,000", lane.late)));
            }
            freight = freight.max(lane.shipment.0);
            freight_unit = freight_unit.max(lane.unit.0);
            transit = transit.max(lane.transit);
        }
        let mut pressure = 0;
        for stock in &self.stock {
            stock.pressure.check("pressure")?;
            pressure = pressure.max(stock.pressure.0.abs());
        }
        let Costs { day_late, split, change } = self.costs;
        cost(day_late, "day_late").and(cost(split, "split")).and(cost(change, "change"))?;

        // INVARIANT: each of these is at most 10¹³ here, and `days` at most 2³³.
        let days = i64::from(last.0) - i64::from(first.0) + i64::from(transit);
        let network = unit + freight_unit + pressure + change.0 + shipment + freight + split.0;
        let worth = (worth + late + network).saturating_add(days.saturating_mul(day_late.0)).saturating_add(1);
        let held = self.previous.iter().map(|held| i64::from(held.quantity)).sum::<i64>();
        if (units + held).saturating_mul(worth) > MOST {
            return Err(bad(format!("{units} units at up to {worth} each would overflow; allocate fewer at a time")));
        }
        Ok(network * SCALE)
    }
}

pub(super) fn cost(amount: Money, what: &str) -> Result<()> {
    amount.check(what)?;
    if amount.0 < 0 { Err(bad(format!("`{what}` is {}, below 0", amount.0))) } else { Ok(()) }
}
