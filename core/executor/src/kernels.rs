//! The kernels, a file each: what one takes, how it is checked, what it costs, which rows it reads, and
//! what it does. Each is a struct that is an [`Operation`]; [`Kernel`] is one of them.
//!
//! INVARIANT: [`Operation::check`] has shown, for the plan's tile, that every index that a kernel's
//! geometry can produce lies inside its buffers. Extents and strides grow with the rows, so that holds
//! for smaller batches too. The indexing in `run` relies on it; a mistake would be a panic, never
//! undefined behaviour.
//!
//! No `run` is inlined: engines compile small functions sooner and better, and one of all kernels
//! together would be compiled without optimisation.

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

/// Makes [`Kernel`] of the list of all kernels. A kernel's number is what packs say, and is never used for
/// another.
macro_rules! kernels {
    ($($number:literal $module:ident::$Kernel:ident,)*) => {
        $(pub use $module::*;)*

        /// What a step computes. `Tn` in the documentation of a kernel names its n-th input.
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
            /// What people call it, such as `gather elements`.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$Kernel(_) => $Kernel::NAME,)* }
            }

            /// How a call that writes `output` elements goes through its tensors, where that can be said.
            pub fn access(&self, output: Dim) -> Option<Access> {
                match self { $(Self::$Kernel(kernel) => kernel.access(output),)* }
            }

            /// Which elements of the `input`-th input may share a scale, where that is a weight that may
            /// be stored with less precision.
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

/// All that is asked of a kernel.
pub(crate) trait Operation {
    /// What people call it.
    const NAME: &'static str;

    /// Whether [`check`](Self::check) looks through its weights, which takes time that
    /// [`PLAN_LIMITS`](crate::exec::PLAN_LIMITS) bounds.
    const TABLES: bool = false;

    /// Whether a call stays inside its buffers, and then whether it writes every element that the rows
    /// use of its output.
    fn check(&self, call: &Checked<'_>) -> error::Result<bool>;

    /// Elementary operations of a call; see [`Plan::work`](crate::plan::Plan::work).
    fn cost(&self, size: &Size<'_>) -> u64;

    /// How a call that writes `output` elements goes through its tensors; `None` where that cannot be
    /// said in this form, and rows are taken to depend on each other.
    fn access(&self, output: Dim) -> Option<Access>;

    /// Which elements of the `input`-th input may share a scale, where it is a weight that may be stored
    /// with less precision: a table, or a factor of products.
    fn groups(&self, input: usize) -> Option<Groups> {
        let _ = input;
        None
    }

    /// Does it.
    fn run(&self, inputs: &Inputs<'_>, out: &mut Output<'_>) -> error::Result<()>;
}

/// Decodes a [`Kernel`].
struct ByNumber;

/// Engines compile a function of the module when it is first called, and then all of it: with one for each
/// kernel, a plan pays for the kernels that it has.
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

/// Calls `$body` with `$T` bound to an unsigned type as wide as `$dtype`: for kernels that only
/// move elements.
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
