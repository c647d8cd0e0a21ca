//! Guests answer requests; a client speaks to one in types.

pub mod checkout;
mod module;

pub use module::{GuestError, Instance, ModuleGuest};

use crate::{
    aligned::AlignedBytes,
    domain::digest::Digest,
    engine::{Engine, decisions},
    message::{self, Decision, FAULT, Fault, LOADED, Loaded, PackInfo, SCORED, Unanswered, encode},
    snapshot::SnapshotInfo,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Something that answers requests: the core itself, or a module under wasmtime or V8.
pub trait Guest {
    /// Why a request did not reach the core, or its reply did not come back.
    type Error;

    /// Hands over a pack or a snapshot and returns the bytes of the reply.
    ///
    /// # Errors
    /// When the guest could not be reached; what the core found is a fault in the reply.
    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Hands over the bytes of a request and returns those of the reply.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Scores `columns`, column-major, into `scores`; returns the bytes of the reply.
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
    /// The bytes of the request.
    pub request: Vec<u8>,
    /// The bytes of the reply.
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
        let Loaded::Pack(info) = self.loaded(pack)? else { return Err(other_file("a snapshot")) };
        self.packs.retain(|(name, _)| *name != info.name);
        self.packs.push((info.name.clone(), info.root));
        Ok(info)
    }

    /// Loads a snapshot that the shell has verified, in place of the one that is loaded.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_snapshot(&mut self, snapshot: &[u8]) -> Result<SnapshotInfo, ClientError<G::Error>> {
        let Loaded::Snapshot(info) = self.loaded(snapshot)? else { return Err(other_file("a pack")) };
        self.snapshot = Some(info.root);
        Ok(info)
    }

    fn loaded(&mut self, file: &[u8]) -> Result<Loaded, ClientError<G::Error>> {
        let reply = self.guest.load(file).map_err(ClientError::Guest)?;
        Ok(message::body(&reply, LOADED)?)
    }

    /// Asks for a decision: which, the type of the request says.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn ask<D: Decision>(&mut self, request: &D) -> Result<D::Answer, ClientError<G::Error>> {
        let reply = self.exchange(message::request(request))?;
        Ok(message::answer::<D>(&reply)?)
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
        Ok(message::body(&reply, SCORED)?)
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

macro_rules! calls {
    ($($(#[$doc:meta])* $number:literal $name:ident: $request:ty => $answer:ty = $decide:path,)*) => {
        /// The calls of the [table](crate::DECISIONS).
        impl<G: Guest> Client<G> {
            $($(#[$doc])*
            ///
            /// # Errors
            /// See [`ClientError`].
            pub fn $name(&mut self, request: $request) -> Result<$answer, ClientError<G::Error>> {
                self.ask(&request)
            })*
        }
    };
}

decisions!(calls);

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

/// The core as its own guest, natively: the same bytes in and out, without a module between.
impl Guest for Engine {
    type Error = core::convert::Infallible;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error> {
        Ok(match AlignedBytes::copy_of(pack) {
            Ok(bytes) => Self::load(self, bytes),
            Err(error) => encode(FAULT, &Fault::from(error)),
        })
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error> {
        Ok(Self::call(self, request))
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error> {
        Ok(Self::score(self, pack, rows, columns, scores))
    }
}

impl<E> From<Unanswered> for ClientError<E> {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Fault(fault) => Self::Fault(fault),
            Unanswered::Protocol(message) => Self::Protocol(message),
        }
    }
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

fn other_file<E>(what: &str) -> ClientError<E> {
    ClientError::Protocol(format!("what was loaded is {what}"))
}
