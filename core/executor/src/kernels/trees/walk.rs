//! Trees by walking, eight walks at once: the steps of one walk wait for memory and for each other, and the other seven
//! use that time.

use super::{Ballot, Block, Rows};
use crate::plan::{TREE_COLUMNS, TreeBlock};

/// Walks run at once.
const WAYS: usize = 8;

/// Steps between checks whether all walks have arrived.
const UNASKED: u32 = 8;

/// Maximum columns of a block with a small buffer.
const FEW: usize = 256;

/// Scores the rows with one block, starting at `first`.
pub fn run(block: &Block<'_>, first: usize, x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) {
    if x.count - first >= WAYS {
        many(block, first, x, ballot, out);
    } else if block.columns.len() <= FEW {
        few::<FEW>(block, first, x, ballot, out);
    } else {
        few::<TREE_COLUMNS>(block, first, x, ballot, out);
    }
}

/// Walks one tree for eight rows.
#[inline(never)]
fn many(block: &Block<'_>, first: usize, x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) {
    let mut room = [[0.0; WAYS]; TREE_COLUMNS];
    let columns = block.columns.len().max(1);
    let tile = (room.len() / columns).max(1) * WAYS;
    for first in (first..x.count).step_by(tile) {
        let starts = (first..x.count.min(first + tile)).step_by(WAYS);
        for (lanes, start) in room.chunks_exact_mut(columns).zip(starts.clone()) {
            for (lanes, column) in lanes.iter_mut().zip(block.columns) {
                *lanes = x.lanes(start, column);
            }
        }
        for tree in block.trees {
            for (lanes, start) in room.chunks_exact(columns).zip(starts.clone()) {
                let leaves = walk(block.slots, [tree[0]; WAYS], tree[1], lanes);
                ballot.cast(tree, leaves, &mut out[start * ballot.targets..]);
            }
        }
    }
}

/// Walks eight trees for one row; `ROOM` is at least the number of columns.
#[inline(never)]
fn few<const ROOM: usize>(block: &Block<'_>, first: usize, x: &Rows<'_>, ballot: &Ballot<'_>, out: &mut [f32]) {
    let mut room = [[0.0; WAYS]; ROOM];
    for row in first..x.count {
        for (lanes, column) in room.iter_mut().zip(block.columns) {
            let [x] = x.lanes(row, column);
            *lanes = [x; WAYS];
        }
        let scores = &mut out[row * ballot.targets..(row + 1) * ballot.targets];
        for trees in block.trees.chunks(WAYS) {
            let roots = core::array::from_fn(|n| trees[n.min(trees.len() - 1)][0]);
            let depth = trees.iter().map(|tree| tree[1]).max().unwrap_or(0);
            for (tree, leaf) in trees.iter().zip(walk(block.slots, roots, depth, &room)) {
                ballot.cast(tree, [leaf], scores);
            }
        }
    }
}

/// Leaves that `depth` steps from `roots` reach; each walk has one lane of the columns.
#[inline(never)]
fn walk(slots: &[[u32; 2]], roots: [u32; WAYS], depth: u32, columns: &[[f32; WAYS]]) -> [u32; WAYS] {
    let mut at = roots;
    for _ in 0..depth.min(UNASKED) {
        step(slots, columns, &mut at);
    }
    for _ in UNASKED..depth {
        if !step(slots, columns, &mut at) {
            break;
        }
    }
    at.map(|at| slots[at as usize][0] & TreeBlock::LEAF_NUMBER)
}

/// Takes one step of each walk; returns whether any has moved.
#[inline(always)]
fn step(slots: &[[u32; 2]], columns: &[[f32; WAYS]], at: &mut [u32; WAYS]) -> bool {
    const CHILDREN: u32 = (1 << TreeBlock::CHILD_BITS) - 1;
    let mut moved = 0;
    for (way, at) in at.iter_mut().enumerate() {
        let [threshold, test] = slots[*at as usize];
        let holds = columns[(test >> TreeBlock::CHILD_BITS) as usize][way] <= f32::from_bits(threshold);
        let next = (test & CHILDREN) + 1 - u32::from(holds);
        moved |= next ^ *at;
        *at = next;
    }
    moved > 0
}
