//! `tradewind serve` with a year of history, against an empty database: planning, lists, the page, exceptions, and its
//! end. `cargo xtask bench` appends the output to `RESULTS.md`.
//!
//! The state is generated: 40,000 products at 30 nodes, 200,000 planned orders, 50,000 open shipments, their scans and
//! decisions, and a worklist. Numbers, not contents, are what is measured here.

mod state;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use state::{Shop, Size};
use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tradewind_tests::{
    database::{Database, LockWaits},
    service::{Service, keys},
};

#[derive(Parser)]
struct Arguments {
    /// Number of rounds.
    #[arg(default_value_t = 3)]
    rounds: usize,
    /// Orders that wait for planning in each round.
    #[arg(default_value_t = 4_000)]
    orders: usize,
    /// Measure only the databases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Divides the size of the state, for a smoke test.
    #[arg(long, default_value_t = 1)]
    divide: usize,
}

/// What is measured in a round, by the row's name.
type Measured = Vec<(String, f64, &'static str)>;

fn main() -> Result<()> {
    let Arguments { rounds, orders, only, divide } = Arguments::parse();
    let size = Size::year().divided(divide);
    let shop = Shop::make(&size)?;
    let mut columns: [(&str, Vec<Measured>); 4] =
        [("SQLite, empty", vec![]), ("SQLite", vec![]), ("PostgreSQL, empty", vec![]), ("PostgreSQL", vec![])];
    let mut seeded = BTreeMap::new();
    for (name, _) in columns.iter().filter(|(name, _)| name.contains(&only)) {
        eprintln!("    write the state: {name}");
        let database = if name.starts_with("SQLite") { Database::sqlite()? } else { Database::postgres()? };
        let history = if name.ends_with("empty") { &Size::none() } else { &size };
        let keys = seed(&shop, &database, history)?;
        seeded.insert(*name, (database, keys));
    }
    for round in 1..=rounds {
        for (name, measured) in &mut columns {
            let Some((database, keys)) = seeded.get(name) else { continue };
            eprintln!("    round {round} of {rounds}: {name}");
            let round = round_of(&shop, &database.copy()?, keys, orders)?;
            for (what, value, unit) in &round {
                eprintln!("        {what}: {value:.1} {unit}");
            }
            measured.push(round);
        }
    }
    println!("| {} |", ["", columns[0].0, columns[1].0, "ratio", columns[2].0, columns[3].0, "ratio"].join(" | "));
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let measured = columns.iter().find_map(|(_, rounds)| rounds.first());
    let rows = measured.context("no round")?.clone();
    for (n, (name, _, unit)) in rows.iter().enumerate() {
        let value = |column: usize| -> f64 {
            let mut values: Vec<f64> =
                columns[column].1.iter().filter_map(|round| round.get(n)).map(|(_, value, _)| *value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(value);
        let cell = |value: f64| if value.is_nan() { "–".to_owned() } else { format!("{value:.1} {unit}") };
        let ratio = |value: f64| if value.is_finite() { format!("**{value:.2}×**") } else { "–".to_owned() };
        let cells = [cell(a), cell(b), ratio(b / a), cell(c), cell(d), ratio(d / c)];
        println!("| {name} | {} |", cells.join(" | "));
    }
    println!(
        "\nMedians of {rounds} rounds in turns, each with new databases on this machine's disk. The state is generated: {size}. \
              Service and database share the machine, with {} processors. A share of w waiting for locks with four replicas \
         limits these on four times the processors to 4 × (1 − w) times one replica's rate.",
        thread::available_parallelism()?
    );
    Ok(())
}

/// Keys of a service, by role.
type Keys = BTreeMap<&'static str, String>;

/// Starts a service, which makes the tables and the stock, and writes a state.
fn seed(shop: &Shop, database: &Database, history: &Size) -> Result<Keys> {
    let keys = keys(&database.url)?;
    start(shop, database, &keys)?.stop()?;
    database.run(shop.history(history))?;
    // As after a year.
    database.run([if database.url.starts_with("sqlite:") { "ANALYZE" } else { "VACUUM ANALYZE" }])?;
    Ok(keys)
}

fn start(shop: &Shop, database: &Database, keys: &Keys) -> Result<Service> {
    let arguments = shop.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Service::start(&database.url, keys, &arguments)
}

/// Measures a service with a state.
fn round_of(shop: &Shop, database: &Database, keys: &Keys, orders: usize) -> Result<Measured> {
    let start = || start(shop, database, keys);
    let mut measured = Measured::new();
    let is_sqlite = database.url.starts_with("sqlite:");
    for replicas in [1, 4] {
        let name = format!("orders planned from a queue, replicas: {replicas}");
        let waits = format!("their time spent waiting for locks, replicas: {replicas}");
        if replicas > 1 && is_sqlite {
            measured.extend([(name, f64::NAN, "/s"), (waits, f64::NAN, "%")]);
            continue;
        }
        let services = (0..replicas).map(|_| start()).collect::<Result<Vec<_>>>()?;
        let first = services.first().context("no service")?;
        looked(first)?;
        let counted = (!is_sqlite).then(|| LockWaits::start(&database.url));
        database.run(shop.queue(&format!("q{replicas}"), orders, !is_sqlite))?;
        let began = Instant::now();
        // It tells the service that there are orders.
        first.order(&shop.order(&format!("last-{replicas}")))?;
        settled(first)?;
        measured.push((name, orders as f64 / began.elapsed().as_secs_f64(), "/s"));
        let waiting = counted.map(LockWaits::end).transpose()?.unwrap_or(f64::NAN);
        measured.push((waits, 100.0 * waiting / f64::from(replicas), "%"));
        for service in services {
            service.stop()?;
        }
    }
    let service = start()?;
    looked(&service)?;
    for path in [
        "/v1/orders",
        "/v1/orders?state=dead",
        "/v1/orders?state=allocated&limit=1000",
        "/v1/stock",
        "/v1/stock?node=LAS",
        "/v1/shipments?node=LAS&state=created",
        "/v1/shipments?dispatch=2017-12-05",
        "/v1/worklist",
        "/v1/events",
        "/v1/nodes",
        "/metrics",
    ] {
        let millis = repeated(|| service.get(path).map(drop))?;
        measured.push((format!("`GET {path}`"), millis, "ms"));
    }
    let page = page(&service)?;
    measured.push(("the operators' page".into(), page, "ms"));
    // It removes old rows, and updates the database's statistics, for the first time ten seconds after the start.
    thread::sleep(Duration::from_secs(15));
    let idle = Duration::from_secs(20);
    let before = processor(&service)?;
    thread::sleep(idle);
    let used = processor(&service)? - before;
    measured.push(("processor when nothing happens, of one core".into(), 100.0 * used / idle.as_secs_f64(), "%"));
    let began = Instant::now();
    database.run(["UPDATE looks SET due = 0"])?;
    let order = shop.order("while-due");
    let posted = Instant::now();
    service.order(&order)?;
    measured.push((
        "an order's response while all shipments are due".into(),
        1e3 * posted.elapsed().as_secs_f64(),
        "ms",
    ));
    looked(&service)?;
    measured.push(("all open shipments scored again".into(), began.elapsed().as_secs_f64(), "s"));
    let stopping = Instant::now();
    ensure!(service.stop()?, "the service failed");
    measured.push(("end after SIGTERM".into(), 1e3 * stopping.elapsed().as_secs_f64(), "ms"));
    Ok(measured)
}

fn number(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Orders that wait for planning.
fn waiting(service: &Service) -> Result<usize> {
    let metrics = service.get("/metrics")?;
    let count = number(metrics.as_str().unwrap_or_default(), "tradewind_orders{state=\"queued\"}");
    Ok(count.context("no number of queued orders")? as usize)
}

fn settled(service: &Service) -> Result<()> {
    until("orders are planned", || Ok(waiting(service)? == 0), Duration::from_millis(50))
}

/// Waits until no shipment is due.
fn looked(service: &Service) -> Result<()> {
    let due = || -> Result<bool> {
        let metrics = service.get("/metrics")?;
        let due = number(metrics.as_str().unwrap_or_default(), "tradewind_shipments_due ");
        Ok(due.context("no number of due shipments")? == 0.0)
    };
    until("shipments are scored", due, Duration::from_millis(100))
}

fn until(what: &str, mut done: impl FnMut() -> Result<bool>, pause: Duration) -> Result<()> {
    let began = Instant::now();
    while !done()? {
        ensure!(began.elapsed() < Duration::from_secs(600), "not within ten minutes: {what}");
        thread::sleep(pause);
    }
    Ok(())
}

/// Median milliseconds of a few calls.
fn repeated(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        call()?;
        times.push(1e3 * began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Median milliseconds of the operators' page.
fn page(service: &Service) -> Result<f64> {
    let form = format!("key={}", service.key("operator"));
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let signed_in = service.send("", "POST", "/login", &headers, form.as_bytes())?;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    repeated(|| {
        let page = service.send("", "GET", "/", &[("cookie", &cookie)], b"")?;
        ensure!(
            page.status == 200 && matches!(&page.body, Value::String(text) if text.contains("Worklist")),
            "no page"
        );
        Ok(())
    })
}

/// Processor seconds of a service so far.
fn processor(service: &Service) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", service.id()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    let each = Command::new("getconf").arg("CLK_TCK").output()?;
    Ok(ticks / String::from_utf8_lossy(&each.stdout).trim().parse::<f64>()?)
}
