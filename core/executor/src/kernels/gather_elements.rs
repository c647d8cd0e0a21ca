//! Elements along an axis, each selected by its own index.

use super::{Extents, Inputs, Operation, Output, by_width, extents};
use crate::{
    error::Result,
    exec::{indices::Indices, validate::Checked},
    plan::{Access, AxisShape, Dim, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[o, p, i] = T0[o, T1[o, p, i], i]`, otherwise like [`Gather`](super::Gather).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherElements {
    /// Shape of `T0`.
    pub data: AxisShape,
    /// Extent of `T1` along the axis.
    pub picks: Dim,
}

impl Operation for GatherElements {
    const NAME: &'static str = "gather elements";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.holds(1, call.axis_len(self.data, self.picks)?)?;
        call.gathers(self.data, self.picks)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&[self.data.outer, self.picks, self.data.inner])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let Self { data: AxisShape { outer, axis, inner }, picks } = *self;
        let picked = Touch::Block(vec![picks, inner]);
        let inputs = vec![Touch::Block(vec![axis, inner]), picked.clone()];
        Some(Access { shape: vec![outer], inputs, output: picked })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (Extents { outer, axis, inner }, picks) = (extents(self.data, inputs.rows), self.picks.at(inputs.rows));
        let at = Indices::new(inputs, 1)?;
        by_width!(out.dtype, T => {
            let (from, to) = (inputs.elements::<T>(0)?, out.elements::<T>()?);
            for o in 0..outer {
                for p in 0..picks {
                    for i in 0..inner {
                        let target = (o * picks + p) * inner + i;
                        to[target] = from[(o * axis + at.position(target, axis)?) * inner + i];
                    }
                }
            }
            Ok(())
        })
    }
}
