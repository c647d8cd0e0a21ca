//! Elementwise operators: functions, arithmetic, comparisons, selection and casts.

use super::{Site, double, dtype};
use crate::{
    refusal::{Reason, Reasoned},
    value::Value,
};
use tract_onnx::{
    prelude::*,
    tract_core::ops::{
        binary::TypedBinOp,
        cast::Cast,
        element_wise::ElementWiseOp,
        identity::Identity,
        logic::Iff,
        math::{IsInf, PowConst},
        nn::{GeluApproximate, LeakyRelu},
    },
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, UnaryOp};

pub(super) fn lower(site: &mut Site<'_>) -> Reasoned<Option<Vec<Value>>> {
    let value = if let Some(op) = site.node.op_as::<ElementWiseOp>() {
        function(site, op)?
    } else if let Some(op) = site.node.op_as::<TypedBinOp>() {
        arithmetic(site, op)?
    } else if site.node.op_is::<Iff>() {
        let (condition, on_true, on_false) = (site.input(0)?, site.input(1)?, site.input(2)?);
        let values = site.builder.same_text(vec![on_true, on_false])?;
        let [on_true, on_false] = &values[..] else { return Reason::err("a selection needs two values") };
        site.builder.select(&condition, on_true, on_false)?.with_categories(on_true.categories.clone())
    } else if let Some(op) = site.node.op_as::<Cast>() {
        cast(site, op.to)?
    } else if site.node.op_is::<Identity>() {
        site.input(0)?
    } else {
        return Ok(None);
    };
    Ok(Some(vec![value]))
}

fn function(site: &mut Site<'_>, op: &ElementWiseOp) -> Reasoned<Value> {
    let x = site.input(0)?;
    let builder = &mut *site.builder;
    if let Some(LeakyRelu { alpha }) = op.0.downcast_ref() {
        return builder.binary(BinaryOp::Prelu, &x, &Value::scalar(*alpha));
    }
    if let Some(PowConst { exponent }) = op.0.downcast_ref() {
        return power(site, &x, *exponent);
    }
    if let Some(IsInf { detect_positive, detect_negative }) = op.0.downcast_ref() {
        return match (detect_positive, detect_negative) {
            (true, true) => builder.unary(UnaryOp::IsInf, &x),
            (true, false) => builder.compare(CompareOp::Equal, &x, &Value::scalar(f32::INFINITY)),
            (false, true) => builder.compare(CompareOp::Equal, &x, &Value::scalar(f32::NEG_INFINITY)),
            (false, false) => Reason::err("it detects neither positive nor negative infinity"),
        };
    }
    if let Some(GeluApproximate { fast_impl }) = op.0.downcast_ref() {
        return gelu_by_tanh(site, &x, *fast_impl);
    }
    let name = op.0.name();
    if x.dtype == DType::F64 {
        return double::function(builder, &name, &x);
    }
    let datum_type = site.input_type(0)?;
    if datum_type.is_integer() && matches!(name.as_str(), "Neg" | "Abs" | "Sign" | "BitNot") {
        return integer_function(site, &name, datum_type);
    }
    let builder = &mut *site.builder;
    match name.as_str() {
        "Nought" => Value::scalar(0.0).broadcast(&x.shape),
        // tract's form of x × x.
        "Square" if x.dtype != DType::F32 => {
            let x = site.number(0)?;
            let square = site.builder.binary(BinaryOp::Mul, &x, &x)?;
            site.wrapped(&square, datum_type)
        }
        "GeluExact" => {
            // x/2 × (1 + erf(x / √2))
            let scaled = builder.binary(BinaryOp::Mul, &x, &Value::scalar(std::f32::consts::FRAC_1_SQRT_2))?;
            let erf = builder.unary(UnaryOp::Erf, &scaled)?;
            let one_more = builder.binary(BinaryOp::Add, &erf, &Value::scalar(1.0))?;
            let half = builder.binary(BinaryOp::Mul, &x, &Value::scalar(0.5))?;
            builder.binary(BinaryOp::Mul, &half, &one_more)
        }
        "Silu" => {
            let gate = builder.unary(UnaryOp::Sigmoid, &x)?;
            builder.binary(BinaryOp::Mul, &x, &gate)
        }
        "HardSwish" => {
            // x × min(1, max(0, x/6 + 1/2))
            let sixth = builder.binary(BinaryOp::Mul, &x, &Value::scalar(1.0 / 6.0))?;
            let shifted = builder.binary(BinaryOp::Add, &sixth, &Value::scalar(0.5))?;
            let low = builder.unary(UnaryOp::Relu, &shifted)?;
            let gate = builder.binary(BinaryOp::Min, &low, &Value::scalar(1.0))?;
            builder.binary(BinaryOp::Mul, &x, &gate)
        }
        "Ceil" | "Floor" | "Round" | "RoundHalfToEven" if x.dtype != DType::F32 => Ok(x),
        "BitNot" if x.dtype == DType::Bool => builder.unary(UnaryOp::Not, &x),
        name => match unary(name) {
            Some(op) => builder.unary(op, &x),
            None => Reason::err(format!("function `{name}` cannot be part of a plan yet; export the model without it")),
        },
    }
}

fn integer_function(site: &mut Site<'_>, name: &str, datum_type: DatumType) -> Reasoned<Value> {
    let x = site.number(0)?;
    let result = match unary(name) {
        Some(op) => site.builder.unary(op, &x)?,
        // All bits of −1 are set.
        None => site.builder.binary(BinaryOp::Xor, &x, &Value::integer(x.dtype, -1))?,
    };
    site.wrapped(&result, datum_type)
}

/// Functions with a kernel of their own, by tract's name.
fn unary(name: &str) -> Option<UnaryOp> {
    Some(match name {
        "Abs" => UnaryOp::Abs,
        "Neg" => UnaryOp::Neg,
        "Sign" => UnaryOp::Sign,
        "Not" => UnaryOp::Not,
        "Sqrt" | "Root" => UnaryOp::Sqrt,
        "Rsqrt" => UnaryOp::Rsqrt,
        "Recip" => UnaryOp::Recip,
        "Square" => UnaryOp::Square,
        "Exp" => UnaryOp::Exp,
        "Ln" => UnaryOp::Ln,
        "Sin" => UnaryOp::Sin,
        "Cos" => UnaryOp::Cos,
        "Tan" => UnaryOp::Tan,
        "Asin" => UnaryOp::Asin,
        "Acos" => UnaryOp::Acos,
        "Atan" => UnaryOp::Atan,
        "Sinh" => UnaryOp::Sinh,
        "Cosh" => UnaryOp::Cosh,
        "Tanh" => UnaryOp::Tanh,
        "Asinh" => UnaryOp::Asinh,
        "Acosh" => UnaryOp::Acosh,
        "Atanh" => UnaryOp::Atanh,
        "Sigmoid" => UnaryOp::Sigmoid,
        "Erf" => UnaryOp::Erf,
        "Floor" => UnaryOp::Floor,
        "Ceil" => UnaryOp::Ceil,
        "RoundHalfToEven" => UnaryOp::Round,
        "IsNan" => UnaryOp::IsNan,
        "Softplus" => UnaryOp::Softplus,
        _ => return None,
    })
}

/// `x^exponent`; small integer exponents by multiplication, which is exact and fast.
fn power(site: &mut Site<'_>, x: &Value, exponent: f32) -> Reasoned<Value> {
    let builder = &mut *site.builder;
    match exponent {
        1.0 => Ok(x.clone()),
        -1.0 => builder.unary(UnaryOp::Recip, x),
        3.0 | 4.0 => {
            let square = builder.unary(UnaryOp::Square, x)?;
            if exponent == 4.0 {
                builder.unary(UnaryOp::Square, &square)
            } else {
                builder.binary(BinaryOp::Mul, &square, x)
            }
        }
        _ => builder.binary(BinaryOp::Pow, x, &Value::scalar(exponent)),
    }
}

/// `x/2 × (1 + tanh(√(2/π) (x + 0.044715 xⁿ)))`, n = 3, or 2 in tract's other form.
fn gelu_by_tanh(site: &mut Site<'_>, x: &Value, squared: bool) -> Reasoned<Value> {
    let builder = &mut *site.builder;
    let mut power = builder.unary(UnaryOp::Square, x)?;
    if !squared {
        power = builder.binary(BinaryOp::Mul, &power, x)?;
    }
    let power = builder.binary(BinaryOp::Mul, &power, &Value::scalar(0.044_715))?;
    let sum = builder.binary(BinaryOp::Add, x, &power)?;
    let scaled = builder.binary(BinaryOp::Mul, &sum, &Value::scalar((2.0 / std::f32::consts::PI).sqrt()))?;
    let tanh = builder.unary(UnaryOp::Tanh, &scaled)?;
    let one_more = builder.binary(BinaryOp::Add, &tanh, &Value::scalar(1.0))?;
    let half = builder.binary(BinaryOp::Mul, x, &Value::scalar(0.5))?;
    builder.binary(BinaryOp::Mul, &half, &one_more)
}

fn arithmetic(site: &mut Site<'_>, op: &TypedBinOp) -> Reasoned<Value> {
    let (mut left, mut right) = (site.input(0)?, site.input(1)?);
    let name = op.0.name();
    if left.categories.is_some() || right.categories.is_some() {
        // An unknown string differs from every constant, but may equal another unknown string.
        if !["Eq", "NE"].contains(&name) || (left.known().is_none() && right.known().is_none()) {
            return Reason::err("it works on strings; they can be compared with constants, mapped and moved");
        }
        let values = site.builder.same_text(vec![left, right])?;
        let [one, other] = &values[..] else { return Reason::err("a comparison needs two values") };
        (left, right) = (one.clone(), other.clone());
    }
    if let Some(op) = comparison(name) {
        return site.builder.compare(op, &left, &right);
    }
    if name == "SubF" {
        std::mem::swap(&mut left, &mut right);
    }
    if name == "Max"
        && let Some(x) = relu(&left, &right)
    {
        return site.builder.unary(UnaryOp::Relu, x);
    }
    if left.dtype == DType::U8 && !matches!(name, "BitAnd" | "BitOr" | "BitXor") {
        (left, right) = (site.builder.cast(&left, DType::I32)?, site.builder.cast(&right, DType::I32)?);
    }
    if name.starts_with("Shift") {
        (left, right) = (site.builder.cast(&left, DType::I64)?, site.builder.cast(&right, DType::I64)?);
    }
    let logic = left.dtype == DType::Bool;
    let op = match name {
        "Add" | "Plus" => BinaryOp::Add,
        "Sub" | "SubF" | "Minus" => BinaryOp::Sub,
        "Mul" | "Times" => BinaryOp::Mul,
        "Div" | "Divide" => BinaryOp::Div,
        "Rem" | "Remainder" => BinaryOp::Rem,
        "Modulo" => BinaryOp::Mod,
        "Min" => BinaryOp::Min,
        "Max" => BinaryOp::Max,
        "Pow" | "Raise" => BinaryOp::Pow,
        "And" if logic => BinaryOp::And,
        "Or" if logic => BinaryOp::Or,
        "Xor" if logic => BinaryOp::Xor,
        "BitAnd" => BinaryOp::And,
        "BitOr" => BinaryOp::Or,
        "BitXor" => BinaryOp::Xor,
        "ShiftLeft" => BinaryOp::ShiftLeft,
        "ShiftRight" => BinaryOp::ShiftRight,
        _ => return Reason::err(format!("`{name}` of {:?} cannot be part of a plan yet", left.dtype)),
    };
    if left.dtype == DType::F64 {
        return double::arithmetic(site.builder, op, &left, &right);
    }
    let datum_type = site.input_type(0)?;
    let mut result = site.builder.binary(op, &left, &right)?;
    if op == BinaryOp::ShiftRight && datum_type == u64::datum_type() {
        // The bits shifted in are cleared: −1 << (64 − n).
        let ones = Value::integer(DType::I64, -1);
        let kept = site.builder.binary(BinaryOp::Sub, &Value::integer(DType::I64, 64), &right)?;
        let came_in = site.builder.binary(BinaryOp::ShiftLeft, &ones, &kept)?;
        let others = site.builder.binary(BinaryOp::Xor, &came_in, &ones)?;
        result = site.builder.binary(BinaryOp::And, &result, &others)?;
    }
    let narrow = matches!(
        op,
        BinaryOp::Min | BinaryOp::Max | BinaryOp::Rem | BinaryOp::Mod | BinaryOp::And | BinaryOp::Or | BinaryOp::Xor
    );
    match result.dtype {
        // Results that cannot leave the type need no wrapping.
        DType::I64 if narrow => Ok(result),
        DType::I64 if datum_type == i32::datum_type() => site.builder.cast(&result, DType::I32),
        _ => site.wrapped(&result, datum_type),
    }
}

/// Returns `x` if the operands are those of `max(x, 0)`.
fn relu<'a>(left: &'a Value, right: &'a Value) -> Option<&'a Value> {
    [(left, right), (right, left)].into_iter().find_map(|(x, zero)| {
        let broadcasts = zero.shape.iter().all(|extent| extent.is_one()) && zero.rank() <= x.rank();
        (broadcasts && x.dtype == DType::F32 && zero.known_uniform() == Some(0.0)).then_some(x)
    })
}

fn comparison(name: &str) -> Option<CompareOp> {
    Some(match name {
        "Eq" => CompareOp::Equal,
        "NE" => CompareOp::NotEqual,
        "LT" => CompareOp::Less,
        "LTE" => CompareOp::LessOrEqual,
        "GT" => CompareOp::Greater,
        "GTE" => CompareOp::GreaterOrEqual,
        _ => return None,
    })
}

fn cast(site: &mut Site<'_>, to: DatumType) -> Reasoned<Value> {
    let (x, from) = (site.input(0)?, site.input_type(0)?);
    let is_string = |datum_type: DatumType| datum_type == String::datum_type();
    if is_string(from) || is_string(to) {
        return if from == to { Ok(x) } else { Reason::err("casts between strings and numbers are not supported") };
    }
    let cast = site.builder.cast(&x, dtype(to)?)?;
    let fits = from == to || from == bool::datum_type() || (from == u8::datum_type() && to != DatumType::I8);
    if fits { Ok(cast) } else { site.wrapped(&cast, to) }
}
