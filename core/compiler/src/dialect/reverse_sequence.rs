//! `ReverseSequence`, which tract lacks: reverses the first elements of each sequence.

use super::{Alike, Built, like};
use crate::{attributes::Attributes, refusal::Reason};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::{
        internal::*,
        ops::{
            array::{GatherElements, MultiBroadcastTo},
            binary::TypedBinOp,
            cast::cast,
            change_axes::wire_with_rank_broadcast,
            logic::{Iff, comp_lt},
            math::sub,
        },
    },
};

pub(super) fn build(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let (batch, time) =
        (Attributes(node).int("batch_axis").unwrap_or(1), Attributes(node).int("time_axis").unwrap_or(0));
    if (batch, time) != (1, 0) && (batch, time) != (0, 1) {
        Reason::err(format!(
            "batch axis {batch} and time axis {time} are not supported (expected 0 and 1, or 1 and 0)"
        ))?;
    }
    Ok((like(ReverseSequence { time: time as usize }), Vec::new()))
}

#[derive(Debug, Clone)]
struct ReverseSequence {
    /// Time axis, 0 or 1; the other axis is the batch.
    time: usize,
}

impl Alike for ReverseSequence {
    const NAME: &str = "ReverseSequence";
    const INPUTS: Option<usize> = Some(2);

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let steps = fact.shape[self.time].to_i64();
        let steps = steps.map_err(|_| Reason("it reverses the batch; reverse another axis".into()))?;
        // Source step for each step of a sequence: len − 1 − t before len, t after.
        let t = tensor1(&(0..steps).collect::<Vec<_>>())
            .into_shape(&[[steps as usize, 1], [1, steps as usize]][self.time])?;
        let t = model.add_const(format!("{name}.t"), t)?;
        let lens = model.wire_node(format!("{name}.lens"), cast(i64::datum_type()), &[inputs[1]])?[0];
        let lens = model.wire_node(format!("{name}.column"), AxisOp::Add(self.time), &[lens])?[0];
        let one = model.add_const(format!("{name}.one"), tensor2(&[[1i64]]))?;
        let last = model.wire_node(format!("{name}.last"), sub(), &[lens, one])?[0];
        let mirrored = model.wire_node(format!("{name}.mirrored"), sub(), &[last, t])?[0];
        let before = model.wire_node(format!("{name}.before"), TypedBinOp(comp_lt(), None), &[t, lens])?[0];
        let mut picks = wire_with_rank_broadcast(format!("{name}.picks"), model, Iff, &[before, mirrored, t])?[0];
        for axis in 2..fact.rank() {
            picks = model.wire_node(format!("{name}.axis-{axis}"), AxisOp::Add(axis), &[picks])?[0];
        }
        let picks = model.wire_node(format!("{name}.all"), MultiBroadcastTo::new(fact.shape.clone()), &[picks])?[0];
        model.wire_node(name, GatherElements::new(self.time), &[inputs[0], picks])
    }
}
