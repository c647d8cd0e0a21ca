//! Copies between two strided views: transposes, slices, pads, broadcasts, concatenations.

use super::{Inputs, Operation, Output, by_width};
use crate::{
    bounded,
    error::Result,
    exec::{
        validate::{Checked, ensure},
        walk::Walk,
    },
    plan::{Access, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// `output[target(i)] = T0[source(i)]` for every `i` in `shape`; elements outside the target keep the values of an
/// earlier step, or are zero. Any type, the same on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Extents of the iteration.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// View of `T0`.
    pub source: View,
    /// View of the output.
    pub target: View,
}

impl Operation for Copy {
    const NAME: &'static str = "copy";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { shape, source, target } = self;
        call.arity(1)?;
        ensure(call.dtype(0)? == call.out, "a copy between types")?;
        call.view(0, &[shape], source)?;
        call.inside(call.output_len(), &[shape], target)?;
        Ok(call.covers(shape, target))
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let [source, target] = [&self.source, &self.target].map(Touch::view);
        Some(Access { shape: self.shape.clone(), inputs: vec![source], output: target })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let walk = Walk::new(&self.shape, [&self.source, &self.target], inputs.rows)?;
        let (len, [step, stride]) = walk.run();
        by_width!(out.dtype, T => {
            let (from, to) = (inputs.elements::<T>(0)?, out.elements::<T>()?);
            for [source, target] in walk.runs([0, 0]) {
                if (step, stride) == (1, 1) {
                    to[target..target + len].copy_from_slice(&from[source..source + len]);
                } else {
                    for i in 0..len {
                        to[target + i * stride] = from[source + i * step];
                    }
                }
            }
            Ok(())
        })
    }
}
