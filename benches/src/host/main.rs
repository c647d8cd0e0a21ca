//! Times of the module under wasmtime, and orders per second of `tradewind serve` on SQLite and PostgreSQL.
//! `cargo xtask bench` appends the output to `RESULTS.md`.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use std::{
    fs,
    hint::black_box,
    thread,
    time::{Duration, Instant},
};
use tradewind_core::{guest::Guest, message::Describe};
use tradewind_host::{Runtime, RuntimeConfig, Tradewind, Trust, Verified};
use tradewind_tests::{
    decisions::quotes,
    dist, module,
    service::{Postgres, Service, balanced, keys, orders},
};

/// Connections that send orders.
const CONNECTIONS: usize = 8;

#[derive(Parser)]
struct Arguments {
    /// Number of rounds.
    #[arg(default_value_t = 7)]
    rounds: usize,
    /// Orders per round; at most 1,000.
    #[arg(default_value_t = 1_000)]
    orders: usize,
}

/// Results of one database: a value for each round.
#[derive(Default)]
struct Database {
    taken: Vec<f64>,
    planned: Vec<f64>,
    prices: Vec<f64>,
    latencies: Vec<f64>,
}

fn main() -> Result<()> {
    let Arguments { rounds, orders } = Arguments::parse();
    wasmtime(20 * rounds)?;
    let (mut sqlite, mut postgres) = (Database::default(), Database::default());
    for _ in 0..rounds {
        let folder = tempfile::tempdir()?;
        sqlite.round(&format!("sqlite:{}", folder.path().join("warehouse.db").display()), orders)?;
        let server = Postgres::start()?;
        postgres.round(&server.url(), orders)?;
    }
    println!("\n| `tradewind serve` | SQLite | PostgreSQL | ratio |\n|---|--:|--:|--:|");
    let row = |what: &str, of: &dyn Fn(&Database) -> f64, unit: &str, digits: usize| {
        let (one, other) = (of(&sqlite), of(&postgres));
        println!("| {what} | {one:.digits$} {unit} | {other:.digits$} {unit} | **{:.2}×** |", other / one);
    };
    row("orders accepted", &|database| median(&database.taken), "/s", 0);
    row("orders planned, until the last one", &|database| median(&database.planned), "/s", 0);
    row("response time of an order, median", &|database| median(&database.latencies), "ms", 1);
    row("response time of an order, 99th percentile", &|database| quantile(&database.latencies, 0.99), "ms", 1);
    row("prices verified", &|database| median(&database.prices), "/s", 0);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "\nMedians of {rounds} rounds of {orders} orders over {CONNECTIONS} connections, in turns, each with a new database on this \
         machine's disk, which syncs every commit. After each round units promised equal units that ship. Sender, service and \
         database share the machine; load {} at the end.",
        load.split(' ').next().unwrap_or("unknown")
    );
    Ok(())
}

/// Measures the work for each start, each guest and each call.
fn wasmtime(rounds: usize) -> Result<()> {
    let wasm = module()?;
    let folder = tempfile::tempdir()?;
    let pooled = RuntimeConfig::default().pool(Some(8));
    let cached = pooled.clone().cache(Some(folder.path().join("compiled")));
    let trust = Trust::read(&[dist("keys/dev.pub")?])?;
    let snapshot = Verified::snapshot(fs::read(dist("reference.snapshot")?)?, &trust)?;
    let price = Verified::pack(fs::read(dist("packs/price.pack")?)?, &trust)?;
    let late = Verified::pack(fs::read(dist("packs/late.pack")?)?, &trust)?;
    let loaded = |runtime: &Runtime| -> Result<Tradewind> {
        let builder = Tradewind::builder().runtime(runtime.clone());
        let builder = builder.verified_pack(price.clone()).verified_pack(late.clone());
        Ok(builder.verified_snapshot(snapshot.clone()).build()?)
    };
    Runtime::with(&wasm, &cached)?;
    // Written in the background.
    thread::sleep(Duration::from_secs(1));
    let runtime = Runtime::with(&wasm, &pooled)?;
    let tradewind = loaded(&runtime)?;
    let quote = quotes(snapshot.root)?.into_iter().next().context("no request for a price")?;

    let mut bare = runtime.unverified_guest()?;
    let mut times: [Vec<f64>; 7] = Default::default();
    let [compile, reuse, instance, guest, call, describe, price] = &mut times;
    for round in 0..rounds {
        if round % 10 == 0 {
            compile.push(timed(|| Ok(Runtime::with(&wasm, &pooled)?))?);
        }
        reuse.push(timed(|| Ok(Runtime::with(&wasm, &cached)?))?);
        guest.push(timed(|| loaded(&runtime))?);
        instance.push(each(|| Ok(runtime.unverified_guest()?))?);
        call.push(each(|| Ok(bare.call(&[])?))?);
        describe.push(each(|| Ok(tradewind.ask(&Describe)?))?);
        price.push(each(|| Ok(tradewind.quote(&quote)?))?);
    }
    println!("| the module under wasmtime | median |\n|---|--:|");
    for (what, times, scale, unit) in [
        ("compile the module", compile, 1e3, "ms"),
        ("load compiled code from `--compiled`", reuse, 1e3, "ms"),
        ("take an instance from the pool", instance, 1e6, "µs"),
        ("start a guest, with packs and snapshot loaded", guest, 1e3, "ms"),
        ("smallest request: an unknown one", call, 1e6, "µs"),
        ("description of packs and snapshot", describe, 1e6, "µs"),
        ("one price", price, 1e6, "µs"),
    ] {
        println!("| {what} | {:.1} {unit} |", scale * median(times));
    }
    Ok(())
}

impl Database {
    /// Starts a service, sends orders, waits until all are planned, and verifies prices.
    fn round(&mut self, url: &str, count: usize) -> Result<()> {
        let service = Service::start(url, &keys(url)?, &[])?;
        let rows = service.items("/v1/stock?limit=1000")?;
        let counts = rows.as_array().into_iter().flatten();
        let counts = counts.map(|row| json!({"node": row["node"], "sku": row["sku"], "on_hand": 1_000_000}));
        service.ask("warehouse", "PUT", "/v1/stock", &counts.collect(), 200)?;
        let recorded = orders()?;
        let named = recorded.iter().cycle().take(count).enumerate().map(|(n, order)| {
            let mut order = order.clone();
            order["id"] = json!(format!("order-{n}"));
            order
        });
        let named: Vec<Value> = named.collect();

        let began = Instant::now();
        let send = |orders: &[Value]| -> Result<Vec<f64>> {
            orders.iter().map(|order| timed(|| service.order(order)).map(|seconds| 1e3 * seconds)).collect()
        };
        let latencies = at_once(&named.chunks(count.div_ceil(CONNECTIONS)).collect::<Vec<_>>(), |orders| send(orders))?;
        self.latencies.extend(latencies.concat());
        self.taken.push(count as f64 / began.elapsed().as_secs_f64());
        let settled = service.settled()?;
        self.planned.push(count as f64 / began.elapsed().as_secs_f64());
        ensure!(settled.len() == count && settled.iter().all(|order| order["state"] != "dead"));
        balanced(&service)?;

        let claim = json!({
            "snapshot": service.get("/healthz")?["snapshot"], "at": "2017-12-04T14:00:00Z",
            "sku": "1082185", "region": "IAH", "price": 1,
        });
        // The price is wrong, so it has to be computed.
        let ask = || service.ask("shop", "POST", "/v1/quotes/verify", &claim, 409).map(drop);
        let began = Instant::now();
        let each = count / CONNECTIONS;
        at_once(&[each; CONNECTIONS], |each| (0..*each).try_for_each(|_| ask()))?;
        self.prices.push((each * CONNECTIONS) as f64 / began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// Runs a function on each element, in parallel.
fn at_once<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> Result<R> + Sync) -> Result<Vec<R>> {
    thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| each(one))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect()
    })
}

/// Measures a function, in seconds.
fn timed<T>(what: impl FnOnce() -> Result<T>) -> Result<f64> {
    let began = Instant::now();
    let made = what()?;
    let took = began.elapsed().as_secs_f64();
    drop(made);
    Ok(took)
}

/// Measures a function, in seconds, as the mean of many runs in a row.
fn each<T>(mut what: impl FnMut() -> Result<T>) -> Result<f64> {
    const RUNS: u32 = 100;
    let began = Instant::now();
    for _ in 0..RUNS {
        black_box(what()?);
    }
    Ok(began.elapsed().as_secs_f64() / f64::from(RUNS))
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((share * (sorted.len() as f64 - 1.0)).round() as usize).copied().unwrap_or(f64::NAN)
}
