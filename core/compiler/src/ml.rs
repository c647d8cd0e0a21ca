//! ai.onnx.ml operators, lowered directly from their ONNX nodes.
//!
//! tract's versions are missing, wrong or slow. Each operator stays one node through tract's passes.

mod clean;
mod distances;
mod ensemble;
mod forest;
mod labels;
mod linear;
mod machines;
pub(crate) mod maps;
mod normalizer;
mod scaler;
mod threshold;
mod trees;
mod vectorizer;

use crate::{
    attributes::Attributes,
    builder::Builder,
    idioms::DISTANCES,
    refusal::{Reason, Reasoned},
    value::Value,
    whole::{self, Built, Shapes, shape},
};
use std::fmt::Debug;
use tract_onnx::{model::OnnxOpRegister, pb::NodeProto, tract_core::internal::*};

/// Operator of ai.onnx.ml.
trait Operator: Debug + Send + Sync + 'static {
    /// Outputs for a matrix `[rows, features]`.
    fn outputs(&self) -> Vec<Output>;

    /// Appends the operator to a plan.
    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>>;

    /// Like [`lower`](Self::lower), with all inputs if there can be several.
    fn lower_all(&self, builder: &mut Builder, inputs: &[Value]) -> Reasoned<Vec<Value>> {
        match inputs {
            [input] => self.lower(builder, input),
            _ => Reason::err(format!("{} inputs instead of one", inputs.len())),
        }
    }
}

/// Output of an operator.
#[derive(Debug, Clone, Copy)]
enum Output {
    /// `[rows]`, I64 or strings.
    Labels(DatumType),
    /// `[rows, columns]`, F32.
    Scores(usize),
    /// F32 with the shape of the input.
    Same,
    /// A type, with the shape of the input.
    Like(DatumType),
    /// With the shape of the input: integers for strings, and strings for integers.
    Mapped,
    /// F32 with the shape of the input and an additional last axis of this extent.
    Expanded(usize),
    /// F32 `[rows, rows of the second input]`.
    Table,
}

impl Output {
    /// Element type, if it does not depend on the input's.
    fn datum_type(self) -> Option<DatumType> {
        match self {
            Self::Labels(datum_type) | Self::Like(datum_type) => Some(datum_type),
            Self::Scores(_) | Self::Same | Self::Expanded(_) | Self::Table => Some(f32::datum_type()),
            Self::Mapped => None,
        }
    }
}

/// Result type of [`Output::Mapped`].
fn mapped(from: DatumType) -> DatumType {
    if from == String::datum_type() { i64::datum_type() } else { String::datum_type() }
}

/// Replaces tract's operators by ours.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Binarizer", |_, node| build(node, clean::Binarizer::read));
    operators.insert("CategoryMapper", |_, node| build(node, maps::CategoryMapper::read));
    operators.insert("FeatureVectorizer", |_, node| build(node, vectorizer::FeatureVectorizer::read));
    operators.insert("Imputer", |_, node| build(node, clean::Imputer::read));
    operators.insert("LabelEncoder", |_, node| {
        let first = node.attribute.iter().any(|attribute| attribute.name == "classes_strings");
        if first { build(node, maps::CategoryMapper::read) } else { build(node, maps::LabelEncoder::read) }
    });
    operators.insert("LinearClassifier", |_, node| build(node, linear::LinearClassifier::read));
    operators.insert("LinearRegressor", |_, node| build(node, linear::LinearRegressor::read));
    operators.insert("Normalizer", |_, node| build(node, normalizer::Normalizer::read));
    operators.insert("OneHotEncoder", |_, node| build(node, maps::OneHotEncoder::read));
    operators.insert("SVMClassifier", |_, node| build(node, machines::SvmClassifier::read));
    operators.insert("SVMRegressor", |_, node| build(node, machines::SvmRegressor::read));
    operators.insert("Scaler", |_, node| build(node, scaler::Scaler::read));
    operators.insert(DISTANCES, |_, node| build(node, distances::Distances::read));
    operators.insert("TreeEnsemble", |_, node| build(node, trees::TreeRegressor::read_v5));
    operators.insert("TreeEnsembleClassifier", |_, node| build(node, trees::TreeClassifier::read));
    operators.insert("TreeEnsembleRegressor", |_, node| build(node, trees::TreeRegressor::read_v3));
}

fn build<O: Operator>(node: &NodeProto, read: fn(&Attributes<'_>) -> Reasoned<O>) -> Built {
    whole::build(node, |node| read(&node.attributes))
}

impl<O: Operator> whole::Operator for O {
    fn datum_type(&self, n: usize, first: DatumType) -> DatumType {
        self.outputs().get(n).and_then(|output| output.datum_type()).unwrap_or_else(|| mapped(first))
    }

    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        let input = shape(inputs, 0)?;
        let rows = || match input {
            [rows, _] => Ok(rows.clone()),
            _ => Reason::err(format!("it needs a matrix [rows, features], not a tensor of {} axes", input.len())),
        };
        let shapes = self.outputs().into_iter().map(|output| {
            Ok(match output {
                Output::Labels(_) => tvec!(rows()?),
                Output::Scores(columns) => tvec!(rows()?, columns.to_dim()),
                Output::Table => {
                    let points = shape(inputs, 1)?.first().cloned();
                    tvec!(rows()?, points.ok_or_else(|| Reason("points without an axis".into()))?)
                }
                Output::Same | Output::Like(_) | Output::Mapped => input.into(),
                Output::Expanded(last) => input.iter().cloned().chain([last.to_dim()]).collect(),
            })
        });
        shapes.collect()
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let inputs: Option<Vec<Value>> = inputs.iter().cloned().collect();
        let inputs = inputs.ok_or_else(|| Reason("an input is missing".into()))?;
        Ok(self.lower_all(builder, &inputs)?.into_iter().map(Some).collect())
    }
}
