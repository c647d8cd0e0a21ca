//! The positions of the greatest or least elements along an axis.

use super::{DType, Extents, Inputs, by_number, outside};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::math::Number,
};
use alloc::format;
use core::cmp::Ordering;

/// Positions of the `k` greatest (or least) elements of `T0` along the axis, in order.
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
        for o in 0..outer {
            for i in 0..inner {
                let value = |position: i64| from[(o * axis + position as usize) * inner + i];
                let slot = |p: usize| (o * k + p) * inner + i;
                // Insertion into the k best so far: k is small, and nothing needs to be allocated.
                let mut found = 0;
                for position in 0..axis as i64 {
                    let mut p = found;
                    while p > 0 && precedes(value(position), value(out[slot(p - 1)]), largest) {
                        p -= 1;
                    }
                    if p >= k {
                        continue;
                    }
                    found = (found + 1).min(k);
                    for q in (p + 1..found).rev() {
                        out[slot(q)] = out[slot(q - 1)];
                    }
                    out[slot(p)] = position;
                }
            }
        }
        Ok(())
    })
}

/// Whether `a` goes before `b`, which stands at a lower position.
fn precedes<T: Number>(a: T, b: T, largest: bool) -> bool {
    // NaN is larger than every number, so that a result is always defined.
    let order = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    order == if largest { Ordering::Greater } else { Ordering::Less }
}
