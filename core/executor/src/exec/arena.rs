//! Working memory, and how a kernel call gets at it: one buffer to write, any others to read.

use crate::{
    aligned::AlignedBytes,
    error::{Error, ErrorKind, Result},
    plan::{Buffer, BufferId, DType, Operand, Plan, Step},
};
use bytemuck::Pod;
use core::ops::Range;

/// One tile's working memory.
#[derive(Debug)]
pub(crate) struct Arena(pub AlignedBytes);

/// What a kernel call may read: the weights, and the arena around the buffer it writes.
pub(crate) struct Inputs<'a> {
    /// Rows of the batch.
    pub rows: usize,
    plan: &'a Plan,
    step: &'a Step,
    weights: &'a [u8],
    before: &'a [u8],
    after: &'a [u8],
    after_start: usize,
}

/// The buffer that a kernel call writes.
pub(crate) struct Output<'a> {
    /// Element type.
    pub dtype: DType,
    /// The buffer of a whole tile.
    bytes: &'a mut [u8],
    /// Bytes of it that the batch uses.
    used: usize,
}

impl Arena {
    /// A whole buffer.
    pub fn buffer_mut<T: Pod>(&mut self, plan: &Plan, id: BufferId) -> Result<&mut [T]> {
        let range = byte_range(plan, buffer(plan, id)?);
        cast_mut(self.0.as_mut_slice().get_mut(range).ok_or_else(outside)?)
    }

    /// Sets what `rows` rows use of a buffer to zeros.
    pub fn clear(&mut self, plan: &Plan, id: BufferId, rows: usize) -> Result<()> {
        let Buffer { dtype, len, offset } = *buffer(plan, id)?;
        let start = offset as usize;
        let bytes = start..start.saturating_add(len.at(rows).saturating_mul(dtype.bytes()));
        self.0.as_mut_slice().get_mut(bytes).ok_or_else(outside)?.fill(0);
        Ok(())
    }

    /// The output of a step, to write, and what the step may read meanwhile.
    pub fn split<'a>(
        &'a mut self,
        plan: &'a Plan,
        step: &'a Step,
        weights: &'a [u8],
        rows: usize,
    ) -> Result<(Inputs<'a>, Output<'a>)> {
        let Buffer { dtype, len, .. } = *buffer(plan, step.output)?;
        let output = byte_range(plan, buffer(plan, step.output)?);
        let (before, rest) = self.0.as_mut_slice().split_at_mut_checked(output.start).ok_or_else(outside)?;
        let (bytes, after) = rest.split_at_mut_checked(output.len()).ok_or_else(outside)?;
        let inputs = Inputs { rows, plan, step, weights, before, after, after_start: output.end };
        Ok((inputs, Output { dtype, bytes, used: len.at(rows) * dtype.bytes() }))
    }
}

impl<'a> Inputs<'a> {
    /// The element type of the step's `n`-th input.
    pub fn dtype(&self, n: usize) -> Result<DType> {
        input_dtype(self.plan, self.step, n)
    }

    /// The elements of the step's `n`-th input.
    pub fn elements<T: Pod>(&self, n: usize) -> Result<&'a [T]> {
        let bytes = match *self.step.inputs.get(n).ok_or_else(outside)? {
            Operand::Weight(id) => {
                let weight = self.plan.weights.get(id.0 as usize).ok_or_else(outside)?;
                let start = weight.offset as usize;
                self.weights.get(start..start.saturating_add(weight.len as usize * weight.dtype.bytes()))
            }
            Operand::Buffer(id) => {
                let range = byte_range(self.plan, buffer(self.plan, id)?);
                if range.end <= self.before.len() {
                    self.before.get(range)
                } else {
                    let start = range.start.checked_sub(self.after_start).ok_or_else(outside)?;
                    self.after.get(start..start + range.len())
                }
            }
        };
        bytemuck::try_cast_slice(bytes.ok_or_else(outside)?).map_err(|_| outside())
    }
}

impl Output<'_> {
    /// The elements, for a whole tile.
    #[inline(never)]
    pub fn elements<T: Pod>(&mut self) -> Result<&mut [T]> {
        cast_mut(self.bytes)
    }

    /// The elements that the batch uses.
    #[inline(never)]
    pub fn used<T: Pod>(&mut self) -> Result<&mut [T]> {
        cast_mut(self.bytes.get_mut(..self.used).ok_or_else(outside)?)
    }
}

/// Bytes as the elements that they are.
pub(crate) fn cast_mut<T: Pod>(bytes: &mut [u8]) -> Result<&mut [T]> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| outside())
}

/// Element type of a step's `n`-th input.
#[inline(never)]
pub(crate) fn input_dtype(plan: &Plan, step: &Step, n: usize) -> Result<DType> {
    let dtype = match step.inputs.get(n).ok_or_else(outside)? {
        Operand::Buffer(id) => plan.buffers.get(id.0 as usize).map(|buffer| buffer.dtype),
        Operand::Weight(id) => plan.weights.get(id.0 as usize).map(|weight| weight.dtype),
    };
    dtype.ok_or_else(outside)
}

/// The bytes of a buffer, for a whole tile.
pub(crate) fn byte_range(plan: &Plan, buffer: &Buffer) -> Range<usize> {
    let start = buffer.offset as usize;
    start..start.saturating_add(buffer.len.at(plan.tile as usize).saturating_mul(buffer.dtype.bytes()))
}

fn buffer(plan: &Plan, id: BufferId) -> Result<&Buffer> {
    plan.buffers.get(id.0 as usize).ok_or_else(outside)
}

/// A plan that was checked never gets here; it is an error all the same, not a panic.
#[cold]
pub(crate) fn outside() -> Error {
    Error::new(ErrorKind::InvalidPlan, "a kernel reached outside its buffers; report this as a bug")
}
