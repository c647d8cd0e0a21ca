//! What nodes have and do now, as the module is told: stock, closed nodes, and what is booked of a day's capacity.

use super::{
    App,
    release::Release,
    store::{DayRow, Tx},
};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{
    Day, Error, Millis, Sku,
    snapshot::{Booked, Code, Fulfilment, Live, LiveStock},
};

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum LiveError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Name(#[from] Error),
}

/// What orders hold that are planned again: it is theirs to have again.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Units, by product and node.
    pub(super) units: BTreeMap<(String, String), i64>,
    /// Shipments, by node and by the day on which they are to leave.
    pub(super) shipments: BTreeMap<(String, Option<Day>), i64>,
}

/// What is not as the snapshot says, of these products, as far as the module can be asked about it.
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
    for row in app.store.stock(Some(&skus), None).await? {
        let Some(node) = place(fulfilment, &row.node).and_then(|place| fulfilment.nodes.get(place)) else { continue };
        let sku = Sku::new(row.sku.as_str())?;
        let own = held.units.get(&(row.sku, row.node)).copied().unwrap_or(0);
        let left = (row.on_hand - row.reserved - row.safety + own).max(0);
        let available = u32::try_from(left).unwrap_or(u32::MAX);
        if available != catalog.id(&sku).map_or(0, |id| node.stock.available(id)) {
            stock.push(LiveStock { node: node.code.clone(), sku, available });
        }
    }
    let closed = app.store.nodes().await?.into_iter().filter(|(_, closed)| *closed);
    let closed = closed.filter_map(|(node, _)| known(release, &node)).collect();
    let days = days(fulfilment, at);
    let mut booked = booked(&app.store.days(app.store.pool(), since(&days)).await?, &days);
    for ((node, day), own) in &held.shipments {
        // What was to leave earlier and is still there is booked for today.
        if let Some(shipments) = booked.get_mut(node)
            && day.is_some_and(|day| days.get(node).is_some_and(|today| day <= *today))
        {
            *shipments -= own;
        }
    }
    let booked = booked.into_iter().filter(|(_, shipments)| *shipments > 0).filter_map(|(node, shipments)| {
        Some(Booked { node: known(release, &node)?, shipments: u32::try_from(shipments).unwrap_or(u32::MAX) })
    });
    Ok(Live { stock, closed, booked: booked.collect() })
}

/// Whether one of these nodes has more shipments to pack than it can. What is booked on them stays so until the
/// transaction ends, if they are locked.
pub(super) async fn overbooked(
    app: &App,
    tx: &mut Tx,
    release: &Release,
    at: Millis,
    nodes: &BTreeSet<String>,
) -> sqlx::Result<bool> {
    let Some(fulfilment) = release.fulfilment() else { return Ok(false) };
    let days = days(fulfilment, at);
    let booked = booked(&app.store.days(&mut **tx, since(&days)).await?, &days);
    Ok(fulfilment.nodes.iter().filter(|node| nodes.contains(node.code.as_str())).any(|node| {
        let shipments = booked.get(node.code.as_str()).copied().unwrap_or(0);
        shipments > i64::from(node.shipments_per_day)
    }))
}

/// The code of a node, if the snapshot has it: nothing can be asked about another.
pub(super) fn known(release: &Release, node: &str) -> Option<Code> {
    let fulfilment = release.fulfilment()?;
    Some(fulfilment.nodes.get(place(fulfilment, node)?)?.code.clone())
}

fn place(fulfilment: &Fulfilment, node: &str) -> Option<usize> {
    fulfilment.nodes.iter().position(|known| known.code.as_str() == node)
}

/// The day on which what is decided now leaves each node.
fn days(fulfilment: &Fulfilment, at: Millis) -> BTreeMap<String, Day> {
    fulfilment.nodes.iter().map(|node| (node.code.to_string(), node.dispatch(at))).collect()
}

fn since(days: &BTreeMap<String, Day>) -> i64 {
    days.values().min().map_or(i64::MAX, |day| i64::from(day.0))
}

/// Shipments that each node has to pack on its day: those of that day, and those of days before that it still has.
fn booked(rows: &[DayRow], days: &BTreeMap<String, Day>) -> BTreeMap<String, i64> {
    let mut booked: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        let Some(today) = days.get(&row.node).map(|day| i64::from(day.0)) else { continue };
        *booked.entry(row.node.clone()).or_default() += match row.dispatch {
            day if day == today => row.shipments,
            day if day < today => row.waiting,
            _ => 0,
        };
    }
    booked
}
