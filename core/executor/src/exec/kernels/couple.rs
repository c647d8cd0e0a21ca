//! Pairwise coupling: from the probabilities of pairs to those of classes.

use super::Inputs;
use crate::error::Result;

/// Rounds after which it is left where it is.
const ROUNDS: usize = 100;

/// For each row the probabilities of the classes, and then working memory.
#[inline(never)]
pub fn couple(rows: usize, classes: usize, inputs: &Inputs<'_>, out: &mut [f32]) -> Result<()> {
    let pairs = inputs.elements::<f32>(0)?;
    for (pairs, out) in pairs.chunks_exact(classes * classes).zip(out.chunks_exact_mut(2 * classes)).take(rows) {
        let (probabilities, gradient) = out.split_at_mut(classes);
        couple_row(pairs, probabilities, gradient);
    }
    Ok(())
}

/// Minimises `pᵀ Q p` over the probabilities `p`, a coordinate at a time. `Qᵢᵢ = Σⱼ rⱼᵢ²` and
/// `Qᵢⱼ = −rⱼᵢ rᵢⱼ`, where `r` is `pairs`.
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
        // An error that is not a number is none.
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
