//! Checks of a plan before it runs: every index that a kernel can produce, for any batch up to the tile, lies inside
//! the batch's part of its buffers, and a call reads only data written in the same call. A checked plan can fail only
//! because of data.
//!
//! A few batch sizes suffice. The highest index of a kernel is a convex function of the rows (a sum of products of
//! growing [`Dim`]s), and a buffer's length is linear: a bound that holds for two numbers of rows holds between them,
//! and lengths that agree for three agree for all between.

use super::{
    arena, dtype,
    math::{self, Number},
    port_len, stretches,
};
use crate::{
    error::{Error, ErrorKind, Result},
    plan::{AxisShape, Batch, BufferId, DType, Dim, Encoding, MAX_AXES, Operand, Plan, Step, View},
    text::TextPart,
};
use alloc::{format, string::ToString, vec, vec::Vec};
use bytemuck::Pod;
use core::fmt;

/// Limits of a plan, so that `load` bounds the work and memory of each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Number of kernel calls.
    pub steps: usize,
    /// Bytes of working memory.
    pub arena_bytes: usize,
    /// Bytes of weights, after expansion.
    pub weights_bytes: usize,
    /// Rows per call.
    pub rows: usize,
    /// Elementary operations per tile.
    pub tile_work: u64,
    /// Elementary operations per call.
    pub call_work: u64,
    /// Bytes of tables scanned when a plan is checked, counted for each step that has them.
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

/// Facts about a checked plan that the executor needs.
#[derive(Debug)]
pub struct Facts {
    /// Minimum number of rows for which no kernel leaves the batch's part of its buffers.
    pub least_rows: usize,
    /// Steps that write a buffer first and may leave parts of it unwritten: the buffer is cleared before, so that no
    /// data of another call can be read.
    pub clears: Vec<bool>,
    /// Elementary operations per tile, including clearing.
    pub tile_work: u64,
}

/// Checks a plan for consistency, and against its weights and [`LIMITS`].
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
        let mut growing = port.shape.iter().filter(|dim| dim.per_row > 0);
        let has_rows = growing.next().is_some_and(|dim| dim.fixed == 0) && growing.next().is_none();
        let batchless_input =
            port.shape.iter().all(|dim| dim.per_row == 0) && plan.inputs.iter().any(|input| core::ptr::eq(input, port));
        let whole = plan.batch == Batch::Joint || has_rows || batchless_input;
        ensure(
            whole,
            format_args!("tensor `{}` does not have exactly one axis of rows, but rows run apart", port.name),
        )?;
        if !port.categories.is_empty() {
            let sorted = port.categories.is_sorted_by(|a, b| a < b);
            let is_input = plan.inputs.iter().any(|input| core::ptr::eq(input, port));
            ensure(sorted || !is_input, format_args!("categories of input `{}` do not ascend", port.name))?;
            ensure(dtype(plan, port) == Some(DType::I64), format_args!("categories of `{}` need i64", port.name))?;
        }
    }
    for (n, text) in plan.texts.iter().enumerate() {
        let buffer = plan.buffers.get(text.buffer.0 as usize).filter(|buffer| buffer.dtype == DType::F32);
        let fits = buffer.is_some_and(|buffer| {
            let len = |rows| text.rows.at(rows).saturating_mul(text.columns as usize);
            text.columns > 0 && probes(0, tile).all(|rows| len(rows) == buffer.len.at(rows))
        });
        let is_row = |part: &TextPart| match part {
            TextPart::Text(_) => true,
            TextPart::Input(input) => plan.inputs.get(usize::from(*input)).is_some_and(|port| {
                let has_rows = |rows| port_len(port, rows) == text.rows.at(rows);
                !port.categories.is_empty() && stretches(port) == 1 && probes(0, tile).all(has_rows)
            }),
        };
        let leads = text.rows.fixed == 0 || text.rows.per_row == 0;
        let sound = fits && leads && text.parts.iter().all(is_row) && text.is_sound();
        ensure(sound, format_args!("features {n} of texts do not match their buffer, inputs or n-grams"))?;
    }
    limit("bytes of tables in all steps", table_bytes(plan), LIMITS.table_bytes)?;
    let step_fails = |n: usize, step: &Step, error: Error| error.within(&format!("step {n} (`{}`)", step.node));
    for (n, step) in plan.steps.iter().enumerate() {
        Checked::new(plan, step, tile, true, weights)
            .and_then(|checked| checked.disjoint().and_then(|()| step.kernel.check(&checked)))
            .map_err(|error| step_fails(n, step, error))?;
    }
    let least_rows = least_rows(plan, weights);
    let apart = plan.batch == Batch::Joint || least_rows <= 1;
    ensure(apart, format_args!("rows run apart, but a step reads {least_rows} of them"))?;

    let mut written = vec![false; plan.buffers.len()];
    plan.inputs.iter().for_each(|port| mark(&mut written, port.buffer));
    plan.texts.iter().for_each(|text| mark(&mut written, text.buffer));
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
            whole &= Checked::new(plan, step, rows, false, weights)
                .and_then(|checked| step.kernel.check(&checked))
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

/// Bytes of tables that kernels scan; shared tables count for each step.
fn table_bytes(plan: &Plan) -> u64 {
    let steps = plan.steps.iter().filter(|step| step.kernel.has_tables());
    let tables = steps.flat_map(|step| &step.inputs).filter_map(|input| match input {
        Operand::Weight(id) => plan.weights.get(id.0 as usize),
        Operand::Buffer(_) => None,
    });
    tables.map(|weight| u64::from(weight.len) * weight.dtype.bytes() as u64).fold(0, u64::saturating_add)
}

/// Numbers of rows to check, from the minimum to the tile, which represent all between: see the
/// [module documentation](self).
fn probes(least: usize, tile: usize) -> impl Iterator<Item = usize> {
    (least..tile).take(3).chain([tile])
}

/// Minimum number of rows for which every step stays inside the batch's part of its buffers. A plan may need some: a
/// batch of two has no first three rows.
#[inline(never)]
fn least_rows(plan: &Plan, weights: &[u8]) -> usize {
    let tile = plan.tile as usize;
    let fits = |rows: usize| {
        let checked = |step| Checked::new(plan, step, rows, false, weights);
        plan.steps.iter().all(|step| checked(step).is_ok_and(|checked| step.kernel.check(&checked).is_ok()))
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

/// Step being checked.
pub(crate) struct Checked<'a> {
    plan: &'a Plan,
    step: &'a Step,
    /// Element type of the output.
    pub out: DType,
    /// Rows of the batch.
    pub rows: usize,
    /// Whether to check properties that do not depend on the number of rows: tables, and the number of selectable
    /// elements.
    pub thorough: bool,
    weights: &'a [u8],
}

/// No helper is inlined: a check runs once, and compiling it takes an engine longer than running it.
impl<'a> Checked<'a> {
    #[inline(never)]
    fn new(plan: &'a Plan, step: &'a Step, rows: usize, thorough: bool, weights: &'a [u8]) -> Result<Self> {
        let output = plan.buffers.get(step.output.0 as usize).ok_or_else(|| invalid(&"no such output buffer"))?;
        Ok(Self { plan, step, out: output.dtype, rows, thorough, weights })
    }

    /// Checks that the output is a buffer, the inputs exist, and none overlaps it.
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

    /// Checks shared by gathers: types, data and output.
    #[inline(never)]
    pub fn gathers(&self, data: AxisShape, picks: Dim) -> Result<bool> {
        self.arity(2)?;
        ensure(self.dtype(0)? == self.out, "a gather between types")?;
        ensure(matches!(self.dtype(1)?, DType::I64 | DType::I32), "indices are I64 or I32")?;
        self.holds(0, self.axis_len(data, data.axis)?)?;
        self.gives(self.axis_len(data, picks)?)
    }

    /// Whether the values of a weight are strictly ascending.
    pub fn ascends<T: Number>(&self, n: usize) -> Result<bool> {
        Ok(self.table::<T>(n)?.windows(2).all(|pair| math::order(pair[0], pair[1]).is_lt()))
    }

    /// The elements of a weight.
    pub fn table<T: Pod>(&self, n: usize) -> Result<&'a [T]> {
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
    pub fn arity(&self, inputs: usize) -> Result<()> {
        let found = self.step.inputs.len();
        ensure(found == inputs, format_args!("{found} inputs instead of {inputs}"))
    }

    #[inline(never)]
    pub fn dtype(&self, n: usize) -> Result<DType> {
        arena::input_dtype(self.plan, self.step, n)
    }

    /// Number of elements of the `n`-th input.
    #[inline(never)]
    pub fn len(&self, n: usize) -> Result<usize> {
        let len = match self.step.inputs.get(n) {
            Some(Operand::Weight(id)) => self.plan.weights.get(id.0 as usize).map(|weight| weight.len as usize),
            Some(Operand::Buffer(id)) => self.plan.buffers.get(id.0 as usize).map(|buffer| buffer.len.at(self.rows)),
            None => None,
        };
        len.ok_or_else(|| invalid(&"an input is missing"))
    }

    #[inline(never)]
    pub fn output_len(&self) -> usize {
        self.plan.buffers.get(self.step.output.0 as usize).map_or(0, |buffer| buffer.len.at(self.rows))
    }

    #[inline(never)]
    pub fn holds(&self, n: usize, len: usize) -> Result<()> {
        let found = self.len(n)?;
        ensure(len <= found, format_args!("input {n} has {found} elements, the kernel reads {len}"))
    }

    #[inline(never)]
    pub fn same_len(&self) -> Result<bool> {
        ensure(self.len(0)? == self.output_len(), "input and output differ in length")?;
        Ok(true)
    }

    /// Checks that the output has room for a contiguous tensor of this shape.
    #[inline(never)]
    pub fn fills(&self, shape: &[&[Dim]]) -> Result<bool> {
        let extents = shape.iter().flat_map(|dims| dims.iter()).map(|dim| dim.at(self.rows));
        self.gives(extents.fold(1usize, usize::saturating_mul))
    }

    /// Checks that the output has room for `len` elements; returns whether these are all.
    #[inline(never)]
    pub fn gives(&self, len: usize) -> Result<bool> {
        ensure(len <= self.output_len(), "the output is too small")?;
        Ok(len == self.output_len())
    }

    /// Whether the view covers every element of the output, as a transpose does: its strides are products of extents,
    /// in any order.
    #[inline(never)]
    pub fn covers(&self, shape: &[Dim], view: &View) -> bool {
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
    pub fn view(&self, n: usize, shape: &[&[Dim]], view: &View) -> Result<()> {
        self.inside(self.len(n)?, shape, view)
    }

    /// Checks that no index of the view over the shape reaches `len`.
    #[inline(never)]
    pub fn inside(&self, len: usize, shape: &[&[Dim]], view: &View) -> Result<()> {
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
    pub fn axis_len(&self, shape: AxisShape, axis: Dim) -> Result<usize> {
        product(&[shape.outer.at(self.rows), axis.at(self.rows), shape.inner.at(self.rows)])
    }
}

pub(crate) const fn is_number(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::I64 | DType::I32)
}

#[inline(never)]
pub(crate) fn product(extents: &[usize]) -> Result<usize> {
    let product = extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    product.ok_or_else(|| invalid(&"a shape that overflows"))
}

fn limit(what: &str, found: u64, most: u64) -> Result<()> {
    ensure(found <= most, format_args!("{found} {what}; at most {most} are run"))
}

/// The message is formatted only on failure, because a plan has thousands of conditions.
#[inline(never)]
pub(crate) fn ensure(holds: bool, message: impl fmt::Display) -> Result<()> {
    if holds { Ok(()) } else { Err(invalid(&message)) }
}

#[cold]
pub(crate) fn invalid(message: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidPlan, message.to_string())
}
