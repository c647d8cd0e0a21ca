//! `Cast`. tract converts everything cast to I64 into extents, which have other arithmetic rules; here only extents
//! stay extents.

use super::Built;
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::{internal::*, ops::cast::cast},
    tract_hir::internal::{Expansion, InferenceResult, Solver, TensorProxy, check_input_arity, expand},
};

pub(super) fn build(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    Ok((expand(Cast { to: node.get_attr("to")? }), Vec::new()))
}

#[derive(Debug, Clone)]
struct Cast {
    to: DatumType,
}

impl Cast {
    fn to(&self, from: DatumType) -> DatumType {
        if from == TDim::datum_type() && self.to == DatumType::I64 { from } else { self.to }
    }
}

impl Expansion for Cast {
    fn name(&self) -> StaticName {
        "Cast".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        solver.given(&inputs[0].datum_type, |solver, from| solver.equals(&outputs[0].datum_type, self.to(from)))
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let from = model.outlet_fact(inputs[0])?.datum_type;
        model.wire_node(name, cast(self.to(from)), inputs)
    }
}
