//! Normalisations that tract supports partially: of a batch by known moments, and among channels.

use super::{
    Node, Operator, Shapes, input, shape,
    window::{Slide, padded, windows},
};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tract_onnx::prelude::{TDim, TVec};
use tradewind_core::plan::{BinaryOp, ReduceOp, UnaryOp};

/// `BatchNormalization` for inference: `(x − mean) / √(variance + ε) × scale + bias` by channel.
#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    epsilon: f32,
}

/// `LRN`: `x / (bias + alpha / size × Σ x²)^beta`, summed over `size` neighbouring channels.
#[derive(Debug, Clone)]
pub(super) struct LocalResponse {
    alpha: f32,
    beta: f32,
    bias: f32,
    size: usize,
}

impl BatchNorm {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        if attributes.int("training_mode") == Some(1) || node.used.iter().skip(1).any(|used| *used) {
            return Reason::err("it is in training mode; export the model for inference");
        }
        if attributes.int("spatial") == Some(0) {
            return Reason::err("`spatial` of 0 is not supported; export it for operator set 9 or newer");
        }
        Ok(Self { epsilon: attributes.float("epsilon").unwrap_or(1e-5) })
    }
}

impl Operator for BatchNorm {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        Ok(vec![shape(inputs, 0)?.into()])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let x = input(inputs, 0)?;
        let [scale, bias, mean, variance] =
            [input(inputs, 1)?, input(inputs, 2)?, input(inputs, 3)?, input(inputs, 4)?];
        let known = |value: &Value| value.known().and_then(|known| known.as_f32());
        // y = x × factor + rest, both known if the moments are.
        let (factor, rest) = match [scale, bias, mean, variance].map(known) {
            [Some(scale), Some(bias), Some(mean), Some(variance)] => {
                let factor: Vec<f32> =
                    scale.iter().zip(variance).map(|(scale, v)| scale / (v + self.epsilon).sqrt()).collect();
                let rest: Vec<f32> =
                    bias.iter().zip(mean).zip(&factor).map(|((bias, mean), f)| bias - mean * f).collect();
                (Builder::f32s(&factor, &[factor.len()])?, Builder::f32s(&rest, &[rest.len()])?)
            }
            _ => {
                let shifted = builder.binary(BinaryOp::Add, variance, &Value::scalar(self.epsilon))?;
                let deviation = builder.unary(UnaryOp::Rsqrt, &shifted)?;
                let factor = builder.binary(BinaryOp::Mul, scale, &deviation)?;
                let moved = builder.binary(BinaryOp::Mul, mean, &factor)?;
                let rest = builder.binary(BinaryOp::Sub, bias, &moved)?;
                (factor, rest)
            }
        };
        let by_channel = |value: Value| (2..x.rank()).fold(value, |value, _| value.insert_axis(1));
        let scaled = builder.binary(BinaryOp::Mul, x, &by_channel(factor))?;
        Ok(vec![Some(builder.binary(BinaryOp::Add, &scaled, &by_channel(rest))?)])
    }
}

impl LocalResponse {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        let size = attributes.int("size").and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        Ok(Self {
            alpha: attributes.float("alpha").unwrap_or(1e-4),
            beta: attributes.float("beta").unwrap_or(0.75),
            bias: attributes.float("bias").unwrap_or(1.0),
            size: size.ok_or_else(|| Reason("`size` is missing".into()))?,
        })
    }
}

impl Operator for LocalResponse {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        Ok(vec![shape(inputs, 0)?.into()])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let x = input(inputs, 0)?;
        let Some(extent) = x.shape.get(1).and_then(|extent| extent.constant()) else {
            return Reason::err("channels that grow with the batch");
        };
        let pads = [(self.size - 1) / 2, self.size / 2];
        let slides = [Slide { extent, kernel: self.size, stride: 1, dilation: 1, pads, places: extent }];
        let whole = padded(builder, x, 1, &slides, 0.0)?;
        let sum = builder.reduce(ReduceOp::SumOfSquares, &windows(&whole, 1, &slides)?, &[2])?.remove_axis(2);
        let scaled = builder.binary(BinaryOp::Mul, &sum, &Value::scalar(self.alpha / self.size as f32))?;
        let shifted = builder.binary(BinaryOp::Add, &scaled, &Value::scalar(self.bias))?;
        let divisor = builder.binary(BinaryOp::Pow, &shifted, &Value::scalar(self.beta))?;
        Ok(vec![Some(builder.binary(BinaryOp::Div, x, &divisor)?)])
    }
}
