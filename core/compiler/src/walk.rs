//! Iteration of a kernel over its tensors: extents and strides, with as few axes as possible.

use crate::{
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Value, view},
};
use tradewind_core::plan::{Dim, MAX_AXES, View};

/// Iteration over `shape` through the views of `values`, with as few axes as possible.
pub(crate) fn folded<const N: usize>(shape: &[Extent], values: &[&Value; N]) -> Reasoned<(Vec<Dim>, [View; N])> {
    let (shape, strides) = folded_strides(shape, values.map(|value| &value.strides[..]))?;
    let mut views = Vec::with_capacity(N);
    for (value, strides) in values.iter().zip(strides) {
        views.push(view(value.offset, &strides)?);
    }
    let views = views.try_into().map_err(|_| Reason("a walk without views".into()))?;
    Ok((limited(shape, 0)?, views))
}

/// Drops axes of one element, and merges adjacent axes that are contiguous in all views.
pub(crate) fn folded_strides<const N: usize>(
    shape: &[Extent],
    strides: [&[Extent]; N],
) -> Reasoned<(Vec<Extent>, [Vec<Extent>; N])> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut result: [Vec<Extent>; N] = std::array::from_fn(|_| Vec::new());
    for (axis, extent) in shape.iter().enumerate().filter(|(_, extent)| !extent.is_one()) {
        let merged = extents.last().and_then(|outer| outer.times(*extent).ok()).filter(|_| {
            let mut pairs = result.iter().zip(&strides);
            pairs.all(|(outer, inner)| inner[axis].times(*extent).is_ok_and(|walked| outer.last() == Some(&walked)))
        });
        match (merged, extents.last_mut()) {
            (Some(merged), Some(last)) => {
                *last = merged;
                for (outer, inner) in result.iter_mut().zip(&strides) {
                    outer.pop();
                    outer.push(inner[axis]);
                }
            }
            _ => {
                extents.push(*extent);
                for (outer, inner) in result.iter_mut().zip(&strides) {
                    outer.push(inner[axis]);
                }
            }
        }
    }
    Ok((extents, result))
}

/// Extents of a kernel that iterates over `more` axes besides.
pub(crate) fn limited(shape: Vec<Extent>, more: usize) -> Reasoned<Vec<Dim>> {
    if shape.len() + more > MAX_AXES {
        return Reason::err(format!("an operation over {} axes (at most {MAX_AXES})", shape.len() + more));
    }
    Extent::dims(&shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::row_major;

    #[test]
    fn a_walk_over_contiguous_axes_is_one_axis() {
        let rows = Extent { fixed: 0, per_row: 1 };
        let shape = [rows, Extent::ONE, Extent::fixed(3), Extent::fixed(4)];
        let packed = row_major(&shape).expect("small");
        let (extents, _) = folded_strides(&shape, [&packed[..]]).expect("small");
        assert_eq!(extents, [Extent { fixed: 0, per_row: 12 }]);
        let broadcast = [Extent::ZERO, Extent::ZERO, Extent::fixed(4), Extent::ONE];
        let (extents, [left, right]) = folded_strides(&shape, [&packed[..], &broadcast]).expect("small");
        assert_eq!(extents, [rows, Extent::fixed(12)]);
        assert_eq!((left, right), (vec![Extent::fixed(12), Extent::ONE], vec![Extent::ZERO, Extent::ONE]));
    }
}
