//! Small trees by bit vectors ("QuickScorer", Lucchese et al., SIGIR 2015), with the rows' bytes adjacent
//! ("RapidScorer", Ye et al., KDD 2018).
//!
//! Each tree has one bit for every leaf, those of tests that hold first. A failed test clears the leaves that it
//! excludes; after all tests, the first remaining leaf is the one that the row reaches. So tests can run in any order:
//! column by column, along ascending thresholds, until no row of the group fails any more. A row is first ranked among
//! all thresholds of a column by bisection; then a test is a byte comparison, sixteen at once.

use super::{Ballot, Block, Rows, Tree};
use crate::{
    exec::simd::{BYTES, I8x16},
    plan::{TREE_BYTES, TREE_GROUP},
};

/// Rows per group.
const ROWS: usize = 32;

/// Rows ranked together.
const RANKED: usize = 8;

/// One byte of the bit vectors of a group's rows, or their ranks.
type Lanes = [I8x16; ROWS / BYTES];

/// Scores rows with one block, starting at the first, while at least half a group remains; returns where it stopped.
pub fn run(block: &Block<'_>, x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) -> usize {
    if block.bytes == 0 || x.count <= ROWS / 2 { 0 } else { groups(block, x, ballot, out) }
}

#[inline(never)]
fn groups(block: &Block<'_>, x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) -> usize {
    let mut first = 0;
    let mut vectors = [[I8x16::splat(-1); ROWS / BYTES]; TREE_BYTES];
    while x.count.saturating_sub(first) > ROWS / 2 {
        if first > 0 {
            vectors[..block.bytes.min(TREE_BYTES)].fill([I8x16::splat(-1); ROWS / BYTES]);
        }
        let (mut thresholds, mut tests) = (block.thresholds, block.tests);
        for column in block.columns {
            let [_, count, groups] = column.map(|number| number as usize);
            let own = thresholds.split_off(..count).unwrap_or_default();
            let mut ranks = [0; ROWS];
            for (n, ranks) in ranks.as_chunks_mut::<RANKED>().0.iter_mut().enumerate() {
                *ranks = ranked(own, &x.lanes(first + n * RANKED, column));
            }
            clear(tests.split_off(..groups).unwrap_or_default(), &ranks, &mut vectors);
        }
        cast(block.trees, &vectors, ballot, &mut out[first * ballot.targets..]);
        first += ROWS;
    }
    first.min(x.count)
}

/// Number of the ascending thresholds that each of `x` fails, minus 128.
#[inline(never)]
fn ranked(thresholds: &[f32], x: &[f32; RANKED]) -> [i8; RANKED] {
    let mut failed = [0; RANKED];
    let mut open = thresholds.len();
    while open > 0 {
        let half = open.div_ceil(2);
        for (failed, x) in failed.iter_mut().zip(x) {
            let holds = *x <= thresholds[*failed + half - 1];
            // No branch, because half of the predictions would be wrong.
            *failed += half & usize::from(holds).wrapping_sub(1);
        }
        open -= half;
    }
    failed.map(|failed| (failed as u8 ^ 0x80).cast_signed())
}

/// Clears the leaves that rows of these ranks do not reach.
///
/// A separate function, so that its loop has all registers.
#[inline(never)]
fn clear(tests: &[[u32; TREE_GROUP]], ranks: &[i8; ROWS], vectors: &mut [Lanes; TREE_BYTES]) {
    let most = ranks.iter().copied().max().unwrap_or(0);
    let (ranks, _) = ranks.as_chunks();
    let ranks: Lanes = core::array::from_fn(|n| I8x16::load(&ranks[n]));
    for tests in tests {
        if most < limit(tests[0]) {
            break;
        }
        for test in tests {
            let (limit, kept) = (I8x16::splat(limit(*test)), I8x16::splat(*test as i8));
            for (lanes, ranks) in vectors[(test >> 16) as usize % TREE_BYTES].iter_mut().zip(ranks) {
                *lanes = *lanes & (ranks.less(limit) | kept);
            }
        }
    }
}

const fn limit(test: u32) -> i8 {
    (test >> 8) as i8
}

/// Adds the votes of each tree's first remaining leaf.
#[inline(never)]
fn cast(trees: &[Tree], vectors: &[Lanes; TREE_BYTES], ballot: &Ballot<'_>, out: &mut [f32]) {
    let mut at = 0;
    for tree in trees {
        let bytes = tree[2] as usize;
        for (half, out) in out.chunks_mut(BYTES * ballot.targets).take(ROWS / BYTES).enumerate() {
            // The first byte that is not 0, and the number of leaves before it.
            let (mut byte, mut before) = (I8x16::splat(0), I8x16::splat(0));
            for n in (0..bytes).rev() {
                let own = vectors[(at + n) % TREE_BYTES][half];
                let is_clear = own.equal(I8x16::splat(0));
                byte = is_clear.select(byte, own);
                before = is_clear.select(before, I8x16::splat(8 * n as i8));
            }
            // The zeros below its lowest bit are the ones of `(byte − 1) & !byte`.
            let below = byte.minus(I8x16::splat(1)).without(byte).ones();
            let leaves = before.plus(below).to_array();
            ballot.cast(tree, leaves.map(|leaf| u32::from(leaf.cast_unsigned())), out);
        }
        at += bytes;
    }
}
