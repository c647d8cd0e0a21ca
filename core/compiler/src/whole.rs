//! Custom operators that stay one node through tract's passes, and are lowered separately.
//!
//! Operators that tract lacks, unrolls, or interprets differently from onnxruntime are read by a builder in tract's
//! register ([`build`]), are one node in tract's graph ([`Whole`]), and become kernel calls without tract
//! ([`lowered`]).

use crate::{
    attributes::Attributes,
    builder::Builder,
    refusal::{Reason, Reasoned, Refusal, node_name},
    value::Value,
};
use std::{fmt::Debug, sync::Arc};
use tract_onnx::{
    model::optional_inputs,
    pb::NodeProto,
    tract_core::internal::*,
    tract_hir::internal::{Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand},
};

/// Shapes of the inputs, by their position in the ONNX operator.
pub(crate) type Shapes<'a> = &'a [Option<&'a [TDim]>];

/// Result of a builder in tract's register.
pub(crate) type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Custom operator.
pub(crate) trait Operator: Debug + Send + Sync + 'static {
    /// Element type of the `n`-th output, if the first input has type `first`.
    fn datum_type(&self, n: usize, first: DatumType) -> DatumType {
        let _ = n;
        first
    }

    /// Shapes of all outputs.
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>>;

    /// Appends it to a plan and returns all outputs; unused ones may be `None`.
    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>>;

    /// Whether results may overflow a narrow integer type, in which they then wrap around.
    fn wraps(&self) -> bool {
        false
    }
}

/// Node whose operator is being read.
pub(crate) struct Node<'a> {
    pub attributes: Attributes<'a>,
    /// Whether the graph uses each output.
    pub used: Vec<bool>,
}

/// Reads a node for tract's register.
pub(crate) fn build<O: Operator>(node: &NodeProto, read: impl FnOnce(&Node<'_>) -> Reasoned<O>) -> Built {
    let used: Vec<bool> = node.output.iter().map(|name| !name.is_empty()).collect();
    let outputs = (0..used.len()).filter(|&n| used[n]).collect();
    let origin = [node_name(node).to_string(), node.op_type.clone()];
    let operator = read(&Node { attributes: Attributes(node), used })
        .map_err(|reason| TractError::new(Refusal::at(&origin[0], &origin[1], reason.0)))?;
    let inputs = optional_inputs(node).take(node.input.len()).collect();
    Ok((expand(Whole { operator: Arc::new(operator), origin, inputs, outputs }), Vec::new()))
}

/// Outputs of a node with a custom operator: those in use, and whether they [wrap around](Operator::wraps).
pub(crate) fn lowered(
    node: &TypedNode,
    inputs: &[Value],
    builder: &mut Builder,
) -> Option<Reasoned<(Vec<Value>, bool)>> {
    let op = node.op_as::<Whole>()?;
    let placed: Vec<_> = op.inputs.iter().map(|slot| slot.and_then(|n| inputs.get(n).cloned())).collect();
    let outputs = op.operator.lower(builder, &placed).and_then(|mut outputs| {
        let mut take = |n: usize| outputs.get_mut(n).and_then(Option::take);
        let used = op.outputs.iter().map(|&n| take(n).ok_or_else(|| Reason("an output is missing".into())));
        used.collect()
    });
    Some(outputs.map(|outputs| (outputs, op.operator.wraps())))
}

/// Whether a graph contains an operator that only a plan can run.
pub(crate) fn any(model: &TypedModel) -> bool {
    model.nodes().iter().any(is)
}

/// Whether a node has a custom operator.
pub(crate) fn is(node: &TypedNode) -> bool {
    node.op_is::<Whole>()
}

/// Custom operator in tract's graph.
#[derive(Debug, Clone)]
struct Whole {
    operator: Arc<dyn Operator>,
    /// ONNX node and operator.
    origin: [String; 2],
    /// Wire of each input.
    inputs: Vec<Option<usize>>,
    /// Outputs used by the graph.
    outputs: Vec<usize>,
}

impl Whole {
    /// Shapes of the used outputs.
    fn shapes(&self, wires: &[&[TDim]]) -> TractResult<Vec<TVec<TDim>>> {
        let placed: Vec<_> = self.inputs.iter().map(|slot| slot.and_then(|n| wires.get(n).copied())).collect();
        let shapes = self.operator.shapes(&placed).and_then(|shapes| {
            let used = self.outputs.iter().map(|&n| shapes.get(n).cloned());
            used.collect::<Option<_>>().ok_or_else(|| Reason("it has more outputs than its operator".into()))
        });
        shapes.map_err(|reason| TractError::new(Refusal::at(&self.origin[0], &self.origin[1], reason.0)))
    }
}

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.operator, &other.operator) && self.outputs == other.outputs
    }
}

impl Eq for Whole {}

impl Expansion for Whole {
    fn name(&self) -> StaticName {
        "Whole".into()
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let Some(first) = inputs.first() else { bail!("an operator without input") };
        for (output, &n) in outputs.iter().zip(&self.outputs) {
            solver.given(&first.datum_type, move |solver, first| {
                solver.equals(&output.datum_type, self.operator.datum_type(n, first))
            })?;
        }
        solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes| {
            let wires: Vec<&[TDim]> = shapes.iter().map(|shape| &shape[..]).collect();
            for (output, shape) in outputs.iter().zip(self.shapes(&wires)?) {
                solver.equals(&output.shape, shape)?;
            }
            Ok(())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Whole {
    fn name(&self) -> StaticName {
        "Whole".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Whole {
    // Only a plan runs it, so it is not folded while packing.
    not_out_of_plan!();
}

impl TypedOp for Whole {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shapes: Vec<TVec<TDim>> = inputs.iter().map(|input| input.shape.to_tvec()).collect();
        let wires: Vec<&[TDim]> = shapes.iter().map(|shape| &shape[..]).collect();
        let Some(first) = inputs.first() else { bail!("an operator without input") };
        let facts = self.outputs.iter().zip(self.shapes(&wires)?);
        Ok(facts.map(|(&n, shape)| self.operator.datum_type(n, first.datum_type).fact(shape)).collect())
    }

    as_op!();
}

/// Extent that does not change with the batch.
pub(crate) fn known(dim: &TDim, what: &str) -> Reasoned<usize> {
    dim.to_usize().map_err(|_| Reason(format!("{what} is `{dim}`, which is not known when packing; export it fixed")))
}

/// Shape of a required input.
pub(crate) fn shape<'a>(inputs: Shapes<'a>, n: usize) -> Reasoned<&'a [TDim]> {
    inputs.get(n).copied().flatten().ok_or_else(|| Reason(format!("input {n} is missing")))
}

/// Required input.
pub(crate) fn input(inputs: &[Option<Value>], n: usize) -> Reasoned<&Value> {
    optional(inputs, n).ok_or_else(|| Reason(format!("input {n} is missing")))
}

/// Optional input.
pub(crate) fn optional(inputs: &[Option<Value>], n: usize) -> Option<&Value> {
    inputs.get(n).and_then(Option::as_ref)
}
