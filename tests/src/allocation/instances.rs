//! Recorded instances: real baskets and locations, generated stock and costs, with HiGHS's proven optimum.

use super::{Flow, check, cost};
use crate::root;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::fs;
use tradewind_core::{
    Day, Money,
    allocate::{Capacity, Costs, Lane, Node, Order, OrderLine, Problem, Stock, allocate},
};

/// Problem with recorded plans.
#[derive(Debug)]
pub struct Instance {
    /// Name.
    pub name: String,
    /// Scarcity of stock: `ample`, `tight` or `scarce`.
    pub level: String,
    /// Problem.
    pub problem: Problem,
    /// Plan proven optimal by HiGHS.
    pub optimum: Answer,
    /// Optimum among plans that keep priorities.
    pub keeping: Answer,
    /// Greedy plan: order by order from the nearest node, like Magento.
    pub greedy: Answer,
}

/// Recorded plan.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Cost, in minor units.
    pub total: i64,
    /// Assignment of units to nodes.
    pub plan: Vec<Flow>,
}

/// Costs of an instance's plans, in minor units.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solved {
    /// Cost that no plan avoids: each line's cheapest option, with the cheapest shipment of each order.
    pub unavoidable: i64,
    /// Recorded greedy plan.
    pub greedy: i64,
    /// Our plan.
    pub ours: i64,
    /// Our lower bound.
    pub bound: i64,
    /// Recorded optimum.
    pub optimum: i64,
    /// Recorded optimum that keeps priorities.
    pub keeping: i64,
}

impl Instance {
    /// Solves the problem, and checks our plan and the recorded ones: constraints, costs, bound ≤ optimum ≤ ours.
    ///
    /// # Errors
    /// The first violation.
    pub fn solve(&self) -> Result<Solved> {
        let Self { name, problem, optimum, keeping, greedy, .. } = self;
        let plan = allocate(problem)?;
        for answer in [optimum, keeping, greedy] {
            ensure!(cost(problem, &answer.plan) == Ok(i128::from(answer.total)), "{name}: a recorded plan");
        }
        ensure!(check(problem, &plan) == Ok(()), "{name}: {:?}", check(problem, &plan));
        let (ours, bound) = (plan.total.0, plan.bound.0);
        ensure!(bound <= optimum.total, "{name}: bound {bound} above the optimum {}", optimum.total);
        ensure!(ours >= optimum.total, "{name}: {ours} below the optimum {}", optimum.total);
        let unavoidable = unavoidable(problem)?;
        Ok(Solved { unavoidable, greedy: greedy.total, ours, bound, optimum: optimum.total, keeping: keeping.total })
    }
}

fn unavoidable(problem: &Problem) -> Result<i64> {
    let mut free = problem.clone();
    free.stock.iter_mut().for_each(|stock| stock.available = u32::MAX);
    free.nodes.iter_mut().for_each(|node| node.capacity = Capacity::Unlimited);
    let alone = problem.orders.iter().map(|order| {
        free.orders = vec![order.clone()];
        Ok(allocate(&free)?.bound.0)
    });
    alone.sum()
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

/// Reads the instances of a file in `tests/cases/allocate`.
///
/// # Errors
/// If the file is missing, or a line is invalid.
pub fn instances(file: &str) -> Result<Vec<Instance>> {
    let path = root().join("tests/cases/allocate").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    text.lines().map(|line| Ok(instance(serde_json::from_str(line)?))).collect()
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
