//! Softmax and its logarithm.

use super::{Extents, Inputs, Operation, Output, extents};
use crate::{
    error::Result,
    exec::{
        arena::outside,
        functions::{exp, ln},
        simd::{F32x4, LANES},
        validate::{Checked, ensure},
    },
    plan::{Access, AxisShape, DType, Dim, Size},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// Softmax of `T0` along the axis, F32. With `zero_stays` (the `SOFTMAX_ZERO` of ONNX-ML) elements of magnitude at most
/// 1e-7 become 0 and are excluded from the sum. Every fourth element along the axis is added to the same of four sums
/// `s`; their sum is `(s₀ + s₁) + (s₂ + s₃)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softmax {
    /// Shape of the tensor.
    pub shape: AxisShape,
    /// Whether to return the logarithm.
    pub log: bool,
    /// Whether to apply the `SOFTMAX_ZERO` rule.
    pub zero_stays: bool,
}

/// Magnitudes up to this count as zero for `SOFTMAX_ZERO`.
const ZERO: F32x4 = F32x4::splat(1e-7);

/// Exponentials of smaller values are 0.
const GONE: F32x4 = F32x4::splat(-104.0);

impl Operation for Softmax {
    const NAME: &'static str = "softmax";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(1)?;
        ensure(call.dtype(0)? == DType::F32 && call.out == DType::F32, "softmax is F32")?;
        let len = call.axis_len(self.shape, self.shape.axis)?;
        call.holds(0, len)?;
        call.gives(len)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape.extents()).saturating_mul(3)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let AxisShape { outer, axis, inner } = self.shape;
        Some(Access::blocks(outer, vec![axis, inner], 0, vec![axis, inner]))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let Extents { outer, axis, inner } = extents(self.shape, inputs.rows);
        let len = outer * axis * inner;
        let from = inputs.elements::<f32>(0)?.get(..len).ok_or_else(outside)?;
        let out = out.elements::<f32>()?.get_mut(..len).ok_or_else(outside)?;
        if len == 0 {
            return Ok(());
        }
        for (from, out) in from.chunks_exact(axis * inner).zip(out.chunks_exact_mut(axis * inner)) {
            for first in 0..inner {
                line(&from[first..], &mut out[first..], inner, axis, self.log, self.zero_stays);
            }
        }
        Ok(())
    }
}

/// Computes the softmax of `count` elements that are `stride` apart.
#[inline(never)]
fn line(from: &[f32], out: &mut [f32], stride: usize, count: usize, log: bool, zero_stays: bool) {
    // Lanes past the last element are −∞: they are never the maximum, and add nothing.
    let mut greatest = F32x4::splat(f32::NEG_INFINITY);
    for position in (0..count).step_by(LANES) {
        greatest = greatest.at_least(load(from, stride, position, count));
    }
    let greatest = F32x4::splat(greatest.fold(|a, b| if b > a { b } else { a }));
    let mut sums = F32x4::ZERO;
    for position in (0..count).step_by(LANES) {
        let x = load(from, stride, position, count);
        let shifted = x - greatest;
        // Masked elements would become 0 anyway, but underflow is slow.
        let gone = shifted.less(GONE);
        let mut power = gone.select(F32x4::ZERO, exp(gone.select(F32x4::ZERO, shifted)));
        if zero_stays {
            // NaN is not zero.
            power = ZERO.less(x.abs()).select(power, x.equal(x).select(F32x4::ZERO, x));
        }
        sums += power;
        store(if log { shifted } else { power }, out, stride, position, count);
    }
    let sum = F32x4::splat(sums.sum());
    let ln_sum = if log { ln(sum) } else { sum };
    for position in (0..count).step_by(LANES) {
        let x = load(out, stride, position, count);
        store(if log { x - ln_sum } else { x / sum }, out, stride, position, count);
    }
}

/// Elements of a line starting at `position`; −∞ past the last.
#[inline(always)]
fn load(from: &[f32], stride: usize, position: usize, count: usize) -> F32x4 {
    if let (1, Some(whole)) = (stride, from[position..count].first_chunk()) {
        return F32x4::load(whole);
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for (n, lane) in lanes.iter_mut().take(count - position).enumerate() {
        *lane = from[(position + n) * stride];
    }
    F32x4::load(&lanes)
}

/// Writes the existing elements of a line, starting at `position`.
#[inline(always)]
fn store(values: F32x4, out: &mut [f32], stride: usize, position: usize, count: usize) {
    if let (1, Some(whole)) = (stride, out[position..count].first_chunk_mut()) {
        return values.store(whole);
    }
    let mut lanes = [0.0; LANES];
    values.store(&mut lanes);
    for (n, lane) in lanes.into_iter().take(count - position).enumerate() {
        out[(position + n) * stride] = lane;
    }
}
