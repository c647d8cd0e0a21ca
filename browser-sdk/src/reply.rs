//! Replies of the module, as a page reads them: the JSON of the edge's API.

use crate::value::{number, object};
use js_sys::{Array, Uint8Array};
use tradewind_core::{
    Currency, Millis, Profile,
    quote::{Bound, PriceReason, Quote},
    rank::{RankedItem, Ranking, Reason},
};
use wasm_bindgen::JsValue;

/// `{ items: [{ sku, score, reasons, goes_with }], considered, profile }`
pub fn ranking(ranking: &Ranking) -> JsValue {
    let item = |item: &RankedItem| {
        let goes_with = item.reasons.iter().find_map(|reason| match reason {
            Reason::GoesWith { sku } => Some(sku.as_str()),
            _ => None,
        });
        object([
            ("sku", item.sku.as_str().into()),
            ("score", item.score.into()),
            ("reasons", item.reasons.iter().map(|reason| JsValue::from(reason.to_string())).collect::<Array>().into()),
            ("goes_with", goes_with.map_or(JsValue::NULL, JsValue::from)),
        ])
    };
    object([
        ("items", ranking.items.iter().map(item).collect::<Array>().into()),
        ("considered", ranking.considered.into()),
        ("profile", Uint8Array::from(&postcard::to_allocvec(&ranking.profile).unwrap_or_default()[..]).into()),
    ])
}

/// `{ sku, currency, price, list, lowest_30_days, reasons, valid_until }`: nothing that only the merchant should know.
pub fn quote(quote: &Quote, currency: Currency) -> JsValue {
    object([
        ("sku", quote.product.as_str().into()),
        ("currency", currency.to_string().into()),
        ("price", number(quote.price.0)),
        ("list", number(quote.list.0)),
        ("lowest_30_days", number(quote.lowest_30_days.0)),
        ("reasons", quote.reasons.iter().map(reason).collect::<Array>().into()),
        ("valid_until", number(quote.valid_until.0)),
    ])
}

fn reason(reason: &PriceReason) -> JsValue {
    let plain = match reason {
        PriceReason::Locked => "locked",
        PriceReason::ModelFault => "model_fault",
        PriceReason::Unchanged => "unchanged",
        PriceReason::Lowered => "lowered",
        PriceReason::Raised => "raised",
        PriceReason::StockShort => "stock_short",
        PriceReason::StockLong => "stock_long",
        PriceReason::Held(bound) => {
            let bound = match bound {
                Bound::Floor => "floor",
                Bound::MinimumAdvertised => "minimum_advertised",
                Bound::Ceiling => "ceiling",
                Bound::DayStep => "day_step",
                Bound::WeekStep => "week_step",
                Bound::Range => "range",
            };
            return object([("held", bound.into())]);
        }
    };
    plain.into()
}

/// What is remembered of a shopper, in full but for the decayed sums: `{ orders, items: [{ sku, orders, … }] }`,
/// days as milliseconds since 1970.
pub fn profile(profile: &Profile, at: Millis) -> JsValue {
    let day = |day: tradewind_core::Day| number(i64::from(day.0) * Millis::DAY);
    let items = profile.items().iter().map(|item| {
        object([
            ("sku", item.sku.as_str().into()),
            ("orders", item.orders.into()),
            ("last_bought", if item.orders == 0 { JsValue::NULL } else { day(item.last) }),
            ("attention", item.attention_at(at).into()),
            ("dismissed", item.dismissed.into()),
        ])
    });
    object([("orders", profile.orders.into()), ("items", items.collect::<Array>().into())])
}
