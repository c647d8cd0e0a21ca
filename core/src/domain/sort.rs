//! Sorting: one function for all sorts and one for the top k by score, so that the module contains the code of one sort
//! and one heap.

use alloc::{collections::BinaryHeap, vec::Vec};
use core::{cmp::Ordering, iter, mem};

/// Stable argsort: indices `0..len` in ascending order of their elements.
///
/// A bottom-up merge sort: the library's sort has four times as much code, and every page downloads it.
pub(crate) fn ascending(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let (mut places, mut merged): (Vec<usize>, _) = ((0..len).collect(), Vec::with_capacity(len));
    let mut run = 1;
    while run < len {
        for pair in places.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            // Input is often sorted already.
            let in_order = left.last().zip(right.first()).is_none_or(|(&a, &b)| compare(b, a).is_ge());
            while !in_order && let (&[a, ref after_a @ ..], &[b, ref after_b @ ..]) = (left, right) {
                if compare(b, a).is_lt() {
                    merged.push(b);
                    right = after_b;
                } else {
                    merged.push(a);
                    left = after_a;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        mem::swap(&mut places, &mut merged);
        merged.clear();
        run *= 2;
    }
    places
}

/// Numbers in descending order of score; ties by ascending number.
///
/// Lazy: only the items that are consumed are sorted.
pub(crate) fn greatest(scored: impl Iterator<Item = (f32, u32)>) -> impl Iterator<Item = u32> {
    let keys = scored.map(|(score, number)| {
        let bits = score.to_bits();
        // The order of `f32::total_cmp`, as an integer.
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
    fn argsort_is_stable() {
        for len in 0..70_usize {
            let values: Vec<usize> = (0..len).map(|at| at * 37 % 11).collect();
            let mut expected: Vec<usize> = (0..len).collect();
            expected.sort_by_key(|&at| values[at]);
            assert_eq!(ascending(len, &|a, b| values[a].cmp(&values[b])), expected);
        }
    }

    #[test]
    fn the_greatest_come_first_and_ties_are_in_order_of_number() {
        let scores = [1.5, -0.0, f32::NEG_INFINITY, 2.0, 0.0, 1.5, -3.0, f32::INFINITY, -f32::NAN, f32::NAN];
        let numbered = || scores.iter().copied().zip(0..);
        let sorted = ascending(scores.len(), &|a, b| scores[b].total_cmp(&scores[a]));
        assert!(greatest(numbered()).map(|n| n as usize).eq(sorted));
        assert!(greatest(numbered()).take(3).eq([9, 7, 3]));
        assert_eq!(greatest(iter::empty()).next(), None);
    }
}
