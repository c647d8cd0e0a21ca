//! How much a plan computes.

use super::{Dim, Kernel, Operand, Plan, Step};

impl Plan {
    /// Elementary operations (one multiplication and addition, one comparison, one element moved)
    /// for a batch of `rows`: an estimate that does not depend on the machine.
    pub fn work(&self, rows: usize) -> u64 {
        self.steps.iter().map(|step| self.step_work(step, rows)).fold(0, u64::saturating_add)
    }

    fn step_work(&self, step: &Step, rows: usize) -> u64 {
        match &step.kernel {
            Kernel::Lookup => {
                let halvings = u64::from(self.weight_len(step, 1).checked_ilog2().unwrap_or(0)) + 1;
                let len = self.buffers.get(step.output.0 as usize).map_or(0, |buffer| buffer.len.at(rows) as u64);
                len.saturating_mul(halvings)
            }
            Kernel::Distances { rows: extent, inner, points, .. } => {
                volume(&[*extent, Dim::fixed(*inner), Dim::fixed(*points)], rows)
            }
            // At most 100 rounds, in each of which an element is met five times.
            Kernel::Couple { rows: extent, classes } => {
                volume(&[*extent, Dim::fixed(*classes), Dim::fixed(*classes)], rows).saturating_mul(500)
            }
            Kernel::Fill { .. } | Kernel::Cast | Kernel::Unary { .. } => {
                self.buffers.get(step.output.0 as usize).map_or(0, |buffer| buffer.len.at(rows) as u64)
            }
            Kernel::Copy { shape, .. }
            | Kernel::Binary { shape, .. }
            | Kernel::Compare { shape, .. }
            | Kernel::Select { shape, .. }
            | Kernel::Scatter { shape, .. } => volume(shape, rows),
            Kernel::Cumulate { data, .. } => volume(&[data.outer, data.axis, data.inner], rows),
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
                let depth = k.checked_ilog2().map_or(1, |log| log + 1);
                volume(&[data.outer, data.axis, data.inner], rows).saturating_mul(u64::from(depth))
            }
            Kernel::Trees { rows: extent, blocks, .. } => {
                let walked = blocks.iter().fold(0, |sum: u32, block| sum.saturating_add(block.steps));
                volume(&[*extent, Dim::fixed(walked.saturating_add(self.weight_len(step, 4)))], rows)
            }
            Kernel::Recurrent(layer) => {
                // A gate's function counts as sixteen operations.
                let inner = Dim::fixed(layer.hidden.saturating_add(16));
                let gates = u32::try_from(layer.gates().saturating_mul(layer.padded())).unwrap_or(u32::MAX);
                volume(&[layer.rows, Dim::fixed(layer.steps), Dim::fixed(gates), inner], rows)
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
