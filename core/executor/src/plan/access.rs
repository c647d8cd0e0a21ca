//! Access patterns of kernels, from which the compiler proves that rows are independent.

use super::{Dim, View};
use alloc::{vec, vec::Vec};

/// Loops of a kernel call, and the elements that one iteration reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Extents of the nested loops, outermost first.
    pub shape: Vec<Dim>,
    /// Elements of each input read by an iteration.
    pub inputs: Vec<Touch>,
    /// Elements written by an iteration.
    pub output: Touch,
}

/// Elements of a tensor that an iteration reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Touch {
    /// All elements, in every iteration.
    All,
    /// All elements, with the same value written everywhere.
    Alike,
    /// One element: the next of a dense row-major tensor.
    Element,
    /// A block of these extents: the next of contiguous blocks.
    Block(Vec<Dim>),
    /// Elements reached by a view, whose axes are the loops and then those of `over`.
    View {
        /// Extents that an iteration covers in any order.
        over: Vec<Dim>,
        /// Offset and strides.
        view: View,
    },
}

impl Access {
    /// One block of the first input for each block of the output; `others` further inputs are read completely.
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
    /// Creates the touch of the one element that a view reaches.
    pub(crate) fn view(view: &View) -> Self {
        Self::View { over: Vec::new(), view: view.clone() }
    }
}
