//! Setting all elements to one value.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::validate::Checked,
    plan::{Access, DType, Dim, Size, Touch},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// Sets every element of the output to `value`, cast to the output's type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// The value.
    pub value: f64,
}

impl Operation for Fill {
    const NAME: &'static str = "fill";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(0)?;
        Ok(true)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.output()
    }

    fn access(&self, output: Dim) -> Option<Access> {
        Some(Access { shape: vec![output], inputs: vec![], output: Touch::Alike })
    }

    #[inline(never)]
    fn run(&self, _inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let value = self.value;
        match out.dtype {
            DType::F32 => out.used::<f32>()?.fill(value as f32),
            DType::F64 => out.used::<f64>()?.fill(value),
            DType::I64 => out.used::<i64>()?.fill(value as i64),
            DType::I32 => out.used::<i32>()?.fill(value as i32),
            DType::U8 => out.used::<u8>()?.fill(value as u8),
            DType::Bool => out.used::<u8>()?.fill(u8::from(value != 0.0)),
        }
        Ok(())
    }
}
