//! Positions of elements in a sorted list of keys.

use super::{Inputs, Operation, Output, by_number};
use crate::{
    error::Result,
    exec::{
        arena::outside,
        math::order,
        validate::{Checked, ensure},
    },
    plan::{Access, DType, Dim, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[i]`, `I64`: position of `T0[i]` in `T1`, a weight with ascending elements; the number of keys if it is not
/// among them. F32, I64 or I32, the same for both; NaN is one key, after all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup;

impl Operation for Lookup {
    const NAME: &'static str = "lookup";

    const TABLES: bool = true;

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(2)?;
        let dtype = call.dtype(0)?;
        ensure(call.dtype(1)? == dtype && call.out == DType::I64, "a lookup between types")?;
        let ascend = match dtype {
            _ if !call.thorough => true,
            DType::F32 => call.ascends::<f32>(1)?,
            DType::I64 => call.ascends::<i64>(1)?,
            DType::I32 => call.ascends::<i32>(1)?,
            DType::U8 | DType::Bool | DType::F64 => false,
        };
        ensure(ascend, "keys that are no ascending numbers")?;
        call.same_len()
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        let halvings = u64::from(size.weight(1).checked_ilog2().unwrap_or(0)) + 1;
        size.output().saturating_mul(halvings)
    }

    fn access(&self, output: Dim) -> Option<Access> {
        Some(Access { shape: vec![output], inputs: vec![Touch::Element, Touch::All], output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let out = out.used::<i64>()?;
        by_number!(inputs.dtype(0)?, T => {
            let keys = inputs.elements::<T>(1)?;
            for (position, value) in out.iter_mut().zip(inputs.elements::<T>(0)?) {
                *position = keys.binary_search_by(|key| order(*key, *value)).unwrap_or(keys.len()) as i64;
            }
            Ok(())
        })
    }
}
