//! What travels between a shell and the module: a number, and postcard of what it says there is.
//!
//! A request begins with the number of a [`Decision`], and its reply with the same, or with 0 before a [`Fault`]. A change
//! to any type in here or in the types it names is a change of the ABI; a test holds the bytes of one message of each kind
//! against this version's.

use crate::{
    bounded,
    domain::digest::Digest,
    error::{Error, ErrorKind},
    exec,
    plan::{DType, Plan, Port},
    snapshot::SnapshotInfo,
    tensor::Tensor,
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The longest request, in bytes. Larger batches go through `score`, which decodes nothing.
pub const MAX_REQUEST_LEN: usize = 4 << 20;

/// The number of a fault.
pub const FAULT: u32 = 0;

/// What leads the answer of the export `load`, which is [`Loaded`].
pub const LOADED: u32 = 101;

/// What leads the answer of the export `score`, in which nothing follows.
pub const SCORED: u32 = 102;

/// Something to be decided: what is asked, and what answers it. All of them are in one table, that of the
/// [engine](crate::DECISIONS).
pub trait Decision: Serialize + DeserializeOwned {
    /// What leads the request, and the reply: it is part of the ABI, and never used for another.
    const NUMBER: u32;

    /// What it is called.
    const NAME: &'static str;

    /// What it is answered with.
    type Answer: Serialize + DeserializeOwned;
}

/// What is loaded?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe;

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

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loaded {
    /// A pack.
    Pack(PackInfo),
    /// A snapshot.
    Snapshot(SnapshotInfo),
}

/// Why a reply holds no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The request was not carried out.
    Fault(Fault),
    /// The reply is not one that this request can have.
    Protocol(String),
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

/// Fault: the request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Code of the [`ErrorKind`].
    pub code: u16,
    /// Message for people: fault, input and fix.
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

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Protocol(message) => f.write_str(message),
        }
    }
}

impl core::error::Error for Unanswered {}

/// The bytes of a number, and of what it says there is.
pub fn encode<T: Serialize + ?Sized>(number: u32, body: &T) -> Vec<u8> {
    // The types hold nothing that postcard refuses.
    postcard::to_allocvec(&(number, body)).unwrap_or_default()
}

/// The bytes of a request.
pub fn request<D: Decision>(decision: &D) -> Vec<u8> {
    encode(D::NUMBER, decision)
}

/// The fault in the bytes of a reply; `None` where it holds an answer, or nothing.
pub fn fault(reply: &[u8]) -> Option<Fault> {
    match body::<()>(reply, FAULT) {
        Err(Unanswered::Fault(fault)) => Some(fault),
        _ => None,
    }
}

/// The answer in the bytes of a reply.
///
/// # Errors
/// [`Unanswered`].
pub fn answer<D: Decision>(reply: &[u8]) -> Result<D::Answer, Unanswered> {
    body(reply, D::NUMBER)
}

/// What follows a number in the bytes of a reply.
///
/// # Errors
/// [`Unanswered`], also where another number leads it.
pub fn body<T: DeserializeOwned>(reply: &[u8], number: u32) -> Result<T, Unanswered> {
    let bad = |error| Unanswered::Protocol(format!("the reply does not decode: {error}"));
    let whole = |rest: &[u8]| match rest.len() {
        0 => Ok(()),
        more => Err(Unanswered::Protocol(format!("{more} bytes follow the reply"))),
    };
    let (found, body) = postcard::take_from_bytes::<u32>(reply).map_err(bad)?;
    if found == FAULT {
        let (fault, rest) = postcard::take_from_bytes(body).map_err(bad)?;
        return whole(rest).and(Err(Unanswered::Fault(fault)));
    }
    if found != number {
        let message = format!("the guest answered another question: {found}, and not {number}");
        return Err(Unanswered::Protocol(message));
    }
    let (answer, rest) = postcard::take_from_bytes(body).map_err(bad)?;
    whole(rest).map(|()| answer)
}
