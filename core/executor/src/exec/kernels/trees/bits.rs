//! Small trees by bit vectors ("QuickScorer", Lucchese et al., SIGIR 2015; "V-QuickScorer", 2016).
//!
//! Each tree has a bit for every leaf, from the side of the tests that hold. A test that fails
//! clears the leaves that it rules out; when all have been made, the first leaf that is left is the
//! one that the row reaches. So tests can be made in any order: feature by feature, along ascending
//! thresholds, until no row of the group fails any more.

use super::{Ballot, Rows, Tree, take};
use crate::{
    error::Result,
    exec::simd::{F32x4, I32x4, LANES},
    plan::{TREE_GROUP, TREE_WORDS},
};

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
    let block = Block { lists, tests, trees, words: words.min(TREE_WORDS) };
    let first = block.score::<16, 4>(0, x, ballot, out);
    let first = block.score::<8, 2>(first, x, ballot, out);
    block.score::<4, 1>(first, x, ballot, out);
    Ok(())
}

/// One block.
struct Block<'a> {
    lists: &'a [[u32; 2]],
    tests: Tests<'a>,
    trees: &'a [Tree],
    /// Of its bit vectors.
    words: usize,
}

/// A word of the bit vectors of `V` times [`LANES`] rows.
type Word<const V: usize> = [I32x4; V];

impl Block<'_> {
    /// Scores the rows from `first` on, `R = V * LANES` at a time, while half of them are rows or
    /// nothing smaller is left; says where it ends.
    #[inline(never)]
    fn score<const R: usize, const V: usize>(
        &self,
        mut first: usize,
        x: &Rows<'_>,
        ballot: &Ballot<'_>,
        out: &mut [f32],
    ) -> usize {
        let mut vectors = [[ALL; V]; TREE_WORDS];
        while first < x.count && (V == 1 || x.count - first > R / 2) {
            vectors[..self.words].fill([ALL; V]);
            self.clear(&x.group::<R>(first), &mut vectors);
            self.cast::<R, V>(&vectors, ballot, &mut out[first * ballot.targets..]);
            first += R;
        }
        first
    }

    /// Clears the leaves that each row does not reach.
    ///
    /// A function of its own, so that its loop has the registers for itself.
    #[inline(never)]
    fn clear<const R: usize, const V: usize>(&self, rows: &[&[f32]; R], vectors: &mut [Word<V>; TREE_WORDS]) {
        let tests = &self.tests;
        let mut start = 0;
        for [test, groups] in self.lists {
            let feature = (test >> 1) as usize;
            let sign = F32x4::splat(f32::from_bits(test << 31));
            let x: [F32x4; V] = core::array::from_fn(|v| {
                let x = core::array::from_fn::<_, LANES, _>(|lane| rows[v * LANES + lane][feature]);
                F32x4::load(&x).flipped(sign)
            });
            // NaN fails every test.
            let most = x.iter().copied().reduce(F32x4::max).unwrap_or(F32x4::ZERO);
            let most = most.fold(|most, x| if most.is_nan() || x <= most { most } else { x });
            let range = start..start + *groups as usize;
            start = range.end;
            let groups =
                tests.thresholds[range.clone()].iter().zip(&tests.keeps[range.clone()]).zip(&tests.words[range]);
            for ((thresholds, keeps), words) in groups {
                if most <= thresholds[0] {
                    break;
                }
                for n in 0..TREE_GROUP {
                    let (threshold, keep) = (F32x4::splat(thresholds[n]), I32x4::splat(keeps[n].cast_signed()));
                    for (word, x) in vectors[words[n] as usize % TREE_WORDS].iter_mut().zip(x) {
                        *word = *word & (x.not_above(threshold) | keep);
                    }
                }
            }
        }
    }

    /// Casts the votes of the first leaf that is left of each tree.
    #[inline(never)]
    fn cast<const R: usize, const V: usize>(
        &self,
        vectors: &[Word<V>; TREE_WORDS],
        ballot: &Ballot<'_>,
        scores: &mut [f32],
    ) {
        let mut at = 0;
        for tree in self.trees {
            let low: [u32; R] = bits(&vectors[at % TREE_WORDS]);
            let leaves = if tree[1] == 1 {
                low.map(u32::trailing_zeros)
            } else {
                let high: [u32; R] = bits(&vectors[(at + 1) % TREE_WORDS]);
                core::array::from_fn(|n| (u64::from(low[n]) | u64::from(high[n]) << 32).trailing_zeros())
            };
            ballot.cast(tree, leaves, scores);
            at += tree[1] as usize;
        }
    }
}

/// All leaves.
const ALL: I32x4 = I32x4::splat(-1);

/// A word of each row.
#[inline(always)]
fn bits<const R: usize, const V: usize>(word: &Word<V>) -> [u32; R] {
    let word = word.map(I32x4::to_array);
    core::array::from_fn(|n| word[n / LANES][n % LANES].cast_unsigned())
}
