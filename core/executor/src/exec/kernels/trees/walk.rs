//! Large trees by walking them, eight ways at once: the steps of one way wait for memory and for
//! each other, those of eight ways fill the time.

use super::{Ballot, Rows, Tree};
use crate::plan::TreeForm;

/// Ways that are walked at once.
const WAYS: usize = 8;

/// The slots of one block; see [`TreeForm::Slots`].
pub struct Slots<'a> {
    pub slots: &'a [[u32; 2]],
    pub child_bits: u32,
}

/// Scores all rows with one block.
pub fn run(block: &Slots<'_>, trees: &[Tree], x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) {
    if x.count < WAYS {
        // Many trees for one row.
        for (row, scores) in out.chunks_exact_mut(ballot.targets).enumerate() {
            let starts = [row * x.features; WAYS];
            for trees in trees.chunks(WAYS) {
                let roots = core::array::from_fn(|n| trees[n.min(trees.len() - 1)][0]);
                let depth = trees.iter().map(|tree| tree[1]).max().unwrap_or(0);
                for (tree, leaf) in trees.iter().zip(block.walk(roots, depth, x.x, &starts)) {
                    ballot.cast(tree, [leaf], scores);
                }
            }
        }
    } else {
        // One tree for many rows, so that it stays in the nearest cache.
        for tree in trees {
            for first in (0..x.count).step_by(WAYS) {
                let starts = core::array::from_fn(|n| (first + n).min(x.count - 1) * x.features);
                let leaves = block.walk([tree[0]; WAYS], tree[1], x.x, &starts);
                ballot.cast(tree, leaves, &mut out[first * ballot.targets..]);
            }
        }
    }
}

impl Slots<'_> {
    /// The leaves that `depth` steps from `roots` lead to, by the rows of `x` that begin at `starts`.
    #[inline(never)]
    fn walk(&self, roots: [u32; WAYS], depth: u32, x: &[f32], starts: &[usize; WAYS]) -> [u32; WAYS] {
        let children = (1 << self.child_bits) - 1;
        let mut at = roots;
        for _ in 0..depth.div_ceil(2) {
            let mut moved = 0;
            for _ in 0..2 {
                moved = 0;
                for (at, start) in at.iter_mut().zip(starts) {
                    let [threshold, test] = self.slots[*at as usize];
                    let x = x[start + ((test & !SIGN) as usize >> self.child_bits)];
                    let holds = f32::from_bits(x.to_bits() ^ (test & SIGN)) <= f32::from_bits(threshold);
                    let next = (test & children) + u32::from(!holds);
                    moved |= next ^ *at;
                    *at = next;
                }
            }
            if moved == 0 {
                break;
            }
        }
        at.map(|at| self.slots[at as usize][0] & TreeForm::LEAF_NUMBER)
    }
}

/// The bit of a test that flips the sign of the feature.
const SIGN: u32 = 1 << 31;
