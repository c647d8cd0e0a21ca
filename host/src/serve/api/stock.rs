//! Stock and nodes.

use super::{
    Answered,
    body::{Body, Path, Query},
    list::{Page, Part},
    responses::{ForRoles, InvalidQuery, WithBody},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door, live,
    problem::{Answer, Problem},
    store::{Counts, StockRow},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::Day;
use tradewind_json::Problem as Document;

/// Stock of a product at a node, in units.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Stock {
    /// Node.
    node: String,
    /// Product.
    sku: String,
    /// Units on hand, including reserved units.
    on_hand: i64,
    /// Units reserved for orders.
    reserved: i64,
    /// Safety stock: units kept back from orders.
    safety: i64,
    /// Units available to promise: on hand minus reserved minus safety stock (at least 0).
    available: i64,
}

impl From<StockRow> for Stock {
    fn from(row: StockRow) -> Self {
        let available = row.available();
        let StockRow { node, sku, on_hand, reserved, safety } = row;
        Self { node, sku, on_hand, reserved, safety, available }
    }
}

type Stocks = Page<Stock>;

/// Filter of stock.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Product of the stock.
    #[param(min_length = 1, max_length = 64)]
    sku: Option<String>,
    /// Node of the stock.
    #[param(pattern = "^[A-Z0-9-]{1,16}$")]
    node: Option<String>,
    /// Cursor of the page before: its `next`.
    after: Option<String>,
    /// Maximum number of rows (default 100, at most 1,000).
    #[param(minimum = 0)]
    limit: Option<u16>,
}

/// Lists stock, by product, then by node. For all roles, but not for keys of a shop; a key of nodes gets theirs.
#[utoipa::path(
    get, path = "/v1/stock", operation_id = "listStock", tag = "stock", params(Which),
    responses((status = 200, body = Stocks, description = "page of stock, by product and node"), ForRoles, InvalidQuery)
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Which { sku, node, after, limit }): Query<Which>,
) -> Answered<Stocks> {
    caller.may_use_stock()?;
    sku.as_deref().map(|sku| door::sku("sku", sku)).transpose()?;
    node.as_deref().map(|node| door::code("node", node)).transpose()?;
    let part = Part::new(after, limit);
    let rows = app.store.stock_list(&caller.scope, sku.as_deref(), node.as_deref(), part.key()?, part.rows()).await?;
    Ok(Json(part.page(rows, |row| (row.sku.clone(), row.node.clone()))?.map(Stock::from)))
}

/// Count of a product at a node, including units reserved for orders.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    /// Node.
    node: String,
    /// Product.
    sku: String,
    /// Units.
    on_hand: u32,
    /// Safety stock in units; unchanged if absent.
    safety: Option<u32>,
}

/// Result of counts.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Counted {
    /// Number of counts applied.
    rows: usize,
    /// Number of orders to plan again, because they lost units, or because units that they lacked arrived.
    replanned: u64,
}

/// Applies counts, one after the other.
///
/// If fewer units are on hand than reserved, orders are planned again: unpacked ones first, of these the lowest
/// priority, of these the newest. If there are more units, orders that lacked the product are planned again. For
/// warehouses.
#[utoipa::path(
    put, path = "/v1/stock", operation_id = "setStock", tag = "stock", 
    request_body(content = [Count], example = json!([{"node": "SEA", "sku": "1082185", "on_hand": 40}])),
    responses(
        (status = 200, body = Counted, description = "the counts are applied"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "units are reserved for shipments unknown to this service"),
        WithBody,
    )
)]
pub(super) async fn count(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(counts): Body<Vec<Count>>,
) -> Answered<Counted> {
    caller.may(&[Role::Warehouse])?;
    let nodes = app.store.nodes().await?;
    for Count { node, sku, .. } in &counts {
        door::sku("sku", sku)?;
        door::code("node", node)?;
        caller.may_change_at(node)?;
        if !nodes.contains_key(node) {
            return Err(Problem::unprocessable(format!("unknown node `{node}`; no counts were applied")));
        }
    }
    let (rows, mut replanned) = (counts.len(), 0);
    for Count { node, sku, on_hand, safety } in counts {
        let counts = Counts { on_hand: i64::from(on_hand), safety: safety.map(i64::from) };
        replanned += act::count(&app, &node, &sku, counts).await?;
    }
    Ok(Json(Counted { rows, replanned }))
}

/// Node.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Node {
    /// Name of the node.
    code: String,
    /// Whether the node is closed: it ships nothing.
    closed: bool,
    /// Next workload; null if the node is not in the snapshot.
    workload: Option<Workload>,
}

/// Workload of a node.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Workload {
    /// Day on which shipments allocated now leave.
    day: Day,
    /// Shipments to pack for that day.
    booked: i64,
    /// Shipments that it can pack in a day.
    capacity: i64,
}

/// Lists nodes. For all roles, but not for keys of a shop; a key of nodes gets these.
#[utoipa::path(
    get, path = "/v1/nodes", operation_id = "listNodes", tag = "stock",
    responses((status = 200, body = [Node], description = "all nodes, or the key's"), ForRoles)
)]
pub(super) async fn nodes(State(app): State<Arc<App>>, caller: Caller) -> Answered<Vec<Node>> {
    caller.may_use_stock()?;
    let workloads = live::workloads(&app.store, app.store.pool(), &app.release(), app.clock.now()).await?;
    let nodes = app.store.nodes().await?.into_iter().filter(|(code, _)| caller.scope.has(Some(code), None));
    let nodes = nodes.map(|(code, closed)| {
        let workload = workloads.get(&code);
        let workload = workload.map(|&live::Workload { day, booked, capacity }| Workload { day, booked, capacity });
        Node { code, closed, workload }
    });
    Ok(Json(nodes.collect()))
}

/// Result of closing or opening a node.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Turned {
    /// Node.
    node: String,
    /// Whether the node is closed: it ships nothing.
    closed: bool,
    /// Number of orders to plan again.
    replanned: u64,
}

async fn turn(app: &App, caller: &Caller, node: String, closed: bool) -> Answer<Json<Turned>> {
    caller.may(&[Role::Warehouse, Role::Operator])?;
    let replanned = act::set_closed(app, caller, &node, closed).await?;
    Ok(Json(Turned { node, closed, replanned }))
}

/// Closes a node: its open orders are planned again with as few changes as possible. For warehouses and operators.
#[utoipa::path(
    post, path = "/v1/nodes/{code}/close", operation_id = "closeNode", tag = "stock",
    params(("code" = String, Path, description = "name of the node", example = "SEA")),
    responses(
        (status = 200, body = Turned, description = "the node is closed"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown node"),
        ForRoles,
    )
)]
pub(super) async fn close(State(app): State<Arc<App>>, caller: Caller, Path(code): Path<String>) -> Answered<Turned> {
    turn(&app, &caller, code, true).await
}

/// Reopens a node. For warehouses and operators.
#[utoipa::path(
    post, path = "/v1/nodes/{code}/open", operation_id = "openNode", tag = "stock",
    params(("code" = String, Path, description = "name of the node", example = "SEA")),
    responses(
        (status = 200, body = Turned, description = "the node is open"),
        (status = 404, body = Document, content_type = "application/problem+json",
            description = "unknown node"),
        ForRoles,
    )
)]
pub(super) async fn open(State(app): State<Arc<App>>, caller: Caller, Path(code): Path<String>) -> Answered<Turned> {
    turn(&app, &caller, code, false).await
}
