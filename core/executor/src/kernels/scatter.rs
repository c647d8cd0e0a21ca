//! Writes to positions along an axis by index.

use super::{BinaryOp, Inputs, Operation, Output, by_number, by_width};
use crate::{
    bounded,
    error::Result,
    exec::{
        arena::outside,
        indices::Indices,
        math::Number,
        validate::{Checked, ensure, is_number},
        walk::Walk,
    },
    plan::{Access, DType, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::{vec, vec::Vec};
use bytemuck::Pod;
use serde::{Deserialize, Serialize};

/// `output[target(i, T0[index(i)])] = T1[source(i)]` for every `i` in `shape`, in row-major order; with `op`, `op` of
/// the existing value and `T1[source(i)]`. Other elements keep the values of an earlier step, or are zero. `T0` is I64
/// or I32, with indices as for [`Gather`](super::Gather). Any type; with `op` (Add, Mul, Min or Max) F32, I64 or I32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// Combination with the existing value; `None` replaces it.
    pub op: Option<BinaryOp>,
    /// Extents of the iteration.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// Extent of the indexed axis.
    pub axis: Dim,
    /// View of `T0`.
    pub index: View,
    /// View of `T1`.
    pub source: View,
    /// View of the output: axes of `shape`, then the indexed one.
    pub target: View,
}

impl Operation for Scatter {
    const NAME: &'static str = "scatter";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { op, shape, axis, index, source, target } = self;
        let out = call.out;
        call.arity(2)?;
        ensure(matches!(call.dtype(0)?, DType::I64 | DType::I32), "indices are I64 or I32")?;
        let combines = matches!(op, Some(BinaryOp::Add | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max));
        ensure(op.is_none() || (combines && is_number(out)), format_args!("a scatter by `{op:?}` of {out:?}"))?;
        ensure(call.dtype(1)? == out, "a scatter between types")?;
        call.view(0, &[shape], index)?;
        call.view(1, &[shape], source)?;
        call.inside(call.output_len(), &[shape, &[*axis]], target)?;
        Ok(false)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let inputs = [&self.index, &self.source].map(Touch::view).into();
        let output = Touch::View { over: vec![self.axis], view: self.target.clone() };
        Some(Access { shape: self.shape.clone(), inputs, output })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        match self.op {
            None => by_width!(out.dtype, T => put::<T>(self, inputs, out.elements()?, &|_, new| new)),
            Some(op) => by_number!(out.dtype, T => {
                put::<T>(self, inputs, out.elements()?, &|old, new| T::binary(op, old, new).unwrap_or(old))
            }),
        }
    }
}

/// One copy for each type: `combine` is called, not inlined, to keep the module small.
#[inline(never)]
fn put<T: Pod>(scatter: &Scatter, inputs: &Inputs<'_>, to: &mut [T], combine: &dyn Fn(T, T) -> T) -> Result<()> {
    let Scatter { shape, axis, index, source, target, .. } = scatter;
    let (rows, picks) = (inputs.rows, Indices::new(inputs, 0)?);
    let from = inputs.elements::<T>(1)?;
    let extent = axis.at(rows);
    let stride = target.strides.last().ok_or_else(outside)?.at(rows);
    let walk = Walk::new(shape, [index, source, target], rows)?;
    let (len, steps) = walk.run();
    for [pick, source, target] in walk.runs([0; 3]) {
        for i in 0..len {
            let position = picks.position(pick + i * steps[0], extent)?;
            let slot = &mut to[target + i * steps[2] + position * stride];
            *slot = combine(*slot, from[source + i * steps[1]]);
        }
    }
    Ok(())
}
