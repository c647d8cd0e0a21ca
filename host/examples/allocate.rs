//! Allocates an order given as JSON, and replays the decision from its record: `cargo run --release --example
//! allocate`.

use anyhow::{Context, Result, ensure};
use std::{env, fs, path::Path, time::Duration};
use tradewind_core::{allocate::AllocateRequest, snapshot::Live};
use tradewind_host::{Limits, Tradewind, Trust};
use tradewind_json::{AllocatedOrder, AllocationPolicy, Moment, Order};

const ORDER: &str = r#"{
    "id": "web-17", "region": "SEA", "promised": "2017-12-09",
    "lines": [{"sku": "1082185", "quantity": 2}, {"sku": "866211", "quantity": 1}]
}"#;

fn main() -> Result<()> {
    run(Path::new(&env::args().nth(1).unwrap_or_else(|| "dist".into())))
}

/// Runs the example; `dist` is the folder of `cargo xtask build`.
pub fn run(dist: &Path) -> Result<()> {
    let tradewind = Tradewind::builder()
        .module(fs::read(dist.join("tradewind.wasm"))?)
        .signature(fs::read_to_string(dist.join("tradewind.wasm.sig"))?)
        .trust(Trust::read(&[dist.join("keys/dev.pub")])?)
        .pack(fs::read(dist.join("packs/late.pack"))?)
        .snapshot(fs::read(dist.join("reference.snapshot"))?)
        .limits(Limits::default().deadline(Duration::from_secs(5)))
        .build()?;

    let Moment(at) = serde_json::from_str("\"2017-12-04T14:00:00Z\"")?;
    let request = AllocateRequest {
        snapshot: tradewind.snapshot().context("no snapshot")?.root,
        at,
        orders: vec![serde_json::from_str::<Order>(ORDER)?.message()?],
        policy: AllocationPolicy::default().into(),
        live: Live::default(), // stock as the snapshot has it
        previous: Vec::new(),
        late: None,
    };
    let (allocated, record) = tradewind.ask_recorded(&request);
    for order in allocated?.orders {
        println!("{}", serde_json::to_string_pretty(&AllocatedOrder::from(order))?);
    }

    // Keep the record with the order: it proves the input of the decision.
    let differences = tradewind.replay(&record.context("no record")?)?;
    ensure!(differences.is_empty(), "the replay differs: {differences:?}");
    Ok(())
}
