//! The executor: runs a [`Plan`] over rows, without allocating.

pub(crate) mod arena;
pub(crate) mod elements;
pub(crate) mod functions;
pub(crate) mod indices;
mod infer;
pub(crate) mod math;
pub(crate) mod product;
pub(crate) mod simd;
pub(crate) mod validate;
pub(crate) mod walk;

use crate::{
    aligned::AlignedBytes,
    error::{Error, ErrorKind, Result},
    plan::{Batch, DType, Dim, Plan, Port, Step},
    text::{TextFeatures, TextPart},
};
use alloc::{
    format,
    string::{String, ToString},
};
use arena::Arena;
use core::ops::Range;

pub use validate::{LIMITS as PLAN_LIMITS, Limits};

/// Runs one [`Plan`].
///
/// ```
/// use tradewind_executor::{exec::{Data, DataMut, Executor}, plan::*};
///
/// // y = −x, over rows of two; the compiler writes such plans.
/// let buffer = |offset| Buffer { dtype: DType::F32, len: Dim::per_row(2), offset };
/// let port = |name: &str, buffer| Port {
///     name: name.into(), shape: vec![Dim::per_row(1), Dim::fixed(2)], buffer, categories: vec![],
/// };
/// let plan = Plan {
///     batch: Batch::Independent, tile: 8, arena_bytes: 128,
///     inputs: vec![port("x", BufferId(0))], outputs: vec![port("y", BufferId(1))],
///     buffers: vec![buffer(0), buffer(64)], weights: vec![],
///     steps: vec![Step {
///         kernel: Unary { op: UnaryOp::Neg }.into(),
///         inputs: vec![Operand::Buffer(BufferId(0))], output: BufferId(1), node: "neg".into(),
///     }],
///     texts: vec![],
/// };
/// let mut y = [0.0; 4];
/// Executor::new(plan, &[])?.run(&[], 2, &[Data::F32(&[1.0, 2.0, 3.0, 4.0])], &mut [DataMut::F32(&mut y)])?;
/// assert_eq!(y, [-1.0, -2.0, -3.0, -4.0]);
/// # Ok::<(), tradewind_executor::Error>(())
/// ```
///
/// It owns the plan and the working memory of one tile, allocated by `new`; [`run`](Self::run) and
/// [`score`](Self::score) do not allocate, except for texts.
#[derive(Debug)]
pub struct Executor {
    plan: Plan,
    arena: Arena,
    facts: validate::Facts,
}

/// Input tensor: elements in row-major order.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each is the element type of its name")]
pub enum Data<'a> {
    F32(&'a [f32]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    U8(&'a [u8]),
    /// Bytes that are 0 or 1.
    Bool(&'a [u8]),
    F64(&'a [f64]),
    Text(&'a [&'a str]),
}

/// Feature matrix for [`Executor::score`].
#[derive(Debug, Clone, Copy)]
pub enum Matrix<'a> {
    /// Row-major.
    Rows(&'a [f32]),
    /// Column-major, for batches of millions of rows stored by column.
    Columns(&'a [f32]),
}

/// Output tensor: elements in row-major order. A plan has no outputs of doubles.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is the element type of its name")]
pub enum DataMut<'a> {
    F32(&'a mut [f32]),
    I64(&'a mut [i64]),
    I32(&'a mut [i32]),
    U8(&'a mut [u8]),
    Bool(&'a mut [u8]),
}

impl Executor {
    /// Creates an executor, after proving that `plan` is safe to run with `weights_bytes` bytes of weights.
    ///
    /// # Errors
    /// [`InvalidPlan`](ErrorKind::InvalidPlan) names the step that reads or writes outside its buffers, or the exceeded
    /// limit of [`PLAN_LIMITS`]; [`OutOfMemory`](ErrorKind::OutOfMemory) if the arena cannot be allocated.
    pub fn new(plan: Plan, weights: &[u8]) -> Result<Self> {
        let facts = validate::check(&plan, weights)?;
        let arena = Arena(AlignedBytes::zeroed(plan.arena_bytes as usize)?);
        Ok(Self { plan, arena, facts })
    }

    /// The plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs the plan over `rows` rows, reading `inputs` and writing `outputs`, each in the order of the plan's ports.
    /// `weights` must be those given to [`new`](Self::new).
    ///
    /// # Errors
    /// [`BadTensor`](ErrorKind::BadTensor) if a tensor's type or length does not match its port,
    /// [`TooLarge`](ErrorKind::TooLarge) if a [`Batch::Joint`] plan gets more rows than its tile, or a kernel's error:
    /// an index out of range, an integer division by zero.
    pub fn run(&mut self, weights: &[u8], rows: usize, inputs: &[Data<'_>], outputs: &mut [DataMut<'_>]) -> Result<()> {
        self.check_rows(rows)?;
        check_count("input", inputs.len(), self.plan.inputs.len())?;
        check_count("output", outputs.len(), self.plan.outputs.len())?;
        for (port, data) in self.plan.inputs.iter().zip(inputs) {
            self.check_port("input", port, rows, data.dtype(), data.len())?;
        }
        self.check_texts(inputs)?;
        for (port, data) in self.plan.outputs.iter().zip(outputs.iter()) {
            self.check_port("output", port, rows, data.as_data().dtype(), data.as_data().len())?;
        }
        let Self { plan, arena, facts, .. } = self;
        for tile in tiles(plan, rows) {
            for (port, data) in plan.inputs.iter().zip(inputs) {
                for [whole, own] in (0..stretches(port)).map(|n| tile.ranges(port, rows, n)) {
                    if let Data::Text(texts) = data {
                        write_indices(plan, arena, port, part(texts, whole)?, own)?;
                        continue;
                    }
                    let size = data.dtype().bytes();
                    let to = part_mut(arena.buffer_mut(plan, port.buffer)?, bytes(&own, size))?;
                    to.copy_from_slice(part(data.bytes(), bytes(&whole, size))?);
                }
            }
            for text in &plan.texts {
                write_features(plan, arena, text, inputs, &tile)?;
            }
            run_steps(plan, facts, arena, weights, tile.rows)?;
            for (port, data) in plan.outputs.iter().zip(outputs.iter_mut()) {
                let size = data.as_data().dtype().bytes();
                for [whole, own] in (0..stretches(port)).map(|n| tile.ranges(port, rows, n)) {
                    let to = part_mut(data.bytes_mut(), bytes(&whole, size))?;
                    to.copy_from_slice(part(arena.buffer_mut(plan, port.buffer)?, bytes(&own, size))?);
                }
            }
        }
        for data in outputs {
            if let DataMut::F32(values) = data {
                math::canonicalise(values);
            }
        }
        Ok(())
    }

    /// Runs a plan of one F32 input `[rows, columns]` and writes its last F32 output, row-major, to
    /// `scores`.
    ///
    /// # Errors
    /// As for [`run`](Self::run), and [`BadTensor`](ErrorKind::BadTensor) for a plan of another form.
    pub fn score(&mut self, weights: &[u8], rows: usize, features: Matrix<'_>, scores: &mut [f32]) -> Result<()> {
        let (input, output) = self.score_ports().ok_or_else(|| {
            Error::new(
                ErrorKind::BadTensor,
                "`score` needs a model with one f32 input [rows, columns] and an f32 output; \
                 use an infer request for this one",
            )
        })?;
        let (Matrix::Rows(elements) | Matrix::Columns(elements)) = features;
        self.check_rows(rows)?;
        self.check_port("input", input, rows, DType::F32, elements.len())?;
        self.check_port("output", output, rows, DType::F32, scores.len())?;
        if rows == 0 {
            return Ok(());
        }
        let width = input.shape.get(1).map_or(0, |dim| dim.at(0));
        let scored = scores.len() / rows;
        let (input, output) = (input.buffer, output.buffer);
        let Self { plan, arena, facts, .. } = self;
        for tile in tiles(plan, rows) {
            let matrix = arena.buffer_mut::<f32>(plan, input)?;
            match features {
                Matrix::Rows(elements) => {
                    let from = part(elements, tile.first * width..(tile.first + tile.rows) * width)?;
                    part_mut(matrix, 0..from.len())?.copy_from_slice(from);
                }
                Matrix::Columns(elements) => {
                    for (column, values) in elements.chunks_exact(rows).enumerate() {
                        let values = part(values, tile.first..tile.first + tile.rows)?;
                        for (row, value) in matrix.chunks_exact_mut(width).zip(values) {
                            row[column] = *value;
                        }
                    }
                }
            }
            run_steps(plan, facts, arena, weights, tile.rows)?;
            let to = part_mut(scores, tile.first * scored..(tile.first + tile.rows) * scored)?;
            to.copy_from_slice(part(arena.buffer_mut::<f32>(plan, output)?, 0..to.len())?);
            math::canonicalise(to);
        }
        Ok(())
    }

    /// Input and output of [`score`](Self::score), if the plan has that form.
    pub fn score_ports(&self) -> Option<(&Port, &Port)> {
        let [input] = self.plan.inputs.as_slice() else { return None };
        let is_f32 = |port: &Port| dtype(&self.plan, port) == Some(DType::F32);
        let by_row = |port: &Port| {
            port.shape.split_first().is_some_and(|(first, rest)| {
                *first == Dim::per_row(1) && rest.iter().all(|dim| dim.per_row == 0 && dim.fixed > 0)
            })
        };
        let output = self.plan.outputs.iter().rfind(|port| is_f32(port) && by_row(port))?;
        (is_f32(input) && by_row(input) && input.shape.len() == 2).then_some((input, output))
    }

    fn check_rows(&self, rows: usize) -> Result<()> {
        let tile = self.plan.tile as usize;
        let work = self.facts.tile_work.saturating_mul(rows.div_ceil(tile) as u64);
        if work > PLAN_LIMITS.call_work {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{rows} rows take {work} operations; at most {} are done in one call", PLAN_LIMITS.call_work),
            ));
        }
        let least = self.facts.least_rows;
        if rows < least && self.plan.batch == Batch::Joint {
            let message = format!("a batch of {rows} rows, of which the model reads {least}; send as many or more");
            return Err(Error::new(ErrorKind::BadTensor, message));
        }
        match self.plan.batch {
            Batch::Independent if rows <= PLAN_LIMITS.rows => Ok(()),
            Batch::Joint if rows <= tile => Ok(()),
            Batch::Independent => Err(Error::new(
                ErrorKind::TooLarge,
                format!("a batch of {rows} rows; at most {} can be run in one call", PLAN_LIMITS.rows),
            )),
            Batch::Joint => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a batch of {rows} rows, where the plan computes rows together and was packed \
                     for at most {tile}; pack it for more, or send fewer"
                ),
            )),
        }
    }

    /// Checks that texts are given where they are needed, and nowhere else.
    fn check_texts(&self, inputs: &[Data<'_>]) -> Result<()> {
        for (n, (port, data)) in self.plan.inputs.iter().zip(inputs).enumerate() {
            let reads = |text: &TextFeatures| text.parts.contains(&TextPart::Input(n as u16));
            let (is_text, is_read) = (matches!(data, Data::Text(_)), self.plan.texts.iter().any(reads));
            let wanted = match (is_text, is_read, port.categories.is_empty()) {
                (true, _, true) => "numbers, not text",
                (false, true, _) => "text, not indices",
                _ => continue,
            };
            return Err(Error::new(ErrorKind::BadTensor, format!("input `{}` takes {wanted}", port.name)));
        }
        Ok(())
    }

    fn check_port(&self, side: &str, port: &Port, rows: usize, found: DType, len: usize) -> Result<()> {
        let expected = port_len(port, rows);
        if dtype(&self.plan, port) == Some(found) && len == expected {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadTensor,
            format!(
                "{side} `{}` has {len} elements of {found:?}; the model needs {expected} of {} for {rows} rows",
                port.name,
                dtype(&self.plan, port).map_or("nothing".to_string(), |dtype| format!("{dtype:?}")),
            ),
        ))
    }
}

/// Rows of the batch that are computed together.
struct Tile {
    first: usize,
    rows: usize,
}

impl Tile {
    /// Elements of the tile in a port's tensor for all `rows`, and their place in its buffer, for the `n`-th index of the
    /// axes before the batch. An input without a batch is the same for every tile.
    #[inline(never)]
    fn ranges(&self, port: &Port, rows: usize, n: usize) -> [Range<usize>; 2] {
        let count = stretches(port);
        let len = |rows| port_len(port, rows) / count;
        let start = if self.first > 0 && is_batched(port) { len(self.first) } else { 0 };
        let (whole, own) = (len(rows), len(self.rows));
        [n * whole + start, n * own].map(|from| from..from + own)
    }
}

/// Writes the indices of texts among a port's categories.
#[inline(never)]
fn write_indices(plan: &Plan, arena: &mut Arena, port: &Port, texts: &[&str], own: Range<usize>) -> Result<()> {
    let indices = part_mut(arena.buffer_mut::<i64>(plan, port.buffer)?, own)?;
    // Consecutive rows often have the same text.
    let mut last = ("", port.index(""));
    for (index, text) in indices.iter_mut().zip(texts) {
        if *text != last.0 {
            last = (text, port.index(text));
        }
        *index = last.1;
    }
    Ok(())
}

/// Writes the features of a tile's texts.
#[inline(never)]
fn write_features(plan: &Plan, arena: &mut Arena, text: &TextFeatures, inputs: &[Data<'_>], tile: &Tile) -> Result<()> {
    let (rows, columns) = (text.rows.at(tile.rows), text.columns as usize);
    let first = if text.rows.per_row > 0 { text.rows.at(tile.first) } else { 0 };
    let features = part_mut(arena.buffer_mut::<f32>(plan, text.buffer)?, 0..rows * columns)?;
    let mut joined = String::new();
    for (n, row) in features.chunks_exact_mut(columns.max(1)).enumerate() {
        joined.clear();
        for part in &text.parts {
            joined.push_str(match part {
                TextPart::Text(text) => text,
                TextPart::Input(input) => match inputs.get(usize::from(*input)) {
                    Some(Data::Text(texts)) => texts.get(first + n).copied().unwrap_or_default(),
                    _ => "",
                },
            });
        }
        text.vectorizer.write(&joined, row);
    }
    Ok(())
}

fn tiles(plan: &Plan, rows: usize) -> impl Iterator<Item = Tile> + use<> {
    let size = (plan.tile as usize).max(1);
    let count = match plan.batch {
        Batch::Independent => rows.div_ceil(size),
        Batch::Joint => 1,
    };
    (0..count).map(move |index| Tile { first: index * size, rows: (rows - index * size).min(size) })
}

fn run_steps(plan: &Plan, facts: &validate::Facts, arena: &mut Arena, weights: &[u8], rows: usize) -> Result<()> {
    for (step, clears) in plan.steps.iter().zip(&facts.clears) {
        if *clears {
            arena.clear(plan, step.output, rows)?;
        }
        run_step(plan, step, arena, weights, rows).map_err(|error| error.within(&step.node))?;
    }
    Ok(())
}

fn run_step(plan: &Plan, step: &Step, arena: &mut Arena, weights: &[u8], rows: usize) -> Result<()> {
    let (inputs, mut out) = arena.split(plan, step, weights, rows)?;
    step.kernel.run(&inputs, &mut out)
}

fn is_batched(port: &Port) -> bool {
    port.shape.iter().any(|dim| dim.per_row > 0)
}

/// Number of separate ranges of a row's elements in a port: the elements of the axes before the batch.
pub(crate) fn stretches(port: &Port) -> usize {
    let before = port.shape.iter().take_while(|dim| dim.per_row == 0);
    if is_batched(port) { before.fold(1usize, |len, dim| len.saturating_mul(dim.at(0))).max(1) } else { 1 }
}

/// Number of elements of a port for a batch.
pub(crate) fn port_len(port: &Port, rows: usize) -> usize {
    port.shape.iter().fold(1, |len, dim| len.saturating_mul(dim.at(rows)))
}

/// Element type of a port; `None` if the plan has no such buffer.
pub fn dtype(plan: &Plan, port: &Port) -> Option<DType> {
    plan.buffers.get(port.buffer.0 as usize).map(|buffer| buffer.dtype)
}

/// Whether a port contains `width` elements of a type per row.
pub fn is_matrix(plan: &Plan, port: &Port, width: usize, wanted: DType) -> bool {
    port.shape == [Dim::per_row(1), Dim::fixed(width as u32)] && dtype(plan, port) == Some(wanted)
}

/// Whether a port contains one string per row.
pub fn is_text_column(plan: &Plan, port: &Port) -> bool {
    !port.categories.is_empty() && is_matrix(plan, port, 1, DType::I64)
}

fn check_count(side: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::new(ErrorKind::BadTensor, format!("{found} {side} tensors; the model has {expected}")))
}

/// Bytes of a range of elements.
const fn bytes(elements: &Range<usize>, size: usize) -> Range<usize> {
    elements.start * size..elements.end * size
}

/// Returns `slice[range]`, or an error instead of a panic.
fn part<T>(slice: &[T], range: Range<usize>) -> Result<&[T]> {
    slice.get(range).ok_or_else(arena::outside)
}

fn part_mut<T>(slice: &mut [T], range: Range<usize>) -> Result<&mut [T]> {
    slice.get_mut(range).ok_or_else(arena::outside)
}

impl Data<'_> {
    /// The element type.
    pub const fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            // Texts become indices.
            Self::I64(_) | Self::Text(_) => DType::I64,
            Self::I32(_) => DType::I32,
            Self::U8(_) => DType::U8,
            Self::Bool(_) => DType::Bool,
            Self::F64(_) => DType::F64,
        }
    }

    /// The number of elements.
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::U8(data) | Self::Bool(data) => data.len(),
            Self::F64(data) => data.len(),
            Self::Text(data) => data.len(),
        }
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes in memory.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(data) => bytemuck::cast_slice(data),
            Self::I64(data) => bytemuck::cast_slice(data),
            Self::I32(data) => bytemuck::cast_slice(data),
            Self::U8(data) | Self::Bool(data) => data,
            Self::F64(data) => bytemuck::cast_slice(data),
            Self::Text(_) => &[],
        }
    }
}

impl DataMut<'_> {
    /// The same tensor as input.
    pub const fn as_data(&self) -> Data<'_> {
        match self {
            Self::F32(data) => Data::F32(data),
            Self::I64(data) => Data::I64(data),
            Self::I32(data) => Data::I32(data),
            Self::U8(data) => Data::U8(data),
            Self::Bool(data) => Data::Bool(data),
        }
    }

    /// The elements' bytes in memory, mutable.
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::F32(data) => bytemuck::cast_slice_mut(data),
            Self::I64(data) => bytemuck::cast_slice_mut(data),
            Self::I32(data) => bytemuck::cast_slice_mut(data),
            Self::U8(data) | Self::Bool(data) => data,
        }
    }
}
