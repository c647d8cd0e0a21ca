//! Kernels that walk whole buffers element by element.

use super::{Inputs, cast_mut, outside};
use crate::{
    error::Result,
    exec::{functions, math::Integer},
    plan::{DType, UnaryOp},
};

/// Elements that are worked on at once: they stay in the innermost cache.
const BLOCK: usize = 1024;

/// Sets every element.
#[inline(never)]
pub fn fill(value: f64, dtype: DType, out: &mut [u8]) -> Result<()> {
    match dtype {
        DType::F32 => cast_mut::<f32>(out)?.fill(value as f32),
        DType::F64 => cast_mut::<f64>(out)?.fill(value),
        DType::I64 => cast_mut::<i64>(out)?.fill(value as i64),
        DType::I32 => cast_mut::<i32>(out)?.fill(value as i32),
        DType::U8 => out.fill(value as u8),
        DType::Bool => out.fill(u8::from(value != 0.0)),
    }
    Ok(())
}

/// `out[i] = op(T0[i])`.
#[inline(never)]
pub fn unary(op: UnaryOp, dtype: DType, inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    match (op, dtype) {
        (UnaryOp::Not, _) => map::<u8, u8>(inputs, out, |x| u8::from(x == 0)),
        (UnaryOp::IsNan, _) => map::<f32, u8>(inputs, out, |x| u8::from(x.is_nan())),
        (UnaryOp::IsInf, _) => map::<f32, u8>(inputs, out, |x| u8::from(x.is_infinite())),
        (_, DType::F32) => {
            let (from, to) = (inputs.elements::<f32>(0)?, cast_mut::<f32>(out)?);
            let from = from.get(..to.len()).ok_or_else(outside)?;
            for (to, from) in to.chunks_mut(BLOCK).zip(from.chunks(BLOCK)) {
                to.copy_from_slice(from);
                functions::apply(op, to);
            }
            Ok(())
        }
        (_, DType::I64) => map::<i64, i64>(inputs, out, |x| i64::unary(op, x)),
        (_, DType::I32) => map::<i32, i32>(inputs, out, |x| i32::unary(op, x)),
        (_, DType::U8 | DType::Bool | DType::F64) => Err(outside()),
    }
}

/// `out[i] = T0[i]` in another type.
#[inline(never)]
pub fn cast(from: DType, inputs: &Inputs<'_>, to: DType, out: &mut [u8]) -> Result<()> {
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

fn copy(inputs: &Inputs<'_>, out: &mut [u8]) -> Result<()> {
    let from = inputs.elements::<u8>(0)?;
    out.copy_from_slice(from.get(..out.len()).ok_or_else(outside)?);
    Ok(())
}

fn map<T: bytemuck::Pod, U: bytemuck::Pod>(inputs: &Inputs<'_>, out: &mut [u8], f: impl Fn(T) -> U) -> Result<()> {
    let from = inputs.elements::<T>(0)?;
    let to = cast_mut::<U>(out)?;
    if from.len() < to.len() {
        return Err(outside());
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(*from);
    }
    Ok(())
}
