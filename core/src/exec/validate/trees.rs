//! The tables of tree ensembles.
//!
//! What is checked is that no index leaves its table and that the work is bounded: in one pass over
//! the tables, as they are read when a page waits. A table of other trees than were meant gives other
//! scores, no fault.

use super::{Checked, LIMITS, ensure, invalid, limit, product};
use crate::{
    error::Result,
    plan::{DType, TREE_GROUP, TREE_WORDS, TreeBlock, TreeForm},
};

/// Leaves of one word of a bit vector.
const WORD: u64 = 32;

impl Checked<'_> {
    #[inline(never)]
    pub(super) fn trees(&self, rows: usize, features: u32, targets: u32, blocks: &[TreeBlock]) -> Result<bool> {
        self.arity(9)?;
        let typed = [(0, DType::F32), (1, DType::I32), (2, DType::I32), (3, DType::F32), (4, DType::I32)]
            .iter()
            .chain(&[(5, DType::U8), (6, DType::I32), (7, DType::F32), (8, DType::F32)])
            .all(|&(n, dtype)| self.dtype(n) == Ok(dtype));
        ensure(typed && self.output_dtype()? == DType::F32, "a tree table of the wrong type")?;
        ensure(features > 0 && targets > 0, "trees without features or targets")?;
        self.holds(0, product(&[rows, features as usize])?)?;
        let whole = self.gives(product(&[rows, targets as usize])?)?;
        if !self.thorough {
            return Ok(whole);
        }

        let votes = self.len(7)? as u64;
        let (mut trees, mut lists) = (self.records::<5>(1)?, self.records::<2>(2)?);
        let (mut words, mut slots) = (self.table::<u16>(5)?, self.records::<2>(6)?);
        let alike = self.len(3)? == words.len() && self.len(4)? == words.len() && words.len() % TREE_GROUP == 0;
        ensure(alike && self.len(8)? == targets as usize, "tree tables of different lengths")?;
        let mut walked = 0;
        for block in blocks {
            let trees = part(&mut trees, u64::from(block.trees))?;
            for [_, _, _, target, count] in trees {
                let within = u64::from(*target) + u64::from(*count) <= u64::from(targets);
                ensure(within && *count > 0, "a vote for no target")?;
            }
            match block.form {
                TreeForm::Bits { lists: count } => {
                    let lists = part(&mut lists, u64::from(count))?;
                    let known = lists.iter().all(|[test, _]| test >> 1 < features);
                    ensure(known, "a tree looks at an unknown feature")?;
                    let groups: u64 = lists.iter().map(|[_, groups]| u64::from(*groups)).sum();
                    let words = part(&mut words, groups.saturating_mul(TREE_GROUP as u64))?;
                    let mut all = 0;
                    for [_, words, first, _, count] in trees {
                        let last = u64::from(*first) + u64::from(*words) * WORD * u64::from(*count);
                        ensure((1..=2).contains(words) && last <= votes, "a tree of more leaves than votes")?;
                        all += *words as usize;
                    }
                    let placed = all <= TREE_WORDS && words.iter().all(|word| usize::from(*word) < all);
                    ensure(placed, "a tree test outside its block")?;
                }
                TreeForm::Slots { slots: count, child_bits } => {
                    let slots = part(&mut slots, u64::from(count))?;
                    ensure(child_bits < 32, "children of too many bits")?;
                    let children = (1u32 << child_bits) - 1;
                    let known = slots.iter().all(|[_, test]| {
                        let feature = (test & 0x7fff_ffff) >> child_bits;
                        feature < features && ((test & children) as usize) < slots.len().saturating_sub(1)
                    });
                    ensure(known, "a tree node with an unknown feature or child")?;
                    for [root, depth, ..] in trees {
                        ensure(*root < count, "a root that is no node")?;
                        walked += u64::from(*depth);
                    }
                }
            }
        }
        let used = trees.is_empty() && lists.is_empty() && words.is_empty() && slots.is_empty();
        ensure(used, "tree tables with more than the blocks")?;
        limit("nodes on a row's way", walked, LIMITS.tree_walk)?;
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
