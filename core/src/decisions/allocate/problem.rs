//! What is to be decided.

use crate::{
    domain::{
        check::{at_most, bad},
        money::Money,
        time::Day,
    },
    error::Result,
};
use alloc::{format, vec::Vec};

/// Orders, and from where they can be served. Orders, nodes and lines are numbered by their places,
/// products and regions by whoever asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    /// What is to be shipped.
    pub orders: Vec<Order>,
    /// From where it can be shipped.
    pub nodes: Vec<Node>,
    /// What lies there. What is not listed is not there; a node and product are listed once.
    pub stock: Vec<Stock>,
    /// Where nodes ship to. A node and region are listed once.
    pub lanes: Vec<Lane>,
    /// What is the same for all orders.
    pub costs: Costs,
    /// The plan that stood before, when it is made anew; empty otherwise.
    pub previous: Vec<Held>,
}

/// An order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Where it goes.
    pub region: u32,
    /// What it wants; a product is named once.
    pub lines: Vec<OrderLine>,
    /// The day by which it was promised to arrive.
    pub promised: Day,
    /// What it costs if a shipment is late, beside the days that are known now; at least 0.
    pub late: Money,
    /// What it costs not to ship a unit; at least 0. A unit that costs more to ship is not shipped.
    pub missing: Money,
    /// 0 is served first; at most [`Problem::MAX_PRIORITY`].
    pub priority: u8,
    /// Ship all of it, or nothing.
    pub complete: bool,
    /// At most so many shipments beyond the first; [`Problem::MAX_SHIPMENTS`] in all hold for every order.
    pub max_splits: u16,
    /// From this node only.
    pub pinned: Option<u32>,
    /// Not from these nodes.
    pub excluded: Vec<u32>,
}

/// So many units of a product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderLine {
    /// The product.
    pub sku: u32,
    /// Units, at least 1.
    pub quantity: u32,
}

/// A warehouse, shop or supplier that ships.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Node {
    /// What it can still do in this run.
    pub capacity: Capacity,
    /// The day on which a shipment decided now leaves.
    pub dispatch: Day,
    /// Handling of a shipment; at least 0.
    pub shipment: Money,
    /// Handling of a unit; at least 0.
    pub unit: Money,
    /// Ships nothing.
    pub closed: bool,
}

/// What a node can do in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capacity {
    /// Whatever is asked of it.
    #[default]
    Unlimited,
    /// So many shipments.
    Shipments(u32),
    /// So many units.
    Units(u32),
}

/// A product at a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stock {
    /// The node.
    pub node: u32,
    /// The product.
    pub sku: u32,
    /// Units available to promise: on hand, less reserved, less safety stock, at least 0.
    pub available: u32,
    /// What it costs to take a unit here rather than elsewhere: positive where stock runs short, negative where
    /// it will be marked down.
    pub pressure: Money,
}

/// The way from a node to a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lane {
    /// From here.
    pub node: u32,
    /// To there.
    pub region: u32,
    /// Freight of a shipment; at least 0.
    pub shipment: Money,
    /// Freight of a unit; at least 0.
    pub unit: Money,
    /// Days from dispatch to arrival.
    pub transit: u16,
    /// How probable it is that a shipment arrives later than that, in millionths.
    pub late: u32,
}

/// What is the same for all orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Costs {
    /// A shipment's arrival after the promised day, for each day; at least 0.
    pub day_late: Money,
    /// Each shipment of an order beyond its first; at least 0.
    pub split: Money,
    /// A unit of the previous plan that no longer ships from its node; at least 0.
    pub change: Money,
}

/// Units of the previous plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// The order.
    pub order: u32,
    /// The line of the order.
    pub line: u32,
    /// From where it was to ship.
    pub node: u32,
    /// Units.
    pub quantity: u32,
}

/// Amounts in the solver are in parts of a minor unit, so that prices can lie between two.
pub(super) const SCALE: i64 = 256;

/// The most that a plan can cost in any event, in minor units: sums of it, scaled and times the number of nodes,
/// stay within an `i64`.
const MOST: i64 = 1 << 42;

impl Problem {
    /// The most orders.
    pub const MAX_ORDERS: usize = 20_000;
    /// The most lines of all orders.
    pub const MAX_LINES: usize = 100_000;
    /// The most lines of one order.
    pub const MAX_ORDER_LINES: usize = 500;
    /// The most shipments of one order.
    pub const MAX_SHIPMENTS: usize = 32;
    /// The most nodes.
    pub const MAX_NODES: usize = 1_000;
    /// The most entries of stock, and the most lanes.
    pub const MAX_ENTRIES: usize = 2_000_000;
    /// The last priority.
    pub const MAX_PRIORITY: u8 = 7;

    /// Checks numbers and limits, and gives the most that nodes, lanes and stock can add to the cost of a unit, in
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
                return Err(bad(format!("order {n} has the priority {found}; 0 to {most} are taken")));
            }
            if let Some(line) = order.lines.iter().position(|line| line.quantity == 0) {
                return Err(bad(format!("order {n} wants 0 units in line {line}; leave the line out")));
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
                return Err(bad(format!("a lane's `late` is {} millionths; at most 1,000,000 are taken", lane.late)));
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
            return Err(bad(format!(
                "{units} units at up to {worth} each are more than can be added up; decide fewer at a time"
            )));
        }
        Ok(network * SCALE)
    }
}

pub(super) fn cost(amount: Money, what: &str) -> Result<()> {
    amount.check(what)?;
    if amount.0 < 0 { Err(bad(format!("`{what}` is {}; it cannot be below 0", amount.0))) } else { Ok(()) }
}
