//! Actions on orders and shipments, each in one transaction. One that changes an order or its shipments first locks the
//! order and increments its version ([`Store::change`](super::store::Store::change)), so that no plan from an earlier
//! state is committed after it.

use super::{
    App,
    auth::Caller,
    check,
    guests::AskError,
    live::{Held, overbooked},
    plan::{self, PlanError},
    problem::{Answer, Problem},
    release::Release,
    store::{Body, Conflict, Counts, NewShipment, OrderState, Scope, ShipmentRow, Taken, Tx, name_of},
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};
use tradewind_core::{
    Code, Day, Id, Line, Millis, Probability,
    allocate::ShopOrder,
    exceptions::{Action, Shipment, Step},
    guest::ClientError,
    tracking::{Scan, State},
};
use tradewind_json::ShipmentLine;

/// Maximum number of transactions of an action, because the database aborts one of two that wait for each other, or
/// because the state changed between reading and locking.
const ATTEMPTS: usize = 8;

/// Runs a transaction again for as long as it is aborted.
async fn attempts<'a, T>(mut transaction: impl FnMut() -> BoxFuture<'a, Answer<T>>) -> Answer<T> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match transaction().await {
            Err(problem) if problem.is_aborted() && left > 0 => {}
            done => return done,
        }
    }
}

/// Carries out an action of a worklist entry, and closes the entry.
pub(super) async fn act(app: &App, caller: &Caller, work: &str, action: &Action) -> Answer<Value> {
    let done = attempts(|| {
        Box::pin(async move {
            let entry = app.store.work(work).await?.ok_or_else(|| Problem::not_found("entry of the worklist", work))?;
            if entry.state != "open" {
                return Err(Problem::conflict(format!("`{work}` is {}; only open entries have actions", entry.state)));
            }
            may_change(app, caller, entry.finding.score.shipment.as_str()).await?;
            let offered = &entry.finding.score.actions;
            if !offered.contains(action) {
                let detail = "the entry does not offer this action any more; load it again";
                return Err(Problem::unprocessable(detail).with("actions", json!(offered)));
            }
            let mut done = json!({"action": action, "by": caller.key, "at": app.clock.now()});
            let id = action.shipment.as_str();
            let planned = match &action.step {
                Step::Reroute { to, .. } => {
                    caller.may_change_at(to.as_str())?;
                    Some(reroute(app, id, to).await?)
                }
                _ => None,
            };
            let mut tx = app.store.begin().await?;
            if let Some(planned) = planned {
                let to = planned.node.to_string();
                if app.store.any_closed(&mut tx, &BTreeSet::from([to.clone()])).await? {
                    return Err(Problem::conflict(format!("{to} is closed")));
                }
                let (row, version) = lock(app, &mut tx, id).await?;
                if version != planned.version {
                    return Err(Problem::aborted(format!(
                        "the order of `{id}` has changed meanwhile; load the entry again"
                    )));
                }
                done["shipment"] = json!(moved(app, &mut tx, row, planned).await?);
            } else {
                let (row, _) = lock(app, &mut tx, id).await?;
                match &action.step {
                    Step::Split { later, .. } => done["shipment"] = json!(split(app, &mut tx, row, later).await?),
                    Step::Upgrade { service, .. } => {
                        let body = Body { service: Some(service.to_string()), ..row.body };
                        if !app.store.set_bodies(&mut tx, &[(row.id, body)]).await? {
                            return Err(Problem::conflict(format!("`{id}` is closed")));
                        }
                    }
                    Step::Hold if !row.open => return Err(Problem::conflict(format!("`{id}` is closed"))),
                    Step::Hold => app.store.set_held(&mut tx, &[id], true).await?,
                    // The shop notifies customers; it reads the acted entries.
                    Step::Notify { .. } | Step::Reroute { .. } => {}
                }
            }
            if !app.store.act(&mut tx, work, &done).await? {
                return Err(Problem::conflict(format!("someone else acted on `{work}`")));
            }
            tx.commit().await?;
            Ok(done)
        })
    })
    .await?;
    app.moved.notify_one();
    Ok(done)
}

/// Locks a shipment and its order until the transaction ends; returns the shipment, and the order's version before.
async fn lock(app: &App, tx: &mut Tx, id: &str) -> Answer<(ShipmentRow, Option<i64>)> {
    let unknown = || Problem::not_found("shipment", id);
    // A shipment never changes its order.
    let order = app.store.order_of(&mut *tx, id).await?.ok_or_else(unknown)?;
    let version = app.store.change(tx, &order).await?;
    Ok((app.store.lock_shipment(tx, id).await?.ok_or_else(unknown)?, version))
}

/// Checks that a caller may change a shipment, which never moves to another node.
async fn may_change(app: &App, caller: &Caller, shipment: &str) -> Answer<()> {
    if caller.scope == Scope::All {
        return Ok(());
    }
    let node = app.store.node_of(shipment).await?.ok_or_else(|| Problem::not_found("shipment", shipment))?;
    caller.may_change_at(&node)
}

/// Stores feedback on an entry.
pub(super) async fn feedback(app: &App, caller: &Caller, work: &str, useful: bool, note: &str) -> Answer<()> {
    if caller.scope != Scope::All {
        let entry = app.store.work(work).await?.ok_or_else(|| Problem::not_found("entry of the worklist", work))?;
        may_change(app, caller, entry.finding.score.shipment.as_str()).await?;
    }
    let said = json!({"useful": useful, "note": note, "by": caller.key, "at": app.clock.now()});
    if !app.store.set_feedback(work, &said).await? {
        return Err(Problem::not_found("entry of the worklist", work));
    }
    Ok(())
}

/// New allocation of a shipment at another node.
struct Rerouted {
    /// Version of the order that it was computed from.
    version: Option<i64>,
    /// Release that decided, and when.
    release: Arc<Release>,
    at: Millis,
    node: Code,
    dispatch: Day,
    arrival: Day,
    late: Probability,
}

/// Asks the module to allocate a complete shipment at another node.
async fn reroute(app: &App, id: &str, to: &Id) -> Answer<Rerouted> {
    let unknown = || Problem::not_found("shipment", id);
    let order = app.store.order_of(app.store.pool(), id).await?.ok_or_else(unknown)?;
    // Before the shipment: what changes after it gives another version.
    let version = app.store.version(&order).await?;
    let (row, fault) = app.store.shipment(id).await?.ok_or_else(unknown)?;
    if let Some(fault) = fault {
        return Err(Problem::conflict(format!("`{id}` cannot be rerouted: {fault}")));
    }
    if !row.allocated || !row.is_at_node() {
        return Err(Problem::conflict(format!("`{id}` has left its node, or does not use this service's stock")));
    }
    let lines = row.body.lines.iter().map(|line| Line { sku: line.sku.clone(), quantity: line.quantity });
    let release = app.release();
    let region = release.snapshot.storefront.regions.iter().find(|region| region.code.as_str() == row.region);
    let offset = region.map_or(0, |region| i64::from(region.utc_offset)) * 60_000;
    let order = ShopOrder {
        id: Id::new(id)?,
        region: Code::new(row.region.as_str())?,
        lines: lines.collect(),
        promised: Millis(row.body.promised.0 + offset).day(),
        priority: 0,
        complete: true,
        max_splits: 0,
        pinned: Some(Code::new(to.as_str())?),
        excluded: Vec::new(),
    };
    let orders = vec![order];
    let asked = plan::asked(app, &release, orders.clone(), Vec::new(), &Held::default()).await;
    let request = asked.map_err(|error| match error {
        PlanError::Database(error) => Problem::from(error),
        PlanError::Ask(error) => Problem::from(error),
        error => Problem::internal(&error),
    })?;
    let at = request.at;
    let (answer, _) = app.gate.ask(&release.tradewind, move |client| client.allocate(request)).await?;
    let answer = answer.map_err(|error: ClientError<_>| AskError::Client(error))?;
    check::plan(&orders, &answer, &release.snapshot).map_err(|why| Problem::internal(&why))?;
    let shipment = answer.orders.into_iter().next().and_then(|mut order| match order.shortfalls.as_slice() {
        [] => order.shipments.pop(),
        _ => None,
    });
    let Some(shipment) = shipment else {
        return Err(Problem::conflict(format!("`{to}` cannot send all of `{id}` any more; load the entry again")));
    };
    Ok(Rerouted {
        version,
        release,
        at,
        node: shipment.node,
        dispatch: shipment.dispatch,
        arrival: shipment.arrival,
        late: shipment.late,
    })
}

/// Moves a shipment and its reserved units to another node. Returns the new shipment's name.
async fn moved(app: &App, tx: &mut Tx, row: ShipmentRow, to: Rerouted) -> Answer<String> {
    if !app.store.cancel_shipments(tx, &[&row.id]).await? {
        return Err(Problem::conflict(format!("`{}` has left its node meanwhile", row.id)));
    }
    // The new shipment is held in its place.
    app.store.set_held(tx, &[&row.id], false).await?;
    let mut taken = Taken::default();
    taken.give_back(&row);
    taken.take(to.node.as_str(), &row.body.lines, Some(to.dispatch));
    if let Err(Conflict) = app.store.take(tx, &taken).await? {
        return Err(Problem::conflict(format!("{} no longer has all of `{}`", to.node, row.id)));
    }
    if overbooked(app, tx, &to.release, to.at, &taken).await? {
        return Err(Problem::conflict(format!("{} has no room for `{}` today any more", to.node, row.id)));
    }
    let body = Body {
        dispatch: Some(to.dispatch),
        arrival: Some(to.arrival),
        late: Some(to.late),
        created: app.clock.now(),
        ..row.body
    };
    let new = NewShipment {
        id: String::new(),
        order: row.order,
        node: to.node.to_string(),
        region: row.region,
        body,
        allocated: true,
        held: row.held,
    };
    Ok(app.store.add_own(tx, vec![(0, new)]).await?)
}

/// Moves some lines of a shipment to another one from the same node and day. Returns the new shipment's name.
async fn split(app: &App, tx: &mut Tx, row: ShipmentRow, later: &[Line]) -> Answer<String> {
    if !row.is_created() {
        return Err(Problem::conflict(format!("`{}` is packed, or has left its node", row.id)));
    }
    let waits = |line: &ShipmentLine| later.iter().any(|later| later.sku == line.sku);
    let (later, now): (Vec<_>, Vec<_>) = row.body.lines.iter().cloned().partition(waits);
    if later.is_empty() || now.is_empty() {
        return Err(Problem::conflict(format!("`{}` no longer holds what is to be split", row.id)));
    }
    let mut taken = Taken::default();
    if row.allocated {
        taken.split(&row);
    }
    let kept = (row.id.clone(), Body { lines: now, ..row.body.clone() });
    if !app.store.set_bodies(tx, &[kept]).await? {
        return Err(Problem::conflict(format!("`{}` is closed", row.id)));
    }
    let full = || Problem::conflict(format!("{} has no room for another shipment that day", row.node));
    app.store.take(tx, &taken).await?.map_err(|Conflict| full())?;
    if overbooked(app, tx, &app.release(), app.clock.now(), &taken).await? {
        return Err(full());
    }
    app.store.unreserve_lines(tx, &row.id, &later).await?;
    let body = Body { lines: later, created: app.clock.now(), ..row.body };
    let (order, node, region, allocated, held) = (row.order, row.node, row.region, row.allocated, row.held);
    let new = NewShipment { id: String::new(), order, node, region, body, allocated, held };
    Ok(app.store.add_own(tx, vec![(0, new)]).await?)
}

/// Stores scans, all or none. Dispatched units are removed from stock and reservations.
pub(super) async fn scan(app: &App, caller: &Caller, id: &str, scans: &[Scan]) -> Answer<()> {
    may_change(app, caller, id).await?;
    attempts(|| {
        Box::pin(async move {
            let mut tx = app.store.begin().await?;
            take_scans(app, &mut tx, id, scans).await?;
            Ok(tx.commit().await?)
        })
    })
    .await?;
    app.moved.notify_one();
    Ok(())
}

/// Stores a shipment planned by another system, with its scans.
pub(super) async fn add_shipment(app: &App, new: &NewShipment, scans: &[Scan]) -> Answer<()> {
    attempts(|| {
        Box::pin(async move {
            let mut tx = app.store.begin().await?;
            if !app.store.add_shipment(&mut tx, new).await? {
                return Err(Problem::taken(format!("there is a shipment `{}` already", new.id)));
            }
            take_scans(app, &mut tx, &new.id, scans).await?;
            Ok(tx.commit().await?)
        })
    })
    .await?;
    app.moved.notify_one();
    Ok(())
}

async fn take_scans(app: &App, tx: &mut Tx, id: &str, scans: &[Scan]) -> Answer<()> {
    let (mut row, _) = lock(app, tx, id).await?;
    for scan in scans {
        take_scan(app, tx, &mut row, scan).await?;
    }
    // Delivered shipments are not scored.
    let most = Shipment::MAX_SCANS as i64;
    let over = scans.iter().all(|scan| scan.state != State::Delivered) && app.store.scan_count(tx, id).await? > most;
    if over {
        return Err(Problem::unprocessable(format!("`{id}` would have more than {most} scans, the maximum")));
    }
    Ok(())
}

/// Stores a scan; a known scan changes nothing.
async fn take_scan(app: &App, tx: &mut Tx, row: &mut ShipmentRow, scan: &Scan) -> Answer<()> {
    let id = row.id.as_str();
    if row.state == "cancelled" {
        return Err(Problem::conflict(format!("`{id}` was cancelled: its units ship differently, or not at all")));
    }
    if row.held && scan.state > State::Packed && row.is_at_node() {
        return Err(Problem::conflict(format!("`{id}` is held: it must not leave until it is released")));
    }
    if !app.store.add_scan(tx, id, scan).await? {
        return Ok(());
    }
    if row.allocated && row.is_at_node() && scan.state > State::Packed {
        app.store.dispatch(tx, row).await?;
    }
    // Scans may arrive late: the most advanced one gives the state.
    let known: Option<State> = serde_json::from_value(Value::String(row.state.clone())).ok();
    let state = known.map_or(scan.state, |known| known.max(scan.state));
    (row.state, row.open) = (name_of(state)?, state != State::Delivered);
    Ok(app.store.set_state(tx, &row.id, &row.state, row.open).await?)
}

/// Releases a held shipment.
pub(super) async fn release(app: &App, caller: &Caller, id: &str) -> Answer<()> {
    may_change(app, caller, id).await?;
    attempts(|| {
        Box::pin(async move {
            let mut tx = app.store.begin().await?;
            lock(app, &mut tx, id).await?;
            app.store.set_held(&mut tx, &[id], false).await?;
            Ok(tx.commit().await?)
        })
    })
    .await
}

/// Opens or closes a node; closing plans its orders again, opening plans orders with shortfalls again. Returns their
/// number.
pub(super) async fn set_closed(app: &App, caller: &Caller, node: &str, closed: bool) -> Answer<u64> {
    caller.may_change_at(node)?;
    let count = attempts(|| {
        Box::pin(async move {
            let mut tx = app.store.begin().await?;
            if !app.store.set_closed(&mut tx, node, closed).await? {
                return Err(Problem::not_found("node", node));
            }
            let count = if closed {
                let orders = app.store.orders_at(&mut tx, node).await?;
                app.store.requeue(&mut tx, &orders, &[OrderState::Allocated, OrderState::Short]).await?
            } else {
                app.store.requeue_short(&mut tx).await?
            };
            app.store.next_generation(&mut tx).await?;
            tx.commit().await?;
            Ok(count)
        })
    })
    .await?;
    app.queued.notify_one();
    Ok(count)
}

/// Stores a count of a product at a node. If promised units are missing, orders are planned again, in the order of
/// [`shipments_with`](super::store::Store::shipments_with); if more can be promised, so are orders that lack the product.
/// Returns their number.
pub(super) async fn count(app: &App, node: &str, sku: &str, counts: Counts) -> Answer<u64> {
    let count = attempts(|| Box::pin(try_count(app, node, sku, counts))).await?;
    app.queued.notify_one();
    app.moved.notify_one();
    Ok(count)
}

async fn try_count(app: &App, node: &str, sku: &str, counts: Counts) -> Answer<u64> {
    let mut tx = app.store.begin().await?;
    // Orders are locked before stock, so shipments are chosen by the stock before it is locked, and checked after.
    let seen = app.store.stock_of(&mut tx, node, sku).await?;
    let mut missing = seen.as_ref().map_or(0, |row| row.reserved) - counts.on_hand;
    let mut losing = Vec::new();
    if missing > 0 {
        for row in app.store.shipments_with(&mut tx, node, sku).await? {
            if missing <= 0 {
                break;
            }
            let Some(line) = row.body.lines.iter().find(|line| line.sku.as_str() == sku) else { continue };
            missing -= i64::from(line.quantity);
            losing.push(row);
        }
    }
    let mut orders: BTreeSet<String> = losing.iter().map(|row| row.order.clone()).collect();
    app.store.change_all(&mut tx, &orders).await?;
    let mut taken = Taken::default();
    for row in &losing {
        let Some(now) = app.store.lock_shipment(&mut tx, &row.id).await? else { return Err(moved_meanwhile()) };
        if now.state != row.state || now.body.lines != row.body.lines {
            return Err(moved_meanwhile());
        }
        taken.give_back(&now);
    }
    let ids: Vec<&str> = losing.iter().map(|row| row.id.as_str()).collect();
    if !app.store.cancel_shipments(&mut tx, &ids).await? {
        return Err(moved_meanwhile());
    }
    // Orders that lack the product are queued, and so locked, before stock is.
    let kept = seen.as_ref().map_or(0, |row| row.safety);
    let left = counts.on_hand - counts.safety.unwrap_or(kept);
    if seen.as_ref().is_none_or(|row| row.on_hand - row.safety < left) {
        orders.extend(app.store.lacking(&mut tx, sku).await?);
    }
    let count = app.store.requeue(&mut tx, &orders, &[OrderState::Allocated, OrderState::Short]).await?;
    app.store.look_at_stock(&mut tx, node, sku).await?;
    let before = app.store.lock_stock_of(&mut tx, node, sku).await?;
    if before != seen {
        return Err(moved_meanwhile());
    }
    if missing > 0 {
        let detail = format!("{sku} at {node} is reserved for shipments unknown to this service");
        return Err(Problem::conflict(detail));
    }
    if let Err(Conflict) = app.store.take(&mut tx, &taken).await? {
        return Err(moved_meanwhile());
    }
    app.store.count(&mut tx, node, sku, counts).await?;
    app.store.next_generation(&mut tx).await?;
    tx.commit().await?;
    Ok(count)
}

/// What a transaction read has changed before it was locked.
fn moved_meanwhile() -> Problem {
    Problem::aborted("stock moved while it was counted; send the count again")
}

/// Cancels an order, except its shipped parts: unplanned lines, and shipments still at their nodes, packed or not. An
/// order that has shipped completely cannot be cancelled.
pub(super) async fn cancel(app: &App, caller: &Caller, order: &str) -> Answer<()> {
    caller.may_use_orders()?;
    if caller.scope != Scope::All {
        let unknown = || Problem::not_found("order", order);
        let row = app.store.order(order).await?.ok_or_else(unknown)?;
        if !caller.scope.has(None, row.shop.as_deref()) {
            return Err(unknown());
        }
    }
    attempts(|| Box::pin(try_cancel(app, order))).await?;
    app.queued.notify_one();
    app.moved.notify_one();
    Ok(())
}

async fn try_cancel(app: &App, order: &str) -> Answer<()> {
    let mut tx = app.store.begin().await?;
    if !app.store.cancel(&mut tx, order).await? {
        drop(tx);
        let known = app.store.order(order).await?;
        return Err(match known {
            None => Problem::not_found("order", order),
            Some(_) => Problem::conflict(format!("`{order}` is cancelled already")),
        });
    }
    let rows = app.store.shipments_of_locked(&mut tx, order).await?;
    let (here, gone): (Vec<_>, Vec<_>) =
        rows.into_iter().filter(|row| row.allocated && row.state != "cancelled").partition(ShipmentRow::is_at_node);
    let wanted = app.store.order_units(&mut tx, order).await?;
    let left = gone.iter().flat_map(|row| &row.body.lines).map(|line| u64::from(line.quantity)).sum::<u64>();
    if !gone.is_empty() && here.is_empty() && left >= wanted {
        let states = gone.iter().map(|row| format!("`{}` is {}", row.id, row.state.replace('_', " ")));
        let states = states.collect::<Vec<_>>().join(", ");
        return Err(Problem::conflict(format!("`{order}` has shipped and cannot be cancelled: {states}")));
    }
    let mut taken = Taken::default();
    here.iter().for_each(|row| taken.give_back(row));
    let ids: Vec<&str> = here.iter().map(|row| row.id.as_str()).collect();
    app.store.cancel_shipments(&mut tx, &ids).await?;
    // Other orders may wait for the freed units.
    let mut lacking = BTreeSet::new();
    for sku in taken.freed() {
        lacking.extend(app.store.lacking(&mut tx, sku).await?);
    }
    app.store.requeue(&mut tx, &lacking, &[OrderState::Short]).await?;
    if let Err(Conflict) = app.store.take(&mut tx, &taken).await? {
        return Err(Problem::internal(&format!("`{order}` gives back more units than were reserved for it")));
    }
    app.store.next_generation(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Queues a dead order again.
pub(super) async fn retry(app: &App, caller: &Caller, order: &str) -> Answer<()> {
    caller.may_use_orders()?;
    let mut tx = app.store.begin().await?;
    if app.store.requeue(&mut tx, &BTreeSet::from([order.to_owned()]), &[OrderState::Dead]).await? == 0 {
        return Err(Problem::conflict(format!("`{order}` is not dead; only dead orders can be retried")));
    }
    tx.commit().await?;
    app.queued.notify_one();
    Ok(())
}
