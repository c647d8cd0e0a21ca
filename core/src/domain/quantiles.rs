//! Distributions given by three quantiles.

use crate::error::{Error, ErrorKind, Result};
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// P10, P50 and P90 of a distribution of minutes or units.
///
/// Interpolation, with *S(x)* the probability of more than *x*:
///
/// ```text
/// x < P50   S(x) = .5 + .4 (P50 − x) / (P50 − P10), 1 at most, and 1 for x < 0
/// x ≤ P90   S(x) = .5 − .4 (x − P50) / (P90 − P50)
/// x > P90   S(x) = .1 (d / (d + x − P90))⁴, with d = P90 − P50
/// ```
///
/// The quantile function is piecewise linear. The tail continues with the slope of the last piece and never ends, so
/// nothing is impossible only because it was never observed. If two quantiles are equal, so are all values between and
/// beyond them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, Pod, Zeroable)]
#[serde(deny_unknown_fields)]
#[repr(C)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(description = "P10, P50 and P90 of a distribution of minutes or units."))]
pub struct Quantiles {
    /// 10 % of values are below this.
    pub p10: f32,
    /// Half of all values are below this.
    pub p50: f32,
    /// 90 % of values are below this.
    pub p90: f32,
}

impl Quantiles {
    /// Maximum quantile, in any unit.
    pub const MAX: f32 = 1e9;

    /// Probability of more than `x`.
    ///
    /// ```
    /// use tradewind_core::Quantiles;
    /// let minutes = Quantiles { p10: 60.0, p50: 100.0, p90: 180.0 };
    /// assert_eq!(minutes.exceed(100.0), 0.5);
    /// assert!((minutes.exceed(140.0) - 0.3).abs() < 1e-6);
    /// assert!((minutes.exceed(260.0) - 0.1 / 16.0).abs() < 1e-6);
    /// ```
    pub fn exceed(&self, x: f32) -> f32 {
        let Self { p10, p50, p90 } = *self;
        if x < 0.0 {
            return 1.0;
        }
        if x < p50 {
            // If P10 is P50, no value is below: the quotient is infinite and the minimum is 1.
            return (0.5 + 0.4 * ((p50 - x) / (p50 - p10))).min(1.0);
        }
        let width = p90 - p50;
        if width <= 0.0 {
            return 0.0;
        }
        if x <= p90 {
            return 0.5 - 0.4 * ((x - p50) / width);
        }
        let tail = width / (width + (x - p90));
        0.1 * (tail * tail) * (tail * tail)
    }

    /// Checks that the quantiles ascend from 0 to at most [`MAX`](Self::MAX).
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) if they do not.
    pub fn check(&self) -> Result<()> {
        if 0.0 <= self.p10 && self.p10 <= self.p50 && self.p50 <= self.p90 && self.p90 <= Self::MAX {
            return Ok(());
        }
        Err(Error::new(ErrorKind::BadRequest, "P10, P50 and P90 that do not ascend from 0"))
    }

    /// Quantiles of a share of the total, as for independent events: the median is multiplied by `share`, and the
    /// distances of P10 and P90 from it by the square root of `share`.
    #[must_use]
    pub fn part(&self, share: f32) -> Self {
        let (p50, root) = (self.p50 * share, libm::sqrtf(share));
        Self { p10: (p50 - (self.p50 - self.p10) * root).max(0.0), p50, p90: p50 + (self.p90 - self.p50) * root }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MINUTES: Quantiles = Quantiles { p10: 60.0, p50: 100.0, p90: 180.0 };

    #[test]
    fn exceedance_matches_the_three_quantiles() {
        let close = |found: f32, wanted: f32| (found - wanted).abs() < 1e-6;
        assert!(close(MINUTES.exceed(60.0), 0.9));
        assert!(close(MINUTES.exceed(100.0), 0.5));
        assert!(close(MINUTES.exceed(180.0), 0.1));
        assert_eq!(MINUTES.exceed(-1.0), 1.0);
        assert_eq!(MINUTES.exceed(50.0), 1.0, "the first piece ends ten minutes below P10");
    }

    #[test]
    fn larger_values_are_less_probable_and_never_impossible() {
        let found = (0..2_000).map(|x| MINUTES.exceed(x as f32));
        let found: Vec<f32> = found.collect();
        assert!(found.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!(found.iter().all(|probability| (0.0..=1.0).contains(probability) && *probability > 0.0));
    }

    #[test]
    fn equal_quantiles_leave_no_values_between_or_beyond_them() {
        let always = Quantiles { p10: 5.0, p50: 5.0, p90: 5.0 };
        assert_eq!([4.9, 5.0, 5.1].map(|x| always.exceed(x)), [1.0, 0.0, 0.0]);
        let half = Quantiles { p10: 5.0, p50: 5.0, p90: 9.0 };
        assert_eq!([4.9, 5.0].map(|x| half.exceed(x)), [1.0, 0.5]);
    }

    #[test]
    fn quantiles_that_do_not_ascend_from_0_are_refused() {
        let refused = |p10, p50, p90| Quantiles { p10, p50, p90 }.check().is_err();
        assert!(MINUTES.check().is_ok() && Quantiles::default().check().is_ok());
        assert!(refused(-1.0, 0.0, 0.0) && refused(2.0, 1.0, 3.0) && refused(1.0, 3.0, 2.0));
        assert!(refused(0.0, 0.0, f32::INFINITY) && refused(0.0, f32::NAN, 1.0) && refused(f32::NAN, 0.0, 1.0));
        assert!(refused(0.0, 0.0, Quantiles::MAX * 2.0));
    }

    #[test]
    fn a_part_scales_the_median_by_its_share_and_the_spread_by_the_root() {
        assert_eq!(MINUTES.part(1.0), MINUTES);
        assert_eq!(MINUTES.part(0.25), Quantiles { p10: 5.0, p50: 25.0, p90: 65.0 });
        assert_eq!(MINUTES.part(0.01).p10, 0.0, "never below 0");
        assert_eq!(MINUTES.part(0.0), Quantiles::default());
    }
}
