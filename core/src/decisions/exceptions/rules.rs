//! Rules that find exceptions.

use super::{
    ExceptionKind, Policy, Shipment,
    durations::{Lanes, minutes},
};
use crate::domain::{
    money::Money,
    name::Id,
    probability::Probability,
    quantiles::Quantiles,
    sku::Sku,
    time::Millis,
    tracking::{LaneTimes, State},
};
use alloc::{vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// Fact that supports an exception.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Evidence {
    /// Output of the lateness model for the leg.
    Leg {
        /// Probability that it arrives late.
        probability: Probability,
    },
    /// The promise is broken.
    Overdue {
        /// Promised moment of delivery.
        #[serde(deserialize_with = "Millis::of_any_year")]
        promised: Millis,
        /// Minutes since then.
        minutes: u32,
    },
    /// Usual time from the current state to delivery.
    ToDelivery {
        /// Current state.
        state: State,
        /// Moment at which the state began.
        #[serde(deserialize_with = "Millis::of_any_year")]
        since: Millis,
        /// Minutes from the state to delivery.
        typical: Quantiles,
        /// Probability of arriving after the promise, given that it has not arrived yet.
        probability: Probability,
    },
    /// Usual duration of the current state.
    Stay {
        /// Current state.
        state: State,
        /// Moment at which the state began.
        #[serde(deserialize_with = "Millis::of_any_year")]
        since: Millis,
        /// Minutes since then.
        minutes: u32,
        /// Usual minutes in the state.
        typical: Quantiles,
    },
    /// Demand for a product before the shipment leaves.
    Stock {
        /// Product.
        sku: Sku,
        /// Units in the shipment.
        quantity: u32,
        /// Units available to promise, including those of the shipment.
        available: u32,
        /// Demand of other orders, in units.
        demand: Quantiles,
        /// Probability that this demand leaves too few units.
        probability: Probability,
    },
    /// Last valid scan.
    Scanned {
        /// State of the scan.
        state: State,
        /// Moment of the scan.
        #[serde(deserialize_with = "Millis::of_any_year")]
        at: Millis,
    },
    /// Error in the data.
    Fault(DataFault),
}

/// Error in a merchant's or carrier's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DataFault {
    /// A scan is earlier than the previous one, or than the shipment. It is ignored.
    OutOfOrder {
        /// Index of the scan.
        scan: u16,
    },
    /// A scan is later than the decision. It is ignored.
    InFuture {
        /// Index of the scan.
        scan: u16,
    },
    /// A scan is later than the delivery. It is ignored.
    AfterDelivery {
        /// Index of the scan.
        scan: u16,
    },
    /// A scan names a location that is not in the request.
    UnknownPlace {
        /// Index of the scan.
        scan: u16,
        /// Location that it names.
        place: Id,
    },
    /// The request has no lane from its node to its region.
    UnknownLane,
    /// It has no lines.
    NoLines,
    /// A line has 0 units.
    NoUnits {
        /// Product.
        sku: Sku,
    },
    /// It was created after the decision.
    CreatedInFuture,
    /// Its promise is earlier than its creation.
    PromisedTooEarly,
    /// Another shipment in the request has the same name.
    Twice,
}

/// Exception before its cost is computed.
pub(super) struct Finding {
    pub kind: ExceptionKind,
    pub probability: Probability,
    /// Value at stake.
    pub stake: Money,
    pub evidence: Vec<Evidence>,
}

/// State of a shipment from its valid scans, and the errors in its data.
pub(super) struct Sound {
    pub state: State,
    since: Millis,
    faults: Vec<DataFault>,
}

/// Separates valid scans from errors.
pub(super) fn sound(
    shipment: &Shipment,
    at: Millis,
    again: bool,
    lanes: &Lanes<'_>,
    known: impl Fn(&Id) -> bool,
) -> Sound {
    let Shipment { lines, created, promised, scans, .. } = shipment;
    let wholes = [
        (again, DataFault::Twice),
        (lanes.of(shipment).is_none(), DataFault::UnknownLane),
        (lines.is_empty(), DataFault::NoLines),
        (*created > at, DataFault::CreatedInFuture),
        (promised < created, DataFault::PromisedTooEarly),
    ];
    let mut faults: Vec<_> = wholes.into_iter().filter(|(found, _)| *found).map(|(_, fault)| fault).collect();
    let empty = lines.iter().filter(|line| line.quantity == 0);
    faults.extend(empty.map(|line| DataFault::NoUnits { sku: line.sku.clone() }));
    let (mut state, mut since) = (State::Created, *created);
    for (scan, found) in (0..).zip(scans) {
        if !known(&found.place) {
            faults.push(DataFault::UnknownPlace { scan, place: found.place.clone() });
        }
        if found.at > at {
            faults.push(DataFault::InFuture { scan });
        } else if found.at < since {
            faults.push(DataFault::OutOfOrder { scan });
        } else if state == State::Delivered {
            faults.push(DataFault::AfterDelivery { scan });
        } else {
            (state, since) = (found.state, found.at);
        }
    }
    Sound { state, since, faults }
}

/// Exceptions of a shipment, by kind.
pub(super) fn findings(
    shipment: &Shipment,
    at: Millis,
    sound: &Sound,
    lanes: &Lanes<'_>,
    policy: &Policy,
) -> Vec<Finding> {
    let lane = lanes.of(shipment);
    let certain =
        |kind, evidence| Finding { kind, probability: Probability::CERTAIN, stake: shipment.value(), evidence };
    let scanned = || vec![Evidence::Scanned { state: sound.state, at: sound.since }];
    let by_state = match sound.state {
        State::Delivered => None,
        State::AddressRejected => Some(certain(ExceptionKind::AddressFault, scanned())),
        State::Attempted => Some(certain(ExceptionKind::MissedDelivery, scanned())),
        _ => lane.and_then(|lane| stay(shipment, at, sound, lane, policy.trouble)),
    };
    let faults: Vec<_> = sound.faults.iter().cloned().map(Evidence::Fault).collect();
    let data = (!faults.is_empty()).then(|| certain(ExceptionKind::DataFault, faults));
    let found = [late(shipment, at, sound, lane), stock_out(shipment, sound.state, policy.threshold), by_state, data];
    found.into_iter().flatten().filter(|finding| finding.probability >= policy.threshold).collect()
}

/// Lateness: the promise is broken, the leg is late, or the usual time from here is longer than the time left. The
/// greatest probability counts.
fn late(shipment: &Shipment, at: Millis, sound: &Sound, lane: Option<&LaneTimes>) -> Option<Finding> {
    let Shipment { promised, leg, .. } = shipment;
    let &Sound { state, since, .. } = sound;
    if state == State::Delivered {
        return None;
    }
    let (kind, stake) = (ExceptionKind::Late, shipment.value());
    if at > *promised {
        let evidence = vec![Evidence::Overdue { promised: *promised, minutes: minutes(*promised, at) as u32 }];
        return Some(Finding { kind, probability: Probability::CERTAIN, stake, evidence });
    }
    let (mut evidence, mut most) = (Vec::new(), Probability(0));
    let mut add = |probability: f32, of: &dyn Fn(Probability) -> Evidence| {
        let probability = Probability::nearest(probability);
        most = most.max(probability);
        evidence.push(of(probability));
    };
    if let Some(leg) = *leg {
        add(leg, &|probability| Evidence::Leg { probability });
    }
    if let Some(typical) = lane.and_then(|lane| lane.to_delivery(state)) {
        let (left, so_far) = (typical.exceed(minutes(since, *promised)), typical.exceed(minutes(since, at)));
        let probability = if left < so_far { left / so_far } else { 1.0 };
        add(probability, &|probability| Evidence::ToDelivery { state, since, typical, probability });
    }
    Some(Finding { kind, probability: most, stake, evidence })
}

/// Stock-out: demand of others exceeds the units left after this shipment is served.
fn stock_out(shipment: &Shipment, state: State, threshold: Probability) -> Option<Finding> {
    let kind = ExceptionKind::StockOutBeforeShip;
    let mut finding = Finding { kind, probability: Probability(0), stake: Money(0), evidence: Vec::new() };
    for line in shipment.lines.iter().filter(|_| state == State::Created) {
        let Some(stock) = line.stock else { continue };
        let spare = i64::from(stock.available) - i64::from(line.quantity);
        // Units are whole numbers: demand exceeds `n` if it exceeds n + ½.
        let probability = Probability::nearest(stock.demand.exceed(spare as f32 + 0.5));
        if probability >= threshold {
            finding.probability = finding.probability.max(probability);
            finding.stake.0 += line.value.0;
            finding.evidence.push(Evidence::Stock {
                sku: line.sku.clone(),
                quantity: line.quantity,
                available: stock.available,
                demand: stock.demand,
                probability,
            });
        }
    }
    (!finding.evidence.is_empty()).then_some(finding)
}

/// Stay that is longer than usual. A share *t* of all stays goes wrong and does not end; *S* is the share of the others
/// that last as long as this one. By Bayes' theorem, the probability that this stay has gone wrong is *t / (t + (1 − t)
/// S)*.
fn stay(shipment: &Shipment, at: Millis, sound: &Sound, lane: &LaneTimes, trouble: Probability) -> Option<Finding> {
    let &Sound { state, since, .. } = sound;
    let kind = match state {
        State::Packed => ExceptionKind::MissedPickup,
        State::Arrived => ExceptionKind::MissedConnection,
        State::OutForDelivery => ExceptionKind::MissedDelivery,
        _ => ExceptionKind::Stuck { state },
    };
    let typical = lane.stay(state)?;
    let so_far = minutes(since, at);
    let trouble = trouble.0 as f32 / Probability::CERTAIN.0 as f32;
    let probability = Probability::nearest(trouble / (trouble + (1.0 - trouble) * typical.exceed(so_far)));
    let evidence = vec![Evidence::Stay { state, since, minutes: so_far.max(0.0) as u32, typical }];
    Some(Finding { kind, probability, stake: shipment.value(), evidence })
}
