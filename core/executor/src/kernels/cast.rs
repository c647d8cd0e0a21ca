//! Type conversion of elements.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::{
        arena::outside,
        elements::map,
        validate::{Checked, ensure},
    },
    plan::{Access, DType, Dim, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[i] = T0[i]` in the output's type. Float to integer truncates towards zero and
/// saturates (NaN gives 0); to `Bool` it is `x != 0`. F64 is cast from and to F32 and I64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast;

impl Operation for Cast {
    const NAME: &'static str = "cast";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(1)?;
        let (from, out) = (call.dtype(0)?, call.out);
        let double = from == DType::F64 || out == DType::F64;
        let fits = |dtype| matches!(dtype, DType::F32 | DType::I64) || dtype == DType::F64;
        ensure(!double || (from != out && fits(from) && fits(out)), "a cast of F64")?;
        call.same_len()
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.output()
    }

    fn access(&self, output: Dim) -> Option<Access> {
        Some(Access { shape: vec![output], inputs: vec![Touch::Element], output: Touch::Element })
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (from, to, out) = (inputs.dtype(0)?, out.dtype, out.used()?);
        match (from, to) {
            (DType::F32, DType::Bool) => map::<f32, u8>(inputs, out, |x| u8::from(x != 0.0)),
            (DType::I64, DType::Bool) => map::<i64, u8>(inputs, out, |x| u8::from(x != 0)),
            (DType::I32, DType::Bool) => map::<i32, u8>(inputs, out, |x| u8::from(x != 0)),
            (DType::U8 | DType::Bool, DType::Bool) => map::<u8, u8>(inputs, out, |x| u8::from(x != 0)),
            (DType::F32, DType::I64) => map::<f32, i64>(inputs, out, |x| x as i64),
            (DType::F32, DType::I32) => map::<f32, i32>(inputs, out, |x| x as i32),
            (DType::F32, DType::U8) => map::<f32, u8>(inputs, out, |x| x as u8),
            (DType::I64, DType::F32) => map::<i64, f32>(inputs, out, |x| x as f32),
            (DType::I64, DType::I32) => map::<i64, i32>(inputs, out, |x| x as i32),
            (DType::I64, DType::U8) => map::<i64, u8>(inputs, out, |x| x as u8),
            (DType::I32, DType::F32) => map::<i32, f32>(inputs, out, |x| x as f32),
            (DType::I32, DType::I64) => map::<i32, i64>(inputs, out, |x| x as i64),
            (DType::I32, DType::U8) => map::<i32, u8>(inputs, out, |x| x as u8),
            (DType::U8 | DType::Bool, DType::F32) => map::<u8, f32>(inputs, out, f32::from),
            (DType::U8 | DType::Bool, DType::I64) => map::<u8, i64>(inputs, out, i64::from),
            (DType::U8 | DType::Bool, DType::I32) => map::<u8, i32>(inputs, out, i32::from),
            (DType::F64, DType::F32) => map::<f64, f32>(inputs, out, |x| x as f32),
            (DType::F64, DType::I64) => map::<f64, i64>(inputs, out, |x| x as i64),
            (DType::F32, DType::F64) => map::<f32, f64>(inputs, out, f64::from),
            (DType::I64, DType::F64) => map::<i64, f64>(inputs, out, |x| x as f64),
            // INVARIANT: `validate` refuses other casts of F64.
            (DType::F64, _)
            | (_, DType::F64)
            | (DType::F32, DType::F32)
            | (DType::I64, DType::I64)
            | (DType::I32, DType::I32)
            | (_, DType::U8) => copy(inputs, out),
        }
    }
}

fn copy(inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    let from = inputs.elements::<u8>(0)?;
    out.copy_from_slice(from.get(..out.len()).ok_or_else(outside)?);
    Ok(())
}
