//! Pricing: at what price a product is offered, within what must hold.
//!
//! ```text
//! snapshot + (product, moment, region) → guards → ladder → features → plan → objective → quote
//! ```
//!
//! - the guards ([`PriceGuard`](crate::price_guard::PriceGuard)) leave a window of prices, and retail endings a [`Ladder`] in it;
//! - the model says how many units a week would be sold at each;
//! - the [`Objective`] and the stock choose, and the current price stays unless another is better;
//! - whatever the model says, and also when it fails, the guards hold.
//!
//! Nothing in here knows a shopper: [`QuoteRequest`] has no field that could carry one.

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

/// Request for a price.
///
/// What is not in here or in the snapshot cannot be in the price. There is no text but the names of a
/// product and a region, which the snapshot must have, and of a pack, which must be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// Name of the price pack (default: the only one that is loaded).
    pub pack: Option<String>,
    /// Root of the snapshot.
    #[serde(deserialize_with = "digest::read")]
    pub snapshot: Digest,
    /// Time of the decision.
    pub at: Millis,
    /// SKU of the product.
    pub sku: Sku,
    /// Region in which it is offered.
    pub region: Code,
    /// Goal of the price.
    pub objective: Objective,
}

/// Price of a product. Amounts are in minor units of the snapshot's currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// SKU of the product.
    pub sku: Sku,
    /// Price of a unit.
    pub price: Money,
    /// List price.
    pub list: Money,
    /// Lowest price that the guards allow.
    pub floor: Money,
    /// Highest price that the guards allow, if they limit it.
    pub ceiling: Option<Money>,
    /// Lowest price of the 30 days before this price began: the reference of a reduction in the EU.
    ///
    /// See [`lowest_before`](crate::snapshot::ListedPrice::lowest_before).
    pub lowest_30_days: Money,
    /// Expected units sold in a week at this price; `None` if the model failed.
    pub units: Option<f32>,
    /// Expected earnings of these units above their cost; `None` if cost or units are unknown.
    pub margin: Option<Money>,
    /// Relative change of units for a relative change of the price.
    pub elasticity: Option<f32>,
    /// Reasons for the price.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub reasons: Vec<PriceReason>,
    /// Time until which the price holds: the end of the region's day, or of the snapshot.
    pub valid_until: Millis,
}

/// Units a week that would be sold of a product, offered so, at each of some prices.
pub(crate) type Response<'a> = dyn FnMut(&PriceInputs<'_>, Offer, &[Money]) -> Result<Vec<f32>> + 'a;

/// Answers a request, given how demand responds to prices.
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
    // What is published is computed from that alone, also where more is known: page, edge and warehouse then give the
    // same price to the byte.
    let published = storefront.published.as_ref().filter(|published| published.of(id).is_some());
    let Some(pricing) = published.or(snapshot.pricing.as_ref()).or(storefront.published.as_ref()) else {
        return Err(only_public());
    };
    let Some(inputs) = pricing.of(id) else {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!("the snapshot has nothing that a price of `{sku}` is computed from"),
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
    // A model that fails is no reason to have no price.
    // Nor is a product without sales, of which a model knows nothing.
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
