//! `Scaler`: `(x − offset) × scale`.

use super::{Attributes, Operator, Output};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::{Constant, Value, show},
};
use tradewind_core::plan::{BinaryOp, DType};

/// Attributes of a `Scaler`.
#[derive(Debug)]
pub(super) struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Scaler {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let (offset, scale) = (attributes.floats("offset").to_vec(), attributes.floats("scale").to_vec());
        if scale.is_empty() || offset.len() != scale.len() {
            return Reason::err(format!(
                "`offset` has {} values and `scale` {}; both need one value, or one for each feature",
                offset.len(),
                scale.len()
            ));
        }
        Ok(Self { offset, scale })
    }
}

impl Operator for Scaler {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Same]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let features = input.shape.last().and_then(|extent| extent.constant());
        if input.rank() > 2 || (self.scale.len() != 1 && features != Some(self.scale.len())) {
            return Reason::err(format!(
                "it scales {} features of a tensor of shape {}; give it a matrix with that many columns",
                self.scale.len(),
                show(&input.shape)
            ));
        }
        // onnxruntime scales f64 in f64, and rounds the result.
        let double = input.dtype == DType::F64;
        let x = if double { input.clone() } else { builder.cast(input, DType::F32)? };
        let constant = |numbers: &[f32]| {
            let wide = || numbers.iter().map(|&number| number.into()).collect::<Vec<f64>>();
            Value::constant(if double { Constant::f64(&wide()) } else { Constant::f32(numbers) }, &[numbers.len()])
        };
        let shifted = builder.binary(BinaryOp::Sub, &x, &constant(&self.offset)?)?;
        let scaled = builder.binary(BinaryOp::Mul, &shifted, &constant(&self.scale)?)?;
        Ok(vec![builder.cast(&scaled, DType::F32)?])
    }
}
