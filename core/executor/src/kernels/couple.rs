//! Pairwise coupling: probabilities of classes from those of pairs.

use super::{Inputs, Operation, Output};
use crate::{
    error::Result,
    exec::validate::{Checked, ensure, product},
    plan::{Access, DType, Dim, Size},
};
use alloc::vec;
use serde::{Deserialize, Serialize};

/// Probabilities of classes from those of pairs: `T0[r, i, j]` is the probability of class `i`, given `i` or `j`. Each
/// row of the output, `[2, classes]`, contains the probabilities and then as much working memory. F32.
///
/// The second method of Wu, Lin and Weng (2004), with libsvm's start (all equal), order of updates and end (an error
/// below 0.005 / classes, or 100 rounds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Couple {
    /// Rows.
    pub rows: Dim,
    /// Classes.
    pub classes: u32,
}

/// Maximum number of rounds.
const ROUNDS: usize = 100;

impl Operation for Couple {
    const NAME: &'static str = "couple";

    fn check(&self, call: &Checked<'_>) -> Result<bool> {
        call.arity(1)?;
        ensure(call.dtype(0)? == DType::F32 && call.out == DType::F32, "probabilities are F32")?;
        ensure(self.classes > 0, "no classes")?;
        let (rows, classes) = (self.rows.at(call.rows), self.classes as usize);
        call.holds(0, product(&[rows, classes, classes])?)?;
        call.gives(product(&[rows, classes, 2])?)
    }

    fn cost(&self, size: &Size<'_>) -> u64 {
        // At most 100 rounds, each of which uses an element five times.
        size.volume(&[self.rows, Dim::fixed(self.classes), Dim::fixed(self.classes)]).saturating_mul(500)
    }

    fn access(&self, _output: Dim) -> Option<Access> {
        let classes = Dim::fixed(self.classes);
        Some(Access::blocks(self.rows, vec![classes, classes], 0, vec![Dim::fixed(2), classes]))
    }

    /// For each row the probabilities of the classes, then working memory.
    #[inline(never)]
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> Result<()> {
        let (rows, classes) = (self.rows.at(inputs.rows), self.classes as usize);
        let (pairs, out) = (inputs.elements::<f32>(0)?, out.elements::<f32>()?);
        for (pairs, out) in pairs.chunks_exact(classes * classes).zip(out.chunks_exact_mut(2 * classes)).take(rows) {
            let (probabilities, gradient) = out.split_at_mut(classes);
            couple_row(pairs, probabilities, gradient);
        }
        Ok(())
    }
}

/// Minimises `pᵀ Q p` over the probabilities `p`, one coordinate at a time. `Qᵢᵢ = Σⱼ rⱼᵢ²` and `Qᵢⱼ = −rⱼᵢ rᵢⱼ`, where
/// `r` is `pairs`.
fn couple_row(pairs: &[f32], p: &mut [f32], qp: &mut [f32]) {
    let classes = p.len();
    let pair = |i: usize, j: usize| pairs[i * classes + j];
    let q = |i: usize, j: usize| {
        if i == j {
            (0..classes).filter(|j| *j != i).fold(0.0, |sum, j| sum + pair(j, i) * pair(j, i))
        } else {
            -pair(j, i) * pair(i, j)
        }
    };
    p.fill(1.0 / classes as f32);
    for _ in 0..ROUNDS {
        let mut pqp = 0.0;
        for i in 0..classes {
            qp[i] = (0..classes).fold(0.0, |sum, j| sum + q(i, j) * p[j]);
            pqp += p[i] * qp[i];
        }
        // NaN errors count as zero.
        let error = qp.iter().fold(0.0, |most: f32, qp| most.max(libm::fabsf(qp - pqp)));
        if error < 0.005 / classes as f32 {
            break;
        }
        for i in 0..classes {
            let diagonal = q(i, i);
            let change = (pqp - qp[i]) / diagonal;
            let scale = 1.0 + change;
            p[i] += change;
            pqp = (pqp + change * (change * diagonal + 2.0 * qp[i])) / scale / scale;
            for j in 0..classes {
                qp[j] = (qp[j] + change * q(i, j)) / scale;
                p[j] /= scale;
            }
        }
    }
}
