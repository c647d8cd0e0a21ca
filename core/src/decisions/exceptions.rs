//! Exceptions: shipments that need attention, their expected cost, and actions that resolve them.
//!
//! ```text
//! shipments with scans ─┐
//! durations of lanes ───┼→ findings → expected cost → actions → the worst first
//! lateness, stock ──────┘
//! ```
//!
//! - [`Late`](ExceptionKind::Late): probability of the lateness model for the leg, and usual durations of the lane from
//!   the current state to delivery;
//! - [`StockOutBeforeShip`](ExceptionKind::StockOutBeforeShip): demand compared with units available to promise;
//! - missed pickup, connection and delivery, and [`Stuck`](ExceptionKind::Stuck): one rule, a stay that is longer than
//!   usual, named by its state;
//! - faults of addresses and data: reported by scans, or inconsistent.
//!
//! Each exception has a probability, and a severity in money: that probability times the cost of its kind in the
//! merchant's [`Policy`]. Equal severities are in order of shipment, so a reply is a function of its request. Errors in
//! a merchant's data are a [`DataFault`]; errors that only a program can make are faults.

mod actions;
mod durations;
mod known;
mod rules;
mod shipment;

pub use actions::{Action, Step};
pub use durations::learn;
pub(crate) use known::complete;
pub use rules::{DataFault, Evidence};
pub use shipment::{Alternative, Shipment, ShipmentLine, Stock, Way};

use crate::{
    bounded,
    domain::{
        check::{at_most, bad},
        digest::{self, Digest},
        money::{BasisPoints, Money},
        name::Id,
        probability::Probability,
        sort,
        time::Millis,
        tracking::{LaneTimes, State},
    },
    error::Result,
    snapshot::Live,
};
use alloc::{string::String, vec::Vec};
use durations::Lanes;
use rules::Finding;
use serde::{Deserialize, Serialize};

/// Kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExceptionKind {
    /// The shipment arrives after its promise.
    Late,
    /// Other orders take the stock that it needs.
    StockOutBeforeShip,
    /// It is packed, but the carrier does not collect it.
    MissedPickup,
    /// It stays at a hub.
    MissedConnection,
    /// It was out for delivery, but was not delivered.
    MissedDelivery,
    /// There are no more scans.
    Stuck {
        /// State of the last scan.
        state: State,
    },
    /// The carrier cannot find the address.
    AddressFault,
    /// Its data are inconsistent.
    DataFault,
}

/// Asks which shipments need attention.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExceptionRequest {
    /// Root of the snapshot that supplies what the request leaves out: lanes, lateness, stock and demand, and
    /// alternatives; `None` for no snapshot.
    #[serde(deserialize_with = "digest::read_optional")]
    pub snapshot: Option<Digest>,
    /// Moment of the decision.
    pub at: Millis,
    /// Shipments, in any order.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_SHIPMENTS }, _, _>")]
    pub shipments: Vec<Shipment>,
    /// Current state of nodes, where it differs from the snapshot.
    pub live: Live,
    /// Lanes, with their durations.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_LANES }, _, _>")]
    pub lanes: Vec<LaneTimes>,
    /// Locations that scans may name; empty to allow any.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_PLACES }, _, _>")]
    pub places: Vec<Id>,
    /// Thresholds and costs.
    pub policy: Policy,
    /// Maximum number of exceptions in the reply, the worst first.
    pub limit: u32,
    /// Lateness pack; `None` for the only one loaded.
    pub late: Option<String>,
}

/// Thresholds and costs, set by the merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Minimum probability of an exception in the reply.
    pub threshold: Probability,
    /// Share of stays in a state that go wrong, before their duration is known.
    pub trouble: Probability,
    /// Cost of a late shipment.
    pub late: Cost,
    /// Cost of units that cannot be shipped; the share is of their value.
    pub stock_out: Cost,
    /// Cost of a shipment that is stuck at a node, a hub or the door.
    pub stuck: Cost,
    /// Cost of an address that the carrier cannot find.
    pub address: Cost,
    /// Cost of unreliable data.
    pub data: Cost,
}

/// Cost of an exception that comes true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Fixed part: a call, a credit, a second delivery.
    pub fixed: Money,
    /// Additional share of the shipment's value.
    pub share: BasisPoints,
}

/// Shipment that needs attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExceptionScore {
    /// Shipment.
    pub shipment: Id,
    /// Kind of exception.
    pub kind: ExceptionKind,
    /// Probability.
    pub probability: Probability,
    /// Cost times probability.
    pub severity: Money,
    /// Facts that support it.
    pub evidence: Vec<Evidence>,
    /// Actions that resolve it: each is a request that can be sent unchanged.
    pub actions: Vec<Action>,
}

impl ExceptionRequest {
    /// Maximum number of shipments in one request.
    pub const MAX_SHIPMENTS: usize = 20_000;
    /// Maximum number of lanes.
    pub const MAX_LANES: usize = 20_000;
    /// Maximum number of locations.
    pub const MAX_PLACES: usize = 20_000;

    fn check(&self) -> Result<()> {
        self.at.check()?;
        at_most("shipments", self.shipments.len(), Self::MAX_SHIPMENTS)?;
        at_most("lanes", self.lanes.len(), Self::MAX_LANES)?;
        at_most("places", self.places.len(), Self::MAX_PLACES)?;
        self.policy.check()?;
        self.places.iter().try_for_each(Id::check)?;
        self.lanes.iter().try_for_each(LaneTimes::check)?;
        self.shipments.iter().enumerate().try_for_each(|(n, shipment)| {
            shipment.check().map_err(|error| error.within(&alloc::format!("shipment {n}")))
        })
    }
}

impl Policy {
    /// Checks rates and costs.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names the invalid field.
    pub fn check(&self) -> Result<()> {
        for (what, rate) in [("threshold", self.threshold), ("trouble", self.trouble)] {
            if !(1..=Probability::CERTAIN.0).contains(&rate.0) {
                return Err(bad(alloc::format!("`{what}` is {} ten-thousandths, not 1 to 10,000", rate.0)));
            }
        }
        [self.late, self.stock_out, self.stuck, self.address, self.data].iter().try_for_each(|cost| {
            cost.fixed.check("fixed")?;
            cost.share.check("share")?;
            if cost.fixed.0 >= 0 { Ok(()) } else { Err(bad("a cost below 0")) }
        })
    }

    const fn cost(&self, kind: ExceptionKind) -> Cost {
        match kind {
            ExceptionKind::Late => self.late,
            ExceptionKind::StockOutBeforeShip => self.stock_out,
            ExceptionKind::MissedPickup
            | ExceptionKind::MissedConnection
            | ExceptionKind::MissedDelivery
            | ExceptionKind::Stuck { .. } => self.stuck,
            ExceptionKind::AddressFault => self.address,
            ExceptionKind::DataFault => self.data,
        }
    }
}

impl Default for Policy {
    /// Initial values, in cents; merchants should set their own.
    fn default() -> Self {
        let cost = |fixed, share| Cost { fixed: Money(fixed), share: BasisPoints(share) };
        Self {
            threshold: Probability(1_000),
            trouble: Probability(200),
            late: cost(500, 500),
            stock_out: cost(300, 3_000),
            stuck: cost(800, 2_000),
            address: cost(1_200, 1_000),
            data: cost(200, 0),
        }
    }
}

/// Finds exceptions, the most expensive first.
///
/// # Errors
/// [`BadRequest`](crate::ErrorKind::BadRequest) or [`TooLarge`](crate::ErrorKind::TooLarge) for a request that no
/// program should send: quantiles that do not ascend, a probability of 2, a text that is too long.
pub fn exceptions(request: &ExceptionRequest) -> Result<Vec<ExceptionScore>> {
    request.check()?;
    let ExceptionRequest { at, shipments, policy, .. } = request;
    let lanes = Lanes::new(&request.lanes)?;
    let places = sort::ascending(request.places.len(), &|a, b| request.places[a].cmp(&request.places[b]));
    let by_id = sort::ascending(shipments.len(), &|a, b| shipments[a].id.cmp(&shipments[b].id));
    let mut found: Vec<Found<'_>> = Vec::new();
    for (n, &place) in by_id.iter().enumerate() {
        let shipment = &shipments[place];
        let again = n > 0 && shipments[by_id[n - 1]].id == shipment.id;
        let known = |place: &Id| {
            request.places.is_empty() || places.binary_search_by(|&n| request.places[n].cmp(place)).is_ok()
        };
        let sound = rules::sound(shipment, *at, again, &lanes, known);
        let findings = rules::findings(shipment, *at, &sound, &lanes, policy);
        found.extend(findings.into_iter().map(|finding| {
            let Cost { fixed, share } = policy.cost(finding.kind);
            let cost = Money(fixed.0 + finding.stake.share(share).0);
            Found { shipment, severity: cost.share(finding.probability.rate()), state: sound.state, finding }
        }));
    }
    // Ties stay in the order in which they were found: by shipment, then by kind.
    let worst = sort::ascending(found.len(), &|a, b| found[b].severity.cmp(&found[a].severity));
    let scores = worst.into_iter().take(request.limit as usize).map(|n| found[n].score());
    Ok(scores.collect())
}

/// Finding with its shipment and severity.
struct Found<'a> {
    shipment: &'a Shipment,
    state: State,
    severity: Money,
    finding: Finding,
}

impl Found<'_> {
    fn score(&self) -> ExceptionScore {
        let Finding { kind, probability, evidence, .. } = &self.finding;
        let actions = actions::of(self.shipment, self.state, *kind, self.severity, evidence);
        ExceptionScore {
            shipment: self.shipment.id.clone(),
            kind: *kind,
            probability: *probability,
            severity: self.severity,
            evidence: evidence.clone(),
            actions,
        }
    }
}

#[cfg(test)]
mod tests;
