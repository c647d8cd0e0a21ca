//! A compiled model: a flat list of kernel calls over numbered buffers.
//!
//! `tradewind-compiler` makes a [`Plan`] from an ONNX graph; [`Executor`](crate::Executor) runs it. The compiler
//! decides everything that does not depend on the data: the order of kernels, the geometry of each call, and the
//! position of each buffer in one arena.
//!
//! # The batch
//!
//! One symbol, the number of rows, may occur in shapes. Every extent and stride is therefore a [`Dim`], `fixed +
//! per_row × rows`. A plan is laid out for [`Plan::tile`] rows. If rows are independent ([`Batch::Independent`]), the
//! executor splits a batch of any size into tiles, so that memory is bounded and a row's result does not depend on
//! other rows. Otherwise ([`Batch::Joint`]) the tile is the largest batch that the plan accepts.
//!
//! # Tensors
//!
//! Every buffer is a dense row-major tensor. Reshapes cost nothing; a transpose, slice, pad,
//! broadcast or concatenation is a [`Kernel::Copy`] between two strided [`View`]s. Every step
//! writes exactly one buffer.

mod access;
mod cost;
mod encoding;

pub use crate::kernels::*;
pub use access::{Access, Touch};
pub(crate) use cost::Size;
pub use encoding::{Encoding, Groups};

use crate::{bounded, text::TextFeatures};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Largest number of axes a [`View`] may have (output axes and reduced axes together).
pub const MAX_AXES: usize = 12;

/// A compiled model. See the [module documentation](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Whether rows are independent.
    pub batch: Batch,
    /// Rows for which the arena has room.
    pub tile: u32,
    /// Bytes of working memory for one tile; a multiple of 16.
    pub arena_bytes: u32,
    /// Inputs of the model, in the model's order.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub inputs: Vec<Port>,
    /// Outputs of the model, in the model's order.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub outputs: Vec<Port>,
    /// Working memory, laid out in the arena. Buffers with disjoint lifetimes share bytes.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub buffers: Vec<Buffer>,
    /// Constants, laid out in the pack's weights section.
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    pub weights: Vec<Weight>,
    /// Kernel calls, in order.
    #[serde(deserialize_with = "bounded::list::<10_000, _, _>")]
    pub steps: Vec<Step>,
    /// Features of text inputs, computed before the steps.
    #[serde(deserialize_with = "bounded::list::<64, _, _>")]
    pub texts: Vec<TextFeatures>,
}

/// Dependence between the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batch {
    /// Each row is computed independently; batches of any size run tile by tile.
    Independent,
    /// Rows are computed together (or the model has no batch); a batch is at most one tile.
    Joint,
}

/// An input or output of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Name in the ONNX graph.
    pub name: String,
    /// Shape.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub shape: Vec<Dim>,
    /// Buffer with its elements.
    pub buffer: BufferId,
    /// Strings of a text tensor: its buffer contains indices (`i64`) into these. Those of an input ascend; an unknown
    /// string has the index −1. An output in the buffer of an input keeps that input's strings unchanged.
    #[serde(deserialize_with = "bounded::list::<1_000_000, _, _>")]
    pub categories: Vec<String>,
}

impl Port {
    /// Index of a string in an input's categories, or −1.
    pub fn index(&self, text: &str) -> i64 {
        let place = self.categories.binary_search_by(|known| known.as_str().cmp(text));
        place.map_or(-1, |place| place as i64)
    }
}

/// An extent, offset or stride in elements: `fixed + per_row × rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dim {
    /// Part that does not depend on the batch.
    pub fixed: u32,
    /// Elements per row of the batch.
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
    /// IEEE 754 double precision, only between steps: for casts, arithmetic, comparisons and moving elements.
    F64,
}

/// Index into [`Plan::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BufferId(pub u16);

/// Index into [`Plan::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WeightId(pub u16);

/// Tensor in the arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub len: Dim,
    /// First byte in the arena; a multiple of 16.
    pub offset: u32,
}

/// Constant tensor in the weights section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Element type.
    pub dtype: DType,
    /// Number of elements.
    pub len: u32,
    /// First byte in the weights section; a multiple of 16.
    pub offset: u32,
    /// Encoding of the elements. An executor requires [plain](Encoding::Plain) weights: see [`Plan::expand`].
    pub encoding: Encoding,
}

/// Kernel call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Computation.
    pub kernel: Kernel,
    /// Inputs, in the order documented by the kernel.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub inputs: Vec<Operand>,
    /// Output: never one of the inputs, and never overlapping one in the arena.
    pub output: BufferId,
    /// ONNX node of origin, for messages.
    pub node: String,
}

/// Input of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operand {
    /// Working memory.
    Buffer(BufferId),
    /// Constant.
    Weight(WeightId),
}

/// View of a tensor by a kernel: the element at index `i` is `offset + Σ i[axis] × strides[axis]`.
///
/// A stride of zero broadcasts. The axes are those of the kernel's `shape`, then those of `over`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Element at index zero.
    pub offset: Dim,
    /// Distance between consecutive indices along each axis, in elements.
    #[serde(deserialize_with = "bounded::list::<MAX_AXES, _, _>")]
    pub strides: Vec<Dim>,
}

/// Tensor divided into `outer × axis × inner` elements around the axis of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisShape {
    /// Product of the extents before the axis.
    pub outer: Dim,
    /// Extent of the axis.
    pub axis: Dim,
    /// Product of the extents after the axis.
    pub inner: Dim,
}

impl Dim {
    /// Creates an extent that does not depend on the batch.
    pub const fn fixed(fixed: u32) -> Self {
        Self { fixed, per_row: 0 }
    }

    /// Creates an extent of `per_row` elements per row.
    pub const fn per_row(per_row: u32) -> Self {
        Self { fixed: 0, per_row }
    }

    /// Extent for a batch of `rows`. Saturates on overflow.
    ///
    /// ```
    /// use tradewind_executor::plan::Dim;
    /// assert_eq!(Dim { fixed: 3, per_row: 2 }.at(10), 23);
    /// ```
    #[inline(never)]
    pub const fn at(self, rows: usize) -> usize {
        (self.per_row as usize).saturating_mul(rows).saturating_add(self.fixed as usize)
    }

    /// Product, if it is again such an extent and does not overflow.
    pub(crate) fn times(self, other: Self) -> Option<Self> {
        let part = |a: u32, b: u32| a.checked_mul(b);
        let mixed = part(self.fixed, other.per_row)?.checked_add(part(self.per_row, other.fixed)?)?;
        let quadratic = self.per_row > 0 && other.per_row > 0;
        (!quadratic).then_some(Self { fixed: part(self.fixed, other.fixed)?, per_row: mixed })
    }
}

impl AxisShape {
    /// The three extents.
    pub(crate) const fn extents(self) -> [Dim; 3] {
        [self.outer, self.axis, self.inner]
    }
}

impl DType {
    /// Size of one element in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I64 | Self::F64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::U8 | Self::Bool => 1,
        }
    }
}
