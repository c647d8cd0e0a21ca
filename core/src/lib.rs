//! The portable core of Tradewind: everything that decides, and nothing else.
//!
//! It is compiled into one WebAssembly module that runs unchanged in a browser, at the edge and in
//! a warehouse backend; natively it is an ordinary library. It has no clock, no randomness and no
//! I/O: a reply is a function of the loaded packs and the request.
//!
//! ```
//! use tradewind_core::{Engine, guest::Client, message::Describe};
//!
//! let mut client = Client::new(Engine::new());
//! assert_eq!(client.describe(Describe).map(|description| description.packs.len()), Ok(0));
//! ```
//!
//! # The house
//!
//! Each layer knows those below it, and none above: `tests/tests/layers.rs` reads the `use` lines.
//!
//! | layer | what it holds |
//! |---|---|
//! | [`guest`] | [`guest::Guest`], which answers bytes with bytes, [`guest::Client`], which speaks to one in types, and [`guest::checkout`] |
//! | [`Engine`] | the loaded packs, and the way from request to reply |
//! | [`message`] | what shells send and receive: requests and replies, as bytes |
//! | decisions | which products to show ([`rank`]), at what price ([`quote`]), how many will be sold ([`forecast`]), from where orders ship ([`allocate`]), which shipments need attention ([`exceptions`]), what a pack alone describes ([`insight`]); [`Task`], by which a pack says what it is for |
//! | model | what models are shown: [`Source`]s, in one table; the models that decisions ask: [`demand`] and price, how likely a leg arrives [`late`] |
//! | [`snapshot`], [`Profile`] | what a merchant has, where, and at what price, at one moment; what is remembered of a shopper, and the [`Event`]s from which |
//! | [`pack`] | the signed file that carries a model and all it needs, or a snapshot |
//! | domain | [`Catalog`], [`Sku`], [`SkuBits`], [`Money`], [`BasisPoints`], [`Probability`], [`Millis`], [`Code`], [`Id`], [`Digest`], [`Quantiles`]; [`price_guard`], [`offer`], [`tracking`] |
//! | executor | [`plan`], which a model is compiled to, and [`exec`], which runs it without allocating |
#![cfg_attr(not(feature = "openapi"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod decisions;
mod domain;
mod engine;
pub mod guest;
pub mod message;
mod model;
pub mod pack;
mod profile;
pub mod snapshot;

pub use decisions::{allocate, exceptions, forecast, insight, quote, rank, task::Task};
pub use domain::{
    catalog::Catalog,
    digest::Digest,
    line::Line,
    money::{BasisPoints, Currency, Money},
    name::{Code, Id},
    offer, price_guard,
    probability::Probability,
    quantiles::Quantiles,
    sku::{Sku, SkuId},
    sku_set::SkuBits,
    time::{Day, Millis},
    tracking,
};
pub use engine::{DECISIONS, Engine, WithDecision, with_decision};
pub use model::{
    demand, late,
    source::{Part, Source, Unit},
};
pub use profile::{
    ATTENTION_HALF_LIFE, HALF_LIFE_DAYS, Interest, ORDER_DECAYS, Profile,
    event::{Channel, Event, EventKind},
};
#[doc(inline)]
pub use tradewind_executor::{Error, ErrorKind, Executor, Result, aligned, columns, exec, plan, tensor};

use tradewind_executor::{bounded, error};

/// The version of the interface between shells and the module: exports and messages.
pub const ABI_VERSION: u32 = 1;
