//! Positions of the largest or smallest elements along an axis.

use super::{Extents, Inputs, Operation, Output, by_number, extents};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::{
        arena::outside,
        math::{Number, order},
        validate::{Checked, ensure, is_number},
    },
    plan::{Access, AxisShape, DType, Dim, Size},
};
use alloc::{format, vec};
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};

/// `output[o, p, i]`, `I64`: position along the axis of the `p`-th largest (or smallest) element of `T0`, F32, I64 or
/// I32, for `p < k`; equal elements in order of position; NaN is larger than every number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    /// Shape of `T0`.
    pub data: AxisShape,
    /// Number of elements to find; a shorter axis is a fault.
    pub k: u32,
    /// Largest first, or smallest first.
    pub largest: bool,
}

/// Elements compared together.
const TOGETHER: usize = 16;

impl Operation for TopK {
    const NAME: &'static str = "top-k";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { data, k, .. } = *self;
        call.arity(1)?;
        ensure(is_number(call.dtype(0)?) && call.out == DType::I64, "top-k of numbers gives I64")?;
        // A smaller batch may have too few elements, which is a fault.
        let most = data.axis.at(call.rows);
        let enough = k as usize <= most || !call.thorough;
        ensure(enough, format_args!("the {k} first of an axis that has at most {most}"))?;
        call.holds(0, call.axis_len(data, data.axis)?)?;
        call.gives(call.axis_len(data, Dim::fixed(k))?)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        let depth = self.k.checked_ilog2().map_or(1, |log| log + 1);
        size.volume(&self.data.extents()).saturating_mul(u64::from(depth))
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let AxisShape { outer, axis, inner } = self.data;
        Some(Access::blocks(outer, vec![axis, inner], 0, vec![Dim::fixed(self.k), inner]))
    }

    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        select(extents(self.data, inputs.rows), self.k as usize, self.largest, inputs, out.elements()?)
    }
}

/// Positions of the `k` largest (or smallest) elements of `T0` along the axis, in order.
///
/// Separate from `run`: inlined there, a call took 4 % more fuel (`top-k-ties`).
#[inline(never)]
fn select(data: Extents, k: usize, largest: bool, inputs: &Inputs<'_>, out: &mut [i64]) -> Result<()> {
    let Extents { outer, axis, inner } = data;
    if k > axis {
        return Err(Error::new(
            ErrorKind::IndexOutOfRange,
            format!("the {k} first of {axis} elements; send a batch of at least {k} rows"),
        ));
    }
    by_number!(inputs.dtype(0)?, T => {
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

/// Elements along the axis; `from` starts with the first. Positions are written with the same stride.
struct Line<'a, T> {
    from: &'a [T],
    stride: usize,
    largest: bool,
}

impl<T: Number> Line<'_, T> {
    /// Writes the first `k` of `count` positions in order. A heap of the best so far has the worst of them at its root,
    /// so one comparison rejects most elements.
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
            // Rejects several at a time without a branch for each.
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

    /// Whether an element certainly does not precede the worst one so far.
    #[inline(always)]
    fn dismissed(&self, value: T, last: T) -> bool {
        if self.largest { value <= last } else { value >= last }
    }

    /// Sifts the root of a heap's subtree down.
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

    /// Whether position `a` precedes position `b`.
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

    /// Order of two values.
    fn order(&self, a: T, b: T) -> Ordering {
        let order = order(a, b);
        if self.largest { order.reverse() } else { order }
    }

    fn value(&self, position: i64) -> T {
        self.from[position as usize * self.stride]
    }
}
