//! What is decided, each in a file or folder of its own.

pub mod allocate;
pub mod exceptions;
pub mod forecast;
pub mod insight;
pub mod quote;
pub mod rank;
pub(crate) mod task;
