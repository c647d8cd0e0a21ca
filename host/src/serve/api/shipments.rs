//! Shipments and scans.

use super::{
    Document,
    body::{self, Body},
    orders::OrderShipment,
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    problem::{Answer, Problem, ProblemSchema},
    store, watch,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use std::sync::Arc;
use tradewind_json::{Moment, Scan, Shipment};

/// A shipment, and what happened to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShipmentStatus {
    /// The order that it is of.
    order: String,
    /// Where it goes.
    region: String,
    /// Until when it is promised.
    promised: Moment,
    /// The shipment.
    #[serde(flatten)]
    shipment: OrderShipment,
    /// What happened to it, the first first.
    scans: Vec<Scan>,
}

/// Takes a shipment that another system has planned, to watch it. For warehouses.
///
/// Shipments of allocated orders are there already. Nothing is promised from stock for one that is sent here.
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
    body::name("the shipment", &shipment.id)?;
    let message = shipment.clone().message()?;
    // What the module would refuse later, it refuses now.
    watch::ask(&app, vec![message]).await.map_err(|error| match error {
        watch::WatchError::Ask(error) => error.into(),
        error => Problem::internal(&error),
    })?;
    let Shipment { id, order, node, region, lines, created, promised, scans, services } = shipment;
    let body =
        store::Body { lines, created, promised, dispatch: None, arrival: None, late: None, service: None, services };
    let new = store::NewShipment { id: id.clone(), order, node, region, body, allocated: false, held: false };
    let mut tx = app.store.begin().await?;
    if !app.store.add_shipment(&mut tx, &new).await? {
        return Err(Problem::conflict(format!("there is a shipment `{id}` already")));
    }
    tx.commit().await?;
    for scan in scans {
        act::scan(&app, &id, &scan).await?;
    }
    app.moved.notify_one();
    Ok(StatusCode::CREATED)
}

/// Shows a shipment with its scans. For everyone with a key.
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
    let scans = app.store.scans(&id).await?;
    let (order, region, promised) = (row.order.clone(), row.region.clone(), row.body.promised);
    Ok(Json(ShipmentStatus { order, region, promised, shipment: row.into(), scans }))
}

/// Takes scans in, in any order; one that is known changes nothing. For warehouses.
///
/// What was picked up is no longer there, and no longer promised.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/scans", tag = "shipments", params(("id" = String, Path)), request_body = [Scan],
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "cancelled or held"))
)]
pub(super) async fn scan(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(scans): Body<Vec<Scan>>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Warehouse])?;
    for scan in &scans {
        act::scan(&app, &id, scan).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a shipment that is held go on. For operators.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/release", tag = "shipments", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn release(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::release(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
