//! Orders.

use super::{
    Document,
    body::{Body, Path, Query},
    list::{Page, Part},
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
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tradewind_core::{Currency, Day, Millis, Probability, allocate::ShopOrder};
use tradewind_json::ShipmentLine;

/// Accepted order.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Taken {
    /// Name of the order.
    id: String,
    /// Address of the order's state.
    href: String,
}

/// Order with its state.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrderStatus {
    /// Name of the order.
    pub(crate) id: String,
    /// Order as it was sent; null if the stored data cannot be read.
    pub(crate) order: Option<ShopOrder>,
    /// State of the order.
    pub(crate) state: OrderState,
    /// Moment at which it was accepted.
    pub(crate) received: Millis,
    /// Moment at which it was planned.
    pub(crate) decided: Option<Millis>,
    /// Shipments, including cancelled ones.
    pub(crate) shipments: Vec<OrderShipment>,
    /// Units that do not ship, with reasons.
    pub(crate) shortfalls: Vec<Shortfall>,
    /// Currency of all amounts.
    pub(crate) currency: Currency,
    /// Cost of its plan, by cause, in minor units.
    pub(crate) cost: Option<Value>,
    /// Digests of the inputs and the result of its plan.
    pub(crate) receipt: Option<Receipt>,
    /// Number of failures since planning last succeeded.
    pub(crate) tries: i64,
    /// Reason for the last failure.
    pub(crate) error: Option<String>,
}

/// Shipment of an order.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OrderShipment {
    /// Name of the shipment.
    pub(crate) id: String,
    /// Node that ships it.
    pub(crate) node: String,
    /// State of the last scan, or `cancelled`.
    pub(crate) state: String,
    /// Whether it is held until an operator releases it.
    pub(crate) held: bool,
    /// Day on which it leaves.
    pub(crate) dispatch: Option<Day>,
    /// Day on which it arrives, if it is not late.
    pub(crate) arrival: Option<Day>,
    /// Probability that it is late.
    pub(crate) late: Option<Probability>,
    /// Service that carries it, if it was changed.
    pub(crate) service: Option<String>,
    /// Products in it.
    pub(crate) lines: Vec<ShipmentLine>,
}

/// Units that do not ship.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Shortfall {
    /// Product.
    pub(crate) sku: String,
    /// Units.
    pub(crate) quantity: i64,
    /// Reason: `no_stock`, `no_lane`, `excluded`, `incomplete`, `sold_out`, `capacity`, `splits` or `cost`.
    pub(crate) reason: String,
}

/// Digests of the inputs and the result of a decision.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Receipt {
    /// Name of the decision: `GET /v1/decisions/{id}` has request and reply, for `tradewind replay`.
    #[serde(default)]
    pub(crate) decision: String,
    /// SHA-256 of the module.
    pub(crate) module: String,
    /// Roots of the packs.
    pub(crate) packs: Vec<String>,
    /// Root of the snapshot.
    pub(crate) snapshot: Option<String>,
    /// SHA-256 of the request.
    pub(crate) request: String,
    /// SHA-256 of the reply.
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

/// Collects the states and shipments of orders.
pub(crate) async fn statuses(app: &App, rows: Vec<OrderRow>) -> Answer<Vec<OrderStatus>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let decisions: BTreeSet<&str> = rows.iter().filter_map(|row| row.decision.as_deref()).collect();
    let mut shipments: BTreeMap<String, Vec<OrderShipment>> = BTreeMap::new();
    for row in app.store.shipments_of(&ids).await? {
        shipments.entry(row.order.clone()).or_default().push(row.into());
    }
    let mut shortfalls: BTreeMap<String, Vec<Shortfall>> = BTreeMap::new();
    for (order, sku, quantity, reason) in app.store.shortfalls(&ids).await? {
        shortfalls.entry(order).or_default().push(Shortfall { sku, quantity, reason });
    }
    let receipts = app.store.receipts(&decisions.into_iter().collect::<Vec<_>>()).await?;
    let receipt = |decision: String| {
        let receipt: Receipt = serde_json::from_str(receipts.get(&decision)?).ok()?;
        Some(Receipt { decision, ..receipt })
    };
    let currency = app.release().snapshot.storefront.currency;
    let status = |row| {
        let OrderRow { id, order, state, received, decided, tries, cost, decision, error, .. } = row;
        OrderStatus {
            shipments: shipments.remove(&id).unwrap_or_default(),
            shortfalls: shortfalls.remove(&id).unwrap_or_default(),
            id,
            order,
            state,
            received: Millis(received),
            decided: decided.map(Millis),
            currency,
            cost,
            receipt: decision.and_then(receipt),
            tries,
            error,
        }
    };
    Ok(rows.into_iter().map(status).collect())
}

/// Accepts an order, once: the same order gets the same response.
///
/// It is planned in the background, in order of priority, then of arrival; `GET` its state at `href`. An order has 1 to
/// 500 lines of different products that the snapshot or a node has, and at most 1,000,000 units; its promised day is in
/// the years 2000 to 2100. For shops.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders",
    params(("Idempotency-Key" = String, Header, description = "1 to 255 characters, different for each order")),
    request_body = ShopOrder,
    responses(
        (status = 202, body = Taken),
        (status = 400, body = ProblemSchema, content_type = "application/problem+json", description = "the key is missing, or the body is not JSON"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "another order has this id"),
        (status = 422, body = ProblemSchema, content_type = "application/problem+json", description = "another order was sent with this key, or the order can never be planned: `detail` names the field and its valid values"),
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
        let detail =
            "the header `Idempotency-Key` is missing or too long: send 1 to 255 characters, different for each order";
        return Err(Problem::bad(detail));
    }
    // Keys are separate for each caller.
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
            let detail = "another order was sent with this `Idempotency-Key`; use a new key for each order";
            return Err(Problem::unprocessable(detail));
        }
        Submitted::SameId => {
            return Err(Problem::conflict(format!("another order `{}` exists", order.id)));
        }
    }
    metrics::counter!("tradewind_orders_received_total").increment(1);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, taken.href.clone())], Json(taken)))
}

/// Filter of orders.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// State of the orders.
    state: Option<OrderState>,
    /// Cursor of the page before: its `next`.
    after: Option<String>,
    /// Maximum number of orders (default 100, at most 1,000).
    limit: Option<u16>,
}

/// Lists orders, newest first. For all roles.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", params(Which), responses((status = 200, body = Page<OrderStatus>)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(Which { state, after, limit }): Query<Which>,
) -> Document<Page<OrderStatus>> {
    let part = Part::new(after, limit);
    let rows = app.store.orders(state, part.key()?, part.rows()).await?;
    let (rows, next) = part.page(rows, |row| row.seq)?.split();
    Ok(Json(Page::new(statuses(&app, rows).await?, next)))
}

/// Shows an order: shipments, units that do not ship with reasons, cost, and receipt. For all roles.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = OrderStatus), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Document<OrderStatus> {
    let unknown = || Problem::not_found("order", &id);
    let row = app.store.order(&id).await?.ok_or_else(unknown)?;
    Ok(Json(statuses(&app, vec![row]).await?.pop().ok_or_else(unknown)?))
}

/// Cancels an order: shipments that have not left their node are cancelled, packed or not, and their units become
/// available again. Shipments that have left continue; an order whose shipments have all left cannot be cancelled. For
/// shops and operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemSchema, content_type = "application/problem+json"),
        (status = 409, body = ProblemSchema, content_type = "application/problem+json", description = "already cancelled, or all shipments have left"))
)]
pub(super) async fn cancel(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Shop, Role::Operator])?;
    act::cancel(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Retries a dead order. For operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/retry", tag = "orders", params(("id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn retry(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::retry(&app, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Shows a decision with its receipt, as a line for `tradewind replay`. For operators.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "orders", params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn decision(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Document<Value> {
    caller.may(&[Role::Operator])?;
    let record = app.store.decision(&id).await?.ok_or_else(|| Problem::not_found("decision", &id))?;
    serde_json::from_str(&record).map(Json).map_err(|error| Problem::internal(&error))
}
