//! Content of a page's elements: rankings and prices.

use crate::{
    card::{Fields, escape},
    config::Product,
    elements::{Decode, Slot},
    shop::{Inside, Shop, Trouble},
    splice::{Declared, Fill, Splicer},
    visitor::Visitor,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use std::{collections::BTreeMap, rc::Rc};
use tradewind_core::{
    Millis, Money, Profile, Sku,
    guest::Exchange,
    message::Fault,
    quote::Quote,
    rank::{Constraints, RankRequest, RankedItem},
    snapshot::Region,
};
use tradewind_json::{PageProduct, PublicQuote};
use wasm_bindgen::prelude::wasm_bindgen;

/// Maximum number of slots filled in one page; later ones stay unchanged.
const MAX_SLOTS: usize = 8;
/// Maximum number of products that a page is about.
const MAX_PRODUCTS: usize = 8;
/// Maximum number of prices computed for one page.
const MAX_QUOTES: usize = 128;

// Catches platform exceptions.
#[wasm_bindgen(inline_js = "
export const encodingOf = (label) => {
  try {
    return new TextDecoder(label).encoding.toLowerCase();
  } catch {
    return undefined;
  }
};
export const decoded = (label, bytes) => {
  try {
    return new TextDecoder(label).decode(bytes);
  } catch {
    return undefined;
  }
};
")]
extern "C" {
    /// Name of the encoding for a label.
    #[wasm_bindgen(js_name = encodingOf)]
    fn encoding_of(label: &str) -> Option<String>;
    fn decoded(label: &str, bytes: &[u8]) -> Option<String>;
}

/// Page of the origin on its way to a visitor.
#[wasm_bindgen]
pub struct Page(Splicer<Filling>);

#[wasm_bindgen]
impl Page {
    /// Creates the state before a page's first byte, for the sender of a request. `charset` is from the page's header;
    /// `profile` contains the bytes of the request's profile.
    ///
    /// # Errors
    /// The reason why the page stays unchanged.
    #[wasm_bindgen(constructor)]
    pub fn new(
        shop: Shop,
        request: web_sys::Request,
        charset: Option<String>,
        profile: Option<Vec<u8>>,
    ) -> Result<Page, Trouble> {
        let shop = shop.inside();
        let region = shop.region(&Visitor::of(&request.into())).cloned();
        let region = region.ok_or_else(|| Trouble::other("no region delivers to the location of the request"))?;
        let at = shop.now();
        shop.snapshot.holds(at).map_err(Fault::from)?;
        let encoding = match charset {
            Some(label) => Some(ascii_like(&label).ok_or_else(|| Trouble::other(format!("its charset is `{label}`")))?),
            None => None,
        };
        let profile = profile.filter(|_| shop.config.edge.profiles);
        let profile = profile.and_then(|bytes| postcard::from_bytes(&bytes).ok());
        Ok(Self(Splicer::new(Filling {
            shop,
            region,
            at,
            profile,
            shown: Vec::new(),
            slots: Vec::new(),
            quotes: BTreeMap::new(),
            products: Vec::new(),
            deliveries: BTreeMap::new(),
            is_troubled: false,
            is_declared: encoding.is_some(),
            encoding,
        })))
    }

    /// Takes bytes of the page, and returns bytes to send.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.push(bytes)
    }

    /// Returns the remaining bytes at the end of the page.
    pub fn finish(&mut self) -> Vec<u8> {
        self.0.finish()
    }

    /// Treats the page as one with elements to fill.
    pub fn release(&mut self) -> Vec<u8> {
        self.0.release()
    }

    /// Whether there are elements to fill. Until then, no bytes are sent.
    #[wasm_bindgen(getter)]
    pub fn found(&self) -> bool {
        self.0.is_found()
    }

    /// Number of the page's bytes sent.
    #[wasm_bindgen(getter)]
    pub fn left(&self) -> f64 {
        self.0.left() as f64
    }

    /// Region of the page.
    #[wasm_bindgen(getter)]
    pub fn region(&self) -> String {
        self.0.fill().region()
    }

    /// Whether it is filled for a known shopper.
    #[wasm_bindgen(getter)]
    pub fn personal(&self) -> bool {
        self.0.fill().profile.is_some()
    }
}

/// Encoding of a label, if it is ASCII-compatible.
fn ascii_like(label: &str) -> Option<String> {
    encoding_of(label).filter(|name| !name.starts_with("utf-16") && name != "iso-2022-jp" && name != "x-user-defined")
}

/// State of filling one page.
struct Filling {
    shop: Rc<Inside>,
    region: Region,
    at: Millis,
    /// Profile, in edge mode.
    profile: Option<Profile>,
    /// Products shown so far.
    shown: Vec<Sku>,
    slots: Vec<HandedSlot>,
    quotes: BTreeMap<Sku, Option<Quoted>>,
    /// Products that the page is about.
    products: Vec<Sku>,
    /// Texts of promises, by their days, because `Intl` is slow.
    deliveries: BTreeMap<(u8, u8), String>,
    /// Whether the module failed; the rest of the page stays unchanged.
    is_troubled: bool,
    encoding: Option<String>,
    /// Whether a stronger source than an element declares the encoding.
    is_declared: bool,
}

/// Data for the page, so that it need not decide again.
#[derive(Serialize)]
struct Handover<'a> {
    region: &'a str,
    slots: Vec<HandedSlot>,
    quotes: Vec<HandedQuote<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    products: Vec<PageProduct<&'a Product>>,
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

impl Decode for Filling {
    fn decode(&self, bytes: &[u8]) -> Option<String> {
        match self.encoding.as_deref() {
            None | Some("utf-8") => Some(String::from_utf8_lossy(bytes).into_owned()),
            Some(encoding) => decoded(encoding, bytes),
        }
    }
}

impl Fill for Filling {
    fn slot(&mut self, slot: &Slot) -> Option<String> {
        if self.slots.len() >= MAX_SLOTS || self.is_troubled {
            return None;
        }
        let (pack, _) = self.shop.ranker.as_ref()?;
        let excluded = slot.exclude.iter().filter_map(|sku| Sku::new(sku.clone()).ok());
        let request = RankRequest {
            profile: self.profile.clone().unwrap_or_default(),
            constraints: Constraints {
                exclude: self.shown.iter().cloned().chain(excluded).collect(),
                available: Some(self.shop.shown.clone()),
                deliverable_to: Some(self.region.code.clone()),
                ..Constraints::default()
            },
            ..RankRequest::new(pack, self.at, slot.limit)
        };
        let ranked = self.shop.rank(request);
        let (ranking, Exchange { request, reply }) = self.answered(ranked)?;
        let cards: Vec<String> = ranking.items.iter().filter_map(|item| self.card(item)).collect();
        if cards.is_empty() {
            return None;
        }
        let (request, reply) = (BASE64_STANDARD.encode(request), BASE64_STANDARD.encode(reply));
        self.slots.push(HandedSlot { slot: slot.name.clone(), request, reply });
        self.shown.extend(ranking.items.into_iter().map(|item| item.sku));
        Some(cards.concat())
    }

    fn price(&mut self, sku: &str) -> Option<String> {
        let price = self.quote(&Sku::new(sku.to_owned()).ok()?)?.price;
        Some(escape(&self.shop.words.money(price)))
    }

    fn region(&self) -> String {
        self.region.code.to_string()
    }

    fn product(&mut self, sku: String) -> bool {
        let is_taken = self.shop.config.edge.slices && self.products.len() < MAX_PRODUCTS;
        let before = self.products.len();
        self.products.extend(Sku::new(sku).ok().filter(|_| is_taken));
        self.products.len() > before
    }

    /// Script with the data for the page; empty if nothing was filled.
    fn hand_over(&mut self) -> String {
        // Without a profile the page ranks itself.
        let slots = if self.profile.is_some() { std::mem::take(&mut self.slots) } else { Vec::new() };
        let quotes = std::mem::take(&mut self.quotes);
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
        let products = self.page_products();
        if slots.is_empty() && quotes.is_empty() && products.is_empty() {
            return String::new();
        }
        let handover = Handover { region: self.region.code.as_str(), slots, quotes, products };
        let json = in_ascii(&serde_json::to_string(&handover).unwrap_or_default());
        format!(r#"<script type="application/tradewind" id="tradewind-handover">{json}</script>"#)
    }

    fn encoding(&mut self, label: &str, by: Declared) -> bool {
        match (encoding_of(label), by) {
            (Some(name), Declared::Mark) => {
                self.is_declared = true;
                self.encoding = Some(name.clone());
                ascii_like(&name).is_some()
            }
            (Some(name), Declared::Element) if !self.is_declared => {
                // An element that can be read at all is not in UTF-16.
                let name = if name.starts_with("utf-16") { "utf-8".into() } else { name };
                self.encoding = Some(name.clone());
                ascii_like(&name).is_some()
            }
            _ => true,
        }
    }
}

impl Filling {
    /// Card of a product, if the shop has a page for it.
    fn card(&mut self, item: &RankedItem) -> Option<String> {
        let shop = self.shop.clone();
        let product = shop.products.get(item.sku.as_str())?;
        let storefront = &shop.snapshot.storefront;
        let id = storefront.catalog.id(&item.sku)?;
        let listed = storefront.price(id)?;
        let price = self.quote(&item.sku).map(|quote| quote.price);
        let price = price.unwrap_or_else(|| listed.at(self.at));
        let money = |amount: Money| shop.words.money(amount);
        let title = |sku: &str| shop.products.get(sku).map_or_else(|| sku.to_owned(), |it| it.title.clone());
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
            reason: item.reasons.first().map(|reason| shop.words.reason(reason, title)).unwrap_or_default(),
        }))
    }

    /// The page's products and their neighbours.
    fn page_products(&self) -> Vec<PageProduct<&Product>> {
        let (Some((_, tables)), storefront) = (&self.shop.ranker, &self.shop.snapshot.storefront) else {
            return Vec::new();
        };
        let text = |sku: &Sku| self.shop.products.get(sku.as_str());
        PageProduct::of_page(&self.products, tables, storefront, &self.region, self.at, text)
    }

    /// Price of a product, computed once per page.
    fn quote(&mut self, sku: &Sku) -> Option<&Quote> {
        if !self.quotes.contains_key(sku) {
            if self.is_troubled || self.quotes.len() >= MAX_QUOTES {
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

    /// Result of a call, if any. A refused request says nothing about later ones; any other failure does.
    fn answered<T>(&mut self, answer: Result<T, Trouble>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(trouble) => {
                self.is_troubled |= trouble.fault().is_none();
                worker::console_warn!("tradewind: {}", trouble.message());
                None
            }
        }
    }
}

/// Escapes JSON to ASCII without tags.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() && letter != '<' {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}
