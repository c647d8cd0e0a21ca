//! Softmax and its logarithm.

use super::{Extents, Inputs, outside};
use crate::{
    error::Result,
    exec::{
        functions::{exp, ln},
        simd::{F32x4, LANES},
    },
};

/// Magnitudes up to this count as zero for `SOFTMAX_ZERO`.
const ZERO: F32x4 = F32x4::splat(1e-7);

/// The exponential of less than this is 0.
const GONE: F32x4 = F32x4::splat(-104.0);

/// Softmax of `T0` along the axis.
#[inline(never)]
pub fn softmax(shape: Extents, log: bool, zero_stays: bool, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Extents { outer, axis, inner } = shape;
    let len = outer * axis * inner;
    let from = inputs.elements::<f32>(0)?.get(..len).ok_or_else(outside)?;
    let out = out.get_mut(..len).ok_or_else(outside)?;
    if len == 0 {
        return Ok(());
    }
    for (from, out) in from.chunks_exact(axis * inner).zip(out.chunks_exact_mut(axis * inner)) {
        for first in 0..inner {
            line(&from[first..], &mut out[first..], inner, axis, log, zero_stays);
        }
    }
    Ok(())
}

/// Softmax of `count` elements that lie `stride` apart.
#[inline(never)]
fn line(from: &[f32], out: &mut [f32], stride: usize, count: usize, log: bool, zero_stays: bool) {
    // Lanes past the last element are −∞: they are not the greatest, and add nothing.
    let mut greatest = F32x4::splat(f32::NEG_INFINITY);
    for position in (0..count).step_by(LANES) {
        greatest = greatest.at_least(load(from, stride, position, count));
    }
    let greatest = F32x4::splat(greatest.fold(|a, b| if b > a { b } else { a }));
    let mut sums = F32x4::ZERO;
    for position in (0..count).step_by(LANES) {
        let x = load(from, stride, position, count);
        let shifted = x - greatest;
        // Masked elements give 0 as it is, but getting there by underflow is slow.
        let gone = shifted.less(GONE);
        let mut power = gone.select(F32x4::ZERO, exp(gone.select(F32x4::ZERO, shifted)));
        if zero_stays {
            // NaN is no zero.
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

/// The elements of a line from `position` on; −∞ past the last.
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

/// Writes elements of a line from `position` on, as far as there are any.
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
