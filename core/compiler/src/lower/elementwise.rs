//! Element by element: functions, arithmetic, comparisons, choices and casts.

use super::{Site, dtype};
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
        let [on_true, on_false] = &values[..] else { return Reason::err("a choice between two values") };
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
            (false, false) => Reason::err("it looks for no infinity at all"),
        };
    }
    if let Some(GeluApproximate { fast_impl }) = op.0.downcast_ref() {
        return gelu_by_tanh(site, &x, *fast_impl);
    }
    let name = op.0.name();
    match name.as_str() {
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

/// The functions that are one kernel, by tract's name.
fn unary(name: &str) -> Option<UnaryOp> {
    Some(match name {
        "Abs" => UnaryOp::Abs,
        "Neg" => UnaryOp::Neg,
        "Sign" => UnaryOp::Sign,
        "Not" => UnaryOp::Not,
        "Sqrt" => UnaryOp::Sqrt,
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

/// `x^exponent`; small whole exponents by multiplication, which is exact and fast.
fn power(site: &mut Site<'_>, x: &Value, exponent: f32) -> Reasoned<Value> {
    let builder = &mut *site.builder;
    match exponent {
        1.0 => Ok(x.clone()),
        -1.0 => builder.unary(UnaryOp::Recip, x),
        -0.5 => builder.unary(UnaryOp::Rsqrt, x),
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
        // A string that the model does not know equals no constant, but it might another such.
        if !["Eq", "NE"].contains(&name) || (left.known().is_none() && right.known().is_none()) {
            return Reason::err("it works on strings; they can be compared with constants, mapped and moved");
        }
        let values = site.builder.same_text(vec![left, right])?;
        let [one, other] = &values[..] else { return Reason::err("a comparison of two values") };
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
    if name == "ShiftLeft" {
        // tract's form of a multiplication by a power of two.
        let by = right.known().and_then(|known| known.as_integers());
        let Some(&[by]) = by.as_deref().filter(|by| by.iter().all(|n| *n == by[0])).map(|by| &by[..1]) else {
            return Reason::err("shifts by anything but one constant are not supported");
        };
        let factor = Value::integer(left.dtype, 1i64.checked_shl(by as u32).unwrap_or(0));
        let factor = factor.broadcast(&vec![crate::extent::Extent::ONE; left.rank()])?;
        return site.builder.binary(BinaryOp::Mul, &left, &factor);
    }
    let logic = left.dtype == DType::Bool;
    let op = match name {
        "Add" => BinaryOp::Add,
        "Sub" | "SubF" => BinaryOp::Sub,
        "Mul" => BinaryOp::Mul,
        "Div" => BinaryOp::Div,
        "Rem" => BinaryOp::Rem,
        "Min" => BinaryOp::Min,
        "Max" => BinaryOp::Max,
        "Pow" => BinaryOp::Pow,
        "And" | "BitAnd" if logic => BinaryOp::And,
        "Or" | "BitOr" if logic => BinaryOp::Or,
        "Xor" | "BitXor" if logic => BinaryOp::Xor,
        _ => return Reason::err(format!("`{name}` of {:?} cannot be part of a plan yet", left.dtype)),
    };
    site.builder.binary(op, &left, &right)
}

/// The `x` of `max(x, 0)`.
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
    // These are held in a wider type, so a cast from anything that may not fit would have to wrap.
    let wraps = matches!(to, DatumType::I8 | DatumType::I16 | DatumType::U16 | DatumType::U32);
    let fits = from == to || from == bool::datum_type() || (from == u8::datum_type() && to != DatumType::I8);
    if wraps && !fits {
        return Reason::err(format!("a cast to {to:?} could wrap around; cast to i32 or i64"));
    }
    site.builder.cast(&x, dtype(to)?)
}
