//! Every n-th element along an axis. tract moves its own operator before others that it must follow, such as a softmax
//! along the same axis.

use tract_onnx::{
    prelude::{TypedFact, TypedModel},
    tract_core::{internal::*, ops::downsample::Downsample},
};

/// tract's operator, without that rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Every(pub Downsample);

impl Op for Every {
    fn name(&self) -> StaticName {
        "Every".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Every {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(context, inputs)
    }
}

impl TypedOp for Every {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

/// Pins every such operator of a model; slices with steps contain one.
pub(super) fn pin(model: &mut TypedModel) {
    for node in &mut model.nodes {
        if let Some(op) = node.op_as::<Downsample>() {
            node.op = Box::new(Every(op.clone()));
        }
    }
}
