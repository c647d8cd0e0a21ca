//! The storefront API: events, rankings, prices, offers, and how the Worker is.

use crate::{
    offer,
    problem::Problem,
    profile,
    shop::{Arriving, Shop, Trouble, digest, last_trouble, region_of},
};
use futures_util::StreamExt;
use js_sys::decode_uri_component;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::rc::Rc;
use tradewind_core::{ABI_VERSION, Sku, snapshot::Region};
use tradewind_json::{Moment, PriceRequest, PublicQuote, RankReply, RankRequest, StorefrontEvent, hex};
use worker::{Context, Env, Headers, Method, Request, Response, ResponseBuilder, Result};

/// The most bytes of a request's body.
const MAX_BODY: usize = 512 << 10;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// What a shopper did.
    Events,
    /// Ranked products.
    Rank,
    /// A price.
    Quote,
    /// The offer of a product.
    Offer(String),
    /// How the Worker is.
    Health,
}

/// What a shopper did, and may be remembered.
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

impl Route {
    /// The route of a path; none for those that are the origin's.
    pub fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/events" => Some(Self::Events),
            "/v1/rank" => Some(Self::Rank),
            "/v1/quote" => Some(Self::Quote),
            "/healthz" => Some(Self::Health),
            _ => path.strip_prefix("/v1/offers/").filter(|sku| !sku.is_empty()).map(|sku| Self::Offer(sku.to_owned())),
        }
    }

    const fn method(&self) -> Method {
        match self {
            Self::Events | Self::Rank | Self::Quote => Method::Post,
            Self::Offer(_) | Self::Health => Method::Get,
        }
    }
}

/// Answers a request to the API.
pub async fn answer(route: Route, mut request: Request, env: Env, context: Context) -> Result<Response> {
    let shop = Arriving::new(&env, &context).shop().await;
    let headers = Headers::new();
    headers.set("cache-control", "no-store")?;
    if let Ok(shop) = &shop {
        allow(shop, &request, &route, &headers)?;
    }
    let response = if request.method() == Method::Options {
        Ok(ResponseBuilder::new().with_status(204).empty())
    } else if request.method() != route.method() {
        headers.set("allow", route.method().as_ref())?;
        Err(Problem::new(405, format!("this is asked with {}", route.method())))
    } else {
        asked(route, shop, &mut request, &env, &headers).await
    };
    let response = match response {
        Ok(response) => response,
        Err(problem) => problem.response()?,
    };
    for (name, value) in response.headers() {
        headers.append(&name, &value)?;
    }
    Ok(response.with_headers(headers))
}

async fn asked(
    route: Route,
    shop: std::result::Result<Rc<Shop>, Trouble>,
    request: &mut Request,
    env: &Env,
    headers: &Headers,
) -> std::result::Result<Response, Problem> {
    match route {
        Route::Health => health(shop, env),
        Route::Events => events(&*shop?, request, env, headers).await,
        Route::Rank => rank(&*shop?, request).await,
        Route::Quote => quote(&*shop?, request).await,
        Route::Offer(sku) => offered(&*shop?, request, sku, headers),
    }
}

async fn rank(shop: &Shop, request: &mut Request) -> std::result::Result<Response, Problem> {
    let mut question: RankRequest = body(request).await?;
    if question.region.is_none() {
        question.region = Some(region(shop, request, None)?.code.to_string());
    }
    let (id, with_profile) = (question.id.clone(), question.profile.is_some() || !question.events.is_empty());
    let (pack, catalog) = ranker(shop)?;
    let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
    Ok(Response::from_json(&RankReply::new(id, ranking, with_profile))?)
}

async fn quote(shop: &Shop, request: &mut Request) -> std::result::Result<Response, Problem> {
    let question: PriceRequest = body(request).await?;
    let region = region(shop, request, question.region.as_deref())?;
    let at = shop.now();
    let (quote, _) = shop.quote(Sku::new(question.sku)?, region, at)?;
    let public = PublicQuote::new(&quote, shop.snapshot.storefront.currency, at, shop.snapshot.root);
    Ok(Response::from_json(&PublicQuote { id: question.id, ..public })?)
}

fn offered(shop: &Shop, request: &Request, sku: String, headers: &Headers) -> std::result::Result<Response, Problem> {
    let url = request.url()?;
    let asked = url.query_pairs().find(|(name, _)| name == "region").map(|(_, code)| code.into_owned());
    let region = region(shop, request, asked.as_deref())?;
    let sku = decode_uri_component(&sku).map_err(|_| Problem::new(400, format!("`{sku}` is not percent-encoded")))?;
    let sku = Sku::new(String::from(sku))?;
    let id = shop.snapshot.storefront.catalog.id(&sku);
    let id = id.ok_or_else(|| Problem::new(404, format!("the snapshot has no product `{sku}`")))?;
    let (quote, _) = shop.quote(sku, region, shop.now())?;
    let offer = offer::json_ld(shop, &url.origin().ascii_serialization(), id, region, &quote);
    // The same for everyone in the region, and the region is of the shopper: no shared cache may keep it.
    headers.set("cache-control", "private, max-age=60")?;
    json_of(&offer, "application/ld+json")
}

/// Takes in what a shopper did, where that is wanted.
async fn events(
    shop: &Shop,
    request: &mut Request,
    env: &Env,
    headers: &Headers,
) -> std::result::Result<Response, Problem> {
    let Events { consent, mut events } = body(request).await?;
    let refused = profile::is_refused(request);
    if consent == Some(Consent::Denied) || refused {
        headers.append("set-cookie", &profile::forget())?;
    }
    if refused {
        return Err(Problem::new(403, "the browser sends `Sec-GPC: 1`, so nothing is remembered"));
    }
    if consent == Some(Consent::Denied) {
        return Ok(ResponseBuilder::new().with_status(204).empty());
    }
    if !shop.config.edge.profiles {
        return Err(Problem::new(403, "this shop keeps no profiles at the edge"));
    }
    let known = profile::read(request, env).await;
    if known.is_none() && consent.is_none() {
        return Err(Problem::new(403, "the shopper has not agreed: send `\"consent\": \"granted\"` once it is so"));
    }
    let now = shop.now();
    for event in &mut events {
        // Clocks of devices differ from the edge's.
        event.at = event.at.min(now.0);
    }
    // A ranking of nothing: what is wanted is the profile that comes back.
    let question = RankRequest { profile: known, events, candidates: Some(Vec::new()), ..RankRequest::new(now, 0) };
    let (pack, catalog) = ranker(shop)?;
    let (ranking, _) = shop.rank(question.message(pack, catalog)?)?;
    headers.append("set-cookie", &profile::keep(ranking.profile, now, env).await?)?;
    Ok(ResponseBuilder::new().with_status(204).empty())
}

/// What is loaded, by digests.
fn health(shop: std::result::Result<Rc<Shop>, Trouble>, env: &Env) -> std::result::Result<Response, Problem> {
    let shop = shop.map_err(|trouble| Problem::new(503, trouble.to_string()))?;
    let module = digest()?;
    let snapshot = &shop.snapshot;
    snapshot.holds(shop.now()).map_err(|error| Problem::new(503, error.message()))?;
    let packs =
        shop.packs.iter().map(|pack| json!({ "name": pack.name, "version": pack.version, "root": hex(&pack.root) }));
    let keyless =
        || profile::secret(env).err().filter(|_| shop.config.edge.profiles).map(|trouble| trouble.to_string());
    let health = json!({
        "status": "ok",
        "abi": ABI_VERSION,
        "module": module,
        "packs": packs.collect::<Vec<_>>(),
        "snapshot": {
            "name": snapshot.name,
            "version": snapshot.version,
            "root": hex(&snapshot.root),
            "whole": snapshot.pricing.is_some(),
            "expires": Moment(snapshot.storefront.expires),
        },
        // Why what the configuration says now is not what is loaded, or done.
        "trouble": last_trouble().or_else(keyless),
    });
    json_of(&health, "application/json")
}

fn json_of(value: &Value, kind: &str) -> std::result::Result<Response, Problem> {
    let builder = ResponseBuilder::new().with_header("content-type", kind)?;
    Ok(builder.fixed(value.to_string().into_bytes()))
}

fn ranker(shop: &Shop) -> std::result::Result<(&str, &tradewind_core::Catalog), Problem> {
    let ranker = shop.ranker.as_ref().map(|(name, catalog)| (name.as_str(), catalog));
    ranker.ok_or_else(|| Problem::new(503, "none of the shop's packs ranks"))
}

/// The region that is asked for, or from which the request comes.
fn region<'a>(shop: &'a Shop, request: &Request, code: Option<&str>) -> std::result::Result<&'a Region, Problem> {
    match code {
        Some(code) => region_of(&shop.snapshot, code)
            .ok_or_else(|| Problem::new(400, format!("the snapshot has no region `{code}`"))),
        None => shop
            .region(request)
            .ok_or_else(|| Problem::new(400, "nothing is promised where the request comes from; say `region`")),
    }
}

/// Lets pages of other origins read the answer, those that the configuration lists.
fn allow(shop: &Shop, request: &Request, route: &Route, headers: &Headers) -> Result<()> {
    headers.set("vary", "Origin")?;
    let Some(origin) = request.headers().get("origin")?.filter(|origin| shop.config.edge.cors.contains(origin)) else {
        return Ok(());
    };
    headers.set("access-control-allow-origin", &origin)?;
    headers.set("access-control-allow-credentials", "true")?;
    if request.method() == Method::Options {
        headers.set("access-control-allow-methods", route.method().as_ref())?;
        headers.set("access-control-allow-headers", "content-type")?;
        headers.set("access-control-max-age", "86400")?;
    }
    Ok(())
}

/// The JSON of a body, which is read only as far as it may be long.
async fn body<T: DeserializeOwned>(request: &mut Request) -> std::result::Result<T, Problem> {
    let kind = request.headers().get("content-type")?.unwrap_or_default();
    // A form of another site can send other types without asking first.
    if !kind.trim_start().starts_with("application/json") {
        return Err(Problem::new(415, format!("the body is `{kind}`; send `application/json`")));
    }
    let mut stream = request.stream().map_err(|_| Problem::new(400, "there is no body"))?;
    let mut body = Vec::new();
    while let Some(bytes) = stream.next().await {
        body.extend(bytes?);
        if body.len() > MAX_BODY {
            return Err(Problem::new(413, format!("the body has more than {MAX_BODY} bytes")));
        }
    }
    serde_json::from_slice(&body).map_err(|error| Problem::new(400, format!("the body cannot be read: {error}")))
}
