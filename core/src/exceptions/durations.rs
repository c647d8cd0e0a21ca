//! How long lanes take.

use super::{Id, Quantiles, Scan, Shipment, State, bad};
use crate::{bounded, error::Result, event::Millis, order};
use alloc::{format, vec::Vec};
use core::cmp::Ordering;
use serde::{Deserialize, Serialize};

/// How long a lane takes: what its carrier says, and what was learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneTimes {
    /// The node where it starts.
    pub node: Id,
    /// The region where it ends.
    pub region: Id,
    /// Days from pickup to delivery, at least.
    pub min_days: u8,
    /// Days from pickup to delivery, at most.
    pub max_days: u8,
    /// What was learnt, one for a state at most.
    #[serde(deserialize_with = "bounded::list::<{ LaneTimes::MAX_STATES }, _, _>")]
    pub states: Vec<StateTimes>,
}

/// How long shipments of a lane stay in a state, and how long they take from there, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StateTimes {
    /// The state.
    pub state: State,
    /// From it to the next scan.
    pub stay: Quantiles,
    /// From it to delivery.
    pub to_delivery: Quantiles,
}

impl LaneTimes {
    /// The most states that can be learnt.
    pub const MAX_STATES: usize = 16;

    pub(super) fn check(&self) -> Result<()> {
        self.node.check()?;
        self.region.check()?;
        if self.min_days > self.max_days {
            return Err(bad(format!("a lane of at least {} days and at most {}", self.min_days, self.max_days)));
        }
        self.states.iter().try_for_each(StateTimes::check)
    }

    /// How long a shipment stays in a state; `None` where nothing was learnt.
    pub(super) fn stay(&self, state: State) -> Option<Quantiles> {
        self.states.iter().find(|times| times.state == state).map(|times| times.stay)
    }

    /// How long it takes from a state to delivery; for what is with its node or just left it, by what
    /// the carrier says where nothing was learnt.
    pub(super) fn to_delivery(&self, state: State) -> Option<Quantiles> {
        let learnt = self.states.iter().find(|times| times.state == state).map(|times| times.to_delivery);
        let minutes = |days: u8| f32::from(days) * 1_440.0;
        learnt.or_else(|| {
            let (least, most) = (minutes(self.min_days), minutes(self.max_days));
            (state <= State::PickedUp).then_some(Quantiles { p10: least, p50: (least + most) / 2.0, p90: most })
        })
    }
}

impl StateTimes {
    pub(crate) fn check(&self) -> Result<()> {
        self.stay.check()?;
        self.to_delivery.check()
    }
}

/// Lanes that can be found.
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
        let sorted = order::ascending(lanes.len(), &compare);
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

/// The least stays that quantiles are learnt from.
const LEAST: usize = 20;

/// Learns how long a lane takes from the scans of its shipments that were delivered: for each state with at
/// least twenty stays, the P10, P50 and P90 of the minutes to the next scan, and of those to delivery.
///
/// A quantile is the smallest value that so many do not exceed (the nearest rank). Stays are counted
/// that ended; where scans do not ascend, a stay has no minutes and is left out.
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

/// A stay that ended.
struct Stay {
    state: State,
    minutes: f32,
    to_delivery: f32,
}

/// The stays of a shipment that was delivered.
fn stays(scans: &[Scan]) -> impl Iterator<Item = Stay> {
    let delivered = scans.iter().find(|scan| scan.state == State::Delivered).map(|scan| scan.at);
    scans.windows(2).filter_map(move |pair| {
        let [from, to] = pair else { return None };
        let (minutes, to_delivery) = (minutes(from.at, to.at), minutes(from.at, delivered?));
        (minutes >= 0.0 && to_delivery >= 0.0).then_some(Stay { state: from.state, minutes, to_delivery })
    })
}

/// Whole minutes from one moment to another; below 0 where that is earlier.
pub(super) fn minutes(from: Millis, to: Millis) -> f32 {
    (to.0 - from.0).div_euclid(60_000) as f32
}

fn quantiles(mut values: Vec<f32>) -> Quantiles {
    values.sort_by(f32::total_cmp);
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied().unwrap_or(0.0);
    Quantiles { p10: rank(10), p50: rank(50), p90: rank(90) }
}
