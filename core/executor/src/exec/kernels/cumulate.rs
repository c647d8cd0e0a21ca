//! Running sums and products along an axis.

use super::{DType, Extents, Inputs, by_number, cast_mut, outside};
use crate::{error::Result, exec::math::Number, plan::BinaryOp};

/// `out[o, a, i] = op over b ≤ a of T0[o, b, i]`; see [`Kernel::Cumulate`](crate::plan::Kernel::Cumulate).
#[inline(never)]
pub fn cumulate(
    op: BinaryOp,
    data: Extents,
    exclusive: bool,
    reverse: bool,
    dtype: DType,
    inputs: &Inputs<'_>,
    out: &mut [u8],
) -> Result<()> {
    let Extents { outer, axis, inner } = data;
    by_number!(dtype, T => {
        let (from, to) = (inputs.elements::<T>(0)?, cast_mut::<T>(out)?);
        for lane in 0..outer * inner {
            let (o, i) = (lane / inner, lane % inner);
            let mut total = if op == BinaryOp::Mul { T::ONE } else { T::ZERO };
            for n in 0..axis {
                let a = if reverse { axis - 1 - n } else { n };
                let at = (o * axis + a) * inner + i;
                let next = if op == BinaryOp::Mul { total.mul(from[at]) } else { total.add(from[at]) };
                to[at] = if exclusive { total } else { next };
                total = next;
            }
        }
        Ok(())
    })
}
