//! The recorded instances: real baskets and places, generated stock and costs, with the optimum that HiGHS proved.

use crate::check::Flow;
use serde::Deserialize;
use std::{fs, path::PathBuf};
use tradewind_core::{
    Day, Money,
    allocate::{Capacity, Costs, Lane, Node, Order, OrderLine, Problem, Stock},
};

/// A problem with its answers.
pub struct Instance {
    pub name: String,
    pub level: String,
    pub problem: Problem,
    pub optimum: Answer,
    /// The optimum among plans that keep priorities.
    pub keeping: Answer,
    pub greedy: Answer,
}

#[derive(Deserialize)]
pub struct Answer {
    pub total: i64,
    pub plan: Vec<Flow>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    level: String,
    costs: LineCosts,
    nodes: Vec<LineNode>,
    /// Node, region, cost of a shipment and of a unit, days, late in millionths, kilometres.
    lanes: Vec<(u32, u32, i64, i64, u16, u32, u32)>,
    /// Node, product, units, pressure.
    stock: Vec<(u32, u32, u32, i64)>,
    orders: Vec<LineOrder>,
    optimum: Answer,
    keeping_priorities: Answer,
    greedy: Answer,
}

#[derive(Deserialize)]
struct LineCosts {
    day_late: i64,
    split: i64,
}

#[derive(Deserialize)]
struct LineNode {
    capacity: Option<LineCapacity>,
    dispatch: i32,
    shipment: i64,
    unit: i64,
    closed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineCapacity {
    Shipments(u32),
    Units(u32),
}

#[derive(Deserialize)]
struct LineOrder {
    region: u32,
    lines: Vec<(u32, u32)>,
    promised: i32,
    late: i64,
    missing: i64,
    priority: u8,
    complete: bool,
    splits: Option<u16>,
    pinned: Option<u32>,
    excluded: Vec<u32>,
}

/// All of them.
pub fn instances() -> Vec<Instance> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/allocate/instances.jsonl");
    let text = fs::read_to_string(file).expect("the instances are in the checkout");
    text.lines().map(|line| instance(serde_json::from_str(line).expect("a line is an instance"))).collect()
}

fn instance(line: Line) -> Instance {
    let orders = line.orders.into_iter().map(|order| Order {
        region: order.region,
        lines: order.lines.into_iter().map(|(sku, quantity)| OrderLine { sku, quantity }).collect(),
        promised: Day(order.promised),
        late: Money(order.late),
        missing: Money(order.missing),
        priority: order.priority,
        complete: order.complete,
        max_splits: order.splits.unwrap_or(u16::MAX),
        pinned: order.pinned,
        excluded: order.excluded,
    });
    let nodes = line.nodes.into_iter().map(|node| Node {
        capacity: match node.capacity {
            None => Capacity::Unlimited,
            Some(LineCapacity::Shipments(most)) => Capacity::Shipments(most),
            Some(LineCapacity::Units(most)) => Capacity::Units(most),
        },
        dispatch: Day(node.dispatch),
        shipment: Money(node.shipment),
        unit: Money(node.unit),
        closed: node.closed,
    });
    let lanes = line.lanes.into_iter().map(|(node, region, shipment, unit, transit, late, _)| Lane {
        node,
        region,
        shipment: Money(shipment),
        unit: Money(unit),
        transit,
        late,
    });
    let stock = line.stock.into_iter().map(|(node, sku, available, pressure)| Stock {
        node,
        sku,
        available,
        pressure: Money(pressure),
    });
    let LineCosts { day_late, split } = line.costs;
    Instance {
        name: line.name,
        level: line.level,
        problem: Problem {
            orders: orders.collect(),
            nodes: nodes.collect(),
            stock: stock.collect(),
            lanes: lanes.collect(),
            costs: Costs { day_late: Money(day_late), split: Money(split), change: Money(0) },
            previous: Vec::new(),
        },
        optimum: line.optimum,
        keeping: line.keeping_priorities,
        greedy: line.greedy,
    }
}
