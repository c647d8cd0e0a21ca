//! The cheapest of all plans, by trying every one: for problems of a few orders, nodes and units.

use super::{Flow, cost};
use std::collections::BTreeMap;
use tradewind_core::allocate::{Capacity, Problem};

/// Returns the cost of the cheapest plan, in minor units.
pub fn optimum(problem: &Problem) -> i128 {
    // The least cost of the orders so far, by what they leave of stock, shipments and units.
    let mut states = BTreeMap::from([(supply(problem), 0)]);
    for o in 0..problem.orders.len() {
        let plans = plans(&alone(problem, o));
        let mut next = BTreeMap::new();
        for (left, so_far) in &states {
            for (usage, cost) in &plans {
                let rest: Option<Vec<u32>> =
                    left.iter().zip(usage).map(|(&left, &used)| left.checked_sub(used)).collect();
                if let Some(rest) = rest {
                    let least = next.entry(rest).or_insert(i128::MAX);
                    *least = (*least).min(so_far + cost);
                }
            }
        }
        states = next;
    }
    states.into_values().min().unwrap_or(0)
}

/// The problem with only one of its orders.
fn alone(problem: &Problem, o: usize) -> Problem {
    let mut alone = problem.clone();
    alone.orders = vec![problem.orders[o].clone()];
    alone.previous.retain(|held| held.order as usize == o);
    alone.previous.iter_mut().for_each(|held| held.order = 0);
    alone
}

/// Units of each stock entry, and capacity of each node.
fn supply(problem: &Problem) -> Vec<u32> {
    let room = problem.nodes.iter().map(|node| match node.capacity {
        Capacity::Unlimited => u32::MAX,
        Capacity::Shipments(most) | Capacity::Units(most) => most,
    });
    problem.stock.iter().map(|stock| stock.available).chain(room).collect()
}

/// What flows use of the supply.
fn usage(problem: &Problem, flows: &[Flow]) -> Vec<u32> {
    let units = |of: &dyn Fn(&Flow) -> bool| flows.iter().filter(|flow| of(flow)).map(|flow| flow.3).sum::<u32>();
    let sku = |flow: &Flow| problem.orders[flow.0 as usize].lines[flow.1 as usize].sku;
    let stock = problem.stock.iter().map(|stock| units(&|flow| (flow.2, sku(flow)) == (stock.node, stock.sku)));
    let room = problem.nodes.iter().zip(0..).map(|(node, n)| match node.capacity {
        Capacity::Unlimited => 0,
        Capacity::Shipments(_) => units(&|flow| flow.2 == n).min(1),
        Capacity::Units(_) => units(&|flow| flow.2 == n),
    });
    stock.chain(room).collect()
}

/// What each plan of the only order uses, and its cost. A plan no cheaper than the empty one is left out: the empty one
/// uses nothing.
fn plans(problem: &Problem) -> Vec<(Vec<u32>, i128)> {
    let nodes = problem.nodes.len() as u32;
    let mut all: Vec<Vec<Flow>> = vec![Vec::new()];
    for (line, asked) in problem.orders[0].lines.iter().enumerate() {
        for node in 0..nodes {
            let longer = |flows: &Vec<Flow>| {
                let so_far = flows.iter().filter(|flow| flow.1 as usize == line).map(|flow| flow.3).sum::<u32>();
                let flows = flows.clone();
                (0..=asked.quantity - so_far).map(move |units| {
                    let new = (units > 0).then_some((0, line as u32, node, units));
                    flows.iter().copied().chain(new).collect()
                })
            };
            all = all.iter().flat_map(longer).collect();
        }
    }
    let empty = cost(problem, &[]).unwrap_or(i128::MAX);
    let priced = all.iter().filter_map(|flows| Some((usage(problem, flows), cost(problem, flows).ok()?)));
    priced.filter(|(used, cost)| *cost < empty || used.iter().all(|&used| used == 0)).collect()
}
