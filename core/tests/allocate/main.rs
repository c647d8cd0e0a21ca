//! Allocation beside the optimum, and what must hold of every plan.

mod always;
mod check;
mod instances;
mod speed;

use check::{check, cost};
use instances::{Instance, instances};
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

#[test]
fn most_of_the_gap_between_greedy_and_the_optimum_is_closed() {
    let all: Vec<(Instance, Allocation)> = instances()
        .into_iter()
        .map(|instance| {
            let plan = allocate(&instance.problem).expect("a problem that is sound");
            (instance, plan)
        })
        .collect();
    println!("level   instances  greedy  one by one    ours   bound  optimum  gap closed  bound gap  optimal");
    println!("                   cost above what no plan avoids, in currency; bound gap: median");
    let (mut over, mut best_over) = (0, 0);
    for level in ["ample", "tight", "scarce"] {
        let (mut sums, mut gaps, mut optimal) = ([0; 5], Vec::new(), 0);
        let level_instances: Vec<_> = all.iter().filter(|(instance, _)| instance.level == level).collect();
        for (instance, plan) in &level_instances {
            let Instance { name, problem, optimum, greedy, .. } = instance;
            for answer in [optimum, greedy] {
                assert_eq!(cost(problem, &answer.plan), Ok(i128::from(answer.total)), "{name}, recorded");
            }
            assert_eq!(check(problem, plan), Ok(()), "{name}");
            assert!(
                plan.bound.0 <= optimum.total,
                "{name}: bound {} above the optimum {}",
                plan.bound.0,
                optimum.total
            );
            assert!(plan.total.0 >= optimum.total, "{name}: {} below the optimum {}", plan.total.0, optimum.total);
            let base = unavoidable(problem);
            let found = [greedy.total, one_by_one(problem), plan.total.0, plan.bound.0, optimum.total];
            if std::env::var_os("EACH").is_some() {
                println!("{name}: {found:?} over {base}");
            }
            sums.iter_mut().zip(found).for_each(|(sum, total)| *sum += total - base);
            gaps.push((plan.total.0 - plan.bound.0) as f64 / plan.total.0 as f64);
            optimal += usize::from(plan.total.0 == optimum.total);
        }
        let [greedy, turn, ours, bound, optimum] = sums.map(|sum| sum as f64 / 100.0);
        let closed = (greedy - ours) / (greedy - optimum);
        println!(
            "{level:8}{:9}{greedy:8.0}{turn:12.0}{ours:8.0}{bound:8.0}{optimum:9.0}{:11.1}%{:10.2}%{optimal:9}",
            level_instances.len(),
            100.0 * closed,
            100.0 * median(gaps.clone()),
        );
        assert!(closed >= 0.8, "{level}: only {closed:.3} of the gap is closed");
        assert!(median(gaps) <= 0.02, "{level}: the bound is too far");
        over += sums[2] - sums[4];
        best_over += sums[0] - sums[4];
    }
    let closed = 1.0 - f64::from(over as i32) / f64::from(best_over as i32);
    println!("all: {:.1}% of the gap closed", 100.0 * closed);
}
