//! Distances between rows and points.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::validate::{Checked, ensure, product},
    plan::{Access, DType, Dim, Size},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[r, p] = Σ_k d(T0[r, k] − T1[k, p])`, F32, all contiguous: squared Euclidean distance (`d` is the square) or
/// Manhattan distance (`d` is the magnitude), `k` ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distances {
    /// Rows.
    pub rows: Dim,
    /// Length of a row of `T0`.
    pub inner: u32,
    /// Columns of the output: points to compare rows with.
    pub points: u32,
    /// Square instead of magnitude.
    pub squared: bool,
}

impl Operation for Distances {
    const NAME: &'static str = "distances";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { rows, inner, points, .. } = *self;
        call.arity(2)?;
        let floats = (0..2).all(|n| call.dtype(n) == Ok(DType::F32)) && call.out == DType::F32;
        ensure(floats, "distances are F32")?;
        ensure(inner > 0 && points > 0, "an empty matrix")?;
        let (rows, inner, points) = (rows.at(call.rows), inner as usize, points as usize);
        call.holds(0, product(&[rows, inner])?)?;
        call.holds(1, product(&[inner, points])?)?;
        call.gives(product(&[rows, points])?)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&[self.rows, Dim::fixed(self.inner), Dim::fixed(self.points)])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let [inner, points] = [self.inner, self.points].map(|extent| vec![Dim::fixed(extent)]);
        Some(Access::blocks(self.rows, inner, 1, points))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (rows, inner, points) = (self.rows.at(inputs.rows), self.inner as usize, self.points as usize);
        let (from, columns) = (inputs.elements::<f32>(0)?, inputs.elements::<f32>(1)?);
        for (row, out) in from.chunks_exact(inner).zip(out.elements::<f32>()?.chunks_exact_mut(points)).take(rows) {
            out.fill(0.0);
            for (x, coordinates) in row.iter().zip(columns.chunks_exact(points)) {
                for (sum, coordinate) in out.iter_mut().zip(coordinates) {
                    let difference = x - coordinate;
                    *sum += if self.squared { difference * difference } else { libm::fabsf(difference) };
                }
            }
        }
        Ok(())
    }
}
