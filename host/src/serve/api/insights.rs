//! Insights.

use super::{Document, body::Body};
use crate::serve::{
    App,
    auth::{Caller, Role},
    guests::AskError,
    problem::{Problem, ProblemSchema},
};
use axum::{Json, extract::State, http::StatusCode};
use std::sync::Arc;
use tradewind_core::{ErrorKind, guest::ClientError};
use tradewind_json::{InsightReply, InsightRequest};

/// Computes an insight: a model's answer about a shopper, products at nodes, or texts, with reasons. For shops and
/// warehouses.
///
/// The request is not stored.
#[utoipa::path(
    post, path = "/v1/insights", tag = "insights", request_body = InsightRequest,
    responses(
        (status = 200, body = InsightReply),
        (status = 404, body = ProblemSchema, content_type = "application/problem+json",
            description = "no insight of that name is loaded"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json",
            description = "the request has fields that the insight's rows do not use"),
    )
)]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<InsightRequest>,
) -> Document<InsightReply> {
    caller.may(&[Role::Shop, Role::Warehouse, Role::Operator])?;
    let id = request.id.clone();
    let (named, request) = (request.pack.is_some(), request.message()?);
    let release = app.release();
    let (insights, _) = app.gate.ask(&release.tradewind, move |client| client.insight(request)).await?;
    match insights {
        Ok(insights) => Ok(Json(InsightReply::new(id, insights))),
        // Another name may succeed.
        Err(ClientError::Fault(fault)) if named && fault.kind() == Some(ErrorKind::UnknownPack) => {
            Err(Problem::new(StatusCode::NOT_FOUND, fault.message))
        }
        Err(error) => Err(AskError::Client(error).into()),
    }
}
