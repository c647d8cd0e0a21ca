//! Matrix products with constant weights.

use super::{Inputs, outside};
use crate::{
    error::Result,
    exec::product::{Panel, load, store, tile},
    plan::{Activation, DENSE_PANEL},
};

/// Elements of `T0` that meet one panel after the other: they stay in the innermost cache.
const BLOCK: usize = 4096;

/// Extents of one product.
#[derive(Clone, Copy)]
pub struct Shape {
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// `out = act(T0 × W + b)`; see [`Kernel::Dense`](crate::plan::Kernel::Dense).
#[inline(never)]
pub fn dense(shape: Shape, activation: Activation, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let Shape { rows, inner, columns } = shape;
    let x = inputs.elements::<f32>(0)?.get(..rows * inner).ok_or_else(outside)?;
    let layer = Layer {
        inner,
        columns,
        panels: inputs.elements::<f32>(1)?.as_chunks().0,
        bias: inputs.elements::<f32>(2)?.as_chunks().0,
        activation,
    };
    let out = out.get_mut(..rows * columns).ok_or_else(outside)?;
    let block = (BLOCK / inner.max(1)).max(4);
    let mut row = 0;
    while row < rows {
        let height = match rows - row {
            left @ 4.. => left.min(block) / 4 * 4,
            2.. => 2,
            _ => 1,
        };
        let x = &x[row * inner..(row + height) * inner];
        let out = &mut out[row * columns..(row + height) * columns];
        match height {
            1 => layer.rows::<1>(x, out),
            _ => layer.rows::<2>(x, out),
        }
        row += height;
    }
    Ok(())
}

struct Layer<'a> {
    inner: usize,
    columns: usize,
    panels: &'a [Panel],
    bias: &'a [Panel],
    activation: Activation,
}

impl Layer<'_> {
    /// A multiple of `R` rows, in tiles of two panels as far as there are so many.
    // A function of its own for each height: engines optimise small functions best.
    #[inline(never)]
    fn rows<const R: usize>(&self, x: &[f32], out: &mut [f32]) {
        let mut panel = 0;
        while panel + 2 <= self.bias.len() {
            self.tiles::<R, 2>(panel, x, out);
            panel += 2;
        }
        if panel < self.bias.len() {
            self.tiles::<R, 1>(panel, x, out);
        }
    }

    #[inline(always)]
    fn tiles<const R: usize, const P: usize>(&self, first: usize, x: &[f32], out: &mut [f32]) {
        let Self { inner, columns, .. } = *self;
        let bias: [_; P] = core::array::from_fn(|p| load(&self.bias[first + p]));
        let panels: [_; P] = core::array::from_fn(|p| &self.panels[(first + p) * inner..(first + p + 1) * inner]);
        for (x, out) in x.chunks_exact(R * inner).zip(out.chunks_exact_mut(R * columns)) {
            let x: [_; R] = core::array::from_fn(|row| &x[row * inner..(row + 1) * inner]);
            let sums = tile([bias; R], x, panels);
            for (sums, out) in sums.into_iter().zip(out.chunks_exact_mut(columns)) {
                for (sums, to) in sums.into_iter().zip(out[first * DENSE_PANEL..].chunks_mut(DENSE_PANEL)) {
                    store(sums, self.activation, to);
                }
            }
        }
    }
}
