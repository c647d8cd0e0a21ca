//! Pages of the origin, filled while they stream.

use crate::{
    card::{Fields, escape},
    closed::Lookahead,
    profile,
    pump::through,
    rewriter::{Element, HtmlRewriter},
    shop::{Arriving, Shop, Trouble},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};
use tradewind_core::{
    Millis, Money, Profile, Sku,
    guest::Exchange,
    quote::Quote,
    rank::{Constraints, RankRequest, RankedItem},
    snapshot::Region,
};
use tradewind_json::PublicQuote;
use wasm_bindgen::JsCast;
use worker::{Context, Env, Fetch, Method, Request, Response, ResponseBody, ResponseBuilder, Result};

/// Slots of one page that are filled; what comes after stays as the origin wrote it.
const MAX_SLOTS: usize = 8;
/// Products in one slot.
const MAX_LIMIT: u16 = 48;
/// Prices that are computed for one page.
const MAX_QUOTES: usize = 128;

/// Fetches a page from the origin and fills it; anything else passes as it is.
pub async fn answer(request: Request, env: Env, context: Context) -> Result<Response> {
    let arriving = (request.method() == Method::Get).then(|| Arriving::new(&env, &context));
    let response = match Fetch::Request(to_origin(&request, &env)?).send().await {
        Ok(response) => response,
        Err(error) => {
            worker::console_error!("tradewind: the origin cannot be reached: {error}");
            return Response::error("The shop cannot be reached at the moment. Please try again.", 502);
        }
    };
    let Some(arriving) = arriving.filter(|_| is_page(&response)) else { return Ok(response) };
    let filling = match arriving.shop().await {
        Ok(shop) => {
            let known = shop.config.edge.profiles && !profile::is_refused(&request);
            let profile = if known { profile::read(&request, &env).await } else { None };
            Filling::new(shop, &request, profile)
        }
        Err(trouble) => Err(trouble),
    };
    match filling {
        Ok(filling) => fill(response, filling, &context),
        Err(trouble) => {
            worker::console_warn!("tradewind: {} passes as it is: {trouble}", request.path());
            passed(response)
        }
    }
}

/// The request as the origin gets it: `ORIGIN` stands for its scheme and host, where the Worker's route does not.
fn to_origin(request: &Request, env: &Env) -> Result<Request> {
    let url = request.url()?;
    let mut target = url.clone();
    if let Ok(origin) = env.var("ORIGIN").map(|origin| origin.to_string())
        && !origin.is_empty()
    {
        target = worker::Url::parse(&origin)?;
        target.set_path(url.path());
        target.set_query(url.query());
    }
    // A request serves as the settings of another: method, headers and body go over.
    let init: &web_sys::RequestInit = request.inner().unchecked_ref();
    let request = Request::from(web_sys::Request::new_with_str_and_init(target.as_str(), init)?);
    let headers = request.inner().headers();
    headers.set("x-forwarded-host", &url.host_str().map(ToOwned::to_owned).unwrap_or_default())?;
    headers.set("x-forwarded-proto", url.scheme())?;
    Ok(request)
}

fn is_page(response: &Response) -> bool {
    let html = response.headers().get("content-type").ok().flatten().is_some_and(|it| it.starts_with("text/html"));
    html && response.status_code() == 200
}

/// A page that stays as it is, and says so to whoever looks.
fn passed(response: Response) -> Result<Response> {
    let headers = response.headers().clone();
    headers.append("server-timing", "tradewind;desc=\"passed\"")?;
    Ok(response.with_headers(headers))
}

/// A page with its slots and prices filled.
fn fill(response: Response, filling: Filling, context: &Context) -> Result<Response> {
    let ResponseBody::Stream(body) = response.body() else { return Ok(response) };
    let headers = response.headers().clone();
    // These tell of the origin's bytes, and the answer has others.
    for stale in ["content-length", "etag", "last-modified", "accept-ranges", "content-md5", "digest"] {
        headers.delete(stale)?;
    }
    let mode = if filling.profile.is_some() { "edge" } else { "device" };
    headers.set("cache-control", if filling.profile.is_some() { "private, no-store" } else { "private, no-cache" })?;
    headers.append("server-timing", &format!("tradewind;desc=\"{mode} {}\"", filling.region.code))?;

    let lookahead = Rc::new(RefCell::new(Lookahead::default()));
    let Ok(body) = through(body, lookahead.clone(), context) else { return passed(response) };
    let checked = ResponseBuilder::new().with_headers(headers).stream(body);

    let region = filling.region.code.to_string();
    let filling = Rc::new(RefCell::new(filling));
    let on = |what: fn(&mut Filling, &Element) -> Option<()>| {
        let (filling, lookahead) = (filling.clone(), lookahead.clone());
        move |element: Element| {
            if !lookahead.borrow().is_broken() {
                // Where there is nothing to fill in, what the origin wrote stays.
                let _filled = what(&mut filling.borrow_mut(), &element);
            }
        }
    };
    let (of_body, at_end) = (filling.clone(), filling.clone());
    let rewriter = HtmlRewriter::new()
        .on("html", move |html| {
            let _set = html.set_attribute("data-tradewind-region", &region);
        })
        .on("tradewind-slot", on(Filling::slot))
        .on("tradewind-price", on(Filling::price))
        .on("body", move |body| {
            let filling = of_body.clone();
            let _set = body.before_end(move || filling.borrow_mut().hand_over());
        })
        .at_end(move || at_end.borrow_mut().hand_over());
    Ok(Response::from(rewriter.transform(&checked.into())))
}

/// What is filled into one page.
struct Filling {
    shop: Rc<Shop>,
    region: Region,
    at: Millis,
    /// The shopper, in edge mode.
    profile: Option<Profile>,
    /// Products in the slots so far.
    shown: Vec<Sku>,
    slots: Vec<HandedSlot>,
    quotes: BTreeMap<Sku, Option<Quoted>>,
    /// The texts of promises, by their days: `Intl` takes its time for each.
    deliveries: BTreeMap<(u8, u8), String>,
    /// The module was in trouble; the rest of the page stays as it is.
    troubled: bool,
}

/// What the page is handed: what it needs to go on without asking again.
#[derive(Serialize)]
struct Handover<'a> {
    region: &'a str,
    slots: Vec<HandedSlot>,
    quotes: Vec<HandedQuote<'a>>,
}

#[derive(Serialize)]
struct HandedSlot {
    slot: String,
    request: String,
    reply: String,
}

#[derive(Serialize)]
struct HandedQuote<'a> {
    sku: &'a str,
    request: &'a str,
    quote: PublicQuote,
}

struct Quoted {
    quote: Quote,
    request: String,
}

impl Filling {
    fn new(shop: Rc<Shop>, request: &Request, profile: Option<Profile>) -> std::result::Result<Self, Trouble> {
        let region = shop.region(request).cloned();
        let region = region.ok_or_else(|| Trouble::Other("nothing is promised where the request comes from".into()))?;
        let at = shop.now();
        shop.snapshot.holds(at).map_err(|error| Trouble::Fault(error.into()))?;
        Ok(Self {
            shop,
            region,
            at,
            profile,
            shown: Vec::new(),
            slots: Vec::new(),
            quotes: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            troubled: false,
        })
    }

    /// Fills a slot with ranked products.
    fn slot(&mut self, element: &Element) -> Option<()> {
        if self.slots.len() >= MAX_SLOTS {
            return None;
        }
        let limit = element.attribute("limit")?.trim().parse::<u16>().ok()?.min(MAX_LIMIT);
        let (pack, _) = self.shop.ranker.as_ref()?;
        let request = RankRequest {
            profile: self.profile.clone().unwrap_or_default(),
            constraints: Constraints {
                exclude: self.shown.clone(),
                deliverable_to: Some(self.region.code.clone()),
                ..Constraints::default()
            },
            ..RankRequest::new(pack, self.at, limit)
        };
        let ranked = (!self.troubled).then(|| self.shop.rank(request))?;
        let (ranking, exchange) = self.answered(ranked)?;
        let cards: Vec<String> = ranking.items.iter().filter_map(|item| self.card(item)).collect();
        if cards.is_empty() {
            return None;
        }
        element.set_attribute("data-tradewind", "edge").ok()?;
        element.fill(&cards.concat()).ok()?;
        let Exchange { request, reply } = exchange;
        let (request, reply) = (BASE64_STANDARD.encode(request), BASE64_STANDARD.encode(reply));
        self.slots.push(HandedSlot { slot: element.attribute("name").unwrap_or_default(), request, reply });
        self.shown.extend(ranking.items.into_iter().map(|item| item.sku));
        Some(())
    }

    /// Fills in a price.
    fn price(&mut self, element: &Element) -> Option<()> {
        let sku = Sku::new(element.attribute("sku")?).ok()?;
        let price = self.quote(&sku)?.price;
        element.set_attribute("data-tradewind", "edge").ok()?;
        element.fill(&escape(&self.shop.words.money(price))).ok()?;
        Some(())
    }

    /// The card of a product, if the shop has a page for it.
    fn card(&mut self, item: &RankedItem) -> Option<String> {
        let shop = self.shop.clone();
        let product = shop.products.get(item.sku.as_str())?;
        let storefront = &shop.snapshot.storefront;
        let id = storefront.catalog.id(&item.sku)?;
        let listed = storefront.prices.get(id.0 as usize)?;
        let price = self.quote(&item.sku).map(|quote| quote.price);
        let price = price.unwrap_or_else(|| listed.at(self.at));
        let money = |amount: Money| shop.words.money(amount);
        let title = |sku: &Sku| shop.products.get(sku.as_str()).map_or_else(|| sku.to_string(), |it| it.title.clone());
        let promise = self.region.promise(id)?;
        let delivery = || shop.words.delivery(promise, self.at, self.region.utc_offset);
        Some(shop.config.card.html(&Fields {
            sku: item.sku.to_string(),
            title: product.title.clone(),
            url: product.url.clone(),
            category: product.category.clone(),
            price: money(price),
            list: if listed.list > price { money(listed.list) } else { String::new() },
            delivery: self.deliveries.entry((promise.min_days, promise.max_days)).or_insert_with(delivery).clone(),
            reason: item.reasons.first().map(|reason| reason.sentence(title)).unwrap_or_default(),
        }))
    }

    /// The price of a product, computed once a page.
    fn quote(&mut self, sku: &Sku) -> Option<&Quote> {
        if !self.quotes.contains_key(sku) {
            if self.troubled || self.quotes.len() >= MAX_QUOTES {
                return None;
            }
            let quoted = self.shop.quote(sku.clone(), &self.region, self.at);
            let quoted = self.answered(quoted);
            let quoted =
                quoted.map(|(quote, exchange)| Quoted { quote, request: BASE64_STANDARD.encode(exchange.request) });
            self.quotes.insert(sku.clone(), quoted);
        }
        self.quotes.get(sku)?.as_ref().map(|quoted| &quoted.quote)
    }

    /// An answer, if there is one. A question that the module refuses says nothing of the next; anything else does.
    fn answered<T>(&mut self, answer: std::result::Result<T, Trouble>) -> Option<T> {
        if let Err(trouble) = &answer {
            self.troubled |= !matches!(trouble, Trouble::Fault(_));
            worker::console_warn!("tradewind: {trouble}");
        }
        answer.ok()
    }

    /// The script with what the page is handed; nothing the second time, or where nothing was filled.
    fn hand_over(&mut self) -> String {
        let slots = std::mem::take(&mut self.slots);
        let quotes = std::mem::take(&mut self.quotes);
        // Without a profile the page ranks for itself.
        let slots = if self.profile.is_some() { slots } else { Vec::new() };
        let (currency, root) = (self.shop.snapshot.storefront.currency, self.shop.snapshot.root);
        let quotes: Vec<_> = quotes
            .iter()
            .filter_map(|(sku, quoted)| {
                let Quoted { quote, request } = quoted.as_ref()?;
                Some(HandedQuote {
                    sku: sku.as_str(),
                    request,
                    quote: PublicQuote::new(quote, currency, self.at, root),
                })
            })
            .collect();
        if slots.is_empty() && quotes.is_empty() {
            return String::new();
        }
        let handover = Handover { region: self.region.code.as_str(), slots, quotes };
        let json = serde_json::to_string(&handover).unwrap_or_default().replace('<', "\\u003c");
        format!(r#"<script type="application/tradewind" id="tradewind-handover">{json}</script>"#)
    }
}
