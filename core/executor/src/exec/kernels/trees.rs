//! Tree ensembles: small trees by bit vectors where there are many rows, all others by walking.
//!
//! However the leaves are found, their votes are cast in the order of the trees, row by row: a
//! result depends neither on the way to a leaf nor on the rows beside it.

mod bits;
mod walk;

use super::{Inputs, outside};
use crate::{
    error::Result,
    plan::{Aggregate, TREE_GROUP, TreeBlock},
};

/// Extents of one call.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub features: usize,
    pub targets: usize,
}

/// Scores every row; see [`Kernel::Trees`](crate::plan::Kernel::Trees).
#[inline(never)]
pub fn trees(
    shape: Shape,
    aggregate: Aggregate,
    blocks: &[TreeBlock],
    inputs: &Inputs<'_>,
    out: &mut [f32],
) -> Result<()> {
    let Shape { rows, features, targets } = shape;
    let x = inputs.elements::<f32>(0)?.get(..rows * features).ok_or_else(outside)?;
    let x = Rows { x, features, count: rows };
    let out = out.get_mut(..rows * targets).ok_or_else(outside)?;
    let mut tables = Block {
        trees: inputs.elements::<u32>(1)?.as_chunks().0,
        columns: inputs.elements::<u32>(2)?.as_chunks().0,
        thresholds: inputs.elements::<f32>(3)?,
        tests: inputs.elements::<u32>(4)?.as_chunks().0,
        slots: inputs.elements::<u32>(5)?.as_chunks().0,
        bytes: 0,
    };
    let count = tables.trees.len();
    let ballot = Ballot { votes: inputs.elements(6)?, aggregate, targets };
    let base: &[f32] = inputs.elements(7)?;

    // NaN stands for "no vote yet": it loses every comparison.
    out.fill(if ballot.sums() { 0.0 } else { f32::NAN });
    for block in blocks {
        let block = tables.take(block)?;
        let first = bits::run(&block, &x, &ballot, out);
        walk::run(&block, first, &x, &ballot, out);
    }
    if aggregate == Aggregate::Average {
        let count = count.max(1) as f32;
        out.iter_mut().for_each(|score| *score /= count);
    }
    for scores in out.chunks_exact_mut(targets) {
        for (score, base) in scores.iter_mut().zip(base) {
            *score = base + if score.is_nan() && !ballot.sums() { 0.0 } else { *score };
        }
    }
    Ok(())
}

/// A row of the table of trees: its root, the greatest number of tests on a way, the bytes of its bit
/// vector, where the votes of its first leaf start, the target of a leaf's first vote, and how many votes
/// a leaf has.
type Tree = [u32; 6];

/// One block; see [`TreeBlock`]. Or all that are still to come.
struct Block<'a> {
    trees: &'a [Tree],
    columns: &'a [[u32; 3]],
    thresholds: &'a [f32],
    tests: &'a [[u32; TREE_GROUP]],
    slots: &'a [[u32; 2]],
    bytes: usize,
}

impl Block<'_> {
    /// Takes the first block off.
    fn take(&mut self, block: &TreeBlock) -> Result<Self> {
        let columns = take(&mut self.columns, block.columns)?;
        let sum = |n: usize| columns.iter().fold(0, |sum: u32, column| sum.saturating_add(column[n]));
        Ok(Self {
            trees: take(&mut self.trees, block.trees)?,
            columns,
            thresholds: take(&mut self.thresholds, sum(1))?,
            tests: take(&mut self.tests, sum(2))?,
            slots: take(&mut self.slots, block.slots)?,
            bytes: block.bytes as usize,
        })
    }
}

/// The matrix of features.
struct Rows<'a> {
    x: &'a [f32],
    features: usize,
    count: usize,
}

impl Rows<'_> {
    /// A column of `R` rows from `first` on; of the last one again where there are no more.
    #[inline(always)]
    fn lanes<const R: usize>(&self, first: usize, [test, ..]: &[u32; 3]) -> [f32; R] {
        let column = (test >> 1) as usize;
        core::array::from_fn(|n| {
            let x = self.x[(first + n).min(self.count - 1) * self.features + column];
            f32::from_bits(x.to_bits() ^ test << 31)
        })
    }
}

/// What becomes of the leaves.
struct Ballot<'a> {
    votes: &'a [f32],
    aggregate: Aggregate,
    targets: usize,
}

impl Ballot<'_> {
    fn sums(&self) -> bool {
        matches!(self.aggregate, Aggregate::Sum | Aggregate::Average)
    }

    /// Casts the votes of one tree for consecutive rows, of which each has reached one of `leaves`;
    /// `scores` begins with the first of them. Leaves past the last row are left out.
    #[inline(always)]
    fn cast<const R: usize>(&self, tree: &Tree, leaves: [u32; R], scores: &mut [f32]) {
        let [_, _, _, first, target, count] = tree.map(|number| number as usize);
        let votes = self.votes.get(first..).unwrap_or_default();
        if count == 1 && self.sums() {
            let mut at = target;
            for leaf in leaves {
                if let (Some(score), Some(vote)) = (scores.get_mut(at), votes.get(leaf as usize)) {
                    *score += vote;
                }
                at += self.targets;
            }
        } else {
            self.cast_many(target, count, votes, &leaves, scores);
        }
    }

    #[inline(never)]
    fn cast_many(&self, target: usize, count: usize, votes: &[f32], leaves: &[u32], scores: &mut [f32]) {
        for (scores, leaf) in scores.chunks_exact_mut(self.targets).zip(leaves) {
            let votes = votes.get(*leaf as usize * count..).unwrap_or_default();
            for (score, vote) in scores[target..].iter_mut().zip(&votes[..count.min(votes.len())]) {
                let counts = match self.aggregate {
                    Aggregate::Sum | Aggregate::Average => {
                        *score += vote;
                        continue;
                    }
                    Aggregate::Min => vote < score,
                    Aggregate::Max => vote > score,
                };
                if counts || score.is_nan() {
                    *score = *vote;
                }
            }
        }
    }
}

/// Takes the first `count` elements off a table.
fn take<'a, T>(table: &mut &'a [T], count: u32) -> Result<&'a [T]> {
    table.split_off(..count as usize).ok_or_else(outside)
}
