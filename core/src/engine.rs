//! The engine: loaded packs, and one function from request to reply.

use crate::{
    ABI_VERSION,
    aligned::{AlignedBytes, headroom},
    apart,
    error::{Error, ErrorKind, Result},
    exec::{Executor, Matrix},
    message::{Description, InferRequest, MAX_REQUEST_LEN, PackInfo, PortInfo, Reply, Request},
    pack::{PackView, SectionKind, Task},
    plan::{Plan, Port},
    rank::{RankRequest, RankSpec, Ranker, Ranking},
    tensor::Tensor,
};
use alloc::{format, string::ToString, vec::Vec};
use core::ops::Range;

/// Loaded packs.
///
/// A reply is a function of the packs and the request alone: no clock, no randomness, nothing kept
/// from one request to the next.
#[derive(Debug, Default)]
pub struct Engine {
    packs: Vec<LoadedPack>,
}

/// A pack that is ready to answer.
#[derive(Debug)]
pub(crate) struct LoadedPack {
    info: PackInfo,
    /// The pack, in which the weights lie; or the weights alone, where they were expanded.
    bytes: AlignedBytes,
    weights: Range<usize>,
    executor: Executor,
    ranker: Option<Ranker>,
}

impl Engine {
    /// The most packs that can be loaded at once.
    pub const MAX_PACKS: usize = 64;

    /// An engine with nothing loaded.
    pub const fn new() -> Self {
        Self { packs: Vec::new() }
    }

    /// Loads a pack; its weights are used where they lie, unless they are encoded: those are expanded
    /// once. A pack of the same name is replaced.
    ///
    /// The shell has verified it: see [`PackView::verify`].
    pub fn load(&mut self, bytes: AlignedBytes) -> Reply {
        reply(self.try_load(bytes).map(Reply::Loaded))
    }

    /// Answers a postcard [`Request`].
    pub fn call(&mut self, request: &[u8]) -> Reply {
        reply(self.try_call(request))
    }

    /// Scores column-major features with the pack of a handle: see [`Executor::score`].
    pub fn score(&mut self, handle: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Reply {
        reply(self.try_score(handle, rows, columns, scores).map(|()| Reply::Scored))
    }

    fn try_load(&mut self, bytes: AlignedBytes) -> Result<PackInfo> {
        let view = PackView::parse(bytes.as_slice())?;
        // What is decoded grows, and tables grow less: they hold few lists, and long ones.
        let len = |kind| view.section(kind).map_or(0, |range| range.len());
        headroom(GROWTH * len(SectionKind::Plan) + FIXED)?;
        let name = view.manifest().name.clone();
        let known = self.packs.iter().position(|pack| pack.info.name == name);
        if known.is_none() && self.packs.len() >= Self::MAX_PACKS {
            return Err(Error::new(ErrorKind::TooLarge, format!("{} packs are loaded; no more fit", Self::MAX_PACKS)));
        }
        let section = view.section(SectionKind::Weights).unwrap_or(0..0);
        let mut plan: Plan = view.read(SectionKind::Plan)?;
        let stored = bytes.as_slice().get(section.clone()).unwrap_or_default();
        let expanded = plan.expand(stored)?;
        // To check trees, some numbers for each node.
        headroom(stored.len() / 2 + FIXED)?;
        let executor = Executor::new(plan, expanded.as_ref().map_or(stored, AlignedBytes::as_slice))?;
        headroom(GROWTH * len(SectionKind::Task) + GROWTH / 3 * len(SectionKind::Tables) + FIXED)?;
        let ranker = match view.read(SectionKind::Task)? {
            Task::Infer | Task::Late(_) => None,
            Task::Rank(spec) => Some(ranker(spec, &view, &executor)?),
        };
        let handle = known.unwrap_or(self.packs.len());
        let ports = |ports: &[Port]| ports.iter().map(|port| PortInfo::new(executor.plan(), port)).collect();
        let info = PackInfo {
            handle: handle as u32,
            name,
            version: view.manifest().version.clone(),
            root: view.root(),
            inputs: ports(&executor.plan().inputs),
            outputs: ports(&executor.plan().outputs),
        };
        let (bytes, weights) = match expanded {
            None => (bytes, section),
            Some(expanded) => {
                let all = 0..expanded.len();
                (expanded, all)
            }
        };
        let pack = LoadedPack { info: info.clone(), weights, executor, ranker, bytes };
        match self.packs.get_mut(handle) {
            Some(slot) => *slot = pack,
            None => self.packs.push(pack),
        }
        Ok(info)
    }

    fn try_call(&mut self, request: &[u8]) -> Result<Reply> {
        if request.len() > MAX_REQUEST_LEN {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a request of {} bytes; at most {MAX_REQUEST_LEN} are read", request.len()),
            ));
        }
        headroom(GROWTH * request.len() + FIXED)?;
        match decode(request)? {
            Request::Describe => Ok(Reply::Description(Description {
                abi: ABI_VERSION,
                packs: self.packs.iter().map(|pack| pack.info.clone()).collect(),
            })),
            Request::Infer(request) => self.infer(&request).map(Reply::Tensors),
            Request::Rank(request) => self.rank(request).map(Reply::Ranking),
        }
    }

    #[inline(never)]
    fn infer(&mut self, request: &InferRequest) -> Result<Vec<Tensor>> {
        let (executor, weights, _) = self.pack(&request.pack)?.parts();
        executor.infer(weights, &request.inputs)
    }

    #[inline(never)]
    fn rank(&mut self, request: RankRequest) -> Result<Ranking> {
        let (executor, weights, ranker) = self.pack(&request.pack)?.parts();
        let Some(ranker) = ranker else {
            return Err(Error::new(
                ErrorKind::UnknownPack,
                format!("pack `{}` does not rank; it answers infer requests", request.pack),
            ));
        };
        ranker.rank(request, executor, weights)
    }

    fn try_score(&mut self, handle: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<()> {
        let loaded = self.packs.len();
        let pack = self.packs.get_mut(handle as usize).ok_or_else(|| {
            Error::new(ErrorKind::UnknownPack, format!("no pack has the handle {handle}; {loaded} are loaded"))
        })?;
        let (executor, weights, _) = pack.parts();
        executor.score(weights, rows, Matrix::Columns(columns), scores)
    }

    fn pack(&mut self, name: &str) -> Result<&mut LoadedPack> {
        match self.packs.iter().position(|pack| pack.info.name == name) {
            Some(at) => Ok(&mut self.packs[at]),
            None => {
                let names: Vec<_> = self.packs.iter().map(|pack| pack.info.name.as_str()).collect();
                let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
                Err(Error::new(ErrorKind::UnknownPack, format!("no pack `{name}` is loaded; loaded: {names}")))
            }
        }
    }
}

impl LoadedPack {
    /// What answers requests: the executor, its weights where they lie, and the ranker if it ranks.
    fn parts(&mut self) -> (&mut Executor, &[u8], Option<&Ranker>) {
        let weights = self.bytes.as_slice().get(self.weights.clone()).unwrap_or_default();
        (&mut self.executor, weights, self.ranker.as_ref())
    }
}

/// Bytes of memory that a byte of postcard may become: a SKU of one letter is two bytes there, and
/// here a string with its own allocation in a list that doubles as it grows.
const GROWTH: usize = 24;
/// Bytes for what does not grow with a request.
const FIXED: usize = 2 << 20;

/// Decodes a request.
fn decode(request: &[u8]) -> Result<Request> {
    let mut deserializer = postcard::Deserializer::from_bytes(request);
    match (apart::variants(&mut deserializer), deserializer.finalize()) {
        (Ok(request), Ok([])) => Ok(request),
        (Ok(_), Ok(rest)) => Err(Error::new(ErrorKind::Malformed, format!("{} bytes follow the request", rest.len()))),
        (Err(error), _) | (_, Err(error)) => Err(Error::new(
            ErrorKind::Malformed,
            format!(
                "the request does not decode ({error}): a list in it is over its limit, or the shell was not built for \
                 ABI {ABI_VERSION}"
            ),
        )),
    }
}

#[inline(never)]
fn ranker(spec: RankSpec, view: &PackView<'_>, executor: &Executor) -> Result<Ranker> {
    Ranker::new(spec, view.read(SectionKind::Tables)?, executor)
}

fn reply(result: Result<Reply>) -> Reply {
    result.unwrap_or_else(|error| Reply::Fault(error.into()))
}
