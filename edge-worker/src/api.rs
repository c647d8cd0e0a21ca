//! The storefront API: what is answered, in JSON. HTTP is the platform's.

use crate::{
    offer,
    shop::{Inside, Shop, Trouble, Visitor, region_of},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tradewind_core::{ABI_VERSION, Profile, Sku, snapshot::Region};
use tradewind_json::{Moment, PriceRequest, PublicQuote, RankReply, RankRequest, StorefrontEvent, hex, without_bom};
use wasm_bindgen::prelude::wasm_bindgen;

/// What a shopper did, and may be remembered.
#[wasm_bindgen]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    #[serde(default)]
    consent: Option<Consent>,
    #[serde(default)]
    events: Vec<StorefrontEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Consent {
    Granted,
    Denied,
}

#[wasm_bindgen]
impl Events {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is wrong with it.
    #[wasm_bindgen(constructor)]
    pub fn new(body: &[u8]) -> Result<Events, Trouble> {
        read(body)
    }

    /// Whether the shopper agrees with this request.
    #[wasm_bindgen(getter)]
    pub fn granted(&self) -> bool {
        self.consent == Some(Consent::Granted)
    }

    /// Whether the shopper takes the agreement back.
    #[wasm_bindgen(getter)]
    pub fn denied(&self) -> bool {
        self.consent == Some(Consent::Denied)
    }
}

#[wasm_bindgen]
impl Shop {
    /// Ranks products.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn rank(&self, visitor: &Visitor, body: &[u8]) -> Result<String, Trouble> {
        let shop = self.inside();
        let mut question: RankRequest = read(body)?;
        if question.region.is_none() {
            question.region = Some(region(&shop, visitor, None)?.code.to_string());
        }
        let (id, with_profile) = (question.id.clone(), question.profile.is_some() || !question.events.is_empty());
        let (pack, catalog) = ranker(&shop)?;
        let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
        written(&RankReply::new(id, ranking, with_profile))
    }

    /// Prices a product.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn quote(&self, visitor: &Visitor, body: &[u8]) -> Result<String, Trouble> {
        let shop = self.inside();
        let question: PriceRequest = read(body)?;
        let region = region(&shop, visitor, question.region.as_deref())?;
        let at = shop.now();
        let (quote, _) = shop.quote(Sku::new(question.sku)?, region, at)?;
        let public = PublicQuote::new(&quote, shop.snapshot.storefront.currency, at, shop.snapshot.root);
        written(&PublicQuote { id: question.id, ..public })
    }

    /// The offer of a product, in JSON-LD.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn offer(&self, visitor: &Visitor, origin: &str, sku: String, code: Option<String>) -> Result<String, Trouble> {
        let shop = self.inside();
        let region = region(&shop, visitor, code.as_deref())?;
        let sku = Sku::new(sku)?;
        let id = shop.snapshot.storefront.catalog.id(&sku);
        let id = id.ok_or_else(|| Trouble::of_request(404, format!("the snapshot has no product `{sku}`")))?;
        let (quote, _) = shop.quote(sku, region, shop.now())?;
        written(&offer::json_ld(&shop, origin, id, region, &quote))
    }

    /// The bytes of a profile that has taken events in, at most `most`: of a longer one, the products that say most are
    /// kept.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn profile(&self, events: Events, known: Option<Vec<u8>>, most: usize) -> Result<Vec<u8>, Trouble> {
        let shop = self.inside();
        let now = shop.now();
        let mut events = events.events;
        for event in &mut events {
            // Clocks of devices differ from the edge's.
            event.at = event.at.min(now.0);
        }
        let known: Option<Profile> = known.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        // A ranking of nothing: what is wanted is the profile that comes back.
        let question = RankRequest { profile: known, events, candidates: Some(Vec::new()), ..RankRequest::new(now, 0) };
        let (pack, catalog) = ranker(&shop)?;
        let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
        let mut profile = ranking.profile;
        loop {
            let bytes = postcard::to_allocvec(&profile).map_err(Trouble::other)?;
            match profile.items().len() {
                items if bytes.len() > most && items > 0 => profile.keep(items - 1, now),
                _ => return Ok(bytes),
            }
        }
    }

    /// What is loaded, by digests.
    ///
    /// # Errors
    /// [`Trouble`], where nothing can be decided.
    pub fn health(&self) -> Result<String, Trouble> {
        let shop = self.inside();
        let snapshot = &shop.snapshot;
        snapshot.holds(shop.now()).map_err(|error| Trouble::of_request(503, error.message()))?;
        let packs = shop
            .packs
            .iter()
            .map(|pack| json!({ "name": pack.name, "version": pack.version, "root": hex(&pack.root) }));
        written(&json!({
            "status": "ok",
            "abi": ABI_VERSION,
            "packs": packs.collect::<Vec<_>>(),
            "snapshot": {
                "name": snapshot.name,
                "version": snapshot.version,
                "root": hex(&snapshot.root),
                "whole": snapshot.pricing.is_some(),
                "expires": Moment(snapshot.storefront.expires),
            },
        }))
    }
}

fn ranker(shop: &Inside) -> Result<(&str, &tradewind_core::Catalog), Trouble> {
    let ranker = shop.ranker.as_ref().map(|(name, catalog)| (name.as_str(), catalog));
    ranker.ok_or_else(|| Trouble::of_request(503, "none of the shop's packs ranks"))
}

/// The region that is asked for, or from which the request comes.
fn region<'a>(shop: &'a Inside, visitor: &Visitor, code: Option<&str>) -> Result<&'a Region, Trouble> {
    match code {
        Some(code) => region_of(&shop.snapshot, code)
            .ok_or_else(|| Trouble::of_request(400, format!("the snapshot has no region `{code}`"))),
        None => shop
            .region(visitor)
            .ok_or_else(|| Trouble::of_request(400, "nothing is promised where the request comes from; say `region`")),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(without_bom(body))
        .map_err(|error| Trouble::of_request(400, format!("the body cannot be read: {error}")))
}

fn written(answer: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(answer).map_err(Trouble::other)
}
