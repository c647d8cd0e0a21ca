//! Orders.

use super::{
    Answered,
    body::{Body, Path, Query},
    list::{Page, Part},
    responses::{ForRoles, WithBody},
};
use crate::{
    receipts::Record,
    serve::{
        App, act,
        auth::{Caller, Role},
        door,
        problem::{Answer, Problem},
        store::{OrderRow, OrderState, Readable, ShipmentRow, Submitted},
    },
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
use tradewind_core::{
    Currency, Day, Millis, Probability,
    allocate::{Breakdown, Reason, ShopOrder},
};
use tradewind_json::{Problem as Document, ProblemKind, ShipmentLine};

/// Accepted order.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AcceptedOrder)]
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
    #[schema(value_type = Option<Breakdown>)]
    pub(crate) cost: Option<Value>,
    /// Digests of the inputs and the result of its plan.
    pub(crate) receipt: Option<Receipt>,
    /// Number of failures since planning last succeeded.
    #[schema(minimum = 0)]
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
    /// Reason why its stored data cannot be read or evaluated; it is then on the worklist.
    pub(crate) fault: Option<String>,
}

/// Units that do not ship.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Shortfall {
    /// Product.
    pub(crate) sku: String,
    /// Units.
    #[schema(minimum = 1)]
    pub(crate) quantity: i64,
    /// Reason.
    #[schema(value_type = Reason)]
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

impl From<Readable> for OrderShipment {
    fn from((row, fault): Readable) -> Self {
        let ShipmentRow { id, node, state, held, body, .. } = row;
        let (dispatch, arrival, late, service, lines) =
            (body.dispatch, body.arrival, body.late, body.service, body.lines);
        Self { id, node, state, held, dispatch, arrival, late, service, lines, fault }
    }
}

/// Collects the states and shipments of orders.
pub(crate) async fn statuses(app: &App, rows: Vec<OrderRow>) -> Answer<Vec<OrderStatus>> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let decisions: BTreeSet<&str> = rows.iter().filter_map(|row| row.decision.as_deref()).collect();
    let mut shipments: BTreeMap<String, Vec<OrderShipment>> = BTreeMap::new();
    for shipment in app.store.readable_shipments_of(&ids).await? {
        shipments.entry(shipment.0.order.clone()).or_default().push(shipment.into());
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
    post, path = "/v1/orders", operation_id = "submitOrder", tag = "orders",
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 255,
        description = "1 to 255 characters, different for each order")),
    request_body(content = ShopOrder, example = json!({
        "id": "web-17", "region": "SEA", "promised": "2017-12-09",
        "lines": [{"sku": "1082185", "quantity": 2}, {"sku": "866211", "quantity": 1}],
    })),
    responses(
        (status = 202, body = Taken, description = "the order is accepted, now or before",
            headers(("Location" = String, description = "address of the order's state")),
            links(
                ("state" = (operation_id = "getOrder", parameters(("id" = "$response.body#/id")))),
                ("cancel" = (operation_id = "cancelOrder", parameters(("id" = "$response.body#/id")))),
            )),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "another order has this id"),
        WithBody,
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
    // Keys are separate for each caller, or for each shop: no access key has an empty name.
    let shop = caller.scope.shop();
    let key = shop.map_or_else(|| format!("{} {key}", caller.key), |shop| format!(" {shop} {key}"));
    let taken = Taken { id: order.id.to_string(), href: format!("/v1/orders/{}", order.id) };
    // An order that was taken stays taken, whatever a later snapshot has.
    let submitted = match app.store.submitted(&key, shop, &order).await? {
        Some(submitted) => submitted,
        None => {
            door::order(&app, &order).await?;
            app.store.submit(&key, shop, &order, app.clock.now().0).await?
        }
    };
    match submitted {
        Submitted::New => app.queued.notify_one(),
        Submitted::Again => {}
        Submitted::OtherBody => {
            let detail = "another order was sent with this `Idempotency-Key`; use a new key for each order";
            return Err(Problem::new(ProblemKind::KeyReused, detail));
        }
        Submitted::SameId => {
            return Err(Problem::taken(format!("another order `{}` exists", order.id)));
        }
    }
    metrics::counter!("tradewind_orders_received_total").increment(1);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, taken.href.clone())], Json(taken)))
}

type Orders = Page<OrderStatus>;

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
    #[param(minimum = 0)]
    limit: Option<u16>,
}

/// Lists orders, newest first. For all roles, but not for keys of nodes; a key of a shop gets the shop's.
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "listOrders", tag = "orders", params(Which),
    responses((status = 200, body = Orders, description = "page of orders, with their state"), ForRoles)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Which { state, after, limit }): Query<Which>,
) -> Answered<Orders> {
    caller.may_use_orders()?;
    let part = Part::new(after, limit);
    let rows = app.store.orders(&caller.scope, state, part.key()?, part.rows()).await?;
    let (rows, next) = part.page(rows, |row| row.seq)?.split();
    Ok(Json(Page::new(statuses(&app, rows).await?, next)))
}

/// Shows an order: shipments, units that do not ship with reasons, cost, and receipt. For all roles, but not for keys of
/// nodes.
#[utoipa::path(
    get, path = "/v1/orders/{id}", operation_id = "getOrder", tag = "orders",
    params(("id" = String, Path, description = "name of the order", example = "web-17")),
    responses(
        (status = 200, body = OrderStatus, description = "the order with its state"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown order"),
        ForRoles,
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answered<OrderStatus> {
    caller.may_use_orders()?;
    let unknown = || Problem::not_found("order", &id);
    let row = app.store.order(&id).await?.filter(|row| caller.scope.has(None, row.shop.as_deref()));
    let row = row.ok_or_else(unknown)?;
    Ok(Json(statuses(&app, vec![row]).await?.pop().ok_or_else(unknown)?))
}

/// Cancels an order: shipments that have not left their node are cancelled, packed or not, and their units become
/// available again. Shipments that have left continue; an order whose shipments have all left cannot be cancelled. For
/// shops and operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", operation_id = "cancelOrder", tag = "orders",
    params(("id" = String, Path, description = "name of the order", example = "web-17")),
    responses(
        (status = 204, description = "the order is cancelled"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown order"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "already cancelled, or all shipments have left"),
        ForRoles,
    )
)]
pub(super) async fn cancel(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Shop, Role::Operator])?;
    act::cancel(&app, &caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Retries a dead order. For operators.
#[utoipa::path(
    post, path = "/v1/orders/{id}/retry", operation_id = "retryOrder", tag = "orders",
    params(("id" = String, Path, description = "name of the order", example = "web-17")),
    responses(
        (status = 202, description = "the order is queued again"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "the order is not dead"),
        ForRoles,
    )
)]
pub(super) async fn retry(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[Role::Operator])?;
    act::retry(&app, &caller, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Shows a decision with its receipt, as a line for `tradewind replay`. For operators.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", operation_id = "getDecision", tag = "orders",
    params(("id" = String, Path, description = "name of the decision, from an order's receipt")),
    responses(
        (status = 200, body = Record, description = "the decision, with the bytes of request and reply"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown decision"),
        ForRoles,
    )
)]
pub(super) async fn decision(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answered<Value> {
    caller.may(&[Role::Operator])?;
    caller.may_use_orders()?;
    let record = app.store.decision(&id).await?.ok_or_else(|| Problem::not_found("decision", &id))?;
    serde_json::from_str(&record).map(Json).map_err(|error| Problem::internal(&error))
}
