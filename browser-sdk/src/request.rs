//! Requests as a page writes them, as messages for the module.

use crate::{
    error::{input, refused},
    value::Fields,
};
use js_sys::{Array, Uint8Array};
use tradewind_core::{
    Channel, Event, EventKind, Line, Millis, Profile, Sku,
    pack::Digest,
    quote::{Objective, QuoteRequest},
    rank::{Constraints, RankRequest},
    snapshot::Code,
};
use wasm_bindgen::{JsCast, JsValue};

/// The last moment that the core takes: the year 2262.
const LAST: f64 = 9_223_372_036_854.0;

/// `{ at, limit, profile?, events?, candidates?, exclude?, max_per_category?, region? }`
pub fn rank(value: &JsValue, pack: &str) -> Result<RankRequest, JsValue> {
    let known = ["at", "limit", "profile", "events", "candidates", "exclude", "max_per_category", "region"];
    let fields = Fields::of(value, "the request", &known)?;
    let profile = match fields.optional("profile") {
        None => Profile::default(),
        Some(bytes) => profile(&bytes)?,
    };
    Ok(RankRequest {
        profile,
        events: fields.list("events")?.iter().map(|value| event(&value)).collect::<Result<_, _>>()?,
        candidates: match fields.optional("candidates") {
            None => None,
            Some(_) => Some(skus(&fields.list("candidates")?)?),
        },
        constraints: Constraints {
            exclude: skus(&fields.list("exclude")?)?,
            max_per_category: match fields.optional("max_per_category") {
                None => None,
                Some(_) => Some(fields.number("max_per_category", 65_535.0)? as u16),
            },
            deliverable_to: match fields.optional("region") {
                None => None,
                Some(_) => Some(code(&fields, "region")?),
            },
            ..Constraints::default()
        },
        ..RankRequest::new(pack, moment(&fields)?, fields.number("limit", 65_535.0)? as u16)
    })
}

/// `{ at, sku, region, objective: { margin?, revenue?, sell_through? } }`
pub fn quote(value: &JsValue, snapshot: Digest) -> Result<QuoteRequest, JsValue> {
    let fields = Fields::of(value, "the request", &["at", "sku", "region", "objective"])?;
    let objective = fields.optional("objective").ok_or_else(|| input(&["`objective` is missing"]))?;
    let weights = Fields::of(&objective, "`objective`", &["margin", "revenue", "sell_through"])?;
    let weight = |name: &str| match weights.optional(name) {
        None => Ok(0),
        Some(_) => weights.number(name, 65_535.0).map(|weight| weight as u16),
    };
    Ok(QuoteRequest {
        snapshot,
        at: moment(&fields)?,
        product: sku(fields.text("sku")?)?,
        region: code(&fields, "region")?,
        objective: Objective {
            margin: weight("margin")?,
            revenue: weight("revenue")?,
            sell_through: weight("sell_through")?,
        },
    })
}

/// A profile, from the bytes that a ranking gave.
pub fn profile(bytes: &JsValue) -> Result<Profile, JsValue> {
    let bytes = bytes.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec).unwrap_or_default();
    match postcard::take_from_bytes(&bytes) {
        Ok((profile, [])) => Ok(profile),
        _ => Err(input(&["`profile` is none; erase it and start anew"])),
    }
}

/// `{ at, view | click | dismiss | search | impression | add_to_cart | return | purchase }`
fn event(value: &JsValue) -> Result<Event, JsValue> {
    let kinds = ["view", "click", "dismiss", "search", "impression", "add_to_cart", "return", "purchase"];
    let fields = Fields::of(value, "an event", &[&["at"], &kinds[..]].concat())?;
    let mut found = kinds.into_iter().filter_map(|kind| Some((kind, fields.optional(kind)?)));
    let (Some((kind, what)), None) = (found.next(), found.next()) else {
        return Err(input(&["an event needs exactly one of ", &kinds.join(", ")]));
    };
    let known: &[&str] = match kind {
        "view" | "click" | "dismiss" => &["sku"],
        "search" => &["query"],
        "impression" => &["skus"],
        "purchase" => &["lines"],
        _ => &["sku", "quantity"],
    };
    let what = Fields::of(&what, kind, known)?;
    let product = || sku(what.text("sku")?);
    Ok(Event {
        at: moment(&fields)?,
        channel: Channel::Web,
        kind: match kind {
            "view" => EventKind::View(product()?),
            "click" => EventKind::Click(product()?),
            "dismiss" => EventKind::Dismiss(product()?),
            "search" => EventKind::Search(what.text("query")?),
            "impression" => EventKind::Impression(skus(&what.list("skus")?)?),
            "add_to_cart" => EventKind::AddToCart(line(&what)?),
            "return" => EventKind::Return(line(&what)?),
            _ => {
                let lines = what.list("lines")?;
                let lines = lines.iter().map(|value| line(&Fields::of(&value, "a line", &["sku", "quantity"])?));
                EventKind::Purchase(lines.collect::<Result<_, _>>()?)
            }
        },
    })
}

fn line(fields: &Fields<'_>) -> Result<Line, JsValue> {
    Ok(Line { sku: sku(fields.text("sku")?)?, quantity: fields.number("quantity", f64::from(u32::MAX))? as u32 })
}

fn moment(fields: &Fields<'_>) -> Result<Millis, JsValue> {
    Ok(Millis(fields.number("at", LAST)? as i64))
}

fn code(fields: &Fields<'_>, name: &str) -> Result<Code, JsValue> {
    Code::new(fields.text(name)?).map_err(|why| refused(&why))
}

fn sku(text: String) -> Result<Sku, JsValue> {
    Sku::new(text).map_err(|why| refused(&why))
}

fn skus(list: &Array) -> Result<Vec<Sku>, JsValue> {
    list.iter().map(|value| sku(value.as_string().unwrap_or_default())).collect()
}
