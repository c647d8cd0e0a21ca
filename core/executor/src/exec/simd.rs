//! Four lanes of `f32`, or sixteen of bytes: simd128 in the module, arrays elsewhere.
//!
//! Every operation is from IEEE 754 and rounds once; nothing is fused or relaxed. So a lane's result is independent of
//! the other lanes, and identical on every engine.

use bytemuck::cast;
use core::ops::{Add, AddAssign, BitAnd, BitOr, Div, Mul, Neg, Sub};

/// Lanes of a vector.
pub(crate) const LANES: usize = 4;

/// Lanes of a vector of bytes.
pub(crate) const BYTES: usize = 16;

/// Four `f32`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32x4(raw::Floats);

/// Four `i32`, or the results of four comparisons: all bits set if true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct I32x4(raw::Ints);

/// Sixteen `i8`, or the results of sixteen comparisons.
#[derive(Debug, Clone, Copy)]
pub(crate) struct I8x16(raw::Bytes);

impl F32x4 {
    pub const ZERO: Self = Self::splat(0.0);

    /// The same value in all lanes.
    #[inline(always)]
    pub const fn splat(value: f32) -> Self {
        Self(raw::constant(value))
    }

    #[inline(always)]
    pub fn load(values: &[f32; LANES]) -> Self {
        Self(cast(*values))
    }

    #[inline(always)]
    pub fn store(self, to: &mut [f32; LANES]) {
        *to = cast(self.0);
    }

    /// The lanes' bits.
    #[inline(always)]
    pub fn to_bits(self) -> I32x4 {
        I32x4(cast(self.0))
    }

    #[inline(always)]
    pub fn from_bits(bits: I32x4) -> Self {
        Self(cast(bits.0))
    }

    #[inline(always)]
    pub fn abs(self) -> Self {
        Self(raw::abs(self.0))
    }

    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Self(raw::sqrt(self.0))
    }

    #[inline(always)]
    pub fn floor(self) -> Self {
        Self(raw::floor(self.0))
    }

    #[inline(always)]
    pub fn ceil(self) -> Self {
        Self(raw::ceil(self.0))
    }

    /// Rounds to the nearest integer, ties to even.
    #[inline(always)]
    pub fn round(self) -> Self {
        Self(raw::nearest(self.0))
    }

    /// `self` if not greater than `other`, or NaN.
    #[inline(always)]
    pub fn at_most(self, other: Self) -> Self {
        Self(raw::lesser(self.0, other.0))
    }

    /// `self` if not less than `other`, or NaN.
    #[inline(always)]
    pub fn at_least(self, other: Self) -> Self {
        Self(raw::greater(self.0, other.0))
    }

    /// Mask of `self < other`.
    #[inline(always)]
    pub fn less(self, other: Self) -> I32x4 {
        I32x4(raw::less(self.0, other.0))
    }

    /// Mask of `self == other`.
    #[inline(always)]
    pub fn equal(self, other: Self) -> I32x4 {
        I32x4(raw::equal(self.0, other.0))
    }

    /// The magnitude of `self` with the sign of `sign`.
    #[inline(always)]
    pub fn with_sign_of(self, sign: Self) -> Self {
        I32x4::splat(i32::MIN).select(sign, self)
    }

    /// `f(f(lane 0, lane 1), f(lane 2, lane 3))`.
    #[inline(always)]
    pub fn fold(self, f: impl Fn(f32, f32) -> f32) -> f32 {
        let [a, b, c, d]: [f32; LANES] = cast(self.0);
        f(f(a, b), f(c, d))
    }

    /// `(lane 0 + lane 1) + (lane 2 + lane 3)`.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        self.fold(Add::add)
    }
}

impl I32x4 {
    #[inline(always)]
    pub const fn splat(value: i32) -> Self {
        Self(raw::integers(value))
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(raw::plus(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(raw::minus(self.0, other.0))
    }

    #[inline(always)]
    pub fn shifted_left(self, bits: u32) -> Self {
        Self(raw::shifted_left(self.0, bits))
    }

    /// Arithmetic shift right.
    #[inline(always)]
    pub fn shifted_right(self, bits: u32) -> Self {
        Self(raw::shifted_right(self.0, bits))
    }

    /// Converts to the nearest `f32`.
    #[inline(always)]
    pub fn to_f32(self) -> F32x4 {
        F32x4(raw::to_f32(self.0))
    }

    /// Selects bits of `set` where the bits of `self` are set, else of `clear`.
    #[inline(always)]
    pub fn select(self, set: F32x4, clear: F32x4) -> F32x4 {
        F32x4(raw::select(set.0, clear.0, self.0))
    }
}

impl I8x16 {
    #[inline(always)]
    pub const fn splat(value: i8) -> Self {
        Self(raw::bytes(value))
    }

    #[inline(always)]
    pub fn load(values: &[i8; BYTES]) -> Self {
        Self(cast(*values))
    }

    #[inline(always)]
    pub fn to_array(self) -> [i8; BYTES] {
        cast(self.0)
    }

    #[inline(always)]
    pub fn plus(self, other: Self) -> Self {
        Self(raw::plus_bytes(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Self) -> Self {
        Self(raw::minus_bytes(self.0, other.0))
    }

    /// Mask of `self < other`.
    #[inline(always)]
    pub fn less(self, other: Self) -> Self {
        Self(raw::less_bytes(self.0, other.0))
    }

    /// Mask of `self == other`.
    #[inline(always)]
    pub fn equal(self, other: Self) -> Self {
        Self(raw::equal_bytes(self.0, other.0))
    }

    /// Bits that are set in `self` and not in `other`.
    #[inline(always)]
    pub fn without(self, other: Self) -> Self {
        Self(raw::without(self.0, other.0))
    }

    /// Number of set bits in each lane.
    #[inline(always)]
    pub fn ones(self) -> Self {
        Self(raw::ones(self.0))
    }

    /// Selects bits of `set` where the bits of `self` are set, else of `clear`.
    #[inline(always)]
    pub fn select(self, set: Self, clear: Self) -> Self {
        Self(raw::select_bytes(set.0, clear.0, self.0))
    }
}

macro_rules! operators {
    ($vector:ident: $($trait:ident $method:ident $function:ident),*) => {$(
        impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(raw::$function(self.0, other.0))
            }
        }
    )*};
}

operators!(F32x4: Add add add, Sub sub sub, Mul mul mul, Div div div);
operators!(I32x4: BitAnd bitand bitand, BitOr bitor bitor);
operators!(I8x16: BitAnd bitand and_bytes, BitOr bitor or_bytes);

impl AddAssign for F32x4 {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Neg for F32x4 {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(raw::neg(self.0))
    }
}

/// Replaces every value by `f` of it, four at a time; the last ones are padded with zeros.
#[inline(always)]
pub(crate) fn map(values: &mut [f32], f: impl Fn(F32x4) -> F32x4) {
    let (whole, rest) = values.as_chunks_mut::<LANES>();
    for values in whole {
        f(F32x4::load(values)).store(values);
    }
    if !rest.is_empty() {
        let mut padded = [0.0; LANES];
        padded[..rest.len()].copy_from_slice(rest);
        f(F32x4::load(&padded)).store(&mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod raw {
    pub use core::arch::wasm32::{
        f32x4_abs as abs, f32x4_add as add, f32x4_ceil as ceil, f32x4_convert_i32x4 as to_f32, f32x4_div as div,
        f32x4_eq as equal, f32x4_floor as floor, f32x4_lt as less, f32x4_mul as mul, f32x4_nearest as nearest,
        f32x4_neg as neg, f32x4_pmax as greater, f32x4_pmin as lesser, f32x4_sqrt as sqrt, f32x4_sub as sub,
        i8x16_add as plus_bytes, i8x16_eq as equal_bytes, i8x16_lt as less_bytes, i8x16_popcnt as ones,
        i8x16_sub as minus_bytes, i32x4_add as plus, i32x4_shl as shifted_left, i32x4_shr as shifted_right,
        i32x4_sub as minus, v128 as Bytes, v128 as Floats, v128 as Ints, v128_and as and_bytes, v128_and as bitand,
        v128_andnot as without, v128_bitselect as select_bytes, v128_bitselect as select, v128_or as or_bytes,
        v128_or as bitor,
    };

    #[inline(always)]
    pub const fn constant(value: f32) -> Floats {
        core::arch::wasm32::f32x4(value, value, value, value)
    }

    #[inline(always)]
    pub const fn bytes(v: i8) -> Bytes {
        core::arch::wasm32::i8x16(v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v)
    }

    #[inline(always)]
    pub const fn integers(value: i32) -> Ints {
        core::arch::wasm32::i32x4(value, value, value, value)
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod raw {
    pub type Floats = [f32; 4];
    pub type Ints = [i32; 4];
    pub type Bytes = [i8; 16];

    macro_rules! lanes {
        ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {$(
            #[inline(always)]
            pub fn $name<const N: usize>($($arg: [$type; N]),*) -> [$result; N] {
                core::array::from_fn(|lane| {
                    $(let $arg = $arg[lane];)*
                    $body
                })
            }
        )*};
    }

    lanes! {
        add(a: f32, b: f32) -> f32 = a + b;
        sub(a: f32, b: f32) -> f32 = a - b;
        mul(a: f32, b: f32) -> f32 = a * b;
        div(a: f32, b: f32) -> f32 = a / b;
        neg(a: f32) -> f32 = -a;
        abs(a: f32) -> f32 = f32::from_bits(a.to_bits() & 0x7fff_ffff);
        sqrt(a: f32) -> f32 = libm::sqrtf(a);
        floor(a: f32) -> f32 = libm::floorf(a);
        ceil(a: f32) -> f32 = libm::ceilf(a);
        nearest(a: f32) -> f32 = libm::rintf(a);
        lesser(a: f32, b: f32) -> f32 = if b < a { b } else { a };
        greater(a: f32, b: f32) -> f32 = if a < b { b } else { a };
        less(a: f32, b: f32) -> i32 = -i32::from(a < b);
        equal(a: f32, b: f32) -> i32 = -i32::from(a == b);
        to_f32(a: i32) -> f32 = a as f32;
        plus(a: i32, b: i32) -> i32 = a.wrapping_add(b);
        minus(a: i32, b: i32) -> i32 = a.wrapping_sub(b);
        bitand(a: i32, b: i32) -> i32 = a & b;
        bitor(a: i32, b: i32) -> i32 = a | b;
        select(set: f32, clear: f32, mask: i32) -> f32 =
            f32::from_bits((set.to_bits() & mask as u32) | (clear.to_bits() & !mask as u32));
    }

    // Lanes of bytes.
    lanes! {
        plus_bytes(a: i8, b: i8) -> i8 = a.wrapping_add(b);
        minus_bytes(a: i8, b: i8) -> i8 = a.wrapping_sub(b);
        less_bytes(a: i8, b: i8) -> i8 = -i8::from(a < b);
        equal_bytes(a: i8, b: i8) -> i8 = -i8::from(a == b);
        and_bytes(a: i8, b: i8) -> i8 = a & b;
        or_bytes(a: i8, b: i8) -> i8 = a | b;
        without(a: i8, b: i8) -> i8 = a & !b;
        ones(a: i8) -> i8 = a.count_ones() as i8;
        select_bytes(set: i8, clear: i8, mask: i8) -> i8 = (set & mask) | (clear & !mask);
    }

    #[inline(always)]
    pub const fn bytes(value: i8) -> Bytes {
        [value; 16]
    }

    #[inline(always)]
    pub const fn constant(value: f32) -> Floats {
        [value; 4]
    }

    #[inline(always)]
    pub const fn integers(value: i32) -> Ints {
        [value; 4]
    }

    #[inline(always)]
    pub fn shifted_left(a: Ints, bits: u32) -> Ints {
        a.map(|lane| lane << bits)
    }

    #[inline(always)]
    pub fn shifted_right(a: Ints, bits: u32) -> Ints {
        a.map(|lane| lane >> bits)
    }
}
