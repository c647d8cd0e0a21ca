//! Finds a plan: builds one, prices what is scarce, builds others at these prices, and improves the best.

use super::{
    bound::Ascent,
    network::{Network, Take},
    place::{Market, Placer},
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
    /// Cells that may still be looked at.
    work: i64,
}

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
    (solver.plans, bound)
}

impl Solver<'_> {
    /// Takes in the orders from `joined` on, and returns a bound for all so far.
    fn stage(&mut self, joined: usize) -> i64 {
        let cells = self.orders.iter().map(|&o| self.cells(o)).sum::<i64>().max(1);
        for at in joined..self.orders.len() {
            self.place(self.orders[at]);
        }
        let mut ascent = Ascent::new(self.network);
        let steps = (STEPS_WORK / cells).clamp(10, 400);
        let mut best = self.score();
        for step in 1..=steps {
            let more = ascent.step(
                self.network,
                &mut self.placer,
                &self.orders,
                best[Problem::MAX_PRIORITY as usize + 1] * SCALE,
            );
            if !more {
                break;
            }
            if step % 10 == 0 {
                best = self.rebuild(&ascent, best);
            }
        }
        (self.work, self.placer.looked) = (IMPROVE_WORK.max(50 * cells), 0);
        let orders = self.orders.clone();
        self.improve(&orders);
        extern crate std; std::println!("work looked {} of {}, cells {cells} score {:?}", self.placer.looked, IMPROVE_WORK.max(50*cells), self.score());
        self.placer.looked=0;
        self.shake(&ascent);
        std::println!("work steps {steps} shake looked {}", self.placer.looked);
        // The optimum is a whole number.
        -(-ascent.bound).div_euclid(SCALE)
    }

    /// What a look at an order costs.
    fn cells(&self, o: usize) -> i64 {
        (self.network.lines(o).len() as i64 + 1) * (self.network.lanes(o).len() as i64 + 1)
    }

    fn score(&self) -> Score {
        self.orders.iter().fold(Score::default(), |sum, &o| add(sum, self.score_of(o, &self.plans[o])))
    }

    fn score_of(&self, o: usize, takes: &[Take]) -> Score {
        let cost = self.network.cost(o, takes);
        let mut score = Score::default();
        score[usize::from(self.network.order(o).priority)] = cost.shortfall.0;
        score[Problem::MAX_PRIORITY as usize + 1] = cost.total().0;
        score
    }

    /// Gives an order without a plan the best that is left.
    fn place(&mut self, o: usize) {
        self.placer.place(self.network, &self.left, o, EFFORT, &mut self.plans[o]);
        self.left.take(&self.plans[o]);
    }

    /// Builds another plan at the ascent's prices, and keeps the better.
    fn rebuild(&mut self, ascent: &Ascent, best: Score) -> Score {
        let old = self.plans.clone();
        let left = self.left.clone();
        self.left = Market::new(self.network);
        self.left.price.clone_from(&ascent.market.price);
        self.left.node_price.clone_from(&ascent.market.node_price);
        for at in 0..self.orders.len() {
            self.place(self.orders[at]);
        }
        let found = self.score();
        if found < best {
            self.left.price.fill(0);
            self.left.node_price.fill(0);
            return found;
        }
        (self.plans, self.left) = (old, left);
        best
    }

    /// Moves these orders in chains until no chain helps or the work is done.
    fn improve(&mut self, orders: &[usize]) {
        let mut idle = 0;
        for &o in orders.iter().cycle() {
            if self.placer.looked > self.work || idle == orders.len() {
                return;
            }
            let old = core::mem::take(&mut self.plans[o]);
            self.left.give(&old);
            let score = self.score_of(o, &old);
            if self.chain(o, negative(score), CHAIN) {
                idle = 0;
            } else {
                self.left.take(&old);
                self.plans[o] = old;
                idle += 1;
            }
        }
    }

    /// Takes an order and those in its way out, puts them back at the prices of what is scarce, improves them, and keeps what is
    /// no worse; again and again, from one order after another.
    fn shake(&mut self, ascent: &Ascent) {
        let mut best = self.score();
        let mut turn = 0;
        let least = -(-ascent.bound).div_euclid(SCALE);
        while self.placer.looked < self.work && turn < 12 * self.orders.len() && best[Problem::MAX_PRIORITY as usize + 1] > least {
            let seed = self.orders[turn % self.orders.len()];
            let round = turn / self.orders.len();
            turn += 1;
            self.placer.looked += 10 * self.orders.len() as i64;
            let mut ideal = Vec::new();
            self.placer.place(self.network, &self.all, seed, EFFORT, &mut ideal);
            if ideal == self.plans[seed] {
                continue;
            }
            let (plans, left) = (self.plans.clone(), self.left.clone());
            let old = core::mem::take(&mut self.plans[seed]);
            self.left.give(&old);
            let mut group = self.victims(seed, &ideal);
            for at in 0..group.len() {
                if group.len() > 8 + 4 * round { break; }
                let o = group[at];
                                self.placer.place(self.network, &self.all, o, EFFORT, &mut ideal);
                for v in self.victims(o, &ideal) { if v != seed && !group.contains(&v) { group.push(v); } }
            }
            group.truncate(6 + 4 * round);
            for &o in &group {
                let old = core::mem::take(&mut self.plans[o]);
                self.left.give(&old);
            }
            group.push(seed);
            if round % 2 == 1 { group.reverse(); }
            self.left.price.clone_from(&ascent.prices.0);
            self.left.node_price.clone_from(&ascent.prices.1);
            for &o in &group {
                self.place(o);
            }
            self.left.price.fill(0);
            self.left.node_price.fill(0);
            self.improve(&group);
            let found = self.score();
            if found <= best {
                if found<best {extern crate std; std::println!("turn {turn} {:?} group {}", found, group.len());}
                best = found;
            } else {
                (self.plans, self.left) = (plans, left);
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
            let mut offer = |other: usize, has: bool| {
                if has && other != o && some < VICTIMS && !found.contains(&other) {
                    found.push(other);
                    some += 1;
                }
            };
            if self.left.stock[take.stock as usize] < take.units {
                for &(_, other) in self.network.wanting(self.network.stock[take.stock as usize].sku) {
                    offer(other as usize, self.plans[other as usize].iter().any(|has| has.stock == take.stock));
                }
            }
            let first = n == 0 || ideal[n - 1].node != take.node;
            if self.left.units[node] < take.units || (first && self.left.shipments[node] == 0) {
                for &other in &self.orders {
                    offer(other, self.plans[other].iter().any(|has| has.node == take.node));
                }
            }
        }
        found
    }
}

/// Work for the prices, in cells.
const STEPS_WORK: i64 = 200_000_000;
/// Work for the improvement, in cells.
const IMPROVE_WORK: i64 = 20_000_000;

fn add(a: Score, b: Score) -> Score {
    let mut sum = a;
    sum.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
    sum
}

fn negative(score: Score) -> Score {
    score.map(|part| -part)
}
