//! Softmax and its logarithm.

use super::{Extents, Inputs, outside};
use crate::error::Result;

/// Magnitudes up to this count as zero for `SOFTMAX_ZERO`.
const ZERO: f32 = 1e-7;

/// Softmax of `T0` along the axis.
pub fn softmax(shape: Extents, log: bool, zero_stays: bool, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Extents { outer, axis, inner } = shape;
    let len = outer * axis * inner;
    let from = inputs.elements::<f32>(0)?.get(..len).ok_or_else(outside)?;
    let out = out.get_mut(..len).ok_or_else(outside)?;
    if len == 0 {
        return Ok(());
    }
    for (from, out) in from.chunks_exact(axis * inner).zip(out.chunks_exact_mut(axis * inner)) {
        for lane in 0..inner {
            let values = from[lane..].iter().step_by(inner);
            let greatest = values.clone().fold(f32::NEG_INFINITY, |a, &b| if b > a || b.is_nan() { b } else { a });
            let mut sum = 0.0;
            for (to, value) in out[lane..].iter_mut().step_by(inner).zip(values) {
                let kept = !zero_stays || libm::fabsf(*value) > ZERO;
                *to = if log {
                    let shifted = *value - greatest;
                    sum += libm::expf(shifted);
                    shifted
                } else if kept {
                    let e = libm::expf(*value - greatest);
                    sum += e;
                    e
                } else {
                    0.0
                };
            }
            let ln_sum = if log { libm::logf(sum) } else { 0.0 };
            for to in out[lane..].iter_mut().step_by(inner) {
                *to = if log { *to - ln_sum } else { *to / sum };
            }
        }
    }
    Ok(())
}
