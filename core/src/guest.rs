//! Guests answer requests; a client speaks to one in types.

pub mod checkout;
mod module;

pub use module::{GuestError, Instance, ModuleGuest};

use crate::{
    aligned::AlignedBytes,
    decisions::{
        allocate::{AllocateRequest, Allocated},
        exceptions::{ExceptionRequest, ExceptionScore},
        forecast::{ForecastRequest, Weeks},
        quote::{Quote, QuoteRequest},
        rank::{RankRequest, Ranking},
    },
    domain::digest::Digest,
    engine::Engine,
    message::{Description, Fault, InferRequest, PackInfo, Reply},
    snapshot::SnapshotInfo,
    tensor::Tensor,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Something that answers requests: the core itself, or a module under wasmtime or V8.
pub trait Guest {
    /// Why a request did not reach the core, or its reply did not come back.
    type Error;

    /// Hands over a pack or a snapshot and returns the bytes of the [`Reply`].
    ///
    /// # Errors
    /// When the guest could not be reached; what the core found is a [`Reply::Fault`].
    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Hands over the bytes of a [`Request`](crate::message::Request) and returns those of the [`Reply`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Scores `columns`, column-major, into `scores`; returns the bytes of the [`Reply`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error>;

    /// Whether it answers no more, and another must be made.
    fn is_dead(&self) -> bool {
        false
    }
}

impl<G: Guest + ?Sized> Guest for Box<G> {
    type Error = G::Error;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error> {
        (**self).load(pack)
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error> {
        (**self).call(request)
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error> {
        (**self).score(pack, rows, columns, scores)
    }

    fn is_dead(&self) -> bool {
        (**self).is_dead()
    }
}

/// Typed calls to a [`Guest`].
///
/// ```no_run
/// # fn main() -> Result<(), tradewind_core::guest::ClientError<core::convert::Infallible>> {
/// use tradewind_core::{guest::Client, Engine};
/// let mut client = Client::new(Engine::new());
/// let pack = client.load(&std::fs::read("recommend.pack").unwrap_or_default())?;
/// assert_eq!(pack.name, "recommend");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client<G> {
    guest: G,
    /// The roots of what is loaded, packs by name.
    packs: Vec<(String, Digest)>,
    snapshot: Option<Digest>,
    last: Option<Exchange>,
}

/// A request and its reply, as they went over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The bytes of the [`Request`](crate::message::Request).
    pub request: Vec<u8>,
    /// The bytes of the [`Reply`].
    pub reply: Vec<u8>,
}

/// What a decision was made from, and what it was, by digests: enough to tell whether making it again
/// gives the same.
///
/// It proves consistency, not authority: anyone can make one over a request of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// SHA-256 of the module.
    pub module: Digest,
    /// The roots of the packs that were loaded, ascending.
    pub packs: Vec<Digest>,
    /// The root of the snapshot that was loaded.
    pub snapshot: Option<Digest>,
    /// SHA-256 of the request's bytes.
    pub request: Digest,
    /// SHA-256 of the reply's bytes.
    pub reply: Digest,
}

/// A client that is there again after its guest died: `make` makes it, with all that it needs loaded.
#[derive(Debug)]
pub struct Revived<G, F> {
    make: F,
    client: Option<Client<G>>,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError<E> {
    /// The core refused the request.
    Fault(Fault),
    /// The guest could not be reached.
    Guest(E),
    /// The reply is not one that this request can have.
    Protocol(String),
}

impl<G: Guest> Client<G> {
    /// A client of `guest`.
    pub const fn new(guest: G) -> Self {
        Self { guest, packs: Vec::new(), snapshot: None, last: None }
    }

    /// The guest.
    pub const fn guest(&self) -> &G {
        &self.guest
    }

    /// Loads a pack that the shell has verified.
    ///
    /// # Errors
    /// A fault of the kinds of [`PackView::parse`](crate::pack::PackView::parse), among others.
    pub fn load(&mut self, pack: &[u8]) -> Result<PackInfo, ClientError<G::Error>> {
        let reply = self.guest.load(pack).map_err(ClientError::Guest)?;
        let info: PackInfo = answer(&reply, LOADED)?;
        self.packs.retain(|(name, _)| *name != info.name);
        self.packs.push((info.name.clone(), info.root));
        Ok(info)
    }

    /// Loads a snapshot that the shell has verified, in place of the one that is loaded.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_snapshot(&mut self, snapshot: &[u8]) -> Result<SnapshotInfo, ClientError<G::Error>> {
        let reply = self.guest.load(snapshot).map_err(ClientError::Guest)?;
        let info: SnapshotInfo = answer(&reply, SNAPSHOT)?;
        self.snapshot = Some(info.root);
        Ok(info)
    }

    /// Asks what is loaded.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn describe(&mut self) -> Result<Description, ClientError<G::Error>> {
        self.ask(&())
    }

    /// Runs a model.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn infer(&mut self, request: InferRequest) -> Result<Vec<Tensor>, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Ranks products for a shopper.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn rank(&mut self, request: RankRequest) -> Result<Ranking, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Prices a product.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn quote(&mut self, request: QuoteRequest) -> Result<Quote, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Forecasts the demand for products, week by week.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn forecast(&mut self, request: ForecastRequest) -> Result<Vec<Weeks>, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Decides from where orders ship.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn allocate(&mut self, request: AllocateRequest) -> Result<Allocated, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Finds what is about to go wrong with shipments.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn exceptions(&mut self, request: ExceptionRequest) -> Result<Vec<ExceptionScore>, ClientError<G::Error>> {
        self.ask(&request)
    }

    /// Scores column-major `columns` with the pack of a handle; row-major scores are written to
    /// `scores`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn score(
        &mut self,
        pack: u32,
        rows: usize,
        columns: &[f32],
        scores: &mut [f32],
    ) -> Result<(), ClientError<G::Error>> {
        let reply = self.guest.score(pack, rows, columns, scores).map_err(ClientError::Guest)?;
        answer(&reply, SCORED)
    }

    fn ask<A: Ask>(&mut self, request: &A) -> Result<A::Answer, ClientError<G::Error>> {
        // What an enum of postcard's is: the number of the variant, and what is in it.
        let request = postcard::to_allocvec(&(A::REQUEST, request))
            .map_err(|error| ClientError::Protocol(format!("the request does not encode: {error}")))?;
        answer(&self.exchange(request)?, A::REPLY)
    }

    /// Hands over the bytes of a request, as when a decision is made again, and returns those of the reply,
    /// which may be a fault.
    ///
    /// # Errors
    /// [`ClientError::Guest`].
    pub fn exchange(&mut self, request: Vec<u8>) -> Result<Vec<u8>, ClientError<G::Error>> {
        self.last = None;
        let reply = self.guest.call(&request).map_err(ClientError::Guest)?;
        self.last = Some(Exchange { request, reply: reply.clone() });
        Ok(reply)
    }

    /// The last request that was answered, faults included, and its reply; `None` the second time.
    pub const fn take_exchange(&mut self) -> Option<Exchange> {
        self.last.take()
    }

    /// The receipt of an exchange with what is loaded, given the digest of the module; the shell brings
    /// SHA-256.
    pub fn receipt(&self, exchange: &Exchange, module: Digest, sha256: impl Fn(&[u8]) -> Digest) -> Receipt {
        let mut packs: Vec<Digest> = self.packs.iter().map(|(_, root)| *root).collect();
        packs.sort_unstable();
        let (request, reply) = (sha256(&exchange.request), sha256(&exchange.reply));
        Receipt { module, packs, snapshot: self.snapshot, request, reply }
    }
}

impl<G: Guest, E, F: FnMut() -> Result<Client<G>, E>> Revived<G, F> {
    /// Makes the first client.
    ///
    /// # Errors
    /// As `make`.
    pub fn new(mut make: F) -> Result<Self, E> {
        let client = Some(make()?);
        Ok(Self { make, client })
    }

    /// A client that was made already.
    pub const fn with(client: Client<G>, make: F) -> Self {
        Self { make, client: Some(client) }
    }

    /// The client, or another one where its guest is dead.
    ///
    /// # Errors
    /// As `make`.
    pub fn client(&mut self) -> Result<&mut Client<G>, E> {
        let alive = self.client.take().filter(|client| !client.guest.is_dead());
        let client = match alive {
            Some(client) => client,
            None => (self.make)()?,
        };
        Ok(self.client.insert(client))
    }
}

/// A request, by the number of its variant in [`Request`](crate::message::Request), and what answers it, by that in [`Reply`].
///
/// A shell that asks one thing has the code for its answer so, and not for every other: a page counts its bytes.
trait Ask: Serialize {
    const REQUEST: u32;
    const REPLY: u32;
    type Answer: DeserializeOwned;
}

macro_rules! asks {
    ($($request:ty: $number:literal => $answer:ty: $reply:literal,)*) => {
        $(impl Ask for $request {
            const REQUEST: u32 = $number;
            const REPLY: u32 = $reply;
            type Answer = $answer;
        })*
    };
}

asks! {
    (): 0 => Description: 2,
    InferRequest: 1 => Vec<Tensor>: 3,
    RankRequest: 2 => Ranking: 4,
    QuoteRequest: 3 => Quote: 7,
    ForecastRequest: 4 => Vec<Weeks>: 8,
    AllocateRequest: 5 => Allocated: 9,
    ExceptionRequest: 6 => Vec<ExceptionScore>: 10,
}

const FAULT: u32 = 0;
const LOADED: u32 = 1;
const SCORED: u32 = 5;
const SNAPSHOT: u32 = 6;

/// What each variant of [`Reply`] is called.
const REPLIES: [&str; 11] = [
    "a fault",
    "a loaded pack",
    "a description",
    "tensors",
    "a ranking",
    "scores",
    "a loaded snapshot",
    "a price",
    "a forecast",
    "an allocation",
    "exceptions",
];

/// What is in a reply of the expected variant.
fn answer<T: DeserializeOwned, E>(reply: &[u8], expected: u32) -> Result<T, ClientError<E>> {
    let bad = |error| ClientError::Protocol(format!("the reply does not decode: {error}"));
    let whole = |rest: &[u8]| match rest.len() {
        0 => Ok(()),
        more => Err(ClientError::Protocol(format!("{more} bytes follow the reply"))),
    };
    let (found, body) = postcard::take_from_bytes::<u32>(reply).map_err(bad)?;
    if found == FAULT {
        let (fault, rest) = postcard::take_from_bytes(body).map_err(bad)?;
        return whole(rest).and(Err(ClientError::Fault(fault)));
    }
    if found != expected {
        let name = REPLIES.get(found as usize).copied().unwrap_or("what this version does not know");
        return Err(ClientError::Protocol(format!("the guest answered another question, with {name}")));
    }
    let (answer, rest) = postcard::take_from_bytes(body).map_err(bad)?;
    whole(rest).map(|()| answer)
}

/// The core as its own guest, natively: the same bytes in and out, without a module between.
impl Guest for Engine {
    type Error = core::convert::Infallible;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error> {
        Ok(encode(&match AlignedBytes::copy_of(pack) {
            Ok(bytes) => Self::load(self, bytes),
            Err(error) => Reply::Fault(error.into()),
        }))
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error> {
        Ok(encode(&Self::call(self, request)))
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error> {
        Ok(encode(&Self::score(self, pack, rows, columns, scores)))
    }
}

/// The bytes of a reply. Every reply has some: the types hold nothing that postcard refuses.
pub fn encode(reply: &Reply) -> Vec<u8> {
    postcard::to_allocvec(reply).unwrap_or_default()
}

impl<E: fmt::Display> fmt::Display for ClientError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Guest(error) => error.fmt(f),
            Self::Protocol(message) => f.write_str(message),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ClientError<E> {}
