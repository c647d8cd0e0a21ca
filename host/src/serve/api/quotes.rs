//! Verification of prices at checkout.

use super::{Document, body::Body};
use crate::serve::{
    App,
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
    Code, Currency, Millis, Money, Sku,
    guest::checkout::{Claim, Refusal},
    quote::Quote,
};
use tradewind_json::{hex, unhex};

/// Price that a cart claims was quoted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteClaim {
    /// Root of the snapshot from which it was quoted, in hexadecimal.
    snapshot: String,
    /// Moment of the quote.
    at: Millis,
    /// Product.
    sku: Sku,
    /// Region of the order.
    region: Code,
    /// Price, in minor units.
    price: Money,
}

/// Verified price.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Verified {
    /// Quote, computed again.
    #[schema(value_type = Object)]
    quote: Quote,
    /// Currency of its amounts.
    currency: Currency,
    /// Digests of request, reply, module, packs and snapshot.
    #[schema(value_type = Object)]
    receipt: Value,
}

/// Verifies a price at checkout by computing it again from the service's own state. For shops.
///
/// The cart supplies only the claim: stock and costs come from the snapshot, objective and clock from the service. A
/// price from the previous snapshot is accepted until it expires.
#[utoipa::path(
    post, path = "/v1/quotes/verify", tag = "quotes", request_body = QuoteClaim,
    responses(
        (status = 200, body = Verified),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json",
            description = "the price is refused: `differs` has the claimed and the quoted values"),
    )
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(claim): Body<QuoteClaim>,
) -> Document<Verified> {
    caller.may(&[Role::Shop])?;
    let QuoteClaim { snapshot, at, sku, region, price } = claim;
    let root = unhex(&snapshot).ok_or_else(|| Problem::unprocessable("`snapshot` must be 64 hexadecimal digits"))?;
    let claim = Claim { snapshot: root, at, sku: door::sku("sku", sku.as_str())?, price };
    let mut refused = None;
    for release in app.quoting().into_iter().filter(|release| release.snapshot.root == root) {
        match computed(&app, &release, claim.clone(), region.clone()).await {
            Ok(verified) => return Ok(Json(verified)),
            // The current release's reason counts.
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let differs = json!([{"field": "snapshot", "claimed": snapshot, "quoted": hex(&app.release().snapshot.root)}]);
        Problem::conflict("the price is from another snapshot; request a new price").with("differs", differs)
    }))
}

/// Computes a claimed price again with a release.
async fn computed(app: &App, release: &Arc<Release>, claim: Claim, region: Code) -> Answer<Verified> {
    let (objective, now, at) = (app.settings.objective, app.clock.now(), claim.at);
    let (answer, record) =
        app.gate.ask(&release.tradewind, move |client| client.verify_quote(&claim, region, objective, now)).await?;
    let quote = answer.map_err(|refusal| {
        let detail = refusal.to_string();
        let differs = match refusal {
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
