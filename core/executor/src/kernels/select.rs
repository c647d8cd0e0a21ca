//! Selection between two elements, with broadcasting.

use super::{Inputs, Operation, Output, by_width};
use crate::{
    bounded,
    error::Result,
    exec::{
        validate::{Checked, ensure},
        walk::Walk,
    },
    plan::{Access, DType, Dim, MAX_AXES, Size, Touch, View},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// `output[i] = if T0[condition(i)] { T1[on_true(i)] } else { T2[on_false(i)] }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Select {
    /// Extents of the output.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// View of `T0`, a `Bool`.
    pub condition: View,
    /// View of `T1`.
    pub on_true: View,
    /// View of `T2`.
    pub on_false: View,
}

impl Operation for Select {
    const NAME: &'static str = "select";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { shape, condition, on_true, on_false } = self;
        let out = call.out;
        call.arity(3)?;
        let typed = call.dtype(0)? == DType::Bool && call.dtype(1)? == out && call.dtype(2)? == out;
        ensure(typed, "a selection between types")?;
        call.view(0, &[shape], condition)?;
        call.view(1, &[shape], on_true)?;
        call.view(2, &[shape], on_false)?;
        call.fills(&[shape])
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let inputs = [&self.condition, &self.on_true, &self.on_false].map(Touch::view).into();
        Some(Access { shape: self.shape.clone(), inputs, output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let condition = inputs.elements::<u8>(0)?;
        let walk = Walk::new(&self.shape, [&self.condition, &self.on_true, &self.on_false], inputs.rows)?;
        let (len, steps) = walk.run();
        by_width!(out.dtype, T => {
            let (on_true, on_false, to) = (inputs.elements::<T>(1)?, inputs.elements::<T>(2)?, out.elements::<T>()?);
            for (run, [c, t, f]) in to[..walk.len()].chunks_exact_mut(len.max(1)).zip(walk.runs([0; 3])) {
                for (i, to) in run.iter_mut().enumerate() {
                    *to = if condition[c + i * steps[0]] != 0 {
                        on_true[t + i * steps[1]]
                    } else {
                        on_false[f + i * steps[2]]
                    };
                }
            }
            Ok(())
        })
    }
}
