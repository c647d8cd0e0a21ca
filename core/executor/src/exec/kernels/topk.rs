//! The positions of the greatest or least elements along an axis.

use super::{DType, Extents, Inputs, by_number, outside};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::math::{Number, order},
};
use alloc::format;
use core::cmp::Ordering;

/// Elements that are looked at together.
const TOGETHER: usize = 16;

/// Positions of the `k` greatest (or least) elements of `T0` along the axis, in order.
#[inline(never)]
pub fn topk(data: Extents, k: usize, largest: bool, dtype: DType, inputs: &Inputs<'_>, out: &mut [i64]) -> Result<()> {
    let Extents { outer, axis, inner } = data;
    if k > axis {
        return Err(Error::new(
            ErrorKind::IndexOutOfRange,
            format!("the {k} first of {axis} elements; send a batch of at least {k} rows"),
        ));
    }
    by_number!(dtype, T => {
        let from = inputs.elements::<T>(0)?;
        if k == 0 || outer * inner == 0 {
            return Ok(());
        }
        for o in 0..outer {
            for i in 0..inner {
                let line = Line { from: &from[o * axis * inner + i..], stride: inner, largest };
                line.select(axis, k, &mut out[o * k * inner + i..]);
            }
        }
        Ok(())
    })
}

/// The elements along the axis; `from` begins with the first. Positions are written as far apart.
struct Line<'a, T> {
    from: &'a [T],
    stride: usize,
    largest: bool,
}

impl<T: Number> Line<'_, T> {
    /// Writes the first `k` of `count` positions in order. A heap of the first so far has the last
    /// of them at its root, so most elements are dismissed by one comparison.
    fn select(&self, count: usize, k: usize, heap: &mut [i64]) {
        for position in 0..k {
            heap[position * self.stride] = position as i64;
        }
        for root in (0..k / 2).rev() {
            self.sift(heap, root, k);
        }
        let mut last = self.value(heap[0]);
        let mut position = k;
        while position < count {
            // Several at a time are dismissed without a branch for each.
            if self.stride == 1
                && let Some(next) = self.from[position..count].first_chunk::<TOGETHER>()
                && next.iter().fold(true, |all, value| all & self.dismissed(*value, last))
            {
                position += TOGETHER;
                continue;
            }
            let end = count.min(position + TOGETHER);
            for position in position..end {
                let value = self.from[position * self.stride];
                if !self.dismissed(value, last) && self.order(value, last) == Ordering::Less {
                    heap[0] = position as i64;
                    self.sift(heap, 0, k);
                    last = self.value(heap[0]);
                }
            }
            position = end;
        }
        for end in (1..k).rev() {
            heap.swap(0, end * self.stride);
            self.sift(heap, 0, end);
        }
    }

    /// Whether an element surely does not go before the last one so far.
    #[inline(always)]
    fn dismissed(&self, value: T, last: T) -> bool {
        if self.largest { value <= last } else { value >= last }
    }

    /// Moves the root of a subtree of the heap down to where nothing below goes after it.
    fn sift(&self, heap: &mut [i64], mut root: usize, len: usize) {
        let moved = heap[root * self.stride];
        loop {
            let mut child = 2 * root + 1;
            if child + 1 < len && self.precedes(heap[child * self.stride], heap[(child + 1) * self.stride]) {
                child += 1;
            }
            if child >= len || !self.precedes(moved, heap[child * self.stride]) {
                heap[root * self.stride] = moved;
                return;
            }
            heap[root * self.stride] = heap[child * self.stride];
            root = child;
        }
    }

    /// Whether position `a` goes before position `b`.
    fn precedes(&self, a: i64, b: i64) -> bool {
        let (left, right) = (self.value(a), self.value(b));
        if left > right {
            return self.largest;
        }
        if left < right {
            return !self.largest;
        }
        self.order(left, right).then(a.cmp(&b)) == Ordering::Less
    }

    /// Which of two values goes first.
    fn order(&self, a: T, b: T) -> Ordering {
        let order = order(a, b);
        if self.largest { order.reverse() } else { order }
    }

    fn value(&self, position: i64) -> T {
        self.from[position as usize * self.stride]
    }
}
