//! Models that decisions use: their columns and their outputs.

pub(crate) mod bound;
pub(crate) mod clock;
pub mod demand;
pub(crate) mod habit;
pub mod late;
pub(crate) mod leg;
pub(crate) mod moment;
pub(crate) mod products;
pub(crate) mod shopper;
pub mod source;
pub(crate) mod tables;
pub(crate) mod week;
