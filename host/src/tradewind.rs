//! The front door: a module with packs and a snapshot, which any thread asks in types.

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
    quote::{Objective, Quote, QuoteRequest},
    rank::{RankRequest, Ranking},
    snapshot::Snapshot,
    tensor::Tensor,
};

/// The module with packs and perhaps a snapshot loaded, and instances of it kept warm.
///
/// It is `Send` and `Sync`, and a clone is the same one. Calls block: from async code, ask on a thread that may
/// (`tokio::task::spawn_blocking`). Each call has an instance to itself; an instance that trapped, or was stopped at a
/// limit, is replaced.
///
/// ```no_run
/// use std::{fs::{read, read_to_string}, time::Duration};
/// use tradewind_core::{Millis, rank::RankRequest};
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
/// // The next snapshot: the compiled module and the packs are shared, and whoever still has `tradewind` goes on with it.
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

/// What every instance has loaded.
struct Files {
    packs: Vec<Verified<Pack>>,
    snapshot: Option<Verified<Snapshot>>,
}

/// What a [`Tradewind`] is made of: see [`Tradewind::builder`].
#[must_use]
pub struct Builder {
    module: Option<Module>,
    signature: Option<String>,
    trust: Option<Trust>,
    packs: Vec<Source<Pack>>,
    snapshot: Option<Source<Snapshot>>,
    limits: Limits,
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

/// Why a [`Tradewind`] was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// [`Builder::module`] was not called.
    #[error("no module; give the builder one with `module`")]
    NoModule,
    /// Files were given, and [`Builder::trust`] was not called.
    #[error("no keys to check files against; give the builder some with `trust`")]
    NoTrust,
    /// A file is not trusted, or is not what it should be.
    #[error("the {file} is not trusted: {error}")]
    Trust {
        /// Which.
        file: &'static str,
        /// Why.
        error: TrustError,
    },
    /// The module cannot be used.
    #[error(transparent)]
    Module(#[from] GuestError),
    /// The module does not load a file.
    #[error("the module does not load the {file}: {error}")]
    Refused {
        /// Which: ``pack `NAME` `` or `snapshot`.
        file: String,
        /// Why.
        error: ClientError<GuestError>,
    },
}

/// Why a call did not reach the module, or no reply came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// All instances were busy for as long as a caller waits: see [`Builder::patience`].
    #[error("too many requests at once; try again")]
    Overloaded,
    /// The instance trapped or was stopped at a limit, and the next call has another one; or it had no memory for the
    /// request, or answered nonsense.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// Another instance could not be made.
    #[error("{0}")]
    NotMade(BuildError),
}

/// Why a call has no answer: the module refused the request ([`ClientError::Fault`], which says why), or it was not
/// reached ([`ClientError::Guest`]).
pub type AskError = ClientError<Unavailable>;

impl Tradewind {
    /// How long a call waits for an instance, where [`Builder::patience`] does not say.
    pub const PATIENCE: Duration = Duration::from_secs(2);

    /// A builder with nothing in it, and the default limits.
    pub fn builder() -> Builder {
        Builder {
            module: None,
            signature: None,
            trust: None,
            packs: Vec::new(),
            snapshot: None,
            limits: Limits::default(),
            cache: None,
            instances: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            patience: Self::PATIENCE,
        }
    }

    /// A builder of the next one: it shares the compiled module, and begins with the same files and settings. A pack
    /// takes the place of the one of its name, a snapshot that of the snapshot.
    ///
    /// The module's limits are compiled in: [`Builder::limits`] and [`Builder::cache`] change nothing.
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

    /// The packs that are loaded.
    pub fn packs(&self) -> &[Verified<Pack>] {
        &self.inner.files.packs
    }

    /// The snapshot that is loaded.
    pub fn snapshot(&self) -> Option<&Verified<Snapshot>> {
        self.inner.files.snapshot.as_ref()
    }

    /// The compiled module.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.runtime
    }

    /// Asks for a decision: which, the type of the request says.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask<D: Decision>(&self, request: &D) -> Result<D::Answer, AskError> {
        self.with(|client| client.ask(request)).map_err(ClientError::Guest)?.map_err(unanswered)
    }

    /// As [`ask`](Self::ask), with the record from which the decision can be made again. A fault has a record too;
    /// there is none where no reply came back.
    pub fn ask_recorded<D: Decision>(&self, request: &D) -> (Result<D::Answer, AskError>, Option<Record>) {
        match self.recorded(|client| client.ask(request)) {
            Ok((answer, record)) => (answer.map_err(unanswered), record),
            Err(error) => (Err(ClientError::Guest(error)), None),
        }
    }

    /// Makes a recorded decision again, and says what differs: nothing, where the list is empty.
    ///
    /// # Errors
    /// See [`AskError`]. A fault in place of a reply is a difference.
    pub fn replay(&self, record: &Record) -> Result<Vec<Difference>, AskError> {
        let module = self.inner.runtime.digest();
        self.with(|client| record.replay(client, module)).map_err(ClientError::Guest)?.map_err(unanswered)
    }

    /// Checks a price that a cart claims to have been quoted, by computing it again: see [`Client::verify_quote`].
    /// `Ok(Err(…))` says why it is not honoured.
    ///
    /// # Errors
    /// [`Unavailable`] when it could not be computed.
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

    /// Lets an instance answer whatever is asked of it.
    pub(crate) fn with<T>(&self, question: impl FnOnce(&mut Loaded) -> T) -> Result<T, Unavailable> {
        Ok(self.inner.pool.with(question)?)
    }

    /// As [`with`](Self::with), and records the last request.
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
        /// The decisions, each as [`ask`](Tradewind::ask) with its types.
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
    /// Runs a model on tensors. Its outputs come in the model's order.
    infer: InferRequest => Vec<Tensor>,
    /// Ranks products for a shopper, with the pack that the request names.
    rank: RankRequest => Ranking,
    /// Prices a product, over the snapshot that the request names.
    quote: QuoteRequest => Quote,
    /// Forecasts the demand for products, week by week, over the snapshot that the request names.
    forecast: ForecastRequest => Vec<Weeks>,
    /// Decides from where orders ship, over the snapshot that the request names.
    allocate: AllocateRequest => Allocated,
    /// Finds shipments that are about to go wrong, the worst first.
    exceptions: ExceptionRequest => Vec<ExceptionScore>,
    /// Says what an insight's pack describes, row by row.
    insight: InsightRequest => Insights,
}

impl Builder {
    /// The module's bytes (`tradewind.wasm`), which [`signature`](Self::signature) must be of.
    pub fn module(mut self, wasm: impl Into<Vec<u8>>) -> Self {
        self.module = Some(Module::Wasm(wasm.into()));
        self
    }

    /// The module's signature: the text of `tradewind.wasm.sig`. Needed unless unsigned files are
    /// [trusted](Trust::unsigned).
    pub fn signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// A module that is compiled already, in place of [`module`](Self::module): whoever compiled it answers for it, and
    /// its own limits hold.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.module = Some(Module::Compiled(runtime));
        self
    }

    /// The keys that the module and all files must be signed with.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// A pack's bytes, checked when all is built. Any number of packs may be loaded; of two of one name, the last.
    pub fn pack(mut self, pack: impl Into<Vec<u8>>) -> Self {
        self.packs.push(Source::Bytes(pack.into()));
        self
    }

    /// A pack that was checked already.
    pub fn verified_pack(mut self, pack: Verified<Pack>) -> Self {
        self.packs.push(Source::Verified(pack));
        self
    }

    /// A snapshot's bytes, checked when all is built.
    pub fn snapshot(mut self, snapshot: impl Into<Vec<u8>>) -> Self {
        self.snapshot = Some(Source::Bytes(snapshot.into()));
        self
    }

    /// A snapshot that was checked already.
    pub fn verified_snapshot(mut self, snapshot: Verified<Snapshot>) -> Self {
        self.snapshot = Some(Source::Verified(snapshot));
        self
    }

    /// What a call may take, loading included (default: 30 s, unlimited fuel, 128 MiB).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A private folder for compiled code, made when absent, so that the next start need not compile. What lies in it
    /// is run as it is found, so nobody else may write to it.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// The most calls at a time, each with up to [`Limits::memory`] of its own (default: one for each processor).
    pub fn instances(mut self, instances: NonZeroUsize) -> Self {
        self.instances = instances;
        self
    }

    /// How long a call waits for an instance before it is [turned away](Unavailable::Overloaded) (default: 2 s).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Checks all files, compiles the module and loads the first instance; the others are made when they are needed.
    /// Takes tenths of a second.
    ///
    /// # Errors
    /// [`BuildError`] says which file, and why.
    pub fn build(self) -> Result<Tradewind, BuildError> {
        let Self { module, signature, trust, packs, snapshot, limits, cache, instances, patience } = self;
        let keys = || trust.as_ref().ok_or(BuildError::NoTrust);
        let untrusted = |file| move |error| BuildError::Trust { file, error };
        let runtime = match module.ok_or(BuildError::NoModule)? {
            Module::Compiled(runtime) => runtime,
            Module::Wasm(wasm) => {
                let module = Verified::module(wasm, signature, keys()?).map_err(untrusted("module"))?;
                Runtime::with(module.bytes(), &RuntimeConfig::default().limits(limits).cache(cache))?
            }
        };
        let mut verified: Vec<Verified<Pack>> = Vec::with_capacity(packs.len());
        for pack in packs {
            let pack = match pack {
                Source::Verified(pack) => pack,
                Source::Bytes(bytes) => Verified::pack(bytes, keys()?).map_err(untrusted("pack"))?,
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

/// A new instance with everything loaded.
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

/// The error of a client, as that of the front door.
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
