//! What decides: a module, its packs and a snapshot, verified and tested together, and swapped as one.

use super::{check, guests::Pool};
use crate::{Runtime, RuntimeConfig, Trust, TrustError, WasmGuest, comparison::compare_outputs, sha256};
use std::sync::Arc;
use tradewind_core::{
    Day, Digest, Error, Id, Line, Millis, Money, SkuId, Task,
    allocate::{AllocateRequest, AllocationPolicy, Problem, ShopOrder},
    exceptions::{ExceptionRequest, Policy, Shipment, ShipmentLine},
    guest::{Client, ClientError, GuestError},
    message::InferRequest,
    pack::{PackView, Sample, SectionKind},
    plan::{Encoding, Plan},
    quote::{Objective, QuoteRequest},
    snapshot::{Fulfilment, Live, Snapshot, Storefront},
    tracking::{Scan, State},
};

/// A file that decides, or is decided over.
#[derive(Debug, Clone)]
pub(crate) struct Artefact {
    pub(crate) kind: Kind,
    /// What it is called: a pack's own name, else its kind.
    pub(crate) name: String,
    /// SHA-256 of the file.
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
    /// A module's, which has none in itself.
    pub(crate) signature: Option<String>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Module,
    Pack,
    Snapshot,
}

/// The files of a release: one module, one snapshot, and packs of different names.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) module: Artefact,
    pub(crate) packs: Vec<Artefact>,
    pub(crate) snapshot: Artefact,
}

/// A release that is ready to be asked.
pub(crate) struct Release {
    /// Releases of a database are counted.
    pub(crate) number: i64,
    pub(crate) parts: Arc<Parts>,
    pub(crate) snapshot: Snapshot,
    /// Guests with all of it loaded.
    pub(crate) pool: Arc<Pool>,
    /// Whether a pack says how likely a leg is late, and whether one prices.
    pub(crate) has_late: bool,
    pub(crate) has_price: bool,
}

/// Why files are not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    #[error("the {kind} is not trusted: {error}", kind = .kind.name())]
    Trust { kind: Kind, error: TrustError },
    #[error("the {} cannot be read: {error}", .kind.name())]
    Read { kind: Kind, error: Error },
    #[error("the snapshot is the public part; the warehouse needs the whole, with its nodes, lanes and stock")]
    Public,
    #[error(transparent)]
    Module(#[from] GuestError),
    #[error("{what}: {error}")]
    Refused { what: String, error: ClientError<GuestError> },
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
    /// A module with its detached signature, if the signature is trusted.
    pub(crate) fn module(bytes: Vec<u8>, signature: Option<String>, trust: &Trust) -> Result<Self, ReleaseError> {
        let digest = trust
            .verify_module(&bytes, signature.as_deref())
            .map_err(|error| ReleaseError::Trust { kind: Kind::Module, error })?;
        Ok(Self { kind: Kind::Module, name: Kind::Module.name().into(), digest, bytes, signature })
    }

    /// A pack or a snapshot, if its signature is trusted.
    pub(crate) fn signed(kind: Kind, bytes: Vec<u8>, trust: &Trust) -> Result<Self, ReleaseError> {
        let view = trust.verify(&bytes).map_err(|error| ReleaseError::Trust { kind, error })?;
        let is_snapshot = view.section(SectionKind::Storefront).is_some();
        if is_snapshot != (kind == Kind::Snapshot) {
            let other = if is_snapshot { "a snapshot, and no pack" } else { "a pack, and no snapshot" };
            return Err(ReleaseError::Wrong { what: "the file".into(), why: format!("it is {other}") });
        }
        let name = if is_snapshot { kind.name().into() } else { view.manifest().name.clone() };
        Ok(Self { kind, name, digest: sha256(&bytes), bytes, signature: None })
    }

    /// As it was kept by a database, verified again.
    pub(crate) fn kept(
        kind: Kind,
        bytes: Vec<u8>,
        signature: Option<String>,
        trust: &Trust,
    ) -> Result<Self, ReleaseError> {
        if kind == Kind::Module { Self::module(bytes, signature, trust) } else { Self::signed(kind, bytes, trust) }
    }
}

impl Parts {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Artefact> {
        [&self.module].into_iter().chain(&self.packs).chain([&self.snapshot])
    }

    /// The same with one file in place of that of its kind and name.
    pub(crate) fn with(mut self, artefact: Artefact) -> Self {
        match artefact.kind {
            Kind::Module => self.module = artefact,
            Kind::Snapshot => self.snapshot = artefact,
            Kind::Pack => {
                self.packs.retain(|pack| pack.name != artefact.name);
                self.packs.push(artefact);
                self.packs.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self
    }
}

impl Release {
    /// Compiles the module, loads all files and tests them. Takes seconds: call it where blocking is allowed.
    pub(crate) fn new(number: i64, parts: Parts, config: &RuntimeConfig) -> Result<Self, ReleaseError> {
        let read = |kind| move |error| ReleaseError::Read { kind, error };
        let view = PackView::parse(&parts.snapshot.bytes).map_err(read(Kind::Snapshot))?;
        let snapshot = Snapshot::read(&view).map_err(read(Kind::Snapshot))?;
        if snapshot.fulfilment.is_none() {
            return Err(ReleaseError::Public);
        }
        let tasks = parts.packs.iter().map(|pack| PackView::parse(&pack.bytes)?.read(SectionKind::Task));
        let tasks: Vec<Task> = tasks.collect::<Result<_, Error>>().map_err(read(Kind::Pack))?;
        let has_late = tasks.iter().any(|task| matches!(task, Task::Late(_)));
        let has_price = tasks.iter().any(|task| matches!(task, Task::Price(_)));
        let runtime = Runtime::with(&parts.module.bytes, config)?;
        let parts = Arc::new(parts);
        let mut first = client(&runtime, &parts)?;
        test(&mut first, &parts, &snapshot, has_late, has_price)?;
        let (module, loaded) = (parts.module.digest, Arc::clone(&parts));
        let pool = Arc::new(Pool::new(module, first, move || Ok(client(&runtime, &loaded)?)));
        Ok(Self { number, parts, snapshot, pool, has_late, has_price })
    }

    /// Nodes and stock, which every release has.
    pub(crate) fn fulfilment(&self) -> Option<&Fulfilment> {
        self.snapshot.fulfilment.as_ref()
    }
}

/// A guest with everything loaded.
fn client(runtime: &Runtime, parts: &Parts) -> Result<Client<WasmGuest>, ReleaseError> {
    let refused = |what: String| move |error| ReleaseError::Refused { what, error };
    let mut client = Client::new(runtime.guest()?);
    for pack in &parts.packs {
        client.load(&pack.bytes).map_err(refused(format!("the module does not load the pack `{}`", pack.name)))?;
    }
    client.load_snapshot(&parts.snapshot.bytes).map_err(refused("the module does not load the snapshot".into()))?;
    Ok(client)
}

/// Runs what packs have recorded, and one request of each kind that the service makes.
fn test(
    client: &mut Client<WasmGuest>,
    parts: &Parts,
    snapshot: &Snapshot,
    has_late: bool,
    has_price: bool,
) -> Result<(), ReleaseError> {
    let refused = |what: &str| {
        let what = format!("self-test: {what}");
        move |error| ReleaseError::Refused { what, error }
    };
    let wrong = |what: &str, why: String| ReleaseError::Wrong { what: what.to_owned(), why };
    for pack in &parts.packs {
        let what = format!("the samples of the pack `{}`", pack.name);
        samples(client, pack).map_err(|error| match error {
            SampleError::Read(error) => ReleaseError::Read { kind: Kind::Pack, error },
            SampleError::Refused(error) => refused(&what)(error),
            SampleError::Wrong(why) => wrong(&what, why),
        })?;
    }
    let golden = Golden::new(snapshot, has_late).map_err(|error| ReleaseError::Read { kind: Kind::Snapshot, error })?;
    let Some(golden) = golden else { return Ok(()) };
    let orders = golden.allocate.orders.clone();
    let allocated = client.allocate(golden.allocate).map_err(refused("an allocation"))?;
    check::plan(&orders, &allocated, snapshot).map_err(|why| wrong("an allocation", why))?;
    client.exceptions(golden.exceptions).map_err(refused("a look at a shipment"))?;
    if let Some(quote) = golden.quote.filter(|_| has_price) {
        let quote = client.quote(quote).map_err(refused("a price"))?;
        if quote.price < quote.floor || quote.price <= Money(0) {
            return Err(wrong("a price", format!("{} is below its floor of {}", quote.price.0, quote.floor.0)));
        }
    }
    Ok(())
}

fn samples(client: &mut Client<WasmGuest>, pack: &Artefact) -> Result<(), SampleError> {
    let view = PackView::parse(&pack.bytes)?;
    let Some(samples) = view.read_optional::<Vec<Sample>>(SectionKind::Samples)? else { return Ok(()) };
    let plan: Plan = view.read(SectionKind::Plan)?;
    // Weights in fewer bytes give other numbers than those recorded; how far off, packing has measured.
    let exact = plan.weights.iter().all(|weight| weight.encoding == Encoding::Plain);
    for Sample { inputs, outputs } in samples {
        let found = client.infer(InferRequest { pack: pack.name.clone(), inputs }).map_err(SampleError::Refused)?;
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
    Refused(ClientError<GuestError>),
    Wrong(String),
}

impl From<Error> for SampleError {
    fn from(error: Error) -> Self {
        Self::Read(error)
    }
}

/// Requests that every module must be able to answer over a snapshot.
struct Golden {
    allocate: AllocateRequest,
    exceptions: ExceptionRequest,
    quote: Option<QuoteRequest>,
}

impl Golden {
    /// An order for one unit of the first product that a node has, its shipment, and the first price. `None`
    /// for a snapshot in which nothing can be ordered.
    fn new(snapshot: &Snapshot, has_late: bool) -> Result<Option<Self>, Error> {
        let Storefront { issued: at, catalog, regions, .. } = &snapshot.storefront;
        let at = *at;
        let stocked = snapshot.fulfilment.iter().flat_map(|fulfilment| &fulfilment.nodes).find_map(|node| {
            let product = node.stock.0.iter().find(|stock| stock.available() > 0)?.product;
            Some((node, catalog.sku(product)?.clone()))
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
        let priced =
            snapshot.pricing.as_ref().and_then(|pricing| pricing.products.first()).map(|inputs| inputs.product);
        let quote = |product: SkuId| {
            let (product, region) = (catalog.sku(product)?.clone(), region.code.clone());
            Some(QuoteRequest {
                pack: None,
                snapshot: snapshot.root,
                at,
                product,
                region,
                objective: Objective::MARGIN,
            })
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
