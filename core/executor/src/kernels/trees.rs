//! Tree ensembles: small trees by bit vectors for many rows, all others by walking.
//!
//! Both methods add the values of leaves in the order of the trees, row by row: a result depends neither on the method
//! nor on other rows.

mod bits;
mod walk;

use super::{Inputs, Operation, Output};
use crate::{
    bounded,
    error::Result,
    exec::{
        arena::outside,
        validate::{Checked, ensure, invalid, product},
    },
    plan::{Access, DType, Dim, Size},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// Tree ensemble over the rows of `T0`, F32 `[rows, features]`; output F32 `[rows, targets]`.
///
/// A test of a tree is `x <= threshold`, where `x` is a feature, or a feature with its sign flipped. NaN on either side
/// fails. Every mode of ONNX, with either branch for missing values, can be expressed in this form.
///
/// The other inputs are weights. Consecutive blocks use consecutive parts of them; [`TreeBlock`] explains the
/// structure:
/// - `T1` I32 `[trees, 6]`: root; maximum number of tests on a path; bytes of the bit vector; start of the first leaf's
///   votes in `T6`; target of a leaf's first vote, followed by the next targets; votes per leaf, stored in `T6` leaf by
///   leaf;
/// - `T2` I32 `[columns, 3]`: `feature << 1 | flipped`, number of thresholds and of groups of tests;
/// - `T3` F32 `[thresholds]`;
/// - `T4` I32 `[groups, TREE_GROUP]`: tests;
/// - `T5` I32 `[slots, 2]`: nodes;
/// - `T6` F32 `[votes]`: weights of votes;
/// - `T7` F32 `[targets]`: base values, added last.
///
/// Votes are aggregated in the order of the trees. `Min` and `Max` ignore votes of NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    /// Rows of `T0`.
    pub rows: Dim,
    /// Columns of `T0`.
    pub features: u32,
    /// Columns of the output.
    pub targets: u32,
    /// Aggregation of the votes for a target.
    pub aggregate: Aggregate,
    /// The trees, in blocks that share columns.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub blocks: Vec<TreeBlock>,
}

/// Aggregation of the votes of all trees for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    /// Sum.
    Sum,
    /// Sum divided by the number of trees.
    Average,
    /// Minimum; 0 without votes.
    Min,
    /// Maximum; 0 without votes.
    Max,
}

/// Consecutive trees of [`Trees`].
///
/// Their tests use columns: a column is a feature, or a feature with its sign flipped.
///
/// All are stored as nodes to walk, one slot each. A slot contains the bits of the threshold, and
/// `column << CHILD_BITS | child`: the next slot is `child` if the test holds, and `child + 1` if it fails. A leaf's
/// threshold is a NaN, [`TreeBlock::LEAF`] with the leaf's number in [`TreeBlock::LEAF_NUMBER`], and its child is the
/// slot before it, so that a row stays at its leaf.
///
/// Small trees are also stored for many rows, as tests in any order. A tree has one bit for each leaf, in up to eight
/// bytes: leaves of "holds" come before those of "fails". A failed test clears the leaves of "holds"; the first
/// remaining leaf is the result. The thresholds of a column ascend, with NaN first; a feature is compared by its rank,
/// the number of thresholds that it fails. A test is `byte << 16 | limit << 8 | kept`: it fails if the rank is above
/// the number of its threshold, which is `limit + 127`, a signed byte; then it clears in that byte of the block's bit
/// vectors all bits outside `kept`. Limits ascend along a column. A test that covers several bytes is stored as
/// several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeBlock {
    /// Number of trees.
    pub trees: u32,
    /// Number of columns of their tests; at most [`TREE_COLUMNS`].
    pub columns: u32,
    /// Number of slots of their nodes.
    pub slots: u32,
    /// Steps of a row that walks through all of them: the sum of their depths.
    pub steps: u32,
    /// Bytes of their bit vectors, at most [`TREE_BYTES`]; 0 if all rows are walked.
    pub bytes: u32,
}

impl TreeBlock {
    /// Bits of a slot's child.
    pub const CHILD_BITS: u32 = 20;
    /// The threshold of leaf 0 in a slot.
    pub const LEAF: u32 = 0xffc0_0000;
    /// Bits of a leaf's number.
    pub const LEAF_NUMBER: u32 = 0x003f_ffff;
}

/// Tests per group of [`Trees`].
pub const TREE_GROUP: usize = 4;

/// Maximum columns of one [`TreeBlock`].
pub const TREE_COLUMNS: usize = 4096;

/// Maximum total bytes of the bit vectors of one [`TreeBlock`].
pub const TREE_BYTES: usize = 4096;

/// Maximum thresholds of a column in a [`TreeBlock`] with bit vectors: a rank among them is one byte.
pub const TREE_THRESHOLDS: usize = 255;

impl Operation for Trees {
    const NAME: &'static str = "trees";

    const TABLES: bool = true;

    /// Checks that no index leaves its table and that the work is bounded, in one pass over the tables, because they
    /// are checked while a page waits. A table with wrong trees gives wrong scores, not a fault.
    #[inline(never)]
    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { features, targets, ref blocks, .. } = *self;
        let rows = self.rows.at(call.rows);
        call.arity(8)?;
        let typed = [(0, DType::F32), (1, DType::I32), (2, DType::I32), (3, DType::F32)]
            .iter()
            .chain(&[(4, DType::I32), (5, DType::I32), (6, DType::F32), (7, DType::F32)])
            .all(|&(n, dtype)| call.dtype(n) == Ok(dtype));
        ensure(typed && call.out == DType::F32, "a tree table of the wrong type")?;
        ensure(features > 0 && targets > 0, "trees without features or targets")?;
        call.holds(0, product(&[rows, features as usize])?)?;
        let whole = call.gives(product(&[rows, targets as usize])?)?;
        ensure(call.len(7)? == targets as usize, "base values for other targets")?;
        if !call.thorough {
            return Ok(whole);
        }

        let votes = call.len(6)? as u64;
        let (mut trees, mut columns) = (records::<6>(call, 1)?, records::<3>(call, 2)?);
        let (mut tests, mut slots) = (records::<TREE_GROUP>(call, 4)?, records::<2>(call, 5)?);
        let mut thresholds = call.len(3)? as u64;
        for block in blocks {
            let trees = part(&mut trees, u64::from(block.trees))?;
            let columns = part(&mut columns, u64::from(block.columns))?;
            let slots = part(&mut slots, u64::from(block.slots))?;
            let tests = part(&mut tests, columns.iter().map(|[.., groups]| u64::from(*groups)).sum())?;
            ensure(columns.len() <= TREE_COLUMNS, "a tree block of too many columns")?;
            for [test, count, _] in columns {
                ensure(test >> 1 < features, "a tree uses an unknown feature")?;
                let known = *count as usize <= TREE_THRESHOLDS && u64::from(*count) <= thresholds;
                ensure(known, "a column of more thresholds than there are")?;
                thresholds -= u64::from(*count);
            }
            let known = slots.iter().all(|[_, test]| {
                let (column, child) = (test >> TreeBlock::CHILD_BITS, test & ((1 << TreeBlock::CHILD_BITS) - 1));
                (column as usize) < columns.len().max(1) && (child as usize) < slots.len().saturating_sub(1)
            });
            ensure(known, "a tree node with an unknown column or child")?;
            let (mut bytes, mut steps) = (0, 0);
            for [root, depth, own, first, target, count] in trees {
                ensure(*root < block.slots, "a root that is no node")?;
                steps += u64::from(*depth);
                let within = u64::from(*target) + u64::from(*count) <= u64::from(targets);
                ensure(within && *count > 0, "a vote for no target")?;
                let of_block = if block.bytes > 0 { (1..=8).contains(own) } else { *own == 0 };
                ensure(of_block, "a bit vector of too many bytes, or none where others are")?;
                let last = u64::from(*first) + u64::from(*own) * 8 * u64::from(*count);
                ensure(last <= votes, "a tree of more leaves than votes")?;
                bytes += own;
            }
            ensure(steps == u64::from(block.steps), "trees of another depth than the plan says")?;
            let placed = bytes == block.bytes && bytes as usize <= TREE_BYTES;
            let placed = placed && tests.as_flattened().iter().all(|test| test >> 16 < bytes);
            ensure(placed, "a tree test outside its block")?;
        }
        let used = trees.is_empty() && columns.is_empty() && tests.is_empty() && slots.is_empty() && thresholds == 0;
        ensure(used, "tree tables with more than the blocks")?;
        Ok(whole)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        let walked = self.blocks.iter().fold(0, |sum: u32, block| sum.saturating_add(block.steps));
        size.volume(&[self.rows, Dim::fixed(walked.saturating_add(size.weight(4)))])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let [features, targets] = [self.features, self.targets].map(|extent| vec![Dim::fixed(extent)]);
        Some(Access::blocks(self.rows, features, 7, targets))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let Self { aggregate, ref blocks, .. } = *self;
        let (rows, features, targets) = (self.rows.at(inputs.rows), self.features as usize, self.targets as usize);
        let x = inputs.elements::<f32>(0)?.get(..rows * features).ok_or_else(outside)?;
        let x = Rows { x, features, count: rows };
        let out = out.elements::<f32>()?.get_mut(..rows * targets).ok_or_else(outside)?;
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

        // NaN means "no vote yet": it loses every comparison.
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
}

/// Rows of a weight with `N` columns.
fn records<'a, const N: usize>(call: &Checked<'a>, n: usize) -> Result<&'a [[u32; N]]> {
    let (records, rest) = call.table::<u32>(n)?.as_chunks();
    ensure(rest.is_empty(), "a tree table that is not whole")?;
    Ok(records)
}

/// Splits the first `count` elements off a table.
fn part<'a, T>(table: &mut &'a [T], count: u64) -> Result<&'a [T]> {
    let taken = usize::try_from(count).ok().and_then(|count| table.split_off(..count));
    taken.ok_or_else(|| invalid(&"a tree block larger than the tables"))
}

/// Row of the table of trees: root, maximum number of tests on a path, bytes of the bit vector, start of the first
/// leaf's votes, target of a leaf's first vote, and votes per leaf.
type Tree = [u32; 6];

/// One block (see [`TreeBlock`]), or all remaining ones.
struct Block<'a> {
    trees: &'a [Tree],
    columns: &'a [[u32; 3]],
    thresholds: &'a [f32],
    tests: &'a [[u32; TREE_GROUP]],
    slots: &'a [[u32; 2]],
    bytes: usize,
}

impl Block<'_> {
    /// Splits off the first block.
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

/// Matrix of features.
struct Rows<'a> {
    x: &'a [f32],
    features: usize,
    count: usize,
}

impl Rows<'_> {
    /// A column of `R` rows starting at `first`; the last row is repeated at the end.
    #[inline(always)]
    fn lanes<const R: usize>(&self, first: usize, [test, ..]: &[u32; 3]) -> [f32; R] {
        let column = (test >> 1) as usize;
        core::array::from_fn(|n| {
            let x = self.x[(first + n).min(self.count - 1) * self.features + column];
            f32::from_bits(x.to_bits() ^ test << 31)
        })
    }
}

/// Values of leaves, and their aggregation.
struct Ballot<'a> {
    votes: &'a [f32],
    aggregate: Aggregate,
    targets: usize,
}

impl Ballot<'_> {
    fn sums(&self) -> bool {
        matches!(self.aggregate, Aggregate::Sum | Aggregate::Average)
    }

    /// Adds the votes of one tree for consecutive rows, each of which has reached one of `leaves`; `scores` starts with
    /// the first of them. Leaves past the last row are ignored.
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

/// Splits the first `count` elements off a table.
fn take<'a, T>(table: &mut &'a [T], count: u32) -> Result<&'a [T]> {
    table.split_off(..count as usize).ok_or_else(outside)
}
