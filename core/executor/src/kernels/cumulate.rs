//! Running sums and products along an axis.

use super::{BinaryOp, Extents, Inputs, Operation, Output, by_number, extents};
use crate::{
    error::Result,
    exec::{
        arena::outside,
        math::Number,
        validate::{Checked, ensure, is_number},
    },
    plan::{Access, AxisShape, DType, Dim, Size},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[o, a, i] = op over b ≤ a of T0[o, b, i]`, F32, I64 or I32; `op` is Add or Mul.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cumulate {
    /// Operation.
    pub op: BinaryOp,
    /// Shape of `T0` and of the output.
    pub data: AxisShape,
    /// `b < a`: excludes the element itself.
    pub exclusive: bool,
    /// Starts from the end: `b ≥ a`, or `b > a`.
    pub reverse: bool,
}

impl Operation for Cumulate {
    const NAME: &'static str = "cumulate";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { op, data, .. } = self;
        let out = call.out;
        call.arity(1)?;
        let typed = is_number(out) && call.dtype(0)? == out && matches!(op, BinaryOp::Add | BinaryOp::Mul);
        ensure(typed, format_args!("`{op:?}` does not run over {out:?}"))?;
        let len = call.axis_len(*data, data.axis)?;
        call.holds(0, len)?;
        call.gives(len)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.data.extents())
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let AxisShape { outer, axis, inner } = self.data;
        Some(Access::blocks(outer, vec![axis, inner], 0, vec![axis, inner]))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let Self { op, exclusive, reverse, .. } = *self;
        let Extents { outer, axis, inner } = extents(self.data, inputs.rows);
        by_number!(out.dtype, T => {
            let (from, to) = (inputs.elements::<T>(0)?, out.elements::<T>()?);
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
}
