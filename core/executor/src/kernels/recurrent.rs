//! Recurrent layers: GRU, LSTM and the plain cell, step by step.

use super::{Activation, DENSE_PANEL, Inputs, Operation, Output, UnaryOp};
use crate::{
    error::{Error, ErrorKind, Result},
    exec::{
        arena::outside,
        functions,
        product::{Panel, load, store, tile},
        validate::{Checked, ensure, product},
    },
    plan::{Access, DType, Dim, Groups, Size, Touch, View},
};
use alloc::{format, vec};
use serde::{Deserialize, Serialize};

/// Recurrent layer in one direction, over a sequence for each row. F32.
///
/// `P` below is `hidden` rounded up to whole panels of [`DENSE_PANEL`], `G` the gates and `S` the
/// states of the cell. The inputs:
/// - `T0`: contribution of each step's input and the biases to each gate, `[rows, steps, G × P]` through
///   `source`;
/// - `T1`: the recurrent weights, for each gate as the panels of a [`Dense`](super::Dense),
///   `[G, P / DENSE_PANEL, hidden, DENSE_PANEL]`;
/// - `T2`: biases of their products, `[G, P]`;
/// - `T3`: initial states, `[rows, S, hidden]` through `initial`;
/// - with `lengths`, the number of steps of each row, I64 or I32 `[rows]`; a length outside 0 to `steps` is a fault;
/// - with `peepholes`, an LSTM's weights from the cell state to input, output and forget gate,
///   `[3, P]`.
///
/// Each row of the output contains: the states after the last step `[S, P]`, working memory `[G, P]`, and with `keep`
/// the hidden state after each step `[steps, P]`, 0 after the row's length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recurrent {
    /// Kind of step.
    pub cell: Cell,
    /// Functions of the gates: the `f`, `g` and `h` of ONNX.
    pub functions: [GateFunction; 3],
    /// Gates are clamped to ± this before their function, and NaN becomes the maximum; infinite disables both.
    pub clip: f32,
    /// Number of sequences.
    pub rows: Dim,
    /// Steps per sequence.
    pub steps: u32,
    /// Units per state.
    pub hidden: u32,
    /// Runs from the last step to the first.
    pub reverse: bool,
    /// Whether to output the hidden state after each step.
    pub keep: bool,
    /// Whether each row has its own length.
    pub lengths: bool,
    /// Whether the gates of an LSTM use its cell state.
    pub peepholes: bool,
    /// View of `T0`: rows, steps, and gates with stride 1.
    pub source: View,
    /// View of `T3`: rows, states, units.
    pub initial: View,
}

/// Computation of one step of [`Recurrent`]. `x` is the step's row of `T0`, `u` the recurrent product with its bias, by
/// gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// `h = f(x + u)`
    Plain,
    /// Gates update, reset, hidden: `z = f(x + u)`, `r = f(x + u)`, `h' = (1 − z) g(x + u(r h)) + z h`.
    Gru,
    /// The same with `g(x + r u)`: the reset is applied after the product.
    GruResetAfter,
    /// Gates input, output, forget, cell: `c' = f(f) c + f(i) g(c)`, `h' = f(o) h(c')`. States
    /// hidden, cell.
    Lstm,
}

/// Function of a gate of [`Recurrent`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum GateFunction {
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`; NaN stays.
    Relu,
    /// `min(1, max(0, alpha × x + beta))`
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
}

impl Recurrent {
    /// Number of gates of the cell.
    pub const fn gates(&self) -> usize {
        match self.cell {
            Cell::Plain => 1,
            Cell::Gru | Cell::GruResetAfter => 3,
            Cell::Lstm => 4,
        }
    }

    /// Number of states of the cell.
    pub const fn states(&self) -> usize {
        if matches!(self.cell, Cell::Lstm) { 2 } else { 1 }
    }

    /// `hidden` rounded up to full panels.
    pub const fn padded(&self) -> usize {
        (self.hidden as usize).div_ceil(DENSE_PANEL).saturating_mul(DENSE_PANEL)
    }

    /// Elements of the output per row; saturates on overflow.
    pub const fn stretch(&self) -> usize {
        let kept = if self.keep { self.steps as usize } else { 0 };
        self.padded().saturating_mul(kept.saturating_add(self.states() + self.gates()))
    }
}

/// Rows that compute a step together, so that the weights are read once for all of them.
const TOGETHER: usize = 4;

impl Operation for Recurrent {
    const NAME: &'static str = "recurrent";

    #[inline(never)]
    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        let layer = self;
        let options = usize::from(layer.lengths) + usize::from(layer.peepholes);
        call.arity(4 + options)?;
        let floats = (0..4).all(|n| call.dtype(n) == Ok(DType::F32)) && call.out == DType::F32;
        ensure(floats, "recurrent layers are F32")?;
        let (rows, hidden) = (layer.rows.at(call.rows), layer.hidden as usize);
        ensure(hidden > 0 && hidden <= 1 << 16 && layer.steps <= 1 << 20, "a recurrent layer of that size")?;
        let (padded, gates) = (layer.padded(), layer.gates());
        let [sequence, states] = [
            [layer.rows, Dim::fixed(layer.steps), Dim::fixed((gates * padded) as u32)],
            [layer.rows, Dim::fixed(layer.states() as u32), Dim::fixed(layer.hidden)],
        ];
        call.view(0, &[&sequence], &layer.source)?;
        ensure(layer.source.strides[2] == Dim::fixed(1), "the gates of a step lie apart")?;
        let whole = call.len(1)? == product(&[gates, padded, hidden])? && call.len(2)? == gates * padded;
        ensure(whole, "weights are not whole panels")?;
        call.view(3, &[&states], &layer.initial)?;
        if layer.lengths {
            ensure(matches!(call.dtype(4)?, DType::I64 | DType::I32), "lengths are I64 or I32")?;
            call.holds(4, rows)?;
        }
        if layer.peepholes {
            let n = 3 + options;
            ensure(layer.cell == Cell::Lstm && call.dtype(n)? == DType::F32, "peepholes are F32 of an LSTM")?;
            call.holds(n, 3 * padded)?;
        }
        call.gives(product(&[rows, layer.stretch()])?)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        // A gate's function counts as sixteen operations.
        let inner = Dim::fixed(self.hidden.saturating_add(16));
        let gates = u32::try_from(self.gates().saturating_mul(self.padded())).unwrap_or(u32::MAX);
        size.volume(&[self.rows, Dim::fixed(self.steps), Dim::fixed(gates), inner])
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let read = |over: [usize; 2], view: &View| {
            let over = over.iter().map(|extent| u32::try_from(*extent).ok().map(Dim::fixed));
            Some(Touch::View { over: over.collect::<Option<_>>()?, view: view.clone() })
        };
        let source = read([self.steps as usize, self.gates() * self.padded()], &self.source)?;
        let initial = read([self.states(), self.hidden as usize], &self.initial)?;
        let mut inputs = vec![source, Touch::All, Touch::All, initial];
        inputs.extend(self.lengths.then_some(Touch::Element));
        inputs.extend(self.peepholes.then_some(Touch::All));
        let stretch = Dim::fixed(u32::try_from(self.stretch()).ok()?);
        Some(Access { shape: vec![self.rows], inputs, output: Touch::Block(vec![stretch]) })
    }

    fn groups(&self, input: usize) -> Option<Groups> {
        (input == 1).then_some(Groups::Panels(self.hidden))
    }

    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (layer, rows) = (self, inputs.rows);
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
        let out = out.elements::<f32>()?.get_mut(..count * stretch).ok_or_else(outside)?;
        for (row, out) in out.chunks_exact_mut(stretch).enumerate() {
            out[..(layer.states() + layer.gates()) * run.width].fill(0.0);
            for (state, units) in out.chunks_exact_mut(run.width).take(layer.states()).enumerate() {
                for (unit, to) in units[..layer.hidden as usize].iter_mut().enumerate() {
                    *to = run.initial[first + row * by_row + state * by_state + unit * by_unit];
                }
            }
        }
        let steps = layer.steps as usize;
        if layer.lengths {
            let dtype = inputs.dtype(4)?;
            for (row, out) in out.chunks_exact_mut(stretch).enumerate() {
                let length = match dtype {
                    DType::I64 => inputs.elements::<i64>(4)?[row],
                    _ => inputs.elements::<i32>(4)?[row].into(),
                };
                let length = usize::try_from(length).ok().filter(|&length| length <= steps).ok_or_else(|| {
                    Error::new(
                        ErrorKind::IndexOutOfRange,
                        format!(
                            "a sequence of {length} steps, where there are {steps}; check the lengths in the input"
                        ),
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
                // The last rows run one by one, with the same order of additions.
                for (n, out) in out.chunks_exact_mut(stretch).enumerate() {
                    run.rows::<1>(group * TOGETHER + n, steps, out);
                }
            }
        }
        Ok(())
    }
}

struct Run<'a> {
    layer: &'a Recurrent,
    /// Units per gate, padded.
    width: usize,
    source: &'a [f32],
    /// Offset, and strides by row and by step.
    source_at: [usize; 3],
    weights: &'a [Panel],
    bias: &'a [Panel],
    initial: &'a [f32],
    peepholes: &'a [f32],
}

/// Part of the output of one row.
struct Row<'a> {
    hidden: &'a mut [f32],
    /// For an LSTM.
    cell: &'a mut [f32],
    gates: &'a mut [f32],
    kept: &'a mut [f32],
}

impl<'a> Row<'a> {
    fn new(layer: &Recurrent, stretch: &'a mut [f32]) -> Self {
        let width = layer.padded();
        let (hidden, rest) = stretch.split_at_mut(width);
        let (cell, rest) = rest.split_at_mut((layer.states() - 1) * width);
        let (gates, kept) = rest.split_at_mut(layer.gates() * width);
        Self { hidden, cell, gates, kept }
    }
}

impl Run<'_> {
    /// Computes `length` steps of `R` rows, starting at `first`.
    #[inline(never)]
    fn rows<const R: usize>(&self, first: usize, length: usize, out: &mut [f32]) {
        let (width, gates) = (self.width, self.layer.gates());
        let [offset, by_row, by_step] = self.source_at;
        // The hidden gate of a GRU needs the reset gate first.
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

    /// Computes a row's new states from its gates: `row.gates` contains the recurrent products and `x` the contribution
    /// of the step's input. If the hidden gate of a GRU waits, the reset gate is left as its product with the hidden
    /// state.
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
                // Weights of input, output and forget gate.
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

    /// Replaces gates by the layer's `n`-th function of them.
    fn apply(&self, n: usize, gates: &mut [f32]) {
        let most = self.layer.clip;
        if most < f32::INFINITY {
            for gate in gates.iter_mut() {
                // NaN becomes the maximum.
                let limited = if *gate < most { *gate } else { most };
                *gate = if limited > -most { limited } else { -most };
            }
        }
        function(self.layer.functions[n], gates);
    }

    /// Computes each row's recurrent product with the weights of `gates` gates, starting at `first`, from its states
    /// into its gates.
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

/// Computes the first `P` panels of the rows' product, starting at column panel `at`.
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
        // NaN becomes 0, as in onnxruntime's recurrent layers; its operators of these names keep NaN.
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
