//! What can be found out about a shipment.

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

/// From what an exception follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// What the lateness model says of the leg.
    Leg {
        /// The probability that it arrives late.
        probability: Probability,
    },
    /// The promise is broken.
    Overdue {
        /// What was promised.
        #[serde(deserialize_with = "Millis::of_any_year")]
        promised: Millis,
        /// Minutes since then.
        minutes: u32,
    },
    /// How long such shipments take from here to the door.
    ToDelivery {
        /// The state that it is in.
        state: State,
        /// Since when.
        #[serde(deserialize_with = "Millis::of_any_year")]
        since: Millis,
        /// Minutes from the state to delivery.
        typical: Quantiles,
        /// The probability to arrive after the promise, seeing that it is not there yet.
        probability: Probability,
    },
    /// How long such shipments stay in the state.
    Stay {
        /// The state that it is in.
        state: State,
        /// Since when.
        #[serde(deserialize_with = "Millis::of_any_year")]
        since: Millis,
        /// Minutes since then.
        minutes: u32,
        /// Minutes in the state.
        typical: Quantiles,
    },
    /// What is asked of a product before the shipment leaves.
    Stock {
        /// The product.
        sku: Sku,
        /// Units that it needs.
        quantity: u32,
        /// Units that can be promised, these among them.
        available: u32,
        /// Units that others ask for.
        demand: Quantiles,
        /// The probability that they leave too few.
        probability: Probability,
    },
    /// What happened.
    Scanned {
        /// What.
        state: State,
        /// When.
        #[serde(deserialize_with = "Millis::of_any_year")]
        at: Millis,
    },
    /// What contradicts itself.
    Fault(DataFault),
}

/// What cannot be right in a merchant's or carrier's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFault {
    /// A scan is earlier than the one before it, or than the shipment. It was passed over.
    OutOfOrder {
        /// Its place among the shipment's scans.
        scan: u16,
    },
    /// A scan lies after the moment of the decision. It was passed over.
    InFuture {
        /// Its place among the shipment's scans.
        scan: u16,
    },
    /// A scan lies after the delivery. It was passed over.
    AfterDelivery {
        /// Its place among the shipment's scans.
        scan: u16,
    },
    /// A scan names a place that is not among those of the request.
    UnknownPlace {
        /// Its place among the shipment's scans.
        scan: u16,
        /// What it names.
        place: Id,
    },
    /// No lane of the request goes from its node to its region.
    UnknownLane,
    /// There is nothing in it.
    NoLines,
    /// A line of 0 units.
    NoUnits {
        /// The product.
        sku: Sku,
    },
    /// It is made after the moment of the decision.
    CreatedInFuture,
    /// It was promised for a moment before it was made.
    PromisedTooEarly,
    /// A shipment of the same name is in the request.
    Twice,
}

/// Something that was found, before it is priced.
pub(super) struct Finding {
    pub kind: ExceptionKind,
    pub probability: Probability,
    /// The value that is at stake.
    pub stake: Money,
    pub evidence: Vec<Evidence>,
}

/// A shipment's state, from the scans that can be right, and what cannot be.
pub(super) struct Sound {
    pub state: State,
    since: Millis,
    faults: Vec<DataFault>,
}

/// Sorts what can be right from what cannot.
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

/// What is wrong with a shipment, or will be, by kind.
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

/// The promise is broken, or will be: the leg is late, or what the lane usually takes from here is
/// longer than what is left. Whichever is more likely counts.
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

/// Others are sold what it waits for: they ask for more than what is left after it is served.
fn stock_out(shipment: &Shipment, state: State, threshold: Probability) -> Option<Finding> {
    let kind = ExceptionKind::StockOutBeforeShip;
    let mut finding = Finding { kind, probability: Probability(0), stake: Money(0), evidence: Vec::new() };
    for line in shipment.lines.iter().filter(|_| state == State::Created) {
        let Some(stock) = line.stock else { continue };
        let spare = i64::from(stock.available) - i64::from(line.quantity);
        // Units are whole: more than `n` are asked for where more than n + ½ are.
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

/// It stays in a state for longer than others do. Of all stays the share *t* goes wrong and does not
/// end; *S* is the share of the others that last as long as this one. So by Bayes it has gone wrong with
/// the probability *t / (t + (1 − t) S)*.
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
