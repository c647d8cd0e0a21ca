//! Double precision. Plans add, subtract, multiply, divide and compare doubles; other operations are composed of these,
//! or refused.

use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Value, broadcast_shape},
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, ReduceOp};

/// From here on every double is an integer.
const WHOLE: f64 = (1_u64 << 52) as f64;

/// Lowers a function, by tract's name.
pub(super) fn function(builder: &mut Builder, name: &str, x: &Value) -> Reasoned<Value> {
    match name {
        "Neg" => negated(builder, x),
        "Abs" => magnitude(builder, x),
        "Square" => builder.binary(BinaryOp::Mul, x, x),
        "Recip" => builder.binary(BinaryOp::Div, &Value::double(1.0), x),
        "Floor" => floor(builder, x),
        "Ceil" => {
            let negative = negated(builder, x)?;
            let floor = floor(builder, &negative)?;
            negated(builder, &floor)
        }
        "RoundHalfToEven" => round(builder, x),
        _ => Reason::err(format!("`{name}` of f64 cannot be part of a plan; cast to f32 before it")),
    }
}

/// Lowers arithmetic, by the kernel for other types.
pub(super) fn arithmetic(builder: &mut Builder, op: BinaryOp, left: &Value, right: &Value) -> Reasoned<Value> {
    match op {
        BinaryOp::Min => chosen(builder, CompareOp::Less, left, right),
        BinaryOp::Max => chosen(builder, CompareOp::Greater, left, right),
        BinaryOp::Rem => remainder(builder, left, right),
        // tract computes powers of mixed types in f64; f32 is accurate enough for them.
        BinaryOp::Pow => {
            let (base, exponent) = (builder.cast(left, DType::F32)?, builder.cast(right, DType::F32)?);
            let power = builder.binary(op, &base, &exponent)?;
            builder.cast(&power, DType::F64)
        }
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div => builder.binary(op, left, right),
        _ => Reason::err(format!("{op:?} of f64 cannot be part of a plan; cast to f32 before it")),
    }
}

fn negated(builder: &mut Builder, x: &Value) -> Reasoned<Value> {
    builder.binary(BinaryOp::Mul, x, &Value::double(-1.0))
}

fn magnitude(builder: &mut Builder, x: &Value) -> Reasoned<Value> {
    let negative = negated(builder, x)?;
    chosen(builder, CompareOp::Greater, x, &negative)
}

/// Selects the left value if the comparison holds, and otherwise the right.
fn chosen(builder: &mut Builder, op: CompareOp, left: &Value, right: &Value) -> Reasoned<Value> {
    let holds = builder.compare(op, left, right)?;
    builder.select(&holds, left, right)
}

/// Rounds to the nearest integer, ties to even, by adding a number whose last bit is worth 1.
fn round(builder: &mut Builder, x: &Value) -> Reasoned<Value> {
    let magic = Value::double(1.5 * WHOLE);
    let shifted = builder.binary(BinaryOp::Add, x, &magic)?;
    let rounded = builder.binary(BinaryOp::Sub, &shifted, &magic)?;
    let magnitude = magnitude(builder, x)?;
    let has_parts = builder.compare(CompareOp::Less, &magnitude, &Value::double(WHOLE / 2.0))?;
    builder.select(&has_parts, &rounded, x)
}

fn floor(builder: &mut Builder, x: &Value) -> Reasoned<Value> {
    let rounded = round(builder, x)?;
    let above = builder.compare(CompareOp::Greater, &rounded, x)?;
    let below = builder.binary(BinaryOp::Sub, &rounded, &Value::double(1.0))?;
    builder.select(&above, &below, &rounded)
}

/// Remainder by known integers, with the sign of the dividend: the product with the quotient is exact, and a quotient
/// that is off by one can be corrected.
fn remainder(builder: &mut Builder, left: &Value, right: &Value) -> Reasoned<Value> {
    let divisors = right.known().and_then(|known| known.as_f64());
    if !divisors.is_some_and(|divisors| divisors.iter().all(|by| *by != 0.0 && by.fract() == 0.0 && by.abs() < WHOLE)) {
        return Reason::err("the remainder of f64 needs a divisor that is a known integer; cast both to i64 before it");
    }
    let (dividend, divisor) = (magnitude(builder, left)?, magnitude(builder, right)?);
    let quotient = builder.binary(BinaryOp::Div, &dividend, &divisor)?;
    let quotient = floor(builder, &quotient)?;
    let product = builder.binary(BinaryOp::Mul, &quotient, &divisor)?;
    let rest = builder.binary(BinaryOp::Sub, &dividend, &product)?;
    let more = builder.binary(BinaryOp::Add, &rest, &divisor)?;
    let negative = builder.compare(CompareOp::Less, &rest, &Value::double(0.0))?;
    let rest = builder.select(&negative, &more, &rest)?;
    let opposite = negated(builder, &rest)?;
    let below = builder.compare(CompareOp::Less, left, &Value::double(0.0))?;
    builder.select(&below, &opposite, &rest)
}

/// Reduces axes that do not change with the batch and keeps them with one element: halves are combined until one
/// element is left.
pub(super) fn reduce(builder: &mut Builder, op: ReduceOp, x: &Value, axes: &[usize]) -> Reasoned<Value> {
    let op = match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Product => BinaryOp::Mul,
        ReduceOp::Max => BinaryOp::Max,
        ReduceOp::Min => BinaryOp::Min,
        _ => return Reason::err(format!("{op:?} of f64 cannot be part of a plan; cast to f32 or i64 before it")),
    };
    let mut x = x.clone();
    for axis in axes {
        let Some(mut extent @ 1..) = x.shape[*axis].constant() else {
            return Reason::err(format!(
                "a reduction of f64 over an axis of {} elements; cast to f32 or i64 before it",
                x.shape[*axis]
            ));
        };
        while extent > 1 {
            let half = extent / 2;
            let part = |from: usize, len: usize| {
                x.clone().slice(*axis, Extent::fixed(from as i64), Extent::fixed(len as i64), 1)
            };
            let (first, second) = (part(0, half)?, part(half, half)?);
            let last = if extent % 2 == 1 { Some(part(extent - 1, 1)?) } else { None };
            x = arithmetic(builder, op, &first, &second)?;
            if let Some(last) = last {
                x = builder.concat(&[x, last], *axis)?;
            }
            extent = half + extent % 2;
        }
    }
    Ok(x)
}

pub(super) fn mean_of_squares(builder: &mut Builder, x: &Value, axes: &[usize]) -> Reasoned<Value> {
    let squares = builder.binary(BinaryOp::Mul, x, x)?;
    let sum = reduce(builder, ReduceOp::Sum, &squares, axes)?;
    let count: i64 = axes.iter().map(|axis| x.shape[*axis].fixed).product();
    builder.binary(BinaryOp::Div, &sum, &Value::double(count as f64))
}

/// Sum of products over the last `over` axes of two values with the same shape.
pub(super) fn contract(builder: &mut Builder, left: &Value, right: &Value, over: usize) -> Reasoned<Value> {
    let shape = broadcast_shape(&[&left.shape, &right.shape])?;
    let products = builder.binary(BinaryOp::Mul, &left.broadcast(&shape)?, &right.broadcast(&shape)?)?;
    let kept = shape.len() - over;
    let mut sums = reduce(builder, ReduceOp::Sum, &products, &(kept..shape.len()).collect::<Vec<_>>())?;
    for axis in (kept..shape.len()).rev() {
        sums = sums.remove_axis(axis);
    }
    Ok(sums)
}
