//! Distance of plans from the optimum.

use tradewind_core::allocate::{Capacity, Problem, allocate};
use tradewind_tests::allocation::{Instance, Solved, instances};

/// Total cost if each order in turn gets its own optimum, without looking ahead.
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Total costs of some instances.
#[derive(Default)]
struct Sums {
    solved: Vec<Solved>,
    one_by_one: i64,
}

impl Sums {
    fn add(&mut self, instance: &Instance) {
        self.solved.push(instance.solve().expect("a plan that holds"));
        self.one_by_one += one_by_one(&instance.problem);
    }

    fn sum(&self, of: impl Fn(&Solved) -> i64) -> i64 {
        self.solved.iter().map(of).sum()
    }

    /// Share of the gap between greedy and the optimum that is closed.
    fn closed(&self) -> f64 {
        self.sum(|one| one.greedy - one.ours) as f64 / self.sum(|one| one.greedy - one.optimum) as f64
    }

    /// Median distance of our plans from our bound.
    fn gap(&self) -> f64 {
        median(self.solved.iter().map(|one| (one.ours - one.bound) as f64 / one.ours as f64).collect())
    }

    fn print(&self, level: &str) {
        let base = self.sum(|one| one.unavoidable);
        let avoidable = |cost: i64| (cost - base) / 100;
        let of = |cost: fn(&Solved) -> i64| avoidable(self.sum(cost));
        println!(
            "{level:8}{:4}{:8}{:8}{:8}{:8}{:9}{:9}{:8.1}%{:8.2}%{:6}",
            self.solved.len(),
            of(|one| one.greedy),
            avoidable(self.one_by_one),
            of(|one| one.ours),
            of(|one| one.bound),
            of(|one| one.optimum),
            of(|one| one.keeping),
            100.0 * self.closed(),
            100.0 * self.gap(),
            self.solved.iter().filter(|one| one.ours <= one.keeping).count(),
        );
    }
}

/// Prints the table: `cargo test --release --workspace --test allocate gap -- --nocapture`.
#[test]
fn most_of_the_gap_between_greedy_and_the_optimum_is_closed() {
    println!(
        "avoidable cost, in currency. in turn: each order at its best, one after another; keeping: the optimum that"
    );
    println!(
        "keeps priorities; closed: of greedy to optimum; gap: ours to bound, median; best: plans not above keeping"
    );
    for file in ["instances.jsonl", "held-out.jsonl"] {
        println!("{file}\nlevel      n  greedy in turn    ours   bound  optimum  keeping   closed      gap  best");
        let mut all = Sums::default();
        let instances = instances(file).expect("the instances are in the checkout");
        for level in ["ample", "tight", "scarce"] {
            let mut sums = Sums::default();
            for instance in instances.iter().filter(|instance| instance.level == level) {
                sums.add(instance);
            }
            sums.print(level);
            assert!(sums.closed() >= 0.8, "{level}: only {:.3} of the gap is closed", sums.closed());
            assert!(sums.gap() <= 0.02, "{level}: the bound is too far");
            all.one_by_one += sums.one_by_one;
            all.solved.extend(sums.solved);
        }
        all.print("all");
    }
}
