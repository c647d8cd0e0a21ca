//! Shared loops of elementwise kernels.

use super::{
    arena::{Inputs, Output, cast_mut, outside},
    walk::Walk,
};
use crate::error::Result;
use bytemuck::Pod;

/// `out[i] = f(T0[i])`.
pub(crate) fn map<T: Pod, U: Pod>(inputs: &Inputs<'_>, out: &mut [u8], f: impl Fn(T) -> U) -> Result<()> {
    let from = inputs.elements::<T>(0)?;
    let to = cast_mut::<U>(out)?;
    if from.len() < to.len() {
        return Err(outside());
    }
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(*from);
    }
    Ok(())
}

/// Number of elements that are copied to be contiguous at a time.
const BLOCK: usize = 128;

/// Elementwise function of contiguous elements: results, and both operands.
pub(crate) type Function<'a, T, U> = &'a mut dyn FnMut(&mut [U], &[T], &[T]);

/// Calls `f` for all elements, block by block. Operands that are not contiguous are copied first, so that an
/// operation is one loop for all strides, which keeps the module small.
#[inline(never)]
pub(crate) fn zip<T: Pod, U: Pod>(
    walk: &Walk<2>,
    inputs: &Inputs<'_>,
    out: &mut Output<'_>,
    f: Function<'_, T, U>,
) -> Result<()> {
    let (left, right, to) = (inputs.elements::<T>(0)?, inputs.elements::<T>(1)?, out.elements::<U>()?);
    let (len, steps) = walk.run();
    let mut to = &mut to[..walk.len()];
    if steps == [1, 1] && len >= BLOCK {
        for (run, [l, r]) in to.chunks_exact_mut(len).zip(walk.runs([0, 0])) {
            f(run, &left[l..l + len], &right[r..r + len]);
        }
        return Ok(());
    }
    let [mut a, mut b] = [[T::zeroed(); BLOCK]; 2];
    let mut filled = 0;
    for [mut l, mut r] in walk.runs([0, 0]) {
        let mut rest = len;
        while rest > 0 {
            let block = filled..BLOCK.min(filled + rest);
            lay(left, l, steps[0], &mut a[block.clone()]);
            lay(right, r, steps[1], &mut b[block.clone()]);
            (l, r) = (l + block.len() * steps[0], r + block.len() * steps[1]);
            rest -= block.len();
            filled = block.end;
            if filled == BLOCK {
                f(to.split_off_mut(..BLOCK).unwrap_or_default(), &a, &b);
                filled = 0;
            }
        }
    }
    f(to, &a[..filled], &b[..filled]);
    Ok(())
}

/// Lays elements that are `step` apart side by side.
#[inline(never)]
fn lay<T: Pod>(from: &[T], at: usize, step: usize, to: &mut [T]) {
    match step {
        0 => to.fill(from[at]),
        1 => to.iter_mut().zip(&from[at..]).for_each(|(to, from)| *to = *from),
        _ => to.iter_mut().zip(from[at..].iter().step_by(step)).for_each(|(to, from)| *to = *from),
    }
}

/// `to[i] = f(a[i], b[i])`.
pub(crate) fn each<T: Pod, U: Pod>(mut f: impl FnMut(T, T) -> U) -> impl FnMut(&mut [U], &[T], &[T]) {
    move |to, a, b| {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = f(*a, *b);
        }
    }
}

/// The double of these bits.
pub(crate) const fn double(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}
