//! Functions of one element.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::{
        arena::{cast_mut, outside},
        elements::map,
        functions,
        math::{self, Integer},
        validate::{Checked, ensure},
    },
    plan::{Access, DType, Dim, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[i] = op(T0[i])`, same type and length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unary {
    /// Function.
    pub op: UnaryOp,
}

/// Elementwise function. Float only, except `Abs`, `Neg`, `Sign` (also I64 and I32) and `Not` (Bool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the mathematical function of its name")]
pub enum UnaryOp {
    Abs,
    Neg,
    Sign,
    Not,
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Recip,
    Square,
    Exp,
    Ln,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    Erf,
    /// `ln(1 + exp(x))`
    Softplus,
    Relu,
    Floor,
    Ceil,
    /// Rounds to the nearest integer, ties to even.
    Round,
    /// `sqrt(2) × erf⁻¹(2x − 1)` with the approximation of ONNX-ML runtimes for `PROBIT`.
    Probit,
    IsNan,
    IsInf,
}

/// Elements processed together, so that they stay in the innermost cache.
const BLOCK: usize = 1024;

impl Operation for Unary {
    const NAME: &'static str = "unary";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(1)?;
        let (dtype, out) = (call.dtype(0)?, call.out);
        let fits = match (self.op, dtype) {
            (UnaryOp::Not, DType::Bool) => out == DType::Bool,
            (UnaryOp::IsNan | UnaryOp::IsInf, DType::F32) => out == DType::Bool,
            (UnaryOp::Not | UnaryOp::IsNan | UnaryOp::IsInf, _) => false,
            (_, DType::F32) => out == dtype,
            (op, DType::I64 | DType::I32) => out == dtype && math::integer_has(op),
            _ => false,
        };
        ensure(fits, format_args!("`{:?}` does not take {dtype:?}", self.op))?;
        call.same_len()
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.output()
    }

    fn access(&self, output: Dim) -> Option<Access> {
        Some(Access { shape: vec![output], inputs: vec![Touch::Element], output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (op, out) = (self.op, out.used()?);
        match (op, inputs.dtype(0)?) {
            (UnaryOp::Not, _) => map::<u8, u8>(inputs, out, |x| u8::from(x == 0)),
            (UnaryOp::IsNan, _) => map::<f32, u8>(inputs, out, |x| u8::from(x.is_nan())),
            (UnaryOp::IsInf, _) => map::<f32, u8>(inputs, out, |x| u8::from(x.is_infinite())),
            (_, DType::F32) => {
                let (from, to) = (inputs.elements::<f32>(0)?, cast_mut::<f32>(out)?);
                let from = from.get(..to.len()).ok_or_else(outside)?;
                for (to, from) in to.chunks_mut(BLOCK).zip(from.chunks(BLOCK)) {
                    to.copy_from_slice(from);
                    functions::apply(op, to);
                }
                Ok(())
            }
            (_, DType::I64) => map::<i64, i64>(inputs, out, |x| i64::unary(op, x)),
            (_, DType::I32) => map::<i32, i32>(inputs, out, |x| i32::unary(op, x)),
            (_, DType::U8 | DType::Bool | DType::F64) => Err(outside()),
        }
    }
}
