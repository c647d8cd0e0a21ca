//! Order as a facility location problem, and the cheapest assignment to a set of open facilities.

use super::super::{
    market::Market,
    network::Network,
    problem::{Problem, SCALE},
};
use alloc::vec::Vec;
use core::ops::Range;

/// Lines of an order, the facilities that can serve them, and the costs, in parts of minor units.
#[derive(Default)]
pub(super) struct Instance {
    pub facilities: Vec<Facility>,
    /// Lines × facilities.
    pub cells: Vec<Cell>,
    /// Units of each line.
    pub demand: Vec<u32>,
    /// Savings of each facility alone against serving nothing, before its opening cost.
    pub alone: Vec<i64>,
    /// Upper bound for the savings of all facilities together.
    pub together: i64,
    /// The two lowest opening costs.
    pub cheapest: (i64, i64),
    /// Penalty for an unserved unit.
    pub missing: i64,
    /// Cost of serving nothing.
    pub nothing: i64,
    /// Cost of each open facility beyond the first.
    pub split: i64,
    /// Discount on a unit that stays where the previous plan had it.
    pub change: i64,
    /// Whether the order is all or nothing.
    pub complete: bool,
    /// Maximum number of open facilities.
    pub most: usize,
    /// Whether the capacity of a facility is less than the order's units, so that it must be tracked.
    pub capacitated: bool,
    /// Facility of each node.
    slots: Vec<u32>,
}

/// Node that can serve the order.
#[derive(Clone, Copy)]
pub(super) struct Facility {
    pub node: u32,
    /// Opening cost: one shipment, without the split.
    pub fixed: i64,
    /// Cost of a unit, without its product's pressure and price.
    unit: i64,
    /// Capacity in units.
    pub units: u32,
}

/// Offer of a facility for a line.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    /// Cost of a unit.
    pub cost: i64,
    /// Units, at most the line's demand.
    pub units: u32,
    /// Units that the previous plan had here; their cost is reduced by the discount.
    pub kept: u32,
    /// Index of the stock entry.
    pub stock: u32,
}

/// Cost above that of every plan; small multiples do not overflow.
pub(super) const NEVER: i64 = 1 << 59;

/// Maximum cost of serving nothing, with the penalty of an all-or-nothing order.
const MOST_UNSERVED: i64 = NEVER / 4;

/// Marks a node that is not a facility.
const NONE: u32 = u32::MAX;
/// Marks a node that the order excludes.
const EXCLUDED: u32 = u32::MAX - 1;

impl Instance {
    /// Sets the instance up for an order. Returns the constant part of every plan's cost.
    pub fn load(&mut self, network: &Network<'_>, market: &Market, o: usize, urgency: i64) -> i64 {
        let (order, lines, costs) = (network.order(o), network.lines(o), &network.problem.costs);
        self.slots.resize(network.problem.nodes.len(), NONE);
        self.slots.fill(NONE);
        for &node in &order.excluded {
            if let Some(slot) = self.slots.get_mut(node as usize) {
                *slot = EXCLUDED;
            }
        }
        self.split = costs.split.0 * SCALE;
        self.change = costs.change.0 * SCALE;
        self.most = (usize::from(order.max_splits) + 1).min(Problem::MAX_SHIPMENTS);
        self.complete = order.complete;
        self.missing = order.missing.0 * SCALE + urgency;
        self.demand.clear();
        self.demand.extend(lines.iter().map(|line| line.quantity));
        let wanted = lines.iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        self.nothing = wanted * self.missing;
        if order.complete && wanted > 0 {
            // An exact penalty: with one missing unit, a plan costs at least as much as an empty one, regardless of
            // what the other units save (capped, so that sums cannot overflow).
            let held = lines.iter().flat_map(|line| &line.held).map(|&(_, units)| i64::from(units)).sum::<i64>();
            let penalty = self.nothing + wanted * network.relief + held * self.change;
            self.missing = self.missing.max(penalty.min(MOST_UNSERVED / wanted));
        }
        self.open_facilities(network, market, o, wanted);
        self.fill_cells(network, market, o)
    }

    /// Collects the facilities: nodes that have a lane to the order's region, that the order allows, and that have
    /// capacity.
    fn open_facilities(&mut self, network: &Network<'_>, market: &Market, o: usize, wanted: i64) {
        let order = network.order(o);
        self.facilities.clear();
        self.cheapest = (NEVER, NEVER);
        self.capacitated = false;
        let (slots, units_left, shipments_left) = (&mut self.slots[..], &market.units[..], &market.shipments[..]);
        for view in network.lanes(o) {
            let node = view.node as usize;
            let room = &network.room[node];
            let units = units_left[node].min(room.units);
            let pinned = order.pinned.is_none_or(|pinned| pinned == view.node);
            if room.closed || !pinned || units == 0 || shipments_left[node] == 0 || slots[node] == EXCLUDED {
                continue;
            }
            slots[node] = self.facilities.len() as u32;
            self.capacitated |= i64::from(units_left[node]) < wanted;
            let (transit, risk) = network.lateness(o, view.lane);
            let by_shipments = if room.shipments == u32::MAX { 0 } else { market.node_price[node] };
            let by_units = if room.units == u32::MAX { 0 } else { market.node_price[node] };
            let fixed = (view.shipment + transit + risk) * SCALE + by_shipments;
            let (first, second) = self.cheapest;
            self.cheapest = if fixed < first { (fixed, first) } else { (first, second.min(fixed)) };
            self.facilities.push(Facility { node: view.node, fixed, unit: view.unit * SCALE + by_units, units });
        }
    }

    /// Computes cells and savings. Returns the constant part of every plan's cost: the discounts, added back.
    fn fill_cells(&mut self, network: &Network<'_>, market: &Market, o: usize) -> i64 {
        let lines = network.lines(o);
        let width = self.facilities.len();
        self.cells.clear();
        self.cells.resize(width * lines.len(), Cell::default());
        self.alone.clear();
        self.alone.resize(width, 0);
        self.together = 0;
        let (slots, facilities, alone) = (&self.slots[..], &self.facilities[..], &mut self.alone[..]);
        let mut constant = 0;
        for (n, line) in lines.iter().enumerate() {
            let row = &mut self.cells[n * width..(n + 1) * width];
            for &(node, units) in &line.held {
                constant += i64::from(units) * self.change;
                let slot = slots.get(node as usize).map_or(NONE, |&slot| slot);
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
                let (cell, facility) = (&mut row[slot], &facilities[slot]);
                let units = left[at].min(line.quantity).min(facility.units);
                cell.units = units;
                cell.stock = (line.stock.start + at) as u32;
                cell.cost = place.pressure * SCALE + price[at] + facility.unit;
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
            // Units the previous plan kept at a node without stock are dropped.
            if !line.held.is_empty() {
                row.iter_mut().for_each(|cell| cell.kept = cell.kept.min(cell.units));
            }
            if there > 0 {
                let units = there.min(u64::from(line.quantity)) as i64;
                self.together += units * (self.missing - least).max(0);
            }
        }
        constant
    }

    /// Cost of serving nothing, at the penalty that plans are compared with: for an all-or-nothing order above
    /// [`nothing`](Self::nothing).
    pub fn unserved(&self) -> i64 {
        self.missing * self.demand.iter().map(|&units| i64::from(units)).sum::<i64>()
    }
}

/// Cheapest assignment of lines to the open facilities.
#[derive(Default)]
pub(super) struct Assignment {
    /// Open facilities.
    pub open: Vec<u32>,
    /// Line, facility and units of each part of the assignment.
    pub taken: Vec<(u32, u32, u32)>,
    /// Current cost of each line's units, most expensive first; an unserved unit costs the penalty.
    pieces: Vec<Piece>,
    /// Index of each line's first piece; one more at the end.
    first_piece: Vec<usize>,
    /// Offers for the current line, cheapest first.
    offers: Vec<Offer>,
    /// Remaining capacity of the open facilities.
    left: Vec<u32>,
    /// Whether capacity limited a line: its assignment then depends on the earlier lines, and may not be the cheapest.
    pub binds: bool,
}

/// Units of a line with the same cost.
#[derive(Clone, Copy)]
struct Piece {
    cost: i64,
    units: u32,
}

/// Units that an open facility offers for a line.
#[derive(Clone, Copy)]
struct Offer {
    cost: i64,
    units: u32,
    /// Index into the open facilities.
    open: u32,
}

impl Assignment {
    /// Assigns each line to the open facilities, cheapest first, and returns the cost of that plan.
    pub fn fill(&mut self, instance: &Instance) -> i64 {
        let width = instance.facilities.len();
        let mut cost = self.open.iter().map(|&open| instance.facilities[open as usize].fixed).sum::<i64>();
        cost += instance.split * self.open.len().saturating_sub(1) as i64;
        self.left.clear();
        self.left.extend(self.open.iter().map(|&open| instance.facilities[open as usize].units));
        self.pieces.clear();
        self.first_piece.clear();
        self.taken.clear();
        self.binds = false;
        for line in 0..instance.demand.len() {
            let first = self.pieces.len();
            self.first_piece.push(first);
            self.sort_offers(instance, line * width..(line + 1) * width);
            let mut wanted = instance.demand[line];
            for offer in &self.offers {
                let left = &mut self.left[offer.open as usize];
                let units = offer.units.min(wanted);
                self.binds |= *left < units;
                let units = units.min(*left);
                if units > 0 {
                    if instance.capacitated {
                        *left -= units;
                    }
                    wanted -= units;
                    cost += offer.cost * i64::from(units);
                    self.pieces.push(Piece { cost: offer.cost, units });
                    self.taken.push((line as u32, self.open[offer.open as usize], units));
                }
            }
            if wanted > 0 {
                cost += instance.missing * i64::from(wanted);
                self.pieces.push(Piece { cost: instance.missing, units: wanted });
            }
            self.pieces[first..].reverse();
        }
        self.first_piece.push(self.pieces.len());
        cost
    }

    /// Sorts the offers of the open facilities for the line of this row, cheapest first.
    fn sort_offers(&mut self, instance: &Instance, row: Range<usize>) {
        self.offers.clear();
        for (n, &facility) in self.open.iter().enumerate() {
            let (cell, open) = (instance.cells[row.start + facility as usize], n as u32);
            let kept = Offer { cost: cell.cost - instance.change, units: cell.kept, open };
            let more = Offer { cost: cell.cost, units: cell.units - cell.kept, open };
            for offer in [kept, more] {
                if offer.units > 0 && offer.cost < instance.missing {
                    // Ties are in order of facility, so that the assignment is a function of the set.
                    let by = |offer: &Offer| (offer.cost, self.open[offer.open as usize]);
                    let at = self.offers.partition_point(|other| by(other) <= by(&offer));
                    self.offers.insert(at, offer);
                }
            }
        }
    }

    /// Whether a unit of some line is unserved.
    pub fn lacks_a_unit(&self, instance: &Instance) -> bool {
        self.pieces.iter().any(|piece| piece.cost == instance.missing)
    }

    /// Savings of a line if another cell becomes available.
    #[inline(always)]
    pub fn saving(&self, line: usize, cell: &Cell, change: i64) -> i64 {
        let pieces = &self.pieces[self.first_piece[line]..self.first_piece[line + 1]];
        let (mut saved, mut at, mut used) = (0, 0, 0);
        // Kept units first: they are cheaper.
        let (mut cost, mut units) = (cell.cost - change, cell.kept);
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
}
