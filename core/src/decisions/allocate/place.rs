//! Cheapest plan for one order alone, at given prices and with the remaining stock and capacity.
//!
//! This is **facility location**. The order's lines are customers with a demand, the nodes are facilities, and a plan
//! opens a set of facilities *S*:
//!
//! ```text
//! cost(S) = Σ opening cost of S          freight, handling, days late and risk of one shipment
//!         + split × (|S| − 1)            each shipment beyond the first
//!         + Σ cheapest assignment        each line's units from the cheapest open facilities that have them,
//!                                        or `missing` for a unit that stays unserved
//! ```
//!
//! For a given set the assignment is greedy ([`facility`]), so only the set has to be found. The savings of a further
//! facility can only shrink as *S* grows: they are submodular, as sources of a flow are substitutes (Gale and Politof,
//! 1981). Three steps find the set, each only if the previous one has not proven its result:
//!
//! 1. **Branch and bound** over sets, briefly ([`search`]): a facility that saves less than it costs to open is useless
//!    in every larger set, which proves most orders after the first facility.
//! 2. **Reduction**: facilities that no better plan opens are dropped.
//! 3. **Set covering by shipments** ([`cover`]): a dynamic program over the served units of each line, if that is a
//!    small number of states; otherwise branch and bound continues within its effort.
//!
//! # Lower bound
//!
//! Each plan has a lower bound for the cost of every plan of the order: the plan's own cost, which is then optimal, or
//! that of a relaxation:
//!
//! - **Unexplored sets** are bounded by branch and bound: all their facilities together save at most the sum of what
//!   each saves alone, as savings are submodular.
//! - **All or nothing** is an exact penalty. A missing unit costs as much as the empty plan and all that units can save
//!   by negative costs (excess stock, units that stay), so no plan that lacks a unit is cheaper than the empty one, and
//!   the order is the same facility location problem. If the penalty was capped, plans that lack a unit are
//!   relaxations, and count for the bound.
//! - **Unit capacities** that bind leave the greedy assignment feasible, but not optimal. Such a set and its supersets
//!   count with the bound of the smaller set from which they were branched, whose assignment is optimal. The table
//!   counts capacities for each shipment, and gives no bound unless it splits each line into units.
//!
//! # Example
//!
//! Two teas and a jam. A missing unit costs 2,000, a split 100.
//!
//! | node | has | shipment | unit |
//! |---|---|---|---|
//! | A = 0 | tea | 400 | 0 |
//! | B = 1 | jam | 500 | 0 |
//! | C = 2 | both | 900 | 50 |
//!
//! | open | cost | |
//! |---|---|---|
//! | nothing | 6,000 | 3 × 2,000 |
//! | A | 2,400 | 400, and 2,000 for the jam |
//! | B | 4,500 | 500, and 2 × 2,000 for the teas |
//! | C | 1,050 | 900 + 3 × 50: C saves most, so the search opens it first |
//! | C, A or C, B | – | A would save 2 × 50 and B 50, less than they cost to open: both are pruned |
//! | A, B | 1,000 | 400 + 500 + 100: the optimum |
//!
//! ```
//! use tradewind_core::{Money, allocate::{Costs, Lane, Node, Order, OrderLine, Problem, Stock, allocate}};
//!
//! let (tea, jam) = (1, 2);
//! let stock = |node, sku| Stock { node, sku, available: 9, ..Stock::default() };
//! let lane = |node, shipment, unit| Lane { node, shipment: Money(shipment), unit: Money(unit), ..Lane::default() };
//! let problem = Problem {
//!     orders: vec![Order {
//!         lines: vec![OrderLine { sku: tea, quantity: 2 }, OrderLine { sku: jam, quantity: 1 }],
//!         missing: Money(2_000),
//!         max_splits: 2,
//!         ..Order::default()
//!     }],
//!     nodes: vec![Node::default(); 3],
//!     stock: vec![stock(0, tea), stock(1, jam), stock(2, tea), stock(2, jam)],
//!     lanes: vec![lane(0, 400, 0), lane(1, 500, 0), lane(2, 900, 50)],
//!     costs: Costs { split: Money(100), ..Costs::default() },
//!     ..Problem::default()
//! };
//! let plan = allocate(&problem)?;
//! assert_eq!(plan.orders[0].shipments.iter().map(|shipment| shipment.node).collect::<Vec<_>>(), [0, 1]);
//! assert_eq!((plan.total, plan.bound), (Money(1_000), Money(1_000)));
//!
//! // One shipment at most: C.
//! let one = Order { max_splits: 0, ..problem.orders[0].clone() };
//! let plan = allocate(&Problem { orders: vec![one], ..problem })?;
//! assert_eq!((plan.orders[0].shipments[0].node, plan.total), (2, Money(1_050)));
//! # Ok::<(), tradewind_core::Error>(())
//! ```
//!
//! Sources: Cornuéjols, Nemhauser and Wolsey, *The uncapacitated facility location problem* (1990), for the greedy
//! assignment, submodularity and reduction tests; Held and Karp's subset recursion for the dynamic program.

mod cover;
mod facility;
mod search;

use self::{
    cover::Table,
    facility::{Assignment, Instance},
    search::Tree,
};
use super::{
    market::Market,
    network::{Network, Take},
};
use alloc::vec::Vec;

/// Finds plans for single orders; keeps its buffers between calls.
#[derive(Default)]
pub(super) struct Placer {
    /// Order as a facility location problem.
    instance: Instance,
    /// Open facilities, and the cheapest assignment to them.
    assignment: Assignment,
    /// Best plan so far.
    incumbent: Incumbent,
    tree: Tree,
    table: Table,
    /// Additional penalty for a missing unit, in parts of minor units: above every price, for orders that no price may
    /// keep short.
    pub urgency: i64,
    /// Cells evaluated since the caller last reset it: a measure of time that does not depend on the machine.
    pub looked: i64,
}

/// Best plan found so far.
#[derive(Default)]
struct Incumbent {
    cost: i64,
    /// Open facilities of the plan.
    open: Vec<u32>,
}

impl Incumbent {
    /// Stores a plan, if it is cheaper.
    fn offer(&mut self, cost: i64, open: &[u32]) {
        if cost < self.cost {
            self.cost = cost;
            self.open.clear();
            self.open.extend_from_slice(open);
        }
    }
}

impl Placer {
    /// Finds the order's cheapest plan: `takes`, sorted by node, then line. Returns a lower bound for the cost of every
    /// plan of the order, in parts of minor units and with prices. `effort` limits the search, in multiples of
    /// evaluating all facilities once.
    pub fn place(
        &mut self,
        network: &Network<'_>,
        market: &Market,
        o: usize,
        effort: i64,
        takes: &mut Vec<Take>,
    ) -> i64 {
        takes.clear();
        let constant = self.instance.load(network, market, o, self.urgency);
        self.looked += (self.instance.cells.len() + self.instance.facilities.len()) as i64;
        self.incumbent.cost = self.instance.nothing;
        self.incumbent.open.clear();
        // For most orders one facility is best, which the first check or a short search proves; most others are small.
        if !self.is_one_best() && !self.search(2) {
            self.reduce();
            let bound = self.cover();
            if bound < self.incumbent.cost {
                self.search(effort);
            }
            self.tree.bound = self.tree.bound.max(bound);
        }
        if !self.incumbent.open.is_empty() {
            self.record(takes);
        }
        self.incumbent.cost.min(self.tree.bound) + constant
    }

    /// Writes the incumbent's assignment to `takes`.
    fn record(&mut self, takes: &mut Vec<Take>) {
        let instance = &self.instance;
        let width = instance.facilities.len();
        self.assignment.open.clone_from(&self.incumbent.open);
        self.assignment.fill(instance);
        for &(line, facility, units) in &self.assignment.taken {
            let stock = instance.cells[line as usize * width + facility as usize].stock;
            let node = instance.facilities[facility as usize].node;
            // Kept and other units of a node are one take.
            let at = takes.partition_point(|take| (take.node, take.line) < (node, line));
            match takes.get_mut(at) {
                Some(take) if (take.node, take.line) == (node, line) => take.units += units,
                _ => takes.insert(at, Take { line, stock, node, units }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::problem::SCALE, *};
    use crate::{
        Money,
        allocate::{Capacity, Costs, Held, Lane, Node, Order, OrderLine, Problem, Stock},
    };
    use alloc::{borrow::ToOwned, vec};
    use core::iter;
    use proptest::{collection::vec, option, prelude::*};

    const NODES: u32 = 5;

    /// One order of up to three lines, and five nodes. Capacities bind only if `capacities` is set.
    fn problem(capacities: bool) -> impl Strategy<Value = Problem> {
        let money = |most: i64| (0..=most).prop_map(Money);
        let order = (vec(1_u32..4, 1..4), money(3_000), any::<bool>(), 0_u16..4).prop_map(
            |(quantities, missing, complete, max_splits)| Order {
                lines: quantities.into_iter().zip(0..).map(|(quantity, sku)| OrderLine { sku, quantity }).collect(),
                missing,
                complete,
                max_splits,
                ..Order::default()
            },
        );
        let lanes = vec((money(900), money(80)), NODES as usize);
        let stock = vec(option::weighted(0.7, (1_u32..5, -300_i64..300)), 3 * NODES as usize);
        let units = vec(if capacities { 1_u32..5 } else { 100..101 }, NODES as usize);
        let previous = vec((0_u32..3, 0..NODES, 1_u32..3), 0..3);
        (order, lanes, stock, units, previous, money(300), money(400)).prop_map(
            |(order, lanes, stock, units, previous, split, change)| {
                let mut held: Vec<Held> = Vec::new();
                for (line, node, quantity) in previous {
                    let is_new = held.iter().all(|held| (held.line, held.node) != (line, node));
                    if is_new && (line as usize) < order.lines.len() {
                        held.push(Held { order: 0, line, node, quantity });
                    }
                }
                let lane = |((shipment, unit), node)| Lane { node, shipment, unit, ..Lane::default() };
                let stock = stock.into_iter().zip(0..).filter_map(|(entry, at): (_, u32)| {
                    let (available, pressure) = entry?;
                    Some(Stock { node: at % NODES, sku: at / NODES, available, pressure: Money(pressure) })
                });
                let node = |units| Node { capacity: Capacity::Units(units), ..Node::default() };
                Problem {
                    orders: vec![order],
                    nodes: units.into_iter().map(node).collect(),
                    stock: stock.collect(),
                    lanes: lanes.into_iter().zip(0..).map(lane).collect(),
                    costs: Costs { split, change, ..Costs::default() },
                    previous: held,
                }
            },
        )
    }

    /// Calls `each` with every set of facilities that the order may open.
    fn sets(instance: &Instance, mut each: impl FnMut(Vec<u32>)) {
        let facilities = instance.facilities.len() as u32;
        for set in 0..1_u32 << facilities {
            let open: Vec<u32> = (0..facilities).filter(|facility| set >> facility & 1 == 1).collect();
            if open.len() <= instance.most {
                each(open);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn the_plan_is_the_cheapest_of_all_sets(problem in problem(false)) {
            let network = Network::new(&problem).expect("a sound problem");
            let market = Market::new(&network);
            let (mut instance, mut assignment) = (Instance::default(), Assignment::default());
            let constant = instance.load(&network, &market, 0, 0);
            let mut best = instance.nothing;
            sets(&instance, |open| {
                assignment.open = open;
                let cost = assignment.fill(&instance);
                if !(instance.complete && assignment.lacks_a_unit(&instance)) {
                    best = best.min(cost);
                }
            });
            let mut takes = Vec::new();
            let bound = Placer::default().place(&network, &market, 0, 1_000, &mut takes);
            let (cost, best) = (network.cost(0, &takes).total().0 * SCALE, best + constant);
            prop_assert_eq!(bound, best);
            prop_assert_eq!(bound, cost);
        }

        #[test]
        fn a_plan_respects_stock_and_capacity(problem in problem(true), effort in 0_i64..40) {
            let network = Network::new(&problem).expect("a sound problem");
            let mut takes = Vec::new();
            let bound = Placer::default().place(&network, &Market::new(&network), 0, effort, &mut takes);
            prop_assert!(bound <= network.cost(0, &takes).total().0 * SCALE);
            let shipped: u64 = takes.iter().map(|take| u64::from(take.units)).sum();
            prop_assert!(!problem.orders[0].complete || shipped == 0 || shipped == network.units(0));
            prop_assert!(takes.windows(2).all(|pair| (pair[0].node, pair[0].line) < (pair[1].node, pair[1].line)));
            for node in 0..NODES {
                let units: u32 = takes.iter().filter(|take| take.node == node).map(|take| take.units).sum();
                prop_assert!(units <= network.room[node as usize].units);
            }
            prop_assert!(takes.iter().all(|take| take.units <= network.stock[take.stock as usize].available));
        }

        #[test]
        fn savings_of_a_facility_are_exact_and_submodular(problem in problem(false)) {
            let network = Network::new(&problem).expect("a sound problem");
            let (mut instance, mut assignment) = (Instance::default(), Assignment::default());
            instance.load(&network, &Market::new(&network), 0, 0);
            instance.most = NODES as usize;
            let width = instance.facilities.len();
            let mut wrong = Vec::new();
            sets(&instance, |open| {
                for new in (0..width as u32).filter(|facility| !open.contains(facility)) {
                    let mut saved = |open: &[u32]| -> (i64, i64) {
                        open.clone_into(&mut assignment.open);
                        let cost = assignment.fill(&instance);
                        let cell = |line: usize| &instance.cells[line * width + new as usize];
                        let lines = 0..instance.demand.len();
                        (cost, lines.map(|line| assignment.saving(line, cell(line), instance.change)).sum())
                    };
                    let (cost, saving) = saved(&open);
                    let larger: Vec<u32> = open.iter().copied().chain(iter::once(new)).collect();
                    let opening = instance.facilities[new as usize].fixed + if open.is_empty() { 0 } else { instance.split };
                    let (with, _) = saved(&larger);
                    let (_, alone) = saved(&[]);
                    if with != cost - saving + opening || saving > alone {
                        wrong.push((open.clone(), new));
                    }
                }
            });
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
}
