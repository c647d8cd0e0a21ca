//! Planning of queued orders: the request to the module, and the commit of its plan.

use super::{
    App, check as sound,
    guests::AskError,
    live::{Held, LiveError, known, live, overbooked},
    release::Release,
    store::{Body, NewShipment, Outcome, ShipmentRow, Taken},
    turns::Turn,
};
use crate::{receipts::Record, sha256};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{
    Code, Error, ErrorKind, Id, Line, Millis, Money,
    allocate::{
        AllocateRequest, Allocated, AllocatedOrder, AllocationPolicy, OrderShortfall, Planned, Reason, ShopOrder,
    },
    snapshot::Live,
};
use tradewind_json::{ShipmentLine, hex};

/// Milliseconds after which a shortfall is planned again without a reason: a net below the wake-ups.
const SWEEP: i64 = 3_600_000;

/// Maximum number of plans if others take the same units first, before the orders go back to the queue.
const ATTEMPTS: usize = 8;

/// Reason why orders were not planned.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("database error: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Order(#[from] Error),
    #[error("the module's plan is invalid: {0}")]
    Unsound(String),
    #[error("stock, nodes or the release changed meanwhile")]
    Changed,
    #[error("other plans took the stock or capacity {ATTEMPTS} times")]
    Contended,
}

impl From<LiveError> for PlanError {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Database(error) => Self::Database(error),
            LiveError::Name(error) => Self::Order(error),
        }
    }
}

impl PlanError {
    /// Whether the orders are at fault, not the service, so that others may succeed.
    pub(super) fn is_of_orders(&self) -> bool {
        match self {
            Self::Ask(error) => error.is_of_request(),
            Self::Database(error) => !super::store::is_away(error),
            Self::Order(_) | Self::Unsound(_) => true,
            Self::Changed | Self::Contended => false,
        }
    }
}

/// Order due for planning.
pub(super) struct Due {
    pub(super) order: ShopOrder,
    /// Number of failures since the last success.
    pub(super) tries: i64,
}

/// Open part of an order.
struct Case {
    /// Version of the order that it was read from.
    version: i64,
    /// Lines still to plan, without packed or shipped ones.
    order: ShopOrder,
    /// Shipments that may move: unpacked, or at a closed node.
    movable: Vec<ShipmentRow>,
    /// Held shipments that a count has cancelled: what is planned in their place is held.
    held: Vec<String>,
    /// Number of shipments so far.
    shipments: usize,
}

/// Claim of orders.
pub(super) struct Claim {
    /// Lease of the orders.
    pub(super) lease: String,
    /// Generation before the claim. After a new generation, more orders, and more urgent ones, may be due. If `None`, a
    /// plan is committed anyway, and its shortfalls stay due.
    pub(super) generation: Option<i64>,
}

/// Plans claimed orders together, and commits the plan in its turn.
pub(super) async fn plan(app: &App, claim: &Claim, batch: &[Due], turn: &mut Turn<'_>) -> Result<(), PlanError> {
    for _ in 0..ATTEMPTS {
        let release = app.release();
        let cases = cases(app, claim, batch).await?;
        if cases.is_empty() {
            return Ok(());
        }
        let request = request(app, &release, &cases).await?;
        let (at, orders) = (request.at, request.orders.clone());
        let (allocated, record) = if orders.is_empty() {
            // All of them are packed or gone, so nothing is left to decide.
            (Allocated { orders: Vec::new(), total: Default::default(), bound: Default::default() }, None)
        } else {
            let (answer, record) = app.gate.work(&release.tradewind, move |client| client.allocate(request)).await?;
            (answer.map_err(AskError::Client)?, record)
        };
        sound::plan(&orders, &allocated, &release.snapshot).map_err(PlanError::Unsound)?;
        turn.commit().await;
        match commit(app, &release, claim, at, cases, allocated.orders, record).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(PlanError::Database(error)) if super::store::is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
        metrics::counter!("tradewind_plan_conflicts_total").increment(1);
    }
    Err(PlanError::Contended)
}

/// Reads the open parts of orders on which the lease is still held.
async fn cases(app: &App, claim: &Claim, batch: &[Due]) -> Result<Vec<Case>, PlanError> {
    let ids: Vec<&str> = batch.iter().map(|due| due.order.id.as_str()).collect();
    // Before everything else: what changes after it gives another version.
    let versions = app.store.versions(app.store.pool(), &claim.lease, &ids).await?;
    // Nodes closed in this service; the module knows those closed in the snapshot.
    let nodes = app.store.nodes().await?;
    let mut rows: BTreeMap<String, Vec<ShipmentRow>> = BTreeMap::new();
    for row in app.store.shipments_of(&ids).await? {
        rows.entry(row.order.clone()).or_default().push(row);
    }
    let mut cases = Vec::with_capacity(batch.len());
    for Due { order, .. } in batch {
        let Some(&version) = versions.get(order.id.as_str()) else { continue };
        let mut order = order.clone();
        let rows = rows.remove(order.id.as_str()).unwrap_or_default();
        let shipments = rows.len();
        let held = rows.iter().filter(|row| row.held && row.state == "cancelled").map(|row| row.id.clone()).collect();
        let ours = rows.into_iter().filter(|row| row.allocated && row.state != "cancelled");
        let (movable, fixed): (Vec<_>, Vec<_>) = ours.partition(|row| {
            row.is_created() || (row.is_at_node() && nodes.get(&row.node).is_some_and(|closed| *closed))
        });
        for line in fixed.iter().flat_map(|row| &row.body.lines) {
            for wanted in order.lines.iter_mut().filter(|wanted| wanted.sku == line.sku) {
                wanted.quantity = wanted.quantity.saturating_sub(line.quantity);
            }
        }
        order.lines.retain(|line| line.quantity > 0);
        order.max_splits = order.max_splits.saturating_sub(fixed.len() as u16);
        cases.push(Case { version, order, movable, held, shipments });
    }
    Ok(cases)
}

async fn request(app: &App, release: &Release, cases: &[Case]) -> Result<AllocateRequest, PlanError> {
    let orders: Vec<ShopOrder> =
        cases.iter().map(|case| &case.order).filter(|order| !order.lines.is_empty()).cloned().collect();
    let mut held = Held::default();
    let mut previous = Vec::new();
    for case in cases {
        // Units at a node missing in the snapshot move.
        for row in case.movable.iter().filter(|row| known(release, &row.node).is_some()) {
            let day = row.body.dispatch;
            *held.shipments.entry((row.node.clone(), day)).or_default() += 1;
            for line in &row.body.lines {
                *held.units.entry((line.sku.to_string(), row.node.clone())).or_default() += i64::from(line.quantity);
                previous.push(Planned {
                    order: case.order.id.clone(),
                    node: Code::new(row.node.as_str())?,
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                });
            }
        }
    }
    asked(app, release, orders, previous, &held).await
}

/// Request to the module about orders, with the current state.
pub(super) async fn asked(
    app: &App,
    release: &Release,
    orders: Vec<ShopOrder>,
    previous: Vec<Planned>,
    held: &Held,
) -> Result<AllocateRequest, PlanError> {
    let at = app.clock.now();
    let skus = orders.iter().flat_map(|order| &order.lines).map(|line| line.sku.as_str()).collect();
    let live = live(app, release, at, &skus, held).await?;
    let policy = policy(app, release);
    Ok(AllocateRequest { snapshot: release.snapshot.root, at, orders, policy, live, previous, late: None })
}

/// Costs for a release.
fn policy(app: &App, release: &Release) -> AllocationPolicy {
    let mut policy: AllocationPolicy = app.settings.policy;
    if !release.has_late {
        // Without a lateness pack, lateness cannot be charged.
        policy.late = Money(0);
    }
    policy
}

/// Checks that an order can be planned with a release, with the module's own checks: now, and at the end of the
/// snapshot's validity with a complete previous plan.
pub(super) fn check(app: &App, release: &Release, order: ShopOrder) -> Result<(), Error> {
    let snapshot = &release.snapshot;
    let worth = valued(release, &order.lines, app.clock.now()).into_iter().find(|line| line.value >= Money::MAX);
    if let Some(line) = worth {
        let message = format!("the value of {} units of `{}` overflows", line.quantity, line.sku);
        return Err(Error::new(ErrorKind::BadRequest, message));
    }
    let node = release.fulfilment().and_then(|fulfilment| fulfilment.nodes.first());
    let previous = order.lines.iter().zip(node.into_iter().cycle()).map(|(line, node)| Planned {
        order: order.id.clone(),
        node: node.code.clone(),
        sku: line.sku.clone(),
        quantity: line.quantity,
    });
    let request = AllocateRequest {
        snapshot: snapshot.root,
        at: Millis(snapshot.storefront.expires.0 - 1),
        previous: previous.collect(),
        orders: vec![order],
        policy: policy(app, release),
        live: Live::default(),
        late: None,
    };
    request.check(snapshot)
}

/// What a plan changes.
#[derive(Default)]
struct Changes {
    outcomes: Vec<Outcome>,
    /// Shipments, each with the number of its order's before it.
    new: Vec<(usize, NewShipment)>,
    kept: Vec<(String, Body)>,
    cancelled: Vec<String>,
    /// Cancelled shipments whose hold passes to others.
    free: Vec<String>,
    taken: Taken,
}

/// Commits a plan: orders, shipments, reservations, and the record of the decision, all or nothing. Returns `false` if
/// its input has changed.
async fn commit(
    app: &App,
    release: &Release,
    claim: &Claim,
    at: Millis,
    cases: Vec<Case>,
    answers: Vec<AllocatedOrder>,
    record: Option<Record>,
) -> Result<bool, PlanError> {
    let decision =
        record.map(|record| Ok::<_, sqlx::Error>((kept(&record)?, receipt(&record).to_string()))).transpose()?;
    let answers: BTreeMap<Id, AllocatedOrder> = answers.into_iter().map(|answer| (answer.id.clone(), answer)).collect();
    let mut tx = app.store.begin().await?;
    let shipments = answers.values().flat_map(|answer| &answer.shipments);
    let nodes: BTreeSet<String> = shipments.map(|shipment| shipment.node.to_string()).collect();
    if app.store.any_closed(&mut tx, &nodes).await? {
        return Ok(false);
    }
    let ids: Vec<&str> = cases.iter().map(|case| case.order.id.as_str()).collect();
    let versions = app.store.lock_leased(&mut tx, &claim.lease, &ids).await?;
    let mut changes = Changes::default();
    for case in &cases {
        match versions.get(case.order.id.as_str()) {
            // Another replica plans it, or it is cancelled: the rest of the plan is valid without it.
            None => {}
            Some(version) if *version == case.version => {
                let again = |short: &[OrderShortfall]| match claim.generation {
                    None => super::store::wall(),
                    Some(_) if short.iter().any(|short| short.reason == Reason::Capacity) => {
                        app.clock.wall(next_day(release, at))
                    }
                    Some(_) => super::store::wall() + SWEEP,
                };
                changes.decide(release, at, case, answers.get(&case.order.id), again);
            }
            Some(_) => return Ok(false),
        }
    }
    let Changes { outcomes, new, kept, cancelled, free, taken } = changes;
    let id = decision.as_ref().map(|((id, _), _)| id.as_str());
    app.store.decide(&mut tx, at, id, &outcomes).await?;
    let [cancelled, free] = [&cancelled, &free].map(|ids| ids.iter().map(String::as_str).collect::<Vec<_>>());
    if !app.store.cancel_shipments(&mut tx, &cancelled).await? || !app.store.set_bodies(&mut tx, &kept).await? {
        return Ok(false);
    }
    app.store.set_held(&mut tx, &free, false).await?;
    app.store.add_own(&mut tx, new).await?;
    if let Some(((id, record), receipt)) = &decision {
        app.store.add_decision(&mut tx, id, at.0, record, receipt).await?;
    }
    // Last, because other plans wait for the same nodes' bookings until this one is committed.
    if app.store.take(&mut tx, &taken).await?.is_err() || overbooked(app, &mut tx, release, at, &taken).await? {
        return Ok(false);
    }
    if let Some(generation) = claim.generation
        && !app.store.is_generation(&mut tx, generation).await?
    {
        return Err(PlanError::Changed);
    }
    tx.commit().await?;
    Ok(true)
}

impl Changes {
    /// Adds the decision about an order: shipments stay that are as before, other movable ones are cancelled.
    fn decide(
        &mut self,
        release: &Release,
        at: Millis,
        case: &Case,
        answer: Option<&AllocatedOrder>,
        again: impl Fn(&[OrderShortfall]) -> i64,
    ) {
        let (shipments, shortfalls) =
            answer.map_or((&[][..], &[][..]), |answer| (&answer.shipments, &answer.shortfalls));
        self.outcomes.push(Outcome {
            order: case.order.id.to_string(),
            shortfalls: shortfalls.to_vec(),
            cost: answer.map(|answer| answer.cost),
            again: again(shortfalls),
        });
        let held = !case.held.is_empty() || case.movable.iter().any(|row| row.held);
        let mut movable: Vec<&ShipmentRow> = case.movable.iter().collect();
        let mut kept = 0;
        for (n, shipment) in shipments.iter().enumerate() {
            let (dispatch, arrival, late) = (Some(shipment.dispatch), Some(shipment.arrival), Some(shipment.late));
            let node = shipment.node.as_str();
            if let Some(place) = movable.iter().position(|row| row.node == node && same(row, &shipment.lines)) {
                kept += 1;
                let row = movable.swap_remove(place);
                self.taken.postpone(row, dispatch);
                self.kept.push((row.id.clone(), Body { dispatch, arrival, late, ..row.body.clone() }));
                continue;
            }
            let body = Body {
                lines: valued(release, &shipment.lines, at),
                created: at,
                promised: promised(release, &case.order),
                dispatch,
                arrival,
                late,
                service: None,
                services: Vec::new(),
            };
            self.taken.take(node, &body.lines, dispatch);
            let new = NewShipment {
                id: String::new(),
                order: case.order.id.to_string(),
                node: node.to_owned(),
                region: case.order.region.to_string(),
                body,
                allocated: true,
                held,
            };
            self.new.push((case.shipments + n, new));
        }
        for row in &movable {
            self.taken.give_back(row);
            self.cancelled.push(row.id.clone());
        }
        if shipments.len() > kept {
            self.free.extend(case.held.iter().cloned());
            self.free.extend(movable.iter().filter(|row| row.held).map(|row| row.id.clone()));
        }
    }
}

/// Record and its id, as stored.
pub(super) fn kept(record: &Record) -> sqlx::Result<(String, String)> {
    let text = super::store::to_json(record)?;
    Ok((hex(&sha256(text.as_bytes())[..16]), text))
}

/// Record without the bytes of request and reply.
pub(super) fn receipt(record: &Record) -> serde_json::Value {
    serde_json::json!({
        "module": record.module, "packs": record.packs, "snapshot": record.snapshot,
        "request": record.request_digest, "reply": record.reply_digest,
    })
}

/// Time when the first node starts packing for another day.
fn next_day(release: &Release, at: Millis) -> Millis {
    let nodes = release.fulfilment().map_or(&[][..], |fulfilment| &fulfilment.nodes);
    let first = nodes.iter().map(|node| node.departure(at).0).min();
    Millis(first.unwrap_or(at.0 + Millis::DAY) + 1)
}

fn same(row: &ShipmentRow, lines: &[Line]) -> bool {
    let before: BTreeSet<(&str, u32)> = row.body.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
    before == lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect()
}

/// Lines with their values at the current listed price.
pub(super) fn valued(release: &Release, lines: &[Line], at: Millis) -> Vec<ShipmentLine> {
    let storefront = &release.snapshot.storefront;
    let lines = lines.iter().map(|line| {
        let price = storefront.catalog.id(&line.sku).and_then(|id| storefront.price(id));
        let value = price.map_or(0, |price| price.at(at).0).saturating_mul(i64::from(line.quantity));
        // The maximum value that can be scored.
        let value = Money(value.min(Money::MAX.0));
        ShipmentLine { sku: line.sku.clone(), quantity: line.quantity, value }
    });
    lines.collect()
}

/// Last second of an order's promised day, at its destination.
fn promised(release: &Release, order: &ShopOrder) -> Millis {
    let region = release.snapshot.storefront.regions.iter().find(|region| region.code == order.region);
    let offset = region.map_or(0, |region| i64::from(region.utc_offset)) * 60_000;
    let last = Millis((i64::from(order.promised.0) + 1) * Millis::DAY - offset - 1_000);
    last.min(Millis::LAST)
}
