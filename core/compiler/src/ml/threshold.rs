//! Thresholds of tree nodes, from f64 to the f32 of plans.

use super::attributes::Attributes;
use crate::narrow::ROUNDED_ROWS;
use tradewind_core::plan::TreeMode;

/// How thresholds in f64 become f32.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rounding {
    /// Every f32 compares with the result as with the exact threshold.
    Exact,
    /// To the nearest, as the rows were: a row that hit the threshold still does.
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
            // x <= t is x <= the greatest f32 below t, and x > t its opposite.
            TreeMode::LessOrEqual | TreeMode::Greater if above => nearest.next_down(),
            TreeMode::Less | TreeMode::GreaterOrEqual if !above => nearest.next_up(),
            // No f32 equals it: NaN equals nothing.
            TreeMode::Equal | TreeMode::NotEqual => f32::NAN,
            _ => nearest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            mode in prop::sample::select(vec![
                TreeMode::LessOrEqual, TreeMode::Less, TreeMode::GreaterOrEqual,
                TreeMode::Greater, TreeMode::Equal, TreeMode::NotEqual,
            ]),
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
