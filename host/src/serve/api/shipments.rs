//! Shipments and scans.

use super::{
    Answered,
    body::{Body, Path, Query},
    list::{Page, Part},
    orders::OrderShipment,
    responses::{ForRoles, InvalidQuery, Keyed, WithBody},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door,
    problem::{Answer, Problem},
    store, watch,
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::{
    Currency, Day, Millis,
    tracking::{self, Scan},
};
use tradewind_json::{Problem as Document, Shipment};

/// Shipment with its scans.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ShipmentStatus {
    /// Order that it belongs to.
    order: String,
    /// Region of the destination.
    region: String,
    /// Promised moment of delivery; null if the stored data cannot be read.
    promised: Option<Millis>,
    /// Currency of all amounts.
    currency: Currency,
    /// Shipment.
    #[serde(flatten)]
    shipment: OrderShipment,
    /// Readable scans, oldest first.
    scans: Vec<Scan>,
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
}

/// Adds a shipment that another system has planned, to monitor it. For warehouses.
///
/// Shipments of allocated orders exist already. No stock is reserved for a shipment added here.
#[utoipa::path(
    post, path = "/v1/shipments", operation_id = "addShipment", tag = "shipments",
    request_body(content = Shipment, example = json!({
        "id": "p-1", "order": "elsewhere-1", "node": "SEA", "region": "IAH",
        "lines": [{"sku": "1082185", "quantity": 1, "value": 2599}],
        "created": "2017-12-01T09:00:00Z", "promised": "2017-12-06T09:00:00Z",
    })),
    responses(
        (status = 201, description = "the shipment is monitored"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "another shipment has this id"),
        WithBody,
    )
)]
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(shipment): Body<Shipment>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Warehouse])?;
    caller.may_change_at(shipment.node.as_str())?;
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

type Shipments = Page<ListedShipment>;

/// Filter of shipments.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Node that ships them.
    #[param(pattern = "^[A-Z0-9-]{1,16}$")]
    node: Option<String>,
    /// State of their last scan, or `cancelled`.
    state: Option<String>,
    /// Day on which they leave.
    dispatch: Option<Day>,
    /// Cursor of the page before: its `next`.
    after: Option<String>,
    /// Maximum number of shipments (default 100, at most 1,000).
    #[param(minimum = 0)]
    limit: Option<u16>,
}

/// Lists shipments, by day of dispatch, then by name. For all roles; a limited key gets those of its nodes or shop.
///
/// What a node has to pack are its shipments with the state `created`, overdue ones first.
#[utoipa::path(
    get, path = "/v1/shipments", operation_id = "listShipments", tag = "shipments", params(Which),
    responses((status = 200, body = Shipments, description = "page of shipments"), Keyed, InvalidQuery)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Which { node, state, dispatch, after, limit }): Query<Which>,
) -> Answered<Shipments> {
    node.as_deref().map(|node| door::code("node", node)).transpose()?;
    if let Some(state) = &state
        && state != "cancelled"
        && serde_json::from_value::<tracking::State>(state.as_str().into()).is_err()
    {
        return Err(Problem::bad(format!("unknown state `{state}` (expected a state of scans, or cancelled)")));
    }
    let part = Part::new(after, limit);
    let filter = store::Filter { node, state, dispatch };
    let rows = app.store.shipments(&caller.scope, &filter, part.key()?, part.rows()).await?;
    let page = part.page(rows, |(row, _)| (row.day, row.id.clone()))?;
    Ok(Json(page.map(|shipment| ListedShipment {
        order: shipment.0.order.clone(),
        region: shipment.0.region.clone(),
        shipment: shipment.into(),
    })))
}

/// Shows a shipment with its scans. For all roles.
#[utoipa::path(
    get, path = "/v1/shipments/{id}", operation_id = "getShipment", tag = "shipments",
    params(("id" = String, Path, description = "name of the shipment", example = "p-1")),
    responses(
        (status = 200, body = ShipmentStatus, description = "the shipment with its scans"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown shipment"),
        Keyed,
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<ShipmentStatus> {
    let row = app.store.shipment(&id).await?;
    let row = row.filter(|(row, _)| caller.scope.has(Some(&row.node), row.shop.as_deref()));
    let (row, unreadable) = row.ok_or_else(|| Problem::not_found("shipment", &id))?;
    let (scans, unread): (Vec<_>, Vec<_>) = app.store.scans(&id).await?.into_iter().partition(Result::is_ok);
    let scans: Vec<Scan> = scans.into_iter().flatten().collect();
    let unread = unread.iter().find_map(|scan| scan.as_ref().err()).map(store::unread);
    let promised = unreadable.is_none().then_some(row.body.promised);
    let fault =
        unreadable.or(unread).or_else(|| watch::fault(row.clone(), scans.clone()).map(|error| error.to_string()));
    let (order, region) = (row.order.clone(), row.region.clone());
    let currency = app.release().snapshot.storefront.currency;
    Ok(Json(ShipmentStatus { order, region, promised, currency, shipment: (row, fault).into(), scans }))
}

/// Adds scans, all or none, in any order; known scans are ignored. For warehouses.
///
/// Units that are picked up are no longer on hand or reserved. `place` is 1 to 64 bytes of text, `at` a moment of the
/// years 2000 to 2100; a shipment has at most 1,000 scans.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/scans", operation_id = "addScans", tag = "shipments",
    params(("id" = String, Path, description = "name of the shipment", example = "p-1")), 
    request_body(content = [Scan], example = json!([{"state": "picked_up", "at": "2017-12-01T15:00:00Z", "place": "SEA"}])),
    responses(
        (status = 204, description = "the scans are stored"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown shipment"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "the shipment is cancelled or held"),
        WithBody,
    )
)]
pub(super) async fn scan(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(scans): Body<Vec<Scan>>,
) -> Answer<StatusCode> {
    caller.may(&[Role::Warehouse])?;
    door::scans(&scans)?;
    act::scan(&app, &caller, &id, &scans).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Releases a held shipment. For operators.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/release", operation_id = "releaseShipment", tag = "shipments",
    params(("id" = String, Path, description = "name of the shipment", example = "p-1")),
    responses(
        (status = 204, description = "the shipment is not held"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown shipment"),
        ForRoles,
    )
)]
pub(super) async fn release(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::release(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
