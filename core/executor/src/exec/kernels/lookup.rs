//! The positions of elements in a sorted list of keys.

use super::{DType, Inputs, by_number, outside};
use crate::{error::Result, exec::math::order};

/// The position of each element of `T0` among the keys `T1`, or their number.
#[inline(never)]
pub fn lookup(dtype: DType, inputs: &Inputs<'_>, out: &mut [i64]) -> Result<()> {
    by_number!(dtype, T => {
        let keys = inputs.elements::<T>(1)?;
        for (position, value) in out.iter_mut().zip(inputs.elements::<T>(0)?) {
            *position = keys.binary_search_by(|key| order(*key, *value)).unwrap_or(keys.len()) as i64;
        }
        Ok(())
    })
}
