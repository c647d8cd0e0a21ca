//! `tradewind serve`: the warehouse backend.
//!
//! ```text
//! shop ── POST /v1/orders ──▶ queue ──▶ tradewind.wasm ──▶ shipments, and units promised from stock ─┐
//!                                       ▲        │          (one transaction)                        │
//! warehouse ── stock, nodes, scans ─────┘        ▼                                                   ▼
//! people ◀── worklist with evidence ◀── exceptions ◀──────────────────────────────── scans of shipments
//! ```
//!
//! - All persistent state is in one database (`store`): SQLite, or PostgreSQL for several replicas.
//! - A release (`release`) makes the decisions: a module, its packs and a snapshot, verified, tested, and swapped
//!   together.
//! - A gate (`guests`) limits callers of a release's [`Tradewind`](crate::Tradewind), so that excess requests are
//!   rejected at once.
//! - A worker (`queue`, `plan`) plans orders with the current state (`live`); nothing is promised twice, because the
//!   database keeps the counts.
//! - Input is validated with the types that the module decodes (`door`, `tradewind_json`), so that accepted input can
//!   be decided; older invalid rows are listed separately (`queue`, `watch`).
//! - Shipments are monitored (`watch`), and operators' actions are carried out (`act`).
//! - What happened is a feed, which webhooks deliver (`webhooks`).
//! - The cost of none of this grows with history: work is claimed by when it is due, lists come in pages, numbers are
//!   kept by the database's triggers, sums over all stock are computed in the background (`overview`), and what is old
//!   is archived and removed (`retention`).
//!
//! `host/README.md` is the operators' guide.

mod act;
mod api;
mod auth;
mod check;
mod door;
mod guests;
mod http;
#[cfg(test)]
mod interleaving;
mod keys;
mod live;
mod metering;
mod overview;
mod pages;
mod plan;
mod problem;
mod pulse;
mod queue;
mod release;
mod retention;
mod signing;
mod store;
#[cfg(feature = "otel")]
mod traces;
mod turns;
mod watch;
mod webhooks;

pub use auth::Role;
pub use keys::{KeyInfo, Keys, NewKey};
pub use retention::Retention;
#[cfg(feature = "otel")]
pub use traces::Traces;

use crate::{Pack, RuntimeConfig, Trust, Verified};
use axum_server::Handle;
use guests::Gate;
use hyper_util::rt::TokioTimer;
use metrics_exporter_prometheus::PrometheusHandle;
use overview::Overview;
use problem::Answer;
use pulse::Pulse;
use release::{Kind, Parts, Release, ReleaseError};
use std::{
    mem,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};
use store::{Store, wall};
use tokio::sync::{Mutex, Notify, watch as channel};
use tradewind_core::{
    Digest, Millis, allocate::AllocationPolicy, exceptions::Policy, quote::Objective, snapshot::Storefront,
};

/// Interval at which a replica checks for another's release.
const FOLLOW: Duration = Duration::from_secs(1);

/// Time for which running requests may finish when the service stops.
const GRACE: Duration = Duration::from_secs(6);

/// Time for which background work may then finish; what it does not finish, another replica or start does.
const WORKERS: Duration = Duration::from_secs(2);

/// Time within which a client has to send the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);

/// Options of the service.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// `sqlite:FILE` or `postgres://…`.
    pub database: String,
    /// Address to listen on (default: 127.0.0.1:8080).
    pub listen: SocketAddr,
    /// Initial files; those that the database has seen before change nothing.
    pub files: Files,
    /// Whether the snapshot of the files replaces a later one of the database.
    pub replace_snapshot: bool,
    /// Trusted keys of files.
    pub trust: Trust,
    /// Options of the module, with the limits of a call.
    pub runtime: RuntimeConfig,
    /// Maximum concurrent calls (default: number of processors).
    pub guests: NonZeroUsize,
    /// Costs of allocations.
    pub policy: AllocationPolicy,
    /// Kinds of exceptions, and their costs.
    pub exceptions: Policy,
    /// Goals of prices.
    pub objective: Objective,
    /// How long finished work is kept.
    pub retention: Retention,
    /// Start of the service's clock, for recorded data; now if absent.
    pub clock: Option<Millis>,
}

impl Config {
    /// Options with these files and this database, and defaults otherwise.
    pub fn new(database: impl Into<String>, files: Files, trust: Trust) -> Self {
        Self {
            database: database.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            files,
            replace_snapshot: false,
            trust,
            runtime: RuntimeConfig::default(),
            guests: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            policy: AllocationPolicy::default(),
            exceptions: Policy::default(),
            objective: Objective::MARGIN,
            retention: Retention::default(),
            clock: None,
        }
    }
}

/// Contents of files.
#[derive(Debug)]
pub struct Files {
    /// Module.
    pub module: Vec<u8>,
    /// Signature of the module.
    pub signature: Option<String>,
    /// Packs.
    pub packs: Vec<Vec<u8>>,
    /// Snapshot.
    pub snapshot: Vec<u8>,
}

/// Reason why the service does not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ServeError(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("database error")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("{0}")]
    Key(String),
    #[error("invalid policy of {0}: {1}")]
    Policy(&'static str, tradewind_core::Error),
    #[error("the snapshot expired at {expires}, and it is {now}: build another one")]
    Expired { expires: Millis, now: Millis },
    #[error("metrics")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Shared state of the service.
pub(crate) struct App {
    store: Store,
    releases: RwLock<Releases>,
    gate: Gate,
    clock: Clock,
    settings: Settings,
    metrics: PrometheusHandle,
    /// Held while an earlier release is built again.
    building: Mutex<()>,
    /// Signals queued orders.
    queued: Notify,
    /// Signals moved shipments.
    moved: Notify,
    /// Sums over stock.
    overview: Overview,
    /// Passes over the queue: due orders are planned, or put back because of their own faults.
    planned: Pulse,
    /// Exception scans of all open shipments.
    looked: Pulse,
}

/// Current release, and the one before it or the last that was built again: carts may still contain its prices.
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

/// Options for running releases.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    runtime: RuntimeConfig,
    /// Maximum concurrent calls.
    guests: NonZeroUsize,
}

/// Clock of decisions: the machine's, or one that started with recorded data.
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

    /// Time of the machine's clock at a moment.
    pub(crate) const fn wall(self, at: Millis) -> i64 {
        at.0 - self.ahead
    }

    /// Moment for a time of the machine's clock.
    pub(crate) const fn at(self, wall: Millis) -> Millis {
        Millis(wall.0 + self.ahead)
    }
}

impl App {
    /// Current release. It stays valid for its holder after a swap.
    pub(crate) fn release(&self) -> Arc<Release> {
        Arc::clone(&self.releases.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// Those of the current and the previous release that have a snapshot.
    fn with_snapshot(&self, root: &Digest) -> Vec<Arc<Release>> {
        let releases = self.releases.read().unwrap_or_else(PoisonError::into_inner);
        let both = [Some(&releases.current), releases.before.as_ref()].into_iter().flatten();
        both.filter(|release| release.snapshot.root == *root).map(Arc::clone).collect()
    }

    /// Activates another release for new requests.
    pub(crate) fn swap(&self, release: Release) {
        tracing::info!(
            release = release.number,
            module = tradewind_json::hex(&release.parts.module.digest()),
            "release activated"
        );
        metrics::gauge!("tradewind_release").set(release.number as f64);
        let mut releases = self.releases.write().unwrap_or_else(PoisonError::into_inner);
        releases.before = Some(mem::replace(&mut releases.current, Arc::new(release)));
        drop(releases);
        self.queued.notify_one();
        self.moved.notify_one();
    }
}

/// Serves until the process is stopped (SIGTERM, SIGINT), then finishes running requests. `ready` gets the address.
///
/// # Errors
/// If it cannot start: a file is not trusted or fails its test, the database is unreachable, or the address is in use.
pub async fn run(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    serve(config, ready).await.map_err(ServeError)
}

async fn serve(config: Config, ready: impl FnOnce(SocketAddr)) -> Result<(), Cause> {
    config.policy.check().map_err(|error| Cause::Policy("allocation", error))?;
    config.exceptions.check().map_err(|error| Cause::Policy("exceptions", error))?;
    let metrics = metering::install()?;
    let store = Store::open(&config.database).await?;
    // Three releases may have instances at a time: the current, the previous and the next one.
    let reserved = u32::try_from(3 * config.guests.get()).unwrap_or(u32::MAX);
    let running = Running { runtime: config.runtime.pool(Some(reserved)), guests: config.guests };
    let clock = Clock::starting(config.clock);
    let given = read(config.files, &config.trust)?;
    let release = first_release(&store, given, clock.now(), config.replace_snapshot, &config.trust, &running).await?;
    warn(&release, clock.now());
    // Clock and policy may have changed.
    let mut tx = store.begin().await?;
    store.requeue_short(&mut tx).await?;
    store.look_at_all(&mut tx).await?;
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
        building: Mutex::new(()),
        queued: Notify::new(),
        moved: Notify::new(),
        overview: Overview::default(),
        planned: Pulse::new("planning of orders", "tradewind_last_plan_seconds"),
        looked: Pulse::new("exception scan of shipments", "tradewind_last_exception_scan_seconds"),
    });
    let listening = |error| Cause::Listen(config.listen, error);
    let listener = TcpListener::bind(config.listen).map_err(listening)?;
    listener.set_nonblocking(true).map_err(listening)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = channel::channel(false);
    let workers = [
        tokio::spawn(queue::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(watch::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(webhooks::run(Arc::clone(&app), stopped.clone())),
        tokio::spawn(remember(Arc::clone(&app))),
        tokio::spawn(metering::upkeep(Arc::clone(&app), stopped.clone())),
        tokio::spawn(retention::run(Arc::clone(&app), config.retention, stopped.clone())),
        tokio::spawn(follow(Arc::clone(&app), stopped)),
    ];
    tracing::info!(%address, "ready");
    let told = told_to_stop();
    ready(address);
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let stopping = tokio::spawn(async move {
        told.await;
        tracing::info!("stopping: finishing running requests");
        stop.send_replace(true);
        handle.graceful_shutdown(Some(GRACE));
    });
    server.serve(http::router(Arc::clone(&app)).into_make_service()).await?;
    let ending = async {
        let _ = stopping.await;
        for worker in workers {
            // A worker that panicked has logged it.
            let _ = worker.await;
        }
        app.store.close().await;
    };
    if tokio::time::timeout(WORKERS, ending).await.is_err() {
        tracing::warn!("stopped amid background work; its orders are planned again after their leases");
    }
    Ok(())
}

/// Logs what a release cannot do.
fn warn(release: &Release, now: Millis) {
    if !release.has_late {
        tracing::warn!("no lateness pack: orders are allocated without the risk of lateness");
    }
    if !release.has_price {
        tracing::warn!("no price pack: prices are not verified");
    }
    let Storefront { issued, expires, .. } = &release.snapshot.storefront;
    if !(issued.0..expires.0).contains(&now.0) {
        let shown =
            |at: Millis| jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string());
        let (from, until, now) = (shown(*issued), shown(*expires), shown(now));
        tracing::warn!(
            "the snapshot is valid from {from} until {until}, but now it is {now}: orders wait for another snapshot"
        );
    }
}

/// Verifies the given files.
fn read(files: Files, trust: &Trust) -> Result<Parts, ReleaseError> {
    let Files { module, signature, packs, snapshot } = files;
    let packs = packs.into_iter().map(|pack| release::pack(pack, trust));
    let mut packs: Vec<Verified<Pack>> = packs.collect::<Result<_, _>>()?;
    packs.sort_by(|a, b| a.name.cmp(&b.name));
    let (module, snapshot) = (release::module(module, signature, trust)?, release::snapshot(snapshot, trust)?);
    Ok(Parts { module, packs, snapshot })
}

/// Initial release: the database's own, with those of the given files that it has never seen. A snapshot of the files is
/// not taken in place of a later one unless `replace_snapshot` is set, and never after it has expired.
async fn first_release(
    store: &Store,
    given: Parts,
    now: Millis,
    replace_snapshot: bool,
    trust: &Trust,
    running: &Running,
) -> Result<Release, Cause> {
    loop {
        let current = store.current_release().await?;
        let kept = if current > 0 { store.parts(current, trust).await?.transpose()? } else { None };
        let mut parts = given.clone();
        if let Some(kept) = &kept {
            parts = kept.clone();
            for artefact in store.unseen(&given).await? {
                let earlier = given.snapshot.storefront.issued < kept.snapshot.storefront.issued;
                if artefact.kind() == Kind::Snapshot && earlier && !replace_snapshot {
                    tracing::warn!(
                        release = current,
                        "the given snapshot is earlier than the active one, which stays active; \
                         `--replace-snapshot` takes it"
                    );
                    continue;
                }
                parts = parts.with(artefact);
            }
            if replace_snapshot {
                parts.snapshot = given.snapshot.clone();
            }
            if parts.all().map(|artefact| artefact.digest()).eq(kept.all().map(|artefact| artefact.digest())) {
                tracing::info!(release = current, "the given files change nothing; the active release stays");
                return Ok(build(current, parts, running).await?);
            }
        }
        let is_new = kept.is_none_or(|kept| kept.snapshot.digest() != parts.snapshot.digest());
        if is_new && parts.snapshot.storefront.expires <= now {
            return Err(Cause::Expired { expires: parts.snapshot.storefront.expires, now });
        }
        let release = build(current + 1, parts, running).await?;
        match install(store, &release, (current > 0).then_some(current), "files given at the start").await {
            Ok(()) => {
                tracing::info!(release = release.number, "the given files make a new release");
                return Ok(release);
            }
            // Another replica, started at the same time, was faster.
            Err(error) if store::is_duplicate(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Builds and tests a release on a blocking thread.
pub(crate) async fn build(number: i64, parts: Parts, running: &Running) -> Result<Release, ReleaseError> {
    let Running { runtime, guests } = running.clone();
    let built = tokio::task::spawn_blocking(move || Release::new(number, parts, &runtime, guests)).await;
    built.unwrap_or_else(|_| {
        Err(ReleaseError::Wrong { what: "the release".into(), why: "its test was cut short".into() })
    })
}

/// Stores a release, with its nodes and initial stock.
pub(crate) async fn install(store: &Store, release: &Release, previous: Option<i64>, note: &str) -> sqlx::Result<()> {
    let mut tx = store.begin().await?;
    store.add_release(&mut tx, release.number, previous, &release.parts, note).await?;
    store.seed(&mut tx, &release.snapshot).await?;
    // It may supply units that orders lack.
    store.requeue_short(&mut tx).await?;
    store.look_at_all(&mut tx).await?;
    store.next_generation(&mut tx).await?;
    tx.commit().await
}

/// Releases that may have quoted from a snapshot: the current and the previous one, or an earlier one that is kept, which
/// is then built again.
pub(crate) async fn quoting(app: &App, root: &Digest) -> Answer<Vec<Arc<Release>>> {
    let found = app.with_snapshot(root);
    if !found.is_empty() {
        return Ok(found);
    }
    // One at a time; the next caller finds it.
    let _building = app.building.lock().await;
    let found = app.with_snapshot(root);
    if !found.is_empty() {
        return Ok(found);
    }
    let Some(number) = app.store.release_of(root).await? else { return Ok(found) };
    let Some(Ok(parts)) = app.store.parts(number, &app.settings.trust).await? else { return Ok(found) };
    match build(number, parts, &app.settings.running).await {
        Ok(release) => {
            let release = Arc::new(release);
            let mut releases = app.releases.write().unwrap_or_else(PoisonError::into_inner);
            releases.before = Some(Arc::clone(&release));
            Ok(vec![release])
        }
        Err(error) => {
            tracing::warn!(release = number, %error, "earlier release unavailable: its quotes are not honoured");
            Ok(found)
        }
    }
}

/// Restores the previous release: it may have quoted other prices from the same snapshot.
async fn remember(app: Arc<App>) {
    let before = app.release().number - 1;
    let Ok(Some(Ok(parts))) = app.store.parts(before, &app.settings.trust).await else { return };
    match build(before, parts, &app.settings.running).await {
        Ok(release) => {
            let mut releases = app.releases.write().unwrap_or_else(PoisonError::into_inner);
            releases.before.get_or_insert(Arc::new(release));
        }
        Err(error) => {
            tracing::warn!(release = before, %error, "previous release unavailable: its quotes are not honoured")
        }
    }
}

/// Activates releases of other replicas.
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
                tracing::error!(release = number, %error, "release of another replica rejected");
            }
        }
    }
}

/// Completes when the process should stop; signals are caught from this call on, before the service reports ready.
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
