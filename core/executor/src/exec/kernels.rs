//! The kernels, one family a file. Each takes the whole-tile slices of its buffers and the number
//! of rows, and writes its output.
//!
//! INVARIANT: `validate` has shown, for the plan's tile, that every index that a kernel's geometry
//! can produce lies inside its buffers. Extents and strides grow with the rows, so that holds for
//! smaller batches too. The indexing below relies on it; a mistake would be a panic, never
//! undefined behaviour.
//!
//! No kernel is inlined: engines compile small functions sooner and better, and one of all kernels
//! together would be compiled without optimisation.

mod contract;
mod couple;
mod cumulate;
mod dense;
mod distances;
mod elementwise;
mod gather;
mod lookup;
mod recurrent;
mod reduce;
mod scatter;
mod softmax;
mod strided;
mod topk;
mod trees;

use super::arena::{Arena, Inputs, outside};
use crate::{
    error::Result,
    plan::{AxisShape, DType, Kernel, Operand, Plan, Step},
};
use bytemuck::Pod;

/// Runs one step for a batch of `rows` rows.
pub(super) fn run(plan: &Plan, step: &Step, arena: &mut Arena, weights: &[u8], rows: usize) -> Result<()> {
    let (inputs, out) = arena.split(plan, step, weights)?;
    let dtype = output_dtype(plan, step)?;
    let whole = plan.buffers.get(step.output.0 as usize).ok_or_else(outside)?;
    // What the batch uses of the tile's buffer.
    let used = whole.len.at(rows) * dtype.bytes();
    match &step.kernel {
        Kernel::Fill { value } => elementwise::fill(*value, dtype, &mut out[..used]),
        Kernel::Cast => elementwise::cast(input_dtype(plan, step, 0)?, &inputs, dtype, &mut out[..used]),
        Kernel::Unary { op } => elementwise::unary(*op, input_dtype(plan, step, 0)?, &inputs, &mut out[..used]),
        Kernel::Copy { shape, source, target } => {
            strided::copy(strided::Pair { shape, left: source, right: target, rows }, dtype, &inputs, out)
        }
        Kernel::Binary { op, shape, left, right } => {
            strided::binary(*op, strided::Pair { shape, left, right, rows }, dtype, &inputs, out)
        }
        Kernel::Compare { op, shape, left, right } => {
            let dtype = input_dtype(plan, step, 0)?;
            strided::compare(*op, strided::Pair { shape, left, right, rows }, dtype, &inputs, out)
        }
        Kernel::Select { shape, condition, on_true, on_false } => {
            strided::select(shape, [condition, on_true, on_false], rows, dtype, &inputs, out)
        }
        Kernel::Dense { rows: extent, inner, columns, activation } => {
            let shape = dense::Shape { rows: extent.at(rows), inner: *inner as usize, columns: *columns as usize };
            dense::dense(shape, *activation, &inputs, cast_mut(out)?)
        }
        Kernel::Contract { shape, over, left, right } => {
            let pair = strided::Pair { shape, left, right, rows };
            match dtype {
                DType::F32 => contract::floats(pair, over, &inputs, cast_mut(out)?),
                DType::I64 => contract::contract::<i64>(pair, over, &inputs, cast_mut(out)?),
                _ => Err(outside()),
            }
        }
        Kernel::Reduce { op, shape, over, source } => {
            let dtype = input_dtype(plan, step, 0)?;
            reduce::reduce(*op, reduce::Geometry { shape, over, source, rows }, dtype, &inputs, out)
        }
        Kernel::Softmax { shape, log, zero_stays } => {
            softmax::softmax(extents(*shape, rows), *log, *zero_stays, &inputs, cast_mut(out)?)
        }
        Kernel::Gather { data, picks } => {
            gather::gather(extents(*data, rows), picks.at(rows), index_dtype(plan, step)?, &inputs, dtype, out)
        }
        Kernel::GatherElements { data, picks } => {
            gather::gather_elements(extents(*data, rows), picks.at(rows), index_dtype(plan, step)?, &inputs, dtype, out)
        }
        Kernel::Scatter { op, shape, axis, index, source, target } => {
            let geometry = scatter::Geometry { shape, axis: *axis, views: [index, source, target], rows };
            scatter::scatter(*op, geometry, input_dtype(plan, step, 0)?, dtype, &inputs, out)
        }
        Kernel::Cumulate { op, data, exclusive, reverse } => {
            cumulate::cumulate(*op, extents(*data, rows), *exclusive, *reverse, dtype, &inputs, out)
        }
        Kernel::TopK { data, k, largest } => topk::topk(
            extents(*data, rows),
            *k as usize,
            *largest,
            input_dtype(plan, step, 0)?,
            &inputs,
            cast_mut(out)?,
        ),
        Kernel::Lookup => lookup::lookup(input_dtype(plan, step, 0)?, &inputs, cast_mut(&mut out[..used])?),
        Kernel::Distances { rows: extent, inner, points, squared } => {
            let shape = distances::Shape { rows: extent.at(rows), inner: *inner as usize, points: *points as usize };
            distances::distances(shape, *squared, &inputs, cast_mut(out)?)
        }
        Kernel::Couple { rows: extent, classes } => {
            couple::couple(extent.at(rows), *classes as usize, &inputs, cast_mut(out)?)
        }
        Kernel::Trees { rows: extent, features, targets, aggregate, blocks } => {
            let shape =
                trees::Shape { rows: extent.at(rows), features: *features as usize, targets: *targets as usize };
            trees::trees(shape, *aggregate, blocks, &inputs, cast_mut(out)?)
        }
        Kernel::Recurrent(layer) => {
            let lengths = if layer.lengths { Some(input_dtype(plan, step, 4)?) } else { None };
            recurrent::recurrent(layer, rows, lengths, &inputs, cast_mut(out)?)
        }
    }
}

/// An [`AxisShape`] for a batch.
#[derive(Debug, Clone, Copy)]
struct Extents {
    outer: usize,
    axis: usize,
    inner: usize,
}

fn extents(shape: AxisShape, rows: usize) -> Extents {
    Extents { outer: shape.outer.at(rows), axis: shape.axis.at(rows), inner: shape.inner.at(rows) }
}

/// Element type of a step's `n`-th input.
pub(super) fn input_dtype(plan: &Plan, step: &Step, n: usize) -> Result<DType> {
    let dtype = match step.inputs.get(n).ok_or_else(outside)? {
        Operand::Buffer(id) => plan.buffers.get(id.0 as usize).map(|buffer| buffer.dtype),
        Operand::Weight(id) => plan.weights.get(id.0 as usize).map(|weight| weight.dtype),
    };
    dtype.ok_or_else(outside)
}

/// Element type of a step's output.
pub(super) fn output_dtype(plan: &Plan, step: &Step) -> Result<DType> {
    plan.buffers.get(step.output.0 as usize).map(|buffer| buffer.dtype).ok_or_else(outside)
}

fn index_dtype(plan: &Plan, step: &Step) -> Result<DType> {
    input_dtype(plan, step, 1)
}

fn cast_mut<T: Pod>(out: &mut [u8]) -> Result<&mut [T]> {
    bytemuck::try_cast_slice_mut(out).map_err(|_| outside())
}

/// Calls `$body` with `$T` bound to an unsigned type as wide as `$dtype`: for kernels that only
/// move elements.
macro_rules! by_width {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.bytes() {
            8 => {
                type $T = u64;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u8;
                $body
            }
        }
    };
}

/// Calls `$body` with `$T` bound to the type of a numeric `$dtype`.
macro_rules! by_number {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::I64 => {
                type $T = i64;
                $body
            }
            DType::I32 => {
                type $T = i32;
                $body
            }
            DType::U8 | DType::Bool | DType::F64 => Err(outside()),
        }
    };
}

use {by_number, by_width};
