//! Loading of an isolate: a configuration, and the files that it names, fetched and checked.
//!
//! Loading runs in steps, between which other events are handled: a step takes as long as the module needs for one pack
//! or snapshot.

use crate::{
    config::{Config, Product},
    files,
    shop::{Inside, Shop, Trouble, region_of},
    text::Words,
    work::Work,
};
use futures_util::future::{try_join_all, try_join3};
use js_sys::{Function, WebAssembly::Module};
use std::{cell::RefCell, collections::HashMap, sync::Arc, time::Duration};
use tradewind_core::{
    Catalog, Sku, SkuBits, Task,
    aligned::AlignedBytes,
    guest::{Client, Revived},
    message::Describe,
    pack::{PackView, SectionKind},
    rank::RankTables,
    snapshot::Snapshot,
};
use tradewind_js::{JsGuest, instantiate_with};
use wasm_bindgen::prelude::*;
use worker::{Delay, Env};

/// Loads the shop of a configuration.
#[wasm_bindgen]
pub fn load(document: String, module: Module, env: Env) -> Work {
    Work::new(loaded(document, module, env))
}

/// Megabytes of an isolate's 128 that a shop's files may take, with what is made of them: packs and snapshot are kept
/// here and in the module, and texts are decoded to a table. The rest is for JavaScript and pages.
const MOST_MEMORY: usize = 108;

/// Files that a configuration names.
struct Files {
    packs: Vec<Arc<AlignedBytes>>,
    /// Snapshot: the complete one, if the shop has stored it privately.
    snapshot: Arc<AlignedBytes>,
    /// Texts of the products.
    products: Vec<u8>,
}

async fn loaded(document: String, module: Module, env: Env) -> Result<Shop, Trouble> {
    let config: Config = serde_json::from_str(&document)
        .map_err(|error| Trouble::other(format!("the configuration cannot be read: {error}")))?;
    let mut client = instance(&module)?;
    let files = fetched(&config, &env).await?;

    others().await;
    let products = read_products(&config.products.url, &files.products)?;
    let mut ranker = None;
    for (path, pack) in config.packs.iter().zip(&files.packs) {
        others().await;
        ranker = load_pack(&mut client, path, pack, &config).await?.or(ranker);
    }
    others().await;
    let snapshot = read_snapshot(&files.snapshot, &config).await?;
    others().await;
    client.load_snapshot(files.snapshot.as_slice())?;

    others().await;
    let packs = client.describe(Describe)?.packs;
    let words = Words::new(&config.locale, snapshot.storefront.currency).map_err(Trouble::other)?;
    let catalog = ranker.as_ref().map(|(_, tables)| &tables.catalog);
    let shown = catalog.map_or_else(SkuBits::default, |catalog| shown(catalog, &products, &snapshot));
    let make = move || {
        let mut client = instance(&module)?;
        for pack in &files.packs {
            client.load(pack.as_slice())?;
        }
        client.load_snapshot(files.snapshot.as_slice())?;
        Ok(client)
    };
    let guest = RefCell::new(Revived::with(client, Box::new(make) as _));
    Ok(Shop::new(Inside { config, snapshot, products, words, packs, ranker, shown, guest }))
}

/// Yields to other events that have arrived; requests are accepted only in such pauses.
async fn others() {
    Delay::from(Duration::from_millis(1)).await;
}

fn instance(module: &Module) -> Result<Client<JsGuest>, Trouble> {
    Ok(Client::new(instantiate_with(module, guarded).map_err(Trouble::other)?))
}

/// Fetches all files concurrently, and checks the digest of the products' texts.
async fn fetched(config: &Config, env: &Env) -> Result<Files, Trouble> {
    // Each file is aligned when it arrives, so that only one is in memory twice.
    let aligned = |bytes: Vec<u8>| AlignedBytes::copy_of(&bytes).map(Arc::new).map_err(Trouble::other);
    let snapshot = async {
        match &config.edge.private {
            Some(key) => files::object(env, key).await.and_then(aligned),
            None => files::asset(env, &config.snapshot).await.and_then(aligned),
        }
    };
    let products = async {
        let texts = files::asset(env, &config.products.url).await?;
        files::compare(&config.products.url, &texts, &config.products.integrity).await?;
        Ok(texts)
    };
    let packs = try_join_all(config.packs.iter().map(async |path| files::asset(env, path).await.and_then(aligned)));
    let (packs, snapshot, products) = try_join3(packs, snapshot, products).await?;
    let files = Files { packs, snapshot, products };
    files.fit()?;
    Ok(files)
}

impl Files {
    /// Refuses files that an isolate has no room for: the platform would end it in the middle of a page.
    fn fit(&self) -> Result<(), Trouble> {
        let packs: usize = self.packs.iter().map(|pack| pack.as_slice().len()).sum();
        let (snapshot, texts) = (self.snapshot.as_slice().len(), self.products.len());
        let memory = (2 * (packs + snapshot) + 4 * texts) >> 20;
        if memory <= MOST_MEMORY {
            return Ok(());
        }
        let [packs, snapshot, texts] = [packs, snapshot, texts].map(|bytes| bytes >> 20);
        Err(Trouble::other(format!(
            "the shop's files need {memory} MB (packs {packs}, snapshot {snapshot}, texts {texts}), and an isolate has \
             {MOST_MEMORY} for them: publish fewer products, as `tradewind slice` does, or leave out `edge.private`"
        )))
    }
}

/// Checks a pack and loads it. Returns its name and tables if its task is rank.
async fn load_pack(
    client: &mut Client<JsGuest>,
    path: &str,
    pack: &Arc<AlignedBytes>,
    config: &Config,
) -> Result<Option<(String, RankTables)>, Trouble> {
    let view = verified(pack.as_slice(), path, config).await?;
    let wrong = |error| refused(path, &error);
    let ranker = match view.read(SectionKind::Task).map_err(wrong)? {
        Task::Rank(_) => {
            let tables = view.columns::<RankTables>(SectionKind::Tables, pack).map_err(wrong)?;
            Some((view.manifest().name.clone(), tables))
        }
        _ => None,
    };
    client.load(pack.as_slice())?;
    Ok(ranker)
}

/// Verifies the snapshot, and reads it.
async fn read_snapshot(bytes: &Arc<AlignedBytes>, config: &Config) -> Result<Snapshot, Trouble> {
    let place = config.edge.private.as_ref().unwrap_or(&config.snapshot);
    let view = verified(bytes.as_slice(), place, config).await?;
    let snapshot = Snapshot::in_place(&view, bytes).map_err(|error| refused(place, &error))?;
    if let Some(unknown) = config.edge.regions.keys().find(|code| region_of(&snapshot, code).is_none()) {
        return Err(Trouble::other(format!("`edge.regions` has `{unknown}`, which is not in the snapshot")));
    }
    Ok(snapshot)
}

/// Reads the products' texts. A product whose address is not a valid link is left out.
fn read_products(place: &str, texts: &[u8]) -> Result<HashMap<String, Product>, Trouble> {
    let mut products: HashMap<String, Product> =
        serde_json::from_slice(texts).map_err(|error| Trouble::other(format!("`{place}`: {error}")))?;
    products.retain(|sku, Product { url, .. }| {
        let is_taken = is_plainly_a_path(url) || is_link(url);
        if !is_taken {
            worker::console_warn!(
                "tradewind: `{place}`: `{sku}` is left out: its address `{url}` is not http or https"
            );
        }
        is_taken
    });
    Ok(products)
}

// A trap of the module bypasses the WebAssembly `catch` in the Worker's own code. So it is converted to an ordinary
// exception first.
#[wasm_bindgen(inline_js = "
export const guarded = (exported) => (...given) => {
  try {
    return exported(...given);
  } catch (error) {
    throw new Error(String(error));
  }
};
export const isLink = (url) => {
  try {
    return /^https?:$/.test(new URL(url, 'https://shop.invalid/').protocol);
  } catch {
    return false;
  }
};
")]
extern "C" {
    fn guarded(exported: Function) -> Function;
    /// Whether a browser resolves an address to http or https, in a page of https.
    #[wasm_bindgen(js_name = isLink)]
    fn is_link(url: &str) -> bool;
}

/// Whether the first bytes show that an address is a path: most are, and there are many.
fn is_plainly_a_path(url: &str) -> bool {
    matches!(url.as_bytes(), [b'/', first, ..] if first.is_ascii_alphanumeric())
}

/// Products of a catalogue that have texts and are in the snapshot.
fn shown(catalog: &Catalog, products: &HashMap<String, Product>, snapshot: &Snapshot) -> SkuBits {
    let mut shown = SkuBits::none(catalog.len());
    let skus = products.keys().filter_map(|sku| Sku::new(sku.clone()).ok());
    let known = skus.filter(|sku| snapshot.storefront.catalog.id(sku).is_some());
    known.filter_map(|sku| catalog.id(&sku)).for_each(|id| shown.insert(id));
    shown
}

async fn verified<'a>(bytes: &'a [u8], place: &str, config: &Config) -> Result<PackView<'a>, Trouble> {
    let verified = tradewind_js::verify(bytes, &config.keys).await;
    verified.map_err(|error| Trouble::other(format!("`{place}` is refused: {error}")))
}

fn refused(place: &str, error: &tradewind_core::Error) -> Trouble {
    Trouble::other(format!("`{place}` is refused: {}", error.message()))
}
