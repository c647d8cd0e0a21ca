//! Large catalogues: what loading keeps and what a ranking costs, by fuel and bytes.

use anyhow::{Result, ensure};
use std::fs;
use tradewind_core::{
    Catalog, Channel, Event, EventKind, Millis, Sku, SkuId,
    guest::{Client, Instance},
    pack::{PackView, PackWriter, SectionKind},
    rank::{Neighbour, ProductStats, RankRequest, RankTables},
};
use tradewind_host::{Runtime, sha256};
use tradewind_tests::{dist, module};

const NOW: Millis = Millis(1_512_345_600_000);
const NEIGHBOURS: u32 = 10;
const SIZES: [u32; 2] = [5_000, 200_000];

fn sku(id: u32) -> Result<Sku> {
    Ok(Sku::new(format!("{:08}", 10_000_000 + id * 37))?)
}

/// The ranking pack with tables of generated products.
fn pack(products: u32) -> Result<Vec<u8>> {
    let recommend = fs::read(dist("packs/recommend.pack")?)?;
    let view = PackView::parse(&recommend)?;
    let skus = (0..products).map(|id| Ok((sku(id)?, "any"))).collect::<Result<Vec<_>>>()?;
    let share = |id: u32| 0.1 / (1.0 + (id.wrapping_mul(2_654_435_761) % products) as f32);
    let stats = (0..products).map(|id| ProductStats {
        popularity: share(id),
        recent_popularity: share(id + 1),
        repeat_rate: 0.3,
        gap_days: 14.0,
    });
    let neighbours = (0..products).map(|id| {
        let other = |n: u32| id.wrapping_mul(747_796_405).wrapping_add(n.wrapping_mul(2_891_336_453)) % products;
        (1..=NEIGHBOURS).map(|n| Neighbour { id: SkuId(other(n)), similarity: 0.9 / n as f32 }).collect()
    });
    let (stats, neighbours) = (stats.collect::<Vec<_>>(), neighbours.collect::<Vec<_>>());
    let tables = RankTables::new(Catalog::new(skus)?, &stats, &neighbours)?;
    let mut writer = PackWriter::new("recommend", "generated");
    for kind in [SectionKind::Plan, SectionKind::Weights, SectionKind::Task] {
        writer = writer.bytes(kind, view.bytes(kind).unwrap_or_default().to_vec());
    }
    Ok(writer.columns(SectionKind::Tables, &tables)?.finish(sha256)?)
}

#[test]
fn a_ranking_costs_the_same_whatever_the_size_of_the_catalogue() -> Result<()> {
    let runtime = Runtime::metered(&module()?)?;
    let mut fuel = Vec::new();
    for products in SIZES {
        let pack = pack(products)?;
        let mut client = Client::new(runtime.unverified_guest()?);
        let before = client.guest().instance().memory_len();
        client.load(&pack)?;
        let grown = client.guest().instance().memory_len() - before;
        // What does not grow with the catalogue: room for one call of the model, and for the counting sort.
        ensure!(grown < pack.len() * 6 / 5 + (3 << 20), "{products} products: {grown} bytes for {}", pack.len());
        let views = (0..40).map(|n| {
            let kind = EventKind::View { sku: sku(n * (products / 40))? };
            Ok(Event { at: Millis(NOW.0 - i64::from(n)), channel: Channel::Web, kind })
        });
        let request = RankRequest { events: views.collect::<Result<_>>()?, ..RankRequest::new("recommend", NOW, 12) };
        let ranking = client.rank(request)?;
        ensure!(ranking.items.len() == 12 && ranking.considered >= 70, "{ranking:?}");
        fuel.push((client.guest().instance().fuel_used() as f64, ranking.considered));
    }
    let [(small, of_small), (large, of_large)] = fuel[..] else { anyhow::bail!("two sizes were measured") };
    let ratio = large / small;
    ensure!(
        of_small.abs_diff(of_large) <= 2 && (0.9..1.1).contains(&ratio),
        "{SIZES:?} products: fuel {small} and {large}"
    );
    Ok(())
}
