//! From queued orders to shipments: what the module is asked, and how its answer is committed.

use super::{
    App, check,
    guests::AskError,
    release::Release,
    store::{Body, NewShipment, Outcome, Queued, ShipmentRow},
};
use crate::{receipts::Record, sha256};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{
    Error, Line, Millis, Sku,
    allocate::{AllocateRequest, Allocated, AllocatedOrder, Planned, ShopOrder, StockChange},
    exceptions::{Id, State},
    snapshot::Code,
};
use tradewind_json::{Date, Moment, Scan, ShipmentLine, hex};

/// How often a plan is made anew because others took what it takes, before its orders go back to the queue.
const ATTEMPTS: usize = 8;

/// Why orders were not planned.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Order(#[from] Error),
    #[error("the module's plan is not sound: {0}")]
    Unsound(String),
    #[error("others took the stock that was planned with, {ATTEMPTS} times")]
    Contended,
}

/// What is open of an order.
struct Case {
    /// What is still to be planned: without what is packed or has left.
    order: ShopOrder,
    /// Its shipments that may move: nothing of them is packed, or their node is closed.
    movable: Vec<ShipmentRow>,
    /// How many shipments it has had.
    shipments: usize,
}

/// Plans orders on which `lease` is held, together, and commits the plan.
pub(super) async fn plan(app: &App, lease: &str, batch: &[Queued]) -> Result<(), PlanError> {
    for _ in 0..ATTEMPTS {
        let release = app.release();
        let closed = closed(app).await?;
        let cases = cases(app, batch, &closed).await?;
        let request = request(app, &release, &cases, closed).await?;
        let orders = request.orders.clone();
        let (allocated, record) = if orders.is_empty() {
            // All of them are packed or gone: nothing is left to decide.
            (Allocated { orders: Vec::new(), total: Default::default(), bound: Default::default() }, None)
        } else {
            let (answer, record) = app.gate.work(&release, move |client| client.allocate(request)).await?;
            (answer.map_err(AskError::Client)?, record)
        };
        check::plan(&orders, &allocated, &release.snapshot).map_err(PlanError::Unsound)?;
        match commit(app, &release, lease, cases, allocated.orders, record).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(PlanError::Database(error)) if super::store::is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
        metrics::counter!("tradewind_plan_conflicts_total").increment(1);
    }
    Err(PlanError::Contended)
}

/// Nodes that are closed here; those that are in the snapshot, the module knows.
pub(super) async fn closed(app: &App) -> Result<BTreeSet<String>, PlanError> {
    Ok(app.store.nodes().await?.into_iter().filter(|(_, closed)| *closed).map(|(node, _)| node).collect())
}

async fn cases(app: &App, batch: &[Queued], closed: &BTreeSet<String>) -> Result<Vec<Case>, PlanError> {
    let ids: Vec<&str> = batch.iter().map(|queued| queued.order.id.as_str()).collect();
    let mut rows: BTreeMap<String, Vec<ShipmentRow>> = BTreeMap::new();
    for row in app.store.shipments_of(&ids).await? {
        rows.entry(row.order.clone()).or_default().push(row);
    }
    let mut cases = Vec::with_capacity(batch.len());
    for queued in batch {
        let mut order = queued.order.clone().message()?;
        let rows = rows.remove(&queued.order.id).unwrap_or_default();
        let shipments = rows.len();
        let ours = rows.into_iter().filter(|row| row.allocated && row.state != "cancelled");
        let (movable, fixed): (Vec<_>, Vec<_>) =
            ours.partition(|row| row.is_created() || (row.is_at_node() && closed.contains(&row.node)));
        for line in fixed.iter().flat_map(|row| &row.body.lines) {
            for wanted in order.lines.iter_mut().filter(|wanted| wanted.sku.as_str() == line.sku) {
                wanted.quantity = wanted.quantity.saturating_sub(line.quantity);
            }
        }
        order.lines.retain(|line| line.quantity > 0);
        order.max_splits = order.max_splits.saturating_sub(fixed.len() as u16);
        cases.push(Case { order, movable, shipments });
    }
    Ok(cases)
}

async fn request(
    app: &App,
    release: &Release,
    cases: &[Case],
    closed: BTreeSet<String>,
) -> Result<AllocateRequest, PlanError> {
    let orders: Vec<ShopOrder> =
        cases.iter().map(|case| &case.order).filter(|order| !order.lines.is_empty()).cloned().collect();
    let mut held: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut previous = Vec::new();
    for case in cases {
        // What a node held that the snapshot no longer has moves.
        for row in case.movable.iter().filter(|row| known(release, &row.node).is_some()) {
            for line in &row.body.lines {
                *held.entry((line.sku.clone(), row.node.clone())).or_default() += i64::from(line.quantity);
                previous.push(Planned {
                    order: case.order.id.clone(),
                    node: Code::new(row.node.as_str())?,
                    sku: Sku::new(line.sku.as_str())?,
                    quantity: line.quantity,
                });
            }
        }
    }
    let mut policy: tradewind_core::allocate::AllocationPolicy = app.settings.policy.into();
    if !release.has_late {
        // Nothing says how likely a leg is late, so nothing can be charged for it.
        policy.late = Default::default();
    }
    Ok(AllocateRequest {
        snapshot: release.snapshot.root,
        at: app.clock.now(),
        stock: stock(app, release, &orders, &held).await?,
        orders,
        policy,
        closed: closed.iter().filter_map(|node| known(release, node)).collect(),
        previous,
    })
}

/// The code of a node, if the snapshot has it: nothing can be asked about another.
pub(super) fn known(release: &Release, node: &str) -> Option<Code> {
    let code = Code::new(node).ok()?;
    release.fulfilment()?.node(&code).map(|_| code)
}

/// What there is of the products of orders, with what these orders hold themselves.
pub(super) async fn stock(
    app: &App,
    release: &Release,
    orders: &[ShopOrder],
    held: &BTreeMap<(String, String), i64>,
) -> Result<Vec<StockChange>, PlanError> {
    let skus: BTreeSet<String> =
        orders.iter().flat_map(|order| &order.lines).map(|line| line.sku.to_string()).collect();
    let rows = app.store.stock(Some(&skus.into_iter().collect::<Vec<_>>()), None).await?;
    let changes = rows.iter().filter_map(|row| Some((row, known(release, &row.node)?))).map(|(row, node)| {
        let own = held.get(&(row.sku.clone(), row.node.clone())).copied().unwrap_or(0);
        let left = (row.on_hand - row.reserved - row.safety + own).max(0);
        let available = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(StockChange { node, sku: Sku::new(row.sku.as_str())?, available })
    });
    changes.collect()
}

/// Writes a plan: orders, shipments, what is promised, and the record of the decision, all or nothing. `false`
/// where something that it was made from has changed.
async fn commit(
    app: &App,
    release: &Release,
    lease: &str,
    cases: Vec<Case>,
    answers: Vec<AllocatedOrder>,
    record: Option<Record>,
) -> Result<bool, PlanError> {
    let at = app.clock.now();
    let decision = record.map(|record| kept(&record)).transpose()?;
    let mut answers: BTreeMap<Id, AllocatedOrder> =
        answers.into_iter().map(|answer| (answer.id.clone(), answer)).collect();
    let mut tx = app.store.begin().await?;
    let nodes: BTreeSet<&str> =
        answers.values().flat_map(|answer| &answer.shipments).map(|shipment| shipment.node.as_str()).collect();
    if app.store.any_closed(&mut tx, &nodes.into_iter().collect::<Vec<_>>()).await? {
        return Ok(false);
    }
    let mut changes: BTreeMap<(String, String), i64> = BTreeMap::new();
    for case in cases {
        let answer = answers.remove(&case.order.id);
        let (shipments, shortfalls, cost) = match answer {
            Some(answer) => (answer.shipments, answer.shortfalls, Some(answer.cost)),
            None => Default::default(),
        };
        let id = case.order.id.as_str();
        let decision = decision.as_ref().map(|(id, _)| id.as_str());
        let outcome = Outcome { at, decision, shortfalls: &shortfalls, cost };
        if !app.store.decide(&mut tx, lease, id, &outcome).await? {
            // Someone else plans it: the rest of the plan holds without it.
            continue;
        }
        let mut movable = case.movable;
        let mut number = case.shipments;
        for shipment in shipments {
            let same = movable.iter().position(|row| row.node == shipment.node.as_str() && same(row, &shipment.lines));
            if let Some(place) = same {
                let row = movable.swap_remove(place);
                if !app.store.keep_shipment(&mut tx, &row.id).await? {
                    return Ok(false);
                }
                continue;
            }
            for line in &shipment.lines {
                *changes.entry((line.sku.to_string(), shipment.node.to_string())).or_default() +=
                    i64::from(line.quantity);
            }
            let body = Body {
                lines: valued(release, &shipment.lines, at),
                created: Moment(at),
                promised: promised(release, &case.order),
                dispatch: Some(Date(shipment.dispatch)),
                arrival: Some(Date(shipment.arrival)),
                late: Some(f64::from(shipment.late.0) / 10_000.0),
                service: None,
                services: Vec::new(),
            };
            let new = NewShipment {
                id: String::new(),
                order: id.to_owned(),
                node: shipment.node.to_string(),
                region: case.order.region.to_string(),
                body,
                allocated: true,
            };
            add(app, &mut tx, new, &mut number).await?;
        }
        for row in movable {
            if !app.store.cancel_shipment(&mut tx, &row).await? {
                return Ok(false);
            }
            for line in &row.body.lines {
                *changes.entry((line.sku.clone(), row.node.clone())).or_default() -= i64::from(line.quantity);
            }
        }
    }
    if app.store.reserve(&mut tx, &changes).await?.is_err() {
        return Ok(false);
    }
    if let Some((id, record)) = &decision {
        app.store.add_decision(&mut tx, id, at.0, record).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Adds a shipment under the next free name of its order, which it returns.
pub(super) async fn add(
    app: &App,
    tx: &mut super::store::Tx,
    mut shipment: NewShipment,
    number: &mut usize,
) -> sqlx::Result<String> {
    loop {
        *number += 1;
        shipment.id = format!("{}.{number}", shipment.order);
        if app.store.add_shipment(tx, &shipment).await? {
            break;
        }
    }
    let scan = Scan { state: State::Created, at: shipment.body.created, place: shipment.node.clone() };
    app.store.add_scan(tx, &shipment.id, &scan).await?;
    Ok(shipment.id)
}

/// A record, and what it is called.
pub(super) fn kept(record: &Record) -> sqlx::Result<(String, String)> {
    let text = super::store::to_json(record)?;
    Ok((hex(&sha256(text.as_bytes())[..16]), text))
}

/// A record without the bytes that it is of.
pub(super) fn receipt(record: &Record) -> serde_json::Value {
    serde_json::json!({
        "module": record.module, "packs": record.packs, "snapshot": record.snapshot,
        "request": record.request_digest, "reply": record.reply_digest,
    })
}

fn same(row: &ShipmentRow, lines: &[Line]) -> bool {
    let before: BTreeSet<(&str, u32)> = row.body.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
    before == lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect()
}

/// Lines with what they were sold for: the price that is listed now.
pub(super) fn valued(release: &Release, lines: &[Line], at: Millis) -> Vec<ShipmentLine> {
    let storefront = &release.snapshot.storefront;
    let lines = lines.iter().map(|line| {
        let price = storefront.catalog.id(&line.sku).and_then(|id| storefront.prices.get(id.0 as usize));
        let value = price.map_or(0, |price| price.at(at).0) * i64::from(line.quantity);
        ShipmentLine { sku: line.sku.to_string(), quantity: line.quantity, value }
    });
    lines.collect()
}

/// The last second of the day for which an order is promised, where it goes.
fn promised(release: &Release, order: &ShopOrder) -> Moment {
    let region = release.snapshot.storefront.regions.iter().find(|region| region.code == order.region);
    let offset = region.map_or(0, |region| i64::from(region.utc_offset)) * 60_000;
    Moment(Millis((i64::from(order.promised.0) + 1) * Millis::DAY - offset - 1_000))
}
