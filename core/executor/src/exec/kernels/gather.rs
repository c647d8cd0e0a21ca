//! Selecting elements along an axis by index.

use super::{DType, Extents, Inputs, by_width, cast_mut, outside};
use crate::error::{Error, ErrorKind, Result};
use alloc::format;

/// `out[o, p, i] = T0[o, T1[p], i]`.
#[inline(never)]
pub fn gather(
    data: Extents,
    picks: usize,
    index: DType,
    inputs: &Inputs<'_>,
    dtype: DType,
    out: &mut [u8],
) -> Result<()> {
    let Extents { outer, axis, inner } = data;
    let at = Indices::new(inputs, 1, index)?;
    by_width!(dtype, T => {
        let (from, to) = (inputs.elements::<T>(0)?, cast_mut::<T>(out)?);
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

/// `out[o, p, i] = T0[o, T1[o, p, i], i]`.
#[inline(never)]
pub fn gather_elements(
    data: Extents,
    picks: usize,
    index: DType,
    inputs: &Inputs<'_>,
    dtype: DType,
    out: &mut [u8],
) -> Result<()> {
    let Extents { outer, axis, inner } = data;
    let at = Indices::new(inputs, 1, index)?;
    by_width!(dtype, T => {
        let (from, to) = (inputs.elements::<T>(0)?, cast_mut::<T>(out)?);
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

/// An input of positions along an axis.
pub(super) enum Indices<'a> {
    I64(&'a [i64]),
    I32(&'a [i32]),
}

impl<'a> Indices<'a> {
    /// The `n`-th input.
    pub fn new(inputs: &Inputs<'a>, n: usize, dtype: DType) -> Result<Self> {
        match dtype {
            DType::I64 => Ok(Self::I64(inputs.elements(n)?)),
            DType::I32 => Ok(Self::I32(inputs.elements(n)?)),
            _ => Err(outside()),
        }
    }

    /// The `n`-th index as a position along an axis of `extent`.
    pub fn position(&self, n: usize, extent: usize) -> Result<usize> {
        let index = match self {
            Self::I64(indices) => indices[n],
            Self::I32(indices) => i64::from(indices[n]),
        };
        let from_start = if index < 0 { index.wrapping_add(extent as i64) } else { index };
        usize::try_from(from_start).ok().filter(|&position| position < extent).ok_or_else(|| {
            Error::new(
                ErrorKind::IndexOutOfRange,
                format!("index `{index}` is outside an axis of {extent}; check the ids in the input"),
            )
        })
    }
}
