//! The ai.onnx.ml operators, taken straight from their ONNX nodes.
//!
//! tract's own are missing, wrong or slow. Each operator here is read by a builder in tract's
//! register, stays whole through tract's passes as an [`MlOp`], and is lowered by itself.

mod attributes;
mod ensemble;
mod forest;
mod labels;
mod linear;
mod normalizer;
mod scaler;
mod threshold;
mod trees;

use crate::{
    builder::Builder,
    refusal::{Reasoned, Refusal, node_name},
    value::Value,
};
use attributes::Attributes;
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
}

/// Puts our operators in the place of tract's.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.0.remove("CategoryMapper");
    operators.insert("LinearClassifier", |_, node| build(node, linear::LinearClassifier::read));
    operators.insert("LinearRegressor", |_, node| build(node, linear::LinearRegressor::read));
    operators.insert("Normalizer", |_, node| build(node, normalizer::Normalizer::read));
    operators.insert("Scaler", |_, node| build(node, scaler::Scaler::read));
    operators.insert("TreeEnsemble", |_, node| build(node, trees::TreeRegressor::read_v5));
    operators.insert("TreeEnsembleClassifier", |_, node| build(node, trees::TreeClassifier::read));
    operators.insert("TreeEnsembleRegressor", |_, node| build(node, trees::TreeRegressor::read_v3));
}

/// The operator of a node, where it is one of ours.
pub(crate) fn lowered(node: &TypedNode, builder: &mut Builder, input: &Value) -> Option<Reasoned<Vec<Value>>> {
    let op = node.op_as::<MlOp>()?;
    Some(op.operator.lower(builder, input).map(|outputs| op.wired.iter().map(|&n| outputs[n].clone()).collect()))
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
            let datum_type = match kind {
                Output::Labels(datum_type) => datum_type,
                Output::Scores(_) | Output::Same => f32::datum_type(),
            };
            solver.equals(&output.datum_type, datum_type)?;
            match kind {
                Output::Same => solver.equals(&output.shape, &input.shape)?,
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
        let same = self.outputs().all(|output| matches!(output, Output::Same));
        ensure!(same || input.rank() == 2, "it needs a matrix [rows, features], not a tensor of {} axes", input.rank());
        let rows = input.shape.iter().next().cloned().unwrap_or_else(|| 0.to_dim());
        let facts = self.outputs().map(|output| match output {
            Output::Labels(datum_type) => datum_type.fact([rows.clone()]),
            Output::Scores(columns) => f32::datum_type().fact([rows.clone(), columns.to_dim()]),
            Output::Same => f32::datum_type().fact(input.shape.clone()),
        });
        Ok(facts.collect())
    }

    as_op!();
}
