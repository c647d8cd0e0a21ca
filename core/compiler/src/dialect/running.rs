//! `CumProd`, which tract lacks: it stays whole through tract's passes, and is lowered by itself.

use super::{Alike, Built, axis_of, known, like};
use crate::attributes::Attributes;
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_core::internal::*};

pub(super) fn build(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let set = |name| Attributes(node).int(name) == Some(1);
    Ok((like(CumProd { exclusive: set("exclusive"), reverse: set("reverse") }), Vec::new()))
}

#[derive(Debug, Clone)]
struct CumProd {
    exclusive: bool,
    reverse: bool,
}

impl Alike for CumProd {
    const NAME: &str = "CumProd";
    const INPUTS: Option<usize> = Some(2);

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = axis_of(known(model, inputs[1], "axis")?.cast_to_scalar::<i64>()?, rank)?;
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
