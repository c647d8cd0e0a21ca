//! Pricing: the price at which a product is offered, within the price guards.
//!
//! ```text
//! snapshot + (product, moment, region) → guards → ladder → features → plan → objective → quote
//! ```
//!
//! - the guards ([`PriceGuard`](crate::price_guard::PriceGuard)) define a range of prices, and retail endings a
//!   [`Ladder`] in it;
//! - the model predicts the weekly units at each price of the ladder;
//! - the [`Objective`] and the stock select one, and the current price stays unless another is better;
//! - the guards hold for any output of the model, and also if it fails.
//!
//! Prices do not depend on the shopper: [`QuoteRequest`] has no field for personal data.

mod search;

pub use search::{Choice, Ladder, Objective, PriceReason, Terms};

use crate::{
    bounded,
    domain::{
        digest::{self, Digest},
        money::Money,
        name::Code,
        offer::Offer,
        price_guard::Floor,
        sku::Sku,
        time::Millis,
    },
    error::{Error, ErrorKind, Result},
    snapshot::{PriceInputs, Snapshot, only_public, start_of_day},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Asks for the price of a product.
///
/// The price depends only on this request and the snapshot. Its only texts are the names of a product and a region,
/// which must be in the snapshot, and of a pack, which must be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// Price pack; `None` for the only one loaded.
    pub pack: Option<String>,
    /// Root of the snapshot from which the price is computed.
    #[serde(deserialize_with = "digest::read")]
    pub snapshot: Digest,
    /// Moment of the decision.
    pub at: Millis,
    /// Product.
    pub sku: Sku,
    /// Region in which it is offered.
    pub region: Code,
    /// Objective of the price.
    pub objective: Objective,
}

/// Answer to a [`QuoteRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(
    feature = "openapi",
    schema(description = "Price of a product, with its limits, expected effect and reasons.")
)]
pub struct Quote {
    /// Product.
    pub sku: Sku,
    /// Price.
    pub price: Money,
    /// List price.
    pub list: Money,
    /// Lowest price that the guards allow.
    pub floor: Money,
    /// Highest price that the guards allow, if they define one.
    pub ceiling: Option<Money>,
    /// Lowest price of the 30 days before this price began.
    pub lowest_30_days: Money,
    /// Expected units sold in a week at this price; `None` if the model failed.
    pub units: Option<f32>,
    /// Expected margin of these units; `None` if cost or units are unknown.
    pub margin: Option<Money>,
    /// Relative change of units for a relative change of price.
    pub elasticity: Option<f32>,
    /// Reasons for the price.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub reasons: Vec<PriceReason>,
    /// Moment at which the price expires: the end of the region's day, or of the snapshot.
    pub valid_until: Millis,
}

/// Computes the weekly units of a product at each price, for an offer.
pub(crate) type Response<'a> = dyn FnMut(&PriceInputs<'_>, Offer, &[Money]) -> Result<Vec<f32>> + 'a;

/// Answers a request, with a function for the response of demand to prices.
pub(crate) fn quote(snapshot: &Snapshot, request: &QuoteRequest, respond: &mut Response<'_>) -> Result<Quote> {
    let QuoteRequest { at, sku, .. } = request;
    snapshot.is(request.snapshot)?;
    snapshot.holds(*at)?;
    request.objective.check()?;
    sku.check()?;
    let storefront = &snapshot.storefront;
    let region = snapshot.region(&request.region)?;
    let Some((id, listed)) = storefront.catalog.id(sku).and_then(|id| Some((id, storefront.price(id)?))) else {
        return Err(Error::new(ErrorKind::BadRequest, format!("the snapshot has no product `{sku}`")));
    };
    // A product with published inputs is priced from these alone, even if more is known, so that page, edge and
    // warehouse give identical prices.
    let published = storefront.published.as_ref().filter(|published| published.of(id).is_some());
    let Some(pricing) = published.or(snapshot.pricing.as_ref()).or(storefront.published.as_ref()) else {
        return Err(only_public());
    };
    let Some(inputs) = pricing.of(id) else {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!("the snapshot has no inputs for a price of `{sku}`; a full one may"),
        ));
    };
    let guard = &inputs.guard;
    let offset = storefront.regions.get(region).map_or(0, |region| region.utc_offset);
    let terms = Terms {
        guard,
        locked: guard.locked_until.is_some_and(|until| *at < until),
        rounding: &pricing.rounding,
        past: listed.past(*at, offset),
        objective: request.objective,
        stock: if published.is_some() { None } else { snapshot.available(id, region) },
        cover: pricing.cover,
    };
    let ladder = terms.ladder();
    // A product is priced even if the model fails, or if the product has no sales for the model.
    let known = !inputs.history.is_empty();
    let offer = inputs.offer(storefront.issued, *at, &listed);
    let units = if known { respond(&inputs, offer, &ladder.prices).ok() } else { None };
    let Choice { price, units, elasticity, reasons } = terms.choose(&ladder, units.as_deref());
    let margin = match guard.floor {
        Floor::Price(_) => None,
        Floor::Margin { cost, .. } => {
            units.and_then(|units| Money::nearest(f64::from(units) * (price.0 - cost.0) as f64))
        }
    };
    let midnight = Millis(start_of_day(*at, offset).0 + Millis::DAY);
    Ok(Quote {
        sku: sku.clone(),
        price,
        list: listed.list,
        floor: guard.floor.price(),
        ceiling: guard.ceiling,
        lowest_30_days: listed.lowest_before(price, *at),
        units,
        margin,
        elasticity,
        reasons,
        valid_until: midnight.min(storefront.expires),
    })
}
