//! Inner loops of matrix products: a few rows times a few panels, in registers.

use super::simd::{F32x4, LANES};
use crate::plan::{Activation, DENSE_PANEL};

/// One row of a panel.
pub(crate) type Panel = [f32; DENSE_PANEL];

/// Sums for one row and one panel.
type Sums = [F32x4; DENSE_PANEL / LANES];

/// Terms added per iteration.
const TERMS: usize = 4;

/// Adds `Σ_k x[r][k] × panels[p][k]` to `sums[r][p]`, with `k` ascending, one multiplication and one addition each.
///
/// All of `x` and `panels` have one length. Tiles of 2 × 2 and 4 × 1 fill eight registers and leave
/// room for their operands.
#[inline(always)]
pub(crate) fn tile<const R: usize, const P: usize>(
    mut sums: [[Sums; P]; R],
    x: [&[f32]; R],
    panels: [&[Panel]; P],
) -> [[Sums; P]; R] {
    // Slices of one known length are indexed without bounds checks.
    let count = panels[0].len();
    let (x, panels) = (x.map(|x| &x[..count]), panels.map(|panel| &panel[..count]));
    let turns = count / TERMS;
    let (x4, panels4) =
        (x.map(|x| &x.as_chunks::<TERMS>().0[..turns]), panels.map(|panel| &panel.as_chunks::<TERMS>().0[..turns]));
    // Several terms per iteration, because hosts with interruptible loops keep the sums in memory between iterations.
    // `left` never ends an iteration early, but the possibility keeps V8 from interleaving terms, for which it lacks
    // registers.
    let mut left = count;
    'turns: for turn in 0..turns {
        for n in 0..TERMS {
            if left == n {
                break 'turns;
            }
            add(&mut sums, x4.map(|x| x[turn][n]), panels4.map(|panel| &panel[turn][n]));
        }
        left -= TERMS;
    }
    for k in turns * TERMS..count {
        add(&mut sums, x.map(|x| x[k]), panels.map(|panel| &panel[k]));
    }
    sums
}

/// Adds one term to each sum.
#[inline(always)]
fn add<const R: usize, const P: usize>(sums: &mut [[Sums; P]; R], x: [f32; R], panels: [&Panel; P]) {
    let panels = panels.map(halves);
    for (sums, x) in sums.iter_mut().zip(x.map(F32x4::splat)) {
        for (sums, [low, high]) in sums.iter_mut().zip(panels) {
            sums[0] += x * low;
            sums[1] += x * high;
        }
    }
}

/// Initial sums, from up to eight values.
#[inline(always)]
pub(crate) fn load(values: &[f32]) -> Sums {
    match values.first_chunk() {
        Some(whole) => halves(whole),
        None => {
            let mut padded = [0.0; DENSE_PANEL];
            padded[..values.len()].copy_from_slice(values);
            halves(&padded)
        }
    }
}

/// Writes as many sums as fit.
#[inline(always)]
pub(crate) fn store(sums: Sums, activation: Activation, to: &mut [f32]) {
    let sums = match activation {
        Activation::None => sums,
        Activation::Relu => sums.map(|sum| sum.at_least(F32x4::ZERO)),
    };
    let write = |to: &mut Panel| {
        for (to, sum) in to.as_chunks_mut().0.iter_mut().zip(sums) {
            sum.store(to);
        }
    };
    match to.first_chunk_mut() {
        Some(whole) => write(whole),
        None => {
            let mut all = [0.0; DENSE_PANEL];
            write(&mut all);
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
