//! Offers for search engines and shopping agents: schema.org in JSON-LD.

use crate::shop::Inside;
use serde_json::{Value, json};
use tradewind_core::{SkuId, quote::Quote, snapshot::Region};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(inline_js = "
export const absolute = (url, base) => {
  try {
    return new URL(url, base).href;
  } catch {
    return url;
  }
};
")]
extern "C" {
    /// Resolves an address relative to another.
    fn absolute(url: &str, base: &str) -> String;
}

/// Offer of a product in a region at a price.
pub fn json_ld(shop: &Inside, origin: &str, id: SkuId, region: &Region, quote: &Quote) -> Value {
    let sku = quote.sku.as_str();
    let promise = region.promise(id);
    let mut offer = json!({
        "@context": "https://schema.org",
        "@type": "Offer",
        "sku": sku,
        "price": shop.words.decimal(quote.price),
        "priceCurrency": shop.snapshot.storefront.currency.as_str(),
        "priceValidUntil": quote.valid_until,
        "availability": if promise.is_some() { "https://schema.org/InStock" } else { "https://schema.org/OutOfStock" },
    });
    let mut set = |name: &str, value: Value| offer.as_object_mut().map(|offer| offer.insert(name.into(), value));
    if let Some(product) = shop.products.get(sku) {
        set("name", json!(product.title));
        set("category", json!(product.category));
        // Relative links are relative to a page, but JSON-LD has none.
        set("url", json!(absolute(&product.url, origin)));
    }
    if let Some(promise) = promise {
        let country = shop.config.edge.regions.get(region.code.as_str()).map(|place| &place.country);
        set(
            "shippingDetails",
            json!({
                "@type": "OfferShippingDetails",
                "shippingDestination": { "@type": "DefinedRegion", "addressCountry": country, "name": region.code },
                "deliveryTime": {
                    "@type": "ShippingDeliveryTime",
                    "transitTime": {
                        "@type": "QuantitativeValue",
                        "minValue": promise.min_days,
                        "maxValue": promise.max_days,
                        "unitCode": "DAY",
                    },
                },
            }),
        );
    }
    offer
}
