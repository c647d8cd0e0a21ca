//! The engine: loaded packs, a snapshot, and one function from request to reply.

use crate::{
    ABI_VERSION,
    aligned::{AlignedBytes, headroom},
    apart,
    decisions::{
        allocate::{self, AllocateRequest, Allocated},
        exceptions::{self, ExceptionRequest, ExceptionScore},
        forecast::{self, ForecastRequest, Weeks},
        quote::{self, Quote, QuoteRequest},
        rank::{RankRequest, RankSpec, Ranker, Ranking},
        task::Task,
    },
    error::{Error, ErrorKind, Result},
    exec::{Executor, Matrix},
    message::{Description, InferRequest, MAX_REQUEST_LEN, PackInfo, PortInfo, Reply, Request},
    model::{
        demand::{DemandModel, PriceModel},
        late::{LateModel, Leg},
    },
    pack::{PackView, SectionKind, undecoded},
    plan::{Plan, Port},
    snapshot::{Live, Snapshot, SnapshotInfo},
    tensor::Tensor,
};
use alloc::{format, string::ToString, vec::Vec};
use core::ops::Range;

/// Loaded packs, and a snapshot.
///
/// A reply is a function of these and the request alone: no clock, no randomness, nothing kept from
/// one request to the next.
#[derive(Debug, Default)]
pub struct Engine {
    packs: Vec<LoadedPack>,
    snapshot: Option<Snapshot>,
}

/// A pack that is ready to answer.
#[derive(Debug)]
pub(crate) struct LoadedPack {
    info: PackInfo,
    /// The pack, in which the weights lie; or the weights alone, where they were expanded.
    bytes: AlignedBytes,
    weights: Range<usize>,
    executor: Executor,
    decision: Decision,
}

/// What a pack is asked for, beside tensors.
#[derive(Debug)]
enum Decision {
    None,
    Rank(Ranker),
    Demand(DemandModel),
    Price(PriceModel),
    Late(LateModel),
}

impl Engine {
    /// The most packs that can be loaded at once.
    pub const MAX_PACKS: usize = 64;

    /// An engine with nothing loaded.
    pub const fn new() -> Self {
        Self { packs: Vec::new(), snapshot: None }
    }

    /// Loads a pack; its weights are used where they lie, unless they are encoded: those are expanded
    /// once. A pack of the same name is replaced. Or loads a snapshot, in place of the one that is loaded.
    ///
    /// The shell has verified it: see [`PackView::verify`].
    pub fn load(&mut self, bytes: AlignedBytes) -> Reply {
        reply(self.try_load(bytes))
    }

    /// Answers a postcard [`Request`].
    pub fn call(&mut self, request: &[u8]) -> Reply {
        reply(self.try_call(request))
    }

    /// Scores column-major features with the pack of a handle: see [`Executor::score`].
    pub fn score(&mut self, handle: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Reply {
        reply(self.try_score(handle, rows, columns, scores).map(|()| Reply::Scored))
    }

    #[inline(never)]
    fn load_snapshot(&mut self, view: &PackView<'_>, len: usize) -> Result<SnapshotInfo> {
        headroom(GROWTH / 3 * len + FIXED)?;
        let snapshot = Snapshot::read(view)?;
        let info = snapshot.info();
        for pack in &mut self.packs {
            if let Decision::Rank(ranker) = &mut pack.decision {
                ranker.take_promises(&snapshot);
            }
        }
        self.snapshot = Some(snapshot);
        Ok(info)
    }

    fn try_load(&mut self, bytes: AlignedBytes) -> Result<Reply> {
        let view = PackView::parse(bytes.as_slice())?;
        if view.section(SectionKind::Storefront).is_some() {
            return self.load_snapshot(&view, bytes.len()).map(Reply::Snapshot);
        }
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
        let decision = match view.read(SectionKind::Task)? {
            Task::Infer => Decision::None,
            Task::Rank(spec) => Decision::Rank(ranker(spec, &view, &executor, self.snapshot.as_ref())?),
            Task::Demand(spec) => Decision::Demand(DemandModel::new(spec, &executor)?),
            Task::Price(spec) => Decision::Price(PriceModel::new(spec, &executor)?),
            Task::Late(spec) => Decision::Late(LateModel::new(spec, &executor)?),
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
        let pack = LoadedPack { info: info.clone(), weights, executor, decision, bytes };
        match self.packs.get_mut(handle) {
            Some(slot) => *slot = pack,
            None => self.packs.push(pack),
        }
        Ok(Reply::Loaded(info))
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
                snapshot: self.snapshot.as_ref().map(Snapshot::info),
            })),
            Request::Infer(request) => self.infer(&request).map(Reply::Tensors),
            Request::Rank(request) => self.rank(request).map(Reply::Ranking),
            Request::Quote(request) => self.quote(&request).map(Reply::Quote),
            Request::Forecast(request) => self.forecast(&request).map(Reply::Forecast),
            Request::Allocate(request) => self.allocate(&request).map(Reply::Allocated),
            Request::Exceptions(request) => self.exceptions(request).map(Reply::Exceptions),
        }
    }

    #[inline(never)]
    fn infer(&mut self, request: &InferRequest) -> Result<Vec<Tensor>> {
        let (executor, weights, _) = find(&mut self.packs, &request.pack)?.parts();
        executor.infer(weights, &request.inputs)
    }

    #[inline(never)]
    fn rank(&mut self, request: RankRequest) -> Result<Ranking> {
        let (executor, weights, decision) = find(&mut self.packs, &request.pack)?.parts();
        let Decision::Rank(ranker) = decision else {
            return Err(Error::new(
                ErrorKind::UnknownPack,
                format!("pack `{}` does not rank; it answers infer requests", request.pack),
            ));
        };
        ranker.rank(request, self.snapshot.as_ref(), executor, weights)
    }

    #[inline(never)]
    fn quote(&mut self, request: &QuoteRequest) -> Result<Quote> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        let pack = self.packs.iter_mut().find(|pack| matches!(pack.decision, Decision::Price(_)));
        let Some((executor, weights, Decision::Price(model))) = pack.map(LoadedPack::parts) else {
            return Err(Error::new(ErrorKind::UnknownPack, "no pack that prices is loaded"));
        };
        quote::quote(snapshot, request, &mut |inputs, offer, prices| {
            model.units(&request.product, &inputs.history, offer, prices, executor, weights)
        })
    }

    #[inline(never)]
    fn forecast(&mut self, request: &ForecastRequest) -> Result<Vec<Weeks>> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        let pack = self.packs.iter_mut().find(|pack| matches!(pack.decision, Decision::Demand(_)));
        let Some((executor, weights, Decision::Demand(model))) = pack.map(LoadedPack::parts) else {
            return Err(Error::new(ErrorKind::UnknownPack, "no pack that forecasts demand is loaded"));
        };
        forecast::forecast(snapshot, request, model, executor, weights)
    }

    #[inline(never)]
    fn allocate(&mut self, request: &AllocateRequest) -> Result<Allocated> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        allocate::answer(snapshot, request, &mut |legs| match risk(&mut self.packs, legs) {
            Some(risks) => risks,
            None => Err(Error::new(
                ErrorKind::UnknownPack,
                "no pack tells how likely a shipment is late; load one, or set what lateness costs to 0",
            )),
        })
    }

    #[inline(never)]
    fn exceptions(&mut self, mut request: ExceptionRequest) -> Result<Vec<ExceptionScore>> {
        if let Some(root) = request.snapshot {
            let snapshot = loaded(self.snapshot.as_ref())?;
            snapshot.is(root)?;
            let knows = risk(&mut self.packs, &[]).is_some();
            let packs = &mut self.packs;
            let mut late = |legs: &[Leg<'_>]| risk(packs, legs).unwrap_or_else(|| Ok(Vec::new()));
            exceptions::complete(&mut request, snapshot, if knows { Some(&mut late) } else { None })?;
        } else if request.live != Live::default() {
            return Err(Error::new(ErrorKind::BadRequest, "`live` is of a snapshot; name it"));
        }
        exceptions::exceptions(&request)
    }

    fn try_score(&mut self, handle: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<()> {
        let loaded = self.packs.len();
        let pack = self.packs.get_mut(handle as usize).ok_or_else(|| {
            Error::new(ErrorKind::UnknownPack, format!("no pack has the handle {handle}; {loaded} are loaded"))
        })?;
        let (executor, weights, _) = pack.parts();
        executor.score(weights, rows, Matrix::Columns(columns), scores)
    }
}

/// The snapshot, if one is loaded.
fn loaded(snapshot: Option<&Snapshot>) -> Result<&Snapshot> {
    snapshot.ok_or_else(|| Error::new(ErrorKind::NoSnapshot, "no snapshot is loaded, and this is decided over one"))
}

/// How likely legs are late, by the pack that tells it; `None` where none is loaded.
fn risk(packs: &mut [LoadedPack], legs: &[Leg<'_>]) -> Option<Result<Vec<f32>>> {
    let pack = packs.iter_mut().find(|pack| matches!(pack.decision, Decision::Late(_)))?;
    match pack.parts() {
        (executor, weights, Decision::Late(model)) => Some(model.probabilities(legs, executor, weights)),
        _ => None,
    }
}

/// The pack of a name.
fn find<'a>(packs: &'a mut [LoadedPack], name: &str) -> Result<&'a mut LoadedPack> {
    match packs.iter().position(|pack| pack.info.name == name) {
        Some(at) => Ok(&mut packs[at]),
        None => {
            let names: Vec<_> = packs.iter().map(|pack| pack.info.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            Err(Error::new(ErrorKind::UnknownPack, format!("no pack `{name}` is loaded; loaded: {names}")))
        }
    }
}

impl LoadedPack {
    /// What answers requests: the executor, its weights where they lie, and what the pack decides.
    fn parts(&mut self) -> (&mut Executor, &[u8], &Decision) {
        let weights = self.bytes.as_slice().get(self.weights.clone()).unwrap_or_default();
        (&mut self.executor, weights, &self.decision)
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
                "the request does not decode: {}, or the shell was not built for ABI {ABI_VERSION}",
                undecoded(&error)
            ),
        )),
    }
}

#[inline(never)]
fn ranker(spec: RankSpec, view: &PackView<'_>, executor: &Executor, snapshot: Option<&Snapshot>) -> Result<Ranker> {
    let mut ranker = Ranker::new(spec, view.read(SectionKind::Tables)?, executor)?;
    if let Some(snapshot) = snapshot {
        ranker.take_promises(snapshot);
    }
    Ok(ranker)
}

fn reply(result: Result<Reply>) -> Reply {
    result.unwrap_or_else(|error| Reply::Fault(error.into()))
}
