//! Prices products on several threads while the snapshot is swapped: `cargo run --release --example swap`.

use anyhow::{Context, Result};
use std::{env, fs, path::Path, sync::RwLock, thread};
use tradewind_core::{
    Code, Sku,
    quote::{Objective, Quote, QuoteRequest},
};
use tradewind_host::{Tradewind, Trust};

fn main() -> Result<()> {
    run(Path::new(&env::args().nth(1).unwrap_or_else(|| "dist".into())))
}

/// Runs the example; `dist` is the folder of `cargo xtask build`.
pub fn run(dist: &Path) -> Result<()> {
    let snapshot = fs::read(dist.join("reference.snapshot"))?;
    let tradewind = Tradewind::builder()
        .module(fs::read(dist.join("tradewind.wasm"))?)
        .signature(fs::read_to_string(dist.join("tradewind.wasm.sig"))?)
        .trust(Trust::read(&[dist.join("keys/dev.pub")])?)
        .pack(fs::read(dist.join("packs/price.pack"))?)
        .snapshot(snapshot.clone())
        .build()?;

    let current = RwLock::new(tradewind);
    let quotes = thread::scope(|scope| {
        let askers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<Quote>> {
                    // A clone shares the pool, and stays valid while another replaces it.
                    (0..25).map(|_| price(&read(&current)?)).collect()
                })
            })
            .collect();
        // Shares the compiled module and the packs. A service would read a newer file here.
        let next = read(&current)?.successor().snapshot(snapshot).build()?;
        *current.write().ok().context("a thread panicked")? = next;
        askers.into_iter().map(|asker| asker.join().ok().context("a thread panicked")?).collect::<Result<Vec<_>>>()
    })?;
    let quotes = quotes.concat();
    anyhow::ensure!(quotes.windows(2).all(|pair| pair[0] == pair[1]), "several prices for one snapshot");
    println!("{} quotes of {} minor units", quotes.len(), quotes[0].price.0);
    Ok(())
}

fn read(current: &RwLock<Tradewind>) -> Result<Tradewind> {
    Ok(current.read().ok().context("a thread panicked")?.clone())
}

fn price(tradewind: &Tradewind) -> Result<Quote> {
    let snapshot = tradewind.snapshot().context("no snapshot")?;
    Ok(tradewind.quote(&QuoteRequest {
        pack: None,
        snapshot: snapshot.root,
        at: snapshot.storefront.issued,
        sku: Sku::new("1082185")?,
        region: Code::new("IAH")?,
        objective: Objective::MARGIN,
    })?)
}
