//! `CumProd`, which tract lacks: it stays whole through tract's passes, and is lowered by itself.

use super::{Built, int, known, same};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::internal::*,
    tract_hir::internal::{Expansion, InferenceResult, Solver, TensorProxy, check_input_arity, expand},
};

pub(super) fn build(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let set = |name| int(node, name) == Some(1);
    Ok((expand(CumProd { exclusive: set("exclusive"), reverse: set("reverse") }), Vec::new()))
}

#[derive(Debug, Clone)]
struct CumProd {
    exclusive: bool,
    reverse: bool,
}

impl Expansion for CumProd {
    fn name(&self) -> StaticName {
        "CumProd".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        same(solver, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = known(model, inputs[1], "axis")?.cast_to_scalar::<i64>()?;
        let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis })?;
        ensure!(axis < rank, "axis {axis} of a tensor of {rank} axes");
        let op = RunningProduct { axis, exclusive: self.exclusive, reverse: self.reverse };
        model.wire_node(name, op, &inputs[..1])
    }
}

/// The running product along an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunningProduct {
    pub axis: usize,
    pub exclusive: bool,
    pub reverse: bool,
}

impl Op for RunningProduct {
    fn name(&self) -> StaticName {
        "RunningProduct".into()
    }

    op_as_typed_op!();
}

impl EvalOp for RunningProduct {
    // Only a plan runs it: nothing of it is folded while packing.
    not_out_of_plan!();
}

impl TypedOp for RunningProduct {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].datum_type.fact(inputs[0].shape.clone())))
    }

    as_op!();
}
