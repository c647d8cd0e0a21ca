//! Division and remainders. tract divides by multiplying with the reciprocal, which gives another number (infinity for
//! the smallest divisors), and treats remainders as commutative.

use super::Built;
use crate::attributes::Attributes;
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::{
        bin_to_super_type,
        internal::*,
        ops::{
            binary::TypedBinOp,
            math::{div, rem},
        },
    },
    tract_hir::{
        internal::{Expansion, InferenceResult, Solver, TensorProxy, expand},
        ops::binary::{rules, wire_cast, wire_rank_broadcast},
    },
};

bin_to_super_type!(divide, Divide, is_commutative: false, neutral_element: 1, [f16, f32, f64] => |c, a, b| *c = a / b);

bin_to_super_type!(remainder, Remainder, is_commutative: false,
    [f16, f32, f64] => |c, a, b| *c = a % b,
    [i8, i16, i32, i64, u8, u16, u32, u64] => |c, a, b| *c = a.wrapping_rem(*b));

bin_to_super_type!(modulo, Modulo, is_commutative: false,
    [i8, i16, i32, i64] => |c, a, b| {
        *c = a.wrapping_rem(*b);
        if *c != 0 && (*c < 0) != (*b < 0) {
            *c += *b;
        }
    },
    [u8, u16, u32, u64] => |c, a, b| *c = a % b);

pub(super) fn div_of(_: &ParsingContext<'_>, _: &NodeProto) -> Built {
    Ok((expand(Division::Quotient), Vec::new()))
}

pub(super) fn mod_of(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let signed_as_dividend = Attributes(node).int("fmod") == Some(1);
    Ok((expand(if signed_as_dividend { Division::Remainder } else { Division::Modulo }), Vec::new()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Division {
    /// Integer quotient, rounded towards zero.
    Quotient,
    /// Remainder with the sign of the dividend.
    Remainder,
    /// Remainder with the sign of the divisor.
    Modulo,
}

impl Expansion for Division {
    fn name(&self) -> StaticName {
        format!("{self:?}").into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        rules(solver, inputs, outputs, |left, right| {
            left.common_super_type(right).with_context(|| format!("{left:?} by {right:?}"))
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (left, right) = (model.outlet_fact(inputs[0])?.datum_type, model.outlet_fact(inputs[1])?.datum_type);
        let kind = left.common_super_type(right).with_context(|| format!("{left:?} by {right:?}"))?;
        let inputs = wire_rank_broadcast(name, model, inputs)?;
        let inputs = wire_cast(name, model, &inputs, kind)?;
        let is_extent = kind == TDim::datum_type();
        let op: TypedBinOp = match self {
            Self::Quotient if kind.is_float() => TypedBinOp(Box::new(Divide), None),
            Self::Quotient => div(),
            // Extents are never negative.
            Self::Remainder | Self::Modulo if is_extent => rem(),
            Self::Remainder => TypedBinOp(Box::new(Remainder), None),
            Self::Modulo => TypedBinOp(Box::new(Modulo), None),
        };
        model.wire_node(name, op, &inputs)
    }
}
