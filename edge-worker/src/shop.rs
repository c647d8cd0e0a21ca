//! What an isolate has loaded, and what is asked of it.
//!
//! The configuration is looked at once in a while, in the background of a request. When its text has changed, all
//! that it names is fetched, verified and loaded anew, and takes the place of what was there once it is whole;
//! until then, and where anything of it fails, requests are answered from what was there.

use crate::{
    config::{Config, Product},
    region::{self, Place},
    text::Words,
};
use futures_util::{
    FutureExt,
    future::{self, Either, LocalBoxFuture, Shared, select, try_join_all, try_join3},
};
use js_sys::{Function, Reflect, WebAssembly::Module};
use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc, time::Duration};
use tradewind_core::{
    Catalog, Millis, Sku,
    guest::{Client, ClientError, Exchange, GuestError, Revived},
    message::{Fault, PackInfo},
    pack::{PackView, SectionKind, Task},
    quote::{Quote, QuoteRequest},
    rank::{RankRequest, RankTables, Ranking},
    snapshot::{Region, Snapshot},
};
use tradewind_js::{JsGuest, instantiate_with};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Context, Delay, Env, Request};

/// How long a request waits for what is not loaded yet.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// After how many milliseconds loading is tried again when it failed.
const RETRY: f64 = 5_000.0;

type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, Trouble>>;

/// Everything that requests are answered from.
pub struct Shop {
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
    /// The configuration's text.
    document: String,
    guest: RefCell<Revived<JsGuest, Make>>,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// The module refused the question.
    Fault(Fault),
    /// Anything else.
    Other(String),
}

/// What there is in this isolate.
#[derive(Default)]
struct Isolate {
    shop: Option<Rc<Shop>>,
    /// Why the last load failed.
    failed: Option<Trouble>,
    /// When the configuration was looked at, by the isolate's clock.
    looked: f64,
}

thread_local! {
    static ISOLATE: RefCell<Isolate> = RefCell::default();
}

/// A shop that is loaded, or on its way.
pub struct Arriving(Shared<LocalBoxFuture<'static, Result<Rc<Shop>, Trouble>>>);

impl Arriving {
    /// The shop of this isolate. What is not loaded yet begins to be, and goes on when the request has ended.
    pub fn new(env: &Env, context: &Context) -> Self {
        let now = js_sys::Date::now();
        let (known, fresh) = ISOLATE.with_borrow_mut(|isolate| {
            let lasts =
                isolate.shop.as_ref().map_or(RETRY, |shop| f64::from(shop.config.edge.refresh_seconds) * 1_000.0);
            let fresh = now - isolate.looked < lasts;
            let known = match (&isolate.shop, &isolate.failed) {
                (Some(shop), _) => Some(Ok(shop.clone())),
                (None, Some(failed)) if fresh => Some(Err(failed.clone())),
                (None, _) => None,
            };
            if known.is_none() || !fresh {
                isolate.looked = now;
            }
            (known, fresh)
        });
        let load = || {
            let loading = refreshed(env.clone()).boxed_local().shared();
            context.wait_until(loading.clone().map(drop));
            Self(loading)
        };
        match known {
            None => load(),
            Some(known) => {
                if !fresh {
                    load();
                }
                Self(future::ready(known).boxed_local().shared())
            }
        }
    }

    /// The shop, if it comes in time.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn shop(self) -> Result<Rc<Shop>, Trouble> {
        match select(self.0, Delay::from(PATIENCE)).await {
            Either::Left((shop, _)) => shop,
            Either::Right(_) => Err(Trouble::Other("configuration, packs and snapshot did not come in time".into())),
        }
    }
}

/// Why the configuration of now could not be loaded, if it could not.
pub fn last_trouble() -> Option<String> {
    ISOLATE.with_borrow(|isolate| isolate.failed.as_ref().map(ToString::to_string))
}

/// Looks at the configuration, and loads what is new.
async fn refreshed(env: Env) -> Result<Rc<Shop>, Trouble> {
    let current = ISOLATE.with_borrow(|isolate| isolate.shop.clone());
    let loaded = async {
        let document = document(&env).await?;
        match current.filter(|shop| shop.document == document) {
            Some(shop) => Ok(shop),
            None => Shop::load(&env, document).await.map(Rc::new),
        }
    };
    let loaded: Result<Rc<Shop>, Trouble> = loaded.await;
    ISOLATE.with_borrow_mut(|isolate| match &loaded {
        Ok(shop) => {
            isolate.shop = Some(shop.clone());
            isolate.failed = None;
        }
        Err(trouble) => {
            worker::console_error!("tradewind: {trouble}");
            isolate.failed = Some(trouble.clone());
        }
    });
    loaded
}

async fn document(env: &Env) -> Result<String, Trouble> {
    let found = env.kv("CONFIG").map_err(other)?.get("config").text().await.map_err(other)?;
    found.ok_or_else(|| Trouble::Other("KV has no `config`: put it there with `wrangler kv key put`".into()))
}

impl Shop {
    async fn load(env: &Env, document: String) -> Result<Self, Trouble> {
        let config: Config = serde_json::from_str(&document)
            .map_err(|error| Trouble::Other(format!("the configuration cannot be read: {error}")))?;
        let packs = config.packs.iter().map(async |path| Ok((path, asset(env, path).await?)));
        let snapshot = async {
            match &config.edge.private {
                Some(key) => object(env, key).await,
                None => asset(env, &config.snapshot).await,
            }
        };
        let arriving = try_join3(try_join_all(packs), snapshot, asset(env, &config.products));
        let (packs, snapshot, products) = arriving.await?;
        let products = serde_json::from_slice(&products)
            .map_err(|error| Trouble::Other(format!("`{}`: {error}", config.products)))?;

        let mut ranker = None;
        for (path, pack) in &packs {
            let view = verified(pack, path, &config).await?;
            if let Task::Rank(_) = view.read(SectionKind::Task).map_err(|error| refused(path, &error))? {
                let tables = view.read::<RankTables>(SectionKind::Tables).and_then(RankTables::prepared);
                let tables = tables.map_err(|error| refused(path, &error))?;
                ranker = Some((view.manifest().name.clone(), tables.catalog));
            }
        }
        let place = config.edge.private.as_ref().unwrap_or(&config.snapshot);
        let view = verified(&snapshot, place, &config).await?;
        let read = Snapshot::read(&view).map_err(|error| refused(place, &error))?;
        if let Some(unknown) = config.edge.regions.keys().find(|code| region_of(&read, code).is_none()) {
            return Err(Trouble::Other(format!("`edge.regions` has `{unknown}`, which the snapshot has not")));
        }

        let packs: Vec<Vec<u8>> = packs.into_iter().map(|(_, pack)| pack).collect();
        let module = module()?;
        let make = move || {
            let mut client = Client::new(instantiate_with(&module, guarded).map_err(other)?);
            for pack in &packs {
                client.load(pack)?;
            }
            client.load_snapshot(&snapshot)?;
            Ok(client)
        };
        let mut guest = Revived::new(Box::new(make) as Make)?;
        let packs = guest.client()?.describe()?.packs;
        let words = Words::new(&config.locale, read.storefront.currency).map_err(Trouble::Other)?;
        Ok(Self { config, snapshot: read, products, words, packs, ranker, document, guest: RefCell::new(guest) })
    }

    /// The moment as of which is decided.
    pub fn now(&self) -> Millis {
        self.config.at.map_or(Millis(js_sys::Date::now() as i64), |at| at.0)
    }

    /// The region from which a request comes: what the cookie `tw_region` says, or the region that is nearest.
    pub fn region(&self, request: &Request) -> Option<&Region> {
        if let Some(code) = cookie(request, "tw_region") {
            return region_of(&self.snapshot, &code);
        }
        let code = region::nearest(&self.config.edge.regions, &place(request)?)?;
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

    /// Asks the module, in an instance that is made anew where the last one trapped.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Client<JsGuest>) -> Result<T, ClientError<GuestError>>,
    ) -> Result<(T, Exchange), Trouble> {
        let mut guest = self.guest.borrow_mut();
        let client = guest.client()?;
        let answer = question(client)?;
        let exchange = client.take_exchange().ok_or_else(|| Trouble::Other("an answer without an exchange".into()))?;
        Ok((answer, exchange))
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
")]
extern "C" {
    fn guarded(exported: Function) -> Function;
}

/// The module that was compiled into this Worker, and its digest, which `entry.mjs` has put there.
fn module() -> Result<Module, Trouble> {
    built("module")?.dyn_into().map_err(|_| Trouble::Other("this Worker was built without `tradewind.wasm`".into()))
}

/// SHA-256 of the module, in hexadecimal digits: fixed when the Worker was built, which cannot read its modules.
///
/// # Errors
/// Where the Worker was built without.
pub fn digest() -> Result<String, Trouble> {
    built("digest")?
        .as_string()
        .ok_or_else(|| Trouble::Other("this Worker was built without the module's digest".into()))
}

fn built(part: &str) -> Result<JsValue, Trouble> {
    let built = Reflect::get(&js_sys::global(), &"tradewind".into());
    built.and_then(|built| Reflect::get(&built, &part.into())).map_err(|error| other(tradewind_js::said(&error)))
}

/// A static asset.
async fn asset(env: &Env, path: &str) -> Result<Vec<u8>, Trouble> {
    // Assets have paths; the host is not looked at.
    let mut found =
        env.assets("ASSETS").map_err(other)?.fetch(format!("https://assets{path}"), None).await.map_err(other)?;
    match found.status_code() {
        200 => found.bytes().await.map_err(other),
        status => Err(Trouble::Other(format!("the static asset `{path}` was answered with {status}"))),
    }
}

/// An object of the private bucket.
async fn object(env: &Env, key: &str) -> Result<Vec<u8>, Trouble> {
    let found = env.bucket("PRIVATE").map_err(other)?.get(key).execute().await.map_err(other)?;
    match found.as_ref().and_then(worker::Object::body) {
        Some(body) => body.bytes().await.map_err(other),
        None => Err(Trouble::Other(format!("R2 has no `{key}`: put it there with `wrangler r2 object put`"))),
    }
}

async fn verified<'a>(bytes: &'a [u8], place: &str, config: &Config) -> Result<PackView<'a>, Trouble> {
    let verified = tradewind_js::verify(bytes, &config.keys).await;
    verified.map_err(|error| Trouble::Other(format!("`{place}` is refused: {error}")))
}

fn refused(place: &str, error: &tradewind_core::Error) -> Trouble {
    Trouble::Other(format!("`{place}` is refused: {}", error.message()))
}

/// The region of a code.
pub fn region_of<'a>(snapshot: &'a Snapshot, code: &str) -> Option<&'a Region> {
    snapshot.storefront.regions.iter().find(|region| region.code.as_str() == code)
}

/// Where the platform says that a request comes from.
fn place(request: &Request) -> Option<Place> {
    let cf = Reflect::get(request.inner(), &"cf".into()).ok().filter(JsValue::is_object)?;
    let text = |name: &str| Reflect::get(&cf, &name.into()).ok()?.as_string();
    let degrees = |name: &str| text(name)?.parse().ok();
    Some(Place { country: text("country")?, latitude: degrees("latitude")?, longitude: degrees("longitude")? })
}

/// A cookie's value.
pub fn cookie(request: &Request, name: &str) -> Option<String> {
    let cookies = request.headers().get("cookie").ok()??;
    let found = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('=')).find(|(key, _)| *key == name);
    found.map(|(_, value)| value.to_owned())
}

/// What another party said went wrong.
pub fn other(error: impl fmt::Display) -> Trouble {
    Trouble::Other(error.to_string())
}

impl From<ClientError<GuestError>> for Trouble {
    fn from(error: ClientError<GuestError>) -> Self {
        match error {
            ClientError::Fault(fault) => Self::Fault(fault),
            ClientError::Guest(error) => Self::Other(error.to_string()),
            ClientError::Protocol(message) => Self::Other(message),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}
