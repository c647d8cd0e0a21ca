//! Models that decisions ask: what goes in, column by column, and what comes out.

pub(crate) mod bound;
pub(crate) mod columns;
pub mod demand;
pub mod late;
