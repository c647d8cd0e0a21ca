//! Exception scans: findings about open shipments become the worklist. A shipment that cannot be scored is listed too,
//! with the reason, and does not block others.

use super::{
    App,
    guests::AskError,
    live::{self, Held, LiveError, live},
    release::Release,
    store::{self, Finding, ShipmentRow},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;
use tradewind_core::{
    Error, Id, Probability,
    exceptions::{self, Action, ExceptionKind, ExceptionRequest, ExceptionScore, Step},
    tracking::{Scan, State},
};
use tradewind_json::Shipment;

/// Interval between exception scans without events: shipments become late with time alone.
const LOOK: Duration = Duration::from_secs(30);

/// Time for which events are gathered before a scan.
const GATHER: Duration = Duration::from_millis(200);

/// Maximum shipments scored together, with the stock that they need.
const CHUNK: usize = 500;

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
    let mut told = BTreeMap::new();
    while !*stop.borrow() {
        let looked = tokio::select! {
            looked = look(&app, &mut told) => looked,
            _ = stop.changed() => return,
        };
        match looked {
            Ok(()) => app.looked.done(),
            Err(error) => {
                app.looked.failed();
                metrics::counter!("tradewind_exception_scans_failed_total").increment(1);
                tracing::error!(%error, "exception scan failed");
            }
        }
        tokio::select! {
            () = app.moved.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Scans all open shipments for exceptions. Each shipment that cannot be scored is logged once.
async fn look(app: &App, told: &mut BTreeMap<String, String>) -> Result<(), WatchError> {
    let mut scans: BTreeMap<String, sqlx::Result<Vec<Scan>>> = BTreeMap::new();
    for (shipment, scan) in app.store.open_scans().await? {
        let known = scans.entry(shipment).or_insert_with(|| Ok(Vec::new()));
        match (known.as_mut(), scan) {
            (Ok(known), Ok(scan)) => known.push(scan),
            (Ok(_), Err(error)) => *known = Err(error),
            (Err(_), _) => {}
        }
    }
    let rows = app.store.open_shipments().await?;
    metrics::gauge!("tradewind_open_shipments").set(rows.len() as f64);
    let (mut shipments, mut unjudged) = (Vec::new(), Vec::new());
    for (id, row) in rows {
        let scans = scans.remove(&id).unwrap_or_else(|| Ok(Vec::new()));
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                unjudged.push(Unjudged { id, order: None, at_node: false, reason: store::unread(&error) });
                continue;
            }
        };
        let (order, at_node) = (Some(row.order.clone()), row.is_at_node());
        let read = scans.map_err(|error| store::unread(&error));
        match read.and_then(|scans| document(row, scans).map_err(|error| error.to_string())) {
            Ok(shipment) => shipments.push(shipment),
            Err(reason) => unjudged.push(Unjudged { id, order, at_node, reason }),
        }
    }
    let release = app.release();
    unjudged.extend(unknown_products(app, &release, &shipments).await?);
    let mut found = judge(app, shipments, &mut unjudged).await?;
    metrics::gauge!("tradewind_unjudged_shipments").set(unjudged.len() as f64);
    let before = mem::take(told);
    for unjudged in unjudged {
        let Unjudged { id, reason, .. } = &unjudged;
        if before.get(id) != Some(reason) {
            tracing::error!(shipment = id, reason, "shipment cannot be scored");
        }
        told.insert(id.clone(), reason.clone());
        add(app, &mut found, unjudged);
    }
    let found: Vec<(String, Finding)> = found.into_iter().collect();
    app.store.refresh(&found, app.clock.now().0).await?;
    metrics::gauge!("tradewind_exceptions_open").set(found.len() as f64);
    Ok(())
}

/// Exceptions of shipments, by the id of the worklist entry. A refused batch is halved until the faulty shipment is
/// alone.
async fn judge(
    app: &App,
    shipments: Vec<exceptions::Shipment>,
    unjudged: &mut Vec<Unjudged>,
) -> Result<BTreeMap<String, Finding>, WatchError> {
    let mut found = BTreeMap::new();
    let mut parts: Vec<Vec<exceptions::Shipment>> = shipments.chunks(CHUNK).map(<[_]>::to_vec).collect();
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
    let score = ExceptionScore {
        shipment,
        kind: ExceptionKind::DataFault,
        probability: Probability::CERTAIN,
        severity: app.settings.exceptions.data.fixed,
        evidence: Vec::new(),
        actions: hold.into_iter().collect(),
    };
    found.entry(entry(&score)).or_insert(Finding { score, reason: None }).reason = Some(reason);
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
