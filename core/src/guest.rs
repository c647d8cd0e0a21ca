//! Guests answer requests; a client speaks to one in types.

use crate::{
    aligned::AlignedBytes,
    engine::Engine,
    message::{Description, Fault, InferRequest, PackInfo, Reply, Request},
    rank::{RankRequest, Ranking},
    tensor::Tensor,
};
use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::fmt;

/// Something that answers requests: the core itself, or a module under wasmtime or V8.
pub trait Guest {
    /// Why a request did not reach the core, or its reply did not come back.
    type Error;

    /// Hands over a pack and returns the bytes of the [`Reply`].
    ///
    /// # Errors
    /// When the guest could not be reached; what the core found is a [`Reply::Fault`].
    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Hands over the bytes of a [`Request`] and returns those of the [`Reply`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, Self::Error>;

    /// Scores `columns`, column-major, into `scores`; returns the bytes of the [`Reply`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, Self::Error>;
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
        Self { guest }
    }

    /// The guest.
    pub const fn guest_mut(&mut self) -> &mut G {
        &mut self.guest
    }

    /// Loads a pack that the shell has verified.
    ///
    /// # Errors
    /// A fault of the kinds of [`PackView::parse`](crate::pack::PackView::parse), among others.
    pub fn load(&mut self, pack: &[u8]) -> Result<PackInfo, ClientError<G::Error>> {
        let reply = self.guest.load(pack).map_err(ClientError::Guest)?;
        match decode(&reply)? {
            Reply::Loaded(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks what is loaded.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn describe(&mut self) -> Result<Description, ClientError<G::Error>> {
        match self.call(&Request::Describe)? {
            Reply::Description(description) => Ok(description),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a model.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn infer(&mut self, request: InferRequest) -> Result<Vec<Tensor>, ClientError<G::Error>> {
        match self.call(&Request::Infer(request))? {
            Reply::Tensors(tensors) => Ok(tensors),
            other => Err(unexpected(&other)),
        }
    }

    /// Ranks products for a shopper.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn rank(&mut self, request: RankRequest) -> Result<Ranking, ClientError<G::Error>> {
        match self.call(&Request::Rank(request))? {
            Reply::Ranking(ranking) => Ok(ranking),
            other => Err(unexpected(&other)),
        }
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
        match decode(&reply)? {
            Reply::Scored => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn call(&mut self, request: &Request) -> Result<Reply, ClientError<G::Error>> {
        let request = postcard::to_allocvec(request)
            .map_err(|error| ClientError::Protocol(format!("the request does not encode: {error}")))?;
        let reply = self.guest.call(&request).map_err(ClientError::Guest)?;
        decode(&reply)
    }
}

fn decode<E>(reply: &[u8]) -> Result<Reply, ClientError<E>> {
    match postcard::take_from_bytes(reply) {
        Ok((Reply::Fault(fault), [])) => Err(ClientError::Fault(fault)),
        Ok((reply, [])) => Ok(reply),
        Ok((_, rest)) => Err(ClientError::Protocol(format!("{} bytes follow the reply", rest.len()))),
        Err(error) => Err(ClientError::Protocol(format!("the reply does not decode: {error}"))),
    }
}

fn unexpected<E>(reply: &Reply) -> ClientError<E> {
    let kind = match reply {
        Reply::Fault(_) => "a fault",
        Reply::Loaded(_) => "a loaded pack",
        Reply::Description(_) => "a description",
        Reply::Tensors(_) => "tensors",
        Reply::Ranking(_) => "a ranking",
        Reply::Scored => "scores",
    };
    ClientError::Protocol(format!("the guest answered another question, with {kind}"))
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
