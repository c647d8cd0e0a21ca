//! Working memory, and a kernel call's view of it: one writable buffer, all others readable.

use crate::{
    aligned::AlignedBytes,
    error::{Error, ErrorKind, Result},
    plan::{Buffer, BufferId, DType, Operand, Plan, Step},
};
use bytemuck::Pod;
use core::ops::Range;

/// Working memory of one tile.
#[derive(Debug)]
pub(crate) struct Arena(pub AlignedBytes);

/// Readable data of a kernel call: the weights, and the arena around the buffer being written.
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

/// Buffer that a kernel call writes.
pub(crate) struct Output<'a> {
    /// Element type.
    pub dtype: DType,
    /// The buffer for a full tile.
    bytes: &'a mut [u8],
    /// Bytes of it used by the batch.
    used: usize,
}

impl Arena {
    /// Returns a buffer for a full tile.
    pub fn buffer_mut<T: Pod>(&mut self, plan: &Plan, id: BufferId) -> Result<&mut [T]> {
        let range = byte_range(plan, buffer(plan, id)?);
        cast_mut(self.0.as_mut_slice().get_mut(range).ok_or_else(outside)?)
    }

    /// Zeroes the part of a buffer that `rows` rows use.
    pub fn clear(&mut self, plan: &Plan, id: BufferId, rows: usize) -> Result<()> {
        let Buffer { dtype, len, offset } = *buffer(plan, id)?;
        let start = offset as usize;
        let bytes = start..start.saturating_add(len.at(rows).saturating_mul(dtype.bytes()));
        self.0.as_mut_slice().get_mut(bytes).ok_or_else(outside)?.fill(0);
        Ok(())
    }

    /// Returns the writable output of a step, and its readable inputs.
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
    /// The elements for a full tile.
    #[inline(never)]
    pub fn elements<T: Pod>(&mut self) -> Result<&mut [T]> {
        cast_mut(self.bytes)
    }

    /// The elements used by the batch.
    #[inline(never)]
    pub fn used<T: Pod>(&mut self) -> Result<&mut [T]> {
        cast_mut(self.bytes.get_mut(..self.used).ok_or_else(outside)?)
    }
}

/// Reinterprets bytes as elements.
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

/// Byte range of a buffer for a full tile.
pub(crate) fn byte_range(plan: &Plan, buffer: &Buffer) -> Range<usize> {
    let start = buffer.offset as usize;
    start..start.saturating_add(buffer.len.at(plan.tile as usize).saturating_mul(buffer.dtype.bytes()))
}

fn buffer(plan: &Plan, id: BufferId) -> Result<&Buffer> {
    plan.buffers.get(id.0 as usize).ok_or_else(outside)
}

/// Unreachable for a checked plan; an error instead of a panic.
#[cold]
pub(crate) fn outside() -> Error {
    Error::new(ErrorKind::InvalidPlan, "a kernel reached outside its buffers; report this as a bug")
}
