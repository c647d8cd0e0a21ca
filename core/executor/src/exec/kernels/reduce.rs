//! Reductions: for each element of the output, a walk over the reduced axes.

use super::{DType, Inputs, by_number, cast_mut, outside};
use crate::{
    error::Result,
    exec::{
        math::Number,
        simd::{F32x4, LANES},
        walk::Walk,
    },
    plan::{Dim, ReduceOp, View},
};

/// What is reduced, and how it is walked.
#[derive(Clone, Copy)]
pub struct Geometry<'a> {
    pub shape: &'a [Dim],
    pub over: &'a [Dim],
    pub source: &'a View,
    pub rows: usize,
}

/// `out[i] = op over j of T0[source(i, j)]`.
#[inline(never)]
pub fn reduce(op: ReduceOp, geometry: Geometry<'_>, dtype: DType, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    if dtype == DType::F32 && (along_lanes(op, geometry, inputs, out)? || across_lanes(op, geometry, inputs, out)?) {
        return Ok(());
    }
    by_number!(dtype, T => {
        let least = matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMinLast);
        let last = matches!(op, ReduceOp::ArgMaxLast | ReduceOp::ArgMinLast);
        match op {
            ReduceOp::ArgMax | ReduceOp::ArgMaxLast | ReduceOp::ArgMin | ReduceOp::ArgMinLast => {
                let beats = |a: T, b: T| {
                    let better = if least { a < b } else { a > b };
                    better || (last && a == b)
                };
                fold(geometry, inputs, cast_mut::<i64>(out)?, (None, 0), |(best, position): (Option<T>, i64), value, index| {
                    match best {
                        Some(best) if !beats(value, best) => (Some(best), position),
                        _ => (Some(value), index),
                    }
                }, |(_, position), _| position)
            }
            _ => fold(geometry, inputs, cast_mut::<T>(out)?, start::<T>(op), |sum, value, _| combine(op, sum, value),
                |sum, count| if op == ReduceOp::Mean { sum.over(count) } else { sum }),
        }
    })
}

/// Reduces F32 over contiguous elements four at a time, where `op` is a sum; whether it did.
#[inline(never)]
fn along_lanes(op: ReduceOp, geometry: Geometry<'_>, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<bool> {
    let inner = Walk::inner(geometry.over, [geometry.source], geometry.shape.len(), geometry.rows)?;
    let (count, [stride]) = inner.run();
    let is_sum = matches!(op, ReduceOp::Sum | ReduceOp::Mean | ReduceOp::SumOfSquares | ReduceOp::SumOfMagnitudes);
    if !is_sum || inner.axes() != 1 || stride != 1 || count == 0 {
        return Ok(false);
    }
    let (from, out) = (inputs.elements::<f32>(0)?, cast_mut::<f32>(out)?);
    let outer = Walk::new(geometry.shape, [geometry.source], geometry.rows)?;
    let (len, [along]) = outer.run();
    for (run, [at]) in out[..outer.len()].chunks_exact_mut(len.max(1)).zip(outer.runs([0])) {
        for (i, to) in run.iter_mut().enumerate() {
            let values = &from[at + i * along..at + i * along + count];
            *to = match op {
                ReduceOp::SumOfSquares => total(values, |sums, x| sums + x * x),
                ReduceOp::SumOfMagnitudes => total(values, |sums, x| sums + x.abs()),
                ReduceOp::Mean => total(values, |sums, x| sums + x).over(count),
                _ => total(values, |sums, x| sums + x),
            };
        }
    }
    Ok(true)
}

/// The sum of four sums, of every fourth element each.
#[inline(always)]
fn total(values: &[f32], step: impl Fn(F32x4, F32x4) -> F32x4) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let sums = whole.iter().fold(F32x4::ZERO, |sums, values| step(sums, F32x4::load(values)));
    let mut padded = [0.0; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    step(sums, F32x4::load(&padded)).sum()
}

/// Reduces F32 to contiguous results, four or sixteen at a time; whether it did.
///
/// Each result is that of [`fold`], to the bit.
#[inline(never)]
fn across_lanes(op: ReduceOp, geometry: Geometry<'_>, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<bool> {
    let outer = Walk::new(geometry.shape, [geometry.source], geometry.rows)?;
    let inner = Walk::inner(geometry.over, [geometry.source], geometry.shape.len(), geometry.rows)?;
    let (len, [along]) = outer.run();
    let finds = matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMaxLast | ReduceOp::ArgMin | ReduceOp::ArgMinLast);
    if finds || along != 1 || len < LANES {
        return Ok(false);
    }
    let (from, out) = (inputs.elements::<f32>(0)?, cast_mut::<f32>(out)?);
    for (run, [at]) in out[..outer.len()].chunks_exact_mut(len).zip(outer.runs([0])) {
        if len < WIDE * LANES {
            columns::<1>(op, &inner, at, from, run);
        } else {
            columns::<WIDE>(op, &inner, at, from, run);
        }
    }
    if op == ReduceOp::Mean {
        let count = inner.len();
        out[..outer.len()].iter_mut().for_each(|sum| *sum = sum.over(count));
    }
    Ok(true)
}

/// Vectors of results that are worked on at once, where there are so many.
const WIDE: usize = 4;

/// Reduces to a run of results, `V` vectors at a time; the last of them are those at the end, whether some of these have
/// been worked out before or not.
#[inline(never)]
fn columns<const V: usize>(op: ReduceOp, inner: &Walk<1>, at: usize, from: &[f32], run: &mut [f32]) {
    let (terms, [stride]) = inner.run();
    let mut first = 0;
    while first < run.len() {
        first = first.min(run.len() - V * LANES);
        let mut states = [F32x4::splat(start(op)); V];
        for [at] in inner.runs([at + first]) {
            for j in 0..terms {
                let (values, _) = from[at + j * stride..][..V * LANES].as_chunks();
                for (state, values) in states.iter_mut().zip(values) {
                    *state = combine_lanes(op, *state, F32x4::load(values));
                }
            }
        }
        for (state, to) in states.into_iter().zip(run[first..].as_chunks_mut().0) {
            state.store(to);
        }
        first += V * LANES;
    }
}

/// [`combine`], lane by lane.
#[inline(always)]
fn combine_lanes(op: ReduceOp, sum: F32x4, value: F32x4) -> F32x4 {
    let unless_nan = |best| value.equal(value).select(best, value);
    match op {
        ReduceOp::SumOfSquares => sum + value * value,
        ReduceOp::SumOfMagnitudes => sum + value.abs(),
        ReduceOp::Product => sum * value,
        ReduceOp::Max => unless_nan(sum.at_least(value)),
        ReduceOp::Min => unless_nan(sum.at_most(value)),
        ReduceOp::MaxMagnitude => unless_nan(sum.at_least(value.abs())),
        _ => sum + value,
    }
}

fn start<T: Number>(op: ReduceOp) -> T {
    match op {
        ReduceOp::Product => T::ONE,
        ReduceOp::Max => T::LEAST,
        ReduceOp::Min => T::GREATEST,
        _ => T::ZERO,
    }
}

#[inline(always)]
fn combine<T: Number>(op: ReduceOp, sum: T, value: T) -> T {
    match op {
        ReduceOp::SumOfSquares => sum.add(value.mul(value)),
        ReduceOp::SumOfMagnitudes => sum.add(value.magnitude()),
        ReduceOp::Product => sum.mul(value),
        ReduceOp::Max => {
            if value > sum || value.is_nan() {
                value
            } else {
                sum
            }
        }
        ReduceOp::Min => {
            if value < sum || value.is_nan() {
                value
            } else {
                sum
            }
        }
        ReduceOp::MaxMagnitude => {
            let value = value.magnitude();
            if value > sum || value.is_nan() { value } else { sum }
        }
        _ => sum.add(value),
    }
}

/// Folds the elements of each `i` with their positions, and finishes with their count.
fn fold<T: Number, U: bytemuck::Pod, S: Copy>(
    geometry: Geometry<'_>,
    inputs: &Inputs<'_>,
    out: &mut [U],
    start: S,
    step: impl Fn(S, T, i64) -> S,
    finish: impl Fn(S, usize) -> U,
) -> Result<()> {
    let from = inputs.elements::<T>(0)?;
    let outer = Walk::new(geometry.shape, [geometry.source], geometry.rows)?;
    let inner = Walk::inner(geometry.over, [geometry.source], geometry.shape.len(), geometry.rows)?;
    let (len, [along]) = outer.run();
    let (terms, [stride]) = inner.run();
    let count = inner.len();
    for (run, [at]) in out[..outer.len()].chunks_exact_mut(len.max(1)).zip(outer.runs([0])) {
        for (i, to) in run.iter_mut().enumerate() {
            let mut state = start;
            let mut position = 0;
            for [at] in inner.runs([at + i * along]) {
                for j in 0..terms {
                    state = step(state, from[at + j * stride], position);
                    position += 1;
                }
            }
            *to = finish(state, count);
        }
    }
    Ok(())
}
