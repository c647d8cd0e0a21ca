//! How kernels go through their tensors: what shows whether the rows of a batch are computed apart.

use super::{Dim, View};
use alloc::{vec, vec::Vec};

/// The loops of a kernel call, and what a turn of them reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Extents of the loops, one in the other.
    pub shape: Vec<Dim>,
    /// What a turn reads of each input.
    pub inputs: Vec<Touch>,
    /// What it writes.
    pub output: Touch,
}

/// What a turn of the loops reads or writes of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    /// Whatever there is, in any turn.
    All,
    /// Whatever there is, and writes the same value everywhere.
    Alike,
    /// One element: the next of a dense row-major tensor.
    Element,
    /// A block of these extents: the next of those that lie side by side.
    Block(Vec<Dim>),
    /// What a view reaches: its axes are the loops, and then those of `over`.
    View {
        /// Extents that a turn goes through in any order.
        over: Vec<Dim>,
        /// Offset and strides.
        view: View,
    },
}

impl Access {
    /// A block of the first input for each of the output; `others` more inputs are read whole.
    pub(crate) fn blocks(count: Dim, input: Vec<Dim>, others: usize, output: Vec<Dim>) -> Self {
        let mut inputs = vec![Touch::Block(input)];
        inputs.resize(1 + others, Touch::All);
        Self { shape: vec![count], inputs, output: Touch::Block(output) }
    }

    /// Whether an extent, stride or offset grows with the batch.
    pub fn grows(&self) -> bool {
        let grows = |dim: &Dim| dim.per_row > 0;
        self.shape.iter().any(grows)
            || self.inputs.iter().chain([&self.output]).any(|touch| match touch {
                Touch::All | Touch::Alike | Touch::Element => false,
                Touch::Block(extents) => extents.iter().any(grows),
                Touch::View { over, view } => over.iter().chain(&view.strides).chain([&view.offset]).any(grows),
            })
    }
}

impl Touch {
    /// The one element that a view reaches.
    pub(crate) fn view(view: &View) -> Self {
        Self::View { over: Vec::new(), view: view.clone() }
    }
}
