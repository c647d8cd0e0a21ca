//! Messages between a shell and the module: a number, and a body in postcard whose type the number selects.
//!
//! A request begins with the number of a [`Decision`]. Its reply begins with the same number, or with 0 before a
//! [`Fault`]. Any change to a type in this file, or to a type that it uses, changes the ABI; a test compares one
//! message of each kind with the bytes of this version.

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

/// Maximum length of a request, in bytes. Larger batches go through `score`, which decodes nothing.
pub const MAX_REQUEST_LEN: usize = 4 << 20;

/// Number of a fault.
pub const FAULT: u32 = 0;

/// Number at the start of the reply of the export `load`; a [`Loaded`] follows.
pub const LOADED: u32 = 101;

/// Number at the start of the reply of the export `score`; nothing follows.
pub const SCORED: u32 = 102;

/// Request of a decision, and the type of its answer. The [engine's table](crate::DECISIONS) lists all decisions.
pub trait Decision: Serialize + DeserializeOwned {
    /// Number at the start of the request and of the reply: part of the ABI, never reused.
    const NUMBER: u32;

    /// Name of the decision.
    const NAME: &'static str;

    /// Answer to the request.
    type Answer: Serialize + DeserializeOwned;
}

/// Asks which packs and which snapshot are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Describe;

/// Tensors for a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InferRequest {
    /// Name of the pack.
    pub pack: String,
    /// One tensor for each input, in any order. NaN is a missing value if the model defines it so.
    #[serde(deserialize_with = "bounded::list::<1024, _, _>")]
    pub inputs: Vec<Tensor>,
}

/// Reply of `load`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loaded {
    /// A pack.
    Pack(PackInfo),
    /// A snapshot.
    Snapshot(SnapshotInfo),
}

/// Reason why a reply contains no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// The request was not carried out.
    Fault(Fault),
    /// The reply is invalid for this request.
    Protocol(String),
}

/// Loaded packs and snapshot.
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
    /// Handle for `score`: index of the pack among the loaded packs.
    pub handle: u32,
    /// Name of the pack in requests.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Digest that identifies the pack.
    pub root: Digest,
    /// Inputs of the model.
    pub inputs: Vec<PortInfo>,
    /// Outputs of the model.
    pub outputs: Vec<PortInfo>,
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortInfo {
    /// Name of the port.
    pub name: String,
    /// Element type; `None` for text.
    pub dtype: Option<DType>,
    /// Shape; `None` for extents that depend on the number of rows.
    pub shape: Vec<Option<u32>>,
}

impl PortInfo {
    /// Describes a port of a plan.
    pub(crate) fn new(plan: &Plan, port: &Port) -> Self {
        Self {
            name: port.name.clone(),
            dtype: if port.categories.is_empty() { exec::dtype(plan, port) } else { None },
            shape: port.shape.iter().map(|dim| (dim.per_row == 0).then_some(dim.fixed)).collect(),
        }
    }
}

/// Error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Code of an [`ErrorKind`].
    pub code: u16,
    /// The error, the input that caused it, and the fix.
    pub message: String,
}

impl Fault {
    /// Kind of the error; `None` if a newer module added it.
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

/// Encodes a number and a body.
pub fn encode<T: Serialize + ?Sized>(number: u32, body: &T) -> Vec<u8> {
    // Postcard can encode all of these types.
    postcard::to_allocvec(&(number, body)).unwrap_or_default()
}

/// Encodes a request.
pub fn request<D: Decision>(decision: &D) -> Vec<u8> {
    encode(D::NUMBER, decision)
}

/// Decodes the fault of a reply; `None` if the reply is not a fault.
pub fn fault(reply: &[u8]) -> Option<Fault> {
    match body::<()>(reply, FAULT) {
        Err(Unanswered::Fault(fault)) => Some(fault),
        _ => None,
    }
}

/// Decodes the answer of a reply.
///
/// # Errors
/// [`Unanswered`].
pub fn answer<D: Decision>(reply: &[u8]) -> Result<D::Answer, Unanswered> {
    body(reply, D::NUMBER)
}

/// Decodes the body of a reply that must begin with `number`.
///
/// # Errors
/// [`Unanswered`]; also if the reply begins with another number.
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
        let message = format!("the reply has number {found}, not {number}");
        return Err(Unanswered::Protocol(message));
    }
    let (answer, rest) = postcard::take_from_bytes(body).map_err(bad)?;
    whole(rest).map(|()| answer)
}
