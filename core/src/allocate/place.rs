//! The best way to serve one order alone, at given prices and with what is left: a facility location problem
//! whose facilities are the nodes, by branch and bound over sets of nodes.
//!
//! With its nodes given, an order takes each line's units from where they are cheapest. What another node saves can only
//! shrink as nodes are added, so a node that does not save what its shipment costs is of no use in any larger set;
//! that, and what two more shipments cost at least, ends most searches after the first node.

use super::{
    network::{Network, Take},
    problem::{Problem, SCALE},
};
use alloc::{vec, vec::Vec};
use core::ops::Range;

/// What can be had, and at what price beyond its cost.
#[derive(Debug, Clone, Default)]
pub(super) struct Market {
    /// Units of each place of [`Network::stock`].
    pub stock: Vec<u32>,
    /// Shipments of each node.
    pub shipments: Vec<u32>,
    /// Units of each node.
    pub units: Vec<u32>,
    /// The price of a unit of each place, in parts of minor units.
    pub price: Vec<i64>,
    /// The price of each node's capacity, for a unit or a shipment.
    pub node_price: Vec<i64>,
}

impl Market {
    /// All there is, for nothing.
    pub fn new(network: &Network<'_>) -> Self {
        let nodes = network.problem.nodes.len();
        Self {
            stock: network.stock.iter().map(|place| place.available).collect(),
            shipments: (0..nodes).map(|node| network.capacity(node).1).collect(),
            units: (0..nodes).map(|node| network.capacity(node).0).collect(),
            price: vec![0; network.stock.len()],
            node_price: vec![0; nodes],
        }
    }

    /// Makes everything free again.
    pub fn free(&mut self) {
        self.price.fill(0);
        self.node_price.fill(0);
    }

    /// Takes what an order's plan takes.
    pub fn take(&mut self, takes: &[Take]) {
        self.each(takes, |left, taken| left.saturating_sub(taken));
    }

    /// Gives back what an order's plan took.
    pub fn give(&mut self, takes: &[Take]) {
        self.each(takes, u32::saturating_add);
    }

    fn each(&mut self, takes: &[Take], change: fn(u32, u32) -> u32) {
        for (n, take) in takes.iter().enumerate() {
            let node = take.node as usize;
            let stock = &mut self.stock[take.stock as usize];
            *stock = change(*stock, take.units);
            if self.units[node] != u32::MAX {
                self.units[node] = change(self.units[node], take.units);
            }
            if self.shipments[node] != u32::MAX && (n == 0 || takes[n - 1].node != take.node) {
                self.shipments[node] = change(self.shipments[node], 1);
            }
        }
    }
}

/// Room to place one order after another in.
#[derive(Default)]
pub(super) struct Placer {
    candidates: Vec<Candidate>,
    /// A row of candidates for each line.
    cells: Vec<Cell>,
    wanted: Vec<u32>,
    /// Each node's candidate.
    slots: Vec<u32>,
    /// What a missing unit costs.
    missing: i64,
    split: i64,
    /// The price of keeping a unit where the previous plan had it, below its cost.
    change: i64,
    complete: bool,
    /// The most shipments.
    most: usize,
    /// Nodes that can do fewer units than the order wants: their units are counted.
    counted: bool,

    open: Vec<u32>,
    /// Candidates that save something beyond those open, for each level of the search.
    useful: Vec<Useful>,
    /// What each line takes now, dearest first.
    pieces: Vec<Piece>,
    /// Where each line's pieces begin; one more at the end.
    first_piece: Vec<usize>,
    segments: Vec<Segment>,
    left: Vec<u32>,
    best: i64,
    best_open: Vec<u32>,
    /// The least that what was not searched can cost.
    floor: i64,
    /// Cells that may still be looked at.
    budget: i64,
    table: Table,
    /// Cells that were looked at since someone asked.
    pub looked: i64,
}

#[derive(Clone, Copy)]
struct Candidate {
    node: u32,
    /// A shipment, without the split.
    fixed: i64,
    /// A unit, without the pressure and price of its product.
    unit: i64,
    /// Units it can do.
    units: u32,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    cost: i64,
    units: u32,
    /// Units of these that the previous plan had here: they cost less, by the cost of a change.
    kept: u32,
    stock: u32,
}

#[derive(Clone, Copy)]
struct Useful {
    candidate: u32,
    /// What it saves, less its shipment.
    net: i64,
}

#[derive(Clone, Copy)]
struct Piece {
    cost: i64,
    units: u32,
}

#[derive(Clone, Copy)]
struct Segment {
    cost: i64,
    units: u32,
    /// A place in the list of open nodes.
    open: u32,
}

/// How many units of each line a state serves: the line's digit in it.
#[derive(Clone, Copy)]
struct Digit {
    /// What one more in this line adds to the state.
    stride: usize,
    most: u32,
    /// Units to one of the digit.
    units: u32,
}

/// States, what they cost, and how they came about.
#[derive(Default)]
struct Table {
    digits: Vec<Digit>,
    /// Units of each state.
    units: Vec<u32>,
    /// What each state costs from the node at hand.
    own: Vec<i64>,
    /// What each state costs in one shipment, and from which node.
    one: Vec<i64>,
    node: Vec<u32>,
    /// What each state costs in one shipment, in two …, and what the last shipment serves of it.
    least: Vec<i64>,
    last: Vec<u32>,
    parts: Vec<usize>,
}

/// The most states to tabulate.
const STATES: usize = 512;
/// Dearer than anything; a few of it can be added up.
const NEVER: i64 = 1 << 59;

const NOWHERE: u32 = u32::MAX;
const BLOCKED: u32 = u32::MAX - 1;

impl Placer {
    /// Finds the order's best plan. Returns a cost, in parts of minor units and with prices, that no plan of the
    /// order is below; `takes` is sorted by node, then line. `effort` bounds the search: so many times what a first
    /// look at all nodes takes.
    pub fn place(
        &mut self,
        network: &Network<'_>,
        market: &Market,
        o: usize,
        effort: i64,
        takes: &mut Vec<Take>,
    ) -> i64 {
        takes.clear();
        let constant = self.load(network, market, o);
        let nothing =
            self.wanted.iter().map(|&units| i64::from(units)).sum::<i64>() * network.order(o).missing.0 * SCALE;
        self.best = nothing;
        self.best_open.clear();
        // Most orders are best served by one node, and a short search proves it; of the others, most are small.
        if !self.search(2) {
            let (least, exact) = self.tabulate();
            if exact {
                self.floor = least;
            } else {
                self.search(effort);
                self.floor = self.floor.max(least);
            }
        }
        if !self.best_open.is_empty() {
            self.record(takes);
        }
        self.best.min(self.floor) + constant
    }

    /// Sets up candidates and cells, and returns what the order costs whatever is done.
    fn load(&mut self, network: &Network<'_>, market: &Market, o: usize) -> i64 {
        let (order, lines, costs) = (network.order(o), network.lines(o), &network.problem.costs);
        self.slots.resize(network.problem.nodes.len(), NOWHERE);
        self.slots.fill(NOWHERE);
        for &node in &order.excluded {
            if let Some(slot) = self.slots.get_mut(node as usize) {
                *slot = BLOCKED;
            }
        }
        self.wanted.clear();
        self.wanted.extend(lines.iter().map(|line| line.quantity));
        let wanted = lines.iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        self.candidates.clear();
        self.counted = false;
        for lane in network.lanes(o) {
            let node = lane.node as usize;
            let capacity = network.capacity(node);
            let (units, shipments) = (market.units[node].min(capacity.0), market.shipments[node]);
            let pinned = order.pinned.is_none_or(|pinned| pinned == lane.node);
            if network.node(lane.node).closed || !pinned || units == 0 || shipments == 0 || self.slots[node] == BLOCKED
            {
                continue;
            }
            self.slots[node] = self.candidates.len() as u32;
            let price = if capacity.1 == u32::MAX { 0 } else { market.node_price[node] };
            let fixed = network.shipment(o, lane).total().0 * SCALE + price;
            self.counted |= i64::from(market.units[node]) < wanted;
            let price = if capacity.0 == u32::MAX { 0 } else { market.node_price[node] };
            let unit = (lane.unit.0 + network.node(lane.node).unit.0) * SCALE + price;
            self.candidates.push(Candidate { node: lane.node, fixed, unit, units });
        }

        let width = self.candidates.len();
        self.cells.clear();
        self.cells.resize(width * lines.len(), Cell::default());
        self.change = costs.change.0 * SCALE;
        let mut constant = 0;
        for (n, line) in lines.iter().enumerate() {
            let row = &mut self.cells[n * width..(n + 1) * width];
            for at in line.stock.clone() {
                let (place, left) = (&network.stock[at], market.stock[at]);
                let slot = self.slots[place.node as usize] as usize;
                let (Some(cell), Some(candidate)) = (row.get_mut(slot), self.candidates.get(slot)) else { continue };
                let units = left.min(line.quantity).min(candidate.units);
                cell.units = units;
                cell.stock = at as u32;
                cell.cost = place.pressure * SCALE + market.price[at] + candidate.unit;
            }
            for &(node, units) in &line.held {
                constant += i64::from(units) * self.change;
                let slot = self.slots.get(node as usize).map_or(NOWHERE, |&slot| slot);
                if let Some(cell) = row.get_mut(slot as usize) {
                    cell.kept = units.min(cell.units);
                }
            }
        }
        self.split = costs.split.0 * SCALE;
        self.most = (usize::from(order.max_splits) + 1).min(Problem::MAX_SHIPMENTS);
        self.complete = order.complete;
        self.missing = order.missing.0 * SCALE;
        if order.complete && wanted > 0 {
            // A plan that lacks a unit is none: as dear as nothing at all, as far as it can be added up.
            self.missing = self.missing.max((wanted * self.missing).min((1 << 50) / wanted));
        }
        constant
    }

    /// Searches all sets of nodes for one that costs less than the best; returns whether it looked at all of them.
    fn search(&mut self, effort: i64) -> bool {
        self.floor = i64::MAX;
        let budget = effort * self.cells.len() as i64;
        self.budget = budget;
        self.open.clear();
        self.useful.clear();
        self.useful.extend((0..self.candidates.len() as u32).map(|candidate| Useful { candidate, net: 0 }));
        self.explore(0);
        self.looked += 2 * self.cells.len() as i64 + budget - self.budget + 8;
        self.floor == i64::MAX
    }

    /// Searches the sets that hold the open nodes and any of those in `useful` from `from` on.
    fn explore(&mut self, from: usize) {
        let cost = self.fill();
        let missing = self.complete && (0..self.wanted.len()).any(|line| self.is_missing(line));
        if cost < self.best && !missing {
            self.best = cost;
            self.best_open.clone_from(&self.open);
        }
        let room = self.most - self.open.len();
        if room == 0 || self.useful.len() == from {
            return;
        }
        let (width, own) = (self.candidates.len(), self.useful.len());
        self.budget -= ((own - from) * self.wanted.len()) as i64;
        // What each candidate saves; of what all could save together, line by line, an upper bound.
        let split = if self.open.is_empty() { 0 } else { self.split };
        let (mut first, mut second, mut together) = (i64::MAX, i64::MAX, 0_i64);
        let mut nets = 0_i64;
        for at in from..own {
            let candidate = self.useful[at].candidate as usize;
            let (mut saved, mut needed) = (0, false);
            for line in 0..self.wanted.len() {
                let by_line = self.saving(line, &self.cells[line * width + candidate]);
                saved += by_line;
                needed |= missing && by_line > 0 && self.is_missing(line);
            }
            let fixed = self.candidates[candidate].fixed + split;
            if saved <= fixed && needed {
                // It may yet complete the order; that a set without it is no dearer says little then.
                self.floor = self.floor.min(cost);
            }
            if saved > fixed {
                self.useful.push(Useful { candidate: candidate as u32, net: saved - fixed });
                nets = nets.saturating_add(saved - fixed);
                (first, second) = if fixed < first { (fixed, first) } else { (first, second.min(fixed)) };
            }
        }
        for line in 0..self.wanted.len() {
            together = together.saturating_add(self.most_saved(line, own));
        }
        // Two more at least: of this level's candidates, and the second of them is a split.
        let extra = if self.open.is_empty() { self.split } else { 0 };
        let two = if room < 2 || self.useful.len() < own + 2 {
            i64::MAX
        } else {
            (cost - together).saturating_add(first).saturating_add(second).saturating_add(extra)
        };
        let mut searched = false;
        while self.useful.len() > own {
            let (mut best, mut at) = (Useful { candidate: 0, net: i64::MIN }, own);
            for (n, useful) in self.useful.iter().enumerate().skip(own) {
                if useful.net > best.net {
                    (best, at) = (*useful, n);
                }
            }
            let many = (room as i64).saturating_mul(best.net).min(nets);
            let least = (cost - best.net).min(two.max(cost - many));
            if least >= self.best {
                break;
            }
            if self.budget < 0 && searched {
                self.floor = self.floor.min(least);
                break;
            }
            searched = true;
            nets = nets.saturating_sub(best.net);
            self.useful.remove(at);
            self.open.push(best.candidate);
            self.explore(own);
            self.open.pop();
        }
        self.useful.truncate(own);
    }

    /// Finds the best set of nodes by dynamic programming over what one shipment, two, three … can serve, if that
    /// is few enough states. Returns the least that any plan costs, and whether that is the best plan: a node may
    /// come up twice and give more than it has.
    fn tabulate(&mut self) -> (i64, bool) {
        let width = self.candidates.len();
        let mut table = core::mem::take(&mut self.table);
        table.digits.clear();
        let mut states = 1;
        for (line, &wanted) in self.wanted.iter().enumerate() {
            // A line is split only where a node has some of it, or is to keep some.
            let row = &self.cells[line * width..(line + 1) * width];
            let whole = row.iter().all(|cell| cell.kept == 0 && (cell.units == 0 || cell.units == wanted));
            let (most, units) = if whole { (1, wanted) } else { (wanted, 1) };
            table.digits.push(Digit { stride: states, most, units });
            states = states.saturating_mul(most as usize + 1);
        }
        let mut found = (i64::MIN, false);
        if states <= STATES {
            self.looked += (states * (width + table.digits.len() * states.isqrt())) as i64 / 4;
            found = self.tabulate_in(&mut table, states);
            let cost = self.fill();
            if cost < self.best && !(self.complete && (0..self.wanted.len()).any(|line| self.is_missing(line))) {
                self.best = cost;
                self.best_open.clone_from(&self.open);
            }
        }
        self.table = table;
        found
    }

    /// The least that any plan costs, its nodes in `open`, and whether each of them comes up once.
    fn tabulate_in(&mut self, table: &mut Table, states: usize) -> (i64, bool) {
        let Table { digits, units, own, one, node, least, last, parts } = table;
        let width = self.candidates.len();
        units.clear();
        units.resize(states, 0);
        for digit in digits.iter() {
            for state in digit.stride..digit.stride * (digit.most as usize + 1) {
                units[state] = units[state - digit.stride] + digit.units;
            }
        }
        // One shipment.
        one.clear();
        one.resize(states, NEVER);
        node.clear();
        node.resize(states, 0);
        own.resize(states.max(own.len()), 0);
        for (n, candidate) in self.candidates.iter().enumerate() {
            own[0] = candidate.fixed + self.split;
            for (line, digit) in digits.iter().enumerate() {
                let cell = &self.cells[line * width + n];
                for many in 1..=digit.most {
                    let taken = many * digit.units;
                    let cost = i64::from(taken) * cell.cost - i64::from(taken.min(cell.kept)) * self.change;
                    let cost = if taken > cell.units { NEVER } else { cost };
                    let at = digit.stride * many as usize;
                    let (fewer, more) = own.split_at_mut(at);
                    more.iter_mut()
                        .zip(&fewer[..digit.stride])
                        .for_each(|(more, fewer)| *more = (fewer + cost).min(NEVER));
                }
            }
            for (state, &own) in own[..states].iter().enumerate() {
                if own < one[state] && (!self.counted || units[state] <= candidate.units) {
                    one[state] = own;
                    node[state] = n as u32;
                }
            }
        }
        // Shipment upon shipment, while that helps.
        least.clone_from(one);
        least[0] = 0;
        last.clear();
        last.extend((0..states as u32).take(states));
        let rounds = self.most.min(self.wanted.iter().map(|&wanted| wanted as usize).sum());
        let mut round = 1;
        let mut better = true;
        while better && round < rounds {
            better = false;
            let before = (round - 1) * states;
            for state in 0..states {
                last.push(last[before + state]);
                least.push(least[before + state]);
                parts.clear();
                parts.push(0);
                // The shipment that is added has a unit of the last line at least, so that each split is seen once.
                let mut rest = state;
                for digit in digits.iter().rev() {
                    let here = rest / digit.stride;
                    rest %= digit.stride;
                    let first = u32::from(rest + digit.stride * here == state && here > 0) as usize;
                    let known = parts.len();
                    for many in 1..=here {
                        for at in 0..known {
                            let part = parts[at] + many * digit.stride;
                            parts.push(part);
                        }
                    }
                    parts.drain(..first * known);
                }
                for &part in parts.iter() {
                    let cost = one[part] + least[before + state - part];
                    if cost < least[before + states + state] {
                        least[before + states + state] = cost;
                        last[before + states + state] = part as u32;
                        better = true;
                    }
                }
            }
            round += 1;
        }
        // The best of them, and its nodes.
        let from = (round - 1) * states;
        let wanted = units[states - 1];
        let (mut best, mut state) = (i64::MAX, 0);
        for (at, &cost) in least[from..].iter().enumerate().skip(1) {
            if self.complete && units[at] < wanted {
                continue;
            }
            let cost = cost - self.split + self.missing * i64::from(wanted - units[at]);
            if cost < best {
                (best, state) = (cost, at);
            }
        }
        self.open.clear();
        let mut once = true;
        let mut from = if best < NEVER / 2 { from } else { states * round };
        while let Some(&part) = last.get(from + state).filter(|_| state > 0) {
            let candidate = node[part as usize];
            once &= !self.open.contains(&candidate);
            if once {
                self.open.push(candidate);
            }
            state -= part as usize;
            from = from.saturating_sub(states);
        }
        (best, once)
    }

    /// What a line saves at most with all of this level's candidates.
    fn most_saved(&self, line: usize, own: usize) -> i64 {
        let row = &self.cells[line * self.candidates.len()..(line + 1) * self.candidates.len()];
        let cells = self.useful[own..].iter().filter_map(|useful| row.get(useful.candidate as usize));
        let (mut least, mut units) = (i64::MAX, 0);
        for cell in cells.filter(|cell| cell.units > 0) {
            least = least.min(cell.cost - if cell.kept > 0 { self.change } else { 0 });
            units += u64::from(cell.units);
        }
        let all = Cell { cost: least, units: units.min(u64::from(u32::MAX)) as u32, ..Cell::default() };
        self.saving(line, &all)
    }

    /// Fills each line from the open nodes, cheapest first, and returns what that costs. Leaves the pieces.
    fn fill(&mut self) -> i64 {
        let width = self.candidates.len();
        let mut cost = self.open.iter().map(|&open| self.candidates[open as usize].fixed).sum::<i64>();
        cost += self.split * self.open.len().saturating_sub(1) as i64;
        self.left.clear();
        self.left.extend(self.open.iter().map(|&open| self.candidates[open as usize].units));
        self.pieces.clear();
        self.first_piece.clear();
        for line in 0..self.wanted.len() {
            let first = self.pieces.len();
            self.first_piece.push(first);
            self.sort_segments(line * width..(line + 1) * width);
            let mut wanted = self.wanted[line];
            for segment in &self.segments {
                let left = &mut self.left[segment.open as usize];
                let units = segment.units.min(wanted).min(*left);
                if units > 0 {
                    if self.counted {
                        *left -= units;
                    }
                    wanted -= units;
                    cost += segment.cost * i64::from(units);
                    self.pieces.push(Piece { cost: segment.cost, units });
                }
            }
            if wanted > 0 {
                cost += self.missing * i64::from(wanted);
                self.pieces.push(Piece { cost: self.missing, units: wanted });
            }
            self.pieces[first..].reverse();
        }
        self.first_piece.push(self.pieces.len());
        cost
    }

    /// What a line can take from each open node, cheapest first.
    fn sort_segments(&mut self, row: Range<usize>) {
        self.segments.clear();
        for (n, &open) in self.open.iter().enumerate() {
            let cell = self.cells[row.start + open as usize];
            for (cost, units) in [(cell.cost - self.change, cell.kept), (cell.cost, cell.units - cell.kept)] {
                if units > 0 && cost < self.missing {
                    let at = self.segments.partition_point(|segment| segment.cost <= cost);
                    self.segments.insert(at, Segment { cost, units, open: n as u32 });
                }
            }
        }
    }

    fn is_missing(&self, line: usize) -> bool {
        self.pieces.get(self.first_piece[line]).is_some_and(|piece| piece.cost == self.missing)
    }

    /// What a line saves with a cell more.
    fn saving(&self, line: usize, cell: &Cell) -> i64 {
        if cell.units == 0 {
            return 0;
        }
        let mut saved = 0;
        let mut pieces = self.pieces[self.first_piece[line]..self.first_piece[line + 1]].iter();
        let Some(&(mut piece)) = pieces.next() else { return 0 };
        for (cost, mut units) in [(cell.cost - self.change, cell.kept), (cell.cost, cell.units - cell.kept)] {
            while units > 0 && cost < piece.cost {
                let moved = units.min(piece.units);
                saved += (piece.cost - cost) * i64::from(moved);
                units -= moved;
                piece.units -= moved;
                if piece.units == 0 {
                    match pieces.next() {
                        Some(&next) => piece = next,
                        None => return saved,
                    }
                }
            }
        }
        saved
    }

    /// Writes down what the best set takes.
    fn record(&mut self, takes: &mut Vec<Take>) {
        let width = self.candidates.len();
        self.open.clear();
        self.open.extend((0..width as u32).filter(|candidate| self.best_open.contains(candidate)));
        self.left.clear();
        self.left.extend(self.open.iter().map(|&open| self.candidates[open as usize].units));
        for line in 0..self.wanted.len() {
            self.sort_segments(line * width..(line + 1) * width);
            let mut wanted = self.wanted[line];
            for segment in &self.segments {
                let left = &mut self.left[segment.open as usize];
                let units = segment.units.min(wanted).min(*left);
                if units == 0 {
                    continue;
                }
                if self.counted {
                    *left -= units;
                }
                wanted -= units;
                let open = self.open[segment.open as usize] as usize;
                let (node, stock) = (self.candidates[open].node, self.cells[line * width + open].stock);
                // A node's kept units and its others are one take.
                let line = line as u32;
                let at = takes.partition_point(|take| (take.node, take.line) < (node, line));
                match takes.get_mut(at) {
                    Some(take) if (take.node, take.line) == (node, line) => take.units += units,
                    _ => takes.insert(at, Take { line, stock, node, units }),
                }
            }
        }
    }
}
