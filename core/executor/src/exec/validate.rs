//! What must hold of a plan before it is run: every index that a kernel can produce, for any batch
//! up to the tile, lies inside what the batch uses of its buffers, and what is read was written in the
//! same call. After this the executor cannot fault except on data.
//!
//! Not every batch is tried. How far a kernel reaches is a convex function of the rows (a sum of
//! products of growing [`Dim`]s), and a buffer's length is linear: what holds for two numbers of rows
//! holds between them, and lengths that agree for three agree for all between.

mod trees;

use super::{
    arena, dtype, kernels,
    math::{self, Number},
    port_len,
};
use crate::{
    error::{Error, ErrorKind, Result},
    plan::{
        AxisShape, Batch, BinaryOp, BufferId, Cell, DENSE_PANEL, DType, Dim, Encoding, Kernel, MAX_AXES, Operand, Plan,
        Recurrence, ReduceOp, Step, UnaryOp, View,
    },
};
use alloc::{format, string::ToString, vec, vec::Vec};
use bytemuck::Pod;
use core::fmt;

/// Bounds on a plan, so that the work and memory of one call are bounded by what `load` has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Kernel calls.
    pub steps: usize,
    /// Bytes of working memory.
    pub arena_bytes: usize,
    /// Bytes of weights, once those that are encoded are expanded.
    pub weights_bytes: usize,
    /// Rows in one call.
    pub rows: usize,
    /// Elementary operations for one tile.
    pub tile_work: u64,
    /// Elementary operations for one call.
    pub call_work: u64,
    /// Bytes of tables that are looked through when a plan is checked, for each step that has them.
    pub table_bytes: u64,
}

/// The limits that every build enforces.
pub const LIMITS: Limits = Limits {
    steps: 10_000,
    arena_bytes: 64 << 20,
    weights_bytes: 64 << 20,
    rows: 1 << 24,
    tile_work: 1 << 34,
    call_work: 1 << 40,
    table_bytes: 256 << 20,
};

/// What the executor has to know of a plan that was checked.
#[derive(Debug)]
pub struct Facts {
    /// The fewest rows for which no kernel leaves what the batch uses of its buffers.
    pub least_rows: usize,
    /// Steps that are the first to write their output and may leave out some of it: it is cleared
    /// before, so that nothing of another call can be read.
    pub clears: Vec<bool>,
    /// Elementary operations of one tile, clearing included.
    pub tile_work: u64,
}

/// Checks a plan against itself, its weights and [`LIMITS`].
#[inline(never)]
pub fn check(plan: &Plan, weights: &[u8]) -> Result<Facts> {
    let tile = plan.tile as usize;
    limit("steps", plan.steps.len() as u64, LIMITS.steps as u64)?;
    limit("bytes of working memory", u64::from(plan.arena_bytes), LIMITS.arena_bytes as u64)?;
    limit("rows in a tile", u64::from(plan.tile), LIMITS.rows as u64)?;
    ensure(tile > 0, "a tile of no rows")?;
    for (n, buffer) in plan.buffers.iter().enumerate() {
        let range = arena::byte_range(plan, buffer);
        let placed = buffer.offset % 16 == 0 && range.end <= plan.arena_bytes as usize;
        ensure(placed, format_args!("buffer {n} lies outside the arena, or unaligned"))?;
    }
    for (n, weight) in plan.weights.iter().enumerate() {
        ensure(weight.encoding == Encoding::Plain, format_args!("weight {n} is encoded; expand the plan first"))?;
        let end = u64::from(weight.offset) + u64::from(weight.len) * weight.dtype.bytes() as u64;
        let placed = weight.offset % 16 == 0 && end <= weights.len() as u64;
        ensure(placed, format_args!("weight {n} lies outside the weights section, or unaligned"))?;
    }
    for port in plan.inputs.iter().chain(&plan.outputs) {
        let buffer = plan.buffers.get(port.buffer.0 as usize);
        let fills =
            buffer.is_some_and(|buffer| probes(0, tile).all(|rows| port_len(port, rows) == buffer.len.at(rows)));
        ensure(fills, format_args!("tensor `{}` does not fill its buffer", port.name))?;
        let leads = port.shape.split_first().is_some_and(|(first, rest)| {
            first.fixed == 0 && first.per_row > 0 && rest.iter().all(|dim| dim.per_row == 0)
        });
        let batchless_input =
            port.shape.iter().all(|dim| dim.per_row == 0) && plan.inputs.iter().any(|input| core::ptr::eq(input, port));
        let whole = plan.batch == Batch::Joint || leads || batchless_input;
        ensure(whole, format_args!("tensor `{}` does not lead with the batch, but rows run apart", port.name))?;
        if !port.categories.is_empty() {
            let sorted = port.categories.is_sorted_by(|a, b| a < b);
            let is_input = plan.inputs.iter().any(|input| core::ptr::eq(input, port));
            ensure(sorted || !is_input, format_args!("categories of input `{}` do not ascend", port.name))?;
            ensure(dtype(plan, port) == Some(DType::I64), format_args!("categories of `{}` need i64", port.name))?;
        }
    }
    limit("bytes of tables in all steps", table_bytes(plan), LIMITS.table_bytes)?;
    let step_fails = |n: usize, step: &Step, error: Error| error.within(&format!("step {n} (`{}`)", step.node));
    for (n, step) in plan.steps.iter().enumerate() {
        let checked = Checked { plan, step, rows: tile, thorough: true, weights };
        checked.disjoint().and_then(|()| checked.kernel()).map_err(|error| step_fails(n, step, error))?;
    }
    let least_rows = least_rows(plan, weights);
    let apart = plan.batch == Batch::Joint || least_rows <= 1;
    ensure(apart, format_args!("rows run apart, but a step reads {least_rows} of them"))?;

    let mut written = vec![false; plan.buffers.len()];
    plan.inputs.iter().for_each(|port| mark(&mut written, port.buffer));
    let mut clears = Vec::with_capacity(plan.steps.len());
    let mut tile_work = plan.work(tile);
    for (n, step) in plan.steps.iter().enumerate() {
        let known = step.inputs.iter().all(|input| match input {
            Operand::Buffer(id) => is_marked(&written, *id),
            Operand::Weight(_) => true,
        });
        ensure(known, format_args!("step {n} (`{}`) reads a buffer that nothing has written", step.node))?;
        let mut whole = true;
        for rows in probes(least_rows, tile) {
            whole &= Checked { plan, step, rows, thorough: false, weights }
                .kernel()
                .map_err(|error| step_fails(n, step, error))?;
        }
        let clear = !whole && !is_marked(&written, step.output);
        if clear {
            let len = plan.buffers.get(step.output.0 as usize).map_or(0, |buffer| buffer.len.at(tile));
            tile_work = tile_work.saturating_add(len as u64);
        }
        clears.push(clear);
        mark(&mut written, step.output);
    }
    let known = plan.outputs.iter().all(|port| is_marked(&written, port.buffer));
    ensure(known, "an output that nothing has written")?;
    limit("operations for one tile", tile_work, LIMITS.tile_work)?;
    Ok(Facts { least_rows, clears, tile_work })
}

/// Bytes that [`Checked::kernel`] looks through: steps may share a table, and each looks for itself.
fn table_bytes(plan: &Plan) -> u64 {
    let steps = plan.steps.iter().filter(|step| matches!(step.kernel, Kernel::Trees { .. } | Kernel::Lookup));
    let tables = steps.flat_map(|step| &step.inputs).filter_map(|input| match input {
        Operand::Weight(id) => plan.weights.get(id.0 as usize),
        Operand::Buffer(_) => None,
    });
    tables.map(|weight| u64::from(weight.len) * weight.dtype.bytes() as u64).fold(0, u64::saturating_add)
}

/// Numbers of rows, from the fewest to the tile, that stand for all between: see the
/// [module documentation](self).
fn probes(least: usize, tile: usize) -> impl Iterator<Item = usize> {
    (least..tile).take(3).chain([tile])
}

/// The fewest rows for which every step stays inside what they use of its buffers. A plan may need
/// some: the first three of a batch are not there in a batch of two.
#[inline(never)]
fn least_rows(plan: &Plan, weights: &[u8]) -> usize {
    let tile = plan.tile as usize;
    let fits = |rows: usize| {
        plan.steps.iter().all(|step| Checked { plan, step, rows, thorough: false, weights }.kernel().is_ok())
    };
    if fits(1) {
        return usize::from(!fits(0));
    }
    let (mut fails, mut holds) = (1, tile);
    while holds - fails > 1 {
        let rows = fails + (holds - fails) / 2;
        if fits(rows) {
            holds = rows;
        } else {
            fails = rows;
        }
    }
    holds
}

fn mark(written: &mut [bool], id: BufferId) {
    if let Some(written) = written.get_mut(id.0 as usize) {
        *written = true;
    }
}

fn is_marked(written: &[bool], id: BufferId) -> bool {
    written.get(id.0 as usize) == Some(&true)
}

/// One step under check.
struct Checked<'a> {
    plan: &'a Plan,
    step: &'a Step,
    rows: usize,
    /// Whether to look at what does not depend on the rows of a smaller batch: tables, and how many
    /// elements there can be to choose from.
    thorough: bool,
    weights: &'a [u8],
}

/// None of the helpers is inlined: a check runs once, and costs an engine more to compile than to run.
impl Checked<'_> {
    /// The output is a buffer, the inputs exist, and none overlaps it.
    fn disjoint(&self) -> Result<()> {
        let output =
            self.plan.buffers.get(self.step.output.0 as usize).ok_or_else(|| invalid(&"no such output buffer"))?;
        let written = arena::byte_range(self.plan, output);
        for input in &self.step.inputs {
            match input {
                Operand::Weight(id) => ensure((id.0 as usize) < self.plan.weights.len(), "no such weight")?,
                Operand::Buffer(id) => {
                    let buffer =
                        self.plan.buffers.get(id.0 as usize).ok_or_else(|| invalid(&"no such input buffer"))?;
                    let read = arena::byte_range(self.plan, buffer);
                    let apart = read.end <= written.start || written.end <= read.start;
                    ensure(apart || read.is_empty() || written.is_empty(), "an input overlaps the output")?;
                }
            }
        }
        Ok(())
    }

    /// Whether the kernel stays inside its buffers, and then whether it writes every element that the
    /// rows use of its output.
    #[inline(never)]
    fn kernel(&self) -> Result<bool> {
        let out = self.output_dtype()?;
        match &self.step.kernel {
            Kernel::Fill { .. } => {
                self.arity(0)?;
                Ok(true)
            }
            Kernel::Cast => {
                self.arity(1)?;
                let from = self.dtype(0)?;
                let double = from == DType::F64 || out == DType::F64;
                let fits = |dtype| matches!(dtype, DType::F32 | DType::I64) || dtype == DType::F64;
                ensure(!double || (from != out && fits(from) && fits(out)), "a cast of F64")?;
                self.same_len()
            }
            Kernel::Unary { op } => {
                self.arity(1)?;
                let dtype = self.dtype(0)?;
                let fits = match (op, dtype) {
                    (UnaryOp::Not, DType::Bool) => out == DType::Bool,
                    (UnaryOp::IsNan | UnaryOp::IsInf, DType::F32) => out == DType::Bool,
                    (UnaryOp::Not | UnaryOp::IsNan | UnaryOp::IsInf, _) => false,
                    (_, DType::F32) => out == dtype,
                    (op, DType::I64 | DType::I32) => out == dtype && math::integer_has(*op),
                    _ => false,
                };
                ensure(fits, format_args!("`{op:?}` does not take {dtype:?}"))?;
                self.same_len()
            }
            Kernel::Copy { shape, source, target } => {
                self.arity(1)?;
                ensure(self.dtype(0)? == out, "a copy between types")?;
                self.view(0, &[shape], source)?;
                self.inside(self.output_len(), &[shape], target)?;
                Ok(self.covers(shape, target))
            }
            Kernel::Binary { op, shape, left, right } => {
                self.arity(2)?;
                let typed = match op {
                    BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div if out == DType::F64 => true,
                    BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => !matches!(out, DType::F32 | DType::F64),
                    BinaryOp::ShiftLeft | BinaryOp::ShiftRight => out == DType::I64,
                    _ => is_number(out),
                };
                ensure(typed, format_args!("`{op:?}` does not give {out:?}"))?;
                ensure(self.dtype(0)? == out && self.dtype(1)? == out, "operands of different types")?;
                self.view(0, &[shape], left)?;
                self.view(1, &[shape], right)?;
                self.fills(&[shape])
            }
            Kernel::Compare { shape, left, right, .. } => {
                self.arity(2)?;
                ensure(out == DType::Bool && self.dtype(0)? == self.dtype(1)?, "a comparison of different types")?;
                self.view(0, &[shape], left)?;
                self.view(1, &[shape], right)?;
                self.fills(&[shape])
            }
            Kernel::Select { shape, condition, on_true, on_false } => {
                self.arity(3)?;
                let typed = self.dtype(0)? == DType::Bool && self.dtype(1)? == out && self.dtype(2)? == out;
                ensure(typed, "a selection between types")?;
                self.view(0, &[shape], condition)?;
                self.view(1, &[shape], on_true)?;
                self.view(2, &[shape], on_false)?;
                self.fills(&[shape])
            }
            Kernel::Dense { rows, inner, columns, .. } => {
                self.arity(3)?;
                ensure((0..3).all(|n| self.dtype(n) == Ok(DType::F32)) && out == DType::F32, "dense layers are F32")?;
                let (rows, inner, columns) = (rows.at(self.rows), *inner as usize, *columns as usize);
                let padded = columns.next_multiple_of(DENSE_PANEL);
                ensure(inner > 0 && columns > 0, "an empty matrix")?;
                self.holds(0, product(&[rows, inner])?)?;
                ensure(
                    self.len(1)? == product(&[inner, padded])? && self.len(2)? == padded,
                    "weights are not whole panels",
                )?;
                self.gives(product(&[rows, columns])?)
            }
            Kernel::Contract { shape, over, left, right } => {
                self.arity(2)?;
                let typed = matches!(out, DType::F32 | DType::I64) && self.dtype(0)? == out && self.dtype(1)? == out;
                ensure(typed, "contractions are F32 or I64")?;
                self.view(0, &[shape, over], left)?;
                self.view(1, &[shape, over], right)?;
                self.fills(&[shape])
            }
            Kernel::Reduce { op, shape, over, source } => {
                self.arity(1)?;
                let dtype = self.dtype(0)?;
                let arg =
                    matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMaxLast | ReduceOp::ArgMin | ReduceOp::ArgMinLast);
                let typed = matches!(dtype, DType::F32 | DType::I64 | DType::I32);
                ensure(
                    typed && out == if arg { DType::I64 } else { dtype },
                    format_args!("`{op:?}` of {dtype:?} into {out:?}"),
                )?;
                self.view(0, &[shape, over], source)?;
                self.fills(&[shape])
            }
            Kernel::Softmax { shape, .. } => {
                self.arity(1)?;
                ensure(self.dtype(0)? == DType::F32 && out == DType::F32, "softmax is F32")?;
                let len = self.axis_len(*shape, shape.axis)?;
                self.holds(0, len)?;
                self.gives(len)
            }
            Kernel::Gather { data, picks } => {
                self.holds(1, picks.at(self.rows))?;
                self.gather(*data, *picks)
            }
            Kernel::GatherElements { data, picks } => {
                self.holds(1, self.axis_len(*data, *picks)?)?;
                self.gather(*data, *picks)
            }
            Kernel::Scatter { op, shape, axis, index, source, target } => {
                self.arity(2)?;
                ensure(matches!(self.dtype(0)?, DType::I64 | DType::I32), "indices are I64 or I32")?;
                let combines = matches!(op, Some(BinaryOp::Add | BinaryOp::Mul | BinaryOp::Min | BinaryOp::Max));
                ensure(op.is_none() || (combines && is_number(out)), format_args!("a scatter by `{op:?}` of {out:?}"))?;
                ensure(self.dtype(1)? == out, "a scatter between types")?;
                self.view(0, &[shape], index)?;
                self.view(1, &[shape], source)?;
                self.inside(self.output_len(), &[shape, &[*axis]], target)?;
                Ok(false)
            }
            Kernel::Cumulate { op, data, .. } => {
                self.arity(1)?;
                let typed = is_number(out) && self.dtype(0)? == out && matches!(op, BinaryOp::Add | BinaryOp::Mul);
                ensure(typed, format_args!("`{op:?}` does not run over {out:?}"))?;
                let len = self.axis_len(*data, data.axis)?;
                self.holds(0, len)?;
                self.gives(len)
            }
            Kernel::TopK { data, k, .. } => {
                self.arity(1)?;
                ensure(is_number(self.dtype(0)?) && out == DType::I64, "top-k of numbers gives I64")?;
                // A smaller batch may have too few: a fault.
                let most = data.axis.at(self.rows);
                ensure(
                    *k as usize <= most || !self.thorough,
                    format_args!("the {k} first of an axis that has at most {most}"),
                )?;
                self.holds(0, self.axis_len(*data, data.axis)?)?;
                self.gives(self.axis_len(*data, Dim::fixed(*k))?)
            }
            Kernel::Lookup => {
                self.arity(2)?;
                let dtype = self.dtype(0)?;
                ensure(self.dtype(1)? == dtype && out == DType::I64, "a lookup between types")?;
                let ascend = match dtype {
                    _ if !self.thorough => true,
                    DType::F32 => self.ascends::<f32>(1)?,
                    DType::I64 => self.ascends::<i64>(1)?,
                    DType::I32 => self.ascends::<i32>(1)?,
                    DType::U8 | DType::Bool | DType::F64 => false,
                };
                ensure(ascend, "keys that are no ascending numbers")?;
                self.same_len()
            }
            Kernel::Distances { rows, inner, points, .. } => {
                self.arity(2)?;
                ensure((0..2).all(|n| self.dtype(n) == Ok(DType::F32)) && out == DType::F32, "distances are F32")?;
                ensure(*inner > 0 && *points > 0, "an empty matrix")?;
                let (rows, inner, points) = (rows.at(self.rows), *inner as usize, *points as usize);
                self.holds(0, product(&[rows, inner])?)?;
                self.holds(1, product(&[inner, points])?)?;
                self.gives(product(&[rows, points])?)
            }
            Kernel::Couple { rows, classes } => {
                self.arity(1)?;
                ensure(self.dtype(0)? == DType::F32 && out == DType::F32, "probabilities are F32")?;
                ensure(*classes > 0, "no classes")?;
                let (rows, classes) = (rows.at(self.rows), *classes as usize);
                self.holds(0, product(&[rows, classes, classes])?)?;
                self.gives(product(&[rows, classes, 2])?)
            }
            Kernel::Trees { rows, features, targets, blocks, .. } => {
                self.trees(rows.at(self.rows), *features, *targets, blocks)
            }
            Kernel::Recurrent(layer) => self.recurrent(layer),
        }
    }

    #[inline(never)]
    fn recurrent(&self, layer: &Recurrence) -> Result<bool> {
        let options = usize::from(layer.lengths) + usize::from(layer.peepholes);
        self.arity(4 + options)?;
        let floats = (0..4).all(|n| self.dtype(n) == Ok(DType::F32)) && self.output_dtype()? == DType::F32;
        ensure(floats, "recurrent layers are F32")?;
        let (rows, hidden) = (layer.rows.at(self.rows), layer.hidden as usize);
        ensure(hidden > 0 && hidden <= 1 << 16 && layer.steps <= 1 << 20, "a recurrent layer of that size")?;
        let (padded, gates) = (layer.padded(), layer.gates());
        let [sequence, states] = [
            [layer.rows, Dim::fixed(layer.steps), Dim::fixed((gates * padded) as u32)],
            [layer.rows, Dim::fixed(layer.states() as u32), Dim::fixed(layer.hidden)],
        ];
        self.view(0, &[&sequence], &layer.source)?;
        ensure(layer.source.strides[2] == Dim::fixed(1), "the gates of a step lie apart")?;
        let whole = self.len(1)? == product(&[gates, padded, hidden])? && self.len(2)? == gates * padded;
        ensure(whole, "weights are not whole panels")?;
        self.view(3, &[&states], &layer.initial)?;
        if layer.lengths {
            ensure(matches!(self.dtype(4)?, DType::I64 | DType::I32), "lengths are I64 or I32")?;
            self.holds(4, rows)?;
        }
        if layer.peepholes {
            let n = 3 + options;
            ensure(layer.cell == Cell::Lstm && self.dtype(n)? == DType::F32, "peepholes are F32 of an LSTM")?;
            self.holds(n, 3 * padded)?;
        }
        self.gives(product(&[rows, layer.stretch()])?)
    }

    #[inline(never)]
    fn gather(&self, data: AxisShape, picks: Dim) -> Result<bool> {
        self.arity(2)?;
        ensure(self.dtype(0)? == self.output_dtype()?, "a gather between types")?;
        ensure(matches!(self.dtype(1)?, DType::I64 | DType::I32), "indices are I64 or I32")?;
        self.holds(0, self.axis_len(data, data.axis)?)?;
        self.gives(self.axis_len(data, picks)?)
    }

    /// Whether each value of a weight is greater than the one before.
    fn ascends<T: Number>(&self, n: usize) -> Result<bool> {
        Ok(self.table::<T>(n)?.windows(2).all(|pair| math::order(pair[0], pair[1]).is_lt()))
    }

    /// The elements of a weight.
    fn table<T: Pod>(&self, n: usize) -> Result<&[T]> {
        let Some(Operand::Weight(id)) = self.step.inputs.get(n) else {
            return Err(invalid(&"a table that is not a weight"));
        };
        let weight = self.plan.weights.get(id.0 as usize).ok_or_else(|| invalid(&"no such weight"))?;
        let start = weight.offset as usize;
        let bytes = self.weights.get(start..).and_then(|bytes| bytes.get(..weight.len as usize * weight.dtype.bytes()));
        bytemuck::try_cast_slice(bytes.ok_or_else(|| invalid(&"no such weight"))?)
            .map_err(|_| invalid(&"a table that is not whole, or not aligned"))
    }

    #[inline(never)]
    fn arity(&self, inputs: usize) -> Result<()> {
        let found = self.step.inputs.len();
        ensure(found == inputs, format_args!("{found} inputs instead of {inputs}"))
    }

    #[inline(never)]
    fn dtype(&self, n: usize) -> Result<DType> {
        kernels::input_dtype(self.plan, self.step, n)
    }

    fn output_dtype(&self) -> Result<DType> {
        kernels::output_dtype(self.plan, self.step)
    }

    /// Elements of the `n`-th input.
    #[inline(never)]
    fn len(&self, n: usize) -> Result<usize> {
        let len = match self.step.inputs.get(n) {
            Some(Operand::Weight(id)) => self.plan.weights.get(id.0 as usize).map(|weight| weight.len as usize),
            Some(Operand::Buffer(id)) => self.plan.buffers.get(id.0 as usize).map(|buffer| buffer.len.at(self.rows)),
            None => None,
        };
        len.ok_or_else(|| invalid(&"an input is missing"))
    }

    #[inline(never)]
    fn output_len(&self) -> usize {
        self.plan.buffers.get(self.step.output.0 as usize).map_or(0, |buffer| buffer.len.at(self.rows))
    }

    #[inline(never)]
    fn holds(&self, n: usize, len: usize) -> Result<()> {
        let found = self.len(n)?;
        ensure(len <= found, format_args!("input {n} has {found} elements, the kernel reads {len}"))
    }

    #[inline(never)]
    fn same_len(&self) -> Result<bool> {
        ensure(self.len(0)? == self.output_len(), "input and output differ in length")?;
        Ok(true)
    }

    /// The output holds a contiguous tensor of this shape.
    #[inline(never)]
    fn fills(&self, shape: &[&[Dim]]) -> Result<bool> {
        let extents = shape.iter().flat_map(|dims| dims.iter()).map(|dim| dim.at(self.rows));
        self.gives(extents.fold(1usize, usize::saturating_mul))
    }

    /// The output holds so many elements; whether those are all.
    #[inline(never)]
    fn gives(&self, len: usize) -> Result<bool> {
        ensure(len <= self.output_len(), "the output is too small")?;
        Ok(len == self.output_len())
    }

    /// Whether the view meets every element of the output, as a transpose does: strides that grow
    /// from 1 by the extents, in whatever order.
    #[inline(never)]
    fn covers(&self, shape: &[Dim], view: &View) -> bool {
        let Some(output) = self.plan.buffers.get(self.step.output.0 as usize) else { return false };
        let mut axes: Vec<_> =
            shape.iter().zip(&view.strides).filter(|(extent, _)| **extent != Dim::fixed(1)).collect();
        let mut dense = Dim::fixed(1);
        while let Some(next) = axes.iter().position(|(_, stride)| **stride == dense) {
            let (extent, _) = axes.swap_remove(next);
            let Some(longer) = dense.times(*extent) else { return false };
            dense = longer;
        }
        axes.is_empty() && dense == output.len && view.offset == Dim::fixed(0)
    }

    #[inline(never)]
    fn view(&self, n: usize, shape: &[&[Dim]], view: &View) -> Result<()> {
        self.inside(self.len(n)?, shape, view)
    }

    /// No index of the view over the shape reaches `len`.
    #[inline(never)]
    fn inside(&self, len: usize, shape: &[&[Dim]], view: &View) -> Result<()> {
        let axes: usize = shape.iter().map(|dims| dims.len()).sum();
        ensure(axes <= MAX_AXES && view.strides.len() == axes, "a view of another number of axes")?;
        let mut last = view.offset.at(self.rows);
        let mut elements = 1usize;
        for (extent, stride) in shape.iter().flat_map(|dims| dims.iter()).zip(&view.strides) {
            let extent = extent.at(self.rows);
            elements = elements.saturating_mul(extent);
            last = last.saturating_add(extent.saturating_sub(1).saturating_mul(stride.at(self.rows)));
        }
        ensure(elements < 1 << 31, "a view of more elements than can be counted")?;
        ensure(elements == 0 || last < len, format_args!("a view reaches element {last} of {len}"))
    }

    #[inline(never)]
    fn axis_len(&self, shape: AxisShape, axis: Dim) -> Result<usize> {
        product(&[shape.outer.at(self.rows), axis.at(self.rows), shape.inner.at(self.rows)])
    }
}

const fn is_number(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::I64 | DType::I32)
}

#[inline(never)]
fn product(extents: &[usize]) -> Result<usize> {
    let product = extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    product.ok_or_else(|| invalid(&"a shape that overflows"))
}

fn limit(what: &str, found: u64, most: u64) -> Result<()> {
    ensure(found <= most, format_args!("{found} {what}; at most {most} are run"))
}

/// The message is written only where it is wanted: a plan has thousands of conditions, which hold.
#[inline(never)]
fn ensure(holds: bool, message: impl fmt::Display) -> Result<()> {
    if holds { Ok(()) } else { Err(invalid(&message)) }
}

#[cold]
fn invalid(message: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidPlan, message.to_string())
}
