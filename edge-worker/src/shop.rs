//! What an isolate has loaded, and what is asked of it.
//!
//! Loading goes in steps, between which whoever calls gives way to others: one step is as long as the module takes for
//! one pack or one snapshot.

use crate::{
    config::{Config, Product},
    files,
    region::{self, Place},
    text::Words,
};
use futures_util::future::{try_join_all, try_join3};
use js_sys::{Function, WebAssembly::Module};
use std::{cell::RefCell, collections::HashMap, fmt, mem, rc::Rc};
use tradewind_core::{
    Catalog, ErrorKind, Millis, Sku, SkuBits, Task,
    guest::{Client, ClientError, Exchange, GuestError, Revived},
    message::{Fault, PackInfo},
    pack::{PackView, SectionKind},
    quote::{Quote, QuoteRequest},
    rank::{RankRequest, RankTables, Ranking},
    snapshot::{Region, Snapshot},
};
use tradewind_js::{JsGuest, instantiate_with};
use wasm_bindgen::prelude::*;
use worker::Env;

type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, Trouble>>;

/// A shop that is loaded. What is filled from it keeps it until the page has ended.
#[wasm_bindgen]
pub struct Shop(Rc<Inside>);

/// Everything that requests are answered from.
pub struct Inside {
    /// The configuration.
    pub config: Config,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Products' texts, by SKU.
    pub products: HashMap<String, Product>,
    /// Prices and dates in the shop's language.
    pub words: Words,
    /// The packs.
    pub packs: Vec<PackInfo>,
    /// The pack that ranks, and the products that it knows.
    pub ranker: Option<(String, Catalog)>,
    /// Those of them that can be shown.
    pub shown: SkuBits,
    guest: RefCell<Revived<JsGuest, Make>>,
}

/// A shop that is being loaded.
#[wasm_bindgen]
pub struct Loading {
    config: Config,
    module: Module,
    client: Client<JsGuest>,
    /// The files of the packs, of the snapshot and of the products' texts.
    packs: Vec<Vec<u8>>,
    whole: Vec<u8>,
    texts: Vec<u8>,
    ranker: Option<(String, Catalog)>,
    snapshot: Option<Snapshot>,
    products: HashMap<String, Product>,
}

/// What the platform says of whoever asks.
#[wasm_bindgen]
pub struct Visitor {
    /// The code of a region that the shopper chose.
    code: Option<String>,
    place: Option<Place>,
}

/// Why there is no answer.
#[wasm_bindgen]
#[derive(Debug, Clone)]
pub struct Trouble {
    status: u16,
    message: String,
    fault: Option<u16>,
    is_public: bool,
}

#[wasm_bindgen]
impl Loading {
    /// Reads a configuration, and makes an instance of the module.
    ///
    /// # Errors
    /// What is wrong with the document or the module.
    #[wasm_bindgen(constructor)]
    pub fn new(document: &str, module: Module) -> Result<Loading, Trouble> {
        let config: Config = serde_json::from_str(document)
            .map_err(|error| Trouble::other(format!("the configuration cannot be read: {error}")))?;
        let client = Client::new(instantiate_with(&module, guarded).map_err(Trouble::other)?);
        Ok(Self {
            config,
            module,
            client,
            packs: Vec::new(),
            whole: Vec::new(),
            texts: Vec::new(),
            ranker: None,
            snapshot: None,
            products: HashMap::new(),
        })
    }

    /// How many packs the configuration names.
    #[wasm_bindgen(getter)]
    pub fn packs(&self) -> usize {
        self.config.packs.len()
    }

    /// Fetches all files that the configuration names, at once, and compares the products' texts with their digest.
    ///
    /// # Errors
    /// Which of them cannot be had.
    pub async fn fetch(&mut self, env: Env) -> Result<(), Trouble> {
        let Config { packs, snapshot, products, edge, .. } = &self.config;
        let whole = async {
            match &edge.private {
                Some(key) => files::object(&env, key).await,
                None => files::asset(&env, snapshot).await,
            }
        };
        let texts = async {
            let texts = files::asset(&env, &products.url).await?;
            files::compare(&products.url, &texts, &products.integrity).await?;
            Ok(texts)
        };
        let packs = try_join_all(packs.iter().map(|path| files::asset(&env, path)));
        let (packs, whole, texts) = try_join3(packs, whole, texts).await?;
        (self.packs, self.whole, self.texts) = (packs, whole, texts);
        Ok(())
    }

    /// Checks a pack, by its place in the configuration, and loads it.
    ///
    /// # Errors
    /// Why it is refused.
    #[wasm_bindgen(js_name = loadPack)]
    pub async fn load_pack(&mut self, place: usize) -> Result<(), Trouble> {
        let Some((path, pack)) = self.config.packs.get(place).zip(self.packs.get(place)) else {
            return Err(Trouble::other(format!("there is no pack {place}")));
        };
        let view = verified(pack, path, &self.config).await?;
        let wrong = |error| refused(path, &error);
        if let Task::Rank(_) = view.read(SectionKind::Task).map_err(wrong)? {
            let tables = view.read::<RankTables>(SectionKind::Tables).and_then(RankTables::prepared).map_err(wrong)?;
            self.ranker = Some((view.manifest().name.clone(), tables.catalog));
        }
        self.client.load(pack)?;
        Ok(())
    }

    /// Checks the snapshot, and reads it.
    ///
    /// # Errors
    /// Why it is refused.
    #[wasm_bindgen(js_name = readSnapshot)]
    pub async fn read_snapshot(&mut self) -> Result<(), Trouble> {
        let place = self.config.edge.private.as_ref().unwrap_or(&self.config.snapshot);
        let view = verified(&self.whole, place, &self.config).await?;
        let snapshot = Snapshot::read(&view).map_err(|error| refused(place, &error))?;
        if let Some(unknown) = self.config.edge.regions.keys().find(|code| region_of(&snapshot, code).is_none()) {
            return Err(Trouble::other(format!("`edge.regions` has `{unknown}`, which the snapshot has not")));
        }
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// Loads the snapshot that was read.
    ///
    /// # Errors
    /// Why the module refuses it.
    #[wasm_bindgen(js_name = loadSnapshot)]
    pub fn load_snapshot(&mut self) -> Result<(), Trouble> {
        self.client.load_snapshot(&self.whole)?;
        Ok(())
    }

    /// Reads the products' texts. A product whose address no page may link to is left out.
    ///
    /// # Errors
    /// What is wrong with them.
    #[wasm_bindgen(js_name = readProducts)]
    pub fn read_products(&mut self) -> Result<(), Trouble> {
        let place = &self.config.products.url;
        let mut products: HashMap<String, Product> =
            serde_json::from_slice(&self.texts).map_err(|error| Trouble::other(format!("`{place}`: {error}")))?;
        products.retain(|sku, Product { url, .. }| {
            let is_taken = is_plainly_a_path(url) || is_link(url);
            if !is_taken {
                warn(&format!(
                    "`{place}`: `{sku}` is left out, since its address is `{url}`, and not of http or https"
                ));
            }
            is_taken
        });
        self.products = products;
        Ok(())
    }

    /// The shop, once all of it is there.
    ///
    /// # Errors
    /// What is missing.
    pub fn shop(mut self) -> Result<Shop, Trouble> {
        let Some(snapshot) = self.snapshot else { return Err(Trouble::other("no snapshot was read")) };
        let infos = self.client.describe()?.packs;
        let words = Words::new(&self.config.locale, snapshot.storefront.currency).map_err(Trouble::other)?;
        let catalog = self.ranker.as_ref().map(|(_, catalog)| catalog);
        let shown = catalog.map_or_else(SkuBits::default, |catalog| shown(catalog, &self.products, &snapshot));
        let (module, packs, whole) = (self.module, mem::take(&mut self.packs), mem::take(&mut self.whole));
        let make = move || {
            let mut client = Client::new(instantiate_with(&module, guarded).map_err(Trouble::other)?);
            for pack in &packs {
                client.load(pack)?;
            }
            client.load_snapshot(&whole)?;
            Ok(client)
        };
        let guest = RefCell::new(Revived::with(self.client, Box::new(make) as Make));
        let (config, products, ranker) = (self.config, self.products, self.ranker);
        Ok(Shop(Rc::new(Inside { config, snapshot, products, words, packs: infos, ranker, shown, guest })))
    }
}

#[wasm_bindgen]
impl Shop {
    /// The same shop, held by someone else, too.
    pub fn held(&self) -> Shop {
        Self(self.0.clone())
    }

    /// After how many seconds the configuration is looked at again.
    #[wasm_bindgen(getter, js_name = refreshSeconds)]
    pub fn refresh_seconds(&self) -> u32 {
        self.0.config.edge.refresh_seconds
    }

    /// Whether shoppers may have a profile at the edge.
    #[wasm_bindgen(getter)]
    pub fn profiles(&self) -> bool {
        self.0.config.edge.profiles
    }

    /// Origins of other pages that may call the API.
    #[wasm_bindgen(getter)]
    pub fn cors(&self) -> Vec<String> {
        self.0.config.edge.cors.clone()
    }

    /// The moment as of which is decided.
    #[wasm_bindgen(getter)]
    pub fn now(&self) -> f64 {
        self.0.now().0 as f64
    }
}

impl Shop {
    /// What is loaded.
    pub fn inside(&self) -> Rc<Inside> {
        self.0.clone()
    }
}

#[wasm_bindgen]
impl Visitor {
    /// `code` is the cookie `tw_region`; the rest is what the platform says of the place.
    #[wasm_bindgen(constructor)]
    pub fn new(
        code: Option<String>,
        country: Option<String>,
        latitude: Option<String>,
        longitude: Option<String>,
    ) -> Visitor {
        let degrees = |text: Option<String>| text?.parse().ok();
        let place = || Some(Place { country: country?, latitude: degrees(latitude)?, longitude: degrees(longitude)? });
        Self { code, place: place() }
    }
}

impl Inside {
    /// The moment as of which is decided.
    pub fn now(&self) -> Millis {
        self.config.at.map_or(Millis(js_sys::Date::now() as i64), |at| at.0)
    }

    /// The region from which a request comes: the one that was chosen, or the one that is nearest.
    pub fn region(&self, visitor: &Visitor) -> Option<&Region> {
        let code = match &visitor.code {
            Some(code) => code,
            None => region::nearest(&self.config.edge.regions, visitor.place.as_ref()?)?,
        };
        region_of(&self.snapshot, code)
    }

    /// Ranks.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn rank(&self, request: RankRequest) -> Result<(Ranking, Exchange), Trouble> {
        self.ask(|client| client.rank(request))
    }

    /// Prices a product for a region, for what the shop's prices are for.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn quote(&self, product: Sku, region: &Region, at: Millis) -> Result<(Quote, Exchange), Trouble> {
        let (snapshot, objective) = (self.snapshot.root, self.config.objective);
        self.ask(|client| client.quote(QuoteRequest { snapshot, at, product, region: region.code.clone(), objective }))
    }

    /// Asks the module, in another instance where the last one trapped.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Client<JsGuest>) -> Result<T, ClientError<GuestError>>,
    ) -> Result<(T, Exchange), Trouble> {
        let mut guest = self.guest.borrow_mut();
        let client = guest.client()?;
        let answer = question(client)?;
        let exchange = client.take_exchange().ok_or_else(|| Trouble::other("an answer without an exchange"))?;
        Ok((answer, exchange))
    }
}

#[wasm_bindgen]
impl Trouble {
    /// The status that HTTP has for it.
    #[wasm_bindgen(getter)]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What is wrong, and what to do.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> String {
        self.message.clone()
    }

    /// The code of the module's fault.
    #[wasm_bindgen(getter)]
    pub fn fault(&self) -> Option<u16> {
        self.fault
    }

    /// Whether it is told to whoever asks, and not to the log only.
    #[wasm_bindgen(getter, js_name = isPublic)]
    pub fn is_public(&self) -> bool {
        self.is_public
    }
}

impl Trouble {
    /// Something in the shop's inside.
    pub fn other(message: impl fmt::Display) -> Self {
        Self { status: 503, message: message.to_string(), fault: None, is_public: false }
    }

    /// Something about the request.
    pub fn of_request(status: u16, message: impl fmt::Display) -> Self {
        Self { status, message: message.to_string(), fault: None, is_public: true }
    }

    /// Whether the module refused the question.
    pub const fn is_fault(&self) -> bool {
        self.fault.is_some()
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        let status = match fault.kind() {
            Some(ErrorKind::BadRequest | ErrorKind::Malformed) => 400,
            Some(ErrorKind::TooLarge) => 413,
            Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired) => 503,
            _ => 500,
        };
        Self { fault: Some(fault.code), ..Self::of_request(status, fault.message) }
    }
}

impl From<tradewind_core::Error> for Trouble {
    fn from(error: tradewind_core::Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<ClientError<GuestError>> for Trouble {
    fn from(error: ClientError<GuestError>) -> Self {
        match error {
            ClientError::Fault(fault) => fault.into(),
            ClientError::Guest(error) => Self::other(error),
            ClientError::Protocol(message) => Self::other(message),
        }
    }
}

// A trap of the module passes by the `catch` of WebAssembly, by which the Worker's own code catches. So it is made an
// ordinary exception before it comes there.
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
export const absolute = (url, base) => {
  try {
    return new URL(url, base).href;
  } catch {
    return url;
  }
};
export const warn = (message) => console.warn(`tradewind: ${message}`);
")]
extern "C" {
    fn guarded(exported: Function) -> Function;
    /// Whether a browser takes an address for one of http or https, in a page of https.
    #[wasm_bindgen(js_name = isLink)]
    fn is_link(url: &str) -> bool;
    /// An address as it is in a page of another.
    pub fn absolute(url: &str, base: &str) -> String;
    /// Tells the log.
    pub fn warn(message: &str);
}

/// Whether an address is a path without a look at the rest: most are, and there are many.
fn is_plainly_a_path(url: &str) -> bool {
    matches!(url.as_bytes(), [b'/', first, ..] if first.is_ascii_alphanumeric())
}

/// The products of a catalogue that have texts and that the snapshot has.
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

/// The region of a code.
pub fn region_of<'a>(snapshot: &'a Snapshot, code: &str) -> Option<&'a Region> {
    snapshot.storefront.regions.iter().find(|region| region.code.as_str() == code)
}
