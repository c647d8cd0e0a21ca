//! Tree ensembles.

use super::{Inputs, outside};
use crate::{error::Result, plan::Aggregate};

/// Extents of one call.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub features: usize,
    pub targets: usize,
}

/// Scores every row; see [`Kernel::Trees`](crate::plan::Kernel::Trees).
pub fn trees(shape: Shape, aggregate: Aggregate, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Shape { rows, features, targets } = shape;
    let x = inputs.elements::<f32>(0)?.get(..rows * features).ok_or_else(outside)?;
    let out = out.get_mut(..rows * targets).ok_or_else(outside)?;
    let forest = Forest {
        roots: inputs.elements(1)?,
        nodes: inputs.elements::<i32>(2)?.as_chunks().0,
        thresholds: inputs.elements(3)?,
        votes_start: inputs.elements(4)?,
        vote_target: inputs.elements(5)?,
        vote_weight: inputs.elements(6)?,
    };
    let base: &[f32] = inputs.elements(7)?;
    for (x, out) in x.chunks_exact(features).zip(out.chunks_exact_mut(targets)) {
        match aggregate {
            Aggregate::Sum | Aggregate::Average => {
                out.fill(0.0);
                forest.vote(x, |target, weight| out[target] += weight);
                if aggregate == Aggregate::Average {
                    let trees = forest.roots.len().max(1) as f32;
                    out.iter_mut().for_each(|score| *score /= trees);
                }
            }
            Aggregate::Min | Aggregate::Max => {
                // NaN stands for "no vote yet": it loses every comparison.
                out.fill(f32::NAN);
                forest.vote(x, |target, weight| {
                    let better = if aggregate == Aggregate::Min { weight < out[target] } else { weight > out[target] };
                    if better || out[target].is_nan() {
                        out[target] = weight;
                    }
                });
                out.iter_mut().filter(|score| score.is_nan()).for_each(|score| *score = 0.0);
            }
        }
        for (score, base) in out.iter_mut().zip(base) {
            *score += base;
        }
    }
    Ok(())
}

/// The weights of an ensemble.
struct Forest<'a> {
    roots: &'a [i32],
    nodes: &'a [[i32; 3]],
    thresholds: &'a [f32],
    votes_start: &'a [i32],
    vote_target: &'a [i32],
    vote_weight: &'a [f32],
}

impl Forest<'_> {
    /// Walks `x` down every tree, and hands each leaf's votes to `cast`.
    #[inline(always)]
    fn vote(&self, x: &[f32], mut cast: impl FnMut(usize, f32)) {
        for &root in self.roots {
            let leaf = self.leaf(root, x);
            let votes = self.votes_start[leaf] as usize..self.votes_start[leaf + 1] as usize;
            for (target, weight) in self.vote_target[votes.clone()].iter().zip(&self.vote_weight[votes]) {
                cast(*target as usize, *weight);
            }
        }
    }

    /// The leaf that `x` reaches from `child`.
    ///
    /// INVARIANT: `validate` has checked that children have greater numbers, so this ends.
    #[inline(always)]
    fn leaf(&self, mut child: i32, x: &[f32]) -> usize {
        while child >= 0 {
            let [test, on_true, on_false] = self.nodes[child as usize];
            let value = x[(test as u32 >> 4) as usize];
            let threshold = self.thresholds[child as usize];
            let holds = match test & 7 {
                0 => value <= threshold,
                1 => value < threshold,
                2 => value >= threshold,
                3 => value > threshold,
                4 => value == threshold,
                _ => value != threshold,
            };
            let missing = test & 8 != 0 && value.is_nan();
            child = if holds || missing { on_true } else { on_false };
        }
        !child as usize
    }
}
