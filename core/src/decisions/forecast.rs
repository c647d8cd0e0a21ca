//! Forecast of demand over the weeks of a snapshot.

use crate::{
    aligned::headroom,
    bounded,
    domain::{
        catalog::Catalog,
        digest::{self, Digest},
        quantiles::Quantiles,
        sku::Sku,
        time::Millis,
    },
    error::{Error, ErrorKind, Result},
    exec::Executor,
    model::demand::{DemandModel, Outlook},
    snapshot::{Forecast, Snapshot, only_public},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Asks for the units of products sold in each of a snapshot's weeks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastRequest {
    /// Demand pack; `None` for the only one loaded.
    pub pack: Option<String>,
    /// Root of the snapshot with sales, prices and promotions.
    #[serde(deserialize_with = "digest::read")]
    pub snapshot: Digest,
    /// Products; the snapshot must have their sales.
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    pub products: Vec<Sku>,
}

/// Units of each week of a snapshot, from its first week.
pub type Weeks = [Quantiles; Forecast::WEEKS];

/// Computes the units of each product and week.
pub(crate) fn forecast(
    snapshot: &Snapshot,
    request: &ForecastRequest,
    model: &DemandModel,
    executor: &mut Executor,
    weights: &[u8],
) -> Result<Vec<Weeks>> {
    snapshot.is(request.snapshot)?;
    let storefront = &snapshot.storefront;
    let Some(pricing) = snapshot.pricing.as_ref().or(storefront.published.as_ref()) else {
        return Err(only_public());
    };
    headroom(request.products.len().saturating_mul(Forecast::WEEKS * 1_024))?;
    let mut outlooks = Vec::with_capacity(request.products.len() * Forecast::WEEKS);
    for sku in &request.products {
        sku.check()?;
        let known = storefront.catalog.id(sku).and_then(|id| Some((pricing.of(id)?, storefront.price(id)?)));
        let Some((inputs, listed)) = known else {
            return Err(Error::new(ErrorKind::BadRequest, format!("the snapshot has no sales of `{sku}`")));
        };
        for week in 0..Forecast::WEEKS {
            let at = Millis(storefront.issued.0 + 7 * Millis::DAY * week as i64);
            let offer = inputs.offer(storefront.issued, at, &listed);
            outlooks.push(Outlook::new(inputs.history, offer, week as u8 + 1)?);
        }
    }
    let name = |row: usize| &request.products[row / Forecast::WEEKS];
    Ok(model.quantiles(&outlooks, name, executor, weights)?.as_chunks().0.to_vec())
}
