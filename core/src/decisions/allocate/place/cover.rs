//! Set covering by shipments: a dynamic program over the served units of each line.
//!
//! A state is the number of served units of each line: one digit for each line, in mixed radix. The program first finds
//! the cheapest single shipment for each state, then adds shipments while that makes a state cheaper:
//!
//! ```text
//! one[s]      = min over facilities of opening cost + split + units
//! least[k][s] = min(least[k − 1][s], min over parts p of s: one[p] + least[k − 1][s − p])
//! ```
//!
//! Its optimum is a lower bound. It is the optimum of the order if no facility occurs twice; a facility that does would
//! use its stock twice. If capacity binds and a line is not split into units, there is no lower bound.

use super::{Placer, facility::NEVER};
use alloc::vec::Vec;

/// States, and the cheapest way to serve each.
#[derive(Default)]
pub(super) struct Table {
    digits: Vec<Digit>,
    /// Units of each state.
    units: Vec<u32>,
    /// Cost of each state from the current facility.
    own: Vec<i64>,
    /// Cost of each state in one shipment, and the facility it ships from.
    one: Vec<i64>,
    facility: Vec<u32>,
    /// Cost of each state in at most one shipment, at most two, …; and the part that the last shipment serves.
    least: Vec<i64>,
    last: Vec<u32>,
    /// Parts of the current state.
    parts: Vec<usize>,
}

/// Number of units of a line that a state serves: the line's digit of the state.
#[derive(Clone, Copy)]
struct Digit {
    /// Value of one unit of this digit.
    stride: usize,
    /// Maximum value of the digit.
    most: u32,
    /// Units for each step of the digit.
    units: u32,
}

/// Maximum number of states to tabulate.
const STATES: usize = 512;

impl Placer {
    /// Finds the cheapest set of facilities by dynamic programming, for at most [`STATES`] states. Returns a lower
    /// bound for the cost of every plan, or [`i64::MIN`] for no bound.
    pub(super) fn cover(&mut self) -> i64 {
        let width = self.instance.facilities.len();
        let mut table = core::mem::take(&mut self.table);
        table.digits.clear();
        let (mut states, mut proves) = (1, true);
        for (line, &wanted) in self.instance.demand.iter().enumerate() {
            // A line is tabulated by units if a facility has only a part of it, or keeps a part. Splits because of
            // capacity are not tabulated, as they need too many states.
            let row = &self.instance.cells[line * width..(line + 1) * width];
            let whole = row.iter().all(|cell| cell.kept == 0 && (cell.units == 0 || cell.units == wanted));
            proves &= !self.instance.capacitated || !whole || wanted == 1;
            let (most, units) = if whole { (1, wanted) } else { (wanted, 1) };
            table.digits.push(Digit { stride: states, most, units });
            states = states.saturating_mul(most as usize + 1);
        }
        let mut bound = i64::MIN;
        if states <= STATES {
            self.looked += (states * (width + table.digits.len() * states.isqrt())) as i64 / 4;
            bound = self.tabulate(&mut table, states);
            let cost = self.assignment.fill(&self.instance);
            if !(self.instance.complete && self.assignment.lacks_a_unit(&self.instance)) {
                self.incumbent.offer(cost, &self.assignment.open);
            }
        }
        self.table = table;
        if proves { bound } else { i64::MIN }
    }

    /// Fills the table. Returns the cost of the cheapest state; `open` gets its facilities, up to the first that occurs
    /// twice.
    fn tabulate(&mut self, table: &mut Table, states: usize) -> i64 {
        let Table { digits, units, own, one, facility, least, last, parts } = table;
        let instance = &self.instance;
        let width = instance.facilities.len();
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
        facility.clear();
        facility.resize(states, 0);
        own.resize(states.max(own.len()), 0);
        let own = &mut own[..states];
        for (n, here) in instance.facilities.iter().enumerate() {
            own[0] = here.fixed + instance.split;
            for (line, digit) in digits.iter().enumerate() {
                let cell = &instance.cells[line * width + n];
                for many in 1..=digit.most {
                    let taken = many * digit.units;
                    let cost = i64::from(taken) * cell.cost - i64::from(taken.min(cell.kept)) * instance.change;
                    let cost = if taken > cell.units { NEVER } else { cost };
                    let at = digit.stride * many as usize;
                    let (fewer, more) = own.split_at_mut(at);
                    more.iter_mut()
                        .zip(&fewer[..digit.stride])
                        .for_each(|(more, fewer)| *more = (fewer + cost).min(NEVER));
                }
            }
            for (state, &own) in own.iter().enumerate() {
                if own < one[state] && (!instance.capacitated || units[state] <= here.units) {
                    one[state] = own;
                    facility[state] = n as u32;
                }
            }
        }
        // Further shipments, while they help.
        least.clone_from(one);
        least[0] = 0;
        last.clear();
        last.extend((0..states as u32).take(states));
        let rounds = instance.most.min(instance.demand.iter().map(|&wanted| wanted as usize).sum());
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
                // The added shipment serves the last served line, so that each partition is evaluated once.
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
        // The cheapest state, and its facilities.
        let from = (round - 1) * states;
        let wanted = units[states - 1];
        let (mut best, mut state) = (i64::MAX, 0);
        for (at, &cost) in least[from..].iter().enumerate().skip(1) {
            let cost = cost - instance.split + instance.missing * i64::from(wanted - units[at]);
            if cost < best {
                (best, state) = (cost, at);
            }
        }
        let open = &mut self.assignment.open;
        open.clear();
        let mut from = if best < NEVER / 2 { from } else { states * round };
        while let Some(&part) = last.get(from + state).filter(|_| state > 0) {
            let facility = facility[part as usize];
            if open.contains(&facility) {
                break;
            }
            open.push(facility);
            state -= part as usize;
            from = from.saturating_sub(states);
        }
        best
    }
}
