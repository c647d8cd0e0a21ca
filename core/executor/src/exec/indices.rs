//! Positions along an axis, read from an input.

use super::arena::{Inputs, outside};
use crate::{
    error::{Error, ErrorKind, Result},
    plan::DType,
};
use alloc::format;

/// An input of positions along an axis.
pub(crate) enum Indices<'a> {
    I64(&'a [i64]),
    I32(&'a [i32]),
}

impl<'a> Indices<'a> {
    /// The `n`-th input.
    pub fn new(inputs: &Inputs<'a>, n: usize) -> Result<Self> {
        match inputs.dtype(n)? {
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
