//! Exceptions: findings about open shipments become the worklist. A shipment that cannot be scored is listed too, with
//! the reason, and does not block others.
//!
//! Shipments are scored when they move, when their stock is counted, and again when their findings may have changed with
//! time alone: after a quarter of the time that they have been in their state, at least a minute and at most half an hour
//! later, and when their promise ends.

use super::{
    App,
    guests::AskError,
    live::{self, Held, LiveError, live},
    release::Release,
    store::{self, Finding, Look, ShipmentRow, wall},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tradewind_core::{
    Error, Id, Millis,
    exceptions::{self, Action, ExceptionRequest, ExceptionScore, Step},
    tracking::{Scan, State},
};
use tradewind_json::Shipment;

/// Maximum time between two searches for due shipments: other replicas move shipments too.
const LOOK: Duration = Duration::from_secs(2);

/// Time for which events are gathered before a scan.
const GATHER: Duration = Duration::from_millis(200);

/// Maximum shipments scored together, with the stock that they need.
const CHUNK: i64 = 500;

/// Minimum and maximum milliseconds after which a shipment is scored again that has not moved.
const AGAIN: (i64, i64) = (60_000, 1_800_000);

#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("database error: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Live(#[from] LiveError),
}

/// Shipment that cannot be scored, or only partly.
struct Unjudged {
    id: String,
    order: Option<String>,
    /// Whether it is at the node.
    at_node: bool,
    reason: String,
}

/// Runs until told to stop.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let turn = tokio::select! {
            turn = turn(&app) => turn,
            _ = stop.changed() => return,
        };
        if let Err(error) = turn {
            app.looked.failed();
            metrics::counter!("tradewind_exception_scans_failed_total").increment(1);
            tracing::error!(%error, "exception scan failed");
        }
        tokio::select! {
            () = app.moved.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Scores due shipments until no more are due, unless another replica does.
async fn turn(app: &App) -> Result<(), WatchError> {
    let Some(_watch) = app.store.watch().await? else {
        app.looked.done();
        return Ok(());
    };
    loop {
        let began = Instant::now();
        let count = look(app).await?;
        app.looked.done();
        if count as i64 != CHUNK {
            return Ok(());
        }
        // Planning has half of the time.
        tokio::time::sleep(began.elapsed()).await;
    }
}

/// Scores due shipments, and returns their number. Each shipment that cannot be scored is logged once.
pub(super) async fn look(app: &App) -> Result<usize, WatchError> {
    let looks = app.store.claim_looks(CHUNK).await?;
    if looks.is_empty() {
        return Ok(0);
    }
    let (mut shipments, mut unjudged) = (Vec::new(), Vec::new());
    for look in &looks {
        let id = look.shipment.clone();
        let row = match &look.row {
            Some(Ok(row)) if row.open => row.clone(),
            Some(Ok(_)) | None => continue,
            Some(Err(error)) => {
                unjudged.push(Unjudged { id, order: None, at_node: false, reason: store::unread(error) });
                continue;
            }
        };
        let (order, at_node) = (Some(row.order.clone()), row.is_at_node());
        let scans = look.scans.iter().map(|scan| scan.as_ref().cloned().map_err(store::unread));
        let scans: Result<Vec<Scan>, String> = scans.collect();
        match scans.and_then(|scans| document(row, scans).map_err(|error| error.to_string())) {
            Ok(shipment) => shipments.push(shipment),
            Err(reason) => unjudged.push(Unjudged { id, order, at_node, reason }),
        }
    }
    let release = app.release();
    let again: BTreeMap<String, Millis> =
        shipments.iter().map(|shipment| (shipment.id.to_string(), next(shipment, app.clock.now()))).collect();
    unjudged.extend(unknown_products(app, &release, &shipments).await?);
    let mut found = judge(app, shipments, &mut unjudged).await?;
    for unjudged in unjudged {
        add(app, &mut found, unjudged);
    }
    let mut by_shipment: BTreeMap<String, Vec<(String, Finding)>> = BTreeMap::new();
    for (id, finding) in found {
        by_shipment.entry(finding.score.shipment.to_string()).or_default().push((id, finding));
    }
    keep(app, &looks, &again, &by_shipment).await?;
    Ok(looks.len())
}

/// Writes what was found about shipments, except those that have moved meanwhile.
async fn keep(
    app: &App,
    looks: &[Look],
    again: &BTreeMap<String, Millis>,
    found: &BTreeMap<String, Vec<(String, Finding)>>,
) -> sqlx::Result<()> {
    let ended = looks.iter().map(|look| {
        let is_open = look.row.as_ref().is_some_and(|row| row.as_ref().map_or(true, |row| row.open));
        let again = again.get(&look.shipment).map_or_else(|| wall() + AGAIN.1, |again| app.clock.wall(*again));
        (look, is_open.then_some(again))
    });
    let mut tx = app.store.begin().await?;
    let current = app.store.end_looks(&mut tx, &ended.collect::<Vec<_>>()).await?;
    let current = looks.iter().filter(|look| current.contains(&look.shipment));
    let current: Vec<_> =
        current.map(|look| (look, found.get(&look.shipment).map_or(&[][..], Vec::as_slice))).collect();
    let written = current.iter().map(|(look, found)| (look.entries.as_slice(), *found));
    app.store.refresh(&mut tx, written, app.clock.now().0).await?;
    tx.commit().await?;
    for (look, found) in current {
        for (id, Finding { reason, .. }) in found {
            let known = look.entries.iter().find(|entry| entry.id == *id);
            if let Some(reason) = reason
                && known.is_none_or(|known| known.finding.reason.as_ref() != Some(reason))
            {
                tracing::error!(shipment = look.shipment, reason, "shipment cannot be scored");
            }
        }
    }
    Ok(())
}

/// When a shipment that does not move is scored again.
fn next(shipment: &exceptions::Shipment, now: Millis) -> Millis {
    let scans = shipment.scans.iter().map(|scan| scan.at);
    let since = scans.filter(|at| *at <= now).max().unwrap_or(shipment.created);
    let (least, most) = AGAIN;
    let again = Millis(now.0 + ((now.0 - since.0) / 4).clamp(least, most));
    if shipment.promised > now { again.min(Millis(shipment.promised.0 + 1)) } else { again }
}

/// Exceptions of shipments, by the id of the worklist entry. A refused batch is halved until the faulty shipment is
/// alone.
async fn judge(
    app: &App,
    shipments: Vec<exceptions::Shipment>,
    unjudged: &mut Vec<Unjudged>,
) -> Result<BTreeMap<String, Finding>, WatchError> {
    let mut found = BTreeMap::new();
    let mut parts: Vec<Vec<exceptions::Shipment>> = Some(shipments).filter(|all| !all.is_empty()).into_iter().collect();
    while let Some(mut part) = parts.pop() {
        match ask(app, part.clone()).await {
            Ok(scores) => found.extend(scores),
            Err(WatchError::Ask(error)) if error.is_of_request() => {
                let rest = part.split_off(part.len() / 2);
                match (part.is_empty(), rest.first()) {
                    (true, Some(shipment)) => unjudged.push(Unjudged {
                        id: shipment.id.to_string(),
                        order: Some(shipment.order.to_string()),
                        at_node: shipment.scans.iter().all(|scan| scan.state <= State::Packed),
                        reason: error.to_string(),
                    }),
                    _ => parts.extend([part, rest]),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Exceptions of shipments, by the id of the worklist entry.
pub(super) async fn ask(app: &App, shipments: Vec<exceptions::Shipment>) -> Result<Vec<(String, Finding)>, WatchError> {
    let (release, at) = (app.release(), app.clock.now());
    // Packed shipments need no stock, and leave from their node.
    let waiting = shipments.iter().filter(|shipment| shipment.scans.iter().all(|scan| scan.state < State::Packed));
    let skus = waiting.flat_map(|shipment| &shipment.lines).map(|line| line.sku.as_str()).collect();
    let live = live(app, &release, at, &skus, &Held::default()).await?;
    let request = ExceptionRequest {
        snapshot: Some(release.snapshot.root),
        at,
        live,
        limit: shipments.len().saturating_mul(8) as u32,
        shipments,
        policy: app.settings.exceptions.clone(),
        ..ExceptionRequest::default()
    };
    let (answer, _) = app.gate.work(&release.tradewind, move |client| client.exceptions(request)).await?;
    let scores = answer.map_err(AskError::Client)?.into_iter();
    Ok(scores.map(|score| (entry(&score), Finding { score, reason: None })).collect())
}

/// Shipments with products that are neither in the snapshot nor at a node: an earlier snapshot had them.
async fn unknown_products(
    app: &App,
    release: &Release,
    shipments: &[exceptions::Shipment],
) -> sqlx::Result<Vec<Unjudged>> {
    let skus: BTreeSet<_> = shipments.iter().flat_map(|shipment| &shipment.lines).map(|line| &line.sku).collect();
    let unknown = live::unknown(app, release, skus).await?;
    let with = shipments.iter().filter_map(|shipment| {
        let line = shipment.lines.iter().find(|line| unknown.contains(&line.sku))?;
        Some(Unjudged {
            id: shipment.id.to_string(),
            order: Some(shipment.order.to_string()),
            at_node: shipment.scans.iter().all(|scan| scan.state <= State::Packed),
            reason: format!("the snapshot has no product `{}`", line.sku),
        })
    });
    Ok(with.collect())
}

/// Lists a shipment that cannot be scored, or adds the reason to the module's data fault.
fn add(app: &App, found: &mut BTreeMap<String, Finding>, unjudged: Unjudged) {
    let Unjudged { id, order, at_node, reason } = unjudged;
    let Ok(shipment) = Id::new(id) else { return };
    let order = order.and_then(|order| Id::new(order).ok()).filter(|_| at_node);
    let hold = order.map(|order| Action { shipment: shipment.clone(), order, step: Step::Hold });
    let mut finding = Finding::unjudged(shipment, app.settings.exceptions.data.fixed, reason.clone());
    finding.score.actions.extend(hold);
    found.entry(entry(&finding.score)).or_insert(finding).reason = Some(reason);
}

/// Id of a worklist entry.
fn entry(score: &ExceptionScore) -> String {
    format!("{}-{}", score.shipment, store::kind(score))
}

/// Reason why a shipment with these scans cannot be scored, if any.
pub(super) fn fault(row: ShipmentRow, scans: Vec<Scan>) -> Option<Error> {
    document(row, scans).err()
}

/// Shipment with its scans, in the module's form.
fn document(row: ShipmentRow, scans: Vec<Scan>) -> Result<exceptions::Shipment, Error> {
    let named = |field: &str, name: String| Id::new(name).map_err(|error| error.within(&format!("`{field}`")));
    let shipment = Shipment {
        id: named("id", row.id)?,
        order: named("order", row.order)?,
        node: named("node", row.node)?,
        region: named("region", row.region)?,
        lines: row.body.lines,
        created: row.body.created,
        promised: row.body.promised,
        scans,
        services: row.body.services,
    };
    shipment.message()
}
