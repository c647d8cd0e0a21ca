//! Work of a plan.

use super::{Dim, Operand, Plan, Step};

impl Plan {
    /// Elementary operations (one multiplication and addition, one comparison, one element moved)
    /// for a batch of `rows`: an estimate that does not depend on the machine.
    pub fn work(&self, rows: usize) -> u64 {
        let costs = self.steps.iter().map(|step| step.kernel.cost(&Size { plan: self, step, rows }));
        costs.fold(0, u64::saturating_add)
    }
}

/// Size of a step for a batch of `rows`.
pub(crate) struct Size<'a> {
    plan: &'a Plan,
    step: &'a Step,
    rows: usize,
}

impl Size<'_> {
    /// Iterations of loops with these extents. An empty axis counts as one, because the loops around it still run.
    #[inline(never)]
    pub fn volume(&self, shape: &[Dim]) -> u64 {
        shape.iter().fold(1, |volume: u64, dim| volume.saturating_mul(dim.at(self.rows).max(1) as u64))
    }

    /// Number of elements of the output.
    #[inline(never)]
    pub fn output(&self) -> u64 {
        self.plan.buffers.get(self.step.output.0 as usize).map_or(0, |buffer| buffer.len.at(self.rows) as u64)
    }

    /// Number of elements of the `n`-th input, a weight.
    pub fn weight(&self, n: usize) -> u32 {
        match self.step.inputs.get(n) {
            Some(Operand::Weight(id)) => self.plan.weights.get(id.0 as usize).map_or(0, |weight| weight.len),
            _ => 0,
        }
    }
}
