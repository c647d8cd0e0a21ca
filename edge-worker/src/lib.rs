//! Edge shell: fills the slots and prices of an origin's pages, and serves the storefront API, with the module.
//!
//! | module | contents |
//! |---|---|
//! | [`config`], [`card`], [`region`] | configuration document |
//! | [`tag`], [`tokens`], [`tree`], [`elements`] | recognition of elements in a page, and their attributes |
//! | [`splice`] | streaming of a page, with its elements filled |
//! | `page` | content of the elements |
//! | `load`, `files` | loading from KV, R2 and static assets |
//! | `shop` | loaded module, packs and snapshot, and calls of them |
//! | `api`, `problem`, `offer` | API requests, responses and errors |
//! | `profile` | profile in a cookie, for shoppers who agreed |
//! | `visitor` | location of a request's sender |
//! | `text` | formatted prices and dates |
//! | `work` | asynchronous work driven by JavaScript |
//!
//! JavaScript in `worker` owns the origin's pages, their streams and headers, and calls this code. So platform
//! exceptions about a page never enter this code, and if this code fails, the origin's page continues without it. API
//! requests are handled here from request to response.
//!
//! A failure never makes a page worse than the origin's: without a decision, the origin's content stays.

pub mod card;
pub mod config;
pub mod elements;
pub mod region;
pub mod splice;
pub mod tag;
pub mod tokens;
pub mod tree;

#[cfg(target_arch = "wasm32")]
mod api;
#[cfg(target_arch = "wasm32")]
mod files;
#[cfg(target_arch = "wasm32")]
mod load;
#[cfg(target_arch = "wasm32")]
mod offer;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod problem;
#[cfg(target_arch = "wasm32")]
mod profile;
#[cfg(target_arch = "wasm32")]
mod shop;
#[cfg(target_arch = "wasm32")]
mod text;
#[cfg(target_arch = "wasm32")]
mod visitor;
#[cfg(target_arch = "wasm32")]
mod work;
