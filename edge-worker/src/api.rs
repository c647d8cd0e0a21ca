//! Storefront API: events, rankings, insights, prices, offers, and the Worker's health.

use crate::{
    offer,
    problem::Problem,
    profile,
    shop::{Inside, Shop, Trouble, region_of},
    visitor::Visitor,
    work::Work,
};
use futures_util::StreamExt;
use js_sys::decode_uri_component;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::rc::Rc;
use tradewind_core::{ABI_VERSION, Catalog, Code, Millis, Sku, snapshot::Region};
use tradewind_json::{
    InsightReply, InsightRequest, PriceRequest, ProblemKind, PublicQuote, RankReply, RankRequest, StorefrontEvent, hex,
    without_bom,
};
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Url;
use worker::{Env, Headers, Method, Request, Response, ResponseBuilder};

/// Maximum length of a request's body, in bytes.
const MAX_BODY: usize = 512 << 10;

/// Route of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    /// Events of a shopper.
    Events,
    /// Ranking of products.
    Rank,
    /// Insight of a pack.
    Insight,
    /// Price of a product.
    Quote,
    /// Offer of a product, by its SKU as it is in the path.
    Offer(String),
    /// Health of the Worker.
    Health,
}

/// Events of a shopper, and the shopper's consent to a profile.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
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

/// Loaded files, by digest.
#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    abi: u32,
    module: &'a str,
    packs: Vec<Loaded<'a>>,
    snapshot: Loaded<'a>,
    /// Reason why the current configuration is not loaded or not applied.
    trouble: Option<String>,
}

/// Loaded pack or snapshot.
#[derive(Serialize)]
struct Loaded<'a> {
    name: &'a str,
    version: &'a str,
    root: String,
    /// Whether a snapshot has its private sections.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Millis>,
}

/// Request that is being answered.
struct Call {
    request: Request,
    env: Env,
    /// Shop, or the reason why it is missing.
    shop: Result<Rc<Inside>, String>,
    /// Headers of the response, also of errors.
    headers: Headers,
}

/// Whether a path belongs to the API rather than to the origin.
#[wasm_bindgen(js_name = isOfApi)]
pub fn is_of_api(path: &str) -> bool {
    Route::of(path).is_some()
}

/// Answers a request to the API. `trouble` is the reason why the shop is missing, or why the current configuration is
/// not loaded; `module` is the module's digest.
#[wasm_bindgen]
pub fn answer(
    request: web_sys::Request,
    env: Env,
    shop: Option<Shop>,
    trouble: Option<String>,
    module: String,
) -> Work {
    Work::new(async move {
        let request = Request::from(request);
        let Some(route) = Route::of(&request.path()) else {
            return Err(Trouble::other("the path belongs to the origin"));
        };
        let shop = match shop {
            Some(shop) => Ok(shop.inside()),
            None => Err(trouble.clone().unwrap_or_default()),
        };
        let mut call = Call { request, env, shop, headers: Headers::new() };
        let response = call.answer(route, trouble, &module).await;
        response.map(web_sys::Response::from).map_err(Trouble::other)
    })
}

impl Route {
    /// Route of a path; `None` for paths of the origin.
    fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/events" => Some(Self::Events),
            "/v1/rank" => Some(Self::Rank),
            "/v1/insights" => Some(Self::Insight),
            "/v1/quote" => Some(Self::Quote),
            "/healthz" => Some(Self::Health),
            _ => path.strip_prefix("/v1/offers/").filter(|sku| !sku.is_empty()).map(|sku| Self::Offer(sku.to_owned())),
        }
    }

    const fn method(&self) -> Method {
        match self {
            Self::Events | Self::Rank | Self::Insight | Self::Quote => Method::Post,
            Self::Offer(_) | Self::Health => Method::Get,
        }
    }
}

impl Call {
    async fn answer(&mut self, route: Route, trouble: Option<String>, module: &str) -> worker::Result<Response> {
        self.headers.set("cache-control", "no-store")?;
        match self.asked(route, trouble, module).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.response(self.headers.clone()),
        }
    }

    async fn asked(&mut self, route: Route, trouble: Option<String>, module: &str) -> Result<Response, Problem> {
        // Not `Request::method`, which returns `GET` for unknown methods.
        let (method, expected) = (self.request.inner().method(), route.method());
        let is_preflight = method == Method::Options.as_ref();
        if method != expected.as_ref() && !is_preflight {
            self.headers.set("allow", expected.as_ref())?;
            return Err(Problem::new(ProblemKind::MethodNotAllowed, format!("use the method {expected}")));
        }
        let shop = match &self.shop {
            Ok(shop) => shop.clone(),
            // Health reports why the shop is missing.
            Err(why) if route == Route::Health => return Err(Problem::new(ProblemKind::Unavailable, why.as_str())),
            Err(why) => return Err(Trouble::other(why).into()),
        };
        self.allow(&shop, is_preflight.then_some(&expected))?;
        if is_preflight {
            return Ok(self.nothing());
        }
        match route {
            Route::Events => self.events(&shop).await,
            Route::Rank => self.rank(&shop).await,
            Route::Insight => self.insight(&shop).await,
            Route::Quote => self.quote(&shop).await,
            Route::Offer(sku) => self.offer(&shop, &sku),
            Route::Health => self.health(&shop, trouble, module),
        }
    }

    /// Sets CORS headers for the origins that the configuration lists; `asks_for` is the method of a preflight request.
    fn allow(&self, shop: &Inside, asks_for: Option<&Method>) -> worker::Result<()> {
        let headers = &self.headers;
        headers.set("vary", "Origin")?;
        let origin = self.request.headers().get("origin")?;
        let Some(origin) = origin.filter(|origin| shop.config.edge.cors.contains(origin)) else { return Ok(()) };
        headers.set("access-control-allow-origin", &origin)?;
        headers.set("access-control-allow-credentials", "true")?;
        if let Some(method) = asks_for {
            headers.set("access-control-allow-methods", method.as_ref())?;
            headers.set("access-control-allow-headers", "content-type")?;
            headers.set("access-control-max-age", "86400")?;
        }
        Ok(())
    }

    /// Answers with ranked products.
    async fn rank(&mut self, shop: &Inside) -> Result<Response, Problem> {
        let mut question: RankRequest = self.body().await?;
        if question.region.is_none() {
            question.region = Some(self.region(shop, None)?.code.clone());
        }
        let (id, with_profile) = (question.id.clone(), question.profile.is_some() || !question.events.is_empty());
        let (pack, catalog) = ranker(shop)?;
        let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
        self.json(&RankReply::new(id, ranking, with_profile), "application/json")
    }

    /// Answers with an insight. If the shopper consented, the profile is the cookie's unless the request has one.
    async fn insight(&mut self, shop: &Inside) -> Result<Response, Problem> {
        let mut question: InsightRequest = self.body().await?;
        if question.profile.is_none() && shop.config.edge.profiles && !profile::is_refused(&self.request) {
            question.profile = profile::read(&self.request, &self.env).await.and_then(|known| known.profile());
        }
        let id = question.id.clone();
        let insights = shop.insight(question.message()?)?;
        self.json(&InsightReply::new(id, insights), "application/json")
    }

    /// Answers with the price of a product.
    async fn quote(&mut self, shop: &Inside) -> Result<Response, Problem> {
        let question: PriceRequest = self.body().await?;
        let region = self.region(shop, question.region.as_ref().map(Code::as_str))?;
        let at = shop.now();
        let (quote, _) = shop.quote(question.sku, region, at)?;
        let public = PublicQuote::new(&quote, shop.snapshot.storefront.currency, at, shop.snapshot.root);
        self.json(&PublicQuote { id: question.id, ..public }, "application/json")
    }

    /// Answers with the offer of a product, in JSON-LD.
    fn offer(&self, shop: &Inside, sku: &str) -> Result<Response, Problem> {
        let url = Url::new(&self.request.inner().url()).map_err(worker::Error::from)?;
        let sku = decode_uri_component(sku)
            .map_err(|_| Problem::new(ProblemKind::MalformedRequest, format!("`{sku}` is not percent-encoded")))?;
        let region = self.region(shop, url.search_params().get("region").as_deref())?;
        let sku = Sku::new(String::from(sku))?;
        let id = shop.snapshot.storefront.catalog.id(&sku);
        let id =
            id.ok_or_else(|| Problem::new(ProblemKind::NotFound, format!("the snapshot has no product `{sku}`")))?;
        let (quote, _) = shop.quote(sku, region, shop.now())?;
        // The response is the same for a whole region, but the region depends on the shopper: shared caches must not
        // store it.
        self.headers.set("cache-control", "private, max-age=60")?;
        self.json(&offer::json_ld(shop, &url.origin(), id, region, &quote), "application/ld+json")
    }

    /// Adds events to the shopper's profile, with consent.
    async fn events(&mut self, shop: &Inside) -> Result<Response, Problem> {
        let Events { consent, mut events } = self.body().await?;
        let is_refused = profile::is_refused(&self.request);
        if consent == Some(Consent::Denied) || is_refused {
            self.headers.append("set-cookie", &profile::forget())?;
            profile::revoke(&self.request, &self.env).await?;
        }
        if is_refused {
            return Err(Problem::new(
                ProblemKind::ProfileRefused,
                "the browser sends `Sec-GPC: 1`, so no profile is stored",
            ));
        }
        if consent == Some(Consent::Denied) {
            return Ok(self.nothing());
        }
        if !shop.config.edge.profiles {
            return Err(Problem::new(ProblemKind::ProfileRefused, "this shop stores no profiles at the edge"));
        }
        let known = profile::read(&self.request, &self.env).await;
        if known.is_none() && consent.is_none() {
            return Err(Problem::new(
                ProblemKind::ProfileRefused,
                "the shopper has not agreed: send `\"consent\": \"granted\"` after consent",
            ));
        }
        let now = shop.now();
        for event in &mut events {
            // Clocks of devices differ from the edge's.
            event.at = event.at.min(now);
        }
        // An empty ranking, for its updated profile.
        let profile = known.as_ref().and_then(profile::Known::profile);
        let question = RankRequest { profile, events, candidates: Some(Vec::new()), ..RankRequest::new(now, 0) };
        let (pack, catalog) = ranker(shop)?;
        let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
        let cookie = profile::keep(ranking.profile, now, known.as_ref(), &self.env).await?;
        self.headers.append("set-cookie", &cookie)?;
        Ok(self.nothing())
    }

    /// Answers with the loaded files, by digest.
    fn health(&self, shop: &Inside, trouble: Option<String>, module: &str) -> Result<Response, Problem> {
        let snapshot = &shop.snapshot;
        snapshot.holds(shop.now())?;
        let keyless = || profile::secret(&self.env).err().filter(|_| shop.config.edge.profiles);
        let loaded = |name, version, root: &[u8]| Loaded { name, version, root: hex(root), whole: None, expires: None };
        let health = Health {
            status: "ok",
            abi: ABI_VERSION,
            module,
            packs: shop.packs.iter().map(|pack| loaded(&pack.name, &pack.version, &pack.root)).collect(),
            snapshot: Loaded {
                whole: Some(snapshot.pricing.is_some()),
                expires: Some(snapshot.storefront.expires),
                ..loaded(&snapshot.name, &snapshot.version, &snapshot.root)
            },
            trouble: trouble.or_else(|| keyless().map(|trouble| trouble.message())),
        };
        self.json(&health, "application/json")
    }

    /// Requested region, or the region from which the request comes.
    fn region<'a>(&self, shop: &'a Inside, code: Option<&str>) -> Result<&'a Region, Problem> {
        match code {
            Some(code) => region_of(&shop.snapshot, code).ok_or_else(|| {
                Problem::new(ProblemKind::InvalidRequest, format!("the snapshot has no region `{code}`"))
            }),
            None => shop.region(&Visitor::of(&self.request)).ok_or_else(|| {
                Problem::new(
                    ProblemKind::InvalidRequest,
                    "there are no promises for the request's location; set `region`",
                )
            }),
        }
    }

    /// Reads the JSON of the body, up to the maximum length.
    async fn body<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let said = self.request.headers().get("content-type")?.unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default().trim();
        // Forms of other sites can send other types without a preflight request.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                ProblemKind::UnsupportedMediaType,
                format!("the body is `{said}`; send `application/json`"),
            ));
        }
        let mut body = Vec::new();
        // A request without a body has no stream.
        if let Ok(mut stream) = self.request.stream() {
            while let Some(bytes) = stream.next().await {
                body.extend(bytes?);
                if body.len() > MAX_BODY {
                    return Err(Problem::new(
                        ProblemKind::TooLarge,
                        format!("the body has more than {MAX_BODY} bytes"),
                    ));
                }
            }
        }
        serde_json::from_slice(without_bom(&body)).map_err(|error| {
            let kind = if error.is_data() { ProblemKind::InvalidRequest } else { ProblemKind::MalformedRequest };
            Problem::new(kind, format!("the body cannot be read: {error}"))
        })
    }

    fn json(&self, answer: &impl Serialize, kind: &str) -> Result<Response, Problem> {
        self.headers.set("content-type", kind)?;
        let json = serde_json::to_vec(answer).map_err(worker::Error::from)?;
        Ok(ResponseBuilder::new().with_headers(self.headers.clone()).fixed(json))
    }

    fn nothing(&self) -> Response {
        ResponseBuilder::new().with_status(204).with_headers(self.headers.clone()).empty()
    }
}

fn ranker(shop: &Inside) -> Result<(&str, &Catalog), Problem> {
    let ranker = shop.ranker.as_ref().map(|(name, tables)| (name.as_str(), &tables.catalog));
    ranker.ok_or_else(|| Problem::new(ProblemKind::Unavailable, "no pack of the shop ranks products"))
}
