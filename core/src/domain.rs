//! Basic types of all layers: products, amounts, moments, names.

mod calendar;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod digest;
pub(crate) mod line;
pub(crate) mod money;
pub(crate) mod name;
pub mod offer;
pub mod price_guard;
pub(crate) mod probability;
pub(crate) mod quantiles;
pub(crate) mod sku;
pub(crate) mod sku_set;
pub(crate) mod sort;
pub(crate) mod time;
pub mod tracking;
