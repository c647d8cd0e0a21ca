//! Orders.

use super::{
    Document,
    body::{Body, Path, Query},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door,
    problem::{Answer, Problem, ProblemSchema},
    store::{OrderRow, OrderState, ShipmentRow, Submitted},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tradewind_core::{Currency, Day, Millis, Probability, allocate::ShopOrder};
use tradewind_json::ShipmentLine;

/// An order that was taken.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Taken {
    /// Its name.
    id: String,
    /// Where to read what becomes of it.
    href: String,
}

/// An order, and what has become of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrderStatus {
    /// Its name.
    pub(crate) id: String,
    /// The order, as it was sent; null where what is kept of it cannot be read.
    pub(crate) order: Option<ShopOrder>,
    /// What has become of it.
    pub(crate) state: OrderState,
    /// When it was taken.
    pub(crate) received: Millis,
    /// When its plan was made.
    pub(crate) decided: Option<Millis>,
    /// Its shipments, cancelled ones among them.
    pub(crate) shipments: Vec<OrderShipment>,
    /// What does not ship, and why.
    pub(crate) shortfalls: Vec<Shortfall>,
    /// The currency of all amounts.
    pub(crate) currency: Currency,
    /// What its plan costs, by cause, in minor units.
    pub(crate) cost: Option<Value>,
    /// What its plan was made from and is, by digests.
    pub(crate) receipt: Option<Receipt>,
    /// How often planning failed since it last worked.
    pub(crate) tries: i64,
    /// Why planning failed last.
    pub(crate) error: Option<String>,
}

/// A shipment of an order.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrderShipment {
    /// Its name.
    pub(crate) id: String,
    /// The node that sends it.
    pub(crate) node: String,
    /// The last scan, or `cancelled`.
    pub(crate) state: String,
    /// Whether it is held until someone has looked.
    pub(crate) held: bool,
    /// The day it leaves.
    pub(crate) dispatch: Option<Day>,
    /// The day it arrives, if it is not late.
    pub(crate) arrival: Option<Day>,
    /// How probable it is that it is late.
    pub(crate) late: Option<Probability>,
    /// The service that carries it, where it was changed.
    pub(crate) service: Option<String>,
    /// What is in it.
    pub(crate) lines: Vec<ShipmentLine>,
}

/// Units that do not ship.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Shortfall {
    /// The product.
    pub(crate) sku: String,
    /// Units.
    pub(crate) quantity: i64,
    /// Why: `no_stock`, `no_lane`, `excluded`, `incomplete`, `sold_out`, `capacity`, `splits` or `cost`.
    pub(crate) reason: String,
}

/// What a decision was made from, and what it was, by digests.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Receipt {
    /// The decision: `GET /v1/decisions/{id}` has request and reply, for `tradewind replay`.
    #[serde(default)]
    pub(crate) decision: String,
    /// SHA-256 of the module.
    pub(crate) module: String,
    /// The roots of the packs.
    pub(crate) packs: Vec<String>,
    /// The root of the snapshot.
    pub(crate) snapshot: Option<String>,
    /// SHA-256 of the request.
    #[serde(rename(deserialize = "request_digest"))]
    pub(crate) request: String,
    /// SHA-256 of the reply.
    #[serde(rename(deserialize = "reply_digest"))]
    pub(crate) reply: String,
}

impl From<ShipmentRow> for OrderShipment {
    fn from(row: ShipmentRow) -> Self {
        let ShipmentRow { id, node, state, held, body, .. } = row;
        let (dispatch, arrival, late, service, lines) =
            (body.dispatch, body.arrival, body.late, body.service, body.lines);
        Self { id, node, state, held, dispatch, arrival, late, service, lines }
    }
}

/// An order with its shipments.
pub(crate) async fn status(app: &App, row: OrderRow) -> Answer<OrderStatus> {
    let OrderRow { id, order, state, received, decided, tries, cost, decision, error } = row;
    let shipments = app.store.shipments_of(&[&id]).await?;
    let shortfalls = app.store.shortfalls(&id).await?;
    let receipt = match decision {
        None => None,
        Some(decision) => {
            let record = app.store.decision(&decision).await?;
            let receipt = record.and_then(|record| serde_json::from_str::<Receipt>(&record).ok());
            receipt.map(|receipt| Receipt { decision, ..receipt })
        }
    };
    Ok(OrderStatus {
        id,
        order,
        state,
        received: Millis(received),
        decided: decided.map(Millis),
        shipments: shipments.into_iter().map(OrderShipment::from).collect(),
        shortfalls: shortfalls.into_iter().map(|(sku, quantity, reason)| Shortfall { sku, quantity, reason }).collect(),
        currency: app.release().snapshot.storefront.currency,
        cost,
        receipt,
        tries,
        error,
    })
}

/// Takes an order, once: sent again, it gets the same answer.
///
/// It is planned in the background, by priority and then as it arrived; `GET` it at `href`. An order has 1 to 500 lines
/// of different products that the snapshot or a node has, and at most 1,000,000 units; it is promised for a day of the
/// years 2000 to 2100. For shops.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 characters, another for each order")),
    request_body = ShopOrder,
    responses(
        (status = 202, body = Taken),
        (status = 400, body = ProblemSchema, content_type = "application/problem+json", description = "no key, or no JSON"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "the id is another order's"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json", description = "the key is another order's, or the order can never be planned: `detail` names the field and what it takes"),
    )
)]
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Body(order): Body<ShopOrder>,
) -> Answer<(StatusCode, [(header::HeaderName, String); 1], Json<Taken>)> {
    caller.may(&[Role::Shop])?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    if !(1..=255).contains(&key.len()) {
        let detail = "give the header `Idempotency-Key`, 1 to 255 characters, another for each order";
        return Err(Problem::bad(detail));
    }
    // Keys are a caller's own.
    let key = format!("{} {key}", caller.key);
    let taken = Taken { id: order.id.to_string(), href: format!("/v1/orders/{}", order.id) };
    // An order that was taken stays taken, whatever a later snapshot has.
    let submitted = match app.store.submitted(&key, &order).await? {
        Some(submitted) => submitted,
        None => {
            door::order(&app, &order).await?;
            app.store.submit(&key, &order, app.clock.now().0).await?
        }
    };
    match submitted {
        Submitted::New => app.queued.notify_one(),
        Submitted::Again => {}
        Submitted::OtherBody => {
            let detail = "another order was sent with this `Idempotency-Key`; a new order takes a new key";
            return Err(Problem::unprocessable(detail));
        }
        Submitted::SameId => {
            return Err(Problem::conflict(format!("there is another order `{}`", order.id)));
        }
    }
    metrics::counter!("tradewind_orders_received_total").increment(1);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, taken.href.clone())], Json(taken)))
}

/// Which orders.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Of this state only.
    state: Option<OrderState>,
    /// At most so many; 100 when absent, 1,000 at most.
    limit: Option<u16>,
}

/// Lists orders, the last to arrive first. For everyone with a key.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", params(Which), responses((status = 200, body = [OrderStatus])))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(which): Query<Which>,
) -> Document<Vec<OrderStatus>> {
    let limit = i64::from(which.limit.unwrap_or(100).min(1_000));
    let mut orders = Vec::new();
    for row in app.store.orders(which.state, limit).await? {
        orders.push(status(&app, row).await?);
    }
    Ok(Json(orders))
}

/// Shows an order: its shipments, what does not ship and why, what it costs, and the receipt. For everyone with a key.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = OrderStatus), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Document<OrderStatus> {
    let row = app.store.order(&id).await?.ok_or_else(|| Problem::not_found("order", &id))?;
    Ok(Json(status(&app, row).await?))
}

/// Cancels an order: what has not left its node ships no more, packed or not, and can be promised again. What has left
/// goes on; an order of which all has left cannot be cancelled. For shops and operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "cancelled already, or all of it has left"))
)]
pub(super) async fn cancel(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Shop, Role::Operator])?;
    act::cancel(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries a dead order again. For operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/retry", tag = "orders", params(("id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn retry(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::retry(&app, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Gives a decision with its receipt, as a line for `tradewind replay`. For operators.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn decision(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Document<Value> {
    caller.may(&[Role::Operator])?;
    let record = app.store.decision(&id).await?.ok_or_else(|| Problem::not_found("decision", &id))?;
    serde_json::from_str(&record).map(Json).map_err(|error| Problem::internal(&error))
}
