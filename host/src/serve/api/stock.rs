//! Stock and nodes.

use super::{
    Document,
    body::{Body, Path, Query},
};
use crate::serve::{
    App, act,
    auth::{Caller, Role},
    door, live,
    problem::{Answer, Problem, ProblemSchema},
    store::{Counts, StockRow},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::Day;

/// What a node has of a product, in units.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Stock {
    /// The node.
    node: String,
    /// The product.
    sku: String,
    /// What is there, with what is promised.
    on_hand: i64,
    /// What is promised to orders.
    reserved: i64,
    /// What is kept back.
    safety: i64,
    /// What can be promised: on hand without reserved and safety, never below 0.
    available: i64,
}

impl From<StockRow> for Stock {
    fn from(row: StockRow) -> Self {
        let available = row.available();
        let StockRow { node, sku, on_hand, reserved, safety } = row;
        Self { node, sku, on_hand, reserved, safety, available }
    }
}

/// Which stock.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Of this product only.
    sku: Option<String>,
    /// Of this node only.
    node: Option<String>,
}

/// Shows stock by product and node. For everyone with a key.
#[utoipa::path(get, path = "/v1/stock", tag = "stock", params(Which), responses((status = 200, body = [Stock])))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _caller: Caller,
    Query(which): Query<Which>,
) -> Document<Vec<Stock>> {
    let skus = which.sku.map(|sku| door::sku("sku", &sku).map(|sku| vec![sku.to_string()])).transpose()?;
    which.node.as_deref().map(|node| door::code("node", node)).transpose()?;
    let rows = app.store.stock(skus.as_deref(), which.node.as_deref()).await?;
    Ok(Json(rows.into_iter().map(Stock::from).collect()))
}

/// A count: what is there of a product at a node, with what is promised to orders.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    /// The node.
    node: String,
    /// The product.
    sku: String,
    /// Units.
    on_hand: u32,
    /// Units that are kept back; as before when absent.
    safety: Option<u32>,
}

/// What counts have led to.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Counted {
    /// Rows that were taken over.
    rows: usize,
    /// Orders that are planned again: their units are gone, or what they lacked has come.
    replanned: u64,
}

/// Takes over counts, one after the other.
///
/// Where less is there than is promised, orders are planned again: those that are not packed first, of these the least
/// urgent, of these the last to arrive. Where there is more, orders that lacked the product are. For warehouses.
#[utoipa::path(
    put, path = "/v1/stock", tag = "stock", request_body = [Count],
    responses((status = 200, body = Counted), (status = 422, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn count(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(counts): Body<Vec<Count>>,
) -> Document<Counted> {
    caller.may(&[Role::Warehouse])?;
    let nodes = app.store.nodes().await?;
    for Count { node, sku, .. } in &counts {
        door::sku("sku", sku)?;
        door::code("node", node)?;
        if !nodes.contains_key(node) {
            return Err(Problem::unprocessable(format!("there is no node `{node}`; nothing was counted")));
        }
    }
    let (rows, mut replanned) = (counts.len(), 0);
    for Count { node, sku, on_hand, safety } in counts {
        let counts = Counts { on_hand: i64::from(on_hand), safety: safety.map(i64::from) };
        replanned += act::count(&app, &node, &sku, counts).await?;
    }
    Ok(Json(Counted { rows, replanned }))
}

/// A node.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Node {
    /// Its name.
    code: String,
    /// Whether nothing ships from it.
    closed: bool,
    /// What it has to pack next; null where the snapshot no longer has it.
    workload: Option<Workload>,
}

/// What a node has to pack.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Workload {
    /// The day on which what is decided now leaves it.
    day: Day,
    /// Shipments that it has to pack by then.
    booked: i64,
    /// Shipments that it can pack in a day.
    capacity: i64,
}

/// Lists nodes. For everyone with a key.
#[utoipa::path(get, path = "/v1/nodes", tag = "stock", responses((status = 200, body = [Node])))]
pub(super) async fn nodes(State(app): State<Arc<App>>, _caller: Caller) -> Document<Vec<Node>> {
    let workloads = live::workloads(&app.store, app.store.pool(), &app.release(), app.clock.now()).await?;
    let nodes = app.store.nodes().await?.into_iter().map(|(code, closed)| {
        let workload = workloads.get(&code);
        let workload = workload.map(|&live::Workload { day, booked, capacity }| Workload { day, booked, capacity });
        Node { code, closed, workload }
    });
    Ok(Json(nodes.collect()))
}

/// What a node's closing has led to.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Turned {
    /// The node.
    node: String,
    /// Whether nothing ships from it.
    closed: bool,
    /// Orders that are planned again.
    replanned: u64,
}

async fn turn(app: &App, caller: &Caller, node: String, closed: bool) -> Answer<Json<Turned>> {
    caller.may(&[Role::Warehouse, Role::Operator])?;
    let replanned = act::set_closed(app, &node, closed).await?;
    Ok(Json(Turned { node, closed, replanned }))
}

/// Closes a node: its open orders are planned again, and as little of them moves as can. For warehouses and operators.
#[utoipa::path(
    post, path = "/v1/nodes/{code}/close", tag = "stock", params(("code" = String, Path)),
    responses((status = 200, body = Turned), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn close(State(app): State<Arc<App>>, caller: Caller, Path(code): Path<String>) -> Document<Turned> {
    turn(&app, &caller, code, true).await
}

/// Opens a node again. For warehouses and operators.
#[utoipa::path(
    post, path = "/v1/nodes/{code}/open", tag = "stock", params(("code" = String, Path)),
    responses((status = 200, body = Turned), (status = 404, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn open(State(app): State<Arc<App>>, caller: Caller, Path(code): Path<String>) -> Document<Turned> {
    turn(&app, &caller, code, false).await
}
