//! Kernels, one per file: parameters, checks, cost, row access and computation. Each is a struct that implements
//! [`Operation`]; [`Kernel`] is the enum of all.
//!
//! INVARIANT: [`Operation::check`] has proved, for the plan's tile, that every index that a kernel's geometry can
//! produce lies inside its buffers. Extents and strides grow with the rows, so that also holds for smaller batches. The
//! indexing in `run` relies on it; a mistake would panic, never cause undefined behaviour.
//!
//! No `run` is inlined: engines compile small functions sooner and better, and would not optimise one function of all
//! kernels.

mod binary;
mod cast;
mod compare;
mod contract;
mod copy;
mod couple;
mod cumulate;
mod dense;
mod distances;
mod fill;
mod gather;
mod gather_elements;
mod lookup;
mod recurrent;
mod reduce;
mod scatter;
mod select;
mod softmax;
mod topk;
mod trees;
mod unary;

use crate::{
    error,
    exec::{
        arena::{Inputs, Output},
        validate::Checked,
    },
    plan::{Access, AxisShape, Dim, Groups, Size},
};
use core::fmt;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{EnumAccess, Error as _, Unexpected, VariantAccess, Visitor},
};

/// Defines [`Kernel`] from the list of all kernels. Packs contain a kernel's number, which is never reused.
macro_rules! kernels {
    ($($number:literal $module:ident::$Kernel:ident,)*) => {
        $(pub use $module::*;)*

        /// Computation of a step. `Tn` in a kernel's documentation is its n-th input.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Kernel {
            $(#[doc = concat!("See [`struct@", stringify!($Kernel), "`].")] $Kernel($Kernel),)*
        }

        $(impl From<$Kernel> for Kernel {
            fn from(kernel: $Kernel) -> Self {
                Self::$Kernel(kernel)
            }
        })*

        impl Serialize for Kernel {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$Kernel(kernel) => {
                        serializer.serialize_newtype_variant("Kernel", $number, stringify!($Kernel), kernel)
                    })*
                }
            }
        }

        impl<'de> Visitor<'de> for ByNumber {
            type Value = Kernel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kernel")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Kernel, A::Error> {
                let (number, kernel) = data.variant::<u32>()?;
                match number {
                    $($number => decode::<$Kernel, _>(kernel),)*
                    _ => Err(A::Error::invalid_value(Unexpected::Unsigned(number.into()), &self)),
                }
            }
        }

        impl<'de> Deserialize<'de> for Kernel {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_enum("Kernel", &[$(stringify!($Kernel)),*], ByNumber)
            }
        }

        impl Kernel {
            /// How many kernels there are.
            pub const COUNT: usize = [$($number),*].len();

            /// Name for people, such as `gather elements`.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$Kernel(_) => $Kernel::NAME,)* }
            }

            /// Access pattern of a call that writes `output` elements, if known.
            pub fn access(&self, output: Dim) -> Option<Access> {
                match self { $(Self::$Kernel(kernel) => kernel.access(output),)* }
            }

            /// Elements of the `input`-th input that may share a scale, if it is a weight that can be encoded.
            pub fn groups(&self, input: usize) -> Option<Groups> {
                match self { $(Self::$Kernel(kernel) => kernel.groups(input),)* }
            }

            pub(crate) const fn has_tables(&self) -> bool {
                match self { $(Self::$Kernel(_) => $Kernel::TABLES,)* }
            }

            pub(crate) fn check(&self, call: &Checked<'_>) -> error::Result<bool> {
                match self { $(Self::$Kernel(kernel) => kernel.check(call),)* }
            }

            pub(crate) fn cost(&self, size: &Size<'_>) -> u64 {
                match self { $(Self::$Kernel(kernel) => kernel.cost(size),)* }
            }

            pub(crate) fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> error::Result<()> {
                match self { $(Self::$Kernel(kernel) => kernel.run(inputs, out),)* }
            }
        }
    };
}

kernels! {
    0 fill::Fill,
    1 copy::Copy,
    2 cast::Cast,
    3 unary::Unary,
    4 binary::Binary,
    5 compare::Compare,
    6 select::Select,
    7 dense::Dense,
    8 contract::Contract,
    9 reduce::Reduce,
    10 softmax::Softmax,
    11 gather::Gather,
    12 gather_elements::GatherElements,
    13 scatter::Scatter,
    14 cumulate::Cumulate,
    15 topk::TopK,
    16 lookup::Lookup,
    17 distances::Distances,
    18 couple::Couple,
    19 trees::Trees,
    20 recurrent::Recurrent,
}

/// Interface of a kernel.
pub(crate) trait Operation {
    /// Name for people.
    const NAME: &'static str;

    /// Whether [`check`](Self::check) scans its weights, which takes time bounded by
    /// [`PLAN_LIMITS`](crate::exec::PLAN_LIMITS).
    const TABLES: bool = false;

    /// Checks that a call stays inside its buffers, and returns whether it writes every element of its output that the
    /// rows use.
    fn check(&self, call: &Checked<'_>) -> error::Result<bool>;

    /// Elementary operations per call; see [`Plan::work`](crate::plan::Plan::work).
    fn cost(&self, size: &Size<'_>) -> u64;

    /// Access pattern of a call that writes `output` elements; `None` if it has no such form, so that rows are assumed
    /// to depend on each other.
    fn access(&self, output: Dim) -> Option<Access>;

    /// Elements of the `input`-th input that may share a scale, if it is a weight that can be encoded: a table, or a
    /// factor of products.
    fn groups(&self, input: usize) -> Option<Groups> {
        let _ = input;
        None
    }

    /// Runs the kernel.
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> error::Result<()>;
}

/// Decodes a [`Kernel`].
struct ByNumber;

/// Engines compile a function of the module when it is first called, and then all of it: with one function for each
/// kernel, a plan pays only for its own kernels.
#[inline(never)]
fn decode<'de, K: Deserialize<'de> + Into<Kernel>, A: VariantAccess<'de>>(kernel: A) -> Result<Kernel, A::Error> {
    kernel.newtype_variant::<K>().map(Into::into)
}

/// An [`AxisShape`] for a batch.
#[derive(Debug, Clone, Copy)]
struct Extents {
    outer: usize,
    axis: usize,
    inner: usize,
}

#[inline(never)]
fn extents(shape: AxisShape, rows: usize) -> Extents {
    Extents { outer: shape.outer.at(rows), axis: shape.axis.at(rows), inner: shape.inner.at(rows) }
}

/// Calls `$body` with `$T` bound to an unsigned type as wide as `$dtype`, for kernels that only move elements.
macro_rules! by_width {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype.bytes() {
            8 => {
                type $T = u64;
                $body
            }
            4 => {
                type $T = u32;
                $body
            }
            _ => {
                type $T = u8;
                $body
            }
        }
    };
}

/// Calls `$body` with `$T` bound to the type of a numeric `$dtype`.
macro_rules! by_number {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            DType::F32 => {
                type $T = f32;
                $body
            }
            DType::I64 => {
                type $T = i64;
                $body
            }
            DType::I32 => {
                type $T = i32;
                $body
            }
            DType::U8 | DType::Bool | DType::F64 => Err(outside()),
        }
    };
}

use {by_number, by_width};
