//! Branch and bound over sets of open facilities.

use super::{
    Placer,
    facility::{Cell, NEVER},
};
use alloc::vec::Vec;

/// State of the search.
#[derive(Default)]
pub(super) struct Tree {
    /// Lower bound for the cost of every plan that was not explored; `i64::MAX` if all were.
    pub bound: i64,
    /// Facilities that still save more than they cost, for each level of the tree: the branches.
    branches: Vec<Branch>,
    /// Cells that may still be evaluated.
    budget: i64,
    /// Facilities that survive the reduction.
    survives: Vec<bool>,
}

/// A facility that may be opened next.
#[derive(Clone, Copy)]
struct Branch {
    facility: u32,
    /// Savings minus opening cost.
    net: i64,
}

impl Placer {
    /// Makes the best single facility the incumbent. Returns whether that proves optimality: two shipments cost at
    /// least the two lowest opening costs, and save at most what all facilities save together.
    pub(super) fn is_one_best(&mut self) -> bool {
        let instance = &self.instance;
        let (mut best, mut at) = (0, 0);
        for (n, (facility, saved)) in instance.facilities.iter().zip(&instance.alone).enumerate() {
            let net = saved - facility.fixed;
            if net > best {
                (best, at) = (net, n);
            }
        }
        let width = instance.facilities.len();
        let is_served = |(line, &wanted): (usize, &u32)| {
            let cell = &instance.cells[line * width + at];
            cell.units == wanted && cell.cost < instance.missing
        };
        let serves_all = || instance.demand.iter().enumerate().all(is_served);
        if best > 0 && (instance.capacitated || (instance.complete && !serves_all())) {
            return false;
        }
        let unserved = instance.unserved();
        let one = if best > 0 { unserved - best } else { NEVER };
        let (first, second) = instance.cheapest;
        let two = first + second + instance.split + unserved - instance.together;
        if instance.most > 1 && two < one.min(self.incumbent.cost) {
            return false;
        }
        if one < self.incumbent.cost {
            self.incumbent.cost = one;
            self.incumbent.open.push(at as u32);
        }
        self.tree.bound = i64::MAX;
        true
    }

    /// Drops facilities that no plan cheaper than the incumbent opens, and those that save less than they cost even
    /// alone. An all-or-nothing order, which is harder, keeps the latter: the effort of the search is counted in cells.
    pub(super) fn reduce(&mut self) {
        let instance = &mut self.instance;
        let (width, unserved, (first, second)) = (instance.facilities.len(), instance.unserved(), instance.cheapest);
        let survives = &mut self.tree.survives;
        survives.clear();
        survives.extend(instance.facilities.iter().zip(&instance.alone).map(|(facility, saved)| {
            let other = if facility.fixed == first { second } else { first };
            let among = other + facility.fixed + instance.split + unserved - instance.together;
            let among = if instance.most > 1 { among } else { i64::MAX };
            among.min(unserved - saved + facility.fixed) < self.incumbent.cost
                && (*saved > facility.fixed || instance.complete)
        }));
        for &open in &self.incumbent.open {
            survives[open as usize] = true;
        }
        self.looked += (width + instance.cells.len()) as i64;
        // Compact the survivors.
        let mut to = 0;
        for from in 0..instance.cells.len() {
            if survives[from % width] {
                instance.cells[to] = instance.cells[from];
                if from < width {
                    instance.facilities[to] = instance.facilities[from];
                }
                to += 1;
            }
        }
        instance.cells.truncate(to);
        instance.facilities.truncate(to / instance.demand.len());
        for open in &mut self.incumbent.open {
            *open = survives[..*open as usize].iter().filter(|survives| **survives).count() as u32;
        }
    }

    /// Searches all sets of facilities for a plan cheaper than the incumbent. Returns whether the incumbent is proven
    /// optimal.
    pub(super) fn search(&mut self, effort: i64) -> bool {
        let cells = self.instance.cells.len() as i64;
        self.tree.bound = i64::MAX;
        self.tree.budget = effort * cells;
        self.assignment.open.clear();
        self.tree.branches.clear();
        let all = 0..self.instance.facilities.len() as u32;
        self.tree.branches.extend(all.map(|facility| Branch { facility, net: 0 }));
        self.explore(0, i64::MIN);
        self.looked += cells + effort * cells - self.tree.budget + 8;
        self.tree.bound >= self.incumbent.cost
    }

    /// Explores the sets that contain the open facilities and any of the branches from `from` on; `bound` is a lower bound
    /// for their plans.
    fn explore(&mut self, from: usize, bound: i64) {
        let cost = self.assignment.fill(&self.instance);
        if self.assignment.binds {
            // A lower bound for this set and its supersets cannot be derived from an assignment that may not be the
            // cheapest: the one of the smaller set holds for them too.
            self.tree.bound = self.tree.bound.min(bound);
        }
        if self.instance.complete && self.assignment.lacks_a_unit(&self.instance) {
            // This is not a plan. It is cheaper than the empty plan only if the penalty was capped.
            if cost < self.incumbent.cost {
                self.tree.bound = self.tree.bound.min(cost);
            }
        } else {
            self.incumbent.offer(cost, &self.assignment.open);
        }
        let instance = &self.instance;
        let room = instance.most - self.assignment.open.len();
        if room == 0 || self.tree.branches.len() == from {
            return;
        }
        let (width, own) = (instance.facilities.len(), self.tree.branches.len());
        self.tree.budget -= ((own - from) * instance.demand.len()) as i64;
        // Savings of each branch, and an upper bound for the savings of all together, by line.
        let split = if self.assignment.open.is_empty() { 0 } else { instance.split };
        let (mut first, mut second, mut together) = (i64::MAX, i64::MAX, 0_i64);
        let mut nets = 0_i64;
        for at in from..own {
            let facility = self.tree.branches[at].facility as usize;
            let mut saved = 0;
            let mut cells = &instance.cells[facility..];
            for line in 0..instance.demand.len() {
                let cell = &cells[0];
                cells = cells.get(width..).unwrap_or_default();
                if cell.units > 0 {
                    saved += self.assignment.saving(line, cell, instance.change);
                }
            }
            let fixed = instance.facilities[facility].fixed + split;
            if saved > fixed {
                self.tree.branches.push(Branch { facility: facility as u32, net: saved - fixed });
                nets = nets.saturating_add(saved - fixed);
                (first, second) = if fixed < first { (fixed, first) } else { (first, second.min(fixed)) };
            }
        }
        for line in 0..instance.demand.len() {
            together = together.saturating_add(self.most_saved(line, own));
        }
        // At least two more facilities: both from this level, and the second is a split.
        let extra = if self.assignment.open.is_empty() { instance.split } else { 0 };
        let two = if room < 2 || self.tree.branches.len() < own + 2 {
            i64::MAX
        } else {
            (cost - together).saturating_add(first).saturating_add(second).saturating_add(extra)
        };
        let mut searched = false;
        while self.tree.branches.len() > own {
            let (mut best, mut at) = (Branch { facility: 0, net: i64::MIN }, own);
            for (n, branch) in self.tree.branches.iter().enumerate().skip(own) {
                if branch.net > best.net {
                    (best, at) = (*branch, n);
                }
            }
            let many = (room as i64).saturating_mul(best.net).min(nets);
            let bound = (cost - best.net).min(two.max(cost - many));
            if bound >= self.incumbent.cost {
                break;
            }
            if self.tree.budget < 0 && searched {
                self.tree.bound = self.tree.bound.min(bound);
                break;
            }
            searched = true;
            nets = nets.saturating_sub(best.net);
            self.tree.branches.remove(at);
            self.assignment.open.push(best.facility);
            self.explore(own, bound);
            self.assignment.open.pop();
        }
        self.tree.branches.truncate(own);
    }

    /// Upper bound for what a line saves with all branches of this level.
    fn most_saved(&self, line: usize, own: usize) -> i64 {
        let instance = &self.instance;
        let width = instance.facilities.len();
        let row = &instance.cells[line * width..(line + 1) * width];
        let cells = self.tree.branches[own..].iter().filter_map(|branch| row.get(branch.facility as usize));
        let (mut least, mut units) = (i64::MAX, 0);
        for cell in cells.filter(|cell| cell.units > 0) {
            least = least.min(cell.cost - if cell.kept > 0 { instance.change } else { 0 });
            units += u64::from(cell.units);
        }
        let all = Cell { cost: least, units: units.min(u64::from(u32::MAX)) as u32, ..Cell::default() };
        self.assignment.saving(line, &all, instance.change)
    }
}
