//! Matrix products with constant weights.

use super::{Inputs, outside};
use crate::{
    error::Result,
    plan::{Activation, DENSE_PANEL},
};

/// Extents of one product.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// Rows of a register tile: 4 × 8 accumulators fill eight SIMD registers and do not spill.
const TILE_ROWS: usize = 4;

/// `out = act(T0 × W + b)`; see [`Kernel::Dense`](crate::plan::Kernel::Dense).
pub fn dense(shape: Shape, activation: Activation, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Shape { rows, inner, columns } = shape;
    let x = inputs.elements::<f32>(0)?.get(..rows * inner).ok_or_else(outside)?;
    let panels = inputs.elements::<f32>(1)?;
    let bias = inputs.elements::<f32>(2)?;
    let out = out.get_mut(..rows * columns).ok_or_else(outside)?;

    for (panel, bias) in bias.as_chunks::<DENSE_PANEL>().0.iter().enumerate() {
        let weights = panels.get(panel * inner * DENSE_PANEL..(panel + 1) * inner * DENSE_PANEL).ok_or_else(outside)?;
        let weights = weights.as_chunks::<DENSE_PANEL>().0;
        let first = panel * DENSE_PANEL;
        let width = DENSE_PANEL.min(columns - first);
        let mut row = 0;
        while row < rows {
            // The last rows run in a tile of one: the order of additions is the same.
            let height = if rows - row >= TILE_ROWS { TILE_ROWS } else { 1 };
            let x = &x[row * inner..(row + height) * inner];
            let out = &mut out[row * columns..(row + height) * columns];
            if height == TILE_ROWS {
                store(tile::<TILE_ROWS>(x, inner, weights, bias), activation, out, columns, first, width);
            } else {
                store(tile::<1>(x, inner, weights, bias), activation, out, columns, first, width);
            }
            row += height;
        }
    }
    Ok(())
}

/// `R` rows of `x` times one panel.
#[inline(always)]
fn tile<const R: usize>(
    x: &[f32],
    inner: usize,
    weights: &[[f32; DENSE_PANEL]],
    bias: &[f32; DENSE_PANEL],
) -> [[f32; DENSE_PANEL]; R] {
    let mut sums = [*bias; R];
    let rows: [&[f32]; R] = core::array::from_fn(|row| &x[row * inner..(row + 1) * inner]);
    for (k, weights) in weights[..inner].iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let value = row[k];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    sums
}

#[inline(always)]
fn store<const R: usize>(
    sums: [[f32; DENSE_PANEL]; R],
    activation: Activation,
    out: &mut [f32],
    columns: usize,
    first: usize,
    width: usize,
) {
    for (sums, row) in sums.iter().zip(out.chunks_exact_mut(columns)) {
        for (to, sum) in row[first..first + width].iter_mut().zip(sums) {
            *to = match activation {
                Activation::None => *sum,
                Activation::Relu => {
                    if *sum < 0.0 {
                        0.0
                    } else {
                        *sum
                    }
                }
            };
        }
    }
}
