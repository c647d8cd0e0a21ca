//! Facts about shipments from a snapshot and the lateness model.

use super::{Alternative, ExceptionRequest, Shipment, Stock, Way};
use crate::{
    domain::{
        money::Money,
        name::Id,
        time::Millis,
        tracking::{LaneTimes, State},
    },
    error::Result,
    model::late::{LateRisk, Leg},
    snapshot::{Fulfilment, FulfilmentNode, Lane, LiveNode, Snapshot},
};
use alloc::{string::ToString, vec::Vec};
use core::mem;

/// Completes a request from a snapshot: lanes, probabilities that legs are late, stock and demand of unpacked
/// shipments, and other nodes that could ship them.
pub(crate) fn complete(
    request: &mut ExceptionRequest,
    snapshot: &Snapshot,
    late: Option<&mut LateRisk<'_>>,
) -> Result<()> {
    snapshot.holds(request.at)?;
    let Some(fulfilment) = &snapshot.fulfilment else { return Ok(()) };
    let live = mem::take(&mut request.live);
    let known = Known { snapshot, fulfilment, nodes: live.nodes(fulfilment)?, at: request.at };
    if request.lanes.is_empty() {
        request.lanes = fulfilment.lanes.iter().filter_map(|lane| known.times(lane)).collect();
    }
    for shipment in &mut request.shipments {
        known.add(shipment)?;
    }
    let Some(late) = late else { return Ok(()) };
    let unknown = request.shipments.iter_mut().filter(|shipment| shipment.leg.is_none());
    let asked = unknown.filter_map(|shipment| known.leg(shipment).map(|leg| (shipment, leg)));
    let (shipments, legs): (Vec<_>, Vec<_>) = asked.unzip();
    let risks = late(&legs)?;
    shipments.into_iter().zip(risks).for_each(|(shipment, risk)| shipment.leg = Some(risk));
    Ok(())
}

struct Known<'a> {
    snapshot: &'a Snapshot,
    fulfilment: &'a Fulfilment,
    /// Nodes of the snapshot in their current state, in the snapshot's order.
    nodes: Vec<LiveNode<'a>>,
    at: Millis,
}

impl<'a> Known<'a> {
    fn times(&self, lane: &Lane) -> Option<LaneTimes> {
        let node = self.fulfilment.nodes.get(usize::from(lane.node))?;
        let region = self.snapshot.storefront.regions.get(usize::from(lane.region))?;
        Some(LaneTimes {
            node: Id::new(node.code.to_string()).ok()?,
            region: Id::new(region.code.to_string()).ok()?,
            min_days: lane.min_days,
            max_days: lane.max_days,
            states: lane.states.clone(),
        })
    }

    /// Indices of a shipment's node and region, and the lane between them; `None` if there is no lane.
    fn way(&self, shipment: &Shipment) -> Option<(usize, usize, &'a Lane)> {
        let node = self.fulfilment.nodes.iter().position(|node| node.code.as_str() == shipment.node.as_str())?;
        let regions = &self.snapshot.storefront.regions;
        let region = regions.iter().position(|region| region.code.as_str() == shipment.region.as_str())?;
        Some((node, region, self.fulfilment.lane(node, region)?))
    }

    fn leg(&self, shipment: &Shipment) -> Option<Leg<'a>> {
        let (node, region, lane) = self.way(shipment)?;
        let node = self.fulfilment.nodes.get(node)?;
        let left = shipment.scans.iter().find(|scan| scan.state == State::PickedUp).map(|scan| scan.at);
        Some(Leg {
            from: node.code.as_str(),
            to: self.snapshot.storefront.regions.get(region)?.code.as_str(),
            departs: left.unwrap_or_else(|| node.departure(self.at)),
            utc_offset: node.utc_offset,
            distance: f32::from(lane.distance),
        })
    }

    /// Adds stock, demand and alternative nodes to an unpacked shipment.
    fn add(&self, shipment: &mut Shipment) -> Result<()> {
        shipment.check()?;
        let Some((place, region, lane)) = self.way(shipment) else { return Ok(()) };
        let Some(from) = self.nodes.get(place) else { return Ok(()) };
        let node = from.node;
        if shipment.scans.iter().any(|scan| scan.state >= State::Packed) {
            return Ok(());
        }
        let days = (node.departure(self.at).0 - self.at.0) as f32 / Millis::DAY as f32;
        let share = self.snapshot.node_shares.get(place).copied().unwrap_or_default() * days / 7.0;
        let catalog = &self.snapshot.storefront.catalog;
        for line in shipment.lines.iter_mut().filter(|line| line.stock.is_none()) {
            let id = catalog.id(&line.sku);
            let demand = id.and_then(|id| self.snapshot.forecast.as_ref()?.of(id)).map(|weeks| weeks[0].part(share));
            if let (Some(id), Some(demand)) = (id, demand) {
                // The shipment's units are reserved for it, so `available` does not include them.
                let available = from.available(&line.sku, Some(id)).saturating_add(line.quantity);
                line.stock = Some(Stock { available, demand });
            }
        }
        if !shipment.alternatives.iter().any(|other| matches!(other.way, Way::Node(_))) {
            let now = freight(node, lane, shipment);
            let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != place);
            let ways = others.filter(|(_, other)| !other.closed && other.room > 0).filter_map(|(other, live)| {
                let node = live.node;
                let lane = self.fulfilment.lane(other, region)?;
                let has_all =
                    shipment.lines.iter().all(|line| live.available(&line.sku, catalog.id(&line.sku)) >= line.quantity);
                let days = Millis::DAY * i64::from(lane.max_days);
                has_all.then_some(())?;
                Some(Alternative {
                    way: Way::Node(Id::new(node.code.to_string()).ok()?),
                    // Limited to a valid amount, for any number of units.
                    cost: Money((freight(node, lane, shipment) - now).clamp(-Money::MAX.0, Money::MAX.0)),
                    arrives: Millis(node.departure(self.at).0 + days),
                })
            });
            let room = Shipment::MAX_ALTERNATIVES.saturating_sub(shipment.alternatives.len());
            let ways: Vec<_> = ways.take(room).collect();
            shipment.alternatives.extend(ways);
        }
        Ok(())
    }
}

/// Cost of shipping from a node over a lane, in minor units.
fn freight(node: &FulfilmentNode, lane: &Lane, shipment: &Shipment) -> i64 {
    let units: i64 = shipment.lines.iter().map(|line| i64::from(line.quantity)).sum();
    let unit = node.unit_handling.0.saturating_add(lane.unit_cost.0);
    node.handling.0.saturating_add(lane.cost.0).saturating_add(unit.saturating_mul(units))
}
