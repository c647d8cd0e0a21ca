//! Contractions: matrix products in tiles, any other term by term.

use super::{Inputs, strided::Pair};
use crate::{
    error::Result,
    exec::{
        math::Number,
        product::{Panel, load, store, tile},
        walk::Walk,
    },
    plan::{Activation, DENSE_PANEL, Dim},
};

/// Terms of a sum that are packed at once: what is packed stays in the innermost cache.
const DEPTH: usize = 128;

/// Rows of a tile.
const ROWS: usize = 4;

/// `out[i] = Σ_j T0[left(i, j)] × T1[right(i, j)]`.
#[inline(never)]
pub fn contract<T: Number>(pair: Pair<'_>, over: &[Dim], inputs: &Inputs<'_>, out: &mut [T]) -> Result<()> {
    let (left, right) = (inputs.elements::<T>(0)?, inputs.elements::<T>(1)?);
    let views = [pair.left, pair.right];
    let outer = Walk::new(pair.shape, views, pair.rows)?;
    let inner = Walk::inner(over, views, pair.shape.len(), pair.rows)?;
    let (len, steps) = outer.run();
    let (terms, strides) = inner.run();
    for (run, [l, r]) in out[..outer.len()].chunks_exact_mut(len.max(1)).zip(outer.runs([0, 0])) {
        for (i, to) in run.iter_mut().enumerate() {
            let mut sum = T::ZERO;
            for [l, r] in inner.runs([l + i * steps[0], r + i * steps[1]]) {
                for j in 0..terms {
                    sum = sum.add(left[l + j * strides[0]].mul(right[r + j * strides[1]]));
                }
            }
            *to = sum;
        }
    }
    Ok(())
}

/// [`contract`] of F32: by tiles where the last axis of the output belongs to one of the tensors
/// alone and the sum is over one axis. The additions are the same, in the same order.
#[inline(never)]
pub fn floats(pair: Pair<'_>, over: &[Dim], inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let views = [pair.left, pair.right];
    let outer = Walk::new(pair.shape, views, pair.rows)?;
    let inner = Walk::inner(over, views, pair.shape.len(), pair.rows)?;
    let (columns, along) = outer.run();
    // The tensor that stands still along the output's last axis gives the rows.
    let Some(still) = along.iter().position(|stride| *stride == 0) else {
        return contract(pair, over, inputs, out);
    };
    if inner.axes() > 1 || inner.len() == 0 || outer.len() == 0 {
        return contract(pair, over, inputs, out);
    }
    let moving = 1 - still;
    let (x, matrix) = (inputs.elements::<f32>(still)?, inputs.elements::<f32>(moving)?);
    let (depth, strides) = inner.run();
    let mut walk = outer.onto_dense();
    // Of the axes that the matrix does not have, the longest counts the rows.
    let rows = (0..walk.axes().saturating_sub(1))
        .filter(|&axis| walk.axis(axis).1[moving] == 0)
        .max_by_key(|&axis| walk.axis(axis).0);
    let (rows, row_strides) = rows.map_or((1, [0; 3]), |axis| {
        let found = walk.axis(axis);
        walk.remove(axis);
        found
    });
    let mut product = Product {
        x,
        matrix,
        rows,
        columns,
        depth,
        x_strides: [row_strides[still], strides[still]],
        matrix_strides: [strides[moving], along[moving]],
        out_stride: row_strides[2],
        packed_x: [[0.0; DEPTH]; ROWS],
        packed: [[0.0; DENSE_PANEL]; DEPTH],
    };
    for at in walk.runs([0; 3]) {
        product.run(at[still], at[moving], &mut out[at[2]..]);
    }
    Ok(())
}

/// `rows × matrix`, of strided tensors.
struct Product<'a> {
    x: &'a [f32],
    matrix: &'a [f32],
    rows: usize,
    columns: usize,
    depth: usize,
    /// From one row to the next, and from one term to the next.
    x_strides: [usize; 2],
    /// From one term to the next, and from one column to the next.
    matrix_strides: [usize; 2],
    out_stride: usize,
    packed_x: [[f32; DEPTH]; ROWS],
    packed: [Panel; DEPTH],
}

impl Product<'_> {
    /// The product of the matrices that begin at `x` and `matrix`.
    #[inline(never)]
    fn run(&mut self, x: usize, matrix: usize, out: &mut [f32]) {
        for first in (0..self.columns).step_by(DENSE_PANEL) {
            let width = DENSE_PANEL.min(self.columns - first);
            for term in (0..self.depth).step_by(DEPTH) {
                let depth = DEPTH.min(self.depth - term);
                let [down, across] = self.matrix_strides;
                self.pack(matrix + term * down + first * across, depth, width);
                let mut row = 0;
                while row < self.rows {
                    let height = if self.rows - row >= ROWS { ROWS } else { 1 };
                    let [down, across] = self.x_strides;
                    let x = x + row * down + term * across;
                    let out = &mut out[row * self.out_stride + first..];
                    if height == ROWS {
                        self.tile::<ROWS>(x, depth, term == 0, out, width);
                    } else {
                        self.tile::<1>(x, depth, term == 0, out, width);
                    }
                    row += height;
                }
            }
        }
    }

    /// Packs `depth` terms of `width` columns into a panel. What stands in columns past the last
    /// is multiplied, and never stored.
    fn pack(&mut self, at: usize, depth: usize, width: usize) {
        let panel = &mut self.packed[..depth];
        let [down, across] = self.matrix_strides;
        if across == 1 {
            for (term, to) in panel.iter_mut().enumerate() {
                let from = &self.matrix[at + term * down..at + term * down + width];
                match from.first_chunk() {
                    Some(whole) => *to = *whole,
                    None => to[..width].copy_from_slice(from),
                }
            }
        } else {
            for column in 0..width {
                let to = panel.iter_mut().map(|to| &mut to[column]);
                copy(self.matrix, at + column * across, down, to);
            }
        }
    }

    #[inline(always)]
    fn tile<const R: usize>(&mut self, x: usize, depth: usize, first: bool, out: &mut [f32], width: usize) {
        let [down, across] = self.x_strides;
        let rows: [&[f32]; R] = if across == 1 {
            core::array::from_fn(|row| &self.x[x + row * down..x + row * down + depth])
        } else {
            for (row, packed) in self.packed_x.iter_mut().take(R).enumerate() {
                copy(self.x, x + row * down, across, packed[..depth].iter_mut());
            }
            core::array::from_fn(|row| &self.packed_x[row][..depth])
        };
        let sums = core::array::from_fn(|row| {
            let at = row * self.out_stride;
            [load(if first { &[] } else { &out[at..at + width] })]
        });
        let sums: [_; R] = tile(sums, rows, [&self.packed[..depth]]);
        for (row, [sums]) in sums.into_iter().enumerate() {
            let at = row * self.out_stride;
            store(sums, Activation::None, &mut out[at..at + width]);
        }
    }
}

/// Copies elements that lie `stride` apart.
#[inline(always)]
fn copy<'a>(from: &[f32], at: usize, stride: usize, to: impl ExactSizeIterator<Item = &'a mut f32>) {
    if stride == 1 {
        for (to, from) in to.zip(&from[at..]) {
            *to = *from;
        }
    } else {
        for (n, to) in to.enumerate() {
            *to = from[at + n * stride];
        }
    }
}
