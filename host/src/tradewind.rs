//! [`Tradewind`]: a module with packs and a snapshot, with typed calls from any thread.

use crate::{
    pool::{Loaded, NoInstance, Pool},
    receipts::{Difference, Record},
    runtime::{Limits, Runtime, RuntimeConfig},
    trust::{Trust, TrustError},
    verified::{Pack, Verified},
};
use std::{fmt, num::NonZeroUsize, path::PathBuf, sync::Arc, thread, time::Duration};
use tradewind_core::{
    Code, Millis,
    allocate::{AllocateRequest, Allocated},
    exceptions::{ExceptionRequest, ExceptionScore},
    forecast::{ForecastRequest, Weeks},
    guest::{
        Client, ClientError, GuestError,
        checkout::{Claim, Refusal},
    },
    insight::{InsightRequest, Insights},
    message::{Decision, InferRequest},
    pack::PackView,
    quote::{Objective, Quote, QuoteRequest},
    rank::{RankRequest, Ranking},
    snapshot::Snapshot,
    tensor::Tensor,
};

/// Module with packs and optionally a snapshot loaded, and a pool of warm instances.
///
/// It is `Send` and `Sync`, and clones share the pool. Calls block: in async code, use a blocking thread
/// (`tokio::task::spawn_blocking`). Each call has exclusive use of an instance; an instance that trapped, or was
/// stopped at a limit, is replaced.
///
/// ```no_run
/// use std::{fs::{read, read_to_string}, time::Duration};
/// use tradewind_host::{Limits, Tradewind, Trust};
///
/// # fn main() -> anyhow::Result<()> {
/// let tradewind = Tradewind::builder()
///     .module(read("dist/tradewind.wasm")?)
///     .signature(read_to_string("dist/tradewind.wasm.sig")?)
///     .trust(Trust::read(&["dist/keys/dev.pub"])?)
///     .pack(read("dist/packs/recommend.pack")?)
///     .snapshot(read("dist/reference.snapshot")?)
///     .limits(Limits::default().deadline(Duration::from_secs(1)))
///     .build()?;
///
/// // The next snapshot: shares the compiled module and the packs; holders of `tradewind` continue with the old one.
/// let next = tradewind.successor().snapshot(read("dist/reference.snapshot")?).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tradewind {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool<BuildError>,
    runtime: Runtime,
    files: Arc<Files>,
    trust: Option<Trust>,
    instances: NonZeroUsize,
    patience: Duration,
}

/// Files loaded in every instance.
struct Files {
    packs: Vec<Verified<Pack>>,
    snapshot: Option<Verified<Snapshot>>,
}

/// Builder of a [`Tradewind`]: see [`Tradewind::builder`].
#[must_use]
pub struct Builder {
    module: Option<Module>,
    signature: Option<String>,
    trust: Option<Trust>,
    packs: Vec<Source<Pack>>,
    snapshot: Option<Source<Snapshot>>,
    limits: Option<Limits>,
    cache: Option<PathBuf>,
    instances: NonZeroUsize,
    patience: Duration,
}

enum Module {
    Wasm(Vec<u8>),
    Compiled(Runtime),
}

enum Source<T> {
    Bytes(Vec<u8>),
    Verified(Verified<T>),
}

/// Reason why a [`Tradewind`] was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// [`Builder::module`] was not called.
    #[error("no module: give one with `module`")]
    NoModule,
    /// Files were given, and [`Builder::trust`] was not called.
    #[error("no trusted keys: give them with `trust`")]
    NoTrust,
    /// A file is not trusted, or is invalid.
    #[error("the {file} is not trusted: {error}")]
    Trust {
        /// File: `module`, ``pack `NAME` ``, `pack N` if its name cannot be read, or `snapshot`.
        file: String,
        /// Reason.
        error: TrustError,
    },
    /// [`Builder::limits`] or [`Builder::cache`] was called for a module that is compiled already.
    #[error("the module is compiled already: set limits and the cache where it is compiled")]
    Compiled,
    /// The module cannot be used.
    #[error(transparent)]
    Module(#[from] GuestError),
    /// The module refuses a file.
    #[error("the module refuses the {file}: {error}")]
    Refused {
        /// File: ``pack `NAME` `` or `snapshot`.
        file: String,
        /// Reason.
        error: ClientError<GuestError>,
    },
}

/// Reason why a call did not reach the module, or got no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// All instances were busy for the caller's maximum waiting time: see [`Builder::patience`].
    #[error("too many requests at once; try again")]
    Overloaded,
    /// The instance trapped or was stopped at a limit, and the next call gets another one; or its memory was exhausted,
    /// or its reply was invalid.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Another instance could not be created.
    #[error("{0}")]
    NotMade(BuildError),
}

/// Reason why a call has no answer: the module refused the request ([`ClientError::Fault`], with the reason), or it was
/// not reached ([`ClientError::Guest`]).
pub type AskError = ClientError<Unavailable>;

impl Tradewind {
    /// Default of [`Builder::patience`].
    pub const PATIENCE: Duration = Duration::from_secs(2);

    /// Builder without files, and with the default limits.
    pub fn builder() -> Builder {
        Builder {
            module: None,
            signature: None,
            trust: None,
            packs: Vec::new(),
            snapshot: None,
            limits: None,
            cache: None,
            instances: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            patience: Self::PATIENCE,
        }
    }

    /// Builder of the next version: shares the compiled module, and starts with the same files and settings. A pack
    /// replaces the one with its name, a snapshot the current snapshot.
    ///
    /// The module's limits are compiled in: [`Builder::limits`] and [`Builder::cache`] are errors.
    pub fn successor(&self) -> Builder {
        let Inner { runtime, files, trust, instances, patience, .. } = &*self.inner;
        Builder {
            module: Some(Module::Compiled(runtime.clone())),
            trust: trust.clone(),
            packs: files.packs.iter().cloned().map(Source::Verified).collect(),
            snapshot: files.snapshot.clone().map(Source::Verified),
            instances: *instances,
            patience: *patience,
            ..Self::builder()
        }
    }

    /// Loaded packs.
    pub fn packs(&self) -> &[Verified<Pack>] {
        &self.inner.files.packs
    }

    /// Loaded snapshot.
    pub fn snapshot(&self) -> Option<&Verified<Snapshot>> {
        self.inner.files.snapshot.as_ref()
    }

    /// Compiled module.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// Makes the decision given by the type of the request.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask<D: Decision>(&self, request: &D) -> Result<D::Answer, AskError> {
        self.with(|client| client.ask(request)).map_err(ClientError::Guest)?.map_err(unanswered)
    }

    /// Like [`ask`](Self::ask), with the record for a replay. A fault has a record too; a call without a reply has none.
    pub fn ask_recorded<D: Decision>(&self, request: &D) -> (Result<D::Answer, AskError>, Option<Record>) {
        match self.recorded(|client| client.ask(request)) {
            Ok((answer, record)) => (answer.map_err(unanswered), record),
            Err(error) => (Err(ClientError::Guest(error)), None),
        }
    }

    /// Replays a recorded decision, and returns the differences; empty if identical.
    ///
    /// # Errors
    /// See [`AskError`]. A fault instead of a reply is a difference.
    pub fn replay(&self, record: &Record) -> Result<Vec<Difference>, AskError> {
        let module = self.inner.runtime.digest();
        self.with(|client| record.replay(client, module)).map_err(ClientError::Guest)?.map_err(unanswered)
    }

    /// Checks a claimed quote of a cart by computing it again: see [`Client::verify_quote`]. `Ok(Err(…))` is the reason
    /// why it is not honoured.
    ///
    /// # Errors
    /// [`Unavailable`] if it could not be computed.
    pub fn verify_quote(
        &self,
        claim: &Claim,
        region: Code,
        objective: Objective,
        now: Millis,
    ) -> Result<Result<Quote, Refusal<GuestError>>, Unavailable> {
        match self.with(|client| client.verify_quote(claim, region, objective, now))? {
            Err(Refusal::Quote(ClientError::Guest(error))) => Err(error.into()),
            verdict => Ok(verdict),
        }
    }

    /// Runs a function with an instance.
    pub(crate) fn with<T>(&self, question: impl FnOnce(&mut Loaded) -> T) -> Result<T, Unavailable> {
        Ok(self.inner.pool.with(question)?)
    }

    /// Like [`with`](Self::with), and records the last request.
    pub(crate) fn recorded<T>(
        &self,
        question: impl FnOnce(&mut Loaded) -> T,
    ) -> Result<(T, Option<Record>), Unavailable> {
        let module = self.inner.runtime.digest();
        self.with(|client| {
            let answer = question(client);
            (answer, Record::take(client, module))
        })
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $request:ty => $answer:ty,)*) => {
        /// Decisions, each like [`ask`](Tradewind::ask) with its types.
        impl Tradewind {
            $($(#[$doc])*
            ///
            /// # Errors
            /// See [`AskError`].
            pub fn $name(&self, request: &$request) -> Result<$answer, AskError> {
                self.ask(request)
            })*
        }
    };
}

calls! {
    /// Runs a model on tensors. Outputs have the model's order.
    infer: InferRequest => Vec<Tensor>,
    /// Ranks products for a shopper, with the pack named in the request.
    rank: RankRequest => Ranking,
    /// Prices a product, with the snapshot named in the request.
    quote: QuoteRequest => Quote,
    /// Forecasts the weekly demand for products, with the snapshot named in the request.
    forecast: ForecastRequest => Vec<Weeks>,
    /// Allocates orders to nodes, with the snapshot named in the request.
    allocate: AllocateRequest => Allocated,
    /// Finds shipments that need attention, worst first.
    exceptions: ExceptionRequest => Vec<ExceptionScore>,
    /// Runs an insight model, row by row.
    insight: InsightRequest => Insights,
}

impl Builder {
    /// Sets the module's bytes (`tradewind.wasm`), which must match [`signature`](Self::signature).
    pub fn module(mut self, wasm: impl Into<Vec<u8>>) -> Self {
        self.module = Some(Module::Wasm(wasm.into()));
        self
    }

    /// Sets the module's signature: the text of `tradewind.wasm.sig`. Required unless unsigned files are
    /// [trusted](Trust::unsigned).
    pub fn signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// Sets a compiled module instead of [`module`](Self::module), at the caller's responsibility and with its own
    /// limits.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.module = Some(Module::Compiled(runtime));
        self
    }

    /// Sets the trusted keys of the module and all files.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Adds a pack's bytes, checked by [`build`](Self::build). Any number of packs may be loaded; of two with the same
    /// name, the last.
    pub fn pack(mut self, pack: impl Into<Vec<u8>>) -> Self {
        self.packs.push(Source::Bytes(pack.into()));
        self
    }

    /// Adds a verified pack.
    pub fn verified_pack(mut self, pack: Verified<Pack>) -> Self {
        self.packs.push(Source::Verified(pack));
        self
    }

    /// Sets a snapshot's bytes, checked by [`build`](Self::build).
    pub fn snapshot(mut self, snapshot: impl Into<Vec<u8>>) -> Self {
        self.snapshot = Some(Source::Bytes(snapshot.into()));
        self
    }

    /// Sets a verified snapshot.
    pub fn verified_snapshot(mut self, snapshot: Verified<Snapshot>) -> Self {
        self.snapshot = Some(Source::Verified(snapshot));
        self
    }

    /// Sets the limits of a call, loading included (default: 30 s, unlimited fuel, 1 GiB).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets a private folder for compiled code, created if missing, for faster starts. Its contents are executed
    /// unchecked, so nobody else may have write access.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Sets the maximum concurrent calls, each with up to [`Limits::memory`] (default: number of processors).
    pub fn instances(mut self, instances: NonZeroUsize) -> Self {
        self.instances = instances;
        self
    }

    /// Sets the maximum time that a call waits for an instance before it is [rejected](Unavailable::Overloaded)
    /// (default: 2 s).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Checks all files, compiles the module and loads the first instance; others are created on demand. Takes tenths
    /// of a second.
    ///
    /// # Errors
    /// [`BuildError`] names the file and the reason.
    pub fn build(self) -> Result<Tradewind, BuildError> {
        let Self { module, signature, trust, packs, snapshot, limits, cache, instances, patience } = self;
        let keys = || trust.as_ref().ok_or(BuildError::NoTrust);
        let untrusted = |file: &str| {
            let file = file.to_owned();
            move |error| BuildError::Trust { file, error }
        };
        let runtime = match module.ok_or(BuildError::NoModule)? {
            Module::Compiled(_) if limits.is_some() || cache.is_some() => return Err(BuildError::Compiled),
            Module::Compiled(runtime) => runtime,
            Module::Wasm(wasm) => {
                let module = Verified::module(wasm, signature, keys()?).map_err(untrusted("module"))?;
                Runtime::with(
                    module.bytes(),
                    &RuntimeConfig::default().limits(limits.unwrap_or_default()).cache(cache),
                )?
            }
        };
        let mut verified: Vec<Verified<Pack>> = Vec::with_capacity(packs.len());
        for (n, pack) in packs.into_iter().enumerate() {
            let pack = match pack {
                Source::Verified(pack) => pack,
                Source::Bytes(bytes) => {
                    let name = PackView::parse(&bytes).map(|view| format!("pack `{}`", view.manifest().name));
                    let file = name.unwrap_or_else(|_| format!("pack {}", n + 1));
                    Verified::pack(bytes, keys()?).map_err(untrusted(&file))?
                }
            };
            verified.retain(|before| before.name != pack.name);
            verified.push(pack);
        }
        let snapshot = match snapshot {
            None => None,
            Some(Source::Verified(snapshot)) => Some(snapshot),
            Some(Source::Bytes(bytes)) => Some(Verified::snapshot(bytes, keys()?).map_err(untrusted("snapshot"))?),
        };
        let files = Arc::new(Files { packs: verified, snapshot });
        let first = load(&runtime, &files)?;
        let (own, loaded) = (runtime.clone(), Arc::clone(&files));
        let pool = Pool::new(instances, patience, first, move || load(&own, &loaded));
        Ok(Tradewind { inner: Arc::new(Inner { pool, runtime, files, trust, instances, patience }) })
    }
}

/// Creates an instance with all files loaded.
fn load(runtime: &Runtime, files: &Files) -> Result<Loaded, BuildError> {
    let refused = |file: String| move |error| BuildError::Refused { file, error };
    let mut client = Client::new(runtime.unverified_guest()?);
    for pack in &files.packs {
        client.load(pack.bytes()).map_err(refused(format!("pack `{}`", pack.name)))?;
    }
    if let Some(snapshot) = &files.snapshot {
        client.load_snapshot(snapshot.bytes()).map_err(refused("snapshot".into()))?;
    }
    Ok(client)
}

/// Converts a client's error.
pub(crate) fn unanswered(error: ClientError<GuestError>) -> AskError {
    match error {
        ClientError::Fault(fault) => ClientError::Fault(fault),
        ClientError::Guest(error) => ClientError::Guest(error.into()),
        ClientError::Protocol(message) => ClientError::Protocol(message),
    }
}

impl From<NoInstance<BuildError>> for Unavailable {
    fn from(none: NoInstance<BuildError>) -> Self {
        match none {
            NoInstance::Busy => Self::Overloaded,
            NoInstance::NotMade(error) => Self::NotMade(error),
        }
    }
}

impl fmt::Debug for Tradewind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Files { packs, snapshot } = &*self.inner.files;
        f.debug_struct("Tradewind").field("packs", packs).field("snapshot", snapshot).finish_non_exhaustive()
    }
}
