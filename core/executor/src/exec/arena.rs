//! Working memory, and how a kernel call gets at it: one buffer to write, any others to read.

use crate::{
    aligned::AlignedBytes,
    error::{Error, ErrorKind, Result},
    plan::{Buffer, BufferId, Operand, Plan, Step},
};
use bytemuck::Pod;
use core::ops::Range;

/// One tile's working memory.
#[derive(Debug)]
pub(super) struct Arena(pub AlignedBytes);

/// What a kernel call may read: the weights, and the arena around the buffer it writes.
pub(super) struct Inputs<'a> {
    plan: &'a Plan,
    step: &'a Step,
    weights: &'a [u8],
    before: &'a [u8],
    after: &'a [u8],
    after_start: usize,
}

impl Arena {
    /// A whole buffer.
    pub fn buffer_mut<T: Pod>(&mut self, plan: &Plan, id: BufferId) -> Result<&mut [T]> {
        let range = byte_range(plan, buffer(plan, id)?);
        bytemuck::try_cast_slice_mut(self.0.as_mut_slice().get_mut(range).ok_or_else(outside)?).map_err(|_| outside())
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
    ) -> Result<(Inputs<'a>, &'a mut [u8])> {
        let output = byte_range(plan, buffer(plan, step.output)?);
        let (before, rest) = self.0.as_mut_slice().split_at_mut_checked(output.start).ok_or_else(outside)?;
        let (out, after) = rest.split_at_mut_checked(output.len()).ok_or_else(outside)?;
        Ok((Inputs { plan, step, weights, before, after, after_start: output.end }, out))
    }
}

impl<'a> Inputs<'a> {
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

/// The bytes of a buffer, for a whole tile.
pub(super) fn byte_range(plan: &Plan, buffer: &Buffer) -> Range<usize> {
    let start = buffer.offset as usize;
    start..start.saturating_add(buffer.len.at(plan.tile as usize).saturating_mul(buffer.dtype.bytes()))
}

fn buffer(plan: &Plan, id: BufferId) -> Result<&Buffer> {
    plan.buffers.get(id.0 as usize).ok_or_else(outside)
}

/// A plan that was checked never gets here; it is an error all the same, not a panic.
#[cold]
pub(super) fn outside() -> Error {
    Error::new(ErrorKind::InvalidPlan, "a kernel reached outside its buffers; report this as a bug")
}
