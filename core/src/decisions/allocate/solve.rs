//! Solver: builds a plan, prices scarce stock and capacity, builds plans at these prices, and improves the best.

use super::{
    bound::Ascent,
    market::Market,
    network::{Network, Take},
    place::Placer,
    problem::{Problem, SCALE},
};
use alloc::{vec, vec::Vec};

/// Shortfall of each priority, then total cost: the plan with the lower score is better.
pub(super) type Score = [i64; Problem::MAX_PRIORITY as usize + 2];

/// Plans for some orders, and the remaining stock and capacity.
pub(super) struct Solver<'a> {
    network: &'a Network<'a>,
    placer: Placer,
    /// Remaining stock and capacity.
    left: Market,
    /// All stock and capacity, less what the orders of the current chain take.
    all: Market,
    plans: Vec<Vec<Take>>,
    /// Orders of this stage and earlier ones.
    orders: Vec<usize>,
    /// Maximum number of cells to evaluate.
    work: i64,
    /// Lower bound of each order's cost, in minor units, once computed.
    alone: Vec<Option<i64>>,
}

/// Index of the total cost in a score.
const COST: usize = Problem::MAX_PRIORITY as usize + 1;

/// Maximum number of steps of the ascent, and the number of steps made regardless of work.
const STEPS: usize = 120;
const STEPS_AT_LEAST: usize = 10;
/// Maximum number of cells that the other steps may evaluate.
const STEPS_WORK: i64 = 60_000_000;
/// Number of first steps that are followed by a sweep.
const SWEEPS: usize = 12;
/// Number of steps after which a plan is built at the current prices.
const REBUILD: usize = 10;
/// Improvement may evaluate all cells 500 times, but at most `IMPROVE_WORK` cells; 20 times in any case.
const IMPROVE_LOOKS: i64 = 500;
const IMPROVE_WORK: i64 = 40_000_000;
const IMPROVE_AT_LEAST: i64 = 20;
/// Number of shakes that begin with each order.
const SHAKES: usize = 3;
/// Effort for placing a single order: see [`Placer::place`].
const EFFORT: i64 = 64;
/// Maximum length of a chain of orders that make room for one another.
const CHAIN: usize = 3;
/// Number of orders that are tried for each scarce unit or shipment that another order needs.
const VICTIMS: usize = 8;

/// Computes plans for all orders, and a lower bound for their cost in minor units.
///
/// Orders of each priority join the earlier ones, stage by stage, and no stage increases the shortfall of an earlier
/// priority; so orders of a lower priority never add to the shortfall of a higher one.
pub(super) fn solve(network: &Network<'_>) -> (Vec<Vec<Take>>, i64) {
    let mut solver = Solver {
        network,
        placer: Placer::default(),
        left: Market::new(network),
        all: Market::new(network),
        plans: vec![Vec::new(); network.problem.orders.len()],
        orders: Vec::new(),
        work: 0,
        alone: vec![None; network.problem.orders.len()],
    };
    let mut bound = 0;
    for priority in 0..=Problem::MAX_PRIORITY {
        let joining = (0..solver.plans.len()).filter(|&o| network.order(o).priority == priority);
        let before = solver.orders.len();
        solver.orders.extend(joining);
        if solver.orders.len() > before {
            bound = solver.stage(before);
        }
    }
    solver.settle();
    (solver.plans, bound)
}

impl Solver<'_> {
    /// Adds the orders from `joined` on, and returns a lower bound for all so far.
    fn stage(&mut self, joined: usize) -> i64 {
        let least = (joined..self.orders.len()).map(|at| self.place(self.orders[at])).sum::<i64>();
        let mut best = self.score(&self.orders);
        // A single order has all stock and capacity, so its lower bound is that of the problem.
        let alone = -(-least).div_euclid(SCALE);
        if self.orders.len() == 1 && best[COST] <= alone {
            return alone;
        }
        let mut ascent = Ascent::new(self.network, &self.orders);
        self.placer.looked = 0;
        let mut step = 0;
        while ascent.step(self.network, &mut self.placer, &self.orders, best[COST] * SCALE)
            && step < STEPS
            && (step < STEPS_AT_LEAST || self.placer.looked < STEPS_WORK)
        {
            if step == 0 {
                let affordable = STEPS_WORK / (self.placer.looked + 1);
                ascent.patience = (affordable.min(STEPS as i64) / 12).clamp(2, 10) as u32;
            }
            step += 1;
            if step < SWEEPS {
                ascent.sweep(self.network, &mut self.placer, &self.orders);
            }
            if step % REBUILD == 0 {
                best = self.rebuild(&ascent, joined, best);
            }
        }
        ascent.finish();
        // The optimum is a whole number.
        let bound = -(-ascent.bound).div_euclid(SCALE);
        if best[COST] > bound {
            let cells = self.orders.iter().map(|&o| self.cells(o)).sum::<i64>();
            let work = (IMPROVE_LOOKS * cells).min(IMPROVE_WORK.max(IMPROVE_AT_LEAST * cells));
            let orders = self.orders.clone();
            self.work = self.placer.looked + work;
            self.improve(&orders);
            self.work = self.placer.looked + work;
            self.shake(&ascent, bound);
        }
        bound
    }

    /// Gives units to the earlier of equal orders, because improvement may serve either.
    fn settle(&mut self) {
        let units = |takes: &[Take]| takes.iter().map(|take| u64::from(take.units)).sum::<u64>();
        let mut shipped: Vec<u64> = self.plans.iter().map(|takes| units(takes)).collect();
        for earlier in 0..shipped.len() {
            for later in earlier + 1..shipped.len() {
                if shipped[earlier] < shipped[later] && self.network.alike(earlier, later) {
                    shipped.swap(earlier, later);
                    self.plans.swap(earlier, later);
                }
            }
        }
    }

    /// Cells for one evaluation of an order.
    fn cells(&self, o: usize) -> i64 {
        (self.network.lines(o).len() as i64 + 1) * (self.network.lanes(o).len() as i64 + 1)
    }

    fn score(&self, orders: &[usize]) -> Score {
        orders.iter().fold(Score::default(), |sum, &o| add(sum, self.score_of(o, &self.plans[o])))
    }

    fn score_of(&self, o: usize, takes: &[Take]) -> Score {
        let cost = self.network.cost(o, takes);
        let mut score = Score::default();
        score[usize::from(self.network.order(o).priority)] = cost.shortfall.0;
        score[COST] = cost.total().0;
        score
    }

    /// Gives an order without a plan the best remaining one; returns a lower bound of its cost there.
    fn place(&mut self, o: usize) -> i64 {
        let least = self.placer.place(self.network, &self.left, o, EFFORT, &mut self.plans[o]);
        self.left.take(&self.plans[o]);
        least
    }

    /// Replaces an order's plan by the best remaining one.
    fn replace(&mut self, o: usize) {
        let old = core::mem::take(&mut self.plans[o]);
        self.left.give(&old);
        self.place(o);
    }

    /// Builds a plan at the ascent's prices, and keeps the better one. Orders from `joined` on are new in this stage.
    fn rebuild(&mut self, ascent: &Ascent, joined: usize, best: Score) -> Score {
        let orders = self.orders.clone();
        let (before, joining) = orders.split_at(joined);
        let (short, old) = (self.score(before), (self.plans.clone(), self.left.clone()));
        self.left = Market::new(self.network);
        self.charge(ascent);
        // Prices must not keep orders of earlier stages short.
        self.placer.urgency = ascent.dearest;
        for &o in before {
            self.place(o);
        }
        self.placer.urgency = 0;
        if self.score(before)[..COST] > short[..COST] {
            self.left = Market::new(self.network);
            self.charge(ascent);
            for &o in before {
                self.plans[o].clone_from(&old.0[o]);
                self.left.take(&self.plans[o]);
            }
        }
        for &o in joining {
            self.place(o);
        }
        self.left.free();
        // Prices must not keep other orders from units that nobody took.
        for &o in joining {
            let shipped = self.plans[o].iter().map(|take| u64::from(take.units)).sum::<u64>();
            if shipped < self.network.units(o) {
                self.replace(o);
            }
        }
        let found = self.score(&orders);
        if found < best {
            return found;
        }
        (self.plans, self.left) = old;
        best
    }

    /// Sets the prices of the remaining stock and capacity to those of the ascent.
    fn charge(&mut self, ascent: &Ascent) {
        self.left.price.clone_from(&ascent.market.price);
        self.left.node_price.clone_from(&ascent.market.node_price);
    }

    /// Moves these orders in chains until no chain helps or the work limit is reached.
    fn improve(&mut self, orders: &[usize]) {
        let mut idle = 0;
        for &o in orders.iter().cycle() {
            if self.placer.looked > self.work || idle == orders.len() {
                return;
            }
            let score = self.score_of(o, &self.plans[o]);
            if score[COST] <= self.alone(o) {
                self.placer.looked += 1;
                idle += 1;
                continue;
            }
            let old = core::mem::take(&mut self.plans[o]);
            self.left.give(&old);
            if self.chain(o, negative(score), CHAIN) {
                idle = 0;
            } else {
                self.left.take(&old);
                self.plans[o] = old;
                idle += 1;
            }
        }
    }

    /// Lower bound of an order's cost with all stock and capacity to itself, in minor units.
    fn alone(&mut self, o: usize) -> i64 {
        *self.alone[o].get_or_insert_with(|| {
            let least = self.placer.place(self.network, &self.all, o, EFFORT, &mut Vec::new());
            -(-least).div_euclid(SCALE)
        })
    }

    /// Removes an order and those that block it, inserts them again at the prices, improves them, and keeps the result
    /// if it is no worse; for one order after another, in growing groups.
    fn shake(&mut self, ascent: &Ascent, bound: i64) {
        let mut best = self.score(&self.orders);
        let mut ideal = Vec::new();
        for turn in 0..SHAKES * self.orders.len() {
            if self.placer.looked > self.work || best[COST] <= bound {
                return;
            }
            let (seed, round) = (self.orders[turn % self.orders.len()], turn / self.orders.len());
            self.placer.looked += 10 * self.orders.len() as i64;
            let mut group = Vec::from([seed]);
            let mut at = 0;
            while at < group.len() && group.len() <= 6 + 4 * round {
                self.placer.place(self.network, &self.all, group[at], EFFORT, &mut ideal);
                for victim in self.victims(group[at], &ideal) {
                    if !group.contains(&victim) {
                        group.push(victim);
                    }
                }
                at += 1;
            }
            if group.len() == 1 {
                continue;
            }
            group.truncate(7 + 4 * round);
            if round % 2 == 1 {
                group.reverse();
            }
            let old = (self.plans.clone(), self.left.clone());
            for &o in &group {
                self.left.give(&core::mem::take(&mut self.plans[o]));
            }
            if round % 4 < 2 {
                self.charge(ascent);
            }
            for &o in &group {
                self.place(o);
            }
            self.left.free();
            self.improve(&group);
            let found = self.score(&self.orders);
            if found <= best {
                best = found;
            } else {
                (self.plans, self.left) = old;
            }
        }
    }

    /// Places an order whose plan was returned. If that is no gain so far, places it where it would be best, and moves
    /// the orders that block it. `gain` is the score of the plans placed since minus that of the plans returned.
    /// Returns whether the whole chain is a gain; otherwise nothing changes.
    fn chain(&mut self, o: usize, gain: Score, depth: usize) -> bool {
        self.place(o);
        if add(gain, self.score_of(o, &self.plans[o])) < Score::default() {
            return true;
        }
        let fallback = core::mem::take(&mut self.plans[o]);
        self.left.give(&fallback);
        if depth == 0 {
            return false;
        }
        let mut ideal = Vec::new();
        self.placer.place(self.network, &self.all, o, EFFORT, &mut ideal);
        if ideal == fallback || add(gain, self.score_of(o, &ideal)) >= Score::default() {
            return false;
        }
        for victim in self.victims(o, &ideal) {
            if self.placer.looked > self.work {
                return false;
            }
            let old = core::mem::take(&mut self.plans[victim]);
            self.left.give(&old);
            self.place(o);
            let next = add(add(gain, self.score_of(o, &self.plans[o])), negative(self.score_of(victim, &old)));
            let mine = self.plans[o].clone();
            self.all.take(&mine);
            let found = mine != fallback && self.chain(victim, next, depth - 1);
            self.all.give(&mine);
            if found {
                return true;
            }
            self.left.give(&mine);
            self.plans[o].clear();
            self.left.take(&old);
            self.plans[victim] = old;
        }
        false
    }

    /// Orders that have units or capacity that `ideal` needs and that are not left.
    fn victims(&self, o: usize, ideal: &[Take]) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for (n, take) in ideal.iter().enumerate() {
            let node = take.node as usize;
            let mut some = 0;
            if self.left.stock[take.stock as usize] < take.units {
                for &(_, other) in self.network.wanting(self.network.stock[take.stock as usize].sku) {
                    let other = other as usize;
                    if some < VICTIMS && self.plans[other].iter().any(|has| has.stock == take.stock) {
                        some += usize::from(offer(&mut found, o, other));
                    }
                }
            }
            let first = n == 0 || ideal[n - 1].node != take.node;
            if self.left.units[node] < take.units || (first && self.left.shipments[node] == 0) {
                for &other in &self.orders {
                    if some == VICTIMS {
                        break;
                    }
                    if self.plans[other].iter().any(|has| has.node == take.node) {
                        some += usize::from(offer(&mut found, o, other));
                    }
                }
            }
        }
        found
    }
}

/// Adds an order to the blocking orders of another, if it is new; returns whether it is.
fn offer(found: &mut Vec<usize>, o: usize, other: usize) -> bool {
    let new = other != o && !found.contains(&other);
    if new {
        found.push(other);
    }
    new
}

fn add(a: Score, b: Score) -> Score {
    let mut sum = a;
    sum.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    sum
}

fn negative(score: Score) -> Score {
    score.map(|part| -part)
}
