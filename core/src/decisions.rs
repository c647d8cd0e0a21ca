//! Decisions, each in its own file or folder.

pub mod allocate;
pub mod exceptions;
pub mod forecast;
pub mod insight;
pub mod quote;
pub mod rank;
pub(crate) mod task;
