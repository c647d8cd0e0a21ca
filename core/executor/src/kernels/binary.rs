//! Functions of two elements, with broadcasting.

use super::{Inputs, Operation, Output, by_number};
use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
    exec::{
        arena::outside,
        elements::{double, each, zip},
        math::Number,
        validate::{Checked, ensure, is_number},
        walk::Walk,
    },
    plan::{Access, DType, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// `output[i] = op(T0[left(i)], T1[right(i)])`, output contiguous over `shape`. F32, I64 or I32, the same for all
/// three; F64 for Add, Sub, Mul and Div; any type except floats for And, Or and Xor, I64 for shifts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binary {
    /// Function.
    pub op: BinaryOp,
    /// Extents of the output.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// View of `T0`.
    pub left: View,
    /// View of `T1`.
    pub right: View,
}

/// Function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the arithmetic or logical function of its name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate towards zero; an integer division by zero is a fault.
    Div,
    /// Remainder with the sign of the dividend.
    Rem,
    /// Remainder with the sign of the divisor.
    Mod,
    /// Minimum; NaN if either is NaN.
    Min,
    /// Maximum; NaN if either is NaN.
    Max,
    Pow,
    /// Bitwise, like [`Or`](Self::Or) and [`Xor`](Self::Xor).
    And,
    Or,
    Xor,
    /// Left shift; 0 for shifts below 0 or above 63.
    ShiftLeft,
    /// Arithmetic right shift; only the sign remains for shifts below 0 or above 63.
    ShiftRight,
    /// `T0` where it is at least 0, else `T0 × T1`.
    Prelu,
}

impl Operation for Binary {
    const NAME: &'static str = "binary";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { op, shape, left, right } = self;
        let out = call.out;
        call.arity(2)?;
        let typed = match op {
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div if out == DType::F64 => true,
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => !matches!(out, DType::F32 | DType::F64),
            BinaryOp::ShiftLeft | BinaryOp::ShiftRight => out == DType::I64,
            _ => is_number(out),
        };
        ensure(typed, format_args!("`{op:?}` does not give {out:?}"))?;
        ensure(call.dtype(0)? == out && call.dtype(1)? == out, "operands of different types")?;
        call.view(0, &[shape], left)?;
        call.view(1, &[shape], right)?;
        call.fills(&[shape])
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let inputs = [&self.left, &self.right].map(Touch::view).into();
        Some(Access { shape: self.shape.clone(), inputs, output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let op = self.op;
        let walk = Walk::new(&self.shape, [&self.left, &self.right], inputs.rows)?;
        match (out.dtype, op) {
            // The most common functions have separate loops, which vectorise.
            (DType::F32, BinaryOp::Add) => zip::<f32, f32>(&walk, inputs, out, &mut each(|a, b| a + b)),
            (DType::F32, BinaryOp::Sub) => zip::<f32, f32>(&walk, inputs, out, &mut each(|a, b| a - b)),
            (DType::F32, BinaryOp::Mul) => zip::<f32, f32>(&walk, inputs, out, &mut each(|a, b| a * b)),
            (DType::F32, BinaryOp::Div) => zip::<f32, f32>(&walk, inputs, out, &mut each(|a, b| a / b)),
            (DType::F32, BinaryOp::Prelu) => {
                zip::<f32, f32>(&walk, inputs, out, &mut each(|a, b| if a < 0.0 { a * b } else { a }))
            }
            (DType::Bool | DType::U8, BinaryOp::And) => zip::<u8, u8>(&walk, inputs, out, &mut each(|a, b| a & b)),
            (DType::Bool | DType::U8, BinaryOp::Or) => zip::<u8, u8>(&walk, inputs, out, &mut each(|a, b| a | b)),
            (DType::Bool | DType::U8, BinaryOp::Xor) => zip::<u8, u8>(&walk, inputs, out, &mut each(|a, b| a ^ b)),
            // Doubles are moved as integers with the same bits, because that loop exists already.
            (DType::F64, _) => zip::<i64, i64>(
                &walk,
                inputs,
                out,
                &mut each(|a, b| {
                    let (a, b) = (double(a), double(b));
                    let result = match op {
                        BinaryOp::Add => a + b,
                        BinaryOp::Sub => a - b,
                        BinaryOp::Mul => a * b,
                        _ => a / b,
                    };
                    result.to_bits().cast_signed()
                }),
            ),
            (dtype, _) => by_number!(dtype, T => {
                let mut undefined = false;
                zip::<T, T>(&walk, inputs, out, &mut each(|a, b| T::binary(op, a, b).unwrap_or_else(|| {
                    undefined = true;
                    a
                })))?;
                if undefined {
                    let message = "an integer was divided by zero; check the input";
                    return Err(Error::new(ErrorKind::DivisionByZero, message));
                }
                Ok(())
            }),
        }
    }
}
