//! The portable core of Tradewind: everything that decides, and nothing else.
//!
//! It is compiled into one WebAssembly module that runs unchanged in a browser, at the edge and in
//! a warehouse backend; natively it is an ordinary library. It has no clock, no randomness and no
//! I/O: a reply is a function of the loaded packs and the request.
//!
//! ```
//! use tradewind_core::{guest::Client, Engine};
//!
//! let mut client = Client::new(Engine::new());
//! assert_eq!(client.describe().map(|description| description.packs.len()), Ok(0));
//! ```
//!
//! # The house
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | what shells send and receive: [`message::Request`], [`message::Reply`] |
//! | [`guest`] | [`guest::Guest`], which answers bytes with bytes, and [`guest::Client`], which speaks to one in types |
//! | [`Engine`] | the loaded packs, and the way from request to reply |
//! | [`pack`] | the signed file that carries a model and all it needs |
//! | [`plan`] | what a model is compiled to |
//! | [`exec`] | what runs a plan, without allocating |
//! | [`snapshot`] | what a merchant has, where, and at what price, at one moment |
//! | [`rank`] | the decision which products to show |
//! | [`demand`] | how many units are sold in a coming week, and at which price |
//! | [`quote`] | the decision at what price |
//! | [`late`] | how likely a leg is to arrive late |
//! | [`exceptions`] | the decision which shipments need attention, and what can be done |
//! | [`allocate`] | the decision from where orders ship |
//! | [`Profile`], [`Event`] | what is remembered of a shopper, and from what |
//! | [`Catalog`], [`Sku`], [`SkuId`], [`SkuBits`] | products, and sets of them |
//! | [`Money`], [`BasisPoints`], [`Currency`] | amounts and rates, in whole numbers |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod allocate;
mod bits;
mod columns;
pub mod demand;
mod engine;
mod event;
pub mod exceptions;
pub mod guest;
pub mod late;
pub mod message;
mod money;
mod order;
pub mod pack;
mod profile;
mod quantiles;
pub mod quote;
pub mod rank;
mod sku;
pub mod snapshot;

pub use bits::SkuBits;
pub use engine::Engine;
pub use event::{Channel, Day, Event, EventKind, Line, Millis};
pub use money::{BasisPoints, Currency, Money};
pub use profile::{ATTENTION_HALF_LIFE, HALF_LIFE_DAYS, Interest, ORDER_DECAYS, Profile};
pub use quantiles::Quantiles;
pub use sku::{Catalog, Sku, SkuId};
#[doc(inline)]
pub use tradewind_executor::{Error, ErrorKind, Executor, Result, aligned, exec, plan, tensor};

use tradewind_executor::{apart, bounded, error};

/// The version of the interface between shells and the module: exports and messages.
pub const ABI_VERSION: u32 = 1;
