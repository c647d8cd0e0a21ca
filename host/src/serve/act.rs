//! Actions on orders and shipments, each in one transaction.

use super::{
    App,
    auth::Caller,
    check,
    guests::AskError,
    live::{Held, overbooked},
    plan::{self, PlanError},
    problem::{Answer, Problem},
    release::Release,
    store::{Body, Conflict, Counts, NewShipment, OrderState, ShipmentRow, Tx, name_of},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tradewind_core::{
    Code, Day, Id, Line, Millis, Probability,
    allocate::ShopOrder,
    exceptions::{Action, Shipment, Step},
    guest::ClientError,
    tracking::{Scan, State},
};
use tradewind_json::ShipmentLine;

/// Carries out an action of a worklist entry, and closes the entry.
pub(super) async fn act(app: &App, caller: &Caller, work: &str, action: Action) -> Answer<Value> {
    let entry = app.store.work(work).await?.ok_or_else(|| Problem::not_found("entry of the worklist", work))?;
    if entry.state != "open" {
        return Err(Problem::conflict(format!("`{work}` is {}; only open entries have actions", entry.state)));
    }
    let offered = &entry.finding.score.actions;
    if !offered.contains(&action) {
        let detail = "the entry does not offer this action any more; load it again";
        return Err(Problem::unprocessable(detail).with("actions", json!(offered)));
    }
    let id = action.shipment.as_str();
    let planned = match &action.step {
        Step::Reroute { to, .. } => Some(reroute(app, id, to).await?),
        _ => None,
    };
    let mut tx = app.store.begin().await?;
    if let Some(to) = planned.as_ref().map(|planned| planned.node.to_string())
        && app.store.any_closed(&mut tx, &BTreeSet::from([to.clone()])).await?
    {
        return Err(Problem::conflict(format!("{to} is closed")));
    }
    let Some(row) = app.store.lock_shipment(&mut tx, id).await? else {
        return Err(Problem::not_found("shipment", id));
    };
    let mut done = json!({"action": action, "by": caller.key, "at": app.clock.now()});
    match (&action.step, planned) {
        (Step::Reroute { .. }, Some(planned)) => {
            done["shipment"] = json!(moved(app, &mut tx, row, planned).await?);
        }
        (Step::Split { later, .. }, _) => done["shipment"] = json!(split(app, &mut tx, row, later).await?),
        (Step::Upgrade { service, .. }, _) => {
            let body = Body { service: Some(service.to_string()), ..row.body };
            if !app.store.set_body(&mut tx, id, &body).await? {
                return Err(Problem::conflict(format!("`{id}` is closed")));
            }
        }
        (Step::Hold, _) => app.store.set_held(&mut tx, id, true).await?,
        // The shop notifies customers; it reads the acted entries.
        (Step::Notify { .. } | Step::Reroute { .. }, _) => {}
    }
    if !app.store.act(&mut tx, work, &done).await? {
        return Err(Problem::conflict(format!("someone else acted on `{work}`")));
    }
    tx.commit().await?;
    app.moved.notify_one();
    Ok(done)
}

/// Stores feedback on an entry.
pub(super) async fn feedback(app: &App, caller: &Caller, work: &str, useful: bool, note: &str) -> Answer<()> {
    let said = json!({"useful": useful, "note": note, "by": caller.key, "at": app.clock.now()});
    if !app.store.set_feedback(work, &said).await? {
        return Err(Problem::not_found("entry of the worklist", work));
    }
    Ok(())
}

/// New allocation of a shipment at another node.
struct Rerouted {
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
    let row = app.store.shipment(id).await?.ok_or_else(|| Problem::not_found("shipment", id))?;
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
    let gone = || Problem::conflict(format!("`{}` has left its node meanwhile", row.id));
    if !app.store.cancel_shipment(tx, &row).await? {
        return Err(gone());
    }
    let mut changes = units(&row.body.lines, &row.node, -1);
    for (key, more) in units(&row.body.lines, to.node.as_str(), 1) {
        *changes.entry(key).or_default() += more;
    }
    if let Err(Conflict) = app.store.reserve(tx, &changes).await? {
        return Err(Problem::conflict(format!("{} no longer has all of `{}`", to.node, row.id)));
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
    let id = plan::add(app, tx, new, &mut 0).await?;
    if overbooked(app, tx, &to.release, to.at, &BTreeSet::from([to.node.to_string()])).await? {
        return Err(Problem::conflict(format!("{} has no room for `{}` today any more", to.node, row.id)));
    }
    Ok(id)
}

/// Moves some lines of a shipment to another one from the same node. Returns the new shipment's name.
async fn split(app: &App, tx: &mut Tx, row: ShipmentRow, later: &[Line]) -> Answer<String> {
    if !row.is_created() {
        return Err(Problem::conflict(format!("`{}` is packed, or has left its node", row.id)));
    }
    let waits = |line: &ShipmentLine| later.iter().any(|later| later.sku == line.sku);
    let (later, now): (Vec<_>, Vec<_>) = row.body.lines.iter().cloned().partition(waits);
    if later.is_empty() || now.is_empty() {
        return Err(Problem::conflict(format!("`{}` no longer holds what is to be split", row.id)));
    }
    if !app.store.set_body(tx, &row.id, &Body { lines: now, ..row.body.clone() }).await? {
        return Err(Problem::conflict(format!("`{}` is closed", row.id)));
    }
    let body = Body { lines: later, created: app.clock.now(), ..row.body };
    let (order, node, region, allocated, held) = (row.order, row.node, row.region, row.allocated, row.held);
    let new = NewShipment { id: String::new(), order, node, region, body, allocated, held };
    Ok(plan::add(app, tx, new, &mut 0).await?)
}

/// Stores scans, all or none. Dispatched units are removed from stock and reservations.
pub(super) async fn scan(app: &App, id: &str, scans: &[Scan]) -> Answer<()> {
    let mut tx = app.store.begin().await?;
    take_scans(app, &mut tx, id, scans).await?;
    tx.commit().await?;
    app.moved.notify_one();
    Ok(())
}

/// Stores a shipment planned by another system, with its scans.
pub(super) async fn add_shipment(app: &App, new: &NewShipment, scans: &[Scan]) -> Answer<()> {
    let mut tx = app.store.begin().await?;
    if !app.store.add_shipment(&mut tx, new).await? {
        return Err(Problem::conflict(format!("there is a shipment `{}` already", new.id)));
    }
    take_scans(app, &mut tx, &new.id, scans).await?;
    tx.commit().await?;
    app.moved.notify_one();
    Ok(())
}

async fn take_scans(app: &App, tx: &mut Tx, id: &str, scans: &[Scan]) -> Answer<()> {
    app.store.lock_shipment(tx, id).await?.ok_or_else(|| Problem::not_found("shipment", id))?;
    for scan in scans {
        take_scan(app, tx, id, scan).await?;
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
async fn take_scan(app: &App, tx: &mut Tx, id: &str, scan: &Scan) -> Answer<()> {
    let row = app.store.lock_shipment(tx, id).await?.ok_or_else(|| Problem::not_found("shipment", id))?;
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
        let units = row.body.lines.iter().map(|line| (line.sku.to_string(), i64::from(line.quantity)));
        app.store.dispatch(tx, &row.node, &units.collect()).await?;
    }
    // Scans may arrive late: the most advanced one gives the state.
    let known: Option<State> = serde_json::from_value(Value::String(row.state.clone())).ok();
    let state = known.map_or(scan.state, |known| known.max(scan.state));
    Ok(app.store.set_state(tx, id, &name_of(state)?, state != State::Delivered).await?)
}

/// Releases a held shipment.
pub(super) async fn release(app: &App, id: &str) -> Answer<()> {
    let mut tx = app.store.begin().await?;
    app.store.lock_shipment(&mut tx, id).await?.ok_or_else(|| Problem::not_found("shipment", id))?;
    app.store.set_held(&mut tx, id, false).await?;
    Ok(tx.commit().await?)
}

/// Opens or closes a node; closing plans its orders again, opening plans orders with shortfalls again. Returns their
/// number.
pub(super) async fn set_closed(app: &App, node: &str, closed: bool) -> Answer<u64> {
    let mut tx = app.store.begin().await?;
    if !app.store.set_closed(&mut tx, node, closed).await? {
        return Err(Problem::not_found("node", node));
    }
    let count = if closed {
        let rows = app.store.shipments_at(&mut tx, node).await?;
        let mut orders: Vec<String> = rows.into_iter().map(|row| row.order).collect();
        orders.sort();
        orders.dedup();
        app.store.requeue(&mut tx, &orders, &[OrderState::Allocated, OrderState::Short]).await?
    } else {
        app.store.requeue_short(&mut tx).await?
    };
    app.store.next_generation(&mut tx).await?;
    tx.commit().await?;
    app.queued.notify_one();
    Ok(count)
}

/// Stores a count of a product at a node. If promised units are missing, orders are planned again, in the order of
/// [`shipments_at`](super::store::Store::shipments_at); if more can be promised, so are orders that lack the product.
/// Returns their number.
pub(super) async fn count(app: &App, node: &str, sku: &str, counts: Counts) -> Answer<u64> {
    let mut tx = app.store.begin().await?;
    let before = app.store.stock_for_count(&mut tx, node, sku).await?;
    let mut again = Vec::new();
    let mut changes = BTreeMap::new();
    let mut missing = before.as_ref().map_or(0, |row| row.reserved) - counts.on_hand;
    if missing > 0 {
        for row in app.store.shipments_at(&mut tx, node).await? {
            let Some(line) = row.body.lines.iter().find(|line| line.sku.as_str() == sku) else { continue };
            if missing <= 0 {
                break;
            }
            missing -= i64::from(line.quantity);
            if !app.store.cancel_shipment(&mut tx, &row).await? {
                return Err(Problem::unavailable("a shipment left while it was counted; send the count again"));
            }
            for (key, units) in units(&row.body.lines, node, -1) {
                *changes.entry(key).or_default() += units;
            }
            again.push(row.order);
        }
        if missing > 0 {
            let detail = format!("{sku} at {node} is reserved for shipments unknown to this service");
            return Err(Problem::conflict(detail));
        }
    }
    if let Err(Conflict) = app.store.reserve(&mut tx, &changes).await? {
        return Err(Problem::unavailable("stock changed while it was counted; send the count again"));
    }
    app.store.count(&mut tx, node, sku, counts).await?;
    let kept = before.as_ref().map_or(0, |row| row.safety);
    let left = counts.on_hand - counts.safety.unwrap_or(kept);
    if before.as_ref().is_none_or(|row| row.on_hand - row.safety < left) {
        again.extend(app.store.lacking(&mut tx, sku).await?);
    }
    again.sort();
    again.dedup();
    let count = app.store.requeue(&mut tx, &again, &[OrderState::Allocated, OrderState::Short]).await?;
    app.store.next_generation(&mut tx).await?;
    tx.commit().await?;
    app.queued.notify_one();
    Ok(count)
}

/// Cancels an order, except its shipped parts: unplanned lines, and shipments still at their nodes, packed or not. An
/// order that has shipped completely cannot be cancelled.
pub(super) async fn cancel(app: &App, order: &str) -> Answer<()> {
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
    let mut changes: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in &here {
        app.store.cancel_shipment(&mut tx, row).await?;
        for (key, units) in units(&row.body.lines, &row.node, -1) {
            *changes.entry(key).or_default() += units;
        }
    }
    if let Err(Conflict) = app.store.reserve(&mut tx, &changes).await? {
        return Err(Problem::internal(&format!("`{order}` releases more units than were reserved for it")));
    }
    // Other orders may wait for the released units.
    let skus: BTreeSet<&str> = changes.keys().map(|(sku, _)| sku.as_str()).collect();
    for sku in skus {
        let lacking = app.store.lacking(&mut tx, sku).await?;
        app.store.requeue(&mut tx, &lacking, &[OrderState::Short]).await?;
    }
    app.store.next_generation(&mut tx).await?;
    tx.commit().await?;
    app.queued.notify_one();
    app.moved.notify_one();
    Ok(())
}

/// Queues a dead order again.
pub(super) async fn retry(app: &App, order: &str) -> Answer<()> {
    let mut tx = app.store.begin().await?;
    if app.store.requeue(&mut tx, &[order.to_owned()], &[OrderState::Dead]).await? == 0 {
        return Err(Problem::conflict(format!("`{order}` is not dead; only dead orders can be retried")));
    }
    tx.commit().await?;
    app.queued.notify_one();
    Ok(())
}

/// Units of lines at a node, by product and node, times `sign`.
fn units(lines: &[ShipmentLine], node: &str, sign: i64) -> BTreeMap<(String, String), i64> {
    let mut units = BTreeMap::new();
    for line in lines {
        *units.entry((line.sku.to_string(), node.to_owned())).or_default() += sign * i64::from(line.quantity);
    }
    units
}
