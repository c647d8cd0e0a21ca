//! Writing elements to positions along an axis by index.

use super::{DType, Inputs, by_number, by_width, cast_mut, gather::Indices, outside};
use crate::{
    error::Result,
    exec::{math::Number, walk::Walk},
    plan::{BinaryOp, Dim, View},
};
use bytemuck::Pod;

/// What is walked: the views are those of the indices, the source and the target.
#[derive(Clone, Copy)]
pub struct Geometry<'a> {
    pub shape: &'a [Dim],
    pub axis: Dim,
    pub views: [&'a View; 3],
    pub rows: usize,
}

/// `out[target(i, T0[index(i)])] = T1[source(i)]`; see [`Kernel::Scatter`](crate::plan::Kernel::Scatter).
#[inline(never)]
pub fn scatter(
    op: Option<BinaryOp>,
    geometry: Geometry<'_>,
    index: DType,
    dtype: DType,
    inputs: &Inputs<'_>,
    out: &mut [u8],
) -> Result<()> {
    match op {
        None => by_width!(dtype, T => put::<T>(geometry, index, inputs, cast_mut(out)?, &|_, new| new)),
        Some(op) => by_number!(dtype, T => {
            put::<T>(geometry, index, inputs, cast_mut(out)?, &|old, new| T::binary(op, old, new).unwrap_or(old))
        }),
    }
}

/// One copy for each type: `combine` is called, not inlined, as the module is to be small.
#[inline(never)]
fn put<T: Pod>(
    geometry: Geometry<'_>,
    index: DType,
    inputs: &Inputs<'_>,
    to: &mut [T],
    combine: &dyn Fn(T, T) -> T,
) -> Result<()> {
    let Geometry { shape, axis, views, rows } = geometry;
    let picks = Indices::new(inputs, 0, index)?;
    let from = inputs.elements::<T>(1)?;
    let extent = axis.at(rows);
    let stride = views[2].strides.last().ok_or_else(outside)?.at(rows);
    let walk = Walk::new(shape, views, rows)?;
    let (len, steps) = walk.run();
    for [pick, source, target] in walk.runs([0; 3]) {
        for i in 0..len {
            let position = picks.position(pick + i * steps[0], extent)?;
            let slot = &mut to[target + i * steps[2] + position * stride];
            *slot = combine(*slot, from[source + i * steps[1]]);
        }
    }
    Ok(())
}
