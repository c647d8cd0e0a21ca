//! Shipments and scans.

use super::{
    Document,
    body::{Body, Path, Query},
    list::{Page, Part},
    orders::OrderShipment,
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door,
    problem::{Answer, Problem, ProblemSchema},
    store, watch,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::{
    Currency, Day, Millis,
    tracking::{self, Scan},
};
use tradewind_json::Shipment;

/// Shipment with its scans.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShipmentStatus {
    /// Order that it belongs to.
    order: String,
    /// Region of the destination.
    region: String,
    /// Promised moment of delivery.
    promised: Millis,
    /// Currency of all amounts.
    currency: Currency,
    /// Shipment.
    #[serde(flatten)]
    shipment: OrderShipment,
    /// Readable scans, oldest first.
    scans: Vec<Scan>,
    /// Reason why its stored data cannot be evaluated; it is then on the worklist.
    fault: Option<String>,
}

/// Shipment in a list.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ListedShipment {
    /// Order that it belongs to.
    order: String,
    /// Region of the destination.
    region: String,
    /// Shipment.
    #[serde(flatten)]
    shipment: OrderShipment,
    /// Reason why its stored data cannot be read; it then has no lines here, and is on the worklist.
    fault: Option<String>,
}

/// Adds a shipment that another system has planned, to monitor it. For warehouses.
///
/// Shipments of allocated orders exist already. No stock is reserved for a shipment added here.
#[utoipa::path(
    post, path = "/v1/shipments", tag = "shipments", request_body = Shipment,
    responses((status = 201), (status = 409, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(shipment): Body<Shipment>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Warehouse])?;
    door::shipment(&app, &shipment).await?;
    let [id, order, node, region] =
        [&shipment.id, &shipment.order, &shipment.node, &shipment.region].map(ToString::to_string);
    let Shipment { lines, created, promised, scans, services, .. } = shipment;
    let body =
        store::Body { lines, created, promised, dispatch: None, arrival: None, late: None, service: None, services };
    let new = store::NewShipment { id, order, node, region, body, allocated: false, held: false };
    act::add_shipment(&app, &new, &scans).await?;
    Ok(StatusCode::CREATED)
}

/// Filter of shipments.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Node that ships them.
    node: Option<String>,
    /// State of their last scan, or `cancelled`.
    state: Option<String>,
    /// Day on which they leave.
    dispatch: Option<Day>,
    /// Cursor of the page before: its `next`.
    after: Option<String>,
    /// Maximum number of shipments (default 100, at most 1,000).
    limit: Option<u16>,
}

/// Lists shipments, by day of dispatch, then by name. For all roles.
///
/// What a node has to pack are its shipments with the state `created`, overdue ones first.
#[utoipa::path(
    get, path = "/v1/shipments", tag = "shipments", params(Which), responses((status = 200, body = Page<ListedShipment>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(Which { node, state, dispatch, after, limit }): Query<Which>,
) -> Document<Page<ListedShipment>> {
    node.as_deref().map(|node| door::code("node", node)).transpose()?;
    if let Some(state) = &state
        && state != "cancelled"
        && serde_json::from_value::<tracking::State>(state.as_str().into()).is_err()
    {
        return Err(Problem::bad(format!("unknown state `{state}` (expected a state of scans, or cancelled)")));
    }
    let part = Part::new(after, limit);
    let rows = app.store.shipments(&store::Filter { node, state, dispatch }, part.key()?, part.rows()).await?;
    let page = part.page(rows, |(row, _)| (row.body.dispatch_day(), row.id.clone()))?;
    Ok(Json(page.map(|(row, fault)| ListedShipment {
        order: row.order.clone(),
        region: row.region.clone(),
        shipment: row.into(),
        fault,
    })))
}

/// Shows a shipment with its scans. For all roles.
#[utoipa::path(
    get, path = "/v1/shipments/{id}", tag = "shipments", params(("id" = String, Path)),
    responses((status = 200, body = ShipmentStatus), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Document<ShipmentStatus> {
    let row = app.store.shipment(&id).await?.ok_or_else(|| Problem::not_found("shipment", &id))?;
    let (scans, unread): (Vec<_>, Vec<_>) = app.store.scans(&id).await?.into_iter().partition(Result::is_ok);
    let scans: Vec<Scan> = scans.into_iter().flatten().collect();
    let unread = unread.iter().find_map(|scan| scan.as_ref().err()).map(store::unread);
    let fault = unread.or_else(|| watch::fault(row.clone(), scans.clone()).map(|error| error.to_string()));
    let (order, region, promised) = (row.order.clone(), row.region.clone(), row.body.promised);
    let currency = app.release().snapshot.storefront.currency;
    Ok(Json(ShipmentStatus { order, region, promised, currency, shipment: row.into(), scans, fault }))
}

/// Adds scans, all or none, in any order; known scans are ignored. For warehouses.
///
/// Units that are picked up are no longer on hand or reserved. `place` is 1 to 64 bytes of text, `at` a moment of the
/// years 2000 to 2100; a shipment has at most 1,000 scans.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/scans", tag = "shipments", params(("id" = String, Path)), request_body = [Scan],
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "cancelled or held"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json", description = "invalid scan"))
)]
pub(super) async fn scan(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(scans): Body<Vec<Scan>>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Warehouse])?;
    door::scans(&scans)?;
    act::scan(&app, &id, &scans).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Releases a held shipment. For operators.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/release", tag = "shipments", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn release(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::release(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
