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
//! # Layers
//!
//! Each layer imports only layers below it: `tests/tests/layers.rs` checks the `use` lines.
//!
//! | layer | contents |
//! |---|---|
//! | [`guest`] | [`guest::Guest`], which answers requests in bytes; [`guest::Client`], typed calls to a guest; [`guest::checkout`], which verifies prices |
//! | [`Engine`] | loaded packs and snapshot; dispatch from request to reply |
//! | [`message`] | requests and replies, as bytes |
//! | decisions | products to show ([`rank`]), prices ([`quote`]), demand ([`forecast`]), nodes from which orders ship ([`allocate`]), shipments that need attention ([`exceptions`]), models described by their pack alone ([`insight`]); [`Task`], the purpose of a pack |
//! | model | inputs of models: [`Source`]s, in one table; the models that decisions use: [`demand`] and price, probability that a leg is [`late`] |
//! | [`snapshot`], [`Profile`] | a merchant's products, stock and prices at one moment; facts remembered of a shopper, and the [`Event`]s they come from |
//! | [`pack`] | signed file with a model and everything it needs, or with a snapshot |
//! | domain | [`Catalog`], [`Sku`], [`SkuBits`], [`Money`], [`BasisPoints`], [`Probability`], [`Millis`], [`Code`], [`Id`], [`Digest`], [`Quantiles`]; [`price_guard`], [`offer`], [`tracking`] |
//! | executor | [`plan`], a compiled model; [`exec`], which runs it without allocating |
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
pub use tradewind_executor::{Error, ErrorKind, Executor, Result, aligned, columns, exec, plan, tensor, text};

use tradewind_executor::{bounded, error};

/// Version of the interface between shells and the module: exports and messages.
pub const ABI_VERSION: u32 = 1;
