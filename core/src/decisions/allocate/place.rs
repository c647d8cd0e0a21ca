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
        Self {
            stock: network.stock.iter().map(|place| place.available).collect(),
            shipments: network.room.iter().map(|room| room.shipments).collect(),
            units: network.room.iter().map(|room| room.units).collect(),
            price: vec![0; network.stock.len()],
            node_price: vec![0; network.room.len()],
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
    /// What the two cheapest shipments cost, without a split.
    cheapest: (i64, i64),
    /// A row of candidates for each line.
    cells: Vec<Cell>,
    wanted: Vec<u32>,
    /// Each node's candidate.
    slots: Vec<u32>,
    /// What a missing unit costs beside what the order says: more than any price, where no price is to keep an order short.
    pub urgency: i64,
    /// What a missing unit costs.
    missing: i64,
    /// What it costs to ship nothing.
    nothing: i64,
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
    /// What each candidate saves alone, before its shipment.
    alone: Vec<i64>,
    /// What all candidates together save at most.
    together: i64,
    /// Which candidates may be of use.
    kept: Vec<bool>,
    /// What each line takes now, dearest first.
    pieces: Vec<Piece>,
    /// Where each line's pieces begin; one more at the end.
    first_piece: Vec<usize>,
    segments: Vec<Segment>,
    /// Lines, candidates and units of what is taken.
    taken: Vec<(u32, u32, u32)>,
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
        self.best = self.nothing;
        self.best_open.clear();
        // Most orders are best served by one node, and a look or a short search proves it; of the others, most are small.
        if !self.is_one_best() && !self.search(2) {
            self.prune();
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
        self.split = costs.split.0 * SCALE;
        self.change = costs.change.0 * SCALE;
        self.most = (usize::from(order.max_splits) + 1).min(Problem::MAX_SHIPMENTS);
        self.complete = order.complete;
        self.missing = order.missing.0 * SCALE + self.urgency;
        self.wanted.clear();
        self.wanted.extend(lines.iter().map(|line| line.quantity));
        let wanted = lines.iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        self.nothing = wanted * self.missing;
        if order.complete && wanted > 0 {
            // A plan that lacks a unit is none: as dear as nothing at all, as far as it can be added up.
            self.missing = self.missing.max((wanted * self.missing).min((1 << 50) / wanted));
        }
        self.candidates.clear();
        self.cheapest = (NEVER, NEVER);
        self.counted = false;
        let (slots, units_left, shipments_left) = (&mut self.slots[..], &market.units[..], &market.shipments[..]);
        for view in network.lanes(o) {
            let node = view.node as usize;
            let room = &network.room[node];
            let units = units_left[node].min(room.units);
            let pinned = order.pinned.is_none_or(|pinned| pinned == view.node);
            if room.closed || !pinned || units == 0 || shipments_left[node] == 0 || slots[node] == BLOCKED {
                continue;
            }
            slots[node] = self.candidates.len() as u32;
            self.counted |= i64::from(units_left[node]) < wanted;
            let (transit, risk) = network.lateness(o, view.lane);
            let by_shipments = if room.shipments == u32::MAX { 0 } else { market.node_price[node] };
            let by_units = if room.units == u32::MAX { 0 } else { market.node_price[node] };
            let fixed = (view.shipment + transit + risk) * SCALE + by_shipments;
            let (first, second) = self.cheapest;
            self.cheapest = if fixed < first { (fixed, first) } else { (first, second.min(fixed)) };
            self.candidates.push(Candidate { node: view.node, fixed, unit: view.unit * SCALE + by_units, units });
        }

        let width = self.candidates.len();
        self.cells.clear();
        self.cells.resize(width * lines.len(), Cell::default());
        self.alone.clear();
        self.alone.resize(width, 0);
        self.together = 0;
        let (candidates, alone) = (&self.candidates[..], &mut self.alone[..]);
        let mut constant = 0;
        for (n, line) in lines.iter().enumerate() {
            let row = &mut self.cells[n * width..(n + 1) * width];
            for &(node, units) in &line.held {
                constant += i64::from(units) * self.change;
                let slot = slots.get(node as usize).map_or(NOWHERE, |&slot| slot);
                if let Some(cell) = row.get_mut(slot as usize) {
                    cell.kept = units;
                }
            }
            let (places, left) = (&network.stock[line.stock.clone()], &market.stock[line.stock.clone()]);
            let price = &market.price[line.stock.clone()];
            let (mut least, mut there) = (i64::MAX, 0);
            for (at, place) in places.iter().enumerate() {
                let slot = slots[place.node as usize] as usize;
                if slot >= width {
                    continue;
                }
                let (cell, candidate) = (&mut row[slot], &candidates[slot]);
                let units = left[at].min(line.quantity).min(candidate.units);
                cell.units = units;
                cell.stock = (line.stock.start + at) as u32;
                cell.cost = place.pressure * SCALE + price[at] + candidate.unit;
                cell.kept = cell.kept.min(units);
                let (kept, more) = (i64::from(cell.kept), i64::from(units - cell.kept));
                alone[slot] += more * (self.missing - cell.cost).max(0);
                let mut cost = cell.cost;
                if kept > 0 {
                    cost -= self.change;
                    alone[slot] += kept * (self.missing - cost).max(0);
                }
                if units > 0 {
                    least = least.min(cost);
                    there += u64::from(units);
                }
            }
            // What is kept where there is none of the product is kept nowhere.
            if !line.held.is_empty() {
                row.iter_mut().for_each(|cell| cell.kept = cell.kept.min(cell.units));
            }
            if there > 0 {
                let units = there.min(u64::from(line.quantity)) as i64;
                self.together += units * (self.missing - least).max(0);
            }
        }
        self.looked += (self.cells.len() + width) as i64;
        constant
    }

    /// Finds the best plan of one shipment, and returns whether no other can be better.
    fn is_one_best(&mut self) -> bool {
        let (mut best, mut at) = (0, 0);
        for (n, (candidate, saved)) in self.candidates.iter().zip(&self.alone).enumerate() {
            let net = saved - candidate.fixed;
            if net > best {
                (best, at) = (net, n);
            }
        }
        let width = self.candidates.len();
        let whole = |(line, &wanted): (usize, &u32)| {
            let cell = &self.cells[line * width + at];
            cell.units == wanted && cell.cost < self.missing
        };
        if best > 0 && (self.counted || (self.complete && !self.wanted.iter().enumerate().all(whole))) {
            return false;
        }
        let empty = self.empty();
        let one = if best > 0 { empty - best } else { NEVER };
        // Two shipments save at most what all do together.
        let (first, second) = self.cheapest;
        let two = first + second + self.split + empty - self.together;
        if self.most > 1 && two < one.min(self.best) {
            return false;
        }
        if one < self.best {
            self.best = one;
            self.best_open.push(at as u32);
        }
        self.floor = i64::MAX;
        true
    }

    /// What it costs to ship nothing.
    fn empty(&self) -> i64 {
        self.missing * self.wanted.iter().map(|&units| i64::from(units)).sum::<i64>()
    }

    /// Leaves out candidates that no plan below the best has, or none that would be dearer without them.
    fn prune(&mut self) {
        let (width, empty, (first, second)) = (self.candidates.len(), self.empty(), self.cheapest);
        let mut kept = core::mem::take(&mut self.kept);
        kept.clear();
        kept.extend(self.candidates.iter().zip(&self.alone).map(|(candidate, saved)| {
            let other = if candidate.fixed == first { second } else { first };
            let among = other + candidate.fixed + self.split + empty - self.together;
            let among = if self.most > 1 { among } else { i64::MAX };
            among.min(empty - saved + candidate.fixed) < self.best && (*saved > candidate.fixed || self.complete)
        }));
        for &open in &self.best_open {
            kept[open as usize] = true;
        }
        self.looked += (width + self.cells.len()) as i64;
        // The others close ranks.
        let mut to = 0;
        for from in 0..self.cells.len() {
            if kept[from % width] {
                self.cells[to] = self.cells[from];
                if from < width {
                    self.candidates[to] = self.candidates[from];
                }
                to += 1;
            }
        }
        self.cells.truncate(to);
        self.candidates.truncate(to / self.wanted.len());
        for open in &mut self.best_open {
            *open = kept[..*open as usize].iter().filter(|kept| **kept).count() as u32;
        }
        self.kept = kept;
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
        self.looked += self.cells.len() as i64 + budget - self.budget + 8;
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
            let mut cells = &self.cells[candidate..];
            for line in 0..self.wanted.len() {
                let cell = &cells[0];
                cells = cells.get(width..).unwrap_or_default();
                if cell.units > 0 {
                    let by_line = self.saving(line, cell);
                    saved += by_line;
                    needed |= missing && by_line > 0 && self.is_missing(line);
                }
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
        let own = &mut own[..states];
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
            for (state, &own) in own.iter().enumerate() {
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
        parts.resize(states, 0);
        let (one, parts) = (&one[..], &mut parts[..]);
        while better && round < rounds {
            better = false;
            last.extend_from_within((round - 1) * states..);
            least.extend_from_within((round - 1) * states..);
            let (before, now) = least.split_at_mut(round * states);
            let (before, last) = (&before[(round - 1) * states..], &mut last[round * states..]);
            for state in 1..states {
                // The shipment that is added has a unit of the last line at least, so that each split is seen once.
                let (mut rest, mut count) = (state, 0);
                for digit in digits.iter().rev() {
                    let here = rest / digit.stride;
                    rest %= digit.stride;
                    let known = count;
                    for many in 1..=here {
                        if known == 0 {
                            parts[count] = many * digit.stride;
                            count += 1;
                        }
                        for at in 0..known {
                            parts[count] = parts[at] + many * digit.stride;
                            count += 1;
                        }
                    }
                }
                let mut best = now[state];
                for &part in &parts[..count] {
                    let cost = one[part] + before[state - part];
                    if cost < best {
                        best = cost;
                        last[state] = part as u32;
                    }
                }
                better |= best < now[state];
                now[state] = best;
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

    /// Fills each line from the open nodes, cheapest first, and returns what that costs. Leaves the pieces, and what is
    /// taken in `taken`.
    fn fill(&mut self) -> i64 {
        let width = self.candidates.len();
        let mut cost = self.open.iter().map(|&open| self.candidates[open as usize].fixed).sum::<i64>();
        cost += self.split * self.open.len().saturating_sub(1) as i64;
        self.left.clear();
        self.left.extend(self.open.iter().map(|&open| self.candidates[open as usize].units));
        self.pieces.clear();
        self.first_piece.clear();
        self.taken.clear();
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
                    self.taken.push((line as u32, self.open[segment.open as usize], units));
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
            let (cell, open) = (self.cells[row.start + open as usize], n as u32);
            let kept = Segment { cost: cell.cost - self.change, units: cell.kept, open };
            let more = Segment { cost: cell.cost, units: cell.units - cell.kept, open };
            for segment in [kept, more] {
                if segment.units > 0 && segment.cost < self.missing {
                    let at = self.segments.partition_point(|other| other.cost <= segment.cost);
                    self.segments.insert(at, segment);
                }
            }
        }
    }

    fn is_missing(&self, line: usize) -> bool {
        self.pieces.get(self.first_piece[line]).is_some_and(|piece| piece.cost == self.missing)
    }

    /// What a line saves with a cell more.
    #[inline(always)]
    fn saving(&self, line: usize, cell: &Cell) -> i64 {
        let pieces = &self.pieces[self.first_piece[line]..self.first_piece[line + 1]];
        let (mut saved, mut at, mut used) = (0, 0, 0);
        // What is kept goes first: it costs less.
        let (mut cost, mut units) = (cell.cost - self.change, cell.kept);
        let mut more = cell.units - cell.kept;
        loop {
            while units > 0 && at < pieces.len() && cost < pieces[at].cost {
                let moved = units.min(pieces[at].units - used);
                saved += (pieces[at].cost - cost) * i64::from(moved);
                (units, used) = (units - moved, used + moved);
                if used == pieces[at].units {
                    (at, used) = (at + 1, 0);
                }
            }
            if more == 0 {
                return saved;
            }
            (cost, units, more) = (cell.cost, more, 0);
        }
    }

    /// Writes down what the best set takes.
    fn record(&mut self, takes: &mut Vec<Take>) {
        let width = self.candidates.len();
        self.open.clear();
        self.open.extend((0..width as u32).filter(|candidate| self.best_open.contains(candidate)));
        self.fill();
        for &(line, candidate, units) in &self.taken {
            let stock = self.cells[line as usize * width + candidate as usize].stock;
            let node = self.candidates[candidate as usize].node;
            // A node's kept units and its others are one take.
            let at = takes.partition_point(|take| (take.node, take.line) < (node, line));
            match takes.get_mut(at) {
                Some(take) if (take.node, take.line) == (node, line) => take.units += units,
                _ => takes.insert(at, Take { line, stock, node, units }),
            }
        }
    }
}
