//! Conversion of plans to the answer: shipments, costs, and reasons for missing units.

use super::{
    market::Market,
    network::{Network, Take},
    plan::{Allocation, OrderPlan, Reason, Shipment, Shortfall},
};
use crate::domain::{money::Money, time::Day};
use alloc::vec::Vec;

/// Computes shipments, shortfalls and costs of all orders.
pub(super) fn explain(network: &Network<'_>, plans: &[Vec<Take>], bound: i64) -> Allocation {
    let mut left = Market::new(network);
    plans.iter().for_each(|takes| left.take(takes));
    let orders: Vec<OrderPlan> = plans
        .iter()
        .enumerate()
        .map(|(o, takes)| OrderPlan {
            shipments: shipments(network, o, takes),
            shortfalls: shortfalls(network, &left, o, takes),
            cost: network.cost(o, takes),
        })
        .collect();
    let total = orders.iter().map(|order| order.cost.total().0).sum();
    Allocation { orders, total: Money(total), bound: Money(bound.min(total)) }
}

fn shipments(network: &Network<'_>, o: usize, takes: &[Take]) -> Vec<Shipment> {
    let mut shipments: Vec<Shipment> = Vec::new();
    for take in takes {
        let line = (take.line, take.units);
        match shipments.last_mut() {
            Some(last) if last.node == take.node => last.lines.push(line),
            _ => {
                let dispatch = network.node(take.node).dispatch;
                let transit = network.lane(o, take.node).map_or(0, |lane| lane.transit);
                let arrival = Day(dispatch.0.saturating_add(i32::from(transit)));
                shipments.push(Shipment { node: take.node, dispatch, arrival, lines: [line].into() });
            }
        }
    }
    shipments
}

fn shortfalls(network: &Network<'_>, left: &Market, o: usize, takes: &[Take]) -> Vec<Shortfall> {
    let mut shortfalls = Vec::new();
    for (line, view) in network.lines(o).iter().enumerate() {
        let shipped = takes.iter().filter(|take| take.line as usize == line).map(|take| take.units).sum::<u32>();
        if shipped < view.quantity {
            let reason = reason(network, left, o, line, takes);
            shortfalls.push(Shortfall { line: line as u32, quantity: view.quantity - shipped, reason });
        }
    }
    shortfalls
}

fn reason(network: &Network<'_>, left: &Market, o: usize, line: usize, takes: &[Take]) -> Reason {
    let view = &network.lines(o)[line];
    let (mut stocked, mut reached, mut allowed, mut units, mut able, mut open) =
        (false, false, false, 0_u64, 0_u64, false);
    for at in view.stock.clone().filter(|&at| network.stock[at].available > 0) {
        let node = network.stock[at].node;
        stocked = true;
        if network.lane(o, node).is_none() {
            continue;
        }
        reached = true;
        if !network.allowed(o, node) {
            continue;
        }
        allowed = true;
        units += u64::from(left.stock[at]);
        let ships = takes.iter().any(|take| take.node == node);
        if left.units[node as usize] > 0 && (ships || left.shipments[node as usize] > 0) {
            able += u64::from(left.stock[at].min(left.units[node as usize]));
            open |= ships && left.stock[at] > 0;
        }
    }
    let complete = network.order(o).complete;
    let wanted = if complete { u64::from(view.quantity) } else { 1 };
    let shipments = takes.chunk_by(|a, b| a.node == b.node).count();
    match () {
        () if !stocked => Reason::NoStock,
        () if !reached => Reason::NoLane,
        () if !allowed => Reason::Excluded,
        () if complete && able >= wanted => Reason::Incomplete,
        () if units < wanted => Reason::SoldOut,
        () if able < wanted => Reason::Capacity,
        () if !open && shipments > usize::from(network.order(o).max_splits) => Reason::Splits,
        () => Reason::Cost,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::problem::Problem, *};
    use crate::{
        allocate::{Capacity, Costs, Lane, Node, Order, OrderLine, Stock, allocate},
        error::Result,
    };
    use alloc::vec;

    /// Two nodes that have one product each, and an order of two units of both products.
    fn problem() -> Problem {
        let line = |sku| OrderLine { sku, quantity: 2 };
        let stock = |node, sku| Stock { node, sku, available: 5, ..Stock::default() };
        let lane = |node| Lane { node, shipment: Money(100), unit: Money(10), ..Lane::default() };
        Problem {
            orders: vec![Order {
                lines: vec![line(0), line(1)],
                missing: Money(500),
                max_splits: 3,
                ..Order::default()
            }],
            nodes: vec![Node::default(); 2],
            stock: vec![stock(0, 0), stock(1, 1)],
            lanes: vec![lane(0), lane(1)],
            ..Problem::default()
        }
    }

    /// Line, units and reason of each shortfall, after a change to the problem.
    fn missing(change: impl FnOnce(&mut Problem)) -> Vec<(u32, u32, Reason)> {
        let mut problem = problem();
        change(&mut problem);
        let plan = allocate(&problem).expect("a sound problem");
        plan.orders[0].shortfalls.iter().map(|short| (short.line, short.quantity, short.reason)).collect()
    }

    #[test]
    fn each_missing_unit_has_its_reason() {
        assert_eq!(missing(|_| ()), []);
        assert_eq!(missing(|problem| problem.stock[1].available = 0), [(1, 2, Reason::NoStock)]);
        assert_eq!(missing(|problem| problem.lanes.truncate(1)), [(1, 2, Reason::NoLane)]);
        assert_eq!(missing(|problem| problem.nodes[1].closed = true), [(1, 2, Reason::Excluded)]);
        assert_eq!(missing(|problem| problem.orders[0].excluded = vec![1]), [(1, 2, Reason::Excluded)]);
        assert_eq!(missing(|problem| problem.orders[0].pinned = Some(0)), [(1, 2, Reason::Excluded)]);
        assert_eq!(missing(|problem| problem.stock[1].available = 1), [(1, 1, Reason::SoldOut)]);
        assert_eq!(missing(|problem| problem.nodes[1].capacity = Capacity::Units(1)), [(1, 1, Reason::Capacity)]);
        assert_eq!(missing(|problem| problem.nodes[1].capacity = Capacity::Shipments(0)), [(1, 2, Reason::Capacity)]);
        assert_eq!(missing(|problem| problem.orders[0].max_splits = 0), [(1, 2, Reason::Splits)]);
        assert_eq!(missing(|problem| problem.lanes[1].unit = Money(600)), [(1, 2, Reason::Cost)]);
        let incomplete = missing(|problem| {
            problem.orders[0].complete = true;
            problem.stock[1].available = 1;
        });
        assert_eq!(incomplete, [(0, 2, Reason::Incomplete), (1, 2, Reason::SoldOut)]);
    }

    #[test]
    fn shipments_have_days_and_costs_have_causes() -> Result<()> {
        let mut problem = problem();
        problem.orders[0].late = Money(1_000);
        problem.orders[0].promised = Day(3);
        problem.costs = Costs { day_late: Money(50), split: Money(30), change: Money(0) };
        problem.nodes[0] = Node { dispatch: Day(2), shipment: Money(7), unit: Money(1), ..Node::default() };
        problem.lanes[0].transit = 3;
        problem.lanes[1].late = 250_000;
        problem.stock[1].pressure = Money(-4);
        let plan = allocate(&problem)?;
        let [first, second] = &plan.orders[0].shipments[..] else { panic!("two shipments") };
        assert_eq!((first.node, first.dispatch, first.arrival, &first.lines[..]), (0, Day(2), Day(5), &[(0, 2)][..]));
        assert_eq!((second.node, second.arrival, &second.lines[..]), (1, Day(0), &[(1, 2)][..]));
        let cost = plan.orders[0].cost;
        assert_eq!((cost.shipping, cost.handling), (Money(2 * 100 + 4 * 10), Money(7 + 2)));
        assert_eq!((cost.transit, cost.risk), (Money(2 * 50), Money(250)), "two days late; one chance in four");
        assert_eq!((cost.splits, cost.pressure, cost.shortfall), (Money(30), Money(-8), Money(0)));
        assert_eq!((plan.total, plan.bound), (cost.total(), cost.total()));
        Ok(())
    }
}
