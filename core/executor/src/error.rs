//! The error type of the core, and the table of fault codes.

use alloc::{boxed::Box, format, string::String};
use core::fmt;

/// Error with a kind and a message.
///
/// The message names the fault, the input and the fix. Programs match on [`kind`](Error::kind).
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

/// Boxed, so that results are small: most functions of the core return one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
}

/// Shorthand for results of the core.
pub type Result<T, E = Error> = core::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Kinds of error. Each has a code, which a `Fault` contains; codes are never removed, and adding one is not a
        /// breaking change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[doc = $doc])+ $name,)+ }

        impl ErrorKind {
            /// Every kind, in order of code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code in a fault.
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)+ }
            }

            /// Kind of a code; `None` for a code of a newer module.
            pub fn from_code(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }

            /// Name in messages and logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

kinds! {
    /// A message that does not decode.
    Malformed = 1,
    /// A message, batch or list over a documented limit.
    TooLarge = 2,
    /// Memory is exhausted.
    OutOfMemory = 3,
    /// A pointer or length that does not come from `alloc`.
    BadPointer = 4,
    /// A model's result that is not finite where a number is required.
    NotFinite = 5,
    /// A request that contradicts itself or the pack.
    BadRequest = 6,
    /// A pack that is not loaded.
    UnknownPack = 7,
    /// No snapshot is loaded, or it lacks a required section.
    NoSnapshot = 8,
    /// A snapshot that is not valid at the time of the decision.
    SnapshotExpired = 9,
    /// Bytes that are not a pack.
    NotAPack = 20,
    /// A pack that is truncated.
    PackTruncated = 21,
    /// A pack in a format that this build does not support.
    PackFormat = 22,
    /// A pack for another ABI.
    PackAbi = 23,
    /// A pack whose contents do not match their digests, or contradict each other.
    PackCorrupt = 24,
    /// A pack without a signature.
    PackUnsigned = 25,
    /// A signature that does not match the pack.
    PackSignature = 26,
    /// A pack signed by a key that is not trusted.
    PackUntrusted = 27,
    /// A plan that the executor cannot run safely.
    InvalidPlan = 40,
    /// A tensor of the wrong name, type or shape.
    BadTensor = 41,
    /// An index outside the axis that it selects from.
    IndexOutOfRange = 42,
    /// An integer divided by zero.
    DivisionByZero = 43,
}

impl Error {
    /// Creates an error.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into() }))
    }

    /// Kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Fault, input and fix, in words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Prefixes the message, for example with the location.
    #[must_use]
    #[cold]
    pub fn within(mut self, place: &str) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.0.kind).field("message", &self.0.message).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascending() {
        assert!(ErrorKind::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }
}
