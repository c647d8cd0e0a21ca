//! How far plans are from the optimum.

use crate::check::{check, cost};
use crate::instances::{Instance, instances};
use tradewind_core::allocate::{Allocation, Capacity, Problem, allocate};

/// One order after another, each at its own optimum: what is left of a batch without looking ahead.
fn one_by_one(problem: &Problem) -> i64 {
    let mut left = problem.clone();
    let mut order: Vec<usize> = (0..problem.orders.len()).collect();
    order.sort_by_key(|&o| problem.orders[o].priority);
    let mut total = 0;
    for o in order {
        left.orders = vec![problem.orders[o].clone()];
        let plan = allocate(&left).expect("a problem that is sound");
        total += plan.total.0;
        for shipment in &plan.orders[0].shipments {
            let capacity = &mut left.nodes[shipment.node as usize].capacity;
            let units = shipment.lines.iter().map(|(_, units)| units).sum::<u32>();
            match capacity {
                Capacity::Unlimited => {}
                Capacity::Shipments(most) => *most -= 1,
                Capacity::Units(most) => *most -= units,
            }
            for &(line, units) in &shipment.lines {
                let sku = problem.orders[o].lines[line as usize].sku;
                let stock = left.stock.iter_mut().find(|stock| (stock.node, stock.sku) == (shipment.node, sku));
                stock.expect("it was taken from there").available -= units;
            }
        }
    }
    total
}

/// The sum of each line's cheapest option, with the cheapest shipment of each order: no plan avoids this.
fn unavoidable(problem: &Problem) -> i64 {
    let mut free = problem.clone();
    free.stock.iter_mut().for_each(|stock| stock.available = u32::MAX);
    free.nodes.iter_mut().for_each(|node| node.capacity = Capacity::Unlimited);
    problem
        .orders
        .iter()
        .map(|order| {
            free.orders = vec![order.clone()];
            allocate(&free).expect("a problem that is sound").bound.0
        })
        .sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a level's instances cost in all, above what no plan avoids.
#[derive(Default)]
struct Sums {
    greedy: i64,
    one_by_one: i64,
    ours: i64,
    bound: i64,
    optimum: i64,
    keeping: i64,
    gaps: Vec<f64>,
    optimal: usize,
}

impl Sums {
    fn add(&mut self, instance: &Instance, plan: &Allocation) {
        let Instance { name, problem, optimum, keeping, greedy, .. } = instance;
        for answer in [optimum, keeping, greedy] {
            assert_eq!(cost(problem, &answer.plan), Ok(i128::from(answer.total)), "{name}, recorded");
        }
        assert_eq!(check(problem, plan), Ok(()), "{name}");
        let (total, bound) = (plan.total.0, plan.bound.0);
        assert!(bound <= optimum.total, "{name}: bound {bound} above the optimum {}", optimum.total);
        assert!(total >= optimum.total, "{name}: {total} below the optimum {}", optimum.total);
        let base = unavoidable(problem);
        self.greedy += greedy.total - base;
        self.one_by_one += one_by_one(problem) - base;
        self.ours += total - base;
        self.bound += bound - base;
        self.optimum += optimum.total - base;
        self.keeping += keeping.total - base;
        self.gaps.push((total - bound) as f64 / total as f64);
        self.optimal += usize::from(total <= keeping.total);
    }

    /// The share of the gap between greedy and the optimum that is closed.
    fn closed(&self) -> f64 {
        (self.greedy - self.ours) as f64 / (self.greedy - self.optimum) as f64
    }

    fn print(&self, level: &str) {
        let [greedy, turn, ours, bound, optimum, keeping] =
            [self.greedy, self.one_by_one, self.ours, self.bound, self.optimum, self.keeping].map(|sum| sum / 100);
        let (closed, gap) = (100.0 * self.closed(), 100.0 * median(self.gaps.clone()));
        println!(
            "{level:8}{:4}{greedy:8}{turn:8}{ours:8}{bound:8}{optimum:9}{keeping:9}{closed:8.1}%{gap:8.2}%{:6}",
            self.gaps.len(),
            self.optimal,
        );
    }
}

/// The table: `cargo test --release -p tradewind-core --test allocate gap -- --nocapture`.
#[test]
fn most_of_the_gap_between_greedy_and_the_optimum_is_closed() {
    println!(
        "avoidable cost, in currency. in turn: each order at its best, one after another; keeping: the optimum that"
    );
    println!(
        "keeps priorities; closed: of greedy to optimum; gap: ours to bound, median; best: plans not above keeping"
    );
    println!("level      n  greedy in turn    ours   bound  optimum  keeping   closed      gap  best");
    let mut all = Sums::default();
    for level in ["ample", "tight", "scarce"] {
        let mut sums = Sums::default();
        for instance in instances().iter().filter(|instance| instance.level == level) {
            let plan = allocate(&instance.problem).expect("a problem that is sound");
            sums.add(instance, &plan);
            all.add(instance, &plan);
        }
        sums.print(level);
        assert!(sums.closed() >= 0.8, "{level}: only {:.3} of the gap is closed", sums.closed());
        assert!(median(sums.gaps) <= 0.02, "{level}: the bound is too far");
    }
    all.print("all");
}
