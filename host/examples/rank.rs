//! Ranks products for a new shopper, and again after a purchase: `cargo run --release --example rank`.

use anyhow::Result;
use std::{env, fs, path::Path};
use tradewind_core::{
    Channel, Event, EventKind, Line, Millis, Sku,
    rank::{RankRequest, Ranking},
};
use tradewind_host::{Tradewind, Trust};

fn main() -> Result<()> {
    run(Path::new(&env::args().nth(1).unwrap_or_else(|| "dist".into())))
}

/// Runs the example; `dist` is the folder of `cargo xtask build`.
pub fn run(dist: &Path) -> Result<()> {
    let tradewind = Tradewind::builder()
        .module(fs::read(dist.join("tradewind.wasm"))?)
        .signature(fs::read_to_string(dist.join("tradewind.wasm.sig"))?)
        .trust(Trust::read(&[dist.join("keys/dev.pub")])?)
        .pack(fs::read(dist.join("packs/recommend.pack"))?)
        .build()?;

    let now = Millis(1_512_345_600_000); // 4 December 2017
    let first = RankRequest::new("recommend", now, 5);
    let popular = tradewind.rank(&first)?;
    show("someone new", &popular);

    let lines = vec![Line { sku: Sku::new("866211")?, quantity: 2 }];
    let purchase =
        Event { at: Millis(now.0 - Millis::DAY), channel: Channel::Web, kind: EventKind::Purchase { lines } };
    let known = tradewind.rank(&RankRequest { events: vec![purchase], ..first })?;
    show("after a purchase", &known);

    // Store `known.profile` with the shopper's data, and send it with the next request: the host keeps no state.
    anyhow::ensure!(known.profile != popular.profile, "the purchase is not in the profile");
    Ok(())
}

fn show(who: &str, ranking: &Ranking) {
    println!("{who}: the best of {} candidates", ranking.considered);
    for item in &ranking.items {
        println!("  {:<10} {:>8.4}  {:?}", item.sku, item.score, item.reasons);
    }
}
