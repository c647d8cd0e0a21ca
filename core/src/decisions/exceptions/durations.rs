//! Durations of lanes.

use super::Shipment;
use crate::{
    domain::{
        check::bad,
        name::Id,
        quantiles::Quantiles,
        sort,
        time::Millis,
        tracking::{LaneTimes, Scan, State, StateTimes},
    },
    error::Result,
};
use alloc::{format, vec::Vec};
use core::cmp::Ordering;

/// Lanes, indexed by node and region.
pub(super) struct Lanes<'a> {
    lanes: &'a [LaneTimes],
    sorted: Vec<usize>,
}

fn by_ends(lane: &LaneTimes, node: &Id, region: &Id) -> Ordering {
    lane.node.cmp(node).then_with(|| lane.region.cmp(region))
}

impl<'a> Lanes<'a> {
    pub(super) fn new(lanes: &'a [LaneTimes]) -> Result<Self> {
        let compare = |a: usize, b: usize| by_ends(&lanes[a], &lanes[b].node, &lanes[b].region);
        let sorted = sort::ascending(lanes.len(), &compare);
        match sorted.windows(2).find(|pair| compare(pair[0], pair[1]).is_eq()) {
            None => Ok(Self { lanes, sorted }),
            Some(pair) => {
                let LaneTimes { node, region, .. } = &lanes[pair[0]];
                Err(bad(format!("the lane from `{node}` to `{region}` comes twice")))
            }
        }
    }

    pub(super) fn of(&self, shipment: &Shipment) -> Option<&'a LaneTimes> {
        let compare = |&n: &usize| by_ends(&self.lanes[n], &shipment.node, &shipment.region);
        let found = self.sorted.binary_search_by(compare).ok()?;
        self.lanes.get(*self.sorted.get(found)?)
    }
}

/// Minimum number of stays for learning quantiles.
const LEAST: usize = 20;

/// Learns the durations of a lane from the scans of delivered shipments: for each state with at least twenty stays,
/// P10, P50 and P90 of the minutes to the next scan and to delivery.
///
/// Quantiles are by nearest rank: the smallest value that at least this share of values does not exceed. Only stays
/// that ended count; a stay whose scans do not ascend is left out.
pub fn learn<'a>(delivered: impl IntoIterator<Item = &'a [Scan]>) -> Vec<StateTimes> {
    let mut stays: Vec<Stay> = delivered.into_iter().flat_map(stays).collect();
    stays.sort_by_key(|stay| stay.state);
    let enough = stays.chunk_by(|a, b| a.state == b.state).filter(|stays| stays.len() >= LEAST);
    let learnt = enough.filter_map(|stays| {
        let state = stays.first()?.state;
        let stay = quantiles(stays.iter().map(|stay| stay.minutes).collect());
        let to_delivery = quantiles(stays.iter().map(|stay| stay.to_delivery).collect());
        Some(StateTimes { state, stay, to_delivery })
    });
    learnt.collect()
}

/// Completed stay in a state.
struct Stay {
    state: State,
    minutes: f32,
    to_delivery: f32,
}

/// Stays of a delivered shipment.
fn stays(scans: &[Scan]) -> impl Iterator<Item = Stay> {
    let delivered = scans.iter().find(|scan| scan.state == State::Delivered).map(|scan| scan.at);
    scans.windows(2).filter_map(move |pair| {
        let [from, to] = pair else { return None };
        let (minutes, to_delivery) = (minutes(from.at, to.at), minutes(from.at, delivered?));
        (minutes >= 0.0 && to_delivery >= 0.0).then_some(Stay { state: from.state, minutes, to_delivery })
    })
}

/// Whole minutes from one moment to another; negative if the second is earlier.
pub(super) fn minutes(from: Millis, to: Millis) -> f32 {
    (to.0 - from.0).div_euclid(60_000) as f32
}

fn quantiles(mut values: Vec<f32>) -> Quantiles {
    values.sort_by(f32::total_cmp);
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0.0);
    Quantiles { p10: rank(10), p50: rank(50), p90: rank(90) }
}
