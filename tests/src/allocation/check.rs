//! Check of a plan against its problem, sharing nothing with the solver: every constraint, every cost, in i128.

use std::collections::BTreeMap;
use tradewind_core::allocate::{Allocation, Capacity, Problem};

/// Order, line, node, units.
pub type Flow = (u32, u32, u32, u32);

/// Returns the flows of a plan.
pub fn flows(plan: &Allocation) -> Vec<Flow> {
    let mut flows = Vec::new();
    for (o, order) in plan.orders.iter().enumerate() {
        for shipment in &order.shipments {
            assert!(!shipment.lines.is_empty(), "order {o} has an empty shipment from node {}", shipment.node);
            flows.extend(shipment.lines.iter().map(|&(line, units)| (o as u32, line, shipment.node, units)));
        }
    }
    flows
}

/// Computes the cost of flows, if they satisfy every constraint.
///
/// # Errors
/// The violated constraint.
pub fn cost(problem: &Problem, flows: &[Flow]) -> Result<i128, String> {
    let mut by_place: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut by_node: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut by_order: BTreeMap<u32, BTreeMap<u32, BTreeMap<u32, u64>>> = BTreeMap::new();
    for &(o, line, node, units) in flows {
        if units == 0 {
            return Err(format!("order {o} ships 0 units of line {line}"));
        }
        let order = problem.orders.get(o as usize).ok_or("an order that is not there")?;
        let sku = order.lines.get(line as usize).ok_or("a line that is not there")?.sku;
        *by_place.entry((node, sku)).or_default() += u64::from(units);
        by_node.entry(node).or_default().0 += u64::from(units);
        *by_order.entry(o).or_default().entry(node).or_default().entry(line).or_default() += u64::from(units);
    }
    for (&(node, sku), &units) in &by_place {
        let stock = problem.stock.iter().find(|stock| (stock.node, stock.sku) == (node, sku));
        let available = stock.map_or(0, |stock| u64::from(stock.available));
        if units > available {
            return Err(format!("oversold: {units} of {available} units of product {sku} at node {node}"));
        }
    }
    let mut total = 0;
    for (o, order) in problem.orders.iter().enumerate() {
        let nodes = by_order.remove(&(o as u32)).unwrap_or_default();
        let wanted = order.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
        let mut shipped = 0;
        for (n, (&node, lines)) in nodes.iter().enumerate() {
            let found = problem.nodes.get(node as usize).ok_or("a node that is not there")?;
            by_node.entry(node).or_default().1 += 1;
            if found.closed || order.excluded.contains(&node) || order.pinned.is_some_and(|pinned| pinned != node) {
                return Err(format!("order {o} ships from node {node}, which it may not"));
            }
            let lane = problem.lanes.iter().find(|lane| (lane.node, lane.region) == (node, order.region));
            let lane = lane.ok_or_else(|| format!("order {o} ships from node {node} without a lane"))?;
            let days = i128::from(found.dispatch.0) + i128::from(lane.transit) - i128::from(order.promised.0);
            let risk = (i128::from(order.late.0) * i128::from(lane.late) + 500_000).div_euclid(1_000_000);
            total += i128::from(lane.shipment.0 + found.shipment.0) + risk;
            total += days.max(0) * i128::from(problem.costs.day_late.0);
            total += if n > 0 { i128::from(problem.costs.split.0) } else { 0 };
            for (&line, &units) in lines {
                let sku = order.lines[line as usize].sku;
                let stock = problem.stock.iter().find(|stock| (stock.node, stock.sku) == (node, sku));
                let pressure = stock.map_or(0, |stock| stock.pressure.0);
                total += i128::from(units) * i128::from(lane.unit.0 + found.unit.0 + pressure);
                shipped += units;
            }
        }
        for (line, wanted) in order.lines.iter().enumerate() {
            let units = nodes.values().filter_map(|lines| lines.get(&(line as u32))).sum::<u64>();
            if units > u64::from(wanted.quantity) {
                return Err(format!("order {o} gets {units} units of line {line}, more than it wants"));
            }
        }
        if order.complete && shipped > 0 && shipped < wanted {
            return Err(format!("order {o} ships in part, and was to ship completely"));
        }
        if nodes.len() > usize::from(order.max_splits) + 1 {
            return Err(format!("order {o} ships in {} shipments", nodes.len()));
        }
        total += i128::from(wanted - shipped) * i128::from(order.missing.0);
        for held in problem.previous.iter().filter(|held| held.order as usize == o) {
            let kept = nodes.get(&held.node).and_then(|lines| lines.get(&held.line)).copied().unwrap_or(0);
            total += i128::from(u64::from(held.quantity).saturating_sub(kept)) * i128::from(problem.costs.change.0);
        }
    }
    for (&node, &(units, shipments)) in &by_node {
        let (found, most) = match problem.nodes[node as usize].capacity {
            Capacity::Unlimited => continue,
            Capacity::Units(most) => (units, most),
            Capacity::Shipments(most) => (shipments, most),
        };
        if found > u64::from(most) {
            return Err(format!("node {node} does {found}, and can do {most}"));
        }
    }
    Ok(total)
}

/// Checks a complete reply: constraints, costs, sums of shortfalls, and bound.
///
/// # Errors
/// The first violation.
pub fn check(problem: &Problem, plan: &Allocation) -> Result<(), String> {
    let total = cost(problem, &flows(plan))?;
    if total != i128::from(plan.total.0) {
        return Err(format!("the plan says it costs {}, and costs {total}", plan.total.0));
    }
    let parts = plan.orders.iter().map(|order| i128::from(order.cost.total().0)).sum::<i128>();
    if parts != total {
        return Err(format!("orders cost {parts}, the plan {total}"));
    }
    if plan.bound > plan.total {
        return Err(format!("the bound {} is above the total {}", plan.bound.0, plan.total.0));
    }
    for (o, (order, answer)) in problem.orders.iter().zip(&plan.orders).enumerate() {
        for (n, line) in order.lines.iter().enumerate() {
            let lines = answer.shipments.iter().flat_map(|shipment| &shipment.lines);
            let shipped = lines.filter(|(at, _)| *at as usize == n).map(|(_, units)| units).sum::<u32>();
            let missing =
                answer.shortfalls.iter().filter(|short| short.line as usize == n).map(|s| s.quantity).sum::<u32>();
            if shipped + missing != line.quantity {
                return Err(format!("order {o}, line {n}: {shipped} shipped, {missing} missing of {}", line.quantity));
            }
        }
    }
    Ok(())
}
