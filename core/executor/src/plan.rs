//! A compiled model: a flat list of kernel calls over numbered buffers.
//!
//! `tradewind-compiler` makes a [`Plan`] from an ONNX graph; [`Executor`](crate::Executor) runs it.
//! All decisions that can be made without seeing a row are made by the compiler: which kernels run
//! in which order, the geometry of each call, and where each buffer lies in one arena.
//!
//! # The batch
//!
//! One symbol, the number of rows, may appear in a shape. Every extent and stride is therefore a
//! [`Dim`], `fixed + per_row × rows`. A plan is laid out for [`Plan::tile`] rows. Where rows do not
//! look at each other ([`Batch::Independent`]) the executor cuts a batch of any size into tiles, so
//! that memory stays bounded and a row's result cannot depend on its neighbours. Where they do
//! ([`Batch::Joint`]) the tile is the largest batch the plan accepts.
//!
//! # Tensors
//!
//! Every buffer is a dense row-major tensor. Reshapes cost nothing; a transpose, slice, pad,
//! broadcast or concatenation is a [`Kernel::Copy`] between two strided [`View`]s. Every step
//! writes exactly one buffer.

mod cost;
mod encoding;

pub use encoding::Encoding;

use crate::{apart, bounded};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Largest number of axes a [`View`] may have (output axes and reduced axes together).
pub const MAX_AXES: usize = 12;

/// A compiled model. See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether rows may be computed apart from each other.
    pub batch: Batch,
    /// Rows that the arena has room for.
    pub tile: u32,
    /// Bytes of working memory for one tile; a multiple of 16.
    pub arena_bytes: u32,
    /// What the model takes, in the model's own order.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub inputs: Vec<Port>,
    /// What the model gives, in the model's own order.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub outputs: Vec<Port>,
    /// Working memory, laid out in the arena. Buffers whose lives do not overlap share bytes.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub buffers: Vec<Buffer>,
    /// Constants, laid out in the pack's weights section.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub weights: Vec<Weight>,
    /// Kernel calls, in order.
    #[serde(deserialize_with = "bounded::list::<10_000, _, _>")]
    pub steps: Vec<Step>,
}

/// How the rows of a batch relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batch {
    /// Each row is computed by itself; batches of any size run tile by tile.
    Independent,
    /// Rows are computed together (or the model has no batch); a batch is at most one tile.
    Joint,
}

/// An input or output of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The name in the ONNX graph.
    pub name: String,
    /// The shape.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub shape: Vec<Dim>,
    /// The buffer that holds it.
    pub buffer: BufferId,
    /// For a tensor of strings: the buffer holds indices (`i64`) into these. Those of an input
    /// ascend; a string that is none of them has the index −1. An output in the buffer of an input
    /// holds that input's strings as they came.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub categories: Vec<String>,
}

impl Port {
    /// What stands for a string in the buffer of an input: its place among the categories, or −1.
    pub fn index(&self, text: &str) -> i64 {
        let place = self.categories.binary_search_by(|known| known.as_str().cmp(text));
        place.map_or(-1, |place| place as i64)
    }
}

/// An extent, offset or stride in elements: `fixed + per_row × rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dim {
    /// The part that does not depend on the batch.
    pub fixed: u32,
    /// Elements for each row of the batch.
    pub per_row: u32,
}

/// Element type of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned byte.
    U8,
    /// A byte that is 0 or 1.
    Bool,
    /// IEEE 754 double precision, between steps: for casts, arithmetic, comparisons, and what moves elements.
    F64,
}

/// Index into [`Plan::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BufferId(pub u16);

/// Index into [`Plan::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeightId(pub u16);

/// A tensor in the arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Element type.
    pub dtype: DType,
    /// Elements.
    pub len: Dim,
    /// First byte in the arena; a multiple of 16.
    pub offset: u32,
}

/// A constant tensor in the weights section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Element type.
    pub dtype: DType,
    /// Elements.
    pub len: u32,
    /// First byte in the weights section; a multiple of 16.
    pub offset: u32,
    /// How the elements lie there; an executor runs plans whose weights are all
    /// [plain](Encoding::Plain): see [`Plan::expand`].
    pub encoding: Encoding,
}

/// One kernel call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What to compute.
    #[serde(deserialize_with = "apart::variants")]
    pub kernel: Kernel,
    /// What it reads, in the order that the kernel documents.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub inputs: Vec<Operand>,
    /// What it writes. Never one of the inputs, and never overlapping one in the arena.
    pub output: BufferId,
    /// The ONNX node it comes from, for messages.
    pub node: String,
}

/// What a kernel reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operand {
    /// Working memory.
    Buffer(BufferId),
    /// A constant.
    Weight(WeightId),
}

/// How a kernel walks a tensor: the element at index `i` is `offset + Σ i[axis] × strides[axis]`.
///
/// A stride of zero broadcasts. The axes are those of the kernel's `shape`, then those of `over`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Element at index zero.
    pub offset: Dim,
    /// Elements from one index to the next along each axis.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub strides: Vec<Dim>,
}

/// One tensor cut into `outer × axis × inner` elements around the axis that a kernel works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisShape {
    /// Product of the extents before the axis.
    pub outer: Dim,
    /// Extent of the axis.
    pub axis: Dim,
    /// Product of the extents after the axis.
    pub inner: Dim,
}

/// What a step computes. `Tn` below names the n-th input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kernel {
    /// Sets every element of the output to `value`, cast to the output's type.
    Fill {
        /// The value.
        value: f64,
    },
    /// `output[target(i)] = T0[source(i)]` for every `i` in `shape`; elements outside the target
    /// keep what an earlier step wrote, or are zero. Any type; both sides have the same one.
    Copy {
        /// Extents walked.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Where to read in `T0`.
        source: View,
        /// Where to write in the output.
        target: View,
    },
    /// `output[i] = T0[i]` in the output's type. Float to integer truncates towards zero and
    /// saturates (NaN gives 0); to `Bool` it is `x != 0`. F64 is cast from and to F32 and I64.
    Cast,
    /// `output[i] = op(T0[i])`, same type and length.
    Unary {
        /// The function.
        op: UnaryOp,
    },
    /// `output[i] = op(T0[left(i)], T1[right(i)])`, output contiguous over `shape`. F32, I64 or
    /// I32, all three the same; F64 for Add, Sub, Mul and Div; any type but the floats for And, Or and
    /// Xor, I64 for shifts.
    Binary {
        /// The function.
        op: BinaryOp,
        /// Extents of the output.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Where to read in `T0`.
        left: View,
        /// Where to read in `T1`.
        right: View,
    },
    /// As [`Kernel::Binary`], with a `Bool` output. `T0` and `T1` of any one type.
    Compare {
        /// The comparison.
        op: CompareOp,
        /// Extents of the output.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Where to read in `T0`.
        left: View,
        /// Where to read in `T1`.
        right: View,
    },
    /// `output[i] = if T0[condition(i)] { T1[on_true(i)] } else { T2[on_false(i)] }`.
    Select {
        /// Extents of the output.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Where to read in `T0`, a `Bool`.
        condition: View,
        /// Where to read in `T1`.
        on_true: View,
        /// Where to read in `T2`.
        on_false: View,
    },
    /// `output[r, c] = act(Σ_k T0[r, k] × W[k, c] + b[c])`, F32, all contiguous.
    ///
    /// `T1` holds `W` in panels of [`DENSE_PANEL`] columns: panel `p` is `inner × DENSE_PANEL`
    /// elements, row-major, with zeros in the columns past the last. `T2` holds `b`, of
    /// `columns` rounded up to whole panels. `k` runs upwards from 0 starting at `b[c]`, one
    /// multiplication and one addition each, so a result does not depend on how rows are grouped.
    Dense {
        /// Rows.
        rows: Dim,
        /// Length of a row of `T0`.
        inner: u32,
        /// Columns of the output.
        columns: u32,
        /// Applied to each result.
        activation: Activation,
    },
    /// `output[i] = Σ_j T0[left(i, j)] × T1[right(i, j)]` over `j` in `over`, output contiguous
    /// over `shape`. F32 or I64. Any contraction of two tensors is one of these. `j` runs upwards
    /// in row-major order, one multiplication and one addition each, from 0.
    Contract {
        /// Extents of the output.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Extents summed over.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        over: Vec<Dim>,
        /// Where to read in `T0`: axes of `shape`, then of `over`.
        left: View,
        /// Where to read in `T1`: axes of `shape`, then of `over`.
        right: View,
    },
    /// `output[i] = op over j of T0[source(i, j)]`, output contiguous over `shape`. F32, I64 or
    /// I32. The arg-reductions give `I64` positions in row-major order over `over`.
    ///
    /// Elements are taken in that order too; but where those of an F32 sum, mean, sum of squares or
    /// of magnitudes lie next to each other in `T0`, every fourth is added to the same of four
    /// sums `s`, and the result is `(s₀ + s₁) + (s₂ + s₃)`.
    Reduce {
        /// The reduction.
        op: ReduceOp,
        /// Extents of the output.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Extents reduced.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        over: Vec<Dim>,
        /// Where to read in `T0`: axes of `shape`, then of `over`.
        source: View,
    },
    /// Softmax of `T0` along the axis, F32. With `zero_stays` (the `SOFTMAX_ZERO` of ONNX-ML)
    /// elements of magnitude at most 1e-7 give 0 and take no part in the sum. Every fourth element
    /// along the axis is added to the same of four sums `s`; their sum is `(s₀ + s₁) + (s₂ + s₃)`.
    Softmax {
        /// The tensor.
        shape: AxisShape,
        /// The logarithm of the softmax.
        log: bool,
        /// The `SOFTMAX_ZERO` rule.
        zero_stays: bool,
    },
    /// `output[o, p, i] = T0[o, T1[p], i]`; `T0` of any type, `T1` `I64` or `I32`. A negative
    /// index counts from the end. An index outside the axis is a fault.
    Gather {
        /// Shape of `T0`.
        data: AxisShape,
        /// Number of indices in `T1`.
        picks: Dim,
    },
    /// `output[o, p, i] = T0[o, T1[o, p, i], i]`, else as [`Kernel::Gather`].
    GatherElements {
        /// Shape of `T0`.
        data: AxisShape,
        /// Extent of `T1` along the axis.
        picks: Dim,
    },
    /// `output[target(i, T0[index(i)])] = T1[source(i)]` for every `i` in `shape`, in row-major
    /// order; with `op` that is `op` of what is there and `T1[source(i)]`. Other elements keep what
    /// an earlier step wrote, or are zero. `T0` I64 or I32, and an index as for [`Kernel::Gather`]. Any type;
    /// with `op` (Add, Mul, Min or Max) F32, I64 or I32.
    Scatter {
        /// How an element is put together with what is there; `None` replaces it.
        op: Option<BinaryOp>,
        /// Extents walked.
        #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
        shape: Vec<Dim>,
        /// Extent of the axis that the indices pick from.
        axis: Dim,
        /// Where to read in `T0`.
        index: View,
        /// Where to read in `T1`.
        source: View,
        /// Where to write in the output: axes of `shape`, then the one picked from.
        target: View,
    },
    /// `output[o, a, i] = op over b ≤ a of T0[o, b, i]`, F32, I64 or I32; `op` is Add or Mul.
    Cumulate {
        /// The operation.
        op: BinaryOp,
        /// Shape of `T0` and of the output.
        data: AxisShape,
        /// `b < a`: an element does not count itself.
        exclusive: bool,
        /// From the end: `b ≥ a`, or `b > a`.
        reverse: bool,
    },
    /// `output[o, p, i]`, `I64`: the position along the axis of the `p`-th largest (or smallest)
    /// element of `T0`, F32, I64 or I32, for `p < k`; equal elements in order of position; NaN
    /// counts as larger than every number.
    TopK {
        /// Shape of `T0`.
        data: AxisShape,
        /// Elements to find; an axis of fewer is a fault.
        k: u32,
        /// Largest first, or smallest first.
        largest: bool,
    },
    /// `output[i]`, `I64`: the position of `T0[i]` in `T1`, a weight whose elements ascend; their
    /// number where it is none of them. F32, I64 or I32, both the same; NaN is one key, after all
    /// others.
    Lookup,
    /// `output[r, p] = Σ_k d(T0[r, k] − T1[k, p])`, F32, all contiguous: the squared Euclidean
    /// distance (`d` the square) or the Manhattan distance (`d` the magnitude), `k` upwards.
    Distances {
        /// Rows.
        rows: Dim,
        /// Length of a row of `T0`.
        inner: u32,
        /// Columns of the output: the points that rows are held against.
        points: u32,
        /// The square, or the magnitude.
        squared: bool,
    },
    /// The probabilities of classes from those of pairs: `T0[r, i, j]` is that of class `i` where
    /// it can only be `i` or `j`. Each row of the output, `[2, classes]`, holds the probabilities
    /// and then as much working memory. F32.
    ///
    /// The second method of Wu, Lin and Weng (2004), with the start (all equal), the order of
    /// updates and the end (an error below 0.005 / classes, or 100 rounds) that libsvm has.
    Couple {
        /// Rows.
        rows: Dim,
        /// Classes.
        classes: u32,
    },
    /// A tree ensemble over the rows of `T0`, F32 `[rows, features]`; output F32 `[rows, targets]`.
    ///
    /// A test of a tree asks whether `x <= threshold`, where `x` is a feature, or a feature with its
    /// sign flipped. NaN on either side fails. Every mode of ONNX, and either way for missing
    /// values, can be said in this form.
    ///
    /// The other inputs are weights. Consecutive blocks have consecutive parts of them; [`TreeBlock`]
    /// explains how they hang together:
    /// - `T1` I32 `[trees, 6]`: the root, the greatest number of tests on a way, the bytes of the bit
    ///   vector; where in `T6` the votes of the first leaf start; the target of a leaf's first vote, of
    ///   which the others follow; votes of each leaf, in `T6` leaf by leaf;
    /// - `T2` I32 `[columns, 3]`: `feature << 1 | flipped`, its thresholds and its groups of tests;
    /// - `T3` F32 `[thresholds]`;
    /// - `T4` I32 `[groups, TREE_GROUP]`: tests;
    /// - `T5` I32 `[slots, 2]`: nodes;
    /// - `T6` F32 `[votes]`: weights of votes;
    /// - `T7` F32 `[targets]`: base values, added last.
    ///
    /// Votes are aggregated in the order of the trees. To `Min` and `Max` a vote of NaN is none.
    Trees {
        /// Rows of `T0`.
        rows: Dim,
        /// Columns of `T0`.
        features: u32,
        /// Columns of the output.
        targets: u32,
        /// How the votes for a target become its score.
        aggregate: Aggregate,
        /// The trees, in stretches that share columns.
        #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
        blocks: Vec<TreeBlock>,
    },
    /// A recurrent layer, one direction, over a sequence for each row.
    Recurrent(Recurrence),
}

/// The geometry of [`Kernel::Recurrent`], F32.
///
/// `P` below is `hidden` rounded up to whole panels of [`DENSE_PANEL`], `G` the gates and `S` the
/// states of the cell. The inputs:
/// - `T0`: what a step's input and the biases give each gate, `[rows, steps, G × P]` through
///   `source`;
/// - `T1`: the recurrent weights, for each gate as the panels of a [`Kernel::Dense`],
///   `[G, P / DENSE_PANEL, hidden, DENSE_PANEL]`;
/// - `T2`: added to their products, `[G, P]`;
/// - `T3`: the states before the first step, `[rows, S, hidden]` through `initial`;
/// - with `lengths`, the steps of each row, I64 or I32 `[rows]`; another length than 0 to `steps` is a
///   fault;
/// - with `peepholes`, an LSTM's weights from the cell state to input, output and forget gate,
///   `[3, P]`.
///
/// The output has for each row, side by side: the states after the last step `[S, P]`, room to work
/// in `[G, P]`, and with `keep` the hidden state after each step `[steps, P]`, 0 from the row's
/// length on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// How a step goes.
    pub cell: Cell,
    /// What is applied to the gates: the `f`, `g` and `h` of ONNX.
    pub functions: [GateFunction; 3],
    /// Gates are held to ± this before their function, where NaN becomes it; infinite for none of that.
    pub clip: f32,
    /// Sequences.
    pub rows: Dim,
    /// Steps of each.
    pub steps: u32,
    /// Units of a state.
    pub hidden: u32,
    /// From the last step to the first.
    pub reverse: bool,
    /// Whether the hidden state after each step is kept.
    pub keep: bool,
    /// Whether rows have lengths of their own.
    pub lengths: bool,
    /// Whether the gates of an LSTM see its cell state.
    pub peepholes: bool,
    /// Where to read in `T0`: rows, steps, and gates with stride 1.
    pub source: View,
    /// Where to read in `T3`: rows, states, units.
    pub initial: View,
}

/// What happens in one step of [`Kernel::Recurrent`]. `x` is the step's row of `T0`, `u` the
/// recurrent product with its bias, by gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cell {
    /// `h = f(x + u)`
    Plain,
    /// Gates update, reset, hidden: `z = f(x + u)`, `r = f(x + u)`, `h' = (1 − z) g(x + u(r h)) + z h`.
    Gru,
    /// The same with `g(x + r u)`: the reset comes after the product.
    GruResetAfter,
    /// Gates input, output, forget, cell: `c' = f(f) c + f(i) g(c)`, `h' = f(o) h(c')`. States
    /// hidden, cell.
    Lstm,
}

/// A function of [`Kernel::Recurrent`].
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
        /// The slope.
        alpha: f32,
        /// The value at 0.
        beta: f32,
    },
}

/// Columns of one panel of [`Kernel::Dense`] weights.
pub const DENSE_PANEL: usize = 8;

/// Tests of one group of [`Kernel::Trees`].
pub const TREE_GROUP: usize = 4;

/// Most columns of one [`TreeBlock`].
pub const TREE_COLUMNS: usize = 4096;

/// Most bytes that the bit vectors of one [`TreeBlock`] may have together.
pub const TREE_BYTES: usize = 4096;

/// Most thresholds that a column of a [`TreeBlock`] with bit vectors may have: a rank among them is a byte.
pub const TREE_THRESHOLDS: usize = 255;

/// Consecutive trees of [`Kernel::Trees`].
///
/// Their tests look at columns, each a feature or a feature with its sign flipped.
///
/// All are stored as nodes to walk, a slot each. A slot has the bits of the threshold and
/// `column << CHILD_BITS | child`: the next slot is `child` where the test holds, and `child + 1`
/// where it fails. A leaf's threshold is a NaN, [`TreeBlock::LEAF`] with the leaf's number in
/// [`TreeBlock::LEAF_NUMBER`], and its child the slot before it, so that a row that has arrived stays.
///
/// Small trees are stored for many rows too, as tests in any order. A tree has a bit for each leaf, in
/// up to eight bytes: the leaves for "holds" are before those for "fails". A test that fails clears the
/// leaves for "holds"; the first that is left in the end is the leaf. The thresholds of a column
/// ascend, with NaN first; a feature is compared by its rank, the number of them that it fails. A test is
/// `byte << 16 | limit << 8 | kept`: it fails where the rank is more than the number of its threshold,
/// which is `limit + 127`, a signed byte; then it clears in that byte of the block's bit vectors what
/// is not kept. Limits ascend along a column. A test over several bytes is several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeBlock {
    /// How many.
    pub trees: u32,
    /// Columns that they look at; at most [`TREE_COLUMNS`].
    pub columns: u32,
    /// Slots of their nodes.
    pub slots: u32,
    /// Steps of a row that is walked through all of them: the sum of their depths.
    pub steps: u32,
    /// Bytes of their bit vectors, at most [`TREE_BYTES`]; 0 where rows are walked, however many.
    pub bytes: u32,
}

/// How the votes of all trees for one target become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// Their sum divided by the number of trees.
    Average,
    /// The least; 0 without votes.
    Min,
    /// The greatest; 0 without votes.
    Max,
}

/// Applied to each result of [`Kernel::Dense`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`; NaN stays.
    Relu,
}

/// An element-wise function. Float only, except `Abs`, `Neg`, `Sign` (I64 and I32 too) and `Not` (Bool).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the mathematical function of its name")]
pub enum UnaryOp {
    Abs,
    Neg,
    Sign,
    Not,
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Recip,
    Square,
    Exp,
    Ln,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    Erf,
    /// `ln(1 + exp(x))`
    Softplus,
    Relu,
    Floor,
    Ceil,
    /// To the nearest, ties to even.
    Round,
    /// `sqrt(2) × erf⁻¹(2x − 1)` by the approximation that ONNX-ML runtimes use for `PROBIT`.
    Probit,
    IsNan,
    IsInf,
}

/// A function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the arithmetic or logical function of its name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers truncate towards zero; an integer division by zero is a fault.
    Div,
    /// Remainder with the sign of the dividend.
    Rem,
    /// Remainder with the sign of the divisor.
    Mod,
    /// The lesser; NaN if either is.
    Min,
    /// The greater; NaN if either is.
    Max,
    Pow,
    /// Bit by bit, as [`Or`](Self::Or) and [`Xor`](Self::Xor).
    And,
    Or,
    Xor,
    /// Towards the higher bits; by less than 0 or more than 63, nothing is left.
    ShiftLeft,
    /// Towards the lower bits, the sign coming in; by less than 0 or more than 63, it alone is left.
    ShiftRight,
    /// `T0` where it is at least 0, else `T0 × T1`.
    Prelu,
}

/// A comparison; false with NaN, except `NotEqual`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the comparison of its name")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A reduction. Of nothing: 0 for sums, 1 for `Product`, ∓∞ (or the type's limit) for `Max` and `Min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReduceOp {
    /// Sum.
    Sum,
    /// Sum of squares.
    SumOfSquares,
    /// Sum of magnitudes.
    SumOfMagnitudes,
    /// Arithmetic mean.
    Mean,
    /// Product.
    Product,
    /// Greatest; NaN if any is.
    Max,
    /// Least; NaN if any is.
    Min,
    /// Greatest magnitude.
    MaxMagnitude,
    /// Position of the greatest, the first of equals.
    ArgMax,
    /// Position of the greatest, the last of equals.
    ArgMaxLast,
    /// Position of the least, the first of equals.
    ArgMin,
    /// Position of the least, the last of equals.
    ArgMinLast,
}

impl Dim {
    /// An extent that does not depend on the batch.
    pub const fn fixed(fixed: u32) -> Self {
        Self { fixed, per_row: 0 }
    }

    /// An extent of `per_row` elements for each row.
    pub const fn per_row(per_row: u32) -> Self {
        Self { fixed: 0, per_row }
    }

    /// The extent for a batch of `rows`. Saturates rather than wraps.
    ///
    /// ```
    /// use tradewind_executor::plan::Dim;
    /// assert_eq!(Dim { fixed: 3, per_row: 2 }.at(10), 23);
    /// ```
    pub const fn at(self, rows: usize) -> usize {
        (self.per_row as usize).saturating_mul(rows).saturating_add(self.fixed as usize)
    }

    /// The product, where it is such an extent again and both its numbers can be counted.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let part = |a: u32, b: u32| a.checked_mul(b);
        let mixed = part(self.fixed, other.per_row)?.checked_add(part(self.per_row, other.fixed)?)?;
        let quadratic = self.per_row > 0 && other.per_row > 0;
        (!quadratic).then_some(Self { fixed: part(self.fixed, other.fixed)?, per_row: mixed })
    }
}

impl Recurrence {
    /// Gates of the cell.
    pub const fn gates(&self) -> usize {
        match self.cell {
            Cell::Plain => 1,
            Cell::Gru | Cell::GruResetAfter => 3,
            Cell::Lstm => 4,
        }
    }

    /// States of the cell.
    pub const fn states(&self) -> usize {
        if matches!(self.cell, Cell::Lstm) { 2 } else { 1 }
    }

    /// `hidden` rounded up to whole panels.
    pub const fn padded(&self) -> usize {
        (self.hidden as usize).div_ceil(DENSE_PANEL).saturating_mul(DENSE_PANEL)
    }

    /// Elements of the output for each row; saturates rather than wraps.
    pub const fn stretch(&self) -> usize {
        let kept = if self.keep { self.steps as usize } else { 0 };
        self.padded().saturating_mul(kept.saturating_add(self.states() + self.gates()))
    }
}

impl DType {
    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I64 | Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::U8 | Self::Bool => 1,
        }
    }
}

impl TreeBlock {
    /// Bits of a slot's child.
    pub const CHILD_BITS: u32 = 20;
    /// The threshold of leaf 0 in a slot.
    pub const LEAF: u32 = 0xffc0_0000;
    /// The bits of a leaf's number.
    pub const LEAF_NUMBER: u32 = 0x003f_ffff;
}
