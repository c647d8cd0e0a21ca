//! Distances between rows and points.

use super::Inputs;
use crate::error::Result;

/// Extents of a call.
pub struct Shape {
    pub rows: usize,
    pub inner: usize,
    pub points: usize,
}

/// The squared Euclidean or the Manhattan distance of each row of `T0` from each column of `T1`.
#[inline(never)]
pub fn distances(shape: Shape, squared: bool, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Shape { rows, inner, points } = shape;
    let (from, columns) = (inputs.elements::<f32>(0)?, inputs.elements::<f32>(1)?);
    for (row, out) in from.chunks_exact(inner).zip(out.chunks_exact_mut(points)).take(rows) {
        out.fill(0.0);
        for (x, coordinates) in row.iter().zip(columns.chunks_exact(points)) {
            for (sum, coordinate) in out.iter_mut().zip(coordinates) {
                let difference = x - coordinate;
                *sum += if squared { difference * difference } else { libm::fabsf(difference) };
            }
        }
    }
    Ok(())
}
