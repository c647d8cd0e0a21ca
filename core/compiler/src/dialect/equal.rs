//! `Equal`. tract treats extents with different expressions as unequal, even if they are equal for some batch, such as
//! the number of rows and 1.

use tract_onnx::{
    tract_core::{
        internal::*,
        ops::{
            binary::TypedBinOp,
            logic::{And, comp_eq, comp_gte, comp_lte},
        },
    },
    tract_hir::{
        internal::{Expansion, InferenceResult, Solver, TensorProxy},
        ops::binary::{rules, wire_cast, wire_rank_broadcast},
    },
};

#[derive(Debug, Clone)]
pub(super) struct Equal;

impl Expansion for Equal {
    fn name(&self) -> StaticName {
        "Equal".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        rules(solver, inputs, outputs, |_, _| Ok(bool::datum_type()))
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (left, right) = (model.outlet_fact(inputs[0])?.datum_type, model.outlet_fact(inputs[1])?.datum_type);
        let kind = left.common_super_type(right).with_context(|| format!("{left:?} and {right:?}"))?;
        let inputs = wire_rank_broadcast(name, model, inputs)?;
        let inputs = wire_cast(name, model, &inputs, kind)?;
        if kind != TDim::datum_type() {
            return model.wire_node(name, TypedBinOp(comp_eq(), None), &inputs);
        }
        // A comparison is decided if it holds for every batch, and otherwise computed.
        let least = model.wire_node(format!("{name}.least"), TypedBinOp(comp_gte(), None), &inputs)?[0];
        let most = model.wire_node(format!("{name}.most"), TypedBinOp(comp_lte(), None), &inputs)?[0];
        model.wire_node(name, TypedBinOp(Box::new(And), None), &[least, most])
    }
}
