//! Comparisons of two elements, with broadcasting.

use super::{Inputs, Operation, Output, by_number};
use crate::{
    bounded,
    error::Result,
    exec::{
        arena::outside,
        elements::{double, each, zip},
        math,
        validate::{Checked, ensure},
        walk::Walk,
    },
    plan::{Access, DType, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Like [`Binary`](super::Binary), with a `Bool` output. `T0` and `T1` have the same type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compare {
    /// Comparison.
    pub op: CompareOp,
    /// Extents of the output.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// View of `T0`.
    pub left: View,
    /// View of `T1`.
    pub right: View,
}

/// Comparison; false for NaN, except `NotEqual`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the comparison of its name")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operation for Compare {
    const NAME: &'static str = "compare";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { shape, left, right, .. } = self;
        call.arity(2)?;
        let typed = call.out == DType::Bool && call.dtype(0)? == call.dtype(1)?;
        ensure(typed, "a comparison of different types")?;
        call.view(0, &[shape], left)?;
        call.view(1, &[shape], right)?;
        call.fills(&[shape])
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let inputs = [&self.left, &self.right].map(Touch::view).into();
        Some(Access { shape: self.shape.clone(), inputs, output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let op = self.op;
        let walk = Walk::new(&self.shape, [&self.left, &self.right], inputs.rows)?;
        match inputs.dtype(0)? {
            DType::U8 | DType::Bool => {
                zip::<u8, u8>(&walk, inputs, out, &mut each(|a, b| u8::from(math::compare(op, a, b))))
            }
            DType::F64 => {
                zip::<i64, u8>(&walk, inputs, out, &mut each(|a, b| u8::from(math::compare(op, double(a), double(b)))))
            }
            dtype => by_number!(dtype, T => {
                zip::<T, u8>(&walk, inputs, out, &mut each(|a, b| u8::from(math::compare(op, a, b))))
            }),
        }
    }
}
