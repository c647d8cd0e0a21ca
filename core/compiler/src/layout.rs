//! Layout of buffers in the arena: buffers with disjoint lifetimes share bytes.

use std::collections::BTreeSet;
use tradewind_core::plan::{BufferId, DType, Dim, Operand, Step};

/// Alignment of every buffer.
const ALIGNMENT: u64 = 16;

/// Size of a buffer in bytes, and the first and last step that use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life {
    bytes: u64,
    first: usize,
    last: usize,
}

/// Offset of each buffer, and size of the arena in bytes, for `tile` rows.
///
/// Inputs live from before the first step, outputs until after the last. A step's output overlaps with its inputs in
/// time, so they never share bytes.
pub(crate) fn layout(
    buffers: &[(DType, Dim)],
    steps: &[Step],
    inputs: &BTreeSet<BufferId>,
    outputs: &BTreeSet<BufferId>,
    tile: u32,
) -> (Vec<u64>, u64) {
    // Step `n` runs at time `n + 1`; inputs exist at time 0.
    let mut lives: Vec<Option<Life>> = vec![None; buffers.len()];
    let mut touch = |BufferId(id): BufferId, at: usize| {
        let (dtype, len) = buffers[id as usize];
        let bytes = (len.at(tile as usize) as u64).saturating_mul(dtype.bytes() as u64);
        let life = lives[id as usize].get_or_insert(Life { bytes, first: at, last: at });
        life.last = at;
    };
    for id in inputs {
        touch(*id, 0);
    }
    for (n, step) in steps.iter().enumerate() {
        for input in &step.inputs {
            if let Operand::Buffer(id) = input {
                touch(*id, n + 1);
            }
        }
        touch(step.output, n + 1);
    }
    for id in outputs {
        touch(*id, steps.len() + 1);
    }
    let lives: Vec<Life> = lives.into_iter().map(|life| life.unwrap_or(Life { bytes: 0, first: 0, last: 0 })).collect();
    place(&lives)
}

/// Greedy by size: largest first, each in the smallest gap that fits.
fn place(lives: &[Life]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&n| (std::cmp::Reverse(lives[n].bytes), n));
    let mut offsets = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena = 0;
    for n in order {
        let bytes = lives[n].bytes.next_multiple_of(ALIGNMENT);
        let together = |&&m: &&usize| lives[m].first <= lives[n].last && lives[n].first <= lives[m].last;
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(together)
            .map(|&m| (offsets[m], offsets[m] + lives[m].bytes.next_multiple_of(ALIGNMENT)))
            .collect();
        taken.sort_unstable();
        let (mut best, mut end) = (None, 0);
        for (from, to) in taken {
            if from >= end + bytes && best.is_none_or(|(gap, _)| from - end < gap) {
                best = Some((from - end, end));
            }
            end = end.max(to);
        }
        offsets[n] = best.map_or(end, |(_, at)| at);
        arena = arena.max(offsets[n] + bytes);
        placed.push(n);
    }
    (offsets, arena)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lives() -> impl Strategy<Value = Vec<Life>> {
        let life = (0u64..5000, 0usize..40, 0usize..10);
        let life = life.prop_map(|(bytes, first, length)| Life { bytes, first, last: first + length });
        prop::collection::vec(life, 0..60)
    }

    proptest! {
        #[test]
        fn buffers_in_use_together_never_share_bytes(lives in lives()) {
            let (offsets, arena) = place(&lives);
            for (n, a) in lives.iter().enumerate() {
                prop_assert_eq!(offsets[n] % ALIGNMENT, 0);
                prop_assert!(offsets[n] + a.bytes <= arena);
                for (m, b) in lives.iter().enumerate().skip(n + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[n] + a.bytes <= offsets[m] || offsets[m] + b.bytes <= offsets[n];
                    prop_assert!(apart || !together || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
    }

    #[test]
    fn a_chain_of_layers_needs_two_buffers() {
        let chain: Vec<Life> = (0..10).map(|n| Life { bytes: 64, first: n, last: n + 1 }).collect();
        assert_eq!(place(&chain).1, 128);
    }
}
