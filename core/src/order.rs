//! Sorting: one function for all that is sorted, so that the module has the code of one sort.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// The places `0..len` in ascending order of what is there; of equals, the first comes first.
pub(crate) fn ascending(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|&a, &b| compare(a, b));
    places
}
