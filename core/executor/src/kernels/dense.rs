//! Matrix products with constant weights.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::{
        arena::outside,
        product::{Panel, load, store, tile},
        validate::{Checked, ensure, product},
    },
    plan::{Access, DType, Dim, Groups, Size},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// `output[r, c] = act(Σ_k T0[r, k] × W[k, c] + b[c])`, F32, all contiguous.
///
/// `T1` contains `W` in panels of [`DENSE_PANEL`] columns: panel `p` is `inner × DENSE_PANEL` elements, row-major, with
/// zeros in the columns past the last. `T2` contains `b`, padded to full panels. `k` ascends from 0, starting with
/// `b[c]`, with one multiplication and one addition each, so a result does not depend on the grouping of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dense {
    /// Rows.
    pub rows: Dim,
    /// Length of a row of `T0`.
    pub inner: u32,
    /// Columns of the output.
    pub columns: u32,
    /// Activation of each result.
    pub activation: Activation,
}

/// Activation of [`Dense`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Identity.
    None,
    /// `max(x, 0)`; NaN stays.
    Relu,
}

/// Columns of one panel of [`Dense`] weights.
pub const DENSE_PANEL: usize = 8;

/// Elements of `T0` per block for all panels, so that they stay in the innermost cache.
const BLOCK: usize = 4096;

impl Operation for Dense {
    const NAME: &'static str = "dense";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(3)?;
        let floats = (0..3).all(|n| call.dtype(n) == Ok(DType::F32)) && call.out == DType::F32;
        ensure(floats, "dense layers are F32")?;
        let (rows, inner, columns) = (self.rows.at(call.rows), self.inner as usize, self.columns as usize);
        let padded = columns.next_multiple_of(DENSE_PANEL);
        ensure(inner > 0 && columns > 0, "an empty matrix")?;
        call.holds(0, product(&[rows, inner])?)?;
        let whole = call.len(1)? == product(&[inner, padded])? && call.len(2)? == padded;
        ensure(whole, "weights are not whole panels")?;
        call.gives(product(&[rows, columns])?)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        size.volume(&[self.rows, Dim::fixed(self.inner), Dim::fixed(self.columns)])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let [inner, columns] = [self.inner, self.columns].map(|extent| vec![Dim::fixed(extent)]);
        Some(Access::blocks(self.rows, inner, 2, columns))
    }

    fn groups(&self, input: usize) -> Option<Groups> {
        (input == 1).then_some(Groups::Panels(self.inner))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (rows, inner, columns) = (self.rows.at(inputs.rows), self.inner as usize, self.columns as usize);
        let x = inputs.elements::<f32>(0)?.get(..rows * inner).ok_or_else(outside)?;
        let layer = Layer {
            inner,
            columns,
            panels: inputs.elements::<f32>(1)?.as_chunks().0,
            bias: inputs.elements::<f32>(2)?.as_chunks().0,
            activation: self.activation,
        };
        let out = out.elements::<f32>()?.get_mut(..rows * columns).ok_or_else(outside)?;
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
}

struct Layer<'a> {
    inner: usize,
    columns: usize,
    panels: &'a [Panel],
    bias: &'a [Panel],
    activation: Activation,
}

impl Layer<'_> {
    /// Computes a multiple of `R` rows, in tiles of two panels if enough remain. Separate functions for each height,
    /// because engines optimise small functions best.
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
