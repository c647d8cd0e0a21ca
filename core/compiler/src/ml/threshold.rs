//! Tests of tree nodes: conversion from f64 to f32, and from ONNX's modes to the plan's form.

use crate::{attributes::Attributes, narrow::ROUNDED_ROWS};

/// Test of a tree node, without the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeTest {
    /// Column of the feature matrix.
    pub feature: u32,
    /// Whether NaN goes to the child for "holds".
    pub missing_true: bool,
    /// Comparison of the feature with the threshold.
    pub mode: TreeMode,
}

/// Comparison of a feature with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeMode {
    /// `x <= threshold`
    LessOrEqual,
    /// `x < threshold`
    Less,
    /// `x >= threshold`
    GreaterOrEqual,
    /// `x > threshold`
    Greater,
    /// `x == threshold`
    Equal,
    /// `x != threshold`
    NotEqual,
}

/// Node in the plan's form: a row goes to `holds` if `x <= threshold` (`-x`, if `flipped`), and otherwise (also for NaN
/// on either side) to `fails`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub feature: u32,
    pub flipped: bool,
    pub threshold: f32,
    pub holds: usize,
    pub fails: usize,
}

impl TreeTest {
    /// Splits into the node that goes to `on_true` if this test holds and otherwise to `on_false`. An equality test
    /// takes two nodes, of which the second gets the number `second`.
    pub fn splits(self, threshold: f32, on_true: usize, on_false: usize, second: usize) -> (Split, Option<Split>) {
        let missing = self.missing_true;
        // A comparison with NaN holds for no number, and neither does its opposite.
        let never = threshold.is_nan();
        let one = match self.mode {
            TreeMode::LessOrEqual => self.ordered(threshold, missing, on_true, on_false),
            TreeMode::Less => self.ordered(below(threshold), missing, on_true, on_false),
            TreeMode::GreaterOrEqual | TreeMode::Greater if never => {
                self.ordered(threshold, missing, on_true, on_false)
            }
            TreeMode::GreaterOrEqual => self.ordered(below(threshold), !missing, on_false, on_true),
            TreeMode::Greater => self.ordered(threshold, !missing, on_false, on_true),
            TreeMode::Equal => return self.equality(threshold, missing, [on_true, on_false], second),
            // NaN differs from everything.
            TreeMode::NotEqual => return self.equality(threshold, false, [on_false, on_true], second),
        };
        (one, None)
    }

    fn equality(
        self,
        threshold: f32,
        missing: bool,
        [equal, other]: [usize; 2],
        second: usize,
    ) -> (Split, Option<Split>) {
        let at_most = self.ordered(threshold, missing, second, other);
        let less = self.ordered(below(threshold), false, other, equal);
        (at_most, Some(less))
    }

    /// `x <= greatest`, which never holds if that is NaN; NaN `x` goes to `holds` if `missing`.
    fn ordered(self, greatest: f32, missing: bool, holds: usize, fails: usize) -> Split {
        let feature = self.feature;
        if !missing {
            return Split { feature, flipped: false, threshold: greatest, holds, fails };
        }
        // Only larger values fail, and NaN does not: -x <= -(the next larger number), with branches swapped.
        let threshold = if greatest.is_nan() {
            f32::INFINITY
        } else if greatest == f32::INFINITY {
            f32::NAN
        } else {
            -greatest.next_up()
        };
        Split { feature, flipped: true, threshold, holds: fails, fails: holds }
    }
}

/// Largest number below; NaN if none exists.
fn below(threshold: f32) -> f32 {
    if threshold == f32::NEG_INFINITY { f32::NAN } else { threshold.next_down() }
}

/// Rounding of f64 thresholds to f32.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rounding {
    /// Every f32 compares with the result as with the exact threshold.
    Exact,
    /// To the nearest, like the rows: a row equal to the threshold stays equal.
    Nearest,
}

impl Rounding {
    pub fn read(attributes: &Attributes<'_>) -> Self {
        if attributes.int(ROUNDED_ROWS).is_some() { Self::Nearest } else { Self::Exact }
    }

    pub fn threshold(self, threshold: f64, mode: TreeMode) -> f32 {
        let nearest = threshold as f32;
        let (exact, above) = (f64::from(nearest) == threshold, f64::from(nearest) > threshold);
        if exact || threshold.is_nan() || matches!(self, Self::Nearest) {
            return nearest;
        }
        match mode {
            // x <= t is x <= the largest f32 below t, and x > t its opposite.
            TreeMode::LessOrEqual | TreeMode::Greater if above => nearest.next_down(),
            TreeMode::Less | TreeMode::GreaterOrEqual if !above => nearest.next_up(),
            // No f32 equals it, and NaN equals nothing.
            TreeMode::Equal | TreeMode::NotEqual => f32::NAN,
            _ => nearest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODES: [TreeMode; 6] = [
        TreeMode::LessOrEqual,
        TreeMode::Less,
        TreeMode::GreaterOrEqual,
        TreeMode::Greater,
        TreeMode::Equal,
        TreeMode::NotEqual,
    ];

    fn holds(mode: TreeMode, x: f64, threshold: f64) -> bool {
        match mode {
            TreeMode::LessOrEqual => x <= threshold,
            TreeMode::Less => x < threshold,
            TreeMode::GreaterOrEqual => x >= threshold,
            TreeMode::Greater => x > threshold,
            TreeMode::Equal => x == threshold,
            TreeMode::NotEqual => x != threshold,
        }
    }

    proptest! {
        #[test]
        fn a_rounded_threshold_routes_every_f32_alike(
            bits in any::<u32>(),
            nudge in -3i32..=3,
            offset in prop_oneof![Just(0.0), -1.0..1.0f64],
            mode in prop::sample::select(MODES.to_vec()),
        ) {
            let near = f32::from_bits(bits);
            // A double between this f32 and its neighbour, and an f32 close to both.
            let gap = f64::from(near.next_up()) - f64::from(near);
            let threshold = f64::from(near) + gap * offset;
            let x = f32::from_bits(bits.wrapping_add_signed(nudge));
            let rounded = Rounding::Exact.threshold(threshold, mode);
            prop_assert_eq!(
                holds(mode, f64::from(x), f64::from(rounded)),
                holds(mode, f64::from(x), threshold),
                "{:?} {} with {} as {}", mode, x, threshold, rounded
            );
        }
    }

    fn edges() -> impl Strategy<Value = f32> {
        let edges = [0.0, f32::MIN_POSITIVE, f32::from_bits(1), 1.0, f32::MAX, f32::INFINITY, f32::NAN];
        prop_oneof![prop::sample::select(edges.map(|x| [x, -x]).concat()), any::<u32>().prop_map(f32::from_bits)]
    }

    proptest! {
        #[test]
        fn splits_go_where_the_test_goes(
            threshold in edges(),
            apart in edges(),
            nudge in -1i32..=2,
            missing_true in any::<bool>(),
            mode in prop::sample::select(MODES.to_vec()),
        ) {
            let x = if nudge == 2 { apart } else { f32::from_bits(threshold.to_bits().wrapping_add_signed(nudge)) };
            let test = TreeTest { feature: 0, missing_true, mode };
            let (first, second) = test.splits(threshold, 0, 1, 2);
            let go = |split: Split| {
                let x = if split.flipped { -x } else { x };
                if x <= split.threshold { split.holds } else { split.fails }
            };
            let mut child = go(first);
            if child == 2 {
                child = go(second.expect("it was named"));
            }
            let on_true = holds(mode, x.into(), threshold.into()) || missing_true && x.is_nan();
            prop_assert_eq!(child, usize::from(!on_true), "{:?} of {} and {}", test, x, threshold);
        }
    }

    #[test]
    fn thresholds_beyond_f32_route_infinities() {
        let rounded = Rounding::Exact.threshold(1e300, TreeMode::LessOrEqual);
        assert_eq!(rounded, f32::MAX);
        let rounded = Rounding::Exact.threshold(-1e300, TreeMode::Less);
        assert_eq!(rounded, f32::MIN);
    }

    proptest! {
        #[test]
        fn rows_rounded_like_the_threshold_still_hit_it(threshold in any::<f64>()) {
            for mode in [TreeMode::LessOrEqual, TreeMode::Less, TreeMode::Equal] {
                let rounded = Rounding::Nearest.threshold(threshold, mode);
                let row = threshold as f32;
                prop_assert_eq!(holds(mode, row.into(), rounded.into()), holds(mode, threshold, threshold));
            }
        }
    }
}
