//! Custom versions of ONNX operators that tract interprets differently from onnxruntime.
//!
//! Each is built from tract's own operators, so that plan and reference agree.

mod cast;
mod division;
mod equal;
mod every;
mod exact;
mod pad;
mod reverse_sequence;
mod running;
mod slice;
mod vectors;

use crate::{
    attributes::Attributes,
    refusal::{Reason, Reasoned},
    whole::{Built, build},
};
use division::divide;
pub(crate) use every::Every;
use std::{fmt::Debug, sync::LazyLock};
use tract_onnx::{
    model::{OnnxOpRegister, ParsingContext, optional_inputs},
    onnx,
    pb::NodeProto,
    tract_core::{
        internal::*,
        ops::{
            array::Gather,
            cast::cast as cast_to,
            change_axes::wire_with_rank_broadcast,
            math::{Add, add, div, exp, max, min, mul, sub, tanh},
            nn::{Softmax, SoftmaxKind, sigmoid},
        },
    },
    tract_hir::{
        internal::{
            ElementWiseIntoHir as _, Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
            expand,
        },
        ops::binary::Nary,
    },
};

/// Replaces tract's operators by ours.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("ArrayFeatureExtractor", |_, _| Ok((expand(ArrayFeatureExtractor), Vec::new())));
    operators.insert("Cast", cast::build);
    operators.insert("Celu", |_, node| {
        Ok((like(Celu { alpha: Attributes(node).float("alpha").unwrap_or(1.0) }), Vec::new()))
    });
    operators.insert("Clip", clip);
    operators.insert("CumProd", |_, node| build(node, running::RunningProduct::read));
    operators.insert("Div", division::div_of);
    operators.insert("Equal", |_, _| Ok((expand(equal::Equal), Vec::new())));
    operators.insert("FusedMatMul", vectors::fused_matmul);
    for operator in ["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"] {
        operators.insert(operator, normalization);
    }
    operators.insert("LogSoftmax", log_softmax);
    operators.insert("MatMul", vectors::matmul);
    operators.insert("Mean", |_, _| Ok((expand(Mean(Nary(Box::new(Add), false))), Vec::new())));
    operators.insert("Mish", |_, _| Ok((like(Mish), Vec::new())));
    operators.insert("Mod", division::mod_of);
    operators.insert("OneHot", vectors::one_hot);
    operators.insert("PRelu", vectors::prelu);
    operators.insert("Pad", pad::build);
    operators.insert("ReverseSequence", reverse_sequence::build);
    operators.insert("Slice", slice::build);
    operators.insert("Softplus", |_, _| Ok((softplus().into_hir(), Vec::new())));
    operators.insert("Swish", |_, node| {
        Ok((like(Swish { alpha: Attributes(node).float("alpha").unwrap_or(1.0) }), Vec::new()))
    });
}

/// Protects nodes from tract's rewrites.
pub(crate) fn pin(model: &mut TypedModel) -> TractResult<()> {
    slice::pin(model)?;
    every::pin(model);
    exact::pin(model)
}

/// Reason to refuse a node that tract would accept, and the fix. Operators refused by name are in the table of
/// `operators`.
pub(crate) fn refused(node: &NodeProto) -> Option<&'static str> {
    match node.op_type.as_str() {
        // tract loops forever looking for missing axes.
        "Transpose" if !is_permutation(Attributes(node).ints("perm")) => {
            Some("`perm` does not name each axis once; check the model with onnx.checker")
        }
        // tract ignores the mode.
        "SpaceToDepth" if node.attribute.iter().any(|mode| mode.name == "mode" && mode.s != b"DCR") => {
            Some("only mode DCR is supported; export the operator as Reshape and Transpose")
        }
        _ => None,
    }
}

fn is_permutation(perm: &[i64]) -> bool {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().eq(0..perm.len() as i64)
}

element_wise!(
    softplus, Softplus,
    // ln(1 + exp(x)); tract's composition overflows.
    [f32] => |_, xs| {
        xs.iter_mut().for_each(|x| *x = x.max(0.0) + (-x.abs()).exp().ln_1p());
        Ok(())
    }
);

/// Elements of an input that must be known when packing.
fn known(model: &TypedModel, input: OutletId, what: &str) -> Reasoned<Arc<Tensor>> {
    let konst = model.outlet_fact(input)?.konst.clone();
    konst.ok_or_else(|| Reason(format!("its input `{what}` is not known when packing; make it a constant")))
}

fn integers(tensor: &Tensor) -> TractResult<Vec<i64>> {
    Ok(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
}

/// Resolves an axis; negative axes count from the end.
fn axis_of(axis: i64, rank: usize) -> TractResult<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    let known = usize::try_from(counted).ok().filter(|axis| *axis < rank);
    known.with_context(|| format!("axis {counted} of a tensor of {rank} axes"))
}

/// Operator with one output that has the type and shape of the first input.
trait Alike: Clone + Debug + Send + Sync + 'static {
    const NAME: &str;
    /// Number of required inputs; `None` if some are optional.
    const INPUTS: Option<usize> = None;

    /// Builds it from tract's operators or ours.
    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>>;
}

#[derive(Debug, Clone)]
struct Like<O>(O);

fn like(operator: impl Alike) -> Box<dyn InferenceOp> {
    expand(Like(operator))
}

impl<O: Alike> Expansion for Like<O> {
    fn name(&self) -> StaticName {
        O::NAME.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        if let Some(count) = O::INPUTS {
            check_input_arity(inputs, count)?;
        }
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        self.0.wire(name, model, inputs)
    }
}

/// tract operator that does not check its axis and loops forever on invalid ones.
#[derive(Debug, Clone)]
struct Within {
    axis: i64,
    operator: Box<dyn Expansion>,
}

fn normalization(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    static TRACT: LazyLock<OnnxOpRegister> = LazyLock::new(|| onnx().op_register);
    let build = TRACT.0.get(&node.op_type).context("tract has no such operator")?;
    let (operator, inputs) = build(context, node)?;
    let operator: &dyn Op = operator.as_ref();
    let operator = operator.downcast_ref::<Box<dyn Expansion>>().context("tract's operator is no expansion")?.clone();
    Ok((expand(Within { axis: Attributes(node).int("axis").unwrap_or(-1), operator }), inputs))
}

impl Expansion for Within {
    fn name(&self) -> StaticName {
        self.operator.name()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.operator.nboutputs()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let Some(first) = inputs.first() else { bail!("an operator without input") };
        solver.given(&first.rank, move |solver, rank| {
            axis_of(self.axis, rank as usize)?;
            self.operator.rules(solver, inputs, outputs)
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        axis_of(self.axis, model.outlet_fact(inputs[0])?.rank())?;
        self.operator.wire(name, model, inputs)
    }
}

/// Scalar with the type of `like`.
fn scalar(model: &mut TypedModel, name: String, value: f32, like: OutletId) -> TractResult<OutletId> {
    let datum_type = model.outlet_fact(like)?.datum_type;
    model.add_const(name, tensor0(value).cast_to_dt(datum_type)?.into_owned())
}

/// `max(x, 0) + min(0, α (exp(x / α) − 1))`; tract omits the outer α.
#[derive(Debug, Clone)]
struct Celu {
    alpha: f32,
}

impl Alike for Celu {
    const NAME: &str = "Celu";

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let x = inputs[0];
        let alpha = scalar(model, format!("{name}.alpha"), self.alpha, x)?;
        let one = scalar(model, format!("{name}.one"), 1.0, x)?;
        let zero = scalar(model, format!("{name}.zero"), 0.0, x)?;
        let ratio = wire_with_rank_broadcast(format!("{name}.ratio"), model, div(), &[x, alpha])?;
        let power = model.wire_node(format!("{name}.exp"), exp(), &ratio)?[0];
        let less = wire_with_rank_broadcast(format!("{name}.less"), model, sub(), &[power, one])?[0];
        let scaled = wire_with_rank_broadcast(format!("{name}.scaled"), model, mul(), &[less, alpha])?[0];
        let negative = wire_with_rank_broadcast(format!("{name}.negative"), model, min(), &[scaled, zero])?[0];
        let positive = wire_with_rank_broadcast(format!("{name}.positive"), model, max(), &[x, zero])?[0];
        model.wire_node(name, add(), &[positive, negative])
    }
}

/// `x × sigmoid(α x)`; tract omits α.
#[derive(Debug, Clone)]
struct Swish {
    alpha: f32,
}

impl Alike for Swish {
    const NAME: &str = "Swish";

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let alpha = scalar(model, format!("{name}.alpha"), self.alpha, inputs[0])?;
        let scaled = wire_with_rank_broadcast(format!("{name}.scaled"), model, mul(), &[inputs[0], alpha])?;
        let gate = model.wire_node(format!("{name}.gate"), sigmoid(), &scaled)?[0];
        model.wire_node(name, mul(), &[inputs[0], gate])
    }
}

/// `x × tanh(softplus(x))`; tract's softplus loses small values.
#[derive(Debug, Clone)]
struct Mish;

impl Alike for Mish {
    const NAME: &str = "Mish";

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let positive = model.wire_node(format!("{name}.softplus"), softplus(), inputs)?;
        let gate = model.wire_node(format!("{name}.gate"), tanh(), &positive)?[0];
        model.wire_node(name, mul(), &[inputs[0], gate])
    }
}

/// Mean of broadcast tensors; tract divides as if all had the axes of the first.
#[derive(Debug, Clone)]
struct Mean(Nary);

impl Expansion for Mean {
    fn name(&self) -> StaticName {
        "Mean".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        tract_onnx::tract_hir::internal::InferenceRulesOp::rules(&self.0, solver, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let Some((first, others)) = inputs.split_first() else { bail!("an operator without input") };
        let mut sum = *first;
        for (n, input) in others.iter().enumerate() {
            sum = wire_with_rank_broadcast(format!("{name}.{n}"), model, add(), &[sum, *input])?[0];
        }
        let count = scalar(model, format!("{name}.count"), inputs.len() as f32, sum)?;
        wire_with_rank_broadcast(name, model, divide(), &[sum, count])
    }
}

fn clip(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    if context.onnx_operator_set_version < 11 {
        let bounds =
            [Attributes(node).float("min").unwrap_or(f32::MIN), Attributes(node).float("max").unwrap_or(f32::MAX)];
        return Ok((like(Clip { bounds: bounds.map(Bound::Value) }), Vec::new()));
    }
    let mut inputs = optional_inputs(node).skip(1);
    let mut bound = |absent| inputs.next().flatten().map_or(Bound::Value(absent), Bound::Input);
    let bounds = [bound(f32::MIN), bound(f32::MAX)];
    Ok((like(Clip { bounds }), Vec::new()))
}

/// `min(max(x, low), high)`; an absent bound is the largest finite number.
#[derive(Debug, Clone)]
struct Clip {
    bounds: [Bound; 2],
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Input(usize),
    Value(f32),
}

impl Alike for Clip {
    const NAME: &str = "Clip";

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let datum_type = model.outlet_fact(inputs[0])?.datum_type;
        let mut wire = tvec!(inputs[0]);
        for (n, bound) in self.bounds.iter().enumerate() {
            let part = format!("{name}.{}", if n == 0 { "low" } else { "high" });
            let bound = match *bound {
                Bound::Input(input) => {
                    model.wire_node(format!("{part}.cast"), cast_to(datum_type), &[inputs[input]])?[0]
                }
                Bound::Value(value) if datum_type.is_float() => scalar(model, format!("{part}.bound"), value, wire[0])?,
                Bound::Value(_) => continue,
            };
            let op = if n == 0 { max() } else { min() };
            wire = wire_with_rank_broadcast(part, model, op, &[wire[0], bound])?;
        }
        Ok(wire)
    }
}

fn log_softmax(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    // Before operator set 13, all axes from `axis` on were merged.
    let flattens = context.onnx_operator_set_version < 13;
    let axis = Attributes(node).int("axis").unwrap_or(if flattens { 1 } else { -1 });
    Ok((like(LogSoftmax { axis, flattens }), Vec::new()))
}

/// Logarithm of a softmax; tract's softmax may underflow to zero first.
#[derive(Debug, Clone)]
struct LogSoftmax {
    axis: i64,
    flattens: bool,
}

impl Alike for LogSoftmax {
    const NAME: &str = "LogSoftmax";

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = axis_of(self.axis, rank)?;
        let axes = if self.flattens { (axis..rank).collect() } else { tvec!(axis) };
        model.wire_node(name, Softmax { axes, quant_output_dt: None, kind: SoftmaxKind::LogSoftmax }, inputs)
    }
}

/// Selects columns. The indices are one list of any shape; a vector is one row.
#[derive(Debug, Clone)]
struct ArrayFeatureExtractor;

impl Expansion for ArrayFeatureExtractor {
    fn name(&self) -> StaticName {
        "ArrayFeatureExtractor".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.given_2(&inputs[0].shape, &inputs[1].shape, move |solver, data, picks| {
            let mut shape = data;
            if shape.len() == 1 {
                shape.insert(0, 1.to_dim());
            }
            if let Some(last) = shape.last_mut() {
                *last = picks.iter().product();
            }
            solver.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (mut data, picks) = (inputs[0], inputs[1]);
        if model.outlet_fact(data)?.rank() == 1 {
            data = model.wire_node(format!("{name}.row"), AxisOp::Add(0), &[data])?[0];
        }
        let from = model.outlet_fact(picks)?.shape.to_tvec();
        let flat: TDim = from.iter().product();
        let picks = model.wire_node(format!("{name}.list"), AxisOp::Reshape(0, from, tvec!(flat)), &[picks])?[0];
        let picks = model.wire_node(format!("{name}.cast"), cast_to(i64::datum_type()), &[picks])?[0];
        let axis = model.outlet_fact(data)?.rank() - 1;
        model.wire_node(name, Gather::new(axis), &[data, picks])
    }
}
