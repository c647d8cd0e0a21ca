//! Current state of nodes for the module: stock, closed nodes, and booked capacity of a day.

use super::{
    App,
    release::Release,
    store::{Store, Taken, Tx},
};
use sqlx::{Any, Executor};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};
use tradewind_core::{
    Code, Day, Error, Millis, Sku,
    snapshot::{Booked, Fulfilment, FulfilmentNode, Live, LiveStock},
};

/// Reason why it is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum LiveError {
    #[error("database error: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Name(#[from] Error),
}

/// Units and shipments of orders being planned again, which these orders may use again.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Units, by product and node.
    pub(super) units: BTreeMap<(String, String), i64>,
    /// Shipments, by node and day of dispatch.
    pub(super) shipments: BTreeMap<(String, Option<Day>), i64>,
}

/// Shipments of a node on a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    pub(super) day: Day,
    pub(super) booked: i64,
    pub(super) capacity: i64,
}

/// Changes since the snapshot for these products, in the module's terms.
pub(super) async fn live(
    app: &App,
    release: &Release,
    at: Millis,
    skus: &BTreeSet<&str>,
    held: &Held,
) -> Result<Live, LiveError> {
    let Some(fulfilment) = release.fulfilment() else { return Ok(Live::default()) };
    let catalog = &release.snapshot.storefront.catalog;
    let mut stock = Vec::new();
    let skus: Vec<String> = skus.iter().map(|sku| (*sku).to_owned()).collect();
    let nodes: BTreeMap<&str, &FulfilmentNode> =
        fulfilment.nodes.iter().map(|node| (node.code.as_str(), node)).collect();
    for (sku, places) in app.store.promisable(&skus).await? {
        let (name, sku) = (sku.clone(), Sku::new(sku)?);
        let id = catalog.id(&sku);
        for (place, left) in places {
            let Some(node) = nodes.get(place.as_str()) else { continue };
            let own = held.units.get(&(name.clone(), place)).copied().unwrap_or(0);
            let available = u32::try_from((left + own).max(0)).unwrap_or(u32::MAX);
            if available != id.map_or(0, |id| node.stock.available(id)) {
                stock.push(LiveStock { node: node.code.clone(), sku: sku.clone(), available });
            }
        }
    }
    let closed = app.store.nodes().await?.into_iter().filter(|(_, closed)| *closed);
    let closed = closed.filter_map(|(node, _)| known(release, &node)).collect();
    let mut workloads = workloads(&app.store, app.store.pool(), release, at).await?;
    for ((node, day), own) in &held.shipments {
        // Overdue shipments still at a node are booked for today.
        if let Some(workload) = workloads.get_mut(node)
            && day.is_some_and(|day| day <= workload.day)
        {
            workload.booked -= own;
        }
    }
    let booked = workloads.into_iter().filter(|(_, workload)| workload.booked > 0).filter_map(|(node, workload)| {
        Some(Booked { node: known(release, &node)?, shipments: u32::try_from(workload.booked).unwrap_or(u32::MAX) })
    });
    Ok(Live { stock, closed, booked: booked.collect() })
}

/// Whether a node with more bookings has more than its capacity. Its bookings stay as they are until the transaction
/// ends.
pub(super) async fn overbooked(
    app: &App,
    tx: &mut Tx,
    release: &Release,
    at: Millis,
    taken: &Taken,
) -> sqlx::Result<bool> {
    let workloads = workloads(&app.store, tx, release, at).await?;
    let full = |node| workloads.get(node).is_some_and(|workload| workload.booked > workload.capacity);
    Ok(taken.booked().any(full))
}

/// Code of a node, if the snapshot has it; the module knows no others.
pub(super) fn known(release: &Release, node: &str) -> Option<Code> {
    let fulfilment = release.fulfilment()?;
    Some(fulfilment.nodes.get(place(fulfilment, node)?)?.code.clone())
}

/// Products that are neither in the snapshot nor at a node.
pub(super) async fn unknown<'a>(
    app: &App,
    release: &Release,
    skus: impl IntoIterator<Item = &'a Sku>,
) -> sqlx::Result<BTreeSet<Sku>> {
    let catalog = &release.snapshot.storefront.catalog;
    let mut unknown: BTreeSet<Sku> = skus.into_iter().filter(|sku| catalog.id(sku).is_none()).cloned().collect();
    let names: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    if !names.is_empty() {
        let stocked = app.store.promisable(&names).await?;
        unknown.retain(|sku| !stocked.contains_key(sku.as_str()));
    }
    Ok(unknown)
}

fn place(fulfilment: &Fulfilment, node: &str) -> Option<usize> {
    fulfilment.nodes.iter().position(|known| known.code.as_str() == node)
}

/// Shipments that each node of the snapshot has to pack on the day of dispatch of current decisions: of that day, and
/// overdue ones still there.
pub(super) async fn workloads<'e>(
    store: &Store,
    executor: impl Executor<'e, Database = Any>,
    release: &Release,
    at: Millis,
) -> sqlx::Result<BTreeMap<String, Workload>> {
    let nodes = release.fulfilment().map_or(&[][..], |fulfilment| &fulfilment.nodes);
    let workload = |node: &FulfilmentNode| {
        let capacity = i64::from(node.shipments_per_day);
        (node.code.to_string(), Workload { day: node.dispatch(at), booked: 0, capacity })
    };
    let mut workloads: BTreeMap<String, Workload> = nodes.iter().map(workload).collect();
    let first = workloads.values().map(|workload| i64::from(workload.day.0)).min();
    for row in store.days(executor, first.unwrap_or(i64::MAX)).await? {
        let Some(workload) = workloads.get_mut(&row.node) else { continue };
        workload.booked += match row.day.cmp(&i64::from(workload.day.0)) {
            Ordering::Equal => row.shipments,
            Ordering::Less => row.waiting,
            Ordering::Greater => 0,
        };
    }
    Ok(workloads)
}
