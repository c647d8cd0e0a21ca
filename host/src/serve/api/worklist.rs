//! The worklist.

use super::{
    Document,
    body::{Body, Path, Query},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door,
    problem::{Answer, Problem, ProblemSchema},
    store::{Finding, WorkRow},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tradewind_core::{
    Currency, Millis,
    exceptions::{Action, ExceptionScore},
};

/// Something that people should look at.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Entry {
    /// Its name.
    id: String,
    /// `open`, `acted`, or `resolved` where it went away by itself.
    state: String,
    /// When it was found first.
    found: Millis,
    /// The currency of all amounts.
    currency: Currency,
    /// What is about to go wrong: shipment, kind, probability, severity in minor units, evidence,
    /// and actions, each of which can be sent to `/act` as it stands.
    #[schema(value_type = Object)]
    exception: ExceptionScore,
    /// Why what is known of the shipment cannot be judged, for data faults that `exception` has no evidence of.
    reason: Option<String>,
    /// What was done about it.
    acted: Option<Value>,
    /// What people said of it.
    feedback: Option<Value>,
}

impl Entry {
    /// The entry of a row, whose amounts are of a currency.
    fn new(row: WorkRow, currency: Currency) -> Self {
        let WorkRow { id, state, finding: Finding { score, reason }, found, acted, feedback } = row;
        Self { id, state, found: Millis(found), currency, exception: score, reason, acted, feedback }
    }
}

/// Which entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// `open`, which is meant when absent, `acted` or `resolved`.
    state: Option<String>,
    /// At most so many; 100 when absent, 1,000 at most.
    limit: Option<u16>,
}

/// Lists what is about to go wrong, the dearest first; of equals, what was found first. For everyone with a key.
#[utoipa::path(get, path = "/v1/worklist", tag = "worklist", params(Which), responses((status = 200, body = [Entry])))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(which): Query<Which>,
) -> Document<Vec<Entry>> {
    let state = which.state.as_deref().unwrap_or("open");
    if !["open", "acted", "resolved"].contains(&state) {
        return Err(Problem::bad(format!("`{state}` is no state; there are open, acted and resolved")));
    }
    let rows = app.store.worklist(state, i64::from(which.limit.unwrap_or(100).min(1_000))).await?;
    let currency = app.release().snapshot.storefront.currency;
    Ok(Json(rows.into_iter().map(|row| Entry::new(row, currency)).collect()))
}

/// Carries out one of an entry's actions, sent as it stands, and closes the entry. For operators.
#[utoipa::path(
    post, path = "/v1/worklist/{id}/act", tag = "worklist", params(("id" = String, Path)), request_body = Object,
    responses(
        (status = 200, body = Object, description = "what was done; where a shipment was made, its name"),
        (status = 404, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "it can no longer be done"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json", description = "it is not one of the entry's actions"),
    )
)]
pub(super) async fn act(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(action): Body<Action>,
) -> Document<Value> {
    caller.may(&[Role::Operator])?;
    Ok(Json(act::act(&app, &caller, &id, action).await?))
}

/// What someone says of an entry.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Feedback {
    /// Whether it was worth looking at.
    useful: bool,
    /// Anything else, in at most 2,000 bytes.
    #[serde(default)]
    note: String,
}

/// Says whether an entry was worth looking at. For operators.
#[utoipa::path(
    post, path = "/v1/worklist/{id}/feedback", tag = "worklist", params(("id" = String, Path)), request_body = Feedback,
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(feedback): Body<Feedback>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    door::note("note", &feedback.note)?;
    act::feedback(&app, &caller, &id, feedback.useful, &feedback.note).await?;
    Ok(StatusCode::NO_CONTENT)
}
