//! Actions that resolve exceptions.

use super::{Evidence, ExceptionKind, Shipment, Way};
use crate::domain::{line::Line, money::Money, name::Id, time::Millis, tracking::State};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Action for a shipment: a request that can be sent unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Action {
    /// Shipment.
    pub shipment: Id,
    /// Order of the shipment.
    pub order: Id,
    /// Step to take.
    pub step: Step,
}

/// Step that an action takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ActionStep))]
pub enum Step {
    /// Ship it from another node.
    Reroute {
        /// Current node.
        from: Id,
        /// Node that ships it instead.
        to: Id,
        /// Additional cost.
        cost: Money,
    },
    /// Ship the available units now, and the rest later.
    Split {
        /// Units that ship now.
        now: Vec<Line>,
        /// Units that wait.
        later: Vec<Line>,
    },
    /// Ship it by another service.
    Upgrade {
        /// Service of the carrier.
        service: Id,
        /// Additional cost.
        cost: Money,
    },
    /// Hold it until someone has checked.
    Hold,
    /// Notify the customer.
    Notify {
        /// Kind of exception.
        kind: ExceptionKind,
        /// Promised moment of delivery.
        #[serde(deserialize_with = "Millis::of_any_year")]
        promised: Millis,
    },
}

/// Actions for an exception, the best first. Alternatives are included if they keep the promise and cost less than the
/// severity they avert; only the cheapest of each kind.
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

/// Cheapest alternative that keeps the promise and costs less than `below`; ties in order of name.
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
