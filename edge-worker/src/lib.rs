//! The shell at the CDN edge: what fills the slots and prices of an origin's pages, and answers the storefront API,
//! with the module.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`], [`card`], [`region`] | the document that configures it |
//! | [`tag`], [`tokens`], [`tree`], [`elements`] | what is an element of ours in a page, and what it says |
//! | [`splice`] | a page on its way through, with its elements filled |
//! | `page` | what they are filled with |
//! | `files` | where all of it comes from: KV, R2, static assets |
//! | `shop` | the loaded module, packs and snapshot, and what is asked of them |
//! | `api`, `offer` | the answers of the API |
//! | `text` | prices and dates as people read them |
//!
//! Requests, streams and cookies belong to the JavaScript in `worker`, which calls this code from outside. So nothing that
//! the platform throws for a page comes in here, and where this code fails, the origin's page goes on without it. What a
//! shop is loaded from is read in here, beside the requests.
//!
//! Nothing that goes wrong makes a page worse than the origin's: where there is no answer, what the origin wrote stays.

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
mod offer;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod shop;
#[cfg(target_arch = "wasm32")]
mod text;
