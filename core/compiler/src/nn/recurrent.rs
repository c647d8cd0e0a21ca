//! GRU, LSTM and RNN.
//!
//! The contribution of the inputs to the gates does not depend on earlier steps, so it is one product for the whole
//! sequence; the rest is one kernel for each direction. Both need gates and states of full panels, so matrices and
//! biases are padded with zero rows if `hidden` is not a multiple of eight.

use super::{Node, Operator, Shapes, input, known, optional, shape};
use crate::{
    builder::{Builder, panels},
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Value, view},
};
use tract_onnx::prelude::{TDim, TVec, ToDim as _, tvec};
use tradewind_core::plan::{self, Cell, DENSE_PANEL, DType, GateFunction};

/// Recurrent operator, from its attributes.
#[derive(Debug, Clone)]
pub(super) struct Recurrent {
    cell: Cell,
    /// Functions of each direction.
    functions: Vec<[GateFunction; 3]>,
    /// Whether each direction runs from the last step to the first.
    reverse: Vec<bool>,
    clip: f32,
    /// Whether the batch is the first axis of inputs and outputs.
    batch_first: bool,
    /// Whether the hidden state after each step is an output.
    keep: bool,
}

/// Input numbers.
const X: usize = 0;
const W: usize = 1;
const R: usize = 2;
const B: usize = 3;
const LENGTHS: usize = 4;
const INITIAL: [usize; 2] = [5, 6];
const PEEPHOLES: usize = 7;

impl Recurrent {
    pub fn read(node: &Node<'_>) -> Reasoned<Self> {
        let attributes = &node.attributes;
        let is_set = |name: &str| attributes.int(name).is_some_and(|value| value != 0);
        let cell = match attributes.0.op_type.as_str() {
            "GRU" if is_set("linear_before_reset") => Cell::GruResetAfter,
            "GRU" => Cell::Gru,
            "LSTM" => Cell::Lstm,
            _ => Cell::Plain,
        };
        if is_set("input_forget") {
            return Reason::err("`input_forget` is not supported; export the model without it");
        }
        let reverse = match attributes.string("direction", "forward")?.as_str() {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Reason::err(format!("unknown direction `{other}`")),
        };
        // With a bias onnxruntime clamps these gates to finite numbers, which affects NaN. Without one it keeps NaN,
        // and so do some of its Relus.
        let biased = attributes.0.input.get(3).is_some_and(|bias| !bias.is_empty());
        let clip = attributes.float("clip");
        let functions = functions(node, cell, reverse.len())?;
        if cell != Cell::Plain {
            let is_relu = |n: usize| functions.iter().any(|functions| functions[n] == GateFunction::Relu);
            if is_relu(0) {
                return Reason::err(
                    "Relu is not supported for gates, because it is unbounded; use Sigmoid or HardSigmoid",
                );
            }
            if !biased && (is_relu(1) || clip.is_some()) {
                return Reason::err("Relu and `clip` are supported only with a bias; add one of zeros");
            }
        }
        let limit = if biased && cell != Cell::Plain { f32::MAX } else { f32::INFINITY };
        Ok(Self {
            cell,
            functions,
            reverse,
            clip: clip.unwrap_or(limit),
            batch_first: is_set("layout"),
            keep: node.used.first() == Some(&true),
        })
    }

    fn gates(&self) -> usize {
        match self.cell {
            Cell::Plain => 1,
            Cell::Gru | Cell::GruResetAfter => 3,
            Cell::Lstm => 4,
        }
    }

    fn states(&self) -> usize {
        if self.cell == Cell::Lstm { 2 } else { 1 }
    }
}

impl Operator for Recurrent {
    fn shapes(&self, inputs: Shapes<'_>) -> Reasoned<Vec<TVec<TDim>>> {
        let (x, r) = (shape(inputs, X)?, shape(inputs, R)?);
        let ([first, second, _], [_, _, hidden]) = (x, r) else {
            return Reason::err("its input or weights do not have three axes");
        };
        let (directions, hidden) = (self.reverse.len().to_dim(), hidden.clone());
        let (steps, batch) = if self.batch_first { (second, first) } else { (first, second) };
        let (steps, batch) = (steps.clone(), batch.clone());
        known(&steps, "the number of steps")?;
        let state = if self.batch_first {
            tvec![batch.clone(), directions.clone(), hidden.clone()]
        } else {
            tvec![directions.clone(), batch.clone(), hidden.clone()]
        };
        let all = if self.batch_first {
            tvec![batch, steps, directions, hidden]
        } else {
            tvec![steps, directions, batch, hidden]
        };
        Ok(vec![all, state.clone(), state])
    }

    fn lower(&self, builder: &mut Builder, inputs: &[Option<Value>]) -> Reasoned<Vec<Option<Value>>> {
        let mut sequence = input(inputs, X)?.clone();
        if !self.batch_first {
            sequence = sequence.move_axis(0, 1);
        }
        let directions = (0..self.reverse.len())
            .map(|direction| self.direction(builder, direction, &sequence, inputs))
            .collect::<Reasoned<Vec<_>>>()?;
        // All have shape [batch, directions, hidden], or [batch, steps, directions, hidden].
        let mut outputs = Vec::new();
        for n in 0..=self.states() {
            let parts: Vec<Value> = directions.iter().filter_map(|parts| parts[n].clone()).collect();
            let Some(first) = parts.first() else {
                outputs.push(None);
                continue;
            };
            let axis = first.rank() - 2;
            let mut whole = if parts.len() == 1 { first.clone() } else { builder.concat(&parts, axis)? };
            if !self.batch_first {
                whole = whole.move_axis(0, axis);
            }
            outputs.push(Some(whole));
        }
        Ok(outputs)
    }
}

impl Recurrent {
    /// One direction: the hidden state after each step `[batch, steps, 1, hidden]`, if needed, and the last states
    /// `[batch, 1, hidden]`.
    fn direction(
        &self,
        builder: &mut Builder,
        direction: usize,
        sequence: &Value,
        inputs: &[Option<Value>],
    ) -> Reasoned<Vec<Option<Value>>> {
        let (gates, states) = (self.gates(), self.states());
        let [batch, steps, features] = sequence.shape[..] else {
            return Reason::err("its input does not have three axes");
        };
        let of = |n: usize| -> Reasoned<Option<Value>> {
            let Some(value) = optional(inputs, n) else { return Ok(None) };
            let part = value.clone().slice(0, Extent::fixed(direction as i64), Extent::ONE, 1)?;
            Ok(Some(part.remove_axis(0)))
        };
        let required = |n: usize| of(n)?.ok_or_else(|| Reason(format!("input {n} is missing")));
        let recurrent = required(R)?;
        let (Some(hidden), Some(count)) = (recurrent.shape[1].constant(), steps.constant()) else {
            return Reason::err("the number of units or steps is not known when packing");
        };
        let width = hidden.next_multiple_of(DENSE_PANEL);

        // Contribution of inputs and biases to each gate.
        let matrix = matrix(builder, &required(W)?, gates, hidden)?;
        let size = Extent::fixed((gates * hidden) as i64);
        let biases = match of(B)? {
            Some(biases) => biases,
            None => Value::scalar(0.0).broadcast(&[size.scaled(2)?])?,
        };
        let [bias, recurrent_bias] = [Extent::ZERO, size].map(|start| {
            let half = biases.clone().slice(0, start, size, 1)?;
            padded(builder, &half, gates, hidden)
        });
        let (bias, recurrent_bias) = (bias?, recurrent_bias?);
        let rows = builder.reshape_all(sequence, &[batch.times(steps)?, features])?;
        let given = builder.dense_panels(&rows, &matrix, gates * width, &bias)?;
        let by_step = Extent::fixed((gates * width) as i64);
        let by_row = steps.times(by_step)?;

        let weights = self::matrix(builder, &recurrent, gates, hidden)?;
        let initial = self.initial(builder, direction, batch, hidden, inputs)?;
        let peepholes = match of(PEEPHOLES)? {
            Some(weights) => Some(padded(builder, &weights, 3, hidden)?),
            None => None,
        };
        let lengths = match optional(inputs, LENGTHS) {
            Some(lengths) if is_whole(lengths, count) => None,
            Some(lengths) => Some(builder.packed(lengths)?),
            None => None,
        };
        let layer = plan::Recurrent {
            cell: self.cell,
            functions: self.functions[direction],
            clip: self.clip,
            rows: batch.dim()?,
            steps: count as u32,
            hidden: hidden as u32,
            reverse: self.reverse[direction],
            keep: self.keep,
            lengths: lengths.is_some(),
            peepholes: peepholes.is_some(),
            source: view(given.offset, &[by_row, by_step, Extent::ONE])?,
            initial: view(initial.offset, &initial.strides)?,
        };
        let always = [&given, &weights, &recurrent_bias, &initial];
        let operands: Vec<&Value> = always.into_iter().chain(&lengths).chain(&peepholes).collect();
        let output = builder.recurrent(layer, &operands)?;

        // Parts of each row, side by side.
        let width = width as i64;
        let hidden = Extent::fixed(hidden as i64);
        let part = |start: i64, steps: Extent| -> Reasoned<Value> {
            let len = steps.times(Extent::fixed(width))?;
            let part = output.clone().slice(1, Extent::fixed(start), len, 1)?;
            let shape = [steps, Extent::ONE, Extent::fixed(width)];
            let part = part.reshaped(1, 1, &shape).ok_or_else(|| Reason("a part of a row".into()))?;
            part.slice(3, Extent::ZERO, hidden, 1)
        };
        let kept = if self.keep { Some(part((states + gates) as i64 * width, steps)?) } else { None };
        let last = (0..states).map(|state| Ok(Some(part(state as i64 * width, Extent::ONE)?.remove_axis(1))));
        std::iter::once(Ok(kept)).chain(last).collect()
    }

    /// Initial states, `[batch, states, hidden]`.
    fn initial(
        &self,
        builder: &mut Builder,
        direction: usize,
        batch: Extent,
        hidden: usize,
        inputs: &[Option<Value>],
    ) -> Reasoned<Value> {
        let shape = [batch, Extent::ONE, Extent::fixed(hidden as i64)];
        let zeros = Builder::f32s(&vec![0.0; hidden], &[hidden])?.broadcast(&shape)?;
        let states = INITIAL[..self.states()].iter().map(|&n| {
            let Some(value) = optional(inputs, n) else { return Ok((zeros.clone(), false)) };
            let value = if self.batch_first { value.clone() } else { value.clone().move_axis(1, 0) };
            Ok((value.slice(1, Extent::fixed(direction as i64), Extent::ONE, 1)?, true))
        });
        let states = states.collect::<Reasoned<Vec<_>>>()?;
        if states.iter().any(|(_, given)| *given) {
            let states: Vec<Value> = states.into_iter().map(|(state, _)| state).collect();
            return if let [only] = &states[..] { Ok(only.clone()) } else { builder.concat(&states, 1) };
        }
        zeros.broadcast(&[batch, Extent::fixed(self.states() as i64), shape[2]])
    }
}

/// Functions of each direction.
fn functions(node: &Node<'_>, cell: Cell, directions: usize) -> Reasoned<Vec<[GateFunction; 3]>> {
    let usual: &[&str] = match cell {
        Cell::Plain => &["Tanh"],
        Cell::Gru | Cell::GruResetAfter => &["Sigmoid", "Tanh"],
        Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
    };
    let mut names = node.attributes.strings("activations")?;
    if names.is_empty() {
        names = usual.repeat(directions).into_iter().map(str::to_owned).collect();
    }
    if names.len() != usual.len() * directions {
        return Reason::err(format!("{} activations for {directions} directions", names.len()));
    }
    let [mut alphas, mut betas] =
        ["activation_alpha", "activation_beta"].map(|name| node.attributes.floats(name).iter().copied());
    let mut read = |name: &str| {
        Ok(match name.to_ascii_lowercase().as_str() {
            "sigmoid" => GateFunction::Sigmoid,
            "tanh" => GateFunction::Tanh,
            "relu" => GateFunction::Relu,
            "hardsigmoid" => {
                GateFunction::HardSigmoid { alpha: alphas.next().unwrap_or(0.2), beta: betas.next().unwrap_or(0.5) }
            }
            _ => {
                return Reason::err(format!(
                    "activation `{name}` is not supported (expected Sigmoid, Tanh, Relu or HardSigmoid)"
                ));
            }
        })
    };
    let mut result = Vec::new();
    for names in names.chunks(usual.len()) {
        let mut functions = [GateFunction::Tanh; 3];
        for (function, name) in functions.iter_mut().zip(names) {
            *function = read(name)?;
        }
        result.push(functions);
    }
    Ok(result)
}

/// Whether lengths are known to be those of the full sequence.
fn is_whole(lengths: &Value, steps: usize) -> bool {
    let known = lengths.known().and_then(|known| known.as_integers());
    known.is_some_and(|known| known.iter().all(|length| *length == steps as i64))
}

/// Converts `rows`, `[gates × hidden, inner]`, to the panels of its transpose, separately for each gate: `[gates,
/// panels, inner, DENSE_PANEL]`, padded with zeros if `hidden` is not a multiple of the panel.
fn matrix(builder: &mut Builder, rows: &Value, gates: usize, hidden: usize) -> Reasoned<Value> {
    let [count, inner] = rows.shape[..] else { return Reason::err("its weights do not have three axes") };
    if count.constant() != Some(gates * hidden) {
        return Reason::err(format!("weights for {count} gates' units, not {gates} × {hidden}"));
    }
    let split = rows.reshaped(0, 1, &[gates, hidden].map(|n| Extent::fixed(n as i64)));
    let split = split.ok_or_else(|| Reason("weights out of order".into()))?;
    let by_gate = hidden.div_ceil(DENSE_PANEL);
    let panel = Extent::fixed(DENSE_PANEL as i64);
    if let (Some(known), Some(inner)) =
        (split.permuted(&[0, 2, 1]).known().and_then(|known| known.as_f32()), inner.constant())
    {
        let cells: Vec<f32> =
            known.chunks_exact((inner * hidden).max(1)).flat_map(|gate| panels(gate, inner, hidden)).collect();
        return Builder::f32s(&cells, &[gates, by_gate, inner, DENSE_PANEL]);
    }
    let shape = [Extent::fixed(gates as i64), Extent::fixed(by_gate as i64), inner, panel];
    let target = builder.tensor(DType::F32, &shape)?;
    let (full, rest) = ((hidden / DENSE_PANEL) as i64, (hidden % DENSE_PANEL) as i64);
    if rest > 0 {
        builder.fill(&target, 0.0)?;
        let rest = Extent::fixed(rest);
        let from = split.clone().slice(1, Extent::fixed(full).times(panel)?, rest, 1)?;
        let place = target.clone().slice(1, Extent::fixed(full), Extent::ONE, 1)?.slice(3, Extent::ZERO, rest, 1)?;
        builder.copy(&from.move_axis(1, 2).insert_axis(1), &place)?;
    }
    if full > 0 {
        let full = Extent::fixed(full);
        let from = split.slice(1, Extent::ZERO, full.times(panel)?, 1)?.reshaped(1, 1, &[full, panel]);
        let from = from.ok_or_else(|| Reason("weights out of order".into()))?;
        builder.copy(&from.move_axis(2, 3), &target.clone().slice(1, Extent::ZERO, full, 1)?)?;
    }
    Ok(target)
}

/// Pads a vector for each of `gates` to full panels: `[gates × P]`.
fn padded(builder: &mut Builder, values: &Value, gates: usize, hidden: usize) -> Reasoned<Value> {
    matrix(builder, &values.clone().insert_axis(1), gates, hidden)
}
