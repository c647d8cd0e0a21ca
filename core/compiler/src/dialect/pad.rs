//! `Pad`: tract lacks negative pads, mode `wrap` and computed values.

use super::{Built, axis_of, integers, known};
use crate::{attributes::Attributes, refusal::Reason};
use tract_onnx::{
    model::{ParsingContext, optional_inputs},
    pb::NodeProto,
    tract_core::{
        internal::*,
        ops::{
            array::{Gather, MultiBroadcastTo, Pad as Padded, PadMode, Slice},
            cast::cast,
            change_axes::wire_with_rank_broadcast,
            logic::Iff,
        },
    },
    tract_hir::internal::{Expansion, InferenceResult, Solver, TensorProxy, expand},
};

pub(super) fn build(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let attributes = Attributes(node);
    let mode = match &*attributes.string("mode", "constant")? {
        "constant" => Mode::Constant,
        "reflect" => Mode::Reflect,
        "edge" => Mode::Edge,
        "wrap" => Mode::Wrap,
        other => Reason::err(format!("unknown mode `{other}` (expected constant, reflect, edge or wrap)"))?,
    };
    if context.onnx_operator_set_version < 11 || node.input.len() < 2 {
        let pads = match attributes.ints("pads") {
            [] => attributes.ints("paddings"),
            pads => pads,
        };
        let value = Fill::Value(attributes.float("value").unwrap_or(0.0));
        return Ok((expand(Pad { mode, pads: Pads::Fixed(pads.to_vec()), value, axes: None }), Vec::new()));
    }
    let mut inputs = optional_inputs(node).skip(2);
    let value = inputs.next().flatten().map_or(Fill::Value(0.0), Fill::Input);
    let axes = inputs.next().flatten();
    Ok((expand(Pad { mode, pads: Pads::Input, value, axes }), Vec::new()))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

#[derive(Debug, Clone)]
enum Pads {
    Fixed(Vec<i64>),
    /// The pads are the second input.
    Input,
}

#[derive(Debug, Clone, Copy)]
enum Fill {
    Value(f32),
    Input(usize),
}

/// Elements added before and after each axis; negative counts remove elements.
#[derive(Debug, Clone)]
struct Pad {
    mode: Mode,
    pads: Pads,
    value: Fill,
    /// Input with the axes of the pads; all axes if absent.
    axes: Option<usize>,
}

impl Pad {
    /// Elements before and after each axis of a tensor, from pads and axes.
    fn per_axis(&self, rank: usize, pads: &[i64], axes: Option<&Tensor>) -> TractResult<Vec<(i64, i64)>> {
        let axes: Vec<i64> = match axes {
            Some(axes) => integers(axes)?,
            None => (0..rank as i64).collect(),
        };
        ensure!(pads.len() == 2 * axes.len(), "{} pads for {} axes", pads.len(), axes.len());
        let mut each = vec![(0, 0); rank];
        for (n, axis) in axes.iter().enumerate() {
            each[axis_of(*axis, rank)?] = (pads[n], pads[n + axes.len()]);
        }
        Ok(each)
    }
}

impl Expansion for Pad {
    fn name(&self) -> StaticName {
        "Pad".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[0].rank, &outputs[0].rank)?;
        let mut known = Vec::new();
        known.extend(matches!(self.pads, Pads::Input).then(|| &inputs[1].value));
        known.extend(self.axes.map(|axes| &inputs[axes].value));
        solver.given_all(known, move |solver, known| {
            let mut known = known.into_iter();
            let pads = match &self.pads {
                Pads::Fixed(pads) => pads.clone(),
                Pads::Input => integers(&*known.next().context("no pads")?)?,
            };
            let axes = known.next();
            solver.given(&inputs[0].shape, move |solver, shape| {
                let pads = self.per_axis(shape.len(), &pads, axes.as_deref())?;
                let padded: TVec<TDim> =
                    shape.iter().zip(pads).map(|(extent, (before, after))| extent.clone() + before + after).collect();
                solver.equals(&outputs[0].shape, padded)
            })
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let pads = match &self.pads {
            Pads::Fixed(pads) => pads.clone(),
            Pads::Input => integers(&*known(model, inputs[1], "pads")?)?,
        };
        let axes = self.axes.map(|axes| known(model, inputs[axes], "axes")).transpose()?;
        let mut wire = inputs[0];
        let rank = model.outlet_fact(wire)?.rank();
        let pads = self.per_axis(rank, &pads, axes.as_deref())?;
        for (axis, (before, after)) in pads.iter().enumerate().filter(|(_, pads)| pads.0 < 0 || pads.1 < 0) {
            let extent = model.outlet_fact(wire)?.shape[axis].clone();
            let slice = Slice::new(axis, (-before).max(0), extent + (*after).min(0));
            wire = model.wire_node(format!("{name}.cut-{axis}"), slice, &[wire])?[0];
        }
        let pads: Vec<(usize, usize)> =
            pads.iter().map(|(b, a)| ((*b).max(0) as usize, (*a).max(0) as usize)).collect();
        match (self.mode, self.value) {
            (Mode::Constant, Fill::Value(value)) => pad(name, model, wire, &pads, tensor0(value)),
            (Mode::Constant, Fill::Input(input)) => {
                if let Some(value) = model.outlet_fact(inputs[input])?.konst.clone() {
                    return pad(name, model, wire, &pads, value.nth(0)?);
                }
                // Outside the tensor, the value is selected.
                let fact = model.outlet_fact(wire)?.clone();
                let inside = tensor0(1f32).broadcast_into_rank(rank)?;
                let inside = model.add_const(format!("{name}.inside"), inside)?;
                let shape = MultiBroadcastTo::new(fact.shape.clone());
                let inside = model.wire_node(format!("{name}.ones"), shape, &[inside])?[0];
                let inside = pad(&format!("{name}.outside"), model, inside, &pads, tensor0(0f32))?[0];
                let inside = model.wire_node(format!("{name}.mask"), cast(bool::datum_type()), &[inside])?[0];
                let zero = Tensor::zero_scalar_dt(fact.datum_type)?;
                let padded = pad(&format!("{name}.padded"), model, wire, &pads, zero)?[0];
                let mut value = inputs[input];
                while model.outlet_fact(value)?.rank() > 0 {
                    let part = model.unique_name(format!("{name}.value"));
                    value = model.wire_node(part, AxisOp::Rm(0), &[value])?[0];
                }
                wire_with_rank_broadcast(name, model, Iff, &[inside, padded, value])
            }
            (mode, _) => {
                for (axis, (before, after)) in pads.into_iter().enumerate().filter(|(_, pads)| *pads != (0, 0)) {
                    let extent = model.outlet_fact(wire)?.shape[axis].to_i64();
                    let extent =
                        extent.map_err(|_| Reason("it pads the batch by its own rows; pad another axis".into()))?;
                    let picks = mode.picks(extent, before as i64, after as i64)?;
                    let picks = model.add_const(format!("{name}.picks-{axis}"), tensor1(&picks))?;
                    wire = model.wire_node(format!("{name}.pad-{axis}"), Gather::new(axis), &[wire, picks])?[0];
                }
                Ok(tvec!(wire))
            }
        }
    }
}

impl Mode {
    /// Source element for each position of the padded axis.
    fn picks(self, extent: i64, before: i64, after: i64) -> TractResult<Vec<i64>> {
        if extent == 0 || (self == Self::Reflect && before.max(after) >= extent) {
            Reason::err(format!("it pads {before} and {after} elements from an axis of {extent}; pad fewer"))?;
        }
        let pick = |n: i64| match self {
            Self::Reflect if n < 0 => -n,
            Self::Reflect if n >= extent => 2 * (extent - 1) - n,
            Self::Wrap => n.rem_euclid(extent),
            _ => n.clamp(0, extent - 1),
        };
        Ok((-before..extent + after).map(pick).collect())
    }
}

fn pad(
    name: &str,
    model: &mut TypedModel,
    wire: OutletId,
    pads: &[(usize, usize)],
    value: Tensor,
) -> TractResult<TVec<OutletId>> {
    let datum_type = model.outlet_fact(wire)?.datum_type;
    let mode = PadMode::Constant(value.cast_to_dt(datum_type)?.into_owned().into_arc_tensor());
    model.wire_node(name, Padded { pads: pads.to_vec(), mode }, &[wire])
}
