//! Contractions: matrix products in tiles, all others term by term.

use super::{Activation, DENSE_PANEL, Inputs, Operation, Output};
use crate::{
    bounded,
    error::Result,
    exec::{
        arena::outside,
        math::Number,
        product::{Panel, load, store, tile},
        validate::{Checked, ensure},
        walk::Walk,
    },
    plan::{Access, DType, Dim, Groups, MAX_AXES, Size, Touch, View},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// `output[i] = Σ_j T0[left(i, j)] × T1[right(i, j)]` over `j` in `over`, output contiguous over `shape`. F32 or I64.
/// Any contraction of two tensors has this form. `j` ascends in row-major order, with one multiplication and one
/// addition each, starting from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Extents of the output.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub shape: Vec<Dim>,
    /// Extents summed over.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub over: Vec<Dim>,
    /// View of `T0`: axes of `shape`, then of `over`.
    pub left: View,
    /// View of `T1`: axes of `shape`, then of `over`.
    pub right: View,
}

/// Terms of a sum that are packed together, so that packed data stay in the innermost cache.
const DEPTH: usize = 128;

/// Rows of a tile.
const ROWS: usize = 4;

impl Operation for Contract {
    const NAME: &'static str = "contract";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let Self { shape, over, left, right } = self;
        let out = call.out;
        call.arity(2)?;
        let typed = matches!(out, DType::F32 | DType::I64) && call.dtype(0)? == out && call.dtype(1)? == out;
        ensure(typed, "contractions are F32 or I64")?;
        call.view(0, &[shape, over], left)?;
        call.view(1, &[shape, over], right)?;
        call.fills(&[shape])
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&self.shape).saturating_mul(size.volume(&self.over).max(1))
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let read = |view: &View| Touch::View { over: self.over.clone(), view: view.clone() };
        let inputs = vec![read(&self.left), read(&self.right)];
        Some(Access { shape: self.shape.clone(), inputs, output: Touch::Element })
    }

    fn groups(&self, _input: usize) -> Option<Groups> {
        Some(Groups::Any)
    }

    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        match out.dtype {
            DType::F32 => floats(self, inputs, out.elements()?),
            DType::I64 => terms::<i64>(self, inputs, out.elements()?),
            _ => Err(outside()),
        }
    }
}

impl Contract {
    /// Iterations over the output, and over the terms of each sum.
    fn walks(&self, rows: usize) -> Result<(Walk<2>, Walk<2>)> {
        let views = [&self.left, &self.right];
        let outer = Walk::new(&self.shape, views, rows)?;
        Ok((outer, Walk::inner(&self.over, views, self.shape.len(), rows)?))
    }
}

/// Computes term by term.
#[inline(never)]
fn terms<T: Number>(kernel: &Contract, inputs: &Inputs<'_>, out: &mut [T]) -> Result<()> {
    let (left, right) = (inputs.elements::<T>(0)?, inputs.elements::<T>(1)?);
    let (outer, inner) = kernel.walks(inputs.rows)?;
    let (len, steps) = outer.run();
    let (count, strides) = inner.run();
    for (run, [l, r]) in out[..outer.len()].chunks_exact_mut(len.max(1)).zip(outer.runs([0, 0])) {
        for (i, to) in run.iter_mut().enumerate() {
            let mut sum = T::ZERO;
            for [l, r] in inner.runs([l + i * steps[0], r + i * steps[1]]) {
                for j in 0..count {
                    sum = sum.add(left[l + j * strides[0]].mul(right[r + j * strides[1]]));
                }
            }
            *to = sum;
        }
    }
    Ok(())
}

/// Computes F32 in tiles if the last axis of the output belongs to only one of the tensors and the sum is over one
/// axis. The additions are the same, in the same order.
#[inline(never)]
fn floats(kernel: &Contract, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let (outer, inner) = kernel.walks(inputs.rows)?;
    let (columns, along) = outer.run();
    // The tensor without a stride along the output's last axis provides the rows.
    let Some(still) = along.iter().position(|stride| *stride == 0) else {
        return terms(kernel, inputs, out);
    };
    if inner.axes() > 1 || inner.len() == 0 || outer.len() == 0 {
        return terms(kernel, inputs, out);
    }
    let moving = 1 - still;
    let (x, matrix) = (inputs.elements::<f32>(still)?, inputs.elements::<f32>(moving)?);
    let (depth, strides) = inner.run();
    let mut walk = outer.onto_dense();
    // The longest of the axes that the matrix does not have becomes the rows.
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

/// Product of strided rows and a strided matrix.
struct Product<'a> {
    x: &'a [f32],
    matrix: &'a [f32],
    rows: usize,
    columns: usize,
    depth: usize,
    /// Distance between rows, and between terms.
    x_strides: [usize; 2],
    /// Distance between terms, and between columns.
    matrix_strides: [usize; 2],
    out_stride: usize,
    packed_x: [[f32; DEPTH]; ROWS],
    packed: [Panel; DEPTH],
}

impl Product<'_> {
    /// Computes the product of the matrices starting at `x` and `matrix`.
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

    /// Packs `depth` terms of `width` columns into a panel. Columns past the last are multiplied but never stored.
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

/// Copies elements that are `stride` apart.
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
