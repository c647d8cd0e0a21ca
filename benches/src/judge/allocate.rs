//! Costs of plans compared with HiGHS's proven optimum and with greedy plans.

use crate::{metric, random::Random};
use anyhow::Result;
use tradewind_core::pack::Metric;
use tradewind_tests::allocation::{Instance, Solved, instances};

const FILE: &str = "held-out.jsonl";
const GREEDY: &str = "greedy, by distance";

/// Solves every instance, and returns the avoided share of avoidable cost.
pub fn judge() -> Result<Vec<Metric>> {
    let solved = instances(FILE)?.iter().map(Instance::solve).collect::<Result<Vec<Solved>>>()?;
    let split = format!("{} instances", solved.len());
    // Cost above the optimum, as a share of the optimum's avoidable cost.
    let above = |cost: fn(&Solved) -> i64| {
        move |solved: &[Solved]| {
            let over: i64 = solved.iter().map(|one| cost(one) - one.optimum).sum();
            let avoidable: i64 = solved.iter().map(|one| one.optimum - one.unavoidable).sum();
            over as f64 / avoidable as f64
        }
    };
    let (ours, greedy) = (above(|one| one.ours), above(|one| one.greedy));
    let closed = |solved: &[Solved]| 1.0 - ours(solved) / greedy(solved);
    let random = &mut Random(20_171_204);
    let difference = random.interval(&solved, |solved| ours(solved) - greedy(solved));
    let share = random.interval(&solved, closed);
    Ok(vec![
        metric("avoidable cost above the optimum's", &split, ours(&solved), GREEDY, greedy(&solved), difference),
        metric("greedy's gap to the optimum that is closed", &split, closed(&solved), GREEDY, 0.0, share),
    ])
}
