//! Slices: they answer as the whole files do, and are small.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs, io::Write as _};
use tradewind_core::{
    Code, Engine, Millis, Sku,
    guest::Client,
    quote::{Objective, QuoteRequest},
    rank::{RankRequest, RankTables},
    snapshot::Snapshot,
};
use tradewind_host::slice::Shop;
use tradewind_tests::{
    decisions::{ISSUED, rankings},
    dist,
};

fn file(name: &str) -> Result<Vec<u8>> {
    fs::read(dist(name)?).with_context(|| format!("cannot read `{name}`"))
}

fn shop() -> Result<Shop> {
    let texts: Map<String, Value> = serde_json::from_slice(&file("site/tradewind/products.json")?)?;
    Ok(Shop::new(file("packs/page/recommend.pack")?, &file("reference.public.snapshot")?, texts)?)
}

fn client(packs: &[&[u8]], snapshot: &[u8]) -> Result<Client<Engine>> {
    let mut client = Client::new(Engine::new());
    for pack in packs {
        client.load(pack).map_err(anyhow::Error::msg)?;
    }
    client.load_snapshot(snapshot).map_err(anyhow::Error::msg)?;
    Ok(client)
}

fn code(code: &str) -> Result<Code> {
    Ok(Code::new(code)?)
}

/// First twelve products for a request of a region.
fn first(client: &mut Client<Engine>, mut request: RankRequest, region: &Code) -> Result<Vec<(Sku, f32)>> {
    request.limit = 12;
    request.constraints.deliverable_to = Some(region.clone());
    let ranking = client.rank(request).map_err(anyhow::Error::msg)?;
    Ok(ranking.items.into_iter().map(|item| (item.sku, item.score)).collect())
}

#[test]
fn with_rows_a_slice_ranks_as_the_whole_pack() -> Result<()> {
    let (shop, pack, snapshot) = (shop()?, file("packs/page/recommend.pack")?, file("reference.public.snapshot")?);
    let mut whole = client(&[&pack], &snapshot)?;
    for region in ["ORD", "LAX"] {
        let region = code(region)?;
        let selection = shop.select(Some(&region), None, 300)?;
        let slice = shop.cut(&selection)?;
        let mut sliced = client(&[&slice.pack], &slice.snapshot)?;
        // Bit sets are of one catalogue.
        for request in rankings()?
            .into_iter()
            .filter(|request| request.constraints.hidden.is_none() && request.constraints.available.is_none())
        {
            let wanted = first(&mut whole, request.clone(), &region)?;
            let rows = shop.rows(&selection, &request);
            let found = first(&mut sliced, RankRequest { rows, ..request.clone() }, &region)?;
            ensure!(found == wanted, "for {region}: {found:?}, not {wanted:?}");
        }
        // A stranger needs no rows.
        let stranger = RankRequest::new("recommend", ISSUED, 12);
        ensure!(first(&mut sliced, stranger.clone(), &region)? == first(&mut whole, stranger, &region)?);
    }
    Ok(())
}

#[test]
fn a_slice_prices_for_the_snapshot_that_it_was_cut_from() -> Result<()> {
    let (shop, price) = (shop()?, file("packs/page/price.pack")?);
    let public = file("reference.public.snapshot")?;
    let region = code("ORD")?;
    let selection = shop.select(Some(&region), None, 300)?;
    let slice = shop.cut(&selection)?;
    let (of_all, cut) = (Snapshot::read(&public)?, Snapshot::read(&slice.snapshot)?);
    ensure!(cut.root == of_all.root && cut.storefront.slice_of == Some(of_all.root));
    ensure!(cut.storefront.regions.len() == 1);
    let published = cut.storefront.published.as_ref().context("nothing is published")?;
    let catalog = &cut.storefront.catalog;
    let priced: Vec<Sku> = published.products().iter().filter_map(|id| catalog.sku(*id)).collect();
    ensure!(!priced.is_empty());
    let (mut whole, mut sliced) = (client(&[&price], &public)?, client(&[&price], &slice.snapshot)?);
    for sku in priced {
        let at = Millis(ISSUED.0 + 3_600_000);
        let (pack, snapshot, objective) = (None, of_all.root, Objective::MARGIN);
        let request = QuoteRequest { pack, snapshot, at, sku, region: region.clone(), objective };
        let wanted = whole.quote(request.clone()).map_err(anyhow::Error::msg)?;
        ensure!(sliced.quote(request).map_err(anyhow::Error::msg)? == wanted);
    }
    Ok(())
}

#[test]
fn a_slice_has_what_a_region_and_a_category_ask_for() -> Result<()> {
    let shop = shop()?;
    let region = code("ORD")?;
    let category = shop.catalog().category(tradewind_core::SkuId(0)).to_owned();
    let selection = shop.select(Some(&region), Some(&category), 50)?;
    let of = |sku: &Sku| shop.catalog().id(sku).map(|id| shop.catalog().category(id).to_owned());
    ensure!(selection.products.iter().all(|sku| of(sku).as_deref() == Some(&category)));
    ensure!(selection.neighbours.iter().any(|sku| of(sku).as_deref() != Some(&category)), "neighbours are of any");
    let texts: BTreeSet<String> =
        serde_json::from_slice::<Map<_, _>>(&shop.cut(&selection)?.texts)?.into_iter().map(|(sku, _)| sku).collect();
    ensure!(texts.len() == selection.products.len() + selection.neighbours.len());
    let refused = |region: &str, category| -> Result<String> {
        Ok(shop.select(Some(&code(region)?), category, 50).err().context("it was cut")?.to_string())
    };
    ensure!(refused("MOON", None)?.contains("the snapshot has no region `MOON`"));
    ensure!(
        refused("ORD", Some("none"))?.contains("no product of category `none` has a text and is delivered to `ORD`")
    );
    Ok(())
}

/// What a page loads before its first ranked slot, beside the module and the package: measured as it is sent.
#[test]
fn a_slice_is_small() -> Result<()> {
    let shop = shop()?;
    let selection = shop.select(Some(&code("ORD")?), None, 500)?;
    let slice = shop.cut(&selection)?;
    let sent = |bytes: &[u8]| -> Result<usize> {
        let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 11, 24);
        encoder.write_all(bytes)?;
        Ok(encoder.into_inner().len())
    };
    let sizes = [&slice.pack, &slice.snapshot, &slice.texts].map(|bytes| sent(bytes));
    let [pack, snapshot, texts] = sizes;
    let (pack, snapshot, texts) = (pack?, snapshot?, texts?);
    println!(
        "pack {pack}, snapshot {snapshot}, texts {texts} bytes after brotli; {} products",
        selection.products.len() + selection.neighbours.len()
    );
    ensure!(pack + snapshot + texts <= 70_000, "{pack} + {snapshot} + {texts} bytes");
    Ok(())
}

#[test]
fn rows_are_of_products_that_the_slice_lacks() -> Result<()> {
    let shop = shop()?;
    let selection = shop.select(Some(&code("ORD")?), None, 300)?;
    let tables: &dyn Fn(&Sku) -> bool = &|sku| selection.products.contains(sku);
    for request in rankings()? {
        let rows = shop.rows(&selection, &request);
        ensure!(rows.iter().filter(|row| !row.neighbours.is_empty()).all(|row| !tables(&row.sku)));
        ensure!(rows.iter().all(|row| row.neighbours.len() <= RankTables::MAX_NEIGHBOURS));
    }
    Ok(())
}
