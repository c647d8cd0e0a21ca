//! Verification of prices at checkout.

use super::{Answered, body::Body, responses::WithBody};
use crate::serve::{
    self, App,
    auth::{Caller, Role},
    door,
    guests::AskError,
    plan,
    problem::{Answer, Problem},
    release::Release,
};
use axum::{Json, extract::State};
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
use tradewind_json::{Problem as Document, ProblemKind, hex, unhex};

/// Price that a cart claims was quoted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QuoteClaim {
    /// Root of the snapshot from which it was quoted, in hexadecimal.
    #[schema(pattern = "^[0-9A-Fa-f]{64}$")]
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
#[schema(as = VerifiedQuote)]
pub(super) struct Verified {
    /// Quote, computed again.
    quote: Quote,
    /// Currency of its amounts.
    currency: Currency,
    /// Digests of request, reply, module, packs and snapshot; null if the decision was not recorded.
    #[schema(value_type = Option<Digests>)]
    receipt: Value,
}

/// Digests of the inputs and the result of a decision.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the schema of `plan::receipt`")]
struct Digests {
    /// SHA-256 of the module.
    module: String,
    /// Roots of the packs.
    packs: Vec<String>,
    /// Root of the snapshot.
    snapshot: Option<String>,
    /// SHA-256 of the request.
    request: String,
    /// SHA-256 of the reply.
    reply: String,
}

/// Problem with the fields that differ.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the schema of a problem with `differs`")]
struct PriceRefused {
    #[schema(inline)]
    #[serde(flatten)]
    problem: Document,
    /// Fields that differ.
    differs: Vec<Differs>,
}

/// Field of a claim that differs from the quote.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "the schema of a member of `differs`")]
struct Differs {
    /// `snapshot`, `price` or `at`.
    field: String,
    /// Claimed value.
    claimed: Value,
    /// Quoted value.
    quoted: Option<Value>,
    /// First moment of the quote.
    from: Option<Millis>,
    /// Moment at which the quote expires.
    until: Option<Millis>,
    /// Moment of this response, if the claim is of the future.
    now: Option<Millis>,
}

/// Verifies a price at checkout by computing it again from the service's own state. For shops.
///
/// The cart supplies only the claim: stock and costs come from the snapshot, objective and clock from the service. A
/// price from the previous snapshot is accepted until it expires.
#[utoipa::path(
    post, path = "/v1/quotes/verify", operation_id = "verifyQuote", tag = "quotes", request_body = QuoteClaim,
    responses(
        (status = 200, body = Verified, description = "the price is as quoted"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "no price pack is loaded, so no price can be verified"),
        (status = 409, body = PriceRefused, content_type = "application/problem+json",
            description = "the price is refused: `differs` has the claimed and the quoted values"),
        WithBody,
    )
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(claim): Body<QuoteClaim>,
) -> Answered<Verified> {
    caller.may(&[Role::Shop])?;
    let QuoteClaim { snapshot, at, sku, region, price } = claim;
    let root = unhex(&snapshot).ok_or_else(|| Problem::unprocessable("`snapshot` must be 64 hexadecimal digits"))?;
    let claim = Claim { snapshot: root, at, sku: door::sku("sku", sku.as_str())?, price };
    let mut refused = None;
    for release in serve::quoting(&app, &root).await? {
        match computed(&app, &release, claim.clone(), region.clone()).await {
            Ok(verified) => return Ok(Json(verified)),
            // The current release's reason counts.
            Err(problem) => refused = refused.or(Some(problem)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let differs = json!([{"field": "snapshot", "claimed": snapshot, "quoted": hex(&app.release().snapshot.root)}]);
        Problem::new(ProblemKind::PriceRefused, "the price is from another snapshot; request a new price")
            .with("differs", differs)
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
        Problem::new(ProblemKind::PriceRefused, detail).with("differs", differs)
    })?;
    let currency = release.snapshot.storefront.currency;
    let receipt = record.map_or(Value::Null, |record| plan::receipt(&record));
    Ok(Verified { quote, currency, receipt })
}
