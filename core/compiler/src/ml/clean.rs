//! `Imputer` and `Binarizer`, elementwise.

use super::{Attributes, Operator, Output};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tract_onnx::prelude::Datum as _;
use tradewind_core::plan::{CompareOp, DType, UnaryOp};

/// `Imputer`: replaces a value that means "missing" by one value per feature, or one for all.
#[derive(Debug)]
pub(super) enum Imputer {
    Floats { missing: f32, instead: Vec<f32> },
    Integers { missing: i64, instead: Vec<i64> },
}

impl Imputer {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        match (attributes.floats("imputed_value_floats"), attributes.ints("imputed_value_int64s")) {
            ([], []) => Reason::err("it has no values to replace missing ones"),
            ([], integers) => {
                let missing = attributes.int("replaced_value_int64").unwrap_or(0);
                Ok(Self::Integers { missing, instead: integers.to_vec() })
            }
            (floats, _) => {
                let missing = attributes.float("replaced_value_float").unwrap_or(0.0);
                Ok(Self::Floats { missing, instead: floats.to_vec() })
            }
        }
    }
}

impl Operator for Imputer {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Like(match self {
            Self::Floats { .. } => f32::datum_type(),
            Self::Integers { .. } => i64::datum_type(),
        })]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let (missing, instead, dtype) = match self {
            Self::Floats { missing, instead } => (Value::scalar(*missing), Constant::f32(instead), DType::F32),
            Self::Integers { missing, instead } => {
                (Value::integer(DType::I64, *missing), Constant::i64(instead), DType::I64)
            }
        };
        if input.dtype != dtype {
            return Reason::err(format!("its values are {dtype:?}, its input {:?}", input.dtype));
        }
        let count = instead.len();
        let features = input.shape.last().and_then(|extent| extent.constant());
        if input.rank() > 2 || (count > 1 && features.is_none()) {
            return Reason::err("it needs a matrix with a known number of columns");
        }
        let mut instead = Value::constant(instead, &[count])?;
        if features != Some(count) {
            // If their number does not match, the first value is used.
            instead = instead.slice(0, crate::extent::Extent::ZERO, crate::extent::Extent::ONE, 1)?;
        }
        let absent = match self {
            Self::Floats { missing, .. } if missing.is_nan() => builder.unary(UnaryOp::IsNan, input)?,
            _ => builder.compare(CompareOp::Equal, input, &missing)?,
        };
        Ok(vec![builder.select(&absent, &instead, input)?])
    }
}

/// `Binarizer`: 1 above the threshold, otherwise 0.
#[derive(Debug)]
pub(super) struct Binarizer {
    threshold: f32,
}

impl Binarizer {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        Ok(Self { threshold: attributes.float("threshold").unwrap_or(0.0) })
    }
}

impl Operator for Binarizer {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Same]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let x = builder.cast(input, DType::F32)?;
        let above = builder.compare(CompareOp::Greater, &x, &Value::scalar(self.threshold))?;
        Ok(vec![builder.cast(&above, DType::F32)?])
    }
}
