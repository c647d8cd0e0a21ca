//! `MatMul`, `OneHot` and `PRelu`, for shapes that tract refuses.

use super::{Alike, Built, axis_of, integers, known, like};
use crate::{attributes::Attributes, refusal::Reason};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::{
        internal::*,
        ops::{
            array::{OneHot as Hot, Slice},
            binary::TypedBinOp,
            change_axes::{wire_rank_broadcast, wire_with_rank_broadcast},
            logic::{Iff, comp_gt},
            math::mul,
        },
    },
    tract_hir::{
        internal::{Expansion, InferenceResult, Solver, TensorProxy, check_input_arity, expand},
        ops::matmul::MatMulInference,
    },
};

pub(super) fn matmul(_: &ParsingContext<'_>, _: &NodeProto) -> Built {
    Ok((expand(MatMul { product: MatMulInference::default(), alpha: 1.0 }), Vec::new()))
}

/// onnxruntime's own `alpha × A × B`, with either operand transposed.
pub(super) fn fused_matmul(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let set = |name| Attributes(node).int(name) == Some(1);
    ensure!(
        !set("transBatchA") && !set("transBatchB"),
        Reason("transposed batches are not supported; export the model without them".into())
    );
    let product = MatMulInference { a_trans: set("transA"), b_trans: set("transB"), ..MatMulInference::default() };
    Ok((expand(MatMul { product, alpha: Attributes(node).float("alpha").unwrap_or(1.0) }), Vec::new()))
}

/// Matrix product; a vector is a matrix of one row or column, which tract's operator drops.
#[derive(Debug, Clone)]
struct MatMul {
    product: MatMulInference,
    alpha: f32,
}

impl Expansion for MatMul {
    fn name(&self) -> StaticName {
        "MatMul".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.product.rules(solver, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let [left, right] = inputs else { bail!("a product has two inputs") };
        let row = model.outlet_fact(*left)?.rank() == 1;
        let column = model.outlet_fact(*right)?.rank() == 1;
        let (mut left, mut right) = (*left, *right);
        if row {
            left = model.wire_node(format!("{name}.row"), AxisOp::Add(0), &[left])?[0];
        }
        if column {
            right = model.wire_node(format!("{name}.column"), AxisOp::Add(1), &[right])?[0];
        }
        if self.alpha != 1.0 {
            let alpha = super::scalar(model, format!("{name}.alpha"), self.alpha, left)?;
            left = wire_with_rank_broadcast(format!("{name}.scaled"), model, mul(), &[left, alpha])?[0];
        }
        let mut product = self.product.wire(name, model, &[left, right])?;
        let last = model.outlet_fact(product[0])?.rank() - 1;
        for (part, axis, added) in [("columns", last, column), ("rows", last - 1, row)] {
            if added {
                product = model.wire_node(format!("{name}.{part}"), AxisOp::Rm(axis), &product)?;
            }
        }
        Ok(product)
    }
}

pub(super) fn one_hot(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    Ok((expand(OneHot { axis: Attributes(node).int("axis").unwrap_or(-1) }), Vec::new()))
}

/// New axis with `values[1]` at the indexed position and `values[0]` elsewhere; tract requires known values.
#[derive(Debug, Clone)]
struct OneHot {
    axis: i64,
}

impl OneHot {
    /// Position of the new axis among the `rank` axes of the indices.
    fn axis(&self, rank: usize) -> TractResult<usize> {
        axis_of(self.axis, rank + 1)
    }
}

/// Extent of the new axis.
fn depth(known: &Tensor) -> TractResult<usize> {
    let depth = integers(known)?.first().copied().context("no depth")?;
    usize::try_from(depth).with_context(|| format!("invalid depth {depth}"))
}

impl Expansion for OneHot {
    fn name(&self) -> StaticName {
        "OneHot".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        solver.equals(&inputs[2].datum_type, &outputs[0].datum_type)?;
        solver.given_2(&inputs[0].shape, &inputs[1].value, move |solver, mut shape, depth| {
            shape.insert(self.axis(shape.len())?, self::depth(&depth)?.to_dim());
            solver.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axis = self.axis(model.outlet_fact(inputs[0])?.rank())?;
        let dim = depth(&*known(model, inputs[1], "depth")?)?;
        let hot = Hot { axis, dim, off: rctensor0(false), on: rctensor0(true) };
        let hot = model.wire_node(format!("{name}.hot"), hot, &inputs[..1])?[0];
        let value = |model: &mut TypedModel, at: usize| {
            model.wire_node(format!("{name}.value-{at}"), Slice::new(0, at, at + 1), &inputs[2..])
        };
        let (off, on) = (value(model, 0)?[0], value(model, 1)?[0]);
        let parts = wire_rank_broadcast(name, model, &[hot, on, off])?;
        model.wire_node(name, Iff, &parts)
    }
}

pub(super) fn prelu(context: &ParsingContext<'_>, _: &NodeProto) -> Built {
    Ok((like(PRelu { by_channel: context.onnx_operator_set_version < 7 }), Vec::new()))
}

/// `x` above 0, and otherwise `slope × x`. Before operator set 7 a list of slopes had one for each channel.
#[derive(Debug, Clone)]
struct PRelu {
    by_channel: bool,
}

impl Alike for PRelu {
    const NAME: &str = "PRelu";
    const INPUTS: Option<usize> = Some(2);

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (x, mut slope) = (inputs[0], inputs[1]);
        let rank = model.outlet_fact(x)?.rank();
        if self.by_channel && model.outlet_fact(slope)?.rank() == 1 {
            for axis in 1..rank.saturating_sub(1) {
                slope = model.wire_node(format!("{name}.slope-{axis}"), AxisOp::Add(axis), &[slope])?[0];
            }
        }
        let zero = super::scalar(model, format!("{name}.zero"), 0.0, x)?;
        let scaled = wire_with_rank_broadcast(format!("{name}.scaled"), model, mul(), &[x, slope])?[0];
        let below =
            wire_with_rank_broadcast(format!("{name}.below"), model, TypedBinOp(comp_gt(), None), &[zero, x])?[0];
        model.wire_node(name, Iff, &[below, scaled, x])
    }
}
