//! Recurrent layers: GRU, LSTM and the plain cell, a step after the other.

use super::{Inputs, outside};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::{
        functions,
        product::{Panel, load, store, tile},
    },
    plan::{Activation, Cell, DENSE_PANEL, DType, GateFunction, Recurrence, UnaryOp},
};
use alloc::format;

/// Rows that go through a step together, so that the weights are read once for all of them.
const TOGETHER: usize = 4;

/// See [`Recurrence`].
#[inline(never)]
pub fn recurrent(
    layer: &Recurrence,
    rows: usize,
    lengths: Option<DType>,
    inputs: &Inputs<'_>,
    out: &mut [f32],
) -> Result<()> {
    let options = usize::from(layer.lengths);
    let run = Run {
        layer,
        width: layer.padded(),
        source: inputs.elements(0)?,
        source_at: [layer.source.offset, layer.source.strides[0], layer.source.strides[1]].map(|dim| dim.at(rows)),
        weights: inputs.elements::<f32>(1)?.as_chunks().0,
        bias: inputs.elements::<f32>(2)?.as_chunks().0,
        initial: inputs.elements(3)?,
        peepholes: if layer.peepholes { inputs.elements(4 + options)? } else { &[] },
    };
    let [first, by_row, by_state, by_unit] =
        [layer.initial.offset, layer.initial.strides[0], layer.initial.strides[1], layer.initial.strides[2]]
            .map(|dim| dim.at(rows));
    let (count, stretch) = (layer.rows.at(rows), layer.stretch());
    let out = out.get_mut(..count * stretch).ok_or_else(outside)?;
    for (row, out) in out.chunks_exact_mut(stretch).enumerate() {
        out[..(layer.states() + layer.gates()) * run.width].fill(0.0);
        for (state, units) in out.chunks_exact_mut(run.width).take(layer.states()).enumerate() {
            for (unit, to) in units[..layer.hidden as usize].iter_mut().enumerate() {
                *to = run.initial[first + row * by_row + state * by_state + unit * by_unit];
            }
        }
    }
    let steps = layer.steps as usize;
    if let Some(dtype) = lengths {
        for (row, out) in out.chunks_exact_mut(stretch).enumerate() {
            let length = match dtype {
                DType::I64 => inputs.elements::<i64>(4)?[row],
                _ => inputs.elements::<i32>(4)?[row].into(),
            };
            let length = usize::try_from(length).ok().filter(|&length| length <= steps).ok_or_else(|| {
                Error::new(
                    ErrorKind::IndexOutOfRange,
                    format!("a sequence of {length} steps, where there are {steps}; check the lengths in the input"),
                )
            })?;
            run.rows::<1>(row, length, out);
        }
        return Ok(());
    }
    for (group, out) in out.chunks_mut(TOGETHER * stretch).enumerate() {
        if out.len() == TOGETHER * stretch {
            run.rows::<TOGETHER>(group * TOGETHER, steps, out);
        } else {
            // The last rows run one by one: the order of additions is the same.
            for (n, out) in out.chunks_exact_mut(stretch).enumerate() {
                run.rows::<1>(group * TOGETHER + n, steps, out);
            }
        }
    }
    Ok(())
}

struct Run<'a> {
    layer: &'a Recurrence,
    /// Units of a gate, padded.
    width: usize,
    source: &'a [f32],
    /// Offset, and strides by row and by step.
    source_at: [usize; 3],
    weights: &'a [Panel],
    bias: &'a [Panel],
    initial: &'a [f32],
    peepholes: &'a [f32],
}

/// One row's part of the output.
struct Row<'a> {
    hidden: &'a mut [f32],
    /// Of an LSTM.
    cell: &'a mut [f32],
    gates: &'a mut [f32],
    kept: &'a mut [f32],
}

impl<'a> Row<'a> {
    fn new(layer: &Recurrence, stretch: &'a mut [f32]) -> Self {
        let width = layer.padded();
        let (hidden, rest) = stretch.split_at_mut(width);
        let (cell, rest) = rest.split_at_mut((layer.states() - 1) * width);
        let (gates, kept) = rest.split_at_mut(layer.gates() * width);
        Self { hidden, cell, gates, kept }
    }
}

impl Run<'_> {
    /// `length` steps of `R` rows from `first` on.
    #[inline(never)]
    fn rows<const R: usize>(&self, first: usize, length: usize, out: &mut [f32]) {
        let (width, gates) = (self.width, self.layer.gates());
        let [offset, by_row, by_step] = self.source_at;
        // The hidden gate of a GRU waits for the reset gate.
        let waits = self.layer.cell == Cell::Gru;
        let mut stretches = out.chunks_exact_mut(self.layer.stretch());
        let mut rows: [Row<'_>; R] =
            core::array::from_fn(|_| Row::new(self.layer, stretches.next().unwrap_or_default()));
        for n in 0..length {
            let step = if self.layer.reverse { length - 1 - n } else { n };
            let start = offset + first * by_row + step * by_step;
            self.product(0, gates - usize::from(waits), rows.each_mut().map(|row| (&*row.hidden, &mut *row.gates)));
            for (n, row) in rows.iter_mut().enumerate() {
                self.gate(&self.source[start + n * by_row..][..gates * width], row);
            }
            if waits {
                let parts = rows.each_mut().map(|row| {
                    let (early, hidden) = row.gates.split_at_mut(2 * width);
                    (&early[width..], hidden)
                });
                self.product(2, 1, parts);
                for (n, row) in rows.iter_mut().enumerate() {
                    let (early, hidden) = row.gates.split_at_mut(2 * width);
                    add(hidden, &self.source[start + n * by_row + 2 * width..]);
                    self.apply(1, hidden);
                    blend(row.hidden, early, hidden);
                }
            }
            if self.layer.keep {
                for row in &mut rows {
                    row.kept[step * width..(step + 1) * width].copy_from_slice(row.hidden);
                }
            }
        }
        if self.layer.keep {
            for row in &mut rows {
                row.kept[length * width..].fill(0.0);
            }
        }
    }

    /// What a row's gates make of its states, `row.gates` holding the recurrent products and `x`
    /// what the step's input gives. Of a GRU whose hidden gate waits, the reset gate is left as
    /// its product with the hidden state.
    #[inline(never)]
    fn gate(&self, x: &[f32], row: &mut Row<'_>) {
        let width = self.width;
        match self.layer.cell {
            Cell::Plain => {
                add(row.gates, x);
                self.apply(0, row.gates);
                row.hidden.copy_from_slice(row.gates);
            }
            Cell::Gru | Cell::GruResetAfter => {
                let (early, hidden) = row.gates.split_at_mut(2 * width);
                add(early, x);
                self.apply(0, early);
                let reset = &mut early[width..];
                if self.layer.cell == Cell::Gru {
                    scale(reset, row.hidden);
                    return;
                }
                scale(hidden, reset);
                add(hidden, &x[2 * width..]);
                self.apply(1, hidden);
                blend(row.hidden, early, hidden);
            }
            Cell::Lstm => {
                add(row.gates, x);
                let (input, rest) = row.gates.split_at_mut(width);
                let (output, rest) = rest.split_at_mut(width);
                let (forget, fresh) = rest.split_at_mut(width);
                // The weights of input, output and forget gate.
                let see = |gate: usize| self.peepholes.get(gate * width..(gate + 1) * width).unwrap_or_default();
                add_product(input, see(0), row.cell);
                add_product(forget, see(2), row.cell);
                self.apply(0, input);
                self.apply(0, forget);
                self.apply(1, fresh);
                scale(row.cell, forget);
                add_product(row.cell, input, fresh);
                add_product(output, see(1), row.cell);
                self.apply(0, output);
                row.hidden.copy_from_slice(row.cell);
                function(self.layer.functions[2], row.hidden);
                scale(row.hidden, output);
            }
        }
    }

    /// Gates become the layer's `n`-th function of them.
    fn apply(&self, n: usize, gates: &mut [f32]) {
        let most = self.layer.clip;
        if most < f32::INFINITY {
            for gate in gates.iter_mut() {
                // NaN becomes the most.
                let limited = if *gate < most { *gate } else { most };
                *gate = if limited > -most { limited } else { -most };
            }
        }
        function(self.layer.functions[n], gates);
    }

    /// Each row's recurrent product with the weights of `gates` gates from `first` on: from its
    /// states, into its gates.
    fn product<const R: usize>(&self, first: usize, gates: usize, mut rows: [(&[f32], &mut [f32]); R]) {
        let (inner, by_gate) = (self.layer.hidden as usize, self.width / DENSE_PANEL);
        let bias = &self.bias[first * by_gate..(first + gates) * by_gate];
        let weights = &self.weights[first * by_gate * inner..(first + gates) * by_gate * inner];
        let mut panel = 0;
        while panel < bias.len() {
            let rest = (&weights[panel * inner..], &bias[panel..]);
            if R == 1 && rest.1.len() >= 2 {
                panels::<R, 2>(inner, rest.0, rest.1, panel, &mut rows);
                panel += 2;
            } else {
                panels::<R, 1>(inner, rest.0, rest.1, panel, &mut rows);
                panel += 1;
            }
        }
    }
}

/// The first `P` panels of the rows' product, written from column panel `at` on.
#[inline(always)]
fn panels<const R: usize, const P: usize>(
    inner: usize,
    weights: &[Panel],
    bias: &[Panel],
    at: usize,
    rows: &mut [(&[f32], &mut [f32]); R],
) {
    let bias: [_; P] = core::array::from_fn(|panel| load(&bias[panel]));
    let weights: [_; P] = core::array::from_fn(|panel| &weights[panel * inner..(panel + 1) * inner]);
    let states = rows.each_ref().map(|(states, _)| &states[..inner]);
    let sums = tile([bias; R], states, weights);
    for ((_, gates), sums) in rows.iter_mut().zip(sums) {
        for (sums, gates) in sums.into_iter().zip(gates[at * DENSE_PANEL..].chunks_mut(DENSE_PANEL)) {
            store(sums, Activation::None, gates);
        }
    }
}

fn function(function: GateFunction, values: &mut [f32]) {
    match function {
        GateFunction::Sigmoid => functions::apply(UnaryOp::Sigmoid, values),
        GateFunction::Tanh => functions::apply(UnaryOp::Tanh, values),
        // NaN becomes 0, as in onnxruntime, which keeps it in the operators of these names.
        GateFunction::Relu => values.iter_mut().for_each(|x| *x = if *x > 0.0 { *x } else { 0.0 }),
        GateFunction::HardSigmoid { alpha, beta } => {
            for x in values {
                let y = alpha * *x + beta;
                *x = if y > 1.0 {
                    1.0
                } else if y > 0.0 {
                    y
                } else {
                    0.0
                };
            }
        }
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

fn scale(to: &mut [f32], by: &[f32]) {
    to.iter_mut().zip(by).for_each(|(to, by)| *to *= by);
}

fn add_product(to: &mut [f32], left: &[f32], right: &[f32]) {
    to.iter_mut().zip(left.iter().zip(right)).for_each(|(to, (left, right))| *to += left * right);
}

/// `state = (1 − update) × fresh + update × state`
fn blend(state: &mut [f32], update: &[f32], fresh: &[f32]) {
    for ((state, update), fresh) in state.iter_mut().zip(update).zip(fresh) {
        *state = (1.0 - update) * fresh + update * *state;
    }
}
