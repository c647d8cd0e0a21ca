//! The shell at the CDN edge: what fills the slots and prices of an origin's pages, and answers the storefront API,
//! with the module.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`], [`card`], [`region`] | the document that configures it |
//! | [`tag`], [`tokens`], [`tree`], [`elements`] | what is an element of ours in a page, and what it says |
//! | [`splice`] | a page on its way through, with its elements filled |
//! | `page` | what they are filled with |
//! | `load`, `files` | what is loaded, and where it comes from: KV, R2, static assets |
//! | `shop` | the loaded module, packs and snapshot, and what is asked of them |
//! | `api`, `problem`, `offer` | the API: its requests, answers and errors |
//! | `profile` | the profile of a shopper who wants it kept, in a cookie |
//! | `visitor` | who sends a request, as far as it says |
//! | `text` | prices and dates as people read them |
//! | `work` | what takes its time, as the JavaScript carries it on |
//!
//! The origin's pages, their streams and headers belong to the JavaScript in `worker`, which calls this code from
//! outside. So nothing that the platform throws for a page comes in here, and where this code fails, the origin's page
//! goes on without it. Requests to the API are answered in here, from first to last.
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
