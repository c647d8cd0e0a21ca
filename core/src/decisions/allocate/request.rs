//! Orders as shells send them, and allocations as they get them: by name, over a snapshot.

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

/// From where do these orders ship?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateRequest {
    /// The root of the snapshot that stock and lanes are of.
    #[serde(deserialize_with = "digest::read")]
    pub snapshot: Digest,
    /// The moment of the decision.
    pub at: Millis,
    /// The orders.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDERS }, _, _>")]
    pub orders: Vec<ShopOrder>,
    /// What is the same for all of them.
    pub policy: AllocationPolicy,
    /// What is not as the snapshot says.
    pub live: Live,
    /// The plan that stood before, where it is made anew: what of it can stay, stays, unless moving it saves
    /// more than [`AllocationPolicy::change`]. Its units are not taken from the stock that is given here, nor its
    /// shipments from what is booked.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_LINES }, _, _>")]
    pub previous: Vec<Planned>,
    /// The pack that tells how likely shipments are late; `None` where one is loaded, and no other.
    pub late: Option<String>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Order))]
pub struct ShopOrder {
    /// Its name.
    pub id: Id,
    /// Where it goes.
    pub region: Code,
    /// What it wants; a product is named once.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDER_LINES }, _, _>")]
    pub lines: Vec<Line>,
    /// The day by which it was promised to arrive.
    pub promised: Day,
    /// 0 is served first; at most [`Problem::MAX_PRIORITY`].
    #[serde(default)]
    pub priority: u8,
    /// Ship all of it, or nothing.
    #[serde(default)]
    pub complete: bool,
    /// At most so many shipments beyond the first; as many as it takes when absent.
    #[serde(default = "any_splits", deserialize_with = "max_splits")]
    pub max_splits: u16,
    /// From this node only.
    #[serde(default)]
    pub pinned: Option<Code>,
    /// Not from these nodes.
    #[serde(default, deserialize_with = "bounded::list::<{ Problem::MAX_NODES }, _, _>")]
    pub excluded: Vec<Code>,
}

/// What things cost, beyond what the snapshot says of lanes and nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AllocationPolicy {
    /// A shipment's arrival after the promised day, for each day.
    pub day_late: Money,
    /// A shipment that is late, beside the days that are known now: times how probable it is.
    pub late: Money,
    /// Each shipment of an order beyond its first.
    pub split: Money,
    /// A unit that is not shipped.
    pub missing: Money,
    /// A unit that a node lacks for an order to come: times how probable it is. Excess stock is worth to be
    /// rid of what [`CoverPolicy`](crate::price_guard::CoverPolicy) says.
    pub stock_out: Money,
    /// A unit of the previous plan that no longer ships from its node.
    pub change: Money,
}

/// Units of the previous plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The order.
    pub order: Id,
    /// The node.
    pub node: Code,
    /// The product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    /// One for each order, in the request's order.
    #[serde(deserialize_with = "bounded::list::<{ Problem::MAX_ORDERS }, _, _>")]
    pub orders: Vec<AllocatedOrder>,
    /// What all of it costs.
    pub total: Money,
    /// No plan whatever costs less than this: a better one saves at most the difference.
    pub bound: Money,
}

/// What becomes of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AllocatedOrder {
    /// Its name.
    pub id: Id,
    /// Its shipments, by node.
    pub shipments: Vec<OrderShipment>,
    /// What is not shipped.
    pub shortfalls: Vec<OrderShortfall>,
    /// What it costs, by cause.
    pub cost: Breakdown,
}

/// What leaves one node for one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AllocatedShipment))]
pub struct OrderShipment {
    /// The node.
    pub node: Code,
    /// The day it leaves, by the node's calendar.
    pub dispatch: Day,
    /// The day it arrives, if it is not late.
    pub arrival: Day,
    /// How probable it is that it is late.
    pub late: Probability,
    /// What is in it.
    pub lines: Vec<Line>,
}

/// Units that are not shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderShortfall {
    /// The product.
    pub sku: Sku,
    /// Units.
    pub quantity: u32,
    /// Why.
    pub reason: Reason,
}

impl AllocateRequest {
    /// Checks what answering checks, without answering: for those who take orders in that are planned later.
    ///
    /// # Errors
    /// As an answer to it.
    pub fn check(&self, snapshot: &Snapshot) -> Result<()> {
        let problem = Desk::new(snapshot, self)?.problem(&mut |legs| Ok(vec![0.0; legs.len()]))?;
        Network::new(&problem).map(drop)
    }
}

impl ShopOrder {
    /// The most units of an order that is taken in to be planned later: so few that neither more days nor a plan
    /// that stood before make them more than can be added up.
    pub const MAX_UNITS: usize = 1_000_000;

    /// Checks an order by itself, for those who take it in. What depends on the snapshot,
    /// [`AllocateRequest::check`] checks.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) or [`TooLarge`](crate::ErrorKind::TooLarge) names what does not hold.
    pub fn check(&self) -> Result<()> {
        self.check_names()?;
        if self.lines.is_empty() {
            return Err(bad("an order needs lines, each of one unit or more"));
        }
        at_most("lines in an order", self.lines.len(), Problem::MAX_ORDER_LINES)?;
        at_most("nodes in `excluded`", self.excluded.len(), Problem::MAX_NODES)?;
        for (place, line) in self.lines.iter().enumerate() {
            if self.lines.iter().take(place).any(|other| other.sku == line.sku) {
                return Err(bad(format!("`{}` comes in two lines; put its units into one", line.sku)));
            }
        }
        let units = self.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
        at_most("units in an order", usize::try_from(units).unwrap_or(usize::MAX), Self::MAX_UNITS)?;
        if self.priority > Problem::MAX_PRIORITY {
            let (found, most) = (self.priority, Problem::MAX_PRIORITY);
            return Err(bad(format!("`priority` is {found}; a priority is a number from 0, the first, to {most}")));
        }
        self.promised.check().map_err(|error| error.within("`promised`"))?;
        [Some(&self.region), self.pinned.as_ref()].into_iter().flatten().chain(&self.excluded).try_for_each(Code::check)
    }

    /// Checks what the order and its lines name.
    fn check_names(&self) -> Result<()> {
        self.id.check()?;
        self.lines.iter().try_for_each(Line::check)
    }
}

impl AllocatedOrder {
    /// Its shipments as parts of a previous plan.
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

/// As many shipments as it takes.
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
    /// A guess to begin with, in cents: a merchant knows better.
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
    /// Checks that no cost is below 0, or more than can be added up.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest) names what does not hold.
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

/// Answers a request, given how likely a leg is late.
pub(crate) fn answer(snapshot: &Snapshot, request: &AllocateRequest, late: &mut LateRisk<'_>) -> Result<Allocated> {
    let desk = Desk::new(snapshot, request)?;
    let problem = desk.problem(late)?;
    Ok(desk.named(&problem, super::allocate(&problem)?))
}

/// A request and what it is about.
struct Desk<'a> {
    snapshot: &'a Snapshot,
    fulfilment: &'a Fulfilment,
    /// The nodes of the snapshot, in its order, as they are now.
    nodes: Vec<LiveNode<'a>>,
    request: &'a AllocateRequest,
    /// The products of all orders, ascending; lines name them by their place here.
    products: Vec<&'a Sku>,
    /// The regions that orders go to, ascending.
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

    /// What nodes have of the products that are ordered.
    fn stock(&self) -> Vec<Stock> {
        // By product, then node: the solver sorts it so, and what is sorted already is sorted quickly.
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

    /// What it costs to take a unit of a product at a node that serves a share of its demand: what a unit that
    /// is lacking costs, times the probability that the coming week asks for all there is; or, negative,
    /// what a unit of excess loses.
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
                // Units are whole: all of `n` are asked for where more than n − ½ are.
                let probability = demand.exceed(available as f32 - 0.5);
                Money::nearest(f64::from(probability) * self.request.policy.stock_out.0 as f64).unwrap_or_default()
            }
        }
    }

    /// The lanes to the regions of the orders, with how likely each is late.
    fn lanes(&self, late: &mut LateRisk<'_>) -> Result<Vec<Lane>> {
        // Few orders go to few regions, and looking each up is quicker than passing over the lanes of all others.
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
            // What is no longer asked for has nowhere to stay.
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

    /// The place of a product among those of the orders.
    fn product(&self, sku: &Sku) -> u32 {
        self.products.binary_search(&sku).unwrap_or_default() as u32
    }

    /// A plan, by names.
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
