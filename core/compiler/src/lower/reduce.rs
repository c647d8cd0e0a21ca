//! Reductions, and operators that normalise by one.

use super::{Site, double};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Value, broadcast_shape},
};
use tract_onnx::{
    prelude::*,
    tract_core::ops::{
        array::CumSum,
        binary::TypedBinOp,
        element_wise::ElementWiseOp,
        nn::{Reduce, Reducer, RmsNorm, ScaledRmsNorm, Softmax, SoftmaxKind},
    },
};
use tradewind_core::plan::{BinaryOp, DType, ReduceOp, UnaryOp};

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let value = if let Some(op) = site.node.op_as::<Reduce>() {
        reduce(site, op)?
    } else if let Some(op) = site.node.op_as::<Softmax>() {
        softmax(site, op)?
    } else if let Some(op) = site.node.op_as::<RmsNorm>() {
        let x = site.input(0)?;
        rms_norm(site.builder, &x, op.axis, &op.eps)?
    } else if let Some(op) = site.node.op_as::<ScaledRmsNorm>() {
        let (x, mut scale) = (site.input(0)?, site.input(1)?);
        for _ in op.axis + 1..x.rank() {
            scale = scale.insert_axis(1);
        }
        let normal = rms_norm(site.builder, &x, op.axis, &op.eps)?;
        site.builder.binary(BinaryOp::Mul, &normal, &scale)?
    } else if let Some(op) = site.node.op_as::<CumSum>() {
        let (x, datum_type) = (site.number(0)?, site.input_type(0)?);
        let sum = site.builder.cumulate(BinaryOp::Add, &x, op.axis, op.exclusive, op.reverse)?;
        site.wrapped(&sum, datum_type)?
    } else {
        return Ok(None);
    };
    Ok(Some(vec![value]))
}

fn reduce(site: &mut Site<'_>, op: &Reduce) -> Reasoned<Value> {
    let (x, axes, datum_type) = (site.input(0)?, &op.axes[..], site.input_type(0)?);
    if op.reducer == Reducer::Sum
        && let Some(sum) = sum_of_function(site, axes)?
    {
        return site.wrapped(&sum, datum_type);
    }
    let x_dtype = x.dtype;
    if x_dtype == DType::F64 && op.reducer == Reducer::MeanOfSquares {
        return double::mean_of_squares(site.builder, &x, axes);
    }
    let is_narrow = matches!(x_dtype, DType::U8 | DType::Bool);
    let builder = &mut *site.builder;
    let kernel = match op.reducer {
        Reducer::Sum => ReduceOp::Sum,
        Reducer::Prod => ReduceOp::Product,
        Reducer::Max => ReduceOp::Max,
        Reducer::Min => ReduceOp::Min,
        Reducer::ArgMax(false) => ReduceOp::ArgMax,
        Reducer::ArgMax(true) => ReduceOp::ArgMaxLast,
        Reducer::ArgMin(false) => ReduceOp::ArgMin,
        Reducer::ArgMin(true) => ReduceOp::ArgMinLast,
        Reducer::MeanOfSquares => return mean_of_squares(builder, &x, axes),
        Reducer::All => ReduceOp::Min,
        Reducer::Any => ReduceOp::Max,
    };
    let numbers = if is_narrow { builder.cast(&x, DType::I32)? } else { x };
    let result = match numbers.dtype {
        DType::F64 => double::reduce(builder, kernel, &numbers, axes)?,
        _ => builder.reduce(kernel, &numbers, axes)?,
    };
    match op.reducer {
        Reducer::ArgMax(_) | Reducer::ArgMin(_) => Ok(result),
        Reducer::Sum | Reducer::Prod => site.wrapped(&result, datum_type),
        _ if is_narrow => site.builder.cast(&result, x_dtype),
        _ => Ok(result),
    }
}

/// Sum of products, squares or magnitudes, without an intermediate tensor.
fn sum_of_function(site: &mut Site<'_>, axes: &[usize]) -> Reasoned<Option<Value>> {
    let Some((maker, inputs)) = site.only_maker() else { return Ok(None) };
    let sum = if let (Some(op), [left, right]) = (maker.op_as::<TypedBinOp>(), &inputs[..]) {
        let fits = op.0.name() == "Mul" && op.1.is_none() && matches!(left.dtype, DType::F32 | DType::I64);
        if !fits || left.dtype != right.dtype {
            return Ok(None);
        }
        let shape = broadcast_shape(&[&left.shape, &right.shape])?;
        let order: Vec<usize> =
            (0..shape.len()).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
        let [left, right] = [left, right].map(|value| value.broadcast(&shape).map(|value| value.permuted(&order)));
        site.builder.contract(&left?, &right?, axes.len())?
    } else if let (Some(op), [x]) = (maker.op_as::<ElementWiseOp>(), &inputs[..]) {
        let reduction = match op.0.name().as_str() {
            "Square" if x.dtype == DType::F32 => ReduceOp::SumOfSquares,
            "Abs" if x.dtype == DType::F32 => ReduceOp::SumOfMagnitudes,
            _ => return Ok(None),
        };
        site.builder.reduce(reduction, x, axes)?
    } else {
        return Ok(None);
    };
    let shape = site.output_shape(0)?;
    site.builder.reshape_all(&sum, &shape).map(Some)
}

fn mean_of_squares(builder: &mut Builder, x: &Value, axes: &[usize]) -> Reasoned<Value> {
    let squares = builder.unary(UnaryOp::Square, x)?;
    builder.reduce(ReduceOp::Mean, &squares, axes)
}

/// `x / √(mean(x²) + ε)` along an axis.
fn rms_norm(builder: &mut Builder, x: &Value, axis: usize, eps: &Tensor) -> Reasoned<Value> {
    let mean = mean_of_squares(builder, x, &[axis])?;
    let shifted = builder.binary(BinaryOp::Add, &mean, &Value::scalar(eps.cast_to_scalar::<f32>()?))?;
    let scale = builder.unary(UnaryOp::Rsqrt, &shifted)?;
    builder.binary(BinaryOp::Mul, x, &scale)
}

fn softmax(site: &mut Site<'_>, op: &Softmax) -> Reasoned<Value> {
    let x = site.input(0)?;
    let (Some(first), Some(last)) = (op.axes.iter().min(), op.axes.iter().max()) else {
        return Reason::err("softmax over no axis");
    };
    let count = last + 1 - first;
    if op.axes.len() != count {
        return Reason::err("softmax over axes that are not neighbours");
    }
    // Adjacent axes are merged.
    let merged = Extent::product(&x.shape[*first..=*last])?;
    let flat = site.builder.reshape(&x, *first, count, &[merged])?;
    let result = site.builder.softmax(&flat, *first, op.kind == SoftmaxKind::LogSoftmax, false)?;
    site.builder.reshape(&result, *first, 1, &x.shape[*first..=*last])
}
