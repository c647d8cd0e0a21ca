//! Layers of networks that are lowered whole, straight from their ONNX nodes.
//!
//! tract unrolls recurrent layers for a batch that must be known, and reads some windows, masks and
//! normalisations otherwise than onnxruntime, or not at all. Each layer here is read by a builder in tract's register, stays whole through
//! tract's passes as an [`NnOp`], and is lowered by itself.

mod attention;
mod convolution;
mod norm;
mod pool;
mod recurrent;
mod window;

use crate::{
    attributes::Attributes,
    builder::Builder,
    refusal::{Reason, Reasoned, Refusal, node_name},
    value::Value,
};
use std::{fmt::Debug, sync::Arc};
use tract_onnx::{
    model::{OnnxOpRegister, optional_inputs},
    pb::NodeProto,
    tract_core::internal::*,
    tract_hir::internal::{Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, expand},
};

/// Shapes of the inputs, by their place in the ONNX operator.
type Shapes<'a> = &'a [Option<&'a [TDim]>];

/// A layer. Its outputs have the type of its first input.
trait Layer: Debug + Send + Sync {
    /// The shapes of all outputs that the operator has.
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>>;

    /// Appends it to a plan; all outputs, where those that nobody reads may be `None`.
    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>>;
}

/// Puts our operators in the place of tract's.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    for operator in ["GRU", "LSTM", "RNN"] {
        operators.insert(operator, |_, node| build(node, recurrent::Recurrent::read));
    }
    operators.insert("Attention", |_, node| build(node, attention::Attention::read));
    operators.insert("BatchNormalization", |_, node| build(node, norm::BatchNorm::read));
    operators.insert("LRN", |_, node| build(node, norm::LocalResponse::read));
    for operator in ["Conv", "ConvTranspose"] {
        operators.insert(operator, |_, node| build(node, convolution::Convolution::read));
    }
    for operator in ["AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"] {
        operators.insert(operator, |_, node| build(node, pool::Pool::read));
    }
}

/// The layer of a node, where it is one of ours.
pub(crate) fn lowered(node: &TypedNode, builder: &mut Builder, inputs: &[Value]) -> Option<Reasoned<Vec<Value>>> {
    let op = node.op_as::<NnOp>()?;
    let placed: Vec<_> = op.inputs.iter().map(|slot| slot.and_then(|n| inputs.get(n).cloned())).collect();
    let outputs = op.layer.lower(builder, &placed).and_then(|mut outputs| {
        let mut take = |n: usize| outputs.get_mut(n).and_then(Option::take);
        op.outputs.iter().map(|&n| take(n).ok_or_else(|| Reason("an output is missing".into()))).collect()
    });
    Some(outputs)
}

/// Whether a graph holds a layer that only we can run.
pub(crate) fn any(model: &TypedModel) -> bool {
    model.nodes().iter().any(|node| node.op_is::<NnOp>())
}

/// A node while its layer is read.
struct Node<'a> {
    attributes: Attributes<'a>,
    /// Whether the graph uses each output.
    used: Vec<bool>,
}

fn build<L: Layer + 'static>(
    node: &NodeProto,
    read: fn(&Node<'_>) -> Reasoned<L>,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let used: Vec<bool> = node.output.iter().map(|name| !name.is_empty()).collect();
    let outputs = (0..used.len()).filter(|&n| used[n]).collect();
    let origin = [node_name(node).to_string(), node.op_type.clone()];
    let layer = read(&Node { attributes: Attributes(node), used })
        .map_err(|reason| TractError::new(Refusal::at(&origin[0], &origin[1], reason.0)))?;
    let inputs = optional_inputs(node).take(node.input.len()).collect();
    Ok((expand(NnOp { layer: Arc::new(layer), origin, inputs, outputs }), Vec::new()))
}

/// One of our layers inside tract's graph.
#[derive(Debug, Clone)]
struct NnOp {
    layer: Arc<dyn Layer>,
    /// The ONNX node and its operator.
    origin: [String; 2],
    /// Which wire comes to each place.
    inputs: Vec<Option<usize>>,
    /// The outputs that the graph uses.
    outputs: Vec<usize>,
}

impl NnOp {
    /// Shapes of the outputs in use.
    fn shapes(&self, wires: &[&[TDim]]) -> TractResult<Vec<TVec<TDim>>> {
        let placed: Vec<_> = self.inputs.iter().map(|slot| slot.and_then(|n| wires.get(n).copied())).collect();
        let shapes = self.layer.shapes(&placed).and_then(|shapes| {
            let used = self.outputs.iter().map(|&n| shapes.get(n).cloned());
            used.collect::<Option<_>>().ok_or_else(|| Reason("it has more outputs than its operator".into()))
        });
        shapes.map_err(|reason| TractError::new(Refusal::at(&self.origin[0], &self.origin[1], reason.0)))
    }
}

impl PartialEq for NnOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer) && self.outputs == other.outputs
    }
}

impl Eq for NnOp {}

impl Expansion for NnOp {
    fn name(&self) -> StaticName {
        "NnOp".into()
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
        for output in outputs {
            solver.equals(&output.datum_type, &first.datum_type)?;
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

impl Op for NnOp {
    fn name(&self) -> StaticName {
        "NnOp".into()
    }

    op_as_typed_op!();
}

impl EvalOp for NnOp {
    // Only a plan runs it: nothing of it is folded while packing.
    not_out_of_plan!();
}

impl TypedOp for NnOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shapes: Vec<TVec<TDim>> = inputs.iter().map(|input| input.shape.to_tvec()).collect();
        let wires: Vec<&[TDim]> = shapes.iter().map(|shape| &shape[..]).collect();
        let Some(first) = inputs.first() else { bail!("an operator without input") };
        Ok(self.shapes(&wires)?.into_iter().map(|shape| first.datum_type.fact(shape)).collect())
    }

    as_op!();
}

/// An extent that does not change with the batch.
fn known(dim: &TDim, what: &str) -> Reasoned<usize> {
    dim.to_usize().map_err(|_| Reason(format!("{what} is `{dim}`, which is not known when packing; export it fixed")))
}

/// The shape of a required input.
fn shape<'a>(inputs: Shapes<'a>, n: usize) -> Reasoned<&'a [TDim]> {
    inputs.get(n).copied().flatten().ok_or_else(|| Reason(format!("input {n} is missing")))
}

/// A required input.
fn input(inputs: &[Option<Value>], n: usize) -> Reasoned<&Value> {
    optional(inputs, n).ok_or_else(|| Reason(format!("input {n} is missing")))
}

fn optional(inputs: &[Option<Value>], n: usize) -> Option<&Value> {
    inputs.get(n).and_then(Option::as_ref)
}
