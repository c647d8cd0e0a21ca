//! Exceptions: which shipments something is about to go wrong with, what that costs, and what can be
//! done about it.
//!
//! ```text
//! shipments with scans ─┐
//! durations of lanes ───┼→ findings → expected cost → actions → the worst first
//! lateness, stock ──────┘
//! ```
//!
//! - [`Late`](ExceptionKind::Late): what the lateness model says of the leg, and what lanes usually
//!   take from here to the door;
//! - [`StockOutBeforeShip`](ExceptionKind::StockOutBeforeShip): demand against what can be promised;
//! - missed pickup, connection and delivery, and [`Stuck`](ExceptionKind::Stuck): one rule, a stay that
//!   takes longer than such stays do, named by where it happens;
//! - faults of addresses and data: what scans say, or cannot say.
//!
//! Whatever is listed has a probability, and a severity in money: that probability of what the
//! merchant's [`Policy`] says the kind costs. Equal severities go by shipment, so a reply is a function
//! of its request. What can be wrong in a merchant's data is a [`DataFault`]; what can only be wrong in
//! a program is an error.

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

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// It arrives after it was promised.
    Late,
    /// Others are sold what it waits for.
    StockOutBeforeShip,
    /// It is packed, and the carrier does not come for it.
    MissedPickup,
    /// It lies at a hub.
    MissedConnection,
    /// It was to be delivered, and was not.
    MissedDelivery,
    /// Nothing happens.
    Stuck {
        /// Since this did.
        state: State,
    },
    /// The carrier cannot find the address.
    AddressFault,
    /// What is known of it contradicts itself.
    DataFault,
}

/// Which shipments, and what is known about where they go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExceptionRequest {
    /// The root of the snapshot from which what the request does not say is added: lanes, lateness, stock and
    /// demand, and other ways to send; `None` where nothing is.
    #[serde(deserialize_with = "digest::read_optional")]
    pub snapshot: Option<Digest>,
    /// The moment of the decision.
    pub at: Millis,
    /// The shipments, in any order.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_SHIPMENTS }, _, _>")]
    pub shipments: Vec<Shipment>,
    /// What is not as the snapshot says.
    pub live: Live,
    /// The lanes that exist, and how long they take.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_LANES }, _, _>")]
    pub lanes: Vec<LaneTimes>,
    /// The places that scans may name; empty where they may name any.
    #[serde(deserialize_with = "bounded::list::<{ ExceptionRequest::MAX_PLACES }, _, _>")]
    pub places: Vec<Id>,
    /// What is listed, and what it costs.
    pub policy: Policy,
    /// How many exceptions are wanted, the worst first.
    pub limit: u32,
    /// The pack that tells how likely shipments are late; `None` where one is loaded, and no other.
    pub late: Option<String>,
}

/// What a merchant wants to see, and what it costs when it comes true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The least probability with which something is listed.
    pub threshold: Probability,
    /// The share of stays in a state that go wrong, before it is known how long one lasts.
    pub trouble: Probability,
    /// A late shipment.
    pub late: Cost,
    /// Units that cannot be sent; the share is of the value of those.
    pub stock_out: Cost,
    /// A shipment that is stuck, at a node, a hub or the door.
    pub stuck: Cost,
    /// An address that is not found.
    pub address: Cost,
    /// Data that cannot be relied on.
    pub data: Cost,
}

/// What something costs when it comes true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Whatever the shipment is worth: a call, a credit, a second delivery.
    pub fixed: Money,
    /// On top, this share of what it is worth.
    pub share: BasisPoints,
}

/// Something that is about to go wrong, or has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionScore {
    /// With this shipment.
    pub shipment: Id,
    /// What.
    pub kind: ExceptionKind,
    /// How likely.
    pub probability: Probability,
    /// What it costs, times how likely it is.
    pub severity: Money,
    /// From what that follows.
    pub evidence: Vec<Evidence>,
    /// What can be done: each is a request that can be sent as it stands.
    pub actions: Vec<Action>,
}

impl ExceptionRequest {
    /// The most shipments in one request.
    pub const MAX_SHIPMENTS: usize = 20_000;
    /// The most lanes.
    pub const MAX_LANES: usize = 20_000;
    /// The most places.
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
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names what does not hold.
    pub fn check(&self) -> Result<()> {
        for (what, rate) in [("threshold", self.threshold), ("trouble", self.trouble)] {
            if !(1..=Probability::CERTAIN.0).contains(&rate.0) {
                return Err(bad(alloc::format!("`{what}` is {} ten-thousandths; 1 to 10,000 are taken", rate.0)));
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
    /// A guess to begin with, in cents: a merchant knows better.
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

/// Finds what is about to go wrong, the most expensive first.
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
    // Equal severities stay in the order in which they were found: by shipment, then by kind.
    let worst = sort::ascending(found.len(), &|a, b| found[b].severity.cmp(&found[a].severity));
    let scores = worst.into_iter().take(request.limit as usize).map(|n| found[n].score());
    Ok(scores.collect())
}

/// A finding, what it costs, and with what.
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
