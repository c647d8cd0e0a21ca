//! The answer in the words of the problem: shipments, costs, and why units are missing.

use super::{
    market::Market,
    network::{Network, Take},
    plan::{Allocation, OrderPlan, Reason, Shipment, Shortfall},
};
use crate::domain::{money::Money, time::Day};
use alloc::vec::Vec;

/// Shipments and shortfalls of all orders.
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
