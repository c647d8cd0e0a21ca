//! How long lanes take, learnt from the scans of shipments that were delivered.

use super::{
    SnapshotError, bad,
    places::{Ends, Places},
    tables::ScanRow,
};
use crate::rows::Table;
use std::{collections::BTreeMap, path::Path};
use tradewind_core::{Error, Id, exceptions::learn as learn_stays, snapshot::Lane, tracking::Scan};

/// Adds to lanes what their past shipments tell, where there is a table of them.
pub(super) fn learn(folder: &Path, places: &Places, lanes: &mut BTreeMap<Ends, Lane>) -> Result<(), SnapshotError> {
    let Some(table) = Table::<ScanRow>::read_optional(folder, "scans")? else { return Ok(()) };
    let mut shipments: BTreeMap<&str, (Ends, Vec<Scan>)> = BTreeMap::new();
    table.each(|row| {
        let ends = places.lane(&row.node, &row.region)?;
        if !lanes.contains_key(&ends) {
            return Err(bad(&format!("there is no lane from `{}` to `{}`", row.node, row.region)));
        }
        let (first, scans) = shipments.entry(&row.shipment).or_insert_with(|| (ends, Vec::new()));
        if *first != ends {
            return Err(bad(&format!("`{}` has a scan on another lane too", row.shipment)));
        }
        let scan = Scan { state: row.state, at: row.at, place: Id::new(row.node.as_str())? };
        if scans.contains(&scan) {
            return Err(bad(&format!("this scan of `{}` comes twice", row.shipment)));
        }
        scans.push(scan);
        Ok::<_, Error>(())
    })?;
    let mut by_lane: BTreeMap<Ends, Vec<Vec<Scan>>> = BTreeMap::new();
    for (ends, mut scans) in shipments.into_values() {
        scans.sort_by_key(|scan| (scan.at, scan.state));
        by_lane.entry(ends).or_default().push(scans);
    }
    for (ends, past) in by_lane {
        if let Some(lane) = lanes.get_mut(&ends) {
            lane.states = learn_stays(past.iter().map(Vec::as_slice));
        }
    }
    Ok(())
}
