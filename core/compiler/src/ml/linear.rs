//! `LinearClassifier` and `LinearRegressor`: a dense layer, a transform, and a rule for the label.

use super::{
    Attributes, Operator, Output,
    labels::{Label, Labels, Transform, column, flat},
};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// `X × coefficientsᵀ + intercepts`.
#[derive(Debug)]
struct Linear {
    /// Row-major `[targets, features]`.
    coefficients: Vec<f32>,
    /// One per target, or empty.
    intercepts: Vec<f32>,
    targets: usize,
    transform: Transform,
}

impl Linear {
    fn read(attributes: &Attributes<'_>, targets: usize) -> Reasoned<Self> {
        let coefficients = attributes.floats("coefficients").to_vec();
        if targets == 0 || coefficients.is_empty() || !coefficients.len().is_multiple_of(targets) {
            return Reason::err(format!("{} coefficients for {targets} targets", coefficients.len()));
        }
        let intercepts = attributes.floats("intercepts").to_vec();
        let transform = Transform::read(&attributes.string("post_transform", "NONE")?)?;
        Ok(Self { coefficients, intercepts, targets, transform })
    }

    /// Scores before the transform, `[rows, targets]`.
    fn scores(&self, builder: &mut Builder, input: &Value) -> Reasoned<Value> {
        let x = builder.cast(input, DType::F32)?;
        let features = self.coefficients.len() / self.targets;
        let mut matrix = vec![0.0; self.coefficients.len()];
        for (target, row) in self.coefficients.chunks_exact(features).enumerate() {
            for (feature, coefficient) in row.iter().enumerate() {
                matrix[feature * self.targets + target] = *coefficient;
            }
        }
        // onnxruntime ignores intercepts if their number does not match.
        let bias = (self.intercepts.len() == self.targets).then_some(&self.intercepts[..]);
        builder.dense(&x, &matrix, self.targets, bias)
    }
}

/// `LinearRegressor`.
#[derive(Debug)]
pub(super) struct LinearRegressor(Linear);

impl LinearRegressor {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let targets = usize::try_from(attributes.int("targets").unwrap_or(1)).unwrap_or(0);
        Linear::read(attributes, targets).map(Self)
    }
}

impl Operator for LinearRegressor {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Scores(self.0.targets)]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let scores = self.0.scores(builder, input)?;
        let transform = self.0.transform;
        Ok(vec![match self.0.targets {
            1 => transform.apply_to_one_column(builder, &scores)?,
            _ => transform.apply(builder, &scores)?,
        }])
    }
}

/// `LinearClassifier`.
#[derive(Debug)]
pub(super) struct LinearClassifier {
    linear: Linear,
    labels: Labels,
}

impl LinearClassifier {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let labels = Labels::read(attributes, "classlabels_strings", "classlabels_ints")?;
        let linear = Linear::read(attributes, attributes.floats("intercepts").len())?;
        let pair = linear.targets == 1 && labels.len() == 2;
        if !pair && linear.targets != labels.len() {
            return Reason::err(format!("{} intercepts for {} class labels", linear.targets, labels.len()));
        }
        if pair && linear.transform == Transform::Probit {
            return Reason::err("the score of the other class is undefined for PROBIT; export with another transform");
        }
        Ok(Self { linear, labels })
    }
}

impl Operator for LinearClassifier {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Labels(self.labels.datum_type()), Output::Scores(self.labels.len())]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let scores = self.linear.scores(builder, input)?;
        if self.linear.targets > 1 {
            let winners = flat(&builder.reduce(ReduceOp::ArgMax, &scores, &[1])?);
            let label = self.labels.pick(builder, &winners)?;
            return Ok(vec![label, self.linear.transform.apply(builder, &scores)?]);
        }
        let positive = builder.compare(CompareOp::Greater, &flat(&column(&scores, 0)?), &Value::scalar(0.0))?;
        if self.labels.len() == 1 {
            let label = self.labels.choose(builder, &positive, Label::Literal(1), Label::Literal(0))?;
            return Ok(vec![label, self.linear.transform.apply_to_one_column(builder, &scores)?]);
        }
        let label = self.labels.choose(builder, &positive, Label::Class(1), Label::Class(0))?;
        let pair = match self.linear.transform {
            Transform::Logistic => {
                let opposite = builder.unary(UnaryOp::Neg, &scores)?;
                let both = builder.concat(&[opposite, scores], 1)?;
                builder.unary(UnaryOp::Sigmoid, &both)?
            }
            _ => {
                let rest = builder.binary(BinaryOp::Sub, &Value::scalar(1.0), &scores)?;
                builder.concat(&[rest, scores], 1)?
            }
        };
        Ok(vec![label, pair])
    }
}
