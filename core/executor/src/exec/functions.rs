//! Functions of four lanes, and of slices.
//!
//! The transcendental functions have no branches and use only additions, multiplications and
//! divisions, so their results are identical on every engine and in every lane. They return
//! NaN for NaN and their limits at ±∞. Their error, in units in the last place of the true value
//! (also subnormal), is at most 1 (`exp`, `ln`), 2 (`softplus`, `tanh`, `erf`)
//! or 2.5 (`sigmoid`, whose sum, quotient and exponential round in turn). The
//! polynomials are from Moshier's Cephes, that of erf from Juffa.

use super::{
    math::probit,
    simd::{F32x4, I32x4, map},
};
use crate::plan::UnaryOp;

const ONE: F32x4 = F32x4::splat(1.0);
/// The high bits of ln 2: an exponent times this is exact.
const LN_2_HIGH: F32x4 = F32x4::splat(0.693_359_4);
/// ln 2 − [`LN_2_HIGH`].
const LN_2_LOW: F32x4 = F32x4::splat(-2.121_944_4e-4);

/// Replaces every value by `op` of it; a result does not depend on the value's position.
#[inline(never)]
pub(crate) fn apply(op: UnaryOp, values: &mut [f32]) {
    match op {
        UnaryOp::Abs => map(values, F32x4::abs),
        UnaryOp::Neg => map(values, |x| -x),
        UnaryOp::Sign => map(values, |x| F32x4::ZERO.less(x).select(ONE, x.less(F32x4::ZERO).select(-ONE, x))),
        UnaryOp::Sqrt => map(values, F32x4::sqrt),
        UnaryOp::Rsqrt => map(values, |x| ONE / x.sqrt()),
        UnaryOp::Recip => map(values, |x| ONE / x),
        UnaryOp::Square => map(values, |x| x * x),
        UnaryOp::Exp => map(values, exp),
        UnaryOp::Ln => map(values, ln),
        UnaryOp::Sin => each(values, libm::sinf),
        UnaryOp::Cos => each(values, libm::cosf),
        UnaryOp::Tan => each(values, libm::tanf),
        UnaryOp::Asin => each(values, libm::asinf),
        UnaryOp::Acos => each(values, libm::acosf),
        UnaryOp::Atan => each(values, libm::atanf),
        UnaryOp::Sinh => each(values, libm::sinhf),
        UnaryOp::Cosh => each(values, libm::coshf),
        UnaryOp::Tanh => map(values, tanh),
        UnaryOp::Asinh => each(values, libm::asinhf),
        // libm returns numbers for some arguments below −1.
        UnaryOp::Acosh => each(values, |x| if x < 1.0 { f32::NAN } else { libm::acoshf(x) }),
        UnaryOp::Atanh => each(values, libm::atanhf),
        UnaryOp::Sigmoid => map(values, sigmoid),
        UnaryOp::Erf => map(values, erf),
        UnaryOp::Softplus => map(values, softplus),
        UnaryOp::Relu => map(values, |x| x.at_least(F32x4::ZERO)),
        UnaryOp::Floor => map(values, F32x4::floor),
        UnaryOp::Ceil => map(values, F32x4::ceil),
        UnaryOp::Round => map(values, F32x4::round),
        UnaryOp::Probit => each(values, probit),
        // INVARIANT: `validate` refuses these for F32 results.
        UnaryOp::Not | UnaryOp::IsNan | UnaryOp::IsInf => {}
    }
}

/// Like [`map`], for rarely used functions.
fn each(values: &mut [f32], f: fn(f32) -> f32) {
    for value in values {
        *value = f(*value);
    }
}

/// `c₀ xⁿ + c₁ xⁿ⁻¹ + … + cₙ`.
#[inline(always)]
fn polynomial<const N: usize>(x: F32x4, coefficients: [f32; N]) -> F32x4 {
    let [first, rest @ ..] = &coefficients[..] else { return F32x4::ZERO };
    rest.iter().fold(F32x4::splat(*first), |sum, c| sum * x + F32x4::splat(*c))
}

/// `2ⁿ` for `n` in −126..=127.
#[inline(always)]
fn power_of_two(n: I32x4) -> F32x4 {
    F32x4::from_bits(n.plus(I32x4::splat(127)).shifted_left(23))
}

/// `eˣ`.
#[inline(always)]
pub(crate) fn exp(x: F32x4) -> F32x4 {
    /// Adding this rounds to an integer, which is then in the low bits.
    const ROUND: F32x4 = F32x4::splat(12_582_912.0);
    // Beyond these the result is 0 or infinite.
    let x = x.at_least(F32x4::splat(-104.0)).at_most(F32x4::splat(89.0));
    let rounded = x * F32x4::splat(core::f32::consts::LOG2_E) + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let tail = polynomial(r, [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
    let power = tail * (r * r) + r + ONE;
    // Two factors, because 2ⁿ alone may be out of range when the result is not.
    let n = rounded.to_bits().minus(ROUND.to_bits());
    let half = n.shifted_right(1);
    power * power_of_two(half) * power_of_two(n.minus(half))
}

/// Natural logarithm; −∞ for 0, NaN for negative numbers.
#[inline(always)]
pub(crate) fn ln(x: F32x4) -> F32x4 {
    let tiny = x.less(F32x4::splat(f32::MIN_POSITIVE));
    let normal = tiny.select(x * F32x4::splat(8_388_608.0), x);
    // normal = m × 2ⁿ with m in √½..√2.
    let n = normal.to_bits().minus(I32x4::splat(0x3f35_04f3)).shifted_right(23);
    let m = F32x4::from_bits(normal.to_bits().minus(n.shifted_left(23)));
    let n = n.to_f32() - tiny.select(F32x4::splat(23.0), F32x4::ZERO);
    let r = m - ONE;
    let square = r * r;
    let tail = polynomial(
        r,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let low = tail * r * square + n * LN_2_LOW - F32x4::splat(0.5) * square;
    let result = low + r + n * LN_2_HIGH;
    let result = x.equal(F32x4::splat(f32::INFINITY)).select(x, result);
    let result = x.equal(F32x4::ZERO).select(F32x4::splat(f32::NEG_INFINITY), result);
    // A NaN is not equal to itself, and stays.
    let result = x.equal(x).select(result, x);
    x.less(F32x4::ZERO).select(F32x4::splat(f32::NAN), result)
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid(x: F32x4) -> F32x4 {
    let e = exp(-x.abs());
    x.less(F32x4::ZERO).select(e, ONE) / (ONE + e)
}

/// `ln(1 + eˣ)`.
#[inline(always)]
pub(crate) fn softplus(x: F32x4) -> F32x4 {
    let e = exp(-x.abs());
    // ln(1 + e) is ln of the rounded sum plus a correction for the rounding.
    let sum = ONE + e;
    x.at_least(F32x4::ZERO) + (ln(sum) + (e - (sum - ONE)) / sum)
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: F32x4) -> F32x4 {
    let magnitude = x.abs();
    let square = x * x;
    let tail = polynomial(square, [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1]);
    let near = tail * square * x + x;
    let far = ONE - F32x4::splat(2.0) / (exp(magnitude + magnitude) + ONE);
    magnitude.less(F32x4::splat(0.625)).select(near, far).with_sign_of(x)
}

/// The error function.
#[inline(always)]
pub(crate) fn erf(x: F32x4) -> F32x4 {
    // From 4 on it is 1.
    let magnitude = x.abs().at_most(F32x4::splat(4.0));
    let square = x * x;
    let tail = polynomial(
        square,
        [-5.967_617e-4, 4.991_194e-3, -2.676_813_5e-2, 1.128_199_25e-1, -3.761_253_4e-1, 1.283_791_7e-1],
    );
    let near = tail * x + x;
    let tail = polynomial(
        magnitude,
        [
            -1.728_534_7e-5,
            3.831_974_7e-4,
            -3.883_963_4e-3,
            2.425_462_2e-2,
            -1.067_778_8e-1,
            -6.348_467e-1,
            -1.287_175_1e-1,
        ],
    );
    let far = ONE - exp(tail * magnitude - magnitude);
    magnitude.less(F32x4::splat(0.927_734_4)).select(near, far).with_sign_of(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Distance of `found` from `wanted`, in units in the last place of `wanted`.
    fn distance(found: f32, wanted: f64) -> f64 {
        let rounded = wanted as f32;
        if found == rounded || found.is_nan() && wanted.is_nan() {
            return 0.0;
        }
        if !found.is_finite() || !rounded.is_finite() {
            return f64::INFINITY;
        }
        let exponent = libm::floor(libm::log2(libm::fabs(wanted))).max(-126.0) as i32;
        libm::fabs(f64::from(found) - wanted) / libm::exp2(f64::from(exponent - 23))
    }

    /// Compares `f` with `wanted` for every [`STEP`]-th bit pattern, including NaN, infinities and subnormals.
    fn hold(name: &str, most: f64, f: impl Fn(F32x4) -> F32x4, wanted: impl Fn(f64) -> f64) {
        let (mut worst, mut at) = (0.0, 0.0);
        let specials = [0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
        let cases = (0..=u32::MAX).step_by(STEP).map(f32::from_bits).chain(specials);
        for x in cases {
            let mut found = [0.0; 4];
            f(F32x4::splat(x)).store(&mut found);
            assert!(found.iter().all(|lane| lane.to_bits() == found[0].to_bits()), "{name}({x}) differs between lanes");
            let wanted = wanted(f64::from(x));
            if wanted == 0.0 {
                assert!(found[0] == 0.0, "{name}({x}) = {}", found[0]);
            } else if distance(found[0], wanted) > worst {
                (worst, at) = (distance(found[0], wanted), x);
            }
        }
        assert!(worst <= most, "{name}({at}) is off by {worst} units in the last place");
    }

    /// A prime, so that all exponents occur with all mantissas. 1 tests every `f32`.
    const STEP: usize = match option_env!("EXHAUSTIVE") {
        Some(_) => 53,
        None => 2_003,
    };

    #[test]
    fn functions_are_as_accurate_as_they_say() {
        hold("exp", 1.0, exp, libm::exp);
        hold("ln", 1.0, ln, libm::log);
        hold("sigmoid", 2.5, sigmoid, |x| {
            if x < 0.0 { libm::exp(x) / (1.0 + libm::exp(x)) } else { 1.0 / (1.0 + libm::exp(-x)) }
        });
        hold("softplus", 2.0, softplus, |x| {
            if x > 0.0 { x + libm::log1p(libm::exp(-x)) } else { libm::log1p(libm::exp(x)) }
        });
        hold("tanh", 2.0, tanh, libm::tanh);
        hold("erf", 2.0, erf, libm::erf);
    }

    #[test]
    fn a_result_does_not_depend_on_its_place() {
        let values: Vec<f32> = (0..19).map(|n| libm::sinf(n as f32) * 8.0).collect();
        for op in [UnaryOp::Exp, UnaryOp::Tanh, UnaryOp::Sigmoid, UnaryOp::Erf, UnaryOp::Softplus, UnaryOp::Rsqrt] {
            for (place, value) in values.iter().enumerate() {
                let (mut alone, mut among) = ([*value], values.clone());
                apply(op, &mut alone);
                apply(op, &mut among);
                assert_eq!(alone[0].to_bits(), among[place].to_bits(), "{op:?}({value})");
            }
        }
    }

    #[test]
    fn odd_functions_keep_the_sign_of_zero() {
        for f in [tanh, erf] {
            let mut found = [1.0; 4];
            f(F32x4::splat(-0.0)).store(&mut found);
            assert_eq!(found[0].to_bits(), (-0.0f32).to_bits());
        }
    }
}
