//! Movement of elements: axes, slices, broadcasts, concatenation and padding.

use super::Site;
use crate::{
    dialect::Every,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::tract_core::ops::{
    array::{MultiBroadcastTo, Pad, PadMode, Range, Slice, Tile, Trilu, TypedConcat},
    change_axes::AxisOp,
    downsample::Downsample,
};
use tradewind_core::plan::{BinaryOp, DType};

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let value = if let Some(op) = site.node.op_as::<AxisOp>() {
        axis(site, op)?
    } else if let Some(op) = site.node.op_as::<Slice>() {
        let (start, end) = (site.extent(&op.start)?, site.extent(&op.end)?);
        site.input(0)?.slice(op.axis, start, end.minus(start)?, 1)?
    } else if let Some(Every(op)) = site.node.op_as() {
        downsample(site, op)?
    } else if site.node.op_is::<MultiBroadcastTo>() {
        site.input(0)?.broadcast(&site.output_shape(0)?)?
    } else if let Some(op) = site.node.op_as::<TypedConcat>() {
        let inputs = site.builder.same_text(site.inputs.clone())?;
        site.builder.concat(&inputs, op.axis)?
    } else if let Some(op) = site.node.op_as::<Pad>() {
        pad(site, op)?
    } else if site.node.op_is::<Tile>() {
        tile(site)?
    } else if let Some(op) = site.node.op_as::<Trilu>() {
        triangle(site, op.upper)?
    } else if site.node.op_is::<Range>() {
        range(site)?
    } else {
        return Ok(None);
    };
    Ok(Some(vec![value]))
}

fn axis(site: &mut Site<'_>, op: &AxisOp) -> Reasoned<Value> {
    let value = site.input(0)?;
    match op {
        AxisOp::Add(axis) => Ok(value.insert_axis(*axis)),
        AxisOp::Rm(axis) => Ok(value.remove_axis(*axis)),
        AxisOp::Move(from, to) => Ok(value.move_axis(*from, *to)),
        AxisOp::Reshape(at, from, to) => {
            let to = to.iter().map(|dim| site.extent(dim)).collect::<Reasoned<Vec<_>>>()?;
            site.builder.reshape(&value, *at, from.len(), &to)
        }
    }
}

/// Every `stride`-th element along an axis; a negative stride starts at the end.
fn downsample(site: &mut Site<'_>, op: &Downsample) -> Reasoned<Value> {
    let value = site.input(0)?;
    let extent = site.output_shape(0)?[op.axis];
    let stride = op.stride as i64;
    if stride > 0 {
        return value.slice(op.axis, Extent::fixed(op.modulo as i64), extent, stride);
    }
    let picks = match (extent.constant(), value.shape[op.axis].constant()) {
        (Some(count), Some(last)) => {
            let picks: Vec<i64> = (0..count as i64).map(|n| last as i64 - 1 - op.modulo as i64 + n * stride).collect();
            Value::constant(Constant::i64(&picks), &[picks.len()])?
        }
        // From the last row to the first: each position is the number of rows after it.
        _ if stride == -1 && op.modulo == 0 => {
            let ones = Value::integer(DType::I64, 1).broadcast(&[extent])?;
            site.builder.cumulate(BinaryOp::Add, &ones, 0, true, true)?
        }
        _ => {
            return Reason::err(
                "it takes every n-th row from the end of the batch; take all of them, or select them after the model",
            );
        }
    };
    site.builder.gather(&value, op.axis, &picks)
}

/// Numbers of the rows, times a step: `start + n × step`.
fn range(site: &mut Site<'_>) -> Reasoned<Value> {
    let (start, step, shape) = (site.input(0)?, site.input(2)?, site.output_shape(0)?);
    let count = |value: &Value| matches!(value.dtype, DType::I64 | DType::I32);
    if !count(&start) || !count(&step) {
        return Reason::err("it counts rows with fractions; count them with integers, and cast these");
    }
    let ones = Value::integer(start.dtype, 1).broadcast(&shape)?;
    let number = site.builder.cumulate(BinaryOp::Add, &ones, 0, true, false)?;
    let scaled = site.builder.binary(BinaryOp::Mul, &number, &step)?;
    site.builder.binary(BinaryOp::Add, &scaled, &start)
}

fn pad(site: &mut Site<'_>, op: &Pad) -> Reasoned<Value> {
    let value = site.input(0)?;
    let PadMode::Constant(constant) = &op.mode else {
        // The dialect replaces these by a gather.
        return Reason::err("it pads by its own elements, which is not expected here");
    };
    let padded = site.builder.tensor(value.dtype, &site.output_shape(0)?)?;
    site.builder.fill(&padded, constant.cast_to_scalar::<f64>()?)?;
    let mut place = padded.clone();
    for (axis, (before, _)) in op.pads.iter().enumerate() {
        place = place.slice(axis, Extent::fixed(*before as i64), value.shape[axis], 1)?;
    }
    site.builder.copy(&value, &place)?;
    Ok(padded)
}

/// Repetition: each axis is split into copies and elements, and the copies are broadcast.
fn tile(site: &mut Site<'_>) -> Reasoned<Value> {
    let (mut value, output) = (site.input(0)?, site.output_shape(0)?);
    for axis in (0..output.len()).rev() {
        let (from, to) = (value.shape[axis], output[axis]);
        if from == to {
            continue;
        }
        let known = if from.varies() { to.per_row / from.per_row } else { to.fixed / from.fixed.max(1) };
        let copies = if from.is_one() { to } else { Extent::fixed(known) };
        if from.times(copies)? != to {
            return Reason::err(format!(
                "it repeats {from} elements to {to}, which depends on the batch; repeat a fixed number of times"
            ));
        }
        let mut shape = value.shape.clone();
        shape.insert(axis, copies);
        let copies_of = value.insert_axis(axis).broadcast(&shape)?;
        value = site.builder.reshape(&copies_of, axis, 2, &[to])?;
    }
    Ok(value)
}

/// Sets elements below (or above) a diagonal of the last two axes to zero.
fn triangle(site: &mut Site<'_>, upper: bool) -> Reasoned<Value> {
    let (value, k) = (site.input(0)?, site.input(1)?);
    let k = k.known().and_then(|k| k.as_integers());
    let (Some(&[k]), [.., rows, columns]) = (k.as_deref(), &value.shape[..]) else {
        return Reason::err("a triangle whose diagonal is not known when packing");
    };
    let (Some(rows), Some(columns)) = (rows.constant(), columns.constant()) else {
        return Reason::err("a triangle over the batch");
    };
    let kept: Vec<bool> = (0..rows * columns)
        .map(|n| {
            let (row, column) = ((n / columns) as i64, (n % columns) as i64);
            if upper { column >= row + k } else { column <= row + k }
        })
        .collect();
    let kept = Value::constant(Constant::bool(&kept), &[rows, columns])?;
    let zero = match value.dtype {
        DType::F32 => Value::scalar(0.0),
        DType::I64 | DType::I32 => Value::integer(value.dtype, 0),
        other => return Reason::err(format!("a triangle of {other:?}")),
    };
    site.builder.select(&kept, &value, &zero)
}
