//! Where shipments are, and how long lanes take.

use super::{check::bad, name::Id, quantiles::Quantiles, time::Millis};
use crate::{bounded, error::Result};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Something that happened to a shipment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scan {
    /// What.
    pub state: State,
    /// When.
    pub at: Millis,
    /// Where.
    pub place: Id,
}

/// Where a shipment is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ScanState))]
pub enum State {
    /// The node knows of it.
    Created,
    /// It waits for the carrier.
    Packed,
    /// The carrier has it.
    PickedUp,
    /// It is at a hub.
    Arrived,
    /// It left a hub.
    Departed,
    /// It is on its way to the door.
    OutForDelivery,
    /// Nobody opened.
    Attempted,
    /// The carrier does not find the address.
    AddressRejected,
    /// It is there.
    Delivered,
}

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

    pub(crate) fn check(&self) -> Result<()> {
        self.node.check()?;
        self.region.check()?;
        if self.min_days > self.max_days {
            return Err(bad(format!("a lane of at least {} days and at most {}", self.min_days, self.max_days)));
        }
        self.states.iter().try_for_each(StateTimes::check)
    }

    /// How long a shipment stays in a state; `None` where nothing was learnt.
    pub(crate) fn stay(&self, state: State) -> Option<Quantiles> {
        self.states.iter().find(|times| times.state == state).map(|times| times.stay)
    }

    /// How long it takes from a state to delivery; for what is with its node or just left it, by what
    /// the carrier says where nothing was learnt.
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
    /// Checks a scan that was received.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names what does not hold.
    pub fn check(&self) -> Result<()> {
        self.at.check()?;
        self.place.check()
    }
}

impl State {
    /// Whether the node has it still.
    pub(crate) fn is_at_node(self) -> bool {
        self <= Self::Packed
    }
}
