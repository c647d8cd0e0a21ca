//! The ai.onnx.ml operators, taken straight from their ONNX nodes.
//!
//! tract's own are missing, wrong or slow. Each operator here is read by a builder in tract's
//! register, stays whole through tract's passes as an [`MlOp`], and is lowered by itself.

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
    refusal::{Reason, Reasoned, Refusal, node_name},
    value::Value,
};
use std::{fmt::Debug, sync::Arc};
use tract_onnx::{
    model::OnnxOpRegister,
    pb::NodeProto,
    tract_core::internal::*,
    tract_hir::internal::{Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand},
};

/// An operator of ai.onnx.ml.
trait Operator: Debug + Send + Sync {
    /// What it gives for a matrix `[rows, features]`.
    fn outputs(&self) -> Vec<Output>;

    /// Appends it to a plan.
    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>>;

    /// As [`lower`](Self::lower), of all inputs where there may be several.
    fn lower_all(&self, builder: &mut Builder, inputs: &[Value]) -> Reasoned<Vec<Value>> {
        match inputs {
            [input] => self.lower(builder, input),
            _ => Reason::err(format!("{} inputs instead of one", inputs.len())),
        }
    }
}

/// An output of an operator.
#[derive(Debug, Clone, Copy)]
enum Output {
    /// `[rows]`, I64 or strings.
    Labels(DatumType),
    /// `[rows, columns]`, F32.
    Scores(usize),
    /// F32 in the shape of the input.
    Same,
    /// A type, in the shape of the input.
    Like(DatumType),
    /// In the shape of the input: integers for strings, and strings for integers.
    Mapped,
    /// F32 in the shape of the input, and a last axis of so many.
    Expanded(usize),
    /// F32 `[rows, rows of the second input]`.
    Table,
}

impl Output {
    /// The element type, where it does not depend on the input's.
    fn datum_type(self) -> Option<DatumType> {
        match self {
            Self::Labels(datum_type) | Self::Like(datum_type) => Some(datum_type),
            Self::Scores(_) | Self::Same | Self::Expanded(_) | Self::Table => Some(f32::datum_type()),
            Self::Mapped => None,
        }
    }
}

/// What [`Output::Mapped`] makes of a type.
fn mapped(from: DatumType) -> DatumType {
    if from == String::datum_type() { i64::datum_type() } else { String::datum_type() }
}

/// Puts our operators in the place of tract's.
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

/// The operator of a node, where it is one of ours.
pub(crate) fn lowered(node: &TypedNode, builder: &mut Builder, inputs: &[Value]) -> Option<Reasoned<Vec<Value>>> {
    let op = node.op_as::<MlOp>()?;
    Some(op.operator.lower_all(builder, inputs).map(|outputs| op.wired.iter().map(|&n| outputs[n].clone()).collect()))
}

/// Whether a graph holds an operator that only we can run.
pub(crate) fn any(model: &TypedModel) -> bool {
    model.nodes().iter().any(|node| node.op_is::<MlOp>())
}

fn build<O: Operator + 'static>(
    node: &NodeProto,
    read: fn(&Attributes<'_>) -> Reasoned<O>,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let operator = read(&Attributes(node))
        .map_err(|reason| TractError::new(Refusal::at(node_name(node), &node.op_type, reason.0)))?;
    let count = operator.outputs().len();
    let wired = (0..count).filter(|&n| node.output.get(n).is_some_and(|name| !name.is_empty())).collect();
    Ok((expand(MlOp { operator: Arc::new(operator), wired }), Vec::new()))
}

/// One of our operators inside tract's graph.
#[derive(Debug, Clone)]
struct MlOp {
    operator: Arc<dyn Operator>,
    /// The outputs that the graph uses.
    wired: Vec<usize>,
}

impl MlOp {
    fn outputs(&self) -> impl Iterator<Item = Output> {
        let outputs = self.operator.outputs();
        self.wired.iter().filter_map(move |&n| outputs.get(n).copied())
    }
}

impl PartialEq for MlOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.operator, &other.operator) && self.wired == other.wired
    }
}

impl Eq for MlOp {}

impl Expansion for MlOp {
    fn name(&self) -> StaticName {
        "MlOp".into()
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.wired.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let Some(input) = inputs.first() else { bail!("an operator without input") };
        for (output, kind) in outputs.iter().zip(self.outputs()) {
            match kind.datum_type() {
                Some(datum_type) => solver.equals(&output.datum_type, datum_type)?,
                None => solver
                    .given(&input.datum_type, move |solver, from| solver.equals(&output.datum_type, mapped(from)))?,
            }
            match kind {
                Output::Expanded(last) => solver.given(&input.shape, move |solver, mut shape| {
                    shape.push(last.to_dim());
                    solver.equals(&output.shape, shape)
                })?,
                Output::Table => {
                    let Some(points) = inputs.get(1) else { bail!("an operator without a second input") };
                    solver.equals(&output.rank, 2)?;
                    solver.equals(&output.shape[0], &input.shape[0])?;
                    solver.equals(&output.shape[1], &points.shape[0])?;
                }
                Output::Same | Output::Like(_) | Output::Mapped => solver.equals(&output.shape, &input.shape)?,
                Output::Labels(_) => {
                    solver.equals(&output.rank, 1)?;
                    solver.equals(&output.shape[0], &input.shape[0])?;
                }
                Output::Scores(columns) => {
                    solver.equals(&output.rank, 2)?;
                    solver.equals(&output.shape[0], &input.shape[0])?;
                    solver.equals(&output.shape[1], columns.to_dim())?;
                }
            }
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for MlOp {
    fn name(&self) -> StaticName {
        "MlOp".into()
    }

    op_as_typed_op!();
}

impl EvalOp for MlOp {
    // Only a plan runs it: nothing of it is folded while packing.
    not_out_of_plan!();
}

impl TypedOp for MlOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let Some(input) = inputs.first() else { bail!("an operator without input") };
        let any = self.outputs().all(|output| !matches!(output, Output::Labels(_) | Output::Scores(_) | Output::Table));
        ensure!(any || input.rank() == 2, "it needs a matrix [rows, features], not a tensor of {} axes", input.rank());
        let rows = input.shape.iter().next().cloned().unwrap_or_else(|| 0.to_dim());
        let points = inputs.get(1).and_then(|points| points.shape.iter().next().cloned());
        let facts = self.outputs().map(|output| {
            let shape: TVec<TDim> = match output {
                Output::Labels(_) => tvec!(rows.clone()),
                Output::Scores(columns) => tvec!(rows.clone(), columns.to_dim()),
                Output::Table => tvec!(rows.clone(), points.clone().unwrap_or_else(|| 0.to_dim())),
                Output::Same | Output::Like(_) | Output::Mapped => input.shape.to_tvec(),
                Output::Expanded(last) => input.shape.iter().cloned().chain([last.to_dim()]).collect(),
            };
            output.datum_type().unwrap_or_else(|| mapped(input.datum_type)).fact(shape)
        });
        Ok(facts.collect())
    }

    as_op!();
}
