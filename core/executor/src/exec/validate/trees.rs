//! The tables of tree ensembles.
//!
//! What is checked is that no index leaves its table and that the work is bounded: in one pass over
//! the tables, as they are read when a page waits. A table of other trees than were meant gives other
//! scores, no fault.

use super::{Checked, ensure, invalid, product};
use crate::{
    error::Result,
    plan::{DType, TREE_BYTES, TREE_COLUMNS, TREE_GROUP, TREE_THRESHOLDS, TreeBlock},
};

impl Checked<'_> {
    #[inline(never)]
    pub(super) fn trees(&self, rows: usize, features: u32, targets: u32, blocks: &[TreeBlock]) -> Result<bool> {
        self.arity(8)?;
        let typed = [(0, DType::F32), (1, DType::I32), (2, DType::I32), (3, DType::F32)]
            .iter()
            .chain(&[(4, DType::I32), (5, DType::I32), (6, DType::F32), (7, DType::F32)])
            .all(|&(n, dtype)| self.dtype(n) == Ok(dtype));
        ensure(typed && self.output_dtype()? == DType::F32, "a tree table of the wrong type")?;
        ensure(features > 0 && targets > 0, "trees without features or targets")?;
        self.holds(0, product(&[rows, features as usize])?)?;
        let whole = self.gives(product(&[rows, targets as usize])?)?;
        ensure(self.len(7)? == targets as usize, "base values for other targets")?;
        if !self.thorough {
            return Ok(whole);
        }

        let votes = self.len(6)? as u64;
        let (mut trees, mut columns) = (self.records::<6>(1)?, self.records::<3>(2)?);
        let (mut tests, mut slots) = (self.records::<TREE_GROUP>(4)?, self.records::<2>(5)?);
        let mut thresholds = self.len(3)? as u64;
        for block in blocks {
            let trees = part(&mut trees, u64::from(block.trees))?;
            let columns = part(&mut columns, u64::from(block.columns))?;
            let slots = part(&mut slots, u64::from(block.slots))?;
            let tests = part(&mut tests, columns.iter().map(|[.., groups]| u64::from(*groups)).sum())?;
            ensure(columns.len() <= TREE_COLUMNS, "a tree block of too many columns")?;
            for [test, count, _] in columns {
                ensure(test >> 1 < features, "a tree looks at an unknown feature")?;
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

    /// The rows of a weight of `N` columns.
    fn records<const N: usize>(&self, n: usize) -> Result<&[[u32; N]]> {
        let (records, rest) = self.table::<u32>(n)?.as_chunks();
        ensure(rest.is_empty(), "a tree table that is not whole")?;
        Ok(records)
    }
}

/// Takes the first `count` elements off a table.
fn part<'a, T>(table: &mut &'a [T], count: u64) -> Result<&'a [T]> {
    let taken = usize::try_from(count).ok().and_then(|count| table.split_off(..count));
    taken.ok_or_else(|| invalid(&"a tree block larger than the tables"))
}
