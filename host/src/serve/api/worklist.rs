//! Worklist: exceptions that await an operator.

use super::{
    Answered,
    body::{Body, Path, Query},
    list::{Page, Part},
    responses::{Keyed, WithBody},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door,
    problem::{Answer, Problem},
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
use tradewind_json::Problem as Document;

/// Exception that needs a person.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WorklistEntry)]
pub(super) struct Entry {
    /// Name of the entry.
    id: String,
    /// `open`, `acted`, or `resolved` if the exception ended without an action.
    state: String,
    /// Moment at which it was first found.
    found: Millis,
    /// Currency of all amounts.
    currency: Currency,
    /// Shipment, kind, probability, severity in minor units, evidence, and actions, each of which can be sent to `/act`
    /// unchanged.
    exception: ExceptionScore,
    /// Reason why the shipment's data cannot be evaluated, for data faults without evidence in `exception`.
    reason: Option<String>,
    /// Action that was taken.
    #[schema(value_type = Option<Acted>)]
    acted: Option<Value>,
    /// Feedback of operators.
    #[schema(value_type = Option<Said>)]
    feedback: Option<Value>,
}

/// Action that was taken.
#[derive(utoipa::ToSchema)]
#[schema(as = ActionTaken)]
#[expect(dead_code, reason = "the schema of what `act::act` stores and returns")]
struct Acted {
    /// Action.
    action: Action,
    /// Name of the operator's key.
    by: String,
    /// Moment of the action.
    at: Millis,
    /// Name of the new shipment, if the action made one.
    shipment: Option<String>,
}

/// Feedback of an operator.
#[derive(utoipa::ToSchema)]
#[schema(as = FeedbackGiven)]
#[expect(dead_code, reason = "the schema of what `act::feedback` stores")]
struct Said {
    /// Whether the entry was worth checking.
    useful: bool,
    /// Comment.
    note: String,
    /// Name of the operator's key.
    by: String,
    /// Moment of the feedback.
    at: Millis,
}

impl Entry {
    /// Creates the entry of a row, with the currency of its amounts.
    fn new(row: WorkRow, currency: Currency) -> Self {
        let WorkRow { id, state, finding: Finding { score, reason }, found, acted, feedback } = row;
        Self { id, state, found: Millis(found), currency, exception: score, reason, acted, feedback }
    }
}

type Entries = Page<Entry>;

/// Filter of entries.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// State of the entries: `open` (default), `acted` or `resolved`.
    state: Option<String>,
    /// Cursor of the page before: its `next`.
    after: Option<String>,
    /// Maximum number of entries (default 100, at most 1,000).
    #[param(minimum = 0)]
    limit: Option<u16>,
}

/// Lists exceptions, the most expensive first, ties oldest first. For all roles; a limited key gets those of its nodes or
/// shop.
#[utoipa::path(
    get, path = "/v1/worklist", operation_id = "listWorklist", tag = "worklist", params(Which),
    responses((status = 200, body = Entries, description = "page of exceptions"), Keyed)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Which { state, after, limit }): Query<Which>,
) -> Answered<Entries> {
    let state = state.as_deref().unwrap_or("open");
    if !["open", "acted", "resolved"].contains(&state) {
        return Err(Problem::bad(format!("unknown state `{state}` (expected open, acted or resolved)")));
    }
    let part = Part::new(after, limit);
    let rows = app.store.worklist(&caller.scope, state, part.key()?.as_ref(), part.rows()).await?;
    let page = part.page(rows, |row| (row.finding.score.severity.0, row.found, row.id.clone()))?;
    let currency = app.release().snapshot.storefront.currency;
    Ok(Json(page.map(|row| Entry::new(row, currency))))
}

/// Carries out one of an entry's actions, sent unchanged, and closes the entry. For operators.
#[utoipa::path(
    post, path = "/v1/worklist/{id}/act", operation_id = "actOnEntry", tag = "worklist",
    params(("id" = String, Path, description = "name of the entry")), request_body = Action,
    responses(
        (status = 200, body = Acted, description = "the action is carried out"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown entry"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "the action is no longer possible"),
        WithBody,
    )
)]
pub(super) async fn act(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(action): Body<Action>,
) -> Answered<Value> {
    caller.may(&[Role::Operator])?;
    Ok(Json(act::act(&app, &caller, &id, &action).await?))
}

/// Feedback on an entry.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Feedback {
    /// Whether it was worth checking.
    useful: bool,
    /// Comment of at most 2,000 bytes.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: String,
}

/// Records whether an entry was worth checking. For operators.
#[utoipa::path(
    post, path = "/v1/worklist/{id}/feedback", operation_id = "sendFeedback", tag = "worklist",
    params(("id" = String, Path, description = "name of the entry")), request_body = Feedback,
    responses(
        (status = 204, description = "the feedback is stored"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown entry"),
        WithBody,
    )
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
