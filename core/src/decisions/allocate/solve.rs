//! Finds a plan: builds one, prices what is scarce, builds others at these prices, and improves the best.

use super::{
    bound::Ascent,
    market::Market,
    network::{Network, Take},
    place::Placer,
    problem::{Problem, SCALE},
};
use alloc::{vec, vec::Vec};

/// The shortfall of each priority, then all costs: the plan with the lesser score is the better one.
pub(super) type Score = [i64; Problem::MAX_PRIORITY as usize + 2];

/// A plan for some orders, and what is left beside it.
pub(super) struct Solver<'a> {
    network: &'a Network<'a>,
    placer: Placer,
    /// What is left.
    left: Market,
    /// Everything, less what the orders of the present chain have.
    all: Market,
    plans: Vec<Vec<Take>>,
    /// The orders of this stage and those before.
    orders: Vec<usize>,
    /// Cells that may be looked at in all.
    work: i64,
    /// What each order costs at least, in minor units, where that is known.
    alone: Vec<Option<i64>>,
}

/// Where a score has the costs.
const COST: usize = Problem::MAX_PRIORITY as usize + 1;

/// The most steps of the ascent, and how many of them are made whatever they take.
const STEPS: usize = 120;
const STEPS_AT_LEAST: usize = 10;
/// Cells that the other steps may look at.
const STEPS_WORK: i64 = 60_000_000;
/// The first steps, which go on with a sweep.
const SWEEPS: usize = 12;
/// Steps after which another plan is built at the prices so far.
const REBUILD: usize = 10;
/// How often improving may look at all cells; as long as that is not more than so many cells, but so often in any case.
const IMPROVE_LOOKS: i64 = 500;
const IMPROVE_WORK: i64 = 40_000_000;
const IMPROVE_AT_LEAST: i64 = 20;
/// How often each order is the one to begin a shake with.
const SHAKES: usize = 3;
/// How thoroughly a single order is placed: see [`Placer::place`].
const EFFORT: i64 = 64;
/// Orders that may be moved in a row to make place for one another.
const CHAIN: usize = 3;
/// Orders that are tried for each scarce thing that another one wants.
const VICTIMS: usize = 8;

/// Plans for all orders, and a bound for their cost in minor units.
///
/// Orders of one priority join those before them, stage by stage, and no stage leaves a priority with a greater
/// shortfall than it began with; so what an order of lower priority wants never adds to the shortfall of a higher one.
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
    /// Takes in the orders from `joined` on, and returns a bound for all so far.
    fn stage(&mut self, joined: usize) -> i64 {
        let least = (joined..self.orders.len()).map(|at| self.place(self.orders[at])).sum::<i64>();
        let mut best = self.score(&self.orders);
        // An order alone has all there is, so its lower bound is that of the problem.
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

    /// Gives the units that there are to the earlier of orders that are alike: improving makes place at whichever order it
    /// finds first.
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

    /// What a look at an order costs.
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

    /// Gives an order without a plan the best that is left; returns what it costs there at least.
    fn place(&mut self, o: usize) -> i64 {
        let least = self.placer.place(self.network, &self.left, o, EFFORT, &mut self.plans[o]);
        self.left.take(&self.plans[o]);
        least
    }

    /// Gives an order the best that is left, instead of what it has.
    fn replace(&mut self, o: usize) {
        let old = core::mem::take(&mut self.plans[o]);
        self.left.give(&old);
        self.place(o);
    }

    /// Builds another plan at the ascent's prices, and keeps the better. Orders from `joined` on are new in this stage.
    fn rebuild(&mut self, ascent: &Ascent, joined: usize, best: Score) -> Score {
        let orders = self.orders.clone();
        let (before, joining) = orders.split_at(joined);
        let (short, old) = (self.score(before), (self.plans.clone(), self.left.clone()));
        self.left = Market::new(self.network);
        self.charge(ascent);
        // No price keeps orders of earlier stages from what they can have.
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
        // Nor does any keep others from what nobody took.
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

    /// Lets what is left cost what it is worth to all.
    fn charge(&mut self, ascent: &Ascent) {
        self.left.price.clone_from(&ascent.market.price);
        self.left.node_price.clone_from(&ascent.market.node_price);
    }

    /// Moves these orders in chains until no chain helps or the work is done.
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

    /// What an order costs at least, in minor units: with all there is to itself.
    fn alone(&mut self, o: usize) -> i64 {
        *self.alone[o].get_or_insert_with(|| {
            let least = self.placer.place(self.network, &self.all, o, EFFORT, &mut Vec::new());
            -(-least).div_euclid(SCALE)
        })
    }

    /// Takes an order and those in its way out, puts them back at the prices of what is scarce, improves them, and keeps
    /// what is no worse; from one order after another, in larger and larger groups.
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

    /// Places an order whose plan was given back, and if that is no gain so far, places it where it would be best
    /// and the orders that are in its way elsewhere. `gain` is the score of what was given back less what was placed since,
    /// negative. Returns whether the whole chain is a gain; if not, nothing is changed.
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

    /// Orders that have what a plan for `o` would need and what is not left.
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

/// Adds an order to those that are in the way of another, if it is not there yet.
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
