//! Small trees by bit vectors ("QuickScorer", Lucchese et al., SIGIR 2015; "V-QuickScorer", 2016).
//!
//! Each tree has a bit for every leaf, from the side of the tests that hold. A test that fails
//! clears the leaves that it rules out; when all have been made, the first leaf that is left is the
//! one that the row reaches. So tests can be made in any order: feature by feature, along ascending
//! thresholds, until no row of the group fails any more.

use super::{Ballot, Rows, Tree, take};
use crate::{
    error::Result,
    plan::{TREE_GROUP, TREE_WORDS},
};
use wide::{f32x8, u32x8};

/// Rows that are scored at once.
const LANES: usize = 8;

/// The tests of the blocks to come, in groups.
pub struct Tests<'a> {
    pub thresholds: &'a [[f32; TREE_GROUP]],
    pub keeps: &'a [[u32; TREE_GROUP]],
    pub words: &'a [[u16; TREE_GROUP]],
}

impl<'a> Tests<'a> {
    fn take(&mut self, groups: u32) -> Result<Self> {
        Ok(Self {
            thresholds: take(&mut self.thresholds, groups)?,
            keeps: take(&mut self.keeps, groups)?,
            words: take(&mut self.words, groups)?,
        })
    }
}

/// Scores all rows with one block, whose tests it takes.
pub fn run(
    lists: &[[u32; 2]],
    tests: &mut Tests<'_>,
    trees: &[Tree],
    x: &Rows<'_>,
    ballot: &Ballot<'_>,
    out: &mut [f32],
) -> Result<()> {
    let groups = lists.iter().fold(0, |sum: u32, [_, groups]| sum.saturating_add(*groups));
    let tests = tests.take(groups)?;
    let words: usize = trees.iter().map(|tree| tree[1] as usize).sum();
    let mut vectors = [u32x8::MAX; TREE_WORDS];
    for first in (0..x.count).step_by(LANES) {
        vectors[..words.min(TREE_WORDS)].fill(u32x8::MAX);
        clear(lists, &tests, &x.group(first), &mut vectors);
        cast(trees, &vectors, ballot, &mut out[first * ballot.targets..]);
    }
    Ok(())
}

/// Clears the leaves that each row does not reach.
///
/// A function of its own, so that its loop has the registers for itself.
#[inline(never)]
fn clear(lists: &[[u32; 2]], tests: &Tests<'_>, rows: &[&[f32]; LANES], vectors: &mut [u32x8; TREE_WORDS]) {
    let mut start = 0;
    for [test, groups] in lists {
        let (feature, sign) = ((test >> 1) as usize, test << 31);
        let x = rows.map(|row| f32::from_bits(row[feature].to_bits() ^ sign));
        // NaN fails every test.
        let most = x.iter().fold(f32::NEG_INFINITY, |most, x| if most.is_nan() || *x <= most { most } else { *x });
        let x = f32x8::new(x);
        let range = start..start + *groups as usize;
        start = range.end;
        let groups = tests.thresholds[range.clone()].iter().zip(&tests.keeps[range.clone()]).zip(&tests.words[range]);
        for ((thresholds, keeps), words) in groups {
            if most <= thresholds[0] {
                break;
            }
            for n in 0..TREE_GROUP {
                let holds: u32x8 = bytemuck::cast(x.simd_le(f32x8::splat(thresholds[n])));
                vectors[words[n] as usize % TREE_WORDS] &= holds | u32x8::splat(keeps[n]);
            }
        }
    }
}

/// Casts the votes of the first leaf that is left of each tree.
#[inline(never)]
fn cast(trees: &[Tree], vectors: &[u32x8; TREE_WORDS], ballot: &Ballot<'_>, scores: &mut [f32]) {
    let mut word = 0;
    for tree in trees {
        let low = vectors[word % TREE_WORDS].to_array();
        let leaves = if tree[1] == 1 {
            low.map(u32::trailing_zeros)
        } else {
            let high = vectors[(word + 1) % TREE_WORDS].to_array();
            core::array::from_fn(|n| (u64::from(low[n]) | u64::from(high[n]) << 32).trailing_zeros())
        };
        ballot.cast(tree, leaves, scores);
        word += tree[1] as usize;
    }
}
