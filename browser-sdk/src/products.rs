//! What everyone may know of a product: its listed price, and when it can be delivered.

use crate::value::{number, object};
use tradewind_core::{
    Millis, Sku,
    snapshot::{Region, Storefront},
};
use wasm_bindgen::JsValue;

/// `{ sku, currency, price, list, lowest_30_days, delivery: { min_days, max_days, from, to } | null }` at a moment, and in a region where
/// one is named; `null` for a product that the snapshot does not have.
pub fn listed(storefront: &Storefront, sku: &str, region: Option<&Region>, at: Millis) -> JsValue {
    let Some(id) = Sku::new(sku).ok().and_then(|sku| storefront.catalog.id(&sku)) else { return JsValue::NULL };
    let Some(price) = storefront.prices.get(id.0 as usize) else { return JsValue::NULL };
    let delivery = region.and_then(|region| {
        let promise = region.promise(id)?;
        let today = Millis(at.0 + i64::from(region.utc_offset) * 60_000).day();
        let date = |days: u8| number((i64::from(today.0) + i64::from(days)) * Millis::DAY);
        Some(object([
            ("min_days", promise.min_days.into()),
            ("max_days", promise.max_days.into()),
            ("from", date(promise.min_days)),
            ("to", date(promise.max_days)),
        ]))
    });
    object([
        ("sku", sku.into()),
        ("currency", storefront.currency.to_string().into()),
        ("price", number(price.at(at).0)),
        ("list", number(price.list.0)),
        ("lowest_30_days", number(price.lowest(at).0)),
        ("delivery", delivery.unwrap_or(JsValue::NULL)),
    ])
}
