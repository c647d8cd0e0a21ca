//! Prices at checkout.

use super::{Document, body::Body};
use crate::serve::{
    self, App,
    auth::{Caller, Role},
    door,
    guests::AskError,
    plan,
    problem::{Answer, Problem, ProblemSchema},
    release::Release,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tradewind_core::{
    Code, Currency, ErrorKind, Millis, Money, Sku,
    guest::{
        ClientError,
        checkout::{Claim, Refusal},
    },
    quote::Quote,
    snapshot::Storefront,
};
use tradewind_json::{hex, unhex};

/// A price that a cart claims to have been quoted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteClaim {
    /// The root of the snapshot that it was quoted from, in hexadecimal.
    snapshot: String,
    /// When.
    at: Millis,
    /// The product.
    sku: Sku,
    /// The region of the order.
    region: Code,
    /// The price, in minor units.
    price: Money,
}

/// A price that is honoured.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Verified {
    /// The quote, computed again.
    #[schema(value_type = Object)]
    quote: Quote,
    /// The currency of its amounts.
    currency: Currency,
    /// The digests of request and reply, module, packs and snapshot.
    #[schema(value_type = Object)]
    receipt: Value,
}

/// Checks a price at checkout, by computing it again from the service's own state. For shops.
///
/// Nothing is believed of the cart but what it claims: stock and costs are the snapshot's, objective and clock the
/// service's. A price that was quoted from the snapshot before is honoured for as long as it holds.
#[utoipa::path(
    post, path = "/v1/quotes/verify", tag = "quotes", request_body = QuoteClaim,
    responses(
        (status = 200, body = Verified),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json",
            description = "the price is not honoured: `differs` says what was claimed and what was quoted"),
    )
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(claim): Body<QuoteClaim>,
) -> Document<Verified> {
    caller.may(&[Role::Shop])?;
    let QuoteClaim { snapshot, at, sku, region, price } = claim;
    let root = unhex(&snapshot).ok_or_else(|| Problem::unprocessable("`snapshot` takes 64 hexadecimal digits"))?;
    let claim = Claim { snapshot: root, at, sku: door::sku("sku", sku.as_str())?, price };
    let mut refused = None;
    for release in serve::quoting(&app, &root).await? {
        match computed(&app, &release, claim.clone(), region.clone()).await {
            Ok(verified) => return Ok(Json(verified)),
            // What decides now says why.
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let differs = json!([{"field": "snapshot", "claimed": snapshot, "quoted": hex(&app.release().snapshot.root)}]);
        Problem::conflict("the price is from another snapshot; ask for a price again").with("differs", differs)
    }))
}

/// Computes a claimed price again, as a release would have quoted it.
async fn computed(app: &App, release: &Arc<Release>, claim: Claim, region: Code) -> Answer<Verified> {
    let (objective, now, at) = (app.settings.objective, app.clock.now(), claim.at);
    let (answer, record) =
        app.gate.ask(&release.tradewind, move |client| client.verify_quote(&claim, region, objective, now)).await?;
    let quote = answer.map_err(|refusal| {
        let detail = refusal.to_string();
        let differs = match refusal {
            Refusal::Quote(ClientError::Fault(fault)) if fault.kind() == Some(ErrorKind::SnapshotExpired) => {
                let Storefront { issued, expires, .. } = release.snapshot.storefront;
                json!([{"field": "at", "claimed": at, "from": issued, "until": expires}])
            }
            Refusal::Quote(error) => return Problem::from(AskError::Client(error)),
            Refusal::Price { claimed, quoted } => {
                metrics::counter!("tradewind_prices_refused_total").increment(1);
                json!([{"field": "price", "claimed": claimed.0, "quoted": quoted.0}])
            }
            Refusal::Expired(until) => json!([{"field": "at", "claimed": at, "until": until}]),
            Refusal::NotYet => json!([{"field": "at", "claimed": at, "now": now}]),
        };
        Problem::new(StatusCode::CONFLICT, detail).with("differs", differs)
    })?;
    let currency = release.snapshot.storefront.currency;
    let receipt = record.map_or(Value::Null, |record| plan::receipt(&record));
    Ok(Verified { quote, currency, receipt })
}
