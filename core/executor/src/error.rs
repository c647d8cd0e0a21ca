//! The one error type of the core, and the table of fault codes.

use alloc::{boxed::Box, format, string::String};
use core::fmt;

/// What went wrong, and with what.
///
/// The message says what was wrong, with which input, and what to do. Programs match on
/// [`kind`](Error::kind).
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

/// Behind a pointer, so that results are small: most calls of the core return one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    message: String,
}

/// Shorthand for results of the core.
pub type Result<T, E = Error> = core::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The kinds of error. Each has a code that travels in a `Fault`;
        /// codes are only ever added, which is not a breaking change.
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

            /// The kind of a code; `None` for one that a newer module has added.
            pub fn from_code(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }

            /// The name in a message or a log.
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
    /// Memory could not be had.
    OutOfMemory = 3,
    /// A pointer or length that was not given out by `alloc`.
    BadPointer = 4,
    /// A model's answer that is not finite where a number is needed.
    NotFinite = 5,
    /// A request that contradicts itself or the pack.
    BadRequest = 6,
    /// A pack that is not loaded.
    UnknownPack = 7,
    /// No snapshot is loaded, or not the section of it that the answer needs.
    NoSnapshot = 8,
    /// A snapshot that does not hold at the moment of the decision.
    SnapshotExpired = 9,
    /// Bytes that are not a pack.
    NotAPack = 20,
    /// A pack that ends too soon.
    PackTruncated = 21,
    /// A pack in a format that this build does not read.
    PackFormat = 22,
    /// A pack for another ABI.
    PackAbi = 23,
    /// A pack whose contents do not match their digests, or contradict each other.
    PackCorrupt = 24,
    /// A pack without a signature.
    PackUnsigned = 25,
    /// A signature that does not fit the pack.
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
    /// An error of a kind.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into() }))
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was wrong, with what input, and what to do.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The same error with words before its message, for example where it happened.
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
