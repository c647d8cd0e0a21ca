//! Limits of the module: `benches/budget.toml`.
//!
//! Fuel counts the work done, independently of the machine but not of the compiler; it is compared with the budget only
//! if the module was built by the tools named there. To record a new budget after an intended change:
//! `TRADEWIND_RECORD_BUDGET=1 cargo test --release --workspace --test budget`.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, env, fs};
use tradewind_core::{
    Money,
    guest::{Client, Guest, Instance},
    message::{self, InferRequest},
    snapshot::Snapshot,
};
use tradewind_host::{Runtime, WasmGuest};
use tradewind_json as json;
use tradewind_tests::{PACK, allocation, cases, decisions, dist, module, pack_of, root};

/// Models with a fuel budget, one of each kind, on their largest data set.
const WATCHED: [&str; 6] = [
    "mlp-gemm-relu",
    "sklearn-logistic-multinomial",
    "lightgbm-regression",
    "xgboost-multi-softprob",
    "two-tower-matmul",
    "top-k-ties",
];

/// Allowed change of fuel in either direction without recording a new budget.
const FUEL_TOLERANCE: f64 = 0.02;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    module: ModuleBudget,
    fuel: FuelBudget,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleBudget {
    /// Maximum bytes of the module after brotli at its best quality.
    brotli_bytes: usize,
    /// Maximum linear memory after loading and calling the recommender, in bytes.
    memory_bytes: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FuelBudget {
    /// Tools for which the counts are valid.
    tools: String,
    /// Fuel of each call.
    calls: BTreeMap<String, u64>,
}

#[test]
fn the_module_stays_within_its_budget() -> Result<()> {
    let path = root().join("benches/budget.toml");
    let text = fs::read_to_string(&path)?;
    let budget: Budget = toml::from_str(&text)?;

    let module = module()?;
    let mut compressed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut module.as_slice(), &mut compressed, &parameters)?;
    let (calls, memory) = measure(&module)?;
    let tools = fs::read_to_string(dist("tradewind.wasm.tools")?)?.trim().replace('\n', "; ");
    println!(
        "module: {} bytes, {} after brotli; memory: {memory} bytes; fuel: {calls:?}",
        module.len(),
        compressed.len()
    );

    if env::var_os("TRADEWIND_RECORD_BUDGET").is_some() {
        let header: String =
            text.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let recorded = Budget { module: budget.module, fuel: FuelBudget { tools, calls } };
        fs::write(&path, format!("{header}\n{}", toml::to_string(&recorded)?))?;
        return Ok(());
    }
    let most = budget.module.brotli_bytes;
    ensure!(
        compressed.len() <= most,
        "the module has {} bytes after brotli; at most {most} are allowed",
        compressed.len()
    );
    let most = budget.module.memory_bytes;
    ensure!(memory <= most, "the module used {memory} bytes of memory; at most {most} are allowed");
    if tools != budget.fuel.tools {
        println!("fuel is not compared: the module was built by `{tools}`, the budget is for `{}`", budget.fuel.tools);
        return Ok(());
    }
    let moved: Vec<String> = calls
        .iter()
        .filter_map(|(name, &used)| {
            let recorded = budget.fuel.calls.get(name).copied().unwrap_or(0);
            let moved = used as f64 / recorded.max(1) as f64 - 1.0;
            (moved.abs() > FUEL_TOLERANCE)
                .then(|| format!("{name}: {used}, recorded {recorded} ({:+.1} %)", moved * 100.0))
        })
        .collect();
    ensure!(
        moved.is_empty(),
        "fuel moved; if that is meant, record it (see the top of this test):\n{}",
        moved.join("\n")
    );
    Ok(())
}

/// Measures the fuel of each listed call and of the decisions, and the memory of the recommender.
fn measure(module: &[u8]) -> Result<(BTreeMap<String, u64>, usize)> {
    let runtime = Runtime::metered(module)?;
    let mut calls = BTreeMap::new();
    for case in cases()?.iter().filter(|case| WATCHED.contains(&case.name.as_str())) {
        let mut guest = runtime.unverified_guest()?;
        guest.load(&pack_of(case)?)?;
        let set =
            case.sets.iter().max_by_key(|set| set.inputs.first().map_or(0, |input| input.rows())).context("no set")?;
        let request = InferRequest { pack: PACK.into(), inputs: set.inputs.clone() };
        guest.call(&message::request(&request))?;
        calls.insert(case.name.clone(), guest.instance().fuel_used());
    }
    ensure!(calls.len() == WATCHED.len(), "a watched case is gone: {:?}", calls.keys());

    let mut client = Client::new(runtime.unverified_guest()?);
    client.load(&fs::read(dist("packs/recommend.pack")?)?)?;
    let requests = fs::read_to_string(root().join("tests/cases/rank/requests.jsonl"))?;
    let request: json::RankRequest = serde_json::from_str(requests.lines().next().context("no request")?)?;
    client.rank(request.message("recommend", &Default::default())?)?;
    calls.insert("rank".into(), client.guest().instance().fuel_used());
    let memory = client.guest().instance().memory_len();

    let reference = fs::read(dist("reference.snapshot")?)?;
    let mut guest = deciding(&runtime, &reference)?;
    let root = Snapshot::read(&reference)?.root;
    let quote = decisions::quotes(root)?.swap_remove(0);
    for (name, request) in [
        ("quote", message::request(&quote)),
        ("allocate", message::request(&decisions::orders(root)?)),
        ("exceptions", message::request(&decisions::shipments(root)?)),
    ] {
        calls.insert(name.into(), fuel(&mut guest, &request)?);
    }
    // One order from four hundred nodes, as if just placed.
    let (snapshot, order) = allocation::shop(&allocation::made_up(1, 400, 20, 9, 100_000), Money(400))?;
    let mut guest = deciding(&runtime, &snapshot)?;
    calls.insert("allocate-400".into(), fuel(&mut guest, &message::request(&order))?);
    Ok((calls, memory))
}

/// Guest with the packs of all decisions and a snapshot.
fn deciding(runtime: &Runtime, snapshot: &[u8]) -> Result<WasmGuest> {
    let mut guest = runtime.unverified_guest()?;
    for pack in ["price", "late"] {
        guest.load(&fs::read(dist(&format!("packs/{pack}.pack"))?)?)?;
    }
    guest.load(snapshot)?;
    Ok(guest)
}

/// Fuel of a request that is answered.
fn fuel(guest: &mut WasmGuest, request: &[u8]) -> Result<u64> {
    let fault = message::fault(&guest.call(request)?);
    ensure!(fault.is_none(), "{fault:?}");
    Ok(guest.instance().fuel_used())
}
