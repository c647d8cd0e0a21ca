//! `Normalizer`: divides rows by their norm. A row with norm zero is unchanged.

use super::{Attributes, Operator, Output};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::{Value, show},
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Norm of a `Normalizer`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Normalizer {
    /// Maximum element (with its sign, as in onnxruntime).
    Max,
    /// Sum of magnitudes.
    L1,
    /// Root of the sum of squares.
    L2,
}

impl Normalizer {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        match attributes.string("norm", "MAX")?.as_str() {
            "MAX" => Ok(Self::Max),
            "L1" => Ok(Self::L1),
            "L2" => Ok(Self::L2),
            other => Reason::err(format!("unknown norm `{other}` (expected MAX, L1 or L2)")),
        }
    }
}

impl Operator for Normalizer {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Same]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let Some(axis) = input.rank().checked_sub(1).filter(|axis| *axis < 2) else {
            return Reason::err(format!(
                "it normalises rows of a matrix, not of a tensor of shape {}",
                show(&input.shape)
            ));
        };
        let x = builder.cast(input, DType::F32)?;
        let reduce = match self {
            Self::Max => ReduceOp::Max,
            Self::L1 => ReduceOp::SumOfMagnitudes,
            Self::L2 => ReduceOp::SumOfSquares,
        };
        let sum = builder.reduce(reduce, &x, &[axis])?;
        let zero = builder.compare(CompareOp::Equal, &sum, &Value::scalar(0.0))?;
        let norm = if matches!(self, Self::L2) { builder.unary(UnaryOp::Sqrt, &sum)? } else { sum };
        let norm = builder.select(&zero, &Value::scalar(1.0), &norm)?;
        Ok(vec![builder.binary(BinaryOp::Div, &x, &norm)?])
    }
}
