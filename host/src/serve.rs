//! `tradewind serve`: the warehouse's backend.
//!
//! ```text
//! shop ── POST /v1/orders ──▶ queue ──▶ tradewind.wasm ──▶ shipments, and units promised from stock ─┐
//!                                       ▲        │          (one transaction)                        │
//! warehouse ── stock, nodes, scans ─────┘        ▼                                                   ▼
//! people ◀── worklist with evidence ◀── exceptions ◀──────────────────────────────── scans of shipments
//! ```
//!
//! - Everything that must outlive the process is in one database (`store`): SQLite, or PostgreSQL for several
//!   replicas.
//! - What decides is a release (`release`): a module, its packs and a snapshot, verified, tested, and swapped as one.
//! - A gate (`guests`) stands before a release's [`Tradewind`](crate::Tradewind), so that too many requests get an answer
//!   too.
//! - Orders are planned by a worker (`queue`, `plan`) over what is there now (`live`); nothing is promised twice, because
//!   the database counts.
//! - What comes in is checked by the types that the module decodes (`door`, `tradewind_json`), so that what is accepted
//!   can be decided; what cannot, because it was there before, is listed alone (`queue`, `watch`).
//! - Shipments are watched (`watch`), and what people decide about them is carried out (`act`).
//!
//! `host/README.md` is the guide for people who run it.

mod act;
mod api;
mod auth;
mod check;
mod door;
mod guests;
mod http;
mod live;
mod pages;
mod plan;
mod problem;
mod pulse;
mod queue;
mod release;
mod store;
mod watch;

pub use auth::Role;

use crate::{Pack, RuntimeConfig, Trust, Verified};
use guests::Gate;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use pulse::Pulse;
use release::{Parts, Release, ReleaseError};
use std::{
    mem,
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};
use store::{Store, wall};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch as channel},
};
use tradewind_core::{Millis, allocate::AllocationPolicy, exceptions::Policy, quote::Objective, snapshot::Storefront};

/// How often a replica looks whether another has made a release.
const FOLLOW: Duration = Duration::from_secs(1);

/// How often decisions are looked for that need not be kept any more.
const SWEEP: Duration = Duration::from_secs(600);

/// What is served, and how.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// Where requests are listened to (default: 127.0.0.1:8080).
    pub listen: SocketAddr,
    /// The files to begin with; a database that has seen all of them goes on with its own release.
    pub files: Files,
    /// The keys whose files are taken.
    pub trust: Trust,
    /// How the module is run; what a call may take.
    pub runtime: RuntimeConfig,
    /// At most so many calls at a time (default: one for each processor).
    pub guests: NonZeroUsize,
    /// What things cost when orders are allocated.
    pub policy: AllocationPolicy,
    /// Which exceptions are listed, and what they cost.
    pub exceptions: Policy,
    /// What prices are for.
    pub objective: Objective,
    /// For how long decisions are kept to be replayed; for ever when absent.
    pub keep_decisions: Option<Duration>,
    /// The moment at which the service's clock starts, for recorded data; now when absent.
    pub clock: Option<Millis>,
}

impl Config {
    /// These files over this database, and otherwise the defaults.
    pub fn new(database: impl Into<String>, files: Files, trust: Trust) -> Self {
        Self {
            database: database.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            files,
            trust,
            runtime: RuntimeConfig::default(),
            guests: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            policy: AllocationPolicy::default(),
            exceptions: Policy::default(),
            objective: Objective::MARGIN,
            keep_decisions: None,
            clock: None,
        }
    }
}

/// The contents of files.
#[derive(Debug)]
pub struct Files {
    /// The module.
    pub module: Vec<u8>,
    /// The module's signature.
    pub signature: Option<String>,
    /// Packs.
    pub packs: Vec<Vec<u8>>,
    /// The snapshot.
    pub snapshot: Vec<u8>,
}

/// Why the service does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServeError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the database")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
    #[error("{0}")]
    Key(String),
    #[error("the policy of {0}: {1}")]
    Policy(&'static str, tradewind_core::Error),
    #[error("metrics")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// What all parts of the service share.
pub(crate) struct App {
    store: Store,
    releases: RwLock<Releases>,
    gate: Gate,
    clock: Clock,
    settings: Settings,
    metrics: PrometheusHandle,
    /// There is something in the queue.
    queued: Notify,
    /// Shipments have moved.
    moved: Notify,
    /// Passes over the queue: due orders are planned, or put back for their own faults.
    planned: Pulse,
    /// Exception scans of all open shipments.
    looked: Pulse,
}

/// What decides, and what did before: prices that it quoted are still in carts.
struct Releases {
    current: Arc<Release>,
    before: Option<Arc<Release>>,
}

struct Settings {
    trust: Trust,
    running: Running,
    policy: AllocationPolicy,
    exceptions: Policy,
    objective: Objective,
}

/// How releases are run.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    runtime: RuntimeConfig,
    /// Calls at a time.
    guests: NonZeroUsize,
}

/// The moment of decisions: the machine's, or one that began with recorded data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    ahead: i64,
}

impl Clock {
    fn starting(at: Option<Millis>) -> Self {
        Self { ahead: at.map_or(0, |at| at.0 - wall()) }
    }

    pub(crate) fn now(self) -> Millis {
        Millis(wall() + self.ahead)
    }

    /// What the machine's clock shows at a moment.
    pub(crate) const fn wall(self, at: Millis) -> i64 {
        at.0 - self.ahead
    }

    /// The moment at which the machine's clock shows this.
    pub(crate) const fn at(self, wall: Millis) -> Millis {
        Millis(wall.0 + self.ahead)
    }
}

impl App {
    /// What decides now. It stays whole for whoever has it, also when another takes its place.
    pub(crate) fn release(&self) -> Arc<Release> {
        Arc::clone(&self.releases.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// What may have quoted a price that is valid: what decides now, and what did before.
    pub(crate) fn quoting(&self) -> Vec<Arc<Release>> {
        let releases = self.releases.read().unwrap_or_else(PoisonError::into_inner);
        [Some(&releases.current), releases.before.as_ref()].into_iter().flatten().map(Arc::clone).collect()
    }

    /// Lets another release decide from the next request on.
    pub(crate) fn swap(&self, release: Release) {
        tracing::info!(
            release = release.number,
            module = tradewind_json::hex(&release.parts.module.digest()),
            "another release decides"
        );
        metrics::gauge!("tradewind_release").set(release.number as f64);
        let mut releases = self.releases.write().unwrap_or_else(PoisonError::into_inner);
        releases.before = Some(mem::replace(&mut releases.current, Arc::new(release)));
        drop(releases);
        self.queued.notify_one();
        self.moved.notify_one();
    }
}

/// Serves until the process is told to stop (SIGTERM, SIGINT); then finishes what is under way. `ready` is told
/// where it listens.
///
/// # Errors
/// When it cannot start: a file is not trusted or fails its test, the database is not reached, the address is taken.
pub async fn run(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    serve(config, ready).await.map_err(ServeError)
}

async fn serve(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), Cause> {
    config.policy.check().map_err(|error| Cause::Policy("allocation", error))?;
    config.exceptions.check().map_err(|error| Cause::Policy("exceptions", error))?;
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let store = Store::open(&config.database).await?;
    // Three releases may have instances at a time: the one that decides, the one before, and the next.
    let reserved = u32::try_from(3 * config.guests.get()).unwrap_or(u32::MAX);
    let running = Running { runtime: config.runtime.pool(Some(reserved)), guests: config.guests };
    let release = first_release(&store, config.files, &config.trust, &running).await?;
    let clock = Clock::starting(config.clock);
    warn(&release, clock.now());
    // Clock and policy may be others than before.
    let mut tx = store.begin().await?;
    store.requeue_short(&mut tx).await?;
    store.next_generation(&mut tx).await?;
    tx.commit().await?;
    metrics::gauge!("tradewind_release").set(release.number as f64);
    let settings = Settings {
        trust: config.trust,
        running,
        policy: config.policy,
        exceptions: config.exceptions,
        objective: config.objective,
    };
    let app = Arc::new(App {
        store,
        releases: RwLock::new(Releases { current: Arc::new(release), before: None }),
        gate: Gate::new(config.guests.get()),
        clock,
        settings,
        metrics,
        queued: Notify::new(),
        moved: Notify::new(),
        planned: Pulse::new("planning of orders", "tradewind_last_plan_seconds"),
        looked: Pulse::new("exception scan of shipments", "tradewind_last_exception_scan_seconds"),
    });
    let listener = TcpListener::bind(config.listen).await.map_err(|error| Cause::Listen(config.listen, error))?;
    let (stop, stopped) = channel::channel(false);
    let workers = [
        tokio::spawn(queue::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(watch::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(remember(Arc::clone(&app))),
        tokio::spawn(sweep(Arc::clone(&app), config.keep_decisions, stopped.clone())),
        tokio::spawn(follow(Arc::clone(&app), stopped)),
    ];
    let address = listener.local_addr()?;
    tracing::info!(%address, "ready");
    let told = told_to_stop();
    ready(address);
    axum::serve(listener, http::router(Arc::clone(&app))).with_graceful_shutdown(told).await?;
    tracing::info!("stopping: what is under way is finished");
    stop.send_replace(true);
    for worker in workers {
        // A worker that panicked has said so.
        let _ = worker.await;
    }
    app.store.close().await;
    Ok(())
}

/// Says what a release cannot do.
fn warn(release: &Release, now: Millis) {
    if !release.has_late {
        tracing::warn!("no pack says how likely a leg is late: orders are allocated as if none were");
    }
    if !release.has_price {
        tracing::warn!("no pack prices: prices are not verified");
    }
    let Storefront { issued, expires, .. } = &release.snapshot.storefront;
    if !(issued.0..expires.0).contains(&now.0) {
        let shown =
            |at: Millis| jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string());
        let (from, until, now) = (shown(*issued), shown(*expires), shown(now));
        tracing::warn!("the snapshot holds from {from} until {until}, and it is {now}: orders wait for another");
    }
}

/// The release to begin with: that of the files, where the database has not seen one of them, else the database's.
async fn first_release(store: &Store, files: Files, trust: &Trust, running: &Running) -> Result<Release, Cause> {
    let Files { module, signature, packs, snapshot } = files;
    let packs = packs.into_iter().map(|pack| release::pack(pack, trust));
    let mut packs: Vec<Verified<Pack>> = packs.collect::<Result<_, _>>()?;
    packs.sort_by(|a, b| a.name.cmp(&b.name));
    let parts = Parts {
        module: release::module(module, signature, trust)?,
        packs,
        snapshot: release::snapshot(snapshot, trust)?,
    };
    let current = store.current_release().await?;
    if current > 0
        && store.unseen(&parts).await?.is_empty()
        && let Some(kept) = store.parts(current, trust).await?
    {
        tracing::info!(release = current, "the database has seen these files; its own release decides");
        return Ok(build(current, kept?, running).await?);
    }
    let release = build(current + 1, parts, running).await?;
    install(store, &release, (current > 0).then_some(current), "files given at the start").await?;
    Ok(release)
}

/// Builds and tests a release where that may take its time.
pub(crate) async fn build(number: i64, parts: Parts, running: &Running) -> Result<Release, ReleaseError> {
    let Running { runtime, guests } = running.clone();
    let built = tokio::task::spawn_blocking(move || Release::new(number, parts, &runtime, guests)).await;
    built.unwrap_or_else(|_| {
        Err(ReleaseError::Wrong { what: "the release".into(), why: "its test was cut short".into() })
    })
}

/// Writes a release down, with the nodes and the stock that it brings.
pub(crate) async fn install(store: &Store, release: &Release, previous: Option<i64>, note: &str) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    store.add_release(&mut tx, release.number, previous, &release.parts, note).await?;
    store.seed(&mut tx, &release.snapshot).await?;
    // It may bring what orders were short of.
    store.requeue_short(&mut tx).await?;
    store.next_generation(&mut tx).await?;
    tx.commit().await
}

/// Brings back what decided before this start, for prices that it quoted.
async fn remember(app: Arc<App>) {
    let before = app.release().number - 1;
    let Ok(Some(Ok(parts))) = app.store.parts(before, &app.settings.trust).await else { return };
    match build(before, parts, &app.settings.running).await {
        Ok(release) => {
            let mut releases = app.releases.write().unwrap_or_else(PoisonError::into_inner);
            releases.before.get_or_insert(Arc::new(release));
        }
        Err(error) => tracing::warn!(release = before, %error, "prices that it quoted are not honoured any more"),
    }
}

/// Takes over releases that other replicas make.
async fn follow(app: Arc<App>, mut stop: channel::Receiver<bool>) {
    let mut refused = 0;
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(FOLLOW) => {}
            _ = stop.changed() => return,
        }
        let Ok(number) = app.store.current_release().await else { continue };
        if number <= app.release().number || number == refused {
            continue;
        }
        let taken = match app.store.parts(number, &app.settings.trust).await {
            Ok(Some(Ok(parts))) => build(number, parts, &app.settings.running).await,
            Ok(Some(Err(error))) => Err(error),
            Ok(None) | Err(_) => continue,
        };
        match taken {
            Ok(release) if release.number > app.release().number => app.swap(release),
            Ok(_) => {}
            Err(error) => {
                refused = number;
                tracing::error!(release = number, %error, "another replica's release is not taken");
            }
        }
    }
}

/// Forgets decisions that need not be kept any more.
async fn sweep(app: Arc<App>, keep: Option<Duration>, mut stop: channel::Receiver<bool>) {
    let Some(keep) = keep else { return };
    while !*stop.borrow() {
        let oldest = app.clock.now().0.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
        match app.store.forget_decisions(oldest).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "decisions are no longer kept"),
            Err(error) => tracing::warn!(%error, "decisions are kept for longer"),
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Ends when the process is told to stop, from the call on: before anyone knows that it is ready.
fn told_to_stop() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    async {
        let interrupted = tokio::signal::ctrl_c();
        #[cfg(unix)]
        if let Ok(mut terminated) = terminated {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
        let _ = interrupted.await;
    }
}

/// A key as it is listed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its role, as it is written.
    pub role: String,
    /// When it was made.
    pub made: Millis,
}

/// The access keys of a database.
#[derive(Debug)]
pub struct Keys(Store);

impl Keys {
    /// Opens a database, as [`Config::database`] names it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(database: &str) -> Result<Self, ServeError> {
        Ok(Self(Store::open(database).await.map_err(Cause::from)?))
    }

    /// Makes a key. It is returned this once, and kept as a digest.
    ///
    /// # Errors
    /// When there is one of that name, or the database fails.
    pub async fn add(&self, name: &str, role: Role) -> Result<String, ServeError> {
        let (key, hash) = auth::new_key().map_err(Cause::Random)?;
        if !self.0.add_key(name, role.name(), &hash).await.map_err(Cause::from)? {
            return Err(Cause::Key(format!("there is a key `{name}` already; remove it first")).into());
        }
        Ok(key)
    }

    /// Takes a key away.
    ///
    /// # Errors
    /// When there is none of that name, or the database fails.
    pub async fn remove(&self, name: &str) -> Result<(), ServeError> {
        if self.0.remove_key(name).await.map_err(Cause::from)? {
            return Ok(());
        }
        Err(Cause::Key(format!("there is no key `{name}`")).into())
    }

    /// All keys, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, ServeError> {
        let keys = self.0.keys().await.map_err(Cause::from)?;
        Ok(keys.into_iter().map(|key| KeyInfo { name: key.id, role: key.role, made: Millis(key.made) }).collect())
    }
}
