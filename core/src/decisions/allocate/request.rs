//! Requests and answers of allocations: by name, over a snapshot.

use super::{
    Allocation, Breakdown, Capacity, Costs, Held, Lane, Node, Order, OrderLine, Problem, Reason, Stock,
    network::Network, problem::cost,
};
use crate::{
    bounded,
    domain::{
        check::{at_most, bad},
        digest::{self, Digest},
        line::Line,
        money::Money,
        name::{Code, Id},
        price_guard::Floor,
        probability::Probability,
        sku::{Sku, SkuId},
        sort,
        time::{Day, Millis},
    },
    error::{Error, Result},
    model::late::{LateRisk, Leg},
    snapshot::{Forecast, Fulfilment, Live, LiveNode, Snapshot, only_public},
};
use alloc::{format, string::String, vec, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize};

/// Asks from which nodes orders ship.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateRequest {
    /// Root of the snapshot with stock and lanes.
    #[serde(deserialize_with = "digest::read")]
    pub snapshot: Digest,
    /// Moment of the decision.
    pub at: Millis,
    /// Orders.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDERS }, _, _>")]
    pub orders: Vec<ShopOrder>,
    /// Costs that are the same for all orders.
    pub policy: AllocationPolicy,
    /// Current state of nodes, where it differs from the snapshot.
    pub live: Live,
    /// Previous plan, for replanning: units stay at their node unless moving them saves more than
    /// [`AllocationPolicy::change`]. The stock in this request must include its units, and the booked shipments must
    /// not include its shipments.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_LINES }, _, _>")]
    pub previous: Vec<Planned>,
    /// Lateness pack; `None` for the only one loaded.
    pub late: Option<String>,
}

/// Order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Order))]
pub struct ShopOrder {
    /// Name of the order.
    pub id: Id,
    /// Region of the destination.
    pub region: Code,
    /// Lines; each product at most once.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 500))]
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDER_LINES }, _, _>")]
    pub lines: Vec<Line>,
    /// Promised day of arrival.
    pub promised: Day,
    /// Priority, from 0 (first) to 7.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(maximum = 7))]
    pub priority: u8,
    /// Whether the order is all or nothing.
    #[serde(default)]
    pub complete: bool,
    /// Maximum number of shipments beyond the first; no limit if absent.
    #[serde(default = "any_splits", deserialize_with = "max_splits")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u16>))]
    pub max_splits: u16,
    /// The only node that may ship it.
    #[serde(default)]
    pub pinned: Option<Code>,
    /// Nodes that may not ship it.
    #[serde(default, deserialize_with = "bounded::list::<{ Problem::MAX_NODES }, _, _>")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub excluded: Vec<Code>,
}

/// Costs in addition to those of lanes and nodes in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AllocationPolicy {
    /// Cost of each day that a shipment arrives after the promised day.
    pub day_late: Money,
    /// Cost of a late shipment, in addition to the days that are known now; multiplied by its probability.
    pub late: Money,
    /// Cost of each shipment of an order beyond its first.
    pub split: Money,
    /// Cost of a unit that is not shipped.
    pub missing: Money,
    /// Cost of a unit that a node lacks for a future order; multiplied by its probability. The value of reducing excess
    /// stock is in [`CoverPolicy`](crate::price_guard::CoverPolicy).
    pub stock_out: Money,
    /// Cost of a unit of the previous plan that no longer ships from its node.
    pub change: Money,
}

/// Units of the previous plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Order.
    pub order: Id,
    /// Node.
    pub node: Code,
    /// Product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
}

/// Answer to an [`AllocateRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    /// Result for each order, in the request's order.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDERS }, _, _>")]
    pub orders: Vec<AllocatedOrder>,
    /// Total cost of all orders.
    pub total: Money,
    /// Lower bound on the cost of every plan: a better plan saves at most the difference.
    pub bound: Money,
}

/// Plan of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AllocatedOrder {
    /// Name of the order.
    pub id: Id,
    /// Shipments, by node.
    pub shipments: Vec<OrderShipment>,
    /// Units that are not shipped.
    pub shortfalls: Vec<OrderShortfall>,
    /// Cost, by cause.
    pub cost: Breakdown,
}

/// Shipment from one node for one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AllocatedShipment))]
pub struct OrderShipment {
    /// Node that ships it.
    pub node: Code,
    /// Day on which it leaves, in the node's local time.
    pub dispatch: Day,
    /// Day on which it arrives, if it is not late.
    pub arrival: Day,
    /// Probability that it is late.
    pub late: Probability,
    /// Products in it.
    pub lines: Vec<Line>,
}

/// Units that are not shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderShortfall {
    /// Product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// Reason.
    pub reason: Reason,
}

impl AllocateRequest {
    /// Checks the request like an answer to it, without answering: for services that accept orders and plan them later.
    ///
    /// # Errors
    /// Errors of an answer to the request.
    pub fn check(&self, snapshot: &Snapshot) -> Result<()> {
        let problem = Desk::new(snapshot, self)?.problem(&mut |legs| Ok(vec![0.0; legs.len()]))?;
        Network::new(&problem).map(drop)
    }
}

impl ShopOrder {
    /// Maximum units of an order that is accepted for later planning: few enough that sums cannot overflow after more
    /// days, or with a previous plan.
    pub const MAX_UNITS: usize = 1_000_000;

    /// Checks an order alone, for services that accept orders. [`AllocateRequest::check`] also checks what depends on
    /// the snapshot.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) or [`TooLarge`](crate::ErrorKind::TooLarge) names the invalid
    /// field.
    pub fn check(&self) -> Result<()> {
        self.check_names()?;
        if self.lines.is_empty() {
            return Err(bad("an order needs lines, each of one unit or more"));
        }
        at_most("lines in an order", self.lines.len(), Problem::MAX_ORDER_LINES)?;
        at_most("nodes in `excluded`", self.excluded.len(), Problem::MAX_NODES)?;
        for (place, line) in self.lines.iter().enumerate() {
            if self.lines.iter().take(place).any(|other| other.sku == line.sku) {
                return Err(bad(format!("`{}` is in two lines; put its units into one", line.sku)));
            }
        }
        let units = self.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
        at_most("units in an order", usize::try_from(units).unwrap_or(usize::MAX), Self::MAX_UNITS)?;
        if self.priority > Problem::MAX_PRIORITY {
            let (found, most) = (self.priority, Problem::MAX_PRIORITY);
            return Err(bad(format!("`priority` is {found}, not a number from 0 (first) to {most}")));
        }
        self.promised.check().map_err(|error| error.within("`promised`"))?;
        [Some(&self.region), self.pinned.as_ref()].into_iter().flatten().chain(&self.excluded).try_for_each(Code::check)
    }

    /// Checks the names in the order and its lines.
    fn check_names(&self) -> Result<()> {
        self.id.check()?;
        self.lines.iter().try_for_each(Line::check)
    }
}

impl AllocatedOrder {
    /// Shipments as parts of a previous plan.
    pub fn planned(&self) -> impl Iterator<Item = Planned> {
        let lines = self.shipments.iter().flat_map(|shipment| shipment.lines.iter().map(move |line| (shipment, line)));
        lines.map(|(OrderShipment { node, .. }, Line { sku, quantity })| Planned {
            order: self.id.clone(),
            node: node.clone(),
            sku: sku.clone(),
            quantity: *quantity,
        })
    }
}

/// Default of [`ShopOrder::max_splits`]: no limit.
const fn any_splits() -> u16 {
    Problem::MAX_SHIPMENTS as u16
}

/// Reads [`ShopOrder::max_splits`], which may be null in JSON.
fn max_splits<'de, D: Deserializer<'de>>(deserializer: D) -> core::result::Result<u16, D::Error> {
    if deserializer.is_human_readable() {
        return Ok(Option::deserialize(deserializer)?.unwrap_or_else(any_splits));
    }
    u16::deserialize(deserializer)
}

impl Default for AllocationPolicy {
    /// Initial values, in cents; merchants should set their own.
    fn default() -> Self {
        Self {
            day_late: Money(300),
            late: Money(500),
            split: Money(250),
            missing: Money(2_500),
            stock_out: Money(150),
            change: Money(100),
        }
    }
}

impl AllocationPolicy {
    /// Checks that no cost is negative or above [`Money::MAX`].
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names the invalid field.
    pub fn check(&self) -> Result<()> {
        let Self { day_late, late, split, missing, stock_out, change } = *self;
        let costs = [
            (day_late, "day_late"),
            (late, "late"),
            (split, "split"),
            (missing, "missing"),
            (stock_out, "stock_out"),
            (change, "change"),
        ];
        costs.into_iter().try_for_each(|(amount, what)| cost(amount, what))
    }
}

/// Answers a request, with a function for the probability that a leg is late.
pub(crate) fn answer(snapshot: &Snapshot, request: &AllocateRequest, late: &mut LateRisk<'_>) -> Result<Allocated> {
    let desk = Desk::new(snapshot, request)?;
    let problem = desk.problem(late)?;
    Ok(desk.named(&problem, super::allocate(&problem)?))
}

/// Request with the parts of the snapshot that it uses.
struct Desk<'a> {
    snapshot: &'a Snapshot,
    fulfilment: &'a Fulfilment,
    /// Nodes of the snapshot in their current state, in the snapshot's order.
    nodes: Vec<LiveNode<'a>>,
    request: &'a AllocateRequest,
    /// Products of all orders, ascending; lines identify them by their index here.
    products: Vec<&'a Sku>,
    /// Regions of all orders, ascending.
    regions: Vec<usize>,
}

impl<'a> Desk<'a> {
    fn new(snapshot: &'a Snapshot, request: &'a AllocateRequest) -> Result<Self> {
        snapshot.is(request.snapshot)?;
        snapshot.holds(request.at)?;
        let Some(fulfilment) = &snapshot.fulfilment else {
            return Err(only_public());
        };
        let nodes = request.live.nodes(fulfilment)?;
        let mut products: Vec<&Sku> = Vec::new();
        let mut wanted = vec![false; snapshot.storefront.regions.len()];
        for order in &request.orders {
            let place = |error: Error| error.within(order.id.as_str());
            order.check_names().map_err(place)?;
            wanted[snapshot.region(&order.region).map_err(place)?] = true;
            products.extend(order.lines.iter().map(|line| &line.sku));
        }
        let sorted = sort::ascending(products.len(), &|a, b| products[a].cmp(products[b]));
        let mut products: Vec<&Sku> = sorted.into_iter().map(|place| products[place]).collect();
        products.dedup();
        let regions = (0..wanted.len()).filter(|&region| wanted[region]).collect();
        Ok(Self { snapshot, fulfilment, nodes, request, products, regions })
    }

    fn problem(&self, late: &mut LateRisk<'_>) -> Result<Problem> {
        let policy = &self.request.policy;
        let nodes = self.nodes.iter().map(|LiveNode { node, closed, room, .. }| Node {
            capacity: Capacity::Shipments(*room),
            dispatch: node.dispatch(self.request.at),
            shipment: node.handling,
            unit: node.unit_handling,
            closed: *closed,
        });
        let orders = self.request.orders.iter().map(|order| self.order(order)).collect::<Result<_>>()?;
        Ok(Problem {
            orders,
            nodes: nodes.collect(),
            stock: self.stock(),
            lanes: self.lanes(late)?,
            costs: Costs { day_late: policy.day_late, split: policy.split, change: policy.change },
            previous: self.previous()?,
        })
    }

    fn order(&self, order: &ShopOrder) -> Result<Order> {
        let place = |error: Error| error.within(order.id.as_str());
        let policy = &self.request.policy;
        let lines = order.lines.iter().map(|line| OrderLine { sku: self.product(&line.sku), quantity: line.quantity });
        Ok(Order {
            region: self.snapshot.region(&order.region).map_err(place)? as u32,
            lines: lines.collect(),
            promised: order.promised,
            late: policy.late,
            missing: policy.missing,
            priority: order.priority,
            complete: order.complete,
            max_splits: order.max_splits,
            pinned: order.pinned.as_ref().map(|code| self.node(code)).transpose().map_err(place)?,
            excluded: order.excluded.iter().map(|code| self.node(code)).collect::<Result<_>>().map_err(place)?,
        })
    }

    /// Stock of the ordered products.
    fn stock(&self) -> Vec<Stock> {
        // By product, then node: the solver's order, because sorted input is sorted faster.
        let mut stock = Vec::new();
        for (sku, name) in self.products.iter().enumerate() {
            let id = self.snapshot.storefront.catalog.id(name);
            for (node, live) in self.nodes.iter().enumerate() {
                let available = live.available(name, id);
                if available == 0 {
                    continue;
                }
                let share = self.snapshot.node_shares.get(node).copied().unwrap_or_default();
                let pressure = id.map_or(Money(0), |id| self.pressure(id, available, share));
                stock.push(Stock { node: node as u32, sku: sku as u32, available, pressure });
            }
        }
        stock
    }

    /// Cost of taking a unit of a product at a node that serves a share of its demand: the cost of a lacking unit,
    /// times the probability that demand of the coming week reaches the available units; or, negative, the loss on a
    /// unit of excess stock.
    fn pressure(&self, id: SkuId, available: u32, share: f32) -> Money {
        let Some(weeks) = self.snapshot.forecast.as_ref().and_then(|forecast: &Forecast| forecast.of(id)) else {
            return Money(0);
        };
        let demand = weeks[0].part(share);
        let pricing = self.snapshot.pricing.as_ref();
        let excess = pricing.and_then(|pricing| Some((pricing.cover, pricing.of(id)?.guard.floor)));
        match excess {
            Some((cover, Floor::Margin { cost, .. }))
                if available as f32 > demand.p50 * f32::from(cover.long_weeks) =>
            {
                Money(-cost.share(cover.excess_loss).0)
            }
            _ => {
                // Units are whole numbers: demand reaches `n` if it exceeds n − ½.
                let probability = demand.exceed(available as f32 - 0.5);
                Money::nearest(f64::from(probability) * self.request.policy.stock_out.0 as f64).unwrap_or_default()
            }
        }
    }

    /// Lanes to the regions of the orders, with their probabilities of lateness.
    fn lanes(&self, late: &mut LateRisk<'_>) -> Result<Vec<Lane>> {
        // Orders go to few regions, so looking up each lane is faster than iterating over all lanes.
        let nodes = 0..self.fulfilment.nodes.len();
        let pairs = nodes.flat_map(|node| self.regions.iter().map(move |&region| (node, region)));
        let used: Vec<_> = pairs.filter_map(|(node, region)| self.fulfilment.lane(node, region)).collect();
        let risks = if self.request.policy.late == Money(0) {
            vec![0.0; used.len()]
        } else {
            let legs = used.iter().filter_map(|lane| {
                let node = self.fulfilment.nodes.get(usize::from(lane.node))?;
                let region = self.snapshot.storefront.regions.get(usize::from(lane.region))?;
                Some(Leg {
                    from: node.code.as_str(),
                    to: region.code.as_str(),
                    departs: node.departure(self.request.at),
                    utc_offset: node.utc_offset,
                    distance: f32::from(lane.distance),
                })
            });
            late(&legs.collect::<Vec<_>>())?
        };
        let lanes = used.into_iter().zip(risks).map(|(lane, risk)| Lane {
            node: u32::from(lane.node),
            region: u32::from(lane.region),
            shipment: lane.cost,
            unit: lane.unit_cost,
            transit: u16::from(lane.max_days),
            late: (risk * 1e6) as u32,
        });
        Ok(lanes.collect())
    }

    fn previous(&self) -> Result<Vec<Held>> {
        let orders = &self.request.orders;
        let by_id = sort::ascending(orders.len(), &|a, b| orders[a].id.cmp(&orders[b].id));
        let mut held = Vec::new();
        for planned in &self.request.previous {
            // Units that are no longer ordered are dropped.
            let found = by_id.binary_search_by(|&n| orders[n].id.cmp(&planned.order)).ok().map(|place| by_id[place]);
            let line = found.and_then(|n| Some((n, orders[n].lines.iter().position(|line| line.sku == planned.sku)?)));
            if let Some((order, line)) = line {
                let node = self.node(&planned.node)?;
                held.push(Held { order: order as u32, line: line as u32, node, quantity: planned.quantity });
            }
        }
        Ok(held)
    }

    fn node(&self, code: &Code) -> Result<u32> {
        self.fulfilment.place(code).map(|place| place as u32)
    }

    /// Index of a product among those of the orders.
    fn product(&self, sku: &Sku) -> u32 {
        self.products.binary_search(&sku).unwrap_or_default() as u32
    }

    /// Converts indices in a plan to names.
    fn named(&self, problem: &Problem, plan: Allocation) -> Allocated {
        let orders = self.request.orders.iter().zip(plan.orders).zip(&problem.orders).map(|((order, plan), posed)| {
            let line = |line: u32, quantity| {
                let sku = order.lines.get(line as usize)?.sku.clone();
                Some(Line { sku, quantity })
            };
            let shipments = plan.shipments.into_iter().filter_map(|shipment| {
                let node = self.fulfilment.nodes.get(shipment.node as usize)?;
                let key = |lane: &Lane| (lane.node, lane.region);
                let lane = problem.lanes.binary_search_by_key(&(shipment.node, posed.region), key).ok();
                let risk = lane.and_then(|lane| problem.lanes.get(lane)).map_or(0, |lane| lane.late);
                Some(OrderShipment {
                    node: node.code.clone(),
                    dispatch: shipment.dispatch,
                    arrival: shipment.arrival,
                    late: Probability((risk / 100) as i32),
                    lines: shipment.lines.into_iter().filter_map(|(place, quantity)| line(place, quantity)).collect(),
                })
            });
            let shortfalls = plan.shortfalls.into_iter().filter_map(|short| {
                let Line { sku, quantity } = line(short.line, short.quantity)?;
                Some(OrderShortfall { sku, quantity, reason: short.reason })
            });
            AllocatedOrder {
                id: order.id.clone(),
                shipments: shipments.collect(),
                shortfalls: shortfalls.collect(),
                cost: plan.cost,
            }
        });
        Allocated { orders: orders.collect(), total: plan.total, bound: plan.bound }
    }
}
