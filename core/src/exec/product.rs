//! The inner loops of matrix products: a few rows times a few panels, held in registers.

use super::simd::{F32x4, LANES};
use crate::plan::{Activation, DENSE_PANEL};

/// One row of a panel.
pub(super) type Panel = [f32; DENSE_PANEL];

/// Sums for one row and one panel.
type Sums = [F32x4; DENSE_PANEL / LANES];

/// `sums[r][p] + Σ_k x[r][k] × panels[p][k]`, `k` upwards, one multiplication and one addition each.
///
/// All of `x` and `panels` have one length. Tiles of 2 × 2, 4 × 1 and 1 × 4 fill eight registers
/// and leave room for their operands.
#[inline(always)]
pub(super) fn tile<const R: usize, const P: usize>(
    mut sums: [[Sums; P]; R],
    x: [&[f32]; R],
    panels: [&[Panel]; P],
) -> [[Sums; P]; R] {
    // Slices of one known length are indexed without checks.
    let count = panels[0].len();
    let (x, panels) = (x.map(|x| &x[..count]), panels.map(|panel| &panel[..count]));
    let term = |sums: &mut [[Sums; P]; R], k: usize| {
        let panels = panels.map(|panel| halves(&panel[k]));
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = F32x4::splat(x[k]);
            for (sums, panel) in sums.iter_mut().zip(panels) {
                sums[0] += x * panel[0];
                sums[1] += x * panel[1];
            }
        }
    };
    // Four terms to a turn, each with an exit of its own. Hosts that can interrupt a loop keep sums
    // in memory from turn to turn; and without the exits V8 mixes terms and has too few registers.
    let mut k = 0;
    while k < count {
        term(&mut sums, k);
        if k + 1 >= count {
            break;
        }
        term(&mut sums, k + 1);
        if k + 2 >= count {
            break;
        }
        term(&mut sums, k + 2);
        if k + 3 >= count {
            break;
        }
        term(&mut sums, k + 3);
        k += 4;
    }
    sums
}

/// The sums to begin with, from up to eight values.
#[inline(always)]
pub(super) fn load(values: &[f32]) -> Sums {
    match values.first_chunk() {
        Some(whole) => halves(whole),
        None => {
            let mut padded = [0.0; DENSE_PANEL];
            padded[..values.len()].copy_from_slice(values);
            halves(&padded)
        }
    }
}

/// Writes as many of the sums as there is room for.
#[inline(always)]
pub(super) fn store(sums: Sums, activation: Activation, to: &mut [f32]) {
    let sums = match activation {
        Activation::None => sums,
        Activation::Relu => sums.map(|sum| sum.at_least(F32x4::ZERO)),
    };
    let mut all = [0.0; DENSE_PANEL];
    for (to, sum) in all.as_chunks_mut().0.iter_mut().zip(sums) {
        sum.store(to);
    }
    match to.first_chunk_mut() {
        Some(whole) => *whole = all,
        None => {
            for (to, value) in to.iter_mut().zip(all) {
                *to = value;
            }
        }
    }
}

#[inline(always)]
fn halves(panel: &Panel) -> Sums {
    let [low, high] = panel.as_chunks().0 else { return [F32x4::ZERO; 2] };
    [F32x4::load(low), F32x4::load(high)]
}
