//! Sorting: one function for all that is sorted, and one for the best of what is scored, so that the
//! module has the code of one sort and one heap.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::{cmp::Ordering, iter};

/// The places `0..len` in ascending order of what is there; of equals, the first comes first.
pub(crate) fn ascending(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|&a, &b| compare(a, b));
    places
}

/// The numbers of what is scored from the greatest score on; of equals, the least number comes first.
///
/// Only what is asked for is sorted.
pub(crate) fn greatest(scored: impl Iterator<Item = (f32, u32)>) -> impl Iterator<Item = u32> {
    let keys = scored.map(|(score, number)| {
        let bits = score.to_bits();
        // The order of `f32::total_cmp`, as an integer's.
        let rank = if score.is_sign_negative() { !bits } else { bits | 1 << 31 };
        u64::from(rank) << 32 | u64::from(!number)
    });
    let mut heap = BinaryHeap::from(keys.collect::<Vec<u64>>());
    iter::from_fn(move || heap.pop()).map(|key| !(key as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_of_equals_the_least_number() {
        let scores = [1.5, -0.0, f32::NEG_INFINITY, 2.0, 0.0, 1.5, -3.0, f32::INFINITY, -f32::NAN, f32::NAN];
        let numbered = || scores.iter().copied().zip(0..);
        let sorted = ascending(scores.len(), &|a, b| scores[b].total_cmp(&scores[a]));
        assert!(greatest(numbered()).map(|n| n as usize).eq(sorted));
        assert!(greatest(numbered()).take(3).eq([9, 7, 3]));
        assert_eq!(greatest(iter::empty()).next(), None);
    }
}
