//! Slices along an axis, selected by index.

use super::{Extents, Inputs, Operation, Output, by_width, extents};
use crate::{
    error::Result,
    exec::{indices::Indices, validate::Checked},
    plan::{Access, AxisShape, Dim, Groups, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[o, p, i] = T0[o, T1[p], i]`; `T0` of any type, `T1` `I64` or `I32`. A negative
/// index counts from the end. An index outside the axis is a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gather {
    /// Shape of `T0`.
    pub data: AxisShape,
    /// Number of indices in `T1`.
    pub picks: Dim,
}

impl Operation for Gather {
    const NAME: &'static str = "gather";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.holds(1, self.picks.at(call.rows))?;
        call.gathers(self.data, self.picks)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&[self.data.outer, self.picks, self.data.inner])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let Self { data: AxisShape { outer, axis, inner }, picks } = *self;
        if picks.per_row == 0 {
            return Some(Access::blocks(outer, vec![axis, inner], 1, vec![picks, inner]));
        }
        // Rows of a table shared by the whole batch.
        let inputs = vec![Touch::All, Touch::Element];
        let access = Access { shape: vec![picks], inputs, output: Touch::Block(vec![inner]) };
        (outer == Dim::fixed(1)).then_some(access)
    }

    fn groups(&self, input: usize) -> Option<Groups> {
        // Single numbers are biases.
        let row = self.data.inner.at(0) as u32;
        (input == 0 && row > 1).then_some(Groups::Rows(row))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (Extents { outer, axis, inner }, picks) = (extents(self.data, inputs.rows), self.picks.at(inputs.rows));
        let at = Indices::new(inputs, 1)?;
        by_width!(out.dtype, T => {
            let (from, to) = (inputs.elements::<T>(0)?, out.elements::<T>()?);
            for o in 0..outer {
                for p in 0..picks {
                    let source = (o * axis + at.position(p, axis)?) * inner;
                    let target = (o * picks + p) * inner;
                    to[target..target + inner].copy_from_slice(&from[source..source + inner]);
                }
            }
            Ok(())
        })
    }
}
