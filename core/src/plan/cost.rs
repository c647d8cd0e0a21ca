//! How much a plan computes.

use super::{Dim, Kernel, Operand, Plan, Step};

impl Plan {
    /// Elementary operations (one multiplication and addition, one comparison, one element moved)
    /// for a batch of `rows`: an estimate that does not depend on the machine. A tree counts as
    /// balanced.
    pub fn work(&self, rows: usize) -> u64 {
        self.steps.iter().map(|step| self.step_work(step, rows)).fold(0, u64::saturating_add)
    }

    fn step_work(&self, step: &Step, rows: usize) -> u64 {
        match &step.kernel {
            Kernel::Fill { .. } | Kernel::Cast | Kernel::Unary { .. } => {
                self.buffers.get(step.output.0 as usize).map_or(0, |buffer| buffer.len.at(rows) as u64)
            }
            Kernel::Copy { shape, .. }
            | Kernel::Binary { shape, .. }
            | Kernel::Compare { shape, .. }
            | Kernel::Select { shape, .. } => volume(shape, rows),
            Kernel::Dense { rows: extent, inner, columns, .. } => {
                volume(&[*extent, Dim::fixed(*inner), Dim::fixed(*columns)], rows)
            }
            Kernel::Contract { shape, over, .. } | Kernel::Reduce { shape, over, .. } => {
                volume(shape, rows).saturating_mul(volume(over, rows).max(1))
            }
            Kernel::Softmax { shape, .. } => volume(&[shape.outer, shape.axis, shape.inner], rows).saturating_mul(3),
            Kernel::Gather { data, picks } | Kernel::GatherElements { data, picks } => {
                volume(&[data.outer, *picks, data.inner], rows)
            }
            Kernel::TopK { data, k, .. } => {
                volume(&[data.outer, data.axis, data.inner], rows).saturating_mul(u64::from(*k).max(1))
            }
            Kernel::Trees { rows: extent, .. } => {
                let trees = self.weight_len(step, 1).max(1);
                let depth = (self.weight_len(step, 3) / trees).checked_ilog2().map_or(1, |log| log + 1);
                volume(&[*extent, Dim::fixed(trees), Dim::fixed(depth)], rows)
            }
        }
    }

    fn weight_len(&self, step: &Step, n: usize) -> u32 {
        match step.inputs.get(n) {
            Some(Operand::Weight(id)) => self.weights.get(id.0 as usize).map_or(0, |weight| weight.len),
            _ => 0,
        }
    }
}

/// An axis without elements counts as one: the loops around it run all the same.
fn volume(shape: &[Dim], rows: usize) -> u64 {
    shape.iter().fold(1, |volume: u64, dim| volume.saturating_mul(dim.at(rows).max(1) as u64))
}
