//! Insights.

use super::{Answered, body::Body, responses::WithBody};
use crate::serve::{
    App,
    auth::{Caller, Role},
    guests::AskError,
};
use axum::{Json, extract::State};
use std::sync::Arc;
use tradewind_json::{InsightReply, InsightRequest, Problem as Document};

/// Computes an insight: a model's answer about a shopper, products at nodes, or texts, with reasons. For shops and
/// warehouses; a limited key gets no items of other nodes.
///
/// The request is not stored.
#[utoipa::path(
    post, path = "/v1/insights", operation_id = "askInsight", tag = "insights", 
    request_body(content = InsightRequest, example = json!({
        "pack": "churn", "at": "2017-12-04T00:00:00Z",
        "events": [{"at": "2017-10-02T17:00:00Z", "purchase": {"lines": [{"sku": "1082185", "quantity": 1}]}}],
    })),
    responses(
        (status = 200, body = InsightReply, description = "the insight"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "no insight, or none of that name, is loaded"),
        WithBody,
    )
)]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<InsightRequest>,
) -> Answered<InsightReply> {
    caller.may(&[Role::Shop, Role::Warehouse, Role::Operator])?;
    let id = request.id.clone();
    let request = request.message()?;
    let release = app.release();
    let (insights, _) = app.gate.ask(&release.tradewind, move |client| client.insight(request)).await?;
    let mut reply = InsightReply::new(id, insights.map_err(AskError::Client)?);
    reply.items.retain(|item| item.node.as_ref().is_none_or(|node| caller.scope.has(Some(node.as_str()), None)));
    Ok(Json(reply))
}
