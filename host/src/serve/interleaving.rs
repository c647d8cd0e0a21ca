//! Model checking of the service's state: tasks run with many schedules, on SQLite and PostgreSQL, and the invariants of
//! `host/README.md` are checked between their steps.
//!
//! A task waits before each of its statements until the scheduler lets it run. A schedule is a list of tasks,
//! each with a number of steps; a task that waits for another's lock lets the other run. SQLite has one writer at a time,
//! and others do not see what it has not committed: there a transaction is one step. Tasks are also killed between two
//! steps, as a process may be.

use super::{
    App, Clock, Files, Releases, Running, Settings, act,
    auth::{Caller, Role},
    build, install,
    live::workloads,
    plan::PlanError,
    problem::Problem,
    pulse::Pulse,
    queue, read,
    store::{
        Counts, Finding, Scope, Store, Submitted, is_duplicate,
        schedule::{Event, Point, TURN, Turn, step},
        wall,
    },
    turns::Turns,
    watch,
};
use crate::{RuntimeConfig, Trust, snapshot};
use anyhow::{Context, Result, bail, ensure};
use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::{Any, AssertSqlSafe, FromRow, any::AnyRow};
use std::{
    collections::BTreeMap,
    env, fs,
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};
use tradewind_core::{
    Code, Day, Id, Line, Millis, Money, Probability, Sku,
    allocate::{AllocationPolicy, ShopOrder},
    exceptions::{Action, ExceptionKind, ExceptionScore, Policy, Step},
    quote::Objective,
    tracking::{Scan, State},
};
use tradewind_tests::database::Database;

/// Something that happens in a warehouse; `false` if it is refused, for example because its subject is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Plan,
    CountDown,
    CountUp,
    LowerSafety,
    Pack,
    Leave,
    Split,
    Reroute,
    Hold,
    Free,
    Cancel,
    Close,
    Open,
    Release,
    Submit,
    Look,
}

impl Op {
    const ALL: [Self; 16] = [
        Self::Plan,
        Self::CountDown,
        Self::CountUp,
        Self::LowerSafety,
        Self::Pack,
        Self::Leave,
        Self::Split,
        Self::Reroute,
        Self::Hold,
        Self::Free,
        Self::Cancel,
        Self::Close,
        Self::Open,
        Self::Release,
        Self::Submit,
        Self::Look,
    ];

    async fn run(self, app: Arc<App>) -> Result<bool> {
        let operator = Caller { key: "operator".into(), role: Role::Operator, scope: Scope::All };
        let counts = |on_hand, safety| Counts { on_hand, safety };
        let done = match self {
            Self::Plan => {
                return match queue::step(&app, &Turns::default(), true).await {
                    Ok(_) => Ok(true),
                    Err(PlanError::Changed) => Ok(false),
                    Err(error) => Err(error.into()),
                };
            }
            Self::CountDown => act::count(&app, "N1", "a", counts(1, None)).await.map(drop),
            Self::CountUp => act::count(&app, "N2", "a", counts(20, None)).await.map(drop),
            Self::LowerSafety => act::count(&app, "N1", "a", counts(6, Some(0))).await.map(drop),
            Self::Pack => act::scan(&app, &operator, SHIPMENT, &[scan(State::Packed)?]).await,
            Self::Leave => act::scan(&app, &operator, SHIPMENT, &[scan(State::PickedUp)?]).await,
            Self::Split | Self::Reroute | Self::Hold => {
                let (work, action) = self.work()?;
                act::act(&app, &operator, work, &action).await.map(drop)
            }
            Self::Free => act::release(&app, &operator, SHIPMENT).await,
            Self::Cancel => act::cancel(&app, &operator, "A").await,
            Self::Close => act::set_closed(&app, &operator, "N1", true).await.map(drop),
            Self::Open => act::set_closed(&app, &operator, "N2", false).await.map(drop),
            Self::Release => {
                let current = app.release();
                let release = build(current.number + 1, current.parts.clone(), &app.settings.running).await?;
                return match install(&app.store, &release, Some(current.number), "again").await {
                    Ok(()) => Ok(true),
                    Err(error) if is_duplicate(&error) => Ok(false),
                    Err(error) => Err(error.into()),
                };
            }
            Self::Look => {
                watch::look(&app).await?;
                return Ok(true);
            }
            Self::Submit => {
                let order = order("E", &[("b", 2)])?;
                let submitted = app.store.submit("shop E", None, &order, app.clock.now().0).await?;
                ensure!([Submitted::New, Submitted::Again].contains(&submitted), "{submitted:?}");
                app.queued.notify_one();
                return Ok(true);
            }
        };
        match done {
            Ok(()) => Ok(true),
            Err(problem) => refused(&problem).map(|()| false),
        }
    }

    /// Entry of the worklist, and its action.
    fn work(self) -> Result<(&'static str, Action)> {
        let line = |sku, quantity| Ok::<_, anyhow::Error>(Line { sku: Sku::new(sku)?, quantity });
        let (work, order, step) = match self {
            Self::Split => ("split", "A", Step::Split { now: vec![line("a", 2)?], later: vec![line("b", 1)?] }),
            Self::Reroute => {
                ("reroute", "D", Step::Reroute { from: Id::new("N1")?, to: Id::new("N2")?, cost: Money(0) })
            }
            _ => ("hold", "A", Step::Hold),
        };
        Ok((work, Action { shipment: Id::new(format!("{order}.1"))?, order: Id::new(order)?, step }))
    }
}

/// Shipment of the order `A` on which most tasks act.
const SHIPMENT: &str = "A.1";

/// A conflict or an unknown subject is a proper answer; failing is not.
fn refused(problem: &Problem) -> Result<()> {
    ensure!(problem.status().is_client_error(), "{}: {}", problem.status(), problem.detail());
    Ok(())
}

fn scan(state: State) -> Result<Scan> {
    Ok(Scan { state, at: Millis(NOON.0 + 60_000), place: Id::new("N1")? })
}

fn order(id: &str, lines: &[(&str, u32)]) -> Result<ShopOrder> {
    let line = |(sku, quantity): &(&str, u32)| Ok(Line { sku: Sku::new(*sku)?, quantity: *quantity });
    Ok(ShopOrder {
        id: Id::new(id)?,
        region: Code::new("R")?,
        lines: lines.iter().map(line).collect::<Result<_>>()?,
        promised: Day(NOON.day().0 + 7),
        priority: 3,
        complete: false,
        max_splits: 9,
        pinned: None,
        excluded: Vec::new(),
    })
}

/// The service's time.
const NOON: Millis = Millis(1_512_388_800_000);

/// Tables that tasks change.
const TABLES: [&str; 15] = [
    "bookings",
    "decisions",
    "generation",
    "looks",
    "nodes",
    "orders",
    "release_parts",
    "releases",
    "reservations",
    "scans",
    "shipments",
    "shortfalls",
    "stock",
    "worklist",
    // After the tables whose triggers change it.
    "counts",
];

/// Service with two nodes, for four and three shipments a day, and a few orders: `A` and `D` are planned and due
/// again, `B` lacks units, `C` is new.
struct World {
    app: Arc<App>,
    /// Whether the database has row locks; otherwise it has one writer at a time.
    has_locks: bool,
    _database: Database,
}

impl World {
    async fn new(database: Database) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let files = files(folder.path())?;
        let store = Store::open(&database.url).await?;
        let running = Running { runtime: RuntimeConfig::default(), guests: NonZeroUsize::MIN };
        let parts = read(files, &Trust::unsigned())?;
        let release = build(1, parts, &running).await?;
        install(&store, &release, None, "first").await?;
        let app = Arc::new(App {
            store,
            releases: RwLock::new(Releases { current: Arc::new(release), before: None }),
            gate: super::guests::Gate::new(2),
            clock: Clock { ahead: NOON.0 - wall() },
            settings: Settings {
                trust: Trust::unsigned(),
                running,
                policy: AllocationPolicy::default(),
                exceptions: Policy::default(),
                objective: Objective::MARGIN,
            },
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            building: Mutex::new(()),
            queued: Notify::new(),
            moved: Notify::new(),
            overview: Default::default(),
            planned: Pulse::new("planning", "planned"),
            looked: Pulse::new("watching", "watched"),
        });
        let world = Self { app, has_locks: database.url.starts_with("postgres"), _database: database };
        for (id, lines) in [("A", &[("a", 2), ("b", 1)][..]), ("D", &[("b", 1)]), ("B", &[("a", 9)])] {
            world.app.store.submit(&format!("shop {id}"), None, &order(id, lines)?, NOON.0).await?;
            world.settle().await?;
        }
        world.app.store.submit("shop C", None, &order("C", &[("b", 1)])?, NOON.0).await?;
        let mut found = Vec::new();
        for op in [Op::Split, Op::Reroute, Op::Hold] {
            let (work, action) = op.work()?;
            let score = ExceptionScore {
                shipment: action.shipment.clone(),
                kind: ExceptionKind::Late,
                probability: Probability::CERTAIN,
                severity: Money(1),
                evidence: Vec::new(),
                actions: vec![action],
            };
            found.push((work.to_owned(), Finding { score, reason: None }));
        }
        let mut tx = world.app.store.begin().await?;
        world.app.store.refresh(&mut tx, [(&[][..], found.as_slice())], NOON.0).await?;
        world
            .app
            .store
            .requeue(&mut tx, &["A", "D"].map(str::to_owned).into(), &[super::store::OrderState::Allocated])
            .await?;
        world.app.store.requeue_short(&mut tx).await?;
        tx.commit().await?;
        world.check().await.context("at the start")?;
        for table in TABLES {
            world.run(&format!("CREATE TABLE base_{table} AS SELECT * FROM {table}")).await?;
        }
        Ok(world)
    }

    async fn run(&self, sql: &str) -> Result<()> {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(self.app.store.pool()).await;
        done.map(drop).with_context(|| sql.to_owned())
    }

    async fn rows<T: for<'r> FromRow<'r, AnyRow> + Send + Unpin>(&self, sql: &str) -> Result<Vec<T>> {
        let query = sqlx::query_as::<Any, T>(AssertSqlSafe(sql.to_owned()));
        query.fetch_all(self.app.store.pool()).await.with_context(|| sql.to_owned())
    }

    /// Restores the state of the start.
    async fn reset(&self) -> Result<()> {
        let mut tx = self.app.store.begin().await?;
        for table in TABLES {
            for sql in [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM base_{table}")] {
                sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut tx).await.context(sql)?;
            }
        }
        sqlx::query("DELETE FROM events").execute(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Plans until nothing is due.
    async fn settle(&self) -> Result<()> {
        // Leases of killed tasks expire.
        self.run("UPDATE orders SET lease = '', lease_until = 0 WHERE lease_until > 0").await?;
        for _ in 0..50 {
            match queue::step(&self.app, &Turns::default(), true).await {
                Ok(0) => return Ok(()),
                Ok(_) | Err(PlanError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("orders are planned again and again")
    }

    /// Checks the invariants.
    async fn check(&self) -> Result<()> {
        let mut ordered: BTreeMap<(String, String), i64> = BTreeMap::new();
        let orders: Vec<(String, String, String)> = self.rows("SELECT id, state, body FROM orders").await?;
        for (id, _, body) in &orders {
            let order: ShopOrder = serde_json::from_str(body)?;
            for line in order.lines {
                ordered.insert((id.clone(), line.sku.to_string()), i64::from(line.quantity));
            }
        }
        let mut shipped: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut reserved: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut by_shipment: BTreeMap<(String, String, String), i64> = BTreeMap::new();
        let mut booked: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
        let ids: Vec<&str> = orders.iter().map(|(id, ..)| id.as_str()).collect();
        for row in self.app.store.shipments_of(&ids).await? {
            if row.state == "cancelled" {
                ensure!(!row.open, "{} is cancelled and open", row.id);
                continue;
            }
            let waits = row.is_at_node();
            let cancelled = orders.iter().any(|(id, state, _)| *id == row.order && state == "cancelled");
            ensure!(!(cancelled && waits), "{} of a cancelled order is still at its node", row.id);
            let day = row.body.dispatch.map_or(0, |day| i64::from(day.0));
            let booking = booked.entry((row.node.clone(), day)).or_default();
            *booking = (booking.0 + 1, booking.1 + i64::from(waits));
            for line in row.body.lines {
                let (sku, units) = (line.sku.to_string(), i64::from(line.quantity));
                *shipped.entry((row.order.clone(), sku.clone())).or_default() += units;
                if waits {
                    by_shipment.insert((sku.clone(), row.node.clone(), row.id.clone()), units);
                    *reserved.entry((sku, row.node.clone())).or_default() += units;
                }
            }
        }
        let stock: Vec<(String, String, i64, i64)> =
            self.rows("SELECT sku, node, on_hand, reserved FROM stock").await?;
        for (sku, node, on_hand, kept) in stock {
            let open = reserved.remove(&(sku.clone(), node.clone())).unwrap_or(0);
            ensure!(kept == open, "{kept} of {sku} are reserved at {node}, and {open} are in open shipments");
            ensure!((0..=on_hand).contains(&kept), "{kept} of {on_hand} of {sku} are reserved at {node}");
        }
        ensure!(reserved.is_empty(), "shipments without stock: {reserved:?}");
        let kept: Vec<(String, String, String, i64)> =
            self.rows("SELECT sku, node, shipment, quantity FROM reservations").await?;
        let kept: BTreeMap<_, _> =
            kept.into_iter().map(|(sku, node, shipment, units)| ((sku, node, shipment), units)).collect();
        ensure!(kept == by_shipment, "reservations {kept:?}, shipments {by_shipment:?}");
        self.check_counts().await?;
        let short: Vec<(String, String, i64)> = self.rows("SELECT order_id, sku, quantity FROM shortfalls").await?;
        let short: BTreeMap<_, _> = short.into_iter().map(|(order, sku, units)| ((order, sku), units)).collect();
        for ((id, sku), wanted) in &ordered {
            let state = orders.iter().find(|(other, ..)| other == id).map_or("", |(_, state, _)| state);
            let key = (id.clone(), sku.clone());
            let (ships, lacks) = [&shipped, &short].map(|units| units.get(&key).copied().unwrap_or(0)).into();
            let what = format!("{id} is {state}: {wanted} of {sku} ordered, {ships} shipped, {lacks} short");
            ensure!(ships <= *wanted, "{what}");
            ensure!(!["allocated", "short"].contains(&state) || ships + lacks == *wanted, "{what}");
        }
        let bookings: Vec<(String, i64, i64, i64)> = self
            .rows("SELECT node, day, shipments, waiting FROM bookings WHERE shipments <> 0 OR waiting <> 0")
            .await?;
        let bookings: BTreeMap<_, _> =
            bookings.into_iter().map(|(node, day, all, waiting)| ((node, day), (all, waiting))).collect();
        ensure!(bookings == booked, "bookings {bookings:?}, shipments {booked:?}");
        let release = self.app.release();
        for (node, load) in workloads(&self.app.store, self.app.store.pool(), &release, self.app.clock.now()).await? {
            ensure!(load.booked <= load.capacity, "{node} packs {} of {}", load.booked, load.capacity);
        }
        Ok(())
    }

    /// Checks what is kept for quick answers: numbers by state, the line of orders, and when shipments are scored.
    async fn check_counts(&self) -> Result<()> {
        for (what, table) in [("order", "orders"), ("shipment", "shipments"), ("exception", "worklist")] {
            let rows: Vec<(String, i64)> =
                self.rows(&format!("SELECT state, COUNT(*) FROM {table} GROUP BY state")).await?;
            let mut kept = self.app.store.counts(what).await?;
            kept.retain(|_, number| *number != 0);
            ensure!(kept == rows.iter().cloned().collect(), "{what}: {rows:?}, but the counts are {kept:?}");
        }
        for (sql, what) in [
            ("SELECT id FROM orders WHERE state = 'queued' AND waits = 0", "is queued and not in line"),
            ("SELECT id FROM orders WHERE state NOT IN ('queued', 'short') AND waits = 1", "is in line for nothing"),
            ("SELECT id FROM shipments WHERE open = 1 AND id NOT IN (SELECT shipment FROM looks)", "is never scored"),
        ] {
            let rows: Vec<(String,)> = self.rows(sql).await?;
            ensure!(rows.is_empty(), "{rows:?} {what}");
        }
        Ok(())
    }

    /// Runs tasks with a schedule; one may be killed when its part of the schedule ends. Returns how many steps each
    /// took, and how it ended.
    async fn schedule(&self, ops: &[Op], schedule: &[Part]) -> Result<(Vec<usize>, Vec<Option<bool>>)> {
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut tasks: Vec<Task> = Vec::new();
        for (task, op) in ops.iter().enumerate() {
            let go = Arc::new(Semaphore::new(0));
            let turn = Turn { task, inside: self.has_locks, events: sender.clone(), go: Arc::clone(&go) };
            let (op, app, sender) = (*op, Arc::clone(&self.app), sender.clone());
            let run = TURN.scope(turn, async move {
                step(Point::Outside).await;
                let ended = op.run(app).await;
                let _ = sender.send(Event::Ended(task, ended));
            });
            tasks.push(Task { go, at: At::Running, next: Point::Outside, steps: 0, run: tokio::spawn(run) });
        }
        while tasks.iter().any(|task| task.at == At::Running) {
            take(&mut tasks, events.recv().await)?;
        }
        for part in
            schedule.iter().copied().chain((0..ops.len()).map(|task| Part { task, steps: usize::MAX, kill: false }))
        {
            let mut left = part.steps;
            while left > 0 && !matches!(tasks[part.task].at, At::Ended(_) | At::Killed) {
                // A task that is blocked lets others run, until it is not.
                let turn = if tasks[part.task].at == At::Waiting {
                    left -= 1;
                    Some(part.task)
                } else {
                    tasks.iter().position(|task| task.at == At::Waiting)
                };
                if let Some(turn) = turn {
                    tasks[turn].at = At::Running;
                    tasks[turn].steps += 1;
                    tasks[turn].go.add_permits(1);
                }
                let turn = turn.unwrap_or(part.task);
                let point = tasks[turn].next;
                loop {
                    match timeout(Duration::from_millis(5), events.recv()).await {
                        Ok(event) => take(&mut tasks, event)?,
                        Err(_) if self.is_blocked().await? => break,
                        Err(_) => {}
                    }
                    if tasks[turn].at != At::Running {
                        break;
                    }
                }
                if point != Point::Inside {
                    self.check().await?;
                }
            }
            if part.kill && tasks[part.task].at == At::Waiting {
                tasks[part.task].run.abort();
                tasks[part.task].at = At::Killed;
                // Its transaction is rolled back when its connection is used again.
                while !tasks[part.task].run.is_finished() {
                    tokio::task::yield_now().await;
                }
            }
        }
        let ended = |task: &Task| if let At::Ended(done) = task.at { Some(done) } else { None };
        Ok((tasks.iter().map(|task| task.steps).collect(), tasks.iter().map(ended).collect()))
    }

    /// Whether a running task waits for another's lock.
    async fn is_blocked(&self) -> Result<bool> {
        if !self.has_locks {
            return Ok(false);
        }
        let waiting: Vec<(i64,)> = self.rows("SELECT COUNT(*) FROM pg_locks WHERE NOT granted").await?;
        Ok(waiting[0].0 > 0)
    }

    /// Runs tasks with a schedule from the start, and checks what holds when all is done.
    async fn explore(&self, ops: &[Op], schedule: &[Part]) -> Result<Vec<usize>> {
        self.reset().await?;
        let (steps, ended) = self.schedule(ops, schedule).await?;
        ensure!(!schedule.is_empty() || ended[0] == Some(true), "it is refused, though nothing has happened before it");
        self.settle().await?;
        self.check().await.context("when settled")?;
        // Claims of killed tasks expire.
        self.run("UPDATE looks SET due = 0").await?;
        while watch::look(&self.app).await? > 0 {}
        let lost: Vec<(String,)> = self
            .rows("SELECT w.id FROM worklist w JOIN shipments s ON s.id = shipment WHERE w.state = 'open' AND open = 0")
            .await?;
        ensure!(lost.is_empty(), "{lost:?} are open, though their shipments are closed");
        let done = |op| ops.iter().zip(&ended).any(|(other, ended)| *other == op && *ended == Some(true));
        if done(Op::Hold) && !done(Op::Free) && !done(Op::Split) {
            let rows = self.app.store.shipments_of(&["A"]).await?;
            let free: Vec<_> = rows.iter().filter(|row| row.is_at_node() && !row.held).map(|row| &row.id).collect();
            ensure!(free.is_empty(), "{free:?} may leave, though the order was held");
        }
        // An order waits for a reason: planning all of them again changes nothing.
        let lacks = async || -> Result<i64> {
            let rows: Vec<(i64,)> =
                self.rows("SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM shortfalls").await?;
            Ok(rows[0].0)
        };
        let before = lacks().await?;
        let mut tx = self.app.store.begin().await?;
        self.app.store.requeue_short(&mut tx).await?;
        tx.commit().await?;
        self.settle().await?;
        let after = lacks().await?;
        ensure!(before <= after, "{before} units were short, and {after} are when planned again: a wake-up was lost");
        Ok(steps)
    }
}

/// Some steps of a task.
#[derive(Debug, Clone, Copy)]
struct Part {
    task: usize,
    steps: usize,
    /// Whether it is killed afterwards.
    kill: bool,
}

struct Task {
    go: Arc<Semaphore>,
    at: At,
    /// Place of its next statement.
    next: Point,
    steps: usize,
    run: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a statement, until it is let go.
    Waiting,
    Running,
    Ended(bool),
    Killed,
}

fn take(tasks: &mut [Task], event: Option<Event>) -> Result<()> {
    match event {
        Some(Event::Waits(task, point)) => (tasks[task].at, tasks[task].next) = (At::Waiting, point),
        Some(Event::Ended(task, done)) => tasks[task].at = At::Ended(done?),
        None => bail!("no task runs"),
    }
    Ok(())
}

/// Module, signature and a small snapshot.
fn files(folder: &Path) -> Result<Files> {
    let tables = [
        (
            "snapshot.json",
            r#"{"name": "two nodes", "version": "1", "currency": "USD", "issued": "2017-12-04T00:00:00Z",
            "expires": "2017-12-11T00:00:00Z", "rounding": {"unit": 1, "endings": [0]},
            "cover": {"short_weeks": 1, "long_weeks": 8, "excess_loss": 2000}}"#,
        ),
        ("products.csv", "sku,name,category,list\na,A,ALL,500\nb,B,ALL,300\n"),
        ("prices.csv", "sku,since,price\na,2017-12-01T00:00:00Z,500\nb,2017-12-01T00:00:00Z,300\n"),
        ("regions.csv", "code,name,state,latitude,longitude,utc_offset,weight\nR,Region,R,40,-90,0,1\n"),
        (
            "nodes.csv",
            "code,name,state,latitude,longitude,utc_offset,shipments_per_day,cut_off,handling,unit_handling\n\
            N1,One,R,40,-90,0,4,1080,100,10\nN2,Two,R,41,-91,0,3,1080,100,10\n",
        ),
        (
            "lanes.csv",
            "node,region,distance,cost,unit_cost,min_days,max_days\nN1,R,10,100,10,1,2\nN2,R,20,200,20,1,2\n",
        ),
        ("stock.csv", "node,sku,on_hand,reserved,safety\nN1,a,6,0,1\nN1,b,3,0,0\nN2,a,3,0,0\nN2,b,2,0,0\n"),
    ];
    for (name, text) in tables {
        fs::write(folder.join(name), text)?;
    }
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/tradewind.wasm");
    Ok(Files {
        module: fs::read(&dist).context("run `cargo xtask build` first")?,
        signature: None,
        packs: Vec::new(),
        snapshot: snapshot::Parts::read(folder)?.build()?.whole,
    })
}

/// Ordered pairs, with every `every`-th schedule: the first task runs some steps, the second runs to its end, and the
/// first goes on; or it is killed.
async fn pairs(world: &World, every: usize) -> Result<usize> {
    let mut runs = 0;
    for (n, &first) in Op::ALL.iter().enumerate() {
        for &second in &Op::ALL {
            let whole = world.explore(&[first, second], &[]).await.with_context(|| format!("{first:?}, {second:?}"))?;
            for steps in (1..=whole[0]).filter(|steps| (n + steps).is_multiple_of(every)) {
                // After a death the rest is one after the other, so one other task is enough.
                for kill in [false, true].into_iter().take(1 + usize::from(second == Op::Plan)) {
                    let part = [Part { task: 0, steps, kill }, Part { task: 1, steps: usize::MAX, kill: false }];
                    let ran = world.explore(&[first, second], &part).await;
                    ran.with_context(|| format!("{first:?}, after {steps} steps (killed: {kill}) {second:?}"))?;
                    runs += 1;
                }
            }
        }
    }
    Ok(runs)
}

/// A plan that is interrupted twice: by any part of another task, whose rest follows the plan's end.
async fn interrupted(world: &World, every: usize) -> Result<usize> {
    let mut runs = 0;
    for &other in &Op::ALL {
        let whole = world.explore(&[Op::Plan, other], &[]).await?;
        for steps in 1..=whole[0] {
            for part in (1..whole[1]).filter(|part| (steps + part).is_multiple_of(every)) {
                let parts = [Part { task: 0, steps, kill: false }, Part { task: 1, steps: part, kill: false }];
                let ran = world.explore(&[Op::Plan, other], &parts).await;
                ran.with_context(|| format!("plan, after {steps} steps {other:?}, after {part} the plan again"))?;
                runs += 1;
            }
        }
    }
    Ok(runs)
}

/// Two planners with a third task between them.
async fn triples(world: &World) -> Result<usize> {
    let mut runs = 0;
    for other in [Op::Split, Op::Cancel, Op::CountDown, Op::CountUp, Op::Close, Op::Leave, Op::Hold] {
        let ops = [Op::Plan, other, Op::Plan];
        let whole = world.explore(&ops, &[]).await?;
        for steps in 1..=whole[0] {
            let parts =
                [0, 1, 2].map(|task| Part { task, steps: if task == 0 { steps } else { usize::MAX }, kill: false });
            let ran = world.explore(&ops, &parts).await;
            ran.with_context(|| format!("plan, after {steps} steps {other:?} and another plan"))?;
            runs += 1;
        }
    }
    Ok(runs)
}

fn checked(database: Database, check: impl FnOnce(World) -> BoxFuture<'static, Result<usize>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let runs = runtime.block_on(async { check(World::new(database).await?).await })?;
    println!("{runs} schedules");
    Ok(())
}

#[test]
fn every_pair_of_tasks_keeps_the_invariants_on_sqlite() -> Result<()> {
    checked(Database::sqlite()?, |world| {
        Box::pin(async move { Ok(pairs(&world, 1).await? + interrupted(&world, 1).await? + triples(&world).await?) })
    })
}

/// A quarter of the schedules; all with `TRADEWIND_SCHEDULES` set, in ten minutes.
#[test]
fn every_pair_of_tasks_keeps_the_invariants_on_postgresql() -> Result<()> {
    checked(Database::postgres()?, |world| {
        Box::pin(async move {
            world.run("ALTER SYSTEM SET deadlock_timeout = '20ms'").await?;
            world.run("ALTER SYSTEM SET synchronous_commit = off").await?;
            world.run("SELECT pg_reload_conf()").await?;
            let every = if env::var_os("TRADEWIND_SCHEDULES").is_some() { 1 } else { 4 };
            Ok(pairs(&world, every).await? + interrupted(&world, 8 * every).await? + triples(&world).await?)
        })
    })
}
