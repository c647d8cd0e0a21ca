//! Scalar arithmetic, identical on every platform: libm's functions, never the platform's.

use crate::plan::{BinaryOp, CompareOp, UnaryOp};
use core::cmp::Ordering;

/// The only NaN that the executor outputs.
pub(crate) const CANONICAL_NAN: f32 = f32::from_bits(0x7fc0_0000);

/// Replaces every NaN by the canonical one, because payloads differ between engines.
pub(crate) fn canonicalise(values: &mut [f32]) {
    for value in values {
        *value = if value.is_nan() { CANONICAL_NAN } else { *value };
    }
}

/// Operations that the arithmetic kernels need for an element type.
pub(crate) trait Number: bytemuck::Pod + PartialOrd {
    const ZERO: Self;
    const ONE: Self;
    const LEAST: Self;
    const GREATEST: Self;
    fn add(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn magnitude(self) -> Self;
    /// `self / count`, truncating for integers.
    fn over(self, count: usize) -> Self;
    fn is_nan(self) -> bool;
    /// `op(self, other)`, or `None` for an integer division by zero.
    fn binary(op: BinaryOp, left: Self, right: Self) -> Option<Self>;
}

/// Number types without the functions in [`functions`](super::functions).
pub(crate) trait Integer: Number {
    /// Computes `op(value)`, if the type supports it.
    fn unary(op: UnaryOp, value: Self) -> Self;
}

/// Orders two numbers: NaN is greater than all others, so that results are always defined.
pub(crate) fn order<T: Number>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LEAST: Self = Self::NEG_INFINITY;
    const GREATEST: Self = Self::INFINITY;

    fn add(self, other: Self) -> Self {
        self + other
    }

    fn mul(self, other: Self) -> Self {
        self * other
    }

    fn magnitude(self) -> Self {
        libm::fabsf(self)
    }

    fn over(self, count: usize) -> Self {
        self / count as Self
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn binary(op: BinaryOp, left: Self, right: Self) -> Option<Self> {
        Some(match op {
            BinaryOp::Add => left + right,
            BinaryOp::Sub => left - right,
            BinaryOp::Mul => left * right,
            BinaryOp::Div => left / right,
            BinaryOp::Rem => libm::fmodf(left, right),
            BinaryOp::Mod => {
                let rem = libm::fmodf(left, right);
                if rem != 0.0 && (rem < 0.0) != (right < 0.0) { rem + right } else { rem }
            }
            BinaryOp::Min => {
                if left < right || left.is_nan() {
                    left
                } else {
                    right
                }
            }
            BinaryOp::Max => {
                if left > right || left.is_nan() {
                    left
                } else {
                    right
                }
            }
            BinaryOp::Pow => libm::powf(left, right),
            BinaryOp::Prelu => {
                if left < 0.0 {
                    left * right
                } else {
                    left
                }
            }
            // INVARIANT: `validate` refuses these for F32.
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::ShiftLeft | BinaryOp::ShiftRight => return None,
        })
    }
}

macro_rules! integer {
    ($($type:ident),*) => {$(
        impl Number for $type {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const LEAST: Self = Self::MIN;
            const GREATEST: Self = Self::MAX;

            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            fn magnitude(self) -> Self {
                self.wrapping_abs()
            }

            fn over(self, count: usize) -> Self {
                self.checked_div(count as Self).unwrap_or(0)
            }

            fn is_nan(self) -> bool {
                false
            }

            fn binary(op: BinaryOp, left: Self, right: Self) -> Option<Self> {
                Some(match op {
                    BinaryOp::Add => left.wrapping_add(right),
                    BinaryOp::Sub => left.wrapping_sub(right),
                    BinaryOp::Mul => left.wrapping_mul(right),
                    BinaryOp::Div if right != 0 => left.wrapping_div(right),
                    BinaryOp::Rem if right != 0 => left.wrapping_rem(right),
                    BinaryOp::Mod if right != 0 => {
                        let rem = left.wrapping_rem(right);
                        if rem != 0 && (rem < 0) != (right < 0) { rem.wrapping_add(right) } else { rem }
                    }
                    BinaryOp::Min => left.min(right),
                    BinaryOp::Max => left.max(right),
                    BinaryOp::Pow => power(left as i64, right as i64) as Self,
                    BinaryOp::Prelu => if left < 0 { left.wrapping_mul(right) } else { left },
                    BinaryOp::Div | BinaryOp::Rem | BinaryOp::Mod => return None,
                    BinaryOp::And => left & right,
                    BinaryOp::Or => left | right,
                    BinaryOp::Xor => left ^ right,
                    // INVARIANT: `validate` allows these for I64 only.
                    BinaryOp::ShiftLeft if (0..64).contains(&right) => ((left as i64) << right) as Self,
                    BinaryOp::ShiftLeft => 0,
                    BinaryOp::ShiftRight if (0..64).contains(&right) => ((left as i64) >> right) as Self,
                    BinaryOp::ShiftRight => ((left as i64) >> 63) as Self,
                })
            }

        }

        impl Integer for $type {
            fn unary(op: UnaryOp, x: Self) -> Self {
                match op {
                    UnaryOp::Abs => x.wrapping_abs(),
                    UnaryOp::Neg => x.wrapping_neg(),
                    UnaryOp::Sign => x.signum(),
                    UnaryOp::Square => x.wrapping_mul(x),
                    UnaryOp::Relu => x.max(0),
                    // INVARIANT: `validate` refuses the others for integers.
                    _ => x,
                }
            }
        }
    )*};
}

integer!(i64, i32);

/// Whether the integer types support `op`.
pub(crate) const fn integer_has(op: UnaryOp) -> bool {
    matches!(op, UnaryOp::Abs | UnaryOp::Neg | UnaryOp::Sign | UnaryOp::Square | UnaryOp::Relu)
}

/// `op(left, right)`.
#[inline(always)]
pub(crate) fn compare<T: PartialOrd>(op: CompareOp, left: T, right: T) -> bool {
    match op {
        CompareOp::Equal => left == right,
        CompareOp::NotEqual => left != right,
        CompareOp::Less => left < right,
        CompareOp::LessOrEqual => left <= right,
        CompareOp::Greater => left > right,
        CompareOp::GreaterOrEqual => left >= right,
    }
}

/// Integer power, wrapping; a negative exponent truncates towards zero.
fn power(base: i64, exponent: i64) -> i64 {
    match (base, exponent) {
        (_, 0..) => base.wrapping_pow(exponent.min(u32::MAX as i64) as u32),
        (1, _) => 1,
        (-1, _) => {
            if exponent % 2 == 0 {
                1
            } else {
                -1
            }
        }
        _ => 0,
    }
}

/// `√2 · erf⁻¹(2x − 1)` with Winitzki's approximation of the inverse error function (a = 0.147), as in other ONNX-ML
/// runtimes. Near one half it cancels, so the order of operations and the five digits of π are part of the definition.
pub(crate) fn probit(x: f32) -> f32 {
    #[expect(clippy::approx_constant, reason = "the approximation is defined with this π")]
    const PI: f32 = 3.14159;
    let y = 2.0 * x - 1.0;
    // Rounded from f64, because an error in the last bit of a logarithm near 0 would be visible.
    let log = libm::log(f64::from((1.0 - y) * (1.0 + y))) as f32;
    let v = 2.0 / (PI * 0.147) + 0.5 * log;
    let v2 = (1.0 / 0.147) * log;
    let root = libm::sqrtf(-v + libm::sqrtf(v * v - v2));
    core::f32::consts::SQRT_2 * if y < 0.0 { -root } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probit_is_zero_at_one_half() {
        assert!(probit(0.5).abs() < 1e-6);
        assert!((probit(0.975) - 1.96).abs() < 0.01);
    }

    #[test]
    fn integer_division_by_zero_is_refused_and_never_overflows() {
        assert_eq!(<i64 as Number>::binary(BinaryOp::Div, 1, 0), None);
        assert_eq!(<i32 as Number>::binary(BinaryOp::Div, i32::MIN, -1), Some(i32::MIN));
        assert_eq!(<i64 as Number>::binary(BinaryOp::Mod, -7, 3), Some(2));
        assert_eq!(<i64 as Number>::binary(BinaryOp::Rem, -7, 3), Some(-1));
    }
}
