//! Allocates an order given as JSON, and replays the decision from its record: `cargo run --release --example
//! allocate`.

use anyhow::{Context, Result, ensure};
use std::{env, fs, path::Path, time::Duration};
use tradewind_core::{
    allocate::{AllocateRequest, AllocationPolicy, ShopOrder},
    snapshot::Live,
};
use tradewind_host::{Limits, Tradewind, Trust};

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

    let request = AllocateRequest {
        snapshot: tradewind.snapshot().context("no snapshot")?.root,
        at: "2017-12-04T14:00:00Z".parse()?,
        orders: vec![serde_json::from_str::<ShopOrder>(ORDER)?],
        policy: AllocationPolicy::default(),
        live: Live::default(), // stock as the snapshot has it
        previous: Vec::new(),
        late: None,
    };
    let (allocated, record) = tradewind.ask_recorded(&request);
    for order in allocated?.orders {
        println!("{}", serde_json::to_string_pretty(&order)?);
    }

    // Keep the record with the order: it proves the input of the decision.
    let differences = tradewind.replay(&record.context("no record")?)?;
    ensure!(differences.is_empty(), "the replay differs: {differences:?}");
    Ok(())
}
