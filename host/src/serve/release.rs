//! Releases: a module, its packs and a snapshot, verified, tested and swapped together.

use super::check;
use crate::{
    AskError, BuildError, Builder, Module, Pack, Runtime, RuntimeConfig, Tradewind, Trust, TrustError, Verified,
    comparison::compare_outputs,
};
use std::num::NonZeroUsize;
use tradewind_core::{
    Day, Digest, Error, Id, Line, Millis, Money, SkuId, Task,
    allocate::{AllocateRequest, AllocationPolicy, Problem, ShopOrder},
    exceptions::{ExceptionRequest, Policy, Shipment, ShipmentLine},
    guest::GuestError,
    message::InferRequest,
    pack::{Sample, SectionKind},
    plan::{Encoding, Plan},
    quote::{Objective, QuoteRequest},
    snapshot::{Fulfilment, Live, Snapshot, Storefront},
    tracking::{Scan, State},
};

/// File of a release.
#[derive(Debug, Clone)]
pub(crate) enum Artefact {
    Module(Verified<Module>),
    Pack(Verified<Pack>),
    Snapshot(Verified<Snapshot>),
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Module,
    Pack,
    Snapshot,
}

/// Files of a release: one module, one snapshot, and packs with different names.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) module: Verified<Module>,
    pub(crate) packs: Vec<Verified<Pack>>,
    pub(crate) snapshot: Verified<Snapshot>,
}

/// Release ready for requests.
pub(crate) struct Release {
    /// Number, counted per database.
    pub(crate) number: i64,
    pub(crate) parts: Parts,
    pub(crate) snapshot: Verified<Snapshot>,
    /// Host with all files loaded.
    pub(crate) tradewind: Tradewind,
    /// Whether a lateness pack and a price pack are loaded.
    pub(crate) has_late: bool,
    pub(crate) has_price: bool,
}

/// Reason why files are rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("the {kind} is not trusted: {error}", kind = .kind.name())]
    Trust { kind: Kind, error: TrustError },
    #[error("the {} cannot be read: {error}", .kind.name())]
    Read { kind: Kind, error: Error },
    #[error("the snapshot is the public part; the warehouse needs the full snapshot, with nodes, lanes and stock")]
    Public,
    #[error(transparent)]
    Module(#[from] GuestError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("{what}: {error}")]
    Refused { what: String, error: AskError },
    #[error("self-test: {what}: {why}")]
    Wrong { what: String, why: String },
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Pack => "pack",
            Self::Snapshot => "snapshot",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Module, Self::Pack, Self::Snapshot].into_iter().find(|kind| kind.name() == name)
    }
}

impl Artefact {
    /// Checks a file's signature; a module's is detached.
    pub(crate) fn new(
        kind: Kind,
        bytes: Vec<u8>,
        signature: Option<String>,
        trust: &Trust,
    ) -> Result<Self, ReleaseError> {
        Ok(match kind {
            Kind::Module => Self::Module(module(bytes, signature, trust)?),
            Kind::Pack => Self::Pack(pack(bytes, trust)?),
            Kind::Snapshot => Self::Snapshot(snapshot(bytes, trust)?),
        })
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Module(_) => Kind::Module,
            Self::Pack(_) => Kind::Pack,
            Self::Snapshot(_) => Kind::Snapshot,
        }
    }

    /// SHA-256 of the file.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Module(module) => module.digest(),
            Self::Pack(pack) => pack.digest(),
            Self::Snapshot(snapshot) => snapshot.digest(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Module(module) => module.bytes(),
            Self::Pack(pack) => pack.bytes(),
            Self::Snapshot(snapshot) => snapshot.bytes(),
        }
    }

    /// Signature of a module; other files contain theirs.
    pub(crate) fn signature(&self) -> Option<&str> {
        match self {
            Self::Module(module) => module.signature.as_deref(),
            Self::Pack(_) | Self::Snapshot(_) => None,
        }
    }
}

/// Checks a module with its detached signature.
pub(crate) fn module(
    bytes: Vec<u8>,
    signature: Option<String>,
    trust: &Trust,
) -> Result<Verified<Module>, ReleaseError> {
    Verified::module(bytes, signature, trust).map_err(untrusted(Kind::Module))
}

/// Checks a pack's signature.
pub(crate) fn pack(bytes: Vec<u8>, trust: &Trust) -> Result<Verified<Pack>, ReleaseError> {
    Verified::pack(bytes, trust).map_err(untrusted(Kind::Pack))
}

/// Checks a snapshot's signature.
pub(crate) fn snapshot(bytes: Vec<u8>, trust: &Trust) -> Result<Verified<Snapshot>, ReleaseError> {
    Verified::snapshot(bytes, trust).map_err(untrusted(Kind::Snapshot))
}

fn untrusted(kind: Kind) -> impl FnOnce(TrustError) -> ReleaseError {
    move |error| match error {
        TrustError::Contents(error) => ReleaseError::Read { kind, error },
        error @ TrustError::Kind { .. } => ReleaseError::Wrong { what: "the file".into(), why: error.to_string() },
        error => ReleaseError::Trust { kind, error },
    }
}

impl Parts {
    /// All files.
    pub(crate) fn all(&self) -> impl Iterator<Item = Artefact> {
        let packs = self.packs.iter().cloned().map(Artefact::Pack);
        let (module, snapshot) = (self.module.clone(), self.snapshot.clone());
        [Artefact::Module(module)].into_iter().chain(packs).chain([Artefact::Snapshot(snapshot)])
    }

    /// Replaces the file with the same kind and name.
    pub(crate) fn with(mut self, artefact: Artefact) -> Self {
        match artefact {
            Artefact::Module(module) => self.module = module,
            Artefact::Snapshot(snapshot) => self.snapshot = snapshot,
            Artefact::Pack(pack) => {
                self.packs.retain(|before| before.name != pack.name);
                self.packs.push(pack);
                self.packs.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self
    }
}

impl Release {
    /// Compiles the module, loads all files and tests them. Takes seconds, so call it on a blocking thread.
    pub(crate) fn new(
        number: i64,
        parts: Parts,
        config: &RuntimeConfig,
        instances: NonZeroUsize,
    ) -> Result<Self, ReleaseError> {
        let snapshot = parts.snapshot.clone();
        if snapshot.fulfilment.is_none() {
            return Err(ReleaseError::Public);
        }
        let has_late = parts.packs.iter().any(|pack| matches!(pack.task, Task::Late(_)));
        let has_price = parts.packs.iter().any(|pack| matches!(pack.task, Task::Price(_)));
        let runtime = Runtime::with(parts.module.bytes(), config)?;
        let builder = Tradewind::builder().runtime(runtime).instances(instances).verified_snapshot(snapshot.clone());
        let tradewind = parts.packs.iter().cloned().fold(builder, Builder::verified_pack).build()?;
        test(&tradewind, &snapshot, has_late, has_price)?;
        Ok(Self { number, parts, snapshot, tradewind, has_late, has_price })
    }

    /// Nodes and stock, which every release has.
    pub(crate) fn fulfilment(&self) -> Option<&Fulfilment> {
        self.snapshot.fulfilment.as_ref()
    }
}

/// Runs the packs' recorded samples, and one request of each kind that the service makes.
fn test(tradewind: &Tradewind, snapshot: &Snapshot, has_late: bool, has_price: bool) -> Result<(), ReleaseError> {
    let refused = |what: &str| {
        let what = format!("self-test: {what}");
        move |error| ReleaseError::Refused { what, error }
    };
    let wrong = |what: &str, why: String| ReleaseError::Wrong { what: what.to_owned(), why };
    for pack in tradewind.packs() {
        let what = format!("the samples of the pack `{}`", pack.name);
        samples(tradewind, pack).map_err(|error| match error {
            SampleError::Read(error) => ReleaseError::Read { kind: Kind::Pack, error },
            SampleError::Refused(error) => refused(&what)(error),
            SampleError::Wrong(why) => wrong(&what, why),
        })?;
    }
    let golden = Golden::new(snapshot, has_late).map_err(|error| ReleaseError::Read { kind: Kind::Snapshot, error })?;
    let Some(golden) = golden else { return Ok(()) };
    let orders = golden.allocate.orders.clone();
    let allocated = tradewind.allocate(&golden.allocate).map_err(refused("an allocation"))?;
    check::plan(&orders, &allocated, snapshot).map_err(|why| wrong("an allocation", why))?;
    tradewind.exceptions(&golden.exceptions).map_err(refused("an exception scan"))?;
    if let Some(quote) = golden.quote.filter(|_| has_price) {
        let quote = tradewind.quote(&quote).map_err(refused("a price"))?;
        if quote.price < quote.floor || quote.price <= Money(0) {
            return Err(wrong("a price", format!("{} is below its floor of {}", quote.price.0, quote.floor.0)));
        }
    }
    Ok(())
}

fn samples(tradewind: &Tradewind, pack: &Verified<Pack>) -> Result<(), SampleError> {
    let view = pack.view()?;
    let Some(samples) = view.read_optional::<Vec<Sample>>(SectionKind::Samples)? else { return Ok(()) };
    let plan: Plan = view.read(SectionKind::Plan)?;
    // Encoded weights give other numbers than the recorded ones; packing has measured the difference.
    let exact = plan.weights.iter().all(|weight| weight.encoding == Encoding::Plain);
    for Sample { inputs, outputs } in samples {
        let request = InferRequest { pack: pack.name.clone(), inputs };
        let found = tradewind.infer(&request).map_err(SampleError::Refused)?;
        if exact {
            compare_outputs(&found, &outputs, true).map_err(SampleError::Wrong)?;
        } else if found.iter().map(|output| &output.shape).ne(outputs.iter().map(|output| &output.shape)) {
            return Err(SampleError::Wrong("outputs of other shapes".into()));
        }
    }
    Ok(())
}

enum SampleError {
    Read(Error),
    Refused(AskError),
    Wrong(String),
}

impl From<Error> for SampleError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

/// Requests that every module must answer with a snapshot.
struct Golden {
    allocate: AllocateRequest,
    exceptions: ExceptionRequest,
    quote: Option<QuoteRequest>,
}

impl Golden {
    /// An order for one unit of the first product in stock, its shipment, and the first price. `None` for a snapshot in
    /// which nothing can be ordered.
    fn new(snapshot: &Snapshot, has_late: bool) -> Result<Option<Self>, Error> {
        let Storefront { issued: at, catalog, regions, .. } = &snapshot.storefront;
        let at = *at;
        let stocked = snapshot.fulfilment.iter().flat_map(|fulfilment| &fulfilment.nodes).find_map(|node| {
            let product = node.stock.entries().iter().find(|stock| stock.available() > 0)?.product;
            Some((node, catalog.sku(product)?))
        });
        let (Some((node, sku)), Some(region)) = (stocked, regions.first()) else { return Ok(None) };
        let late = if has_late { Money(1) } else { Money(0) };
        let lines = vec![Line { sku: sku.clone(), quantity: 1 }];
        let order = ShopOrder {
            id: Id::new("self-test")?,
            region: region.code.clone(),
            lines,
            promised: Day(at.day().0 + 7),
            priority: 0,
            complete: false,
            max_splits: Problem::MAX_SHIPMENTS as u16,
            pinned: None,
            excluded: Vec::new(),
        };
        let zero = Money(0);
        let shipment = Shipment {
            id: Id::new("self-test.1")?,
            order: order.id.clone(),
            node: Id::new(node.code.as_str())?,
            region: Id::new(region.code.as_str())?,
            lines: vec![ShipmentLine { sku, quantity: 1, value: Money(1_000), stock: None }],
            created: at,
            promised: Millis(at.0 + Millis::DAY),
            leg: None,
            scans: vec![Scan { state: State::Created, at, place: Id::new(node.code.as_str())? }],
            alternatives: Vec::new(),
        };
        let policy = AllocationPolicy {
            day_late: zero,
            late,
            split: zero,
            missing: Money(1_000_000),
            stock_out: zero,
            change: zero,
        };
        let priced = snapshot.pricing.as_ref().and_then(|pricing| pricing.products().first()).copied();
        let quote = |product: SkuId| {
            let (sku, region) = (catalog.sku(product)?, region.code.clone());
            Some(QuoteRequest { pack: None, snapshot: snapshot.root, at, sku, region, objective: Objective::MARGIN })
        };
        Ok(Some(Self {
            allocate: AllocateRequest {
                snapshot: snapshot.root,
                at,
                orders: vec![order],
                policy,
                live: Live::default(),
                previous: Vec::new(),
                late: None,
            },
            exceptions: ExceptionRequest {
                snapshot: Some(snapshot.root),
                at,
                shipments: vec![shipment],
                policy: Policy::default(),
                limit: 10,
                ..ExceptionRequest::default()
            },
            quote: priced.and_then(quote),
        }))
    }
}
