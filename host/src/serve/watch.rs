//! Watches shipments: what is about to go wrong with those that are open becomes the worklist.

use super::{
    App,
    guests::AskError,
    live::{Held, LiveError, live},
    store::{self, ShipmentRow},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;
use tradewind_core::{
    Error,
    exceptions::{self, ExceptionRequest, ExceptionScore, State},
};
use tradewind_json::{Scan, Shipment};

/// How often shipments are looked at when nothing is scanned: time alone makes them late.
const LOOK: Duration = Duration::from_secs(30);

/// How long scans are gathered before shipments are looked at.
const GATHER: Duration = Duration::from_millis(200);

/// Shipments that are looked at together, with the stock that they wait for.
const CHUNK: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error(transparent)]
    Shipment(#[from] Error),
}

/// Watches until told to stop.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = look(&app).await {
            tracing::warn!(%error, "shipments could not be looked at");
        }
        tokio::select! {
            () = app.moved.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn look(app: &App) -> Result<(), WatchError> {
    let mut scans: BTreeMap<String, Vec<Scan>> = BTreeMap::new();
    for (shipment, scan) in app.store.open_scans().await? {
        scans.entry(shipment).or_default().push(scan);
    }
    let rows = app.store.open_shipments().await?;
    metrics::gauge!("tradewind_open_shipments").set(rows.len() as f64);
    let shipments = rows.into_iter().map(|row| {
        let scans = scans.remove(&row.id).unwrap_or_default();
        document(row, scans).message()
    });
    let shipments = shipments.collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for chunk in shipments.chunks(CHUNK) {
        found.extend(ask(app, chunk.to_vec()).await?);
    }
    app.store.refresh(&found, app.clock.now().0).await?;
    metrics::gauge!("tradewind_exceptions_open").set(found.len() as f64);
    Ok(())
}

/// What is about to go wrong with shipments, by the name of the worklist's entry.
pub(super) async fn ask(
    app: &App,
    shipments: Vec<exceptions::Shipment>,
) -> Result<Vec<(String, ExceptionScore)>, WatchError> {
    let (release, at) = (app.release(), app.clock.now());
    // What is packed waits for no stock, and goes from where it is.
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
    let (answer, _) = app.gate.work(&release, move |client| client.exceptions(request)).await?;
    let scores = answer.map_err(AskError::Client)?.into_iter();
    Ok(scores.map(|score| (format!("{}-{}", score.shipment, store::kind(&score)), score)).collect())
}

/// A shipment with its scans, as it is sent and shown.
pub(super) fn document(row: ShipmentRow, scans: Vec<Scan>) -> Shipment {
    Shipment {
        id: row.id,
        order: row.order,
        node: row.node,
        region: row.region,
        lines: row.body.lines,
        created: row.body.created,
        promised: row.body.promised,
        scans,
        services: row.body.services,
    }
}
