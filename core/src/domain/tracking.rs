//! Scans of shipments, and durations of lanes.

use super::{check::bad, name::Id, quantiles::Quantiles, time::Millis};
use crate::{bounded, error::Result};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Record of a shipment's state at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scan {
    /// State of the shipment.
    pub state: State,
    /// Moment of the scan.
    pub at: Millis,
    /// Location of the scan.
    pub place: Id,
}

/// State of a shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ScanState))]
pub enum State {
    /// The node has its data.
    Created,
    /// Packed, and waiting for the carrier.
    Packed,
    /// Handed to the carrier.
    PickedUp,
    /// Arrived at a hub.
    Arrived,
    /// Left a hub.
    Departed,
    /// Out for delivery.
    OutForDelivery,
    /// Delivery was attempted and failed.
    Attempted,
    /// The carrier cannot find the address.
    AddressRejected,
    /// Delivered.
    Delivered,
}

/// Durations of a lane: the carrier's statement, and learnt durations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneTimes {
    /// Node at its start.
    pub node: Id,
    /// Region at its end.
    pub region: Id,
    /// Minimum days from pickup to delivery.
    pub min_days: u8,
    /// Maximum days from pickup to delivery.
    pub max_days: u8,
    /// Learnt durations, at most one entry for each state.
    #[serde(deserialize_with = "bounded::list::<{ LaneTimes::MAX_STATES }, _, _>")]
    pub states: Vec<StateTimes>,
}

/// Learnt durations of a state on a lane, in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StateTimes {
    /// State.
    pub state: State,
    /// Minutes from this state to the next scan.
    pub stay: Quantiles,
    /// Minutes from this state to delivery.
    pub to_delivery: Quantiles,
}

impl LaneTimes {
    /// Maximum number of states with learnt durations.
    pub const MAX_STATES: usize = 16;

    pub(crate) fn check(&self) -> Result<()> {
        self.node.check()?;
        self.region.check()?;
        if self.min_days > self.max_days {
            return Err(bad(format!("a lane of {} to {} days", self.min_days, self.max_days)));
        }
        self.states.iter().try_for_each(StateTimes::check)
    }

    /// Minutes that a shipment stays in a state; `None` if they were not learnt.
    pub(crate) fn stay(&self, state: State) -> Option<Quantiles> {
        self.states.iter().find(|times| times.state == state).map(|times| times.stay)
    }

    /// Minutes from a state to delivery. If they were not learnt, they follow from the carrier's days for shipments up
    /// to pickup, and are `None` for later states.
    pub(crate) fn to_delivery(&self, state: State) -> Option<Quantiles> {
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

impl Scan {
    /// Checks a received scan.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names the invalid field.
    pub fn check(&self) -> Result<()> {
        self.at.check()?;
        self.place.check()
    }
}

impl State {
    /// Whether the shipment is still at the node.
    pub(crate) fn is_at_node(self) -> bool {
        self <= Self::Packed
    }
}
