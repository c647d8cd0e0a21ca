//! What travels between a shell and the module: postcard of [`Request`] and [`Reply`].
//!
//! A change to any type in here or in the types it names is a change of the ABI; a test holds the
//! bytes of one message of each kind against this version's.

use crate::{
    apart, bounded,
    decisions::{
        allocate::{AllocateRequest, Allocated},
        exceptions::{ExceptionRequest, ExceptionScore},
        forecast::{ForecastRequest, Weeks},
        quote::{Quote, QuoteRequest},
        rank::{RankRequest, Ranking},
    },
    domain::digest::Digest,
    error::{Error, ErrorKind},
    exec,
    plan::{DType, Plan, Port},
    snapshot::SnapshotInfo,
    tensor::Tensor,
};
use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The longest request, in bytes. Larger batches go through `score`, which decodes nothing.
pub const MAX_REQUEST_LEN: usize = 4 << 20;

/// A question to the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What is loaded? Answered by [`Reply::Description`].
    Describe,
    /// Runs a model. Answered by [`Reply::Tensors`].
    Infer(InferRequest),
    /// Ranks products for a shopper. Answered by [`Reply::Ranking`].
    Rank(RankRequest),
    /// Prices a product. Answered by [`Reply::Quote`].
    Quote(QuoteRequest),
    /// Forecasts demand. Answered by [`Reply::Forecast`].
    Forecast(ForecastRequest),
    /// Decides from where orders ship. Answered by [`Reply::Allocated`].
    Allocate(AllocateRequest),
    /// Finds what is about to go wrong. Answered by [`Reply::Exceptions`].
    Exceptions(ExceptionRequest),
}

/// Tensors for a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InferRequest {
    /// The name of the pack.
    pub pack: String,
    /// One tensor for each input, in any order. NaN may stand for a missing value where the model
    /// says so.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub inputs: Vec<Tensor>,
}

/// The module's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The request was not carried out; nothing has changed.
    Fault(#[serde(serialize_with = "apart::encode")] Fault),
    /// A pack is loaded.
    Loaded(#[serde(serialize_with = "apart::encode")] PackInfo),
    /// What is loaded.
    Description(#[serde(serialize_with = "apart::encode")] Description),
    /// A model's outputs, in its own order. NaN is canonical.
    Tensors(#[serde(serialize_with = "apart::encode")] Vec<Tensor>),
    /// Ranked products.
    Ranking(#[serde(serialize_with = "apart::encode")] Ranking),
    /// The scores are written where the call said.
    Scored,
    /// A snapshot is loaded.
    Snapshot(#[serde(serialize_with = "apart::encode")] SnapshotInfo),
    /// A price.
    Quote(#[serde(serialize_with = "apart::encode")] Quote),
    /// The demand for each product, week by week.
    Forecast(#[serde(serialize_with = "apart::encode")] Vec<Weeks>),
    /// From where orders ship.
    Allocated(#[serde(serialize_with = "apart::encode")] Allocated),
    /// What is about to go wrong, the worst first.
    Exceptions(#[serde(serialize_with = "apart::encode")] Vec<ExceptionScore>),
}

/// What the module has loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// [`ABI_VERSION`](crate::ABI_VERSION).
    pub abi: u32,
    /// The packs, in the order they were loaded.
    pub packs: Vec<PackInfo>,
    /// The snapshot, if one is loaded.
    pub snapshot: Option<SnapshotInfo>,
}

/// A loaded pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackInfo {
    /// What `score` calls it: its place among the loaded packs.
    pub handle: u32,
    /// The name that requests use.
    pub name: String,
    /// The version of the model.
    pub version: String,
    /// The digest that names the pack.
    pub root: Digest,
    /// What the model takes.
    pub inputs: Vec<PortInfo>,
    /// What the model gives.
    pub outputs: Vec<PortInfo>,
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortInfo {
    /// Its name.
    pub name: String,
    /// Its element type; `None` for text.
    pub dtype: Option<DType>,
    /// Its shape; `None` where it depends on the number of rows.
    pub shape: Vec<Option<u32>>,
}

impl PortInfo {
    /// What a plan says of a port.
    pub(crate) fn new(plan: &Plan, port: &Port) -> Self {
        Self {
            name: port.name.clone(),
            dtype: if port.categories.is_empty() { exec::dtype(plan, port) } else { None },
            shape: port.shape.iter().map(|dim| (dim.per_row == 0).then_some(dim.fixed)).collect(),
        }
    }
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// A code of [`ErrorKind`].
    pub code: u16,
    /// What was wrong, with what input, and what to do.
    pub message: String,
}

impl Fault {
    /// What kind of error it is; `None` for one that a newer module has added.
    pub fn kind(&self) -> Option<ErrorKind> {
        ErrorKind::from_code(self.code)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { code: error.kind().code(), message: error.message().to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (fault {})", self.message, self.code)
    }
}

impl core::error::Error for Fault {}
