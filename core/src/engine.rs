//! Engine: loaded packs, a snapshot, and one function from request to reply.

use crate::{
    ABI_VERSION,
    aligned::{AlignedBytes, headroom},
    decisions::{
        allocate::{self, AllocateRequest, Allocated},
        exceptions::{self, ExceptionRequest, ExceptionScore},
        forecast::{self, ForecastRequest, Weeks},
        insight::{InsightModel, InsightRequest, InsightSpec, Insights},
        quote::{self, Quote, QuoteRequest},
        rank::{RankRequest, RankSpec, Ranker, Ranking},
        task::Task,
    },
    error::{Error, ErrorKind, Result},
    exec::{Executor, Matrix},
    message::{
        Decision, Describe, Description, FAULT, Fault, InferRequest, LOADED, Loaded, MAX_REQUEST_LEN, PackInfo,
        PortInfo, SCORED, encode,
    },
    model::{
        demand::{DemandModel, PriceModel},
        late::{LateModel, Leg},
        tables::RankTables,
    },
    pack::{GROWTH, PackView, SectionKind, undecoded},
    plan::{Plan, Port},
    snapshot::{Live, Snapshot, SnapshotInfo},
    tensor::Tensor,
};
use alloc::{format, string::ToString, sync::Arc, vec::Vec};
use core::ops::Range;

/// Loaded packs and snapshot.
///
/// A reply is a function of these and the request alone: no clock, no randomness, no state between requests.
#[derive(Debug, Default)]
pub struct Engine {
    packs: Vec<LoadedPack>,
    snapshot: Option<Snapshot>,
}

/// Pack that is ready to answer requests.
#[derive(Debug)]
pub(crate) struct LoadedPack {
    info: PackInfo,
    /// Bytes of the pack, which include the weights; or only the weights, if they were expanded.
    bytes: Arc<AlignedBytes>,
    weights: Range<usize>,
    executor: Executor,
    purpose: Purpose,
}

/// Purpose of a pack, in addition to inference on tensors.
#[derive(Debug)]
enum Purpose {
    Tensors,
    Rank(Ranker),
    Demand(DemandModel),
    Price(PriceModel),
    Late(LateModel),
    Insight(InsightModel),
}

impl Engine {
    /// Maximum number of loaded packs.
    pub const MAX_PACKS: usize = 64;

    /// Creates an engine without packs and snapshot.
    pub const fn new() -> Self {
        Self { packs: Vec::new(), snapshot: None }
    }

    /// Loads a pack, which replaces a pack of the same name, or a snapshot, which replaces the loaded one. Weights are
    /// used in place; encoded weights are expanded once.
    ///
    /// The shell must verify it first: see [`PackView::verify`]. The reply has the number [`LOADED`].
    pub fn load(&mut self, bytes: AlignedBytes) -> Vec<u8> {
        reply(self.try_load(bytes).map(|loaded| encode(LOADED, &loaded)))
    }

    /// Answers a request; returns the bytes of the reply.
    pub fn call(&mut self, request: &[u8]) -> Vec<u8> {
        reply(self.try_call(request))
    }

    /// Scores column-major features with the pack of a handle: see [`Executor::score`]. The reply has the number
    /// [`SCORED`].
    pub fn score(&mut self, handle: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Vec<u8> {
        reply(self.try_score(handle, rows, columns, scores).map(|()| encode(SCORED, &())))
    }

    #[inline(never)]
    fn load_snapshot(&mut self, view: &PackView<'_>, bytes: &Arc<AlignedBytes>) -> Result<SnapshotInfo> {
        headroom(FIXED)?;
        let snapshot = Snapshot::in_place(view, bytes)?;
        let info = snapshot.info();
        for pack in &mut self.packs {
            if let Purpose::Rank(ranker) = &mut pack.purpose {
                ranker.know(&snapshot)?;
            }
        }
        self.snapshot = Some(snapshot);
        Ok(info)
    }

    fn try_load(&mut self, bytes: AlignedBytes) -> Result<Loaded> {
        let bytes = Arc::new(bytes);
        let view = PackView::parse(bytes.as_slice())?;
        if view.section(SectionKind::Storefront).is_some() {
            return self.load_snapshot(&view, &bytes).map(Loaded::Snapshot);
        }
        let len = |kind| view.section(kind).map_or(0, |range| range.len());
        headroom(GROWTH * len(SectionKind::Plan) + FIXED)?;
        let name = view.manifest().name.clone();
        let known = self.packs.iter().position(|pack| pack.info.name == name);
        if known.is_none() && self.packs.len() >= Self::MAX_PACKS {
            return Err(Error::new(ErrorKind::TooLarge, format!("{} packs are loaded: the maximum", Self::MAX_PACKS)));
        }
        let section = view.section(SectionKind::Weights).unwrap_or(0..0);
        let mut plan: Plan = view.read(SectionKind::Plan)?;
        let stored = bytes.as_slice().get(section.clone()).unwrap_or_default();
        let expanded = plan.expand(stored)?;
        // Checking trees needs a few numbers for each node.
        headroom(stored.len() / 2 + FIXED)?;
        let executor = Executor::new(plan, expanded.as_ref().map_or(stored, AlignedBytes::as_slice))?;
        headroom(GROWTH * len(SectionKind::Task) + FIXED)?;
        let purpose = match view.read(SectionKind::Task)? {
            Task::Infer => Purpose::Tensors,
            Task::Rank(spec) => Purpose::Rank(ranker(
                spec,
                view.columns(SectionKind::Tables, &bytes)?,
                &executor,
                self.snapshot.as_ref(),
            )?),
            Task::Demand(spec) => Purpose::Demand(DemandModel::new(spec, &executor)?),
            Task::Price(spec) => Purpose::Price(PriceModel::new(spec, &executor)?),
            Task::Late(spec) => Purpose::Late(LateModel::new(spec, &executor)?),
            Task::Insight(spec) => {
                Purpose::Insight(insight(spec, view.optional_columns(SectionKind::Tables, &bytes)?, &executor)?)
            }
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
                (Arc::new(expanded), all)
            }
        };
        let pack = LoadedPack { info: info.clone(), weights, executor, purpose, bytes };
        match self.packs.get_mut(handle) {
            Some(slot) => *slot = pack,
            None => self.packs.push(pack),
        }
        Ok(Loaded::Pack(info))
    }

    fn try_call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        if request.len() > MAX_REQUEST_LEN {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a request of {} bytes; the limit is {MAX_REQUEST_LEN}", request.len()),
            ));
        }
        headroom(GROWTH * request.len() + FIXED)?;
        let (number, body) = postcard::take_from_bytes(request).map_err(|error| malformed(&error))?;
        self.dispatch(number, body)
    }

    fn describe(&mut self, _: Describe) -> Result<Description> {
        Ok(Description {
            abi: ABI_VERSION,
            packs: self.packs.iter().map(|pack| pack.info.clone()).collect(),
            snapshot: self.snapshot.as_ref().map(Snapshot::info),
        })
    }

    fn infer(&mut self, request: InferRequest) -> Result<Vec<Tensor>> {
        let (executor, weights, _) = find(&mut self.packs, &request.pack)?.parts();
        executor.infer(weights, &request.inputs)
    }

    fn rank(&mut self, request: RankRequest) -> Result<Ranking> {
        let (executor, weights, purpose) = find(&mut self.packs, &request.pack)?.parts();
        let Purpose::Rank(ranker) = purpose else {
            return Err(other_task(&request.pack));
        };
        ranker.rank(request, self.snapshot.as_ref(), executor, weights)
    }

    fn quote(&mut self, request: QuoteRequest) -> Result<Quote> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        let pack =
            answering(&mut self.packs, request.pack.as_deref(), &|purpose| matches!(purpose, Purpose::Price(_)))?;
        let Some((executor, weights, Purpose::Price(model))) = pack.map(LoadedPack::parts) else {
            return Err(Error::new(ErrorKind::UnknownPack, "no price pack is loaded"));
        };
        quote::quote(snapshot, &request, &mut |inputs, offer, prices| {
            model.units(&request.sku, inputs.history, offer, prices, executor, weights)
        })
    }

    fn forecast(&mut self, request: ForecastRequest) -> Result<Vec<Weeks>> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        let pack =
            answering(&mut self.packs, request.pack.as_deref(), &|purpose| matches!(purpose, Purpose::Demand(_)))?;
        let Some((executor, weights, Purpose::Demand(model))) = pack.map(LoadedPack::parts) else {
            return Err(Error::new(ErrorKind::UnknownPack, "no demand pack is loaded"));
        };
        forecast::forecast(snapshot, &request, model, executor, weights)
    }

    fn allocate(&mut self, request: AllocateRequest) -> Result<Allocated> {
        let snapshot = loaded(self.snapshot.as_ref())?;
        let named = request.late.as_deref();
        allocate::answer(snapshot, &request, &mut |legs| match risk(&mut self.packs, named, legs) {
            Some(risks) => risks,
            None => Err(Error::new(
                ErrorKind::UnknownPack,
                "no lateness pack is loaded; load one, or set the cost of lateness to 0",
            )),
        })
    }

    fn exceptions(&mut self, mut request: ExceptionRequest) -> Result<Vec<ExceptionScore>> {
        if let Some(root) = request.snapshot {
            let snapshot = loaded(self.snapshot.as_ref())?;
            snapshot.is(root)?;
            let (packs, named) = (&mut self.packs, request.late.take());
            let knows = risk(packs, named.as_deref(), &[]).is_some();
            let mut late = |legs: &[Leg<'_>]| risk(packs, named.as_deref(), legs).unwrap_or_else(|| Ok(Vec::new()));
            exceptions::complete(&mut request, snapshot, if knows { Some(&mut late) } else { None })?;
        } else if request.live != Live::default() || request.late.is_some() {
            return Err(Error::new(ErrorKind::BadRequest, "`live` and `late` need a `snapshot`"));
        }
        exceptions::exceptions(&request)
    }

    fn insight(&mut self, request: InsightRequest) -> Result<Insights> {
        let pack =
            answering(&mut self.packs, request.pack.as_deref(), &|purpose| matches!(purpose, Purpose::Insight(_)))?;
        let Some(pack) = pack else {
            return Err(Error::new(ErrorKind::UnknownPack, "no insight is loaded"));
        };
        let name = pack.info.name.clone();
        match pack.parts() {
            (executor, weights, Purpose::Insight(model)) => {
                model.insight(&name, &request, self.snapshot.as_ref(), executor, weights)
            }
            _ => Err(Error::new(ErrorKind::UnknownPack, "no insight is loaded")),
        }
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

/// Returns the snapshot, or an error if none is loaded.
fn loaded(snapshot: Option<&Snapshot>) -> Result<&Snapshot> {
    snapshot.ok_or_else(|| Error::new(ErrorKind::NoSnapshot, "no snapshot is loaded, but this decision needs one"))
}

/// Finds the pack that answers a request: the one it names, or else the only one of the right task; `None` without such
/// a pack.
/// none.
fn answering<'a>(
    packs: &'a mut [LoadedPack],
    named: Option<&str>,
    is: &dyn Fn(&Purpose) -> bool,
) -> Result<Option<&'a mut LoadedPack>> {
    if let Some(name) = named {
        let pack = find(packs, name)?;
        return if is(&pack.purpose) { Ok(Some(pack)) } else { Err(other_task(name)) };
    }
    let mut fitting = packs.iter_mut().filter(|pack| is(&pack.purpose));
    let (first, second) = (fitting.next(), fitting.next());
    if let (Some(first), Some(second)) = (&first, &second) {
        let (first, second) = (&first.info.name, &second.info.name);
        let message = format!("the packs `{first}` and `{second}` both answer this; name one in the request");
        return Err(Error::new(ErrorKind::UnknownPack, message));
    }
    Ok(first)
}

#[cold]
fn other_task(pack: &str) -> Error {
    Error::new(ErrorKind::UnknownPack, format!("pack `{pack}` is for another task"))
}

/// Probabilities that legs are late, from the pack for lateness; `None` if none is loaded.
fn risk(packs: &mut [LoadedPack], named: Option<&str>, legs: &[Leg<'_>]) -> Option<Result<Vec<f32>>> {
    let pack = match answering(packs, named, &|purpose| matches!(purpose, Purpose::Late(_))) {
        Ok(pack) => pack?,
        Err(error) => return Some(Err(error)),
    };
    match pack.parts() {
        (executor, weights, Purpose::Late(model)) => Some(model.probabilities(legs, executor, weights)),
        _ => None,
    }
}

/// Finds the pack of a name.
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
    /// Executor, weights and purpose of the pack.
    fn parts(&mut self) -> (&mut Executor, &[u8], &Purpose) {
        let weights = self.bytes.as_slice().get(self.weights.clone()).unwrap_or_default();
        (&mut self.executor, weights, &self.purpose)
    }
}

/// Memory for a call beyond what depends on its request, in bytes.
const FIXED: usize = 2 << 20;

/// The only list of decisions: number, name, request, answer and function of each.
///
/// Dispatch, the calls of clients and the fault for an unknown number are generated from it. Numbers are part of the
/// ABI and are never reused. Numbers from 101 on are not decisions: see [`LOADED`].
macro_rules! decisions {
    ($then:ident) => {
        $then! {
            /// Lists the loaded packs and snapshot.
            1 describe: crate::message::Describe => crate::message::Description = crate::Engine::describe,
            /// Runs a model; outputs are in the model's order, and NaN is canonical.
            2 infer: crate::message::InferRequest => alloc::vec::Vec<crate::tensor::Tensor> = crate::Engine::infer,
            /// Ranks products for a shopper.
            3 rank: crate::rank::RankRequest => crate::rank::Ranking = crate::Engine::rank,
            /// Prices a product.
            4 quote: crate::quote::QuoteRequest => crate::quote::Quote = crate::Engine::quote,
            /// Forecasts the demand for products, week by week.
            5 forecast: crate::forecast::ForecastRequest => alloc::vec::Vec<crate::forecast::Weeks> = crate::Engine::forecast,
            /// Assigns orders to the nodes they ship from.
            6 allocate: crate::allocate::AllocateRequest => crate::allocate::Allocated = crate::Engine::allocate,
            /// Finds shipments that need attention, the worst first.
            7 exceptions: crate::exceptions::ExceptionRequest => alloc::vec::Vec<crate::exceptions::ExceptionScore> = crate::Engine::exceptions,
            /// Computes an insight, row by row.
            8 insight: crate::insight::InsightRequest => crate::insight::Insights = crate::Engine::insight,
        }
    };
}
pub(crate) use decisions;

/// Generates dispatch from the table. WebAssembly engines compile a function when it is first called, so each decision
/// is decoded, made and encoded in its own function: a request compiles only its own code, and a shell that makes only
/// some decisions contains only theirs.
macro_rules! dispatch {
    ($($(#[$doc:meta])* $number:literal $name:ident: $request:ty => $answer:ty = $decide:path,)*) => {
        $(impl Decision for $request {
            const NUMBER: u32 = $number;
            const NAME: &'static str = stringify!($name);
            type Answer = $answer;
        })*

        /// Numbers and names of all decisions, ascending.
        pub const DECISIONS: &[(u32, &str)] = &[$(($number, stringify!($name)),)*];

        /// Calls a visitor with the type of a decision, selected by its number; `None` for an unknown number.
        pub fn with_decision<V: WithDecision>(number: u32, visitor: V) -> Option<V::Output> {
            match number {
                $($number => Some(visitor.with::<$request>()),)*
                _ => None,
            }
        }

        impl Engine {
            fn dispatch(&mut self, number: u32, body: &[u8]) -> Result<Vec<u8>> {
                match number {
                    $($number => decided(self, body, $decide),)*
                    _ => Err(Error::new(
                        ErrorKind::Malformed,
                        format!("unknown decision {number}; the shell was not built for ABI {ABI_VERSION}"),
                    )),
                }
            }
        }
    };
}

decisions!(dispatch);

/// Visitor of the decision that [`with_decision`] finds.
pub trait WithDecision {
    /// Result of the visit.
    type Output;

    /// Visits a decision.
    fn with<D: Decision>(self) -> Self::Output;
}

/// Decodes a request, decides, and encodes the reply.
#[inline(never)]
fn decided<D: Decision>(
    engine: &mut Engine,
    body: &[u8],
    decide: impl FnOnce(&mut Engine, D) -> Result<D::Answer>,
) -> Result<Vec<u8>> {
    let (request, rest) = postcard::take_from_bytes(body).map_err(|error| malformed(&error))?;
    if !rest.is_empty() {
        return Err(Error::new(ErrorKind::Malformed, format!("{} bytes follow the request", rest.len())));
    }
    Ok(encode(D::NUMBER, &decide(engine, request)?))
}

#[cold]
fn malformed(error: &postcard::Error) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the request does not decode: {}, or the shell was not built for ABI {ABI_VERSION}", undecoded(error)),
    )
}

#[inline(never)]
fn insight(spec: InsightSpec, tables: Option<RankTables>, executor: &Executor) -> Result<InsightModel> {
    InsightModel::new(spec, tables.unwrap_or_default(), executor)
}

#[inline(never)]
fn ranker(spec: RankSpec, tables: RankTables, executor: &Executor, snapshot: Option<&Snapshot>) -> Result<Ranker> {
    let mut ranker = Ranker::new(spec, tables, executor)?;
    if let Some(snapshot) = snapshot {
        ranker.know(snapshot)?;
    }
    Ok(ranker)
}

/// Bytes of a reply, or of a fault.
fn reply(result: Result<Vec<u8>>) -> Vec<u8> {
    result.unwrap_or_else(|error| encode(FAULT, &Fault::from(error)))
}
