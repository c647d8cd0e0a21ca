//! Limits on tract's computations while it reads a model: tract evaluates everything that depends on no input, of any
//! size.
//!
//! Every operator is read through [`build`], which checks shapes before values are computed. A tensor has at most
//! [`MOST_ELEMENTS`] per row, and all tensors that depend on no input have at most [`MOST_FOLDED`] together.

use crate::{
    operators::{Operators, reader},
    refusal::{Refusal, node_name},
    whole::Built,
};
use std::{collections::HashMap, sync::LazyLock};
use tract_onnx::{
    Onnx,
    model::{OnnxOpRegister, ParsingContext},
    pb::NodeProto,
    prelude::*,
    tract_core::{internal::*, ops::konst::Const},
    tract_hir::{
        infer::{Factoid, InferenceFact, InferenceModelPatch, InferenceOp},
        internal::{InferenceModel, InferenceNode},
    },
};

/// Maximum elements of a tensor per row: four times the working memory of a plan.
const MOST_ELEMENTS: u64 = 1 << 26;

/// Maximum elements of all tensors that depend on no input: eight times the weights of a plan.
const MOST_FOLDED: u64 = 1 << 27;

/// Size in bytes above which tract drops a result that is larger than its inputs.
const MOST_KEPT: u64 = tract_onnx::tract_core::optim::CONST_FOLD_MEM_BUDGET;

/// [`reader`] with every operator read through [`build`].
pub(crate) fn framework() -> Onnx {
    let mut framework = reader();
    framework.op_register.0.values_mut().for_each(|builder| *builder = build);
    framework
}

/// Reads a node like [`reader`], and bounds its results.
fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    static OPERATORS: LazyLock<OnnxOpRegister> = LazyLock::new(|| reader().op_register);
    let build = OPERATORS.0.get(&node.op_type).context("unknown operator")?;
    let (operator, closures) = build(context, node)?;
    if operator.as_op().is::<Const>() {
        return Ok((operator, closures));
    }
    let has_body = node.attribute.iter().any(|attribute| attribute.g.is_some());
    let origin = [node_name(node).to_string(), node.op_type.clone()];
    Ok((Box::new(Bounded { operator, has_body, origin }), closures))
}

/// Operator whose results are checked against [`MOST_ELEMENTS`] before they are computed.
#[derive(Debug, Clone)]
struct Bounded {
    operator: Box<dyn InferenceOp>,
    /// Whether it is a branch or a loop: the operators inside are bounded separately, and inferring its own shapes
    /// twice would double the time at each level of nesting.
    has_body: bool,
    /// ONNX node and operator.
    origin: [String; 2],
}

impl PartialEq for Bounded {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Bounded {}

impl Op for Bounded {
    fn name(&self) -> StaticName {
        self.operator.name()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.operator.info()
    }

    not_a_typed_op!();
}

impl EvalOp for Bounded {
    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.operator.eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.operator.eval_out_of_plan(inputs)
    }

    fn state(&self, context: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        self.operator.state(context)
    }
}

type Facts = TVec<InferenceFact>;

impl InferenceOp for Bounded {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        if self.has_body {
            return self.operator.infer(inputs, outputs, observed);
        }
        let inferred = self.infer_facts(inputs.clone(), outputs.clone(), observed.clone())?;
        let mut made = 0;
        for output in &inferred.1 {
            let elements = elements(output);
            if elements > MOST_ELEMENTS {
                let [node, operator] = &self.origin;
                let reason = format!(
                    "it makes a tensor of {elements} elements (at most {MOST_ELEMENTS} for each row of a batch)"
                );
                return Err(TractError::new(Refusal::at(node, operator, reason)));
            }
            made += bytes(output);
        }
        // Results that tract would drop are not computed.
        let given = inputs.iter().map(|input| bytes(input)).fold(0, u64::saturating_add);
        if made > given.max(MOST_KEPT) { Ok(inferred) } else { self.operator.infer(inputs, outputs, observed) }
    }

    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        self.operator.infer_facts(inputs, outputs, observed)
    }

    fn observe_outlets(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Vec<OutletId>> {
        self.operator.observe_outlets(model, node)
    }

    fn incorporate(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Option<InferenceModelPatch>> {
        self.operator.incorporate(model, node)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.operator.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let outlets = self.operator.to_typed(source, node, target, mapping)?;
        // tract names every branch `If`, so a model could have only one.
        if let Some(outlet) = outlets.first()
            && target.node(outlet.node).name == self.name()
        {
            target.rename_node(outlet.node, &node.name)?;
        }
        Ok(outlets)
    }

    as_op!();
}

/// Elements of a tensor per row; 0 if the shape is unknown.
fn elements(fact: &InferenceFact) -> u64 {
    let Some(shape) = fact.shape.concretize() else { return 0 };
    let extent = |dim: &TDim| {
        let one = dim.symbols().into_iter().fold(SymbolValues::default(), |values, symbol| values.with(&symbol, 1));
        dim.eval(&one).to_i64().map_or(0, |extent| u64::try_from(extent).unwrap_or(0))
    };
    shape.iter().map(extent).fold(1, u64::saturating_mul)
}

fn bytes(fact: &InferenceFact) -> u64 {
    let width = fact.datum_type.concretize().map_or(1, |datum_type| datum_type.size_of() as u64);
    elements(fact).saturating_mul(width)
}

/// Checks all tensors that depend on no input against [`MOST_FOLDED`], once shapes are known.
pub(crate) fn check_folded(model: &InferenceModel, operators: &Operators) -> TractResult<()> {
    let mut folded = vec![false; model.nodes().len()];
    let mut sum = 0_u64;
    for id in model.eval_order()? {
        let node = model.node(id);
        let is_constant = node.op.as_op().is::<Const>();
        folded[id] = is_constant || (!node.inputs.is_empty() && node.inputs.iter().all(|input| folded[input.node]));
        if !folded[id] || is_constant {
            continue;
        }
        sum = node.outputs.iter().map(|output| elements(&output.fact)).fold(sum, u64::saturating_add);
        if sum > MOST_FOLDED {
            let (node, operator) = operators.origin(&node.name);
            let reason =
                format!("with it, tensors that depend on no input have {sum} elements (at most {MOST_FOLDED})");
            return Err(TractError::new(Refusal::at(node, operator, reason)));
        }
    }
    Ok(())
}
