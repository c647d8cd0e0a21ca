//! Reductions: for each element of the output, an iteration over the reduced axes.

use super::{Inputs, Operation, Output, by_number};
use crate::{
    bounded,
    error::Result,
    exec::{
        arena::outside,
        math::Number,
        simd::{F32x4, LANES},
        validate::{Checked, ensure, is_number},
        walk::Walk,
    },
    plan::{Access, DType, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// `output[i] = op over j of T0[source(i, j)]`, output contiguous over `shape`. F32, I64 or
/// I32. The arg-reductions give `I64` positions in row-major order over `over`.
///
/// Elements are combined in that order. Exception: if the elements of an F32 sum, mean, sum of squares or sum of
/// magnitudes are contiguous in `T0`, every fourth is added to the same of four sums `s`, and the result is
/// `(s₀ + s₁) + (s₂ + s₃)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reduce {
    /// Reduction.
    pub op: ReduceOp,
    /// Extents of the output.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// Extents reduced.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub over: Vec<Dim>,
    /// View of `T0`: axes of `shape`, then of `over`.
    pub source: View,
}

/// Reduction. Of no elements: 0 for sums, 1 for `Product`, ∓∞ (or the type's limit) for `Max` and `Min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReduceOp {
    /// Sum.
    Sum,
    /// Sum of squares.
    SumOfSquares,
    /// Sum of magnitudes.
    SumOfMagnitudes,
    /// Arithmetic mean.
    Mean,
    /// Product.
    Product,
    /// Maximum; NaN if any is NaN.
    Max,
    /// Minimum; NaN if any is NaN.
    Min,
    /// Greatest magnitude.
    MaxMagnitude,
    /// Position of the maximum, the first on ties.
    ArgMax,
    /// Position of the maximum, the last on ties.
    ArgMaxLast,
    /// Position of the minimum, the first on ties.
    ArgMin,
    /// Position of the minimum, the last on ties.
    ArgMinLast,
}

impl Operation for Reduce {
    const NAME: &'static str = "reduce";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { op, shape, over, source } = self;
        call.arity(1)?;
        let (dtype, out) = (call.dtype(0)?, call.out);
        let typed = is_number(dtype) && out == if op.finds() { DType::I64 } else { dtype };
        ensure(typed, format_args!("`{op:?}` of {dtype:?} into {out:?}"))?;
        call.view(0, &[shape, over], source)?;
        call.fills(&[shape])
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape).saturating_mul(size.volume(&self.over).max(1))
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        // The rounding of a sum depends on whether its elements are contiguous, which must not depend on the number of
        // rows.
        let mut along = self.source.strides.iter().skip(self.shape.len());
        let fixed = along.clone().all(|stride| stride.per_row == 0);
        let source = Touch::View { over: self.over.clone(), view: self.source.clone() };
        let access = Access { shape: self.shape.clone(), inputs: vec![source], output: Touch::Element };
        (fixed || along.all(|stride| stride.at(1) > 1)).then_some(access)
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (op, dtype) = (self.op, inputs.dtype(0)?);
        if dtype == DType::F32 {
            let out = out.elements()?;
            if along_lanes(self, inputs, out)? || across_lanes(self, inputs, out)? {
                return Ok(());
            }
        }
        by_number!(dtype, T => {
            let least = matches!(op, ReduceOp::ArgMin | ReduceOp::ArgMinLast);
            let last = matches!(op, ReduceOp::ArgMaxLast | ReduceOp::ArgMinLast);
            if op.finds() {
                let beats = |a: T, b: T| {
                    let better = if least { a < b } else { a > b };
                    better || (last && a == b)
                };
                fold(self, inputs, out.elements::<i64>()?, (None, 0), |(best, position): (Option<T>, i64), value, index| {
                    match best {
                        Some(best) if !beats(value, best) => (Some(best), position),
                        _ => (Some(value), index),
                    }
                }, |(_, position), _| position)
            } else {
                fold(self, inputs, out.elements::<T>()?, start::<T>(op), |sum, value, _| combine(op, sum, value),
                    |sum, count| if op == ReduceOp::Mean { sum.over(count) } else { sum })
            }
        })
    }
}

impl ReduceOp {
    /// Whether the result is a position.
    const fn finds(self) -> bool {
        matches!(self, Self::ArgMax | Self::ArgMaxLast | Self::ArgMin | Self::ArgMinLast)
    }
}

impl Reduce {
    /// Iteration over the output.
    fn outer(&self, rows: usize) -> Result<Walk<1>> {
        Walk::new(&self.shape, [&self.source], rows)
    }

    /// Iteration over the reduced elements of one output element.
    fn inner(&self, rows: usize) -> Result<Walk<1>> {
        Walk::inner(&self.over, [&self.source], self.shape.len(), rows)
    }
}

/// Reduces contiguous F32 four at a time if `op` is a sum; returns whether it did.
#[inline(never)]
fn along_lanes(kernel: &Reduce, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<bool> {
    let op = kernel.op;
    let inner = kernel.inner(inputs.rows)?;
    let (count, [stride]) = inner.run();
    let is_sum = matches!(op, ReduceOp::Sum | ReduceOp::Mean | ReduceOp::SumOfSquares | ReduceOp::SumOfMagnitudes);
    if !is_sum || inner.axes() != 1 || stride != 1 || count == 0 {
        return Ok(false);
    }
    let from = inputs.elements::<f32>(0)?;
    let outer = kernel.outer(inputs.rows)?;
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

/// Sum of four sums, of every fourth element each.
#[inline(always)]
fn total(values: &[f32], step: impl Fn(F32x4, F32x4) -> F32x4) -> f32 {
    let (whole, rest) = values.as_chunks::<LANES>();
    let sums = whole.iter().fold(F32x4::ZERO, |sums, values| step(sums, F32x4::load(values)));
    let mut padded = [0.0; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    step(sums, F32x4::load(&padded)).sum()
}

/// Reduces F32 to contiguous results, four or sixteen at a time; returns whether it did.
///
/// Each result is bit-identical to that of [`fold`].
#[inline(never)]
fn across_lanes(kernel: &Reduce, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<bool> {
    let op = kernel.op;
    let outer = kernel.outer(inputs.rows)?;
    let inner = kernel.inner(inputs.rows)?;
    let (len, [along]) = outer.run();
    if op.finds() || along != 1 || len < LANES {
        return Ok(false);
    }
    let from = inputs.elements::<f32>(0)?;
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

/// Vectors of results computed together, if there are enough.
const WIDE: usize = 4;

/// Reduces to a run of results, `V` vectors at a time; the last vectors are those at the end of the run, which may
/// compute some results twice.
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

/// Folds the elements of each `i` with their positions, and finishes with their number.
fn fold<T: Number, U: bytemuck::Pod, S: Copy>(
    kernel: &Reduce,
    inputs: &Inputs<'_>,
    out: &mut [U],
    start: S,
    step: impl Fn(S, T, i64) -> S,
    finish: impl Fn(S, usize) -> U,
) -> Result<()> {
    let from = inputs.elements::<T>(0)?;
    let outer = kernel.outer(inputs.rows)?;
    let inner = kernel.inner(inputs.rows)?;
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
