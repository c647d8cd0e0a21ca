//! The problem, sorted so that an order's nodes and stock are contiguous.

use super::{
    plan::Breakdown,
    problem::{Capacity, Lane, Node, Order, Problem, SCALE, Stock},
};
use crate::{
    aligned::headroom,
    domain::{check::bad, sort},
    error::Result,
};
use alloc::{format, vec::Vec};
use core::ops::Range;

/// Checked and sorted problem.
pub(super) struct Network<'a> {
    pub problem: &'a Problem,
    /// Lanes, by region, then node.
    lanes: Vec<LaneView<'a>>,
    /// Capacity of each node.
    pub room: Vec<Room>,
    /// Stock entries, by product, then node.
    pub stock: Vec<Place>,
    /// Lines, by order, then line of the order.
    pub lines: Vec<LineView>,
    /// Index of each order's first line; one more at the end.
    first_line: Vec<usize>,
    /// Lanes of each order.
    lanes_of: Vec<Range<usize>>,
    /// Product and order of each line, by product.
    wanted: Vec<(u32, u32)>,
    /// Maximum that nodes, lanes and stock can add to the cost of a unit, in parts of minor units.
    pub dearest: i64,
    /// Maximum that excess stock can subtract from the cost of a unit, in parts of minor units.
    pub relief: i64,
}

/// Lane from a node to a region, with the work at the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneView<'a> {
    pub node: u32,
    pub lane: &'a Lane,
    /// Freight and handling of a shipment.
    pub shipment: i64,
    /// Freight and handling of a unit.
    pub unit: i64,
}

/// Capacity of a node; `u32::MAX` is no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub units: u32,
    pub shipments: u32,
    pub closed: bool,
}

/// Stock of a product at a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub node: u32,
    pub sku: u32,
    /// Units available to promise.
    pub available: u32,
    pub pressure: i64,
}

/// Line of an order.
#[derive(Debug, Clone)]
pub(super) struct LineView {
    pub quantity: u32,
    /// Stock entries of its product: a range of [`Network::stock`].
    pub stock: Range<usize>,
    /// Nodes and units of the previous plan, by node.
    pub held: Vec<(u32, u32)>,
}

impl LineView {
    /// Units of the previous plan at a node.
    pub fn held(&self, node: u32) -> u32 {
        self.held.binary_search_by_key(&node, |&(node, _)| node).map_or(0, |at| self.held[at].1)
    }
}

/// Units of a line, taken from a stock entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Take {
    /// Line of the order.
    pub line: u32,
    /// Index into [`Network::stock`].
    pub stock: u32,
    pub node: u32,
    pub units: u32,
}

impl<'a> Network<'a> {
    /// Checks and sorts a problem.
    pub fn new(problem: &'a Problem) -> Result<Self> {
        let dearest = problem.check()?;
        let lines = problem.orders.iter().map(|order| order.lines.len()).sum::<usize>();
        // Memory for the sorted data, with the indices that sorting uses, and for the solver's data.
        let (stock, lanes, orders) = (problem.stock.len(), problem.lanes.len(), problem.orders.len());
        headroom(160 * (stock + orders) + 56 * lanes + 320 * (lines + problem.previous.len()) + 65_536)?;

        let mut network = Self {
            problem,
            lanes: Vec::with_capacity(lanes),
            room: problem.nodes.iter().map(Room::of).collect(),
            stock: Vec::with_capacity(stock),
            lines: Vec::with_capacity(lines),
            first_line: Vec::with_capacity(orders + 1),
            lanes_of: Vec::with_capacity(orders),
            wanted: Vec::with_capacity(lines),
            dearest,
            relief: 0,
        };
        let nodes = problem.nodes.len();
        let known = |node: u32, what: &str| {
            let none = || bad(format!("`{what}` names node {node}; there are {nodes}, from 0"));
            if (node as usize) < nodes { Ok(()) } else { Err(none()) }
        };
        for order in &problem.orders {
            order.pinned.map_or(Ok(()), |node| known(node, "pinned"))?;
        }
        problem.lanes.iter().try_for_each(|lane| known(lane.node, "lane"))?;
        problem.stock.iter().try_for_each(|stock| known(stock.node, "stock"))?;

        let by = |lane: &Lane| (lane.region, lane.node);
        let regions = problem.orders.iter().map(|order| order.region).collect::<Vec<_>>();
        let regions = distinct(&regions);
        let lanes: Vec<&Lane> =
            problem.lanes.iter().filter(|lane| regions.binary_search(&lane.region).is_ok()).collect();
        let sorted = sort::ascending(lanes.len(), &|a, b| by(lanes[a]).cmp(&by(lanes[b])));
        network.lanes.extend(sorted.into_iter().map(|at| {
            let (lane, node) = (lanes[at], &problem.nodes[lanes[at].node as usize]);
            let (shipment, unit) = (lane.shipment.0 + node.shipment.0, lane.unit.0 + node.unit.0);
            LaneView { node: lane.node, lane, shipment, unit }
        }));
        if let Some(pair) = network.lanes.windows(2).find(|pair| by(pair[0].lane) == by(pair[1].lane)) {
            let Lane { node, region, .. } = pair[0].lane;
            return Err(bad(format!("the lane from node {node} to region {region} comes twice")));
        }
        network.collect_wanted()?;
        network.collect_stock()?;
        network.collect_orders();
        network.collect_held()?;
        Ok(network)
    }

    fn collect_wanted(&mut self) -> Result<()> {
        let mut wanted = Vec::with_capacity(self.lines.capacity());
        for (n, order) in self.problem.orders.iter().enumerate() {
            wanted.extend(order.lines.iter().map(|line| (line.sku, n as u32)));
        }
        let sorted = sort::ascending(wanted.len(), &|a, b| wanted[a].cmp(&wanted[b]));
        self.wanted.extend(sorted.into_iter().map(|at| wanted[at]));
        match self.wanted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(bad(format!("order {} has product {} twice; merge the lines", pair[0].1, pair[0].0))),
            None => Ok(()),
        }
    }

    fn collect_stock(&mut self) -> Result<()> {
        let wants = |sku: u32| self.wanted.binary_search_by_key(&sku, |&(wanted, _)| wanted).is_ok();
        let given: Vec<&Stock> = self.problem.stock.iter().filter(|stock| wants(stock.sku)).collect();
        let by = |at: usize| (given[at].sku, given[at].node);
        let sorted = sort::ascending(given.len(), &|a, b| by(a).cmp(&by(b)));
        if let Some(pair) = sorted.windows(2).find(|pair| by(pair[0]) == by(pair[1])) {
            let (sku, node) = by(pair[0]);
            return Err(bad(format!("`stock` has product {sku} at node {node} twice")));
        }
        self.stock.extend(sorted.into_iter().map(|at| {
            let stock = given[at];
            Place { node: stock.node, sku: stock.sku, available: stock.available, pressure: stock.pressure.0 }
        }));
        self.relief = self.stock.iter().map(|place| -place.pressure * SCALE).max().unwrap_or(0).max(0);
        Ok(())
    }

    /// Collects lines with their stock, and lanes, for each order.
    fn collect_orders(&mut self) {
        for order in &self.problem.orders {
            self.first_line.push(self.lines.len());
            let from = self.lanes.partition_point(|view| view.lane.region < order.region);
            let len = self.lanes[from..].partition_point(|view| view.lane.region == order.region);
            self.lanes_of.push(from..from + len);
            for line in &order.lines {
                let from = self.stock.partition_point(|place| place.sku < line.sku);
                let len = self.stock[from..].partition_point(|place| place.sku == line.sku);
                self.lines.push(LineView { quantity: line.quantity, stock: from..from + len, held: Vec::new() });
            }
        }
        self.first_line.push(self.lines.len());
    }

    fn collect_held(&mut self) -> Result<()> {
        let held = &self.problem.previous;
        let by = |at: usize| (held[at].order, held[at].line, held[at].node);
        let sorted = sort::ascending(held.len(), &|a, b| by(a).cmp(&by(b)));
        if let Some(pair) = sorted.windows(2).find(|pair| by(pair[0]) == by(pair[1])) {
            let (order, line, node) = by(pair[0]);
            return Err(bad(format!("`previous` has line {line} of order {order} at node {node} twice")));
        }
        for held in sorted.into_iter().map(|at| &held[at]) {
            let lines = self.problem.orders.get(held.order as usize).map_or(0, |order| order.lines.len());
            if held.line as usize >= lines {
                return Err(bad(format!(
                    "`previous` names line {} of order {}, which is missing",
                    held.line, held.order
                )));
            }
            let at = self.first_line[held.order as usize] + held.line as usize;
            self.lines[at].held.push((held.node, held.quantity));
        }
        Ok(())
    }

    pub fn order(&self, o: usize) -> &'a Order {
        &self.problem.orders[o]
    }

    pub fn node(&self, node: u32) -> &'a Node {
        &self.problem.nodes[node as usize]
    }

    /// Lines of an order.
    pub fn lines(&self, o: usize) -> &[LineView] {
        &self.lines[self.first_line[o]..self.first_line[o + 1]]
    }

    /// Whether two orders can swap their plans.
    pub fn alike(&self, a: usize, b: usize) -> bool {
        let held = |(a, b): (&LineView, &LineView)| a.held == b.held;
        self.order(a) == self.order(b) && self.lines(a).iter().zip(self.lines(b)).all(held)
    }

    /// Units in an order.
    pub fn units(&self, o: usize) -> u64 {
        self.lines(o).iter().map(|line| u64::from(line.quantity)).sum()
    }

    /// Lanes to an order's region, by node.
    pub fn lanes(&self, o: usize) -> &[LaneView<'a>] {
        &self.lanes[self.lanes_of[o].clone()]
    }

    /// Lane from a node to an order's region.
    pub fn lane(&self, o: usize, node: u32) -> Option<&'a Lane> {
        let lanes = self.lanes(o);
        lanes.binary_search_by_key(&node, |view| view.node).ok().map(|at| lanes[at].lane)
    }

    /// Orders that contain a product, as pairs of product and order.
    pub fn wanting(&self, sku: u32) -> &[(u32, u32)] {
        let from = self.wanted.partition_point(|&(found, _)| found < sku);
        let len = self.wanted[from..].partition_point(|&(found, _)| found == sku);
        &self.wanted[from..from + len]
    }

    /// Whether the order allows a node, and the node is open.
    pub fn allowed(&self, o: usize, node: u32) -> bool {
        let order = self.order(o);
        !self.node(node).closed && order.pinned.is_none_or(|pinned| pinned == node) && !order.excluded.contains(&node)
    }

    /// Cost of arriving after the promise: days that are known now, and risk.
    #[inline(always)]
    pub fn lateness(&self, o: usize, lane: &Lane) -> (i64, i64) {
        let order = self.order(o);
        let dispatch = self.node(lane.node).dispatch;
        let days = i64::from(dispatch.0) + i64::from(lane.transit) - i64::from(order.promised.0);
        // INVARIANT: `Problem::check` proves that these sums do not overflow an i64; a risk is at most `late`.
        let (whole, rest) = (order.late.0 / 1_000_000, order.late.0 % 1_000_000);
        let risk = whole * i64::from(lane.late) + (rest * i64::from(lane.late) + 500_000) / 1_000_000;
        (days.max(0) * self.problem.costs.day_late.0, risk)
    }

    /// Cost of an order's plan, whose takes are sorted by node.
    pub fn cost(&self, o: usize, takes: &[Take]) -> Breakdown {
        let mut cost = Breakdown::default();
        let costs = &self.problem.costs;
        for (n, take) in takes.iter().enumerate() {
            let Some(lane) = self.lane(o, take.node) else { continue };
            if n == 0 || takes[n - 1].node != take.node {
                let (transit, risk) = self.lateness(o, lane);
                cost.shipping.0 += lane.shipment.0;
                cost.handling.0 += self.node(take.node).shipment.0;
                cost.transit.0 += transit;
                cost.risk.0 += risk;
                cost.splits.0 += if n == 0 { 0 } else { costs.split.0 };
            }
            let units = i64::from(take.units);
            cost.shipping.0 += units * lane.unit.0;
            cost.handling.0 += units * self.node(take.node).unit.0;
            cost.pressure.0 += units * self.stock[take.stock as usize].pressure;
        }
        let mut missing = 0;
        for view in self.lines(o) {
            missing += i64::from(view.quantity);
            cost.changes.0 += view.held.iter().map(|&(_, units)| i64::from(units) * costs.change.0).sum::<i64>();
        }
        for take in takes {
            missing -= i64::from(take.units);
            let kept = self.lines(o)[take.line as usize].held(take.node).min(take.units);
            cost.changes.0 -= i64::from(kept) * costs.change.0;
        }
        cost.shortfall.0 = missing * self.order(o).missing.0;
        cost
    }
}

impl Room {
    fn of(node: &Node) -> Self {
        let (units, shipments) = match node.capacity {
            Capacity::Unlimited => (u32::MAX, u32::MAX),
            Capacity::Shipments(most) => (u32::MAX, most),
            Capacity::Units(most) => (most, u32::MAX),
        };
        Self { units, shipments, closed: node.closed }
    }
}

/// Distinct values, ascending.
fn distinct(values: &[u32]) -> Vec<u32> {
    let sorted = sort::ascending(values.len(), &|a, b| values[a].cmp(&values[b]));
    let mut distinct: Vec<u32> = sorted.into_iter().map(|at| values[at]).collect();
    distinct.dedup();
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Money,
        allocate::{Held, OrderLine},
    };
    use alloc::vec;

    /// Two equal orders, two nodes, two regions; not sorted.
    fn problem() -> Problem {
        let line = |sku, quantity| OrderLine { sku, quantity };
        let order = |region| Order { region, lines: vec![line(8, 1), line(3, 2)], ..Order::default() };
        let lane = |node, region| Lane { node, region, shipment: Money(10), ..Lane::default() };
        let stock = |node, sku| Stock { node, sku, available: 1 + node, ..Stock::default() };
        Problem {
            orders: vec![order(5), order(5)],
            nodes: vec![Node::default(); 2],
            stock: vec![stock(1, 8), stock(1, 3), stock(0, 8), stock(0, 99)],
            lanes: vec![lane(1, 5), lane(0, 7), lane(0, 5)],
            ..Problem::default()
        }
    }

    #[test]
    fn an_order_finds_its_lanes_and_stock_side_by_side() -> Result<()> {
        let problem = problem();
        let network = Network::new(&problem)?;
        assert_eq!(network.lanes(0).iter().map(|view| view.node).collect::<Vec<_>>(), [0, 1]);
        assert!(network.lane(0, 1).is_some_and(|lane| lane.region == 5));
        let stock = |line: &LineView| {
            network.stock[line.stock.clone()].iter().map(|place| (place.node, place.sku)).collect::<Vec<_>>()
        };
        assert_eq!(network.lines(0).iter().map(stock).collect::<Vec<_>>(), [vec![(0, 8), (1, 8)], vec![(1, 3)]]);
        assert_eq!(network.wanting(8), [(8, 0), (8, 1)]);
        assert_eq!((network.units(0), network.wanting(99).len()), (3, 0));
        Ok(())
    }

    #[test]
    fn orders_are_alike_where_one_may_have_the_plan_of_the_other() -> Result<()> {
        let mut problem = problem();
        assert!(Network::new(&problem)?.alike(0, 1));
        problem.previous = vec![Held { order: 1, line: 0, node: 1, quantity: 1 }];
        assert!(!Network::new(&problem)?.alike(0, 1), "one of them has something to keep");
        problem.previous.clear();
        problem.orders[1].promised.0 += 1;
        assert!(!Network::new(&problem)?.alike(0, 1));
        Ok(())
    }

    #[test]
    fn duplicates_and_unknown_references_are_refused() {
        let refused = |change: &dyn Fn(&mut Problem)| {
            let mut problem = problem();
            change(&mut problem);
            Network::new(&problem).is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|problem| problem.lanes.push(problem.lanes[0])));
        assert!(refused(&|problem| problem.stock.push(problem.stock[0])));
        assert!(refused(&|problem| problem.orders[0].lines[1].sku = 8));
        assert!(refused(&|problem| problem.lanes[0].node = 2));
        assert!(refused(&|problem| problem.stock[0].node = 2));
        assert!(refused(&|problem| problem.orders[0].pinned = Some(2)));
        let held = Held { order: 0, line: 0, node: 0, quantity: 1 };
        assert!(refused(&|problem| problem.previous = vec![held, held]));
        assert!(refused(&|problem| problem.previous = vec![Held { line: 2, ..held }]));
    }
}
