//! Guests, which answer requests, and clients, which make typed calls to them.

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

/// Anything that answers requests: the core itself, or the module under wasmtime or V8.
pub trait Guest {
    /// Reason why the guest could not be called.
    type Error;

    /// Loads a pack or a snapshot, and returns the bytes of the reply.
    ///
    /// # Errors
    /// If the guest could not be called; errors of the core are faults in the reply.
    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Answers a request, and returns the bytes of the reply.
    ///
    /// # Errors
    /// Like [`load`](Self::load).
    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Writes the scores of column-major `columns` to `scores`, and returns the bytes of the reply.
    ///
    /// # Errors
    /// Like [`load`](Self::load).
    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error>;

    /// Whether the guest is unusable and must be replaced.
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
    /// Names and roots of the loaded packs.
    packs: Vec<(String, Digest)>,
    snapshot: Option<Digest>,
    last: Option<Exchange>,
}

/// Request and reply, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Bytes of the request.
    pub request: Vec<u8>,
    /// Bytes of the reply.
    pub reply: Vec<u8>,
}

/// Digests of the inputs and the result of a decision: enough to check whether repeating it gives the same reply.
///
/// A receipt proves consistency, not authority: anyone can make one for any request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// SHA-256 of the module.
    pub module: Digest,
    /// Roots of the loaded packs, ascending.
    pub packs: Vec<Digest>,
    /// Root of the loaded snapshot.
    pub snapshot: Option<Digest>,
    /// SHA-256 of the request's bytes.
    pub request: Digest,
    /// SHA-256 of the reply's bytes.
    pub reply: Digest,
}

/// Client that is replaced after its guest dies: `make` creates one with everything loaded.
#[derive(Debug)]
pub struct Revived<G, F> {
    make: F,
    client: Option<Client<G>>,
}

/// Reason why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError<E> {
    /// The core refused the request.
    Fault(Fault),
    /// The guest could not be called.
    Guest(E),
    /// The reply is invalid for this request.
    Protocol(String),
}

impl<G: Guest> Client<G> {
    /// Creates a client of `guest`.
    pub const fn new(guest: G) -> Self {
        Self { guest, packs: Vec::new(), snapshot: None, last: None }
    }

    /// Guest of the client.
    pub const fn guest(&self) -> &G {
        &self.guest
    }

    /// Loads a pack that the shell has verified.
    ///
    /// # Errors
    /// [`ClientError`], with the faults of [`PackView::parse`](crate::pack::PackView::parse) among others.
    pub fn load(&mut self, pack: &[u8]) -> Result<PackInfo, ClientError<G::Error>> {
        let Loaded::Pack(info) = self.loaded(pack)? else { return Err(other_file("a snapshot")) };
        self.packs.retain(|(name, _)| *name != info.name);
        self.packs.push((info.name.clone(), info.root));
        Ok(info)
    }

    /// Loads a snapshot that the shell has verified; it replaces the loaded one.
    ///
    /// # Errors
    /// Like [`load`](Self::load).
    pub fn load_snapshot(&mut self, snapshot: &[u8]) -> Result<SnapshotInfo, ClientError<G::Error>> {
        let Loaded::Snapshot(info) = self.loaded(snapshot)? else { return Err(other_file("a pack")) };
        self.snapshot = Some(info.root);
        Ok(info)
    }

    fn loaded(&mut self, file: &[u8]) -> Result<Loaded, ClientError<G::Error>> {
        let reply = self.guest.load(file).map_err(ClientError::Guest)?;
        Ok(message::body(&reply, LOADED)?)
    }

    /// Makes a decision, selected by the type of the request.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn ask<D: Decision>(&mut self, request: &D) -> Result<D::Answer, ClientError<G::Error>> {
        let reply = self.exchange(message::request(request))?;
        Ok(message::answer::<D>(&reply)?)
    }

    /// Scores column-major `columns` with the pack of a handle, and writes row-major scores to `scores`.
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

    /// Sends the bytes of a request, for example to replay a decision, and returns the bytes of the reply, which may be
    /// a fault.
    ///
    /// # Errors
    /// [`ClientError::Guest`].
    pub fn exchange(&mut self, request: Vec<u8>) -> Result<Vec<u8>, ClientError<G::Error>> {
        self.last = None;
        let reply = self.guest.call(&request).map_err(ClientError::Guest)?;
        self.last = Some(Exchange { request, reply: reply.clone() });
        Ok(reply)
    }

    /// Takes the last answered request, including faults, and its reply; `None` if it was already taken.
    pub const fn take_exchange(&mut self) -> Option<Exchange> {
        self.last.take()
    }

    /// Creates the receipt of an exchange with the loaded packs and snapshot, for a module's digest; the shell provides
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
        /// Calls of the [table of decisions](crate::DECISIONS).
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
    /// Creates the first client.
    ///
    /// # Errors
    /// Errors of `make`.
    pub fn new(mut make: F) -> Result<Self, E> {
        let client = Some(make()?);
        Ok(Self { make, client })
    }

    /// Wraps an existing client.
    pub const fn with(client: Client<G>, make: F) -> Self {
        Self { make, client: Some(client) }
    }

    /// Returns the client, or a new one if its guest is dead.
    ///
    /// # Errors
    /// Errors of `make`.
    pub fn client(&mut self) -> Result<&mut Client<G>, E> {
        let alive = self.client.take().filter(|client| !client.guest.is_dead());
        let client = match alive {
            Some(client) => client,
            None => (self.make)()?,
        };
        Ok(self.client.insert(client))
    }
}

/// The core as a native guest, without a module: the same bytes in and out.
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
    ClientError::Protocol(format!("the loaded file is {what}"))
}
