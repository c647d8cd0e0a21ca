//! What can be done.

use super::{Evidence, ExceptionKind, Shipment, Way};
use crate::domain::{line::Line, money::Money, name::Id, time::Millis, tracking::State};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Something that can be done about a shipment: a request that can be sent as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The shipment.
    pub shipment: Id,
    /// Its order.
    pub order: Id,
    /// What is to be done.
    pub step: Step,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Send it from another node.
    Reroute {
        /// The node that has it.
        from: Id,
        /// The node that is to send it.
        to: Id,
        /// What that costs on top.
        cost: Money,
    },
    /// Send what is there, and the rest later.
    Split {
        /// What is sent.
        now: Vec<Line>,
        /// What waits.
        later: Vec<Line>,
    },
    /// Send it by another service.
    Upgrade {
        /// The service.
        service: Id,
        /// What that costs on top.
        cost: Money,
    },
    /// Let nothing happen to it until someone has looked.
    Hold,
    /// Tell the customer.
    Notify {
        /// What.
        kind: ExceptionKind,
        /// What was promised.
        #[serde(deserialize_with = "Millis::of_any_year")]
        promised: Millis,
    },
}

/// What can be done about an exception, the best first. Other ways are named where they keep the promise
/// and cost less than what they avert; of each kind the cheapest.
pub(super) fn of(
    shipment: &Shipment,
    state: State,
    kind: ExceptionKind,
    severity: Money,
    evidence: &[Evidence],
) -> Vec<Action> {
    let step = |step| Action { shipment: shipment.id.clone(), order: shipment.order.clone(), step };
    let mut actions = Vec::new();
    match kind {
        ExceptionKind::DataFault => {
            if state.is_at_node() {
                actions.push(step(Step::Hold));
            }
            return actions;
        }
        ExceptionKind::AddressFault => actions.push(step(Step::Hold)),
        ExceptionKind::MissedDelivery => {}
        _ => {
            let stock_out = kind == ExceptionKind::StockOutBeforeShip;
            if state.is_at_node()
                && let Some((to, cost)) = cheapest(shipment, severity, |way| matches!(way, Way::Node(_)))
            {
                actions.push(step(Step::Reroute { from: shipment.node.clone(), to: to.clone(), cost }));
            }
            if let Some((service, cost)) = cheapest(shipment, severity, |way| matches!(way, Way::Service(_)))
                && !stock_out
            {
                actions.push(step(Step::Upgrade { service: service.clone(), cost }));
            }
            let (later, now): (Vec<_>, Vec<_>) = units(shipment).partition(|line| is_short(line, evidence));
            if stock_out && !now.is_empty() {
                actions.push(step(Step::Split { now, later }));
            }
        }
    }
    actions.push(step(Step::Notify { kind, promised: shipment.promised }));
    actions
}

/// The cheapest other way that keeps the promise for less than a sum; of equals the first by name.
fn cheapest(shipment: &Shipment, below: Money, wanted: impl Fn(&Way) -> bool) -> Option<(&Id, Money)> {
    let fits = shipment
        .alternatives
        .iter()
        .filter(|other| wanted(&other.way) && other.arrives <= shipment.promised && other.cost < below);
    let ways = fits.map(|other| {
        let (Way::Node(id) | Way::Service(id)) = &other.way;
        (id, other.cost)
    });
    ways.min_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(b.0)))
}

fn units(shipment: &Shipment) -> impl Iterator<Item = Line> {
    let lines = shipment.lines.iter().filter(|line| line.quantity > 0);
    lines.map(|line| Line { sku: line.sku.clone(), quantity: line.quantity })
}

fn is_short(line: &Line, evidence: &[Evidence]) -> bool {
    evidence.iter().any(|evidence| matches!(evidence, Evidence::Stock { sku, .. } if *sku == line.sku))
}
