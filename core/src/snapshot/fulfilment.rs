//! Nodes, lanes, stock and demand.

use super::start_of_day;
use crate::{
    bounded,
    columns::{Column, ColumnReader, ColumnWriter, Columns},
    domain::{
        check::bad,
        money::Money,
        name::Code,
        quantiles::Quantiles,
        sku::SkuId,
        time::{Day, Millis},
        tracking::{LaneTimes, StateTimes},
    },
    error::Result,
    pack::{read_part, write_part},
};
use alloc::{format, vec, vec::Vec};
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Nodes, lanes and stock.
#[derive(Debug, Clone, PartialEq)]
pub struct Fulfilment {
    /// Nodes that pack orders.
    pub nodes: Vec<FulfilmentNode>,
    /// Lanes, ascending by node and region.
    pub lanes: Vec<Lane>,
}

/// Parts of [`Fulfilment`] that are not columns.
#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    nodes: Vec<FulfilmentNode>,
    /// Stock entries of each node.
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    entries: Vec<u32>,
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_LANES }, _, _>")]
    lanes: Vec<Lane>,
}

/// Warehouse or shop that ships orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FulfilmentNode {
    /// Name of the node.
    pub code: Code,
    /// Offset of its local time from UTC, in minutes.
    pub utc_offset: i16,
    /// Shipments that it can pack in a day.
    pub shipments_per_day: u32,
    /// Cut-off in minutes after local midnight; earlier orders leave on the same day.
    pub cut_off: u16,
    /// Cost of packing a shipment.
    pub handling: Money,
    /// Additional cost for each unit.
    pub unit_handling: Money,
    /// Whether the node is closed: it ships nothing.
    pub closed: bool,
    /// Stock of the node.
    #[serde(skip)]
    pub stock: NodeStock,
}

/// Stock of a node, ascending by product; products that are not listed have none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeStock(Column<Stock>);

/// Stock of a product at a node, in units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Stock {
    /// Product.
    pub product: SkuId,
    /// Units on hand.
    pub on_hand: u32,
    /// Units reserved for orders.
    pub reserved: u32,
    /// Safety stock: units kept back from orders.
    pub safety: u32,
}

/// Connection from a node to a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Index of the node.
    pub node: u16,
    /// Index of the region in the storefront's list.
    pub region: u16,
    /// Distance, in kilometres.
    pub distance: u16,
    /// Cost of a shipment.
    pub cost: Money,
    /// Additional cost for each unit.
    pub unit_cost: Money,
    /// Minimum days from dispatch to delivery.
    pub min_days: u8,
    /// Maximum days from dispatch to delivery.
    pub max_days: u8,
    /// Learnt durations of states, at most one entry for each state; empty if nothing was learnt.
    #[serde(deserialize_with = "bounded::list::<{ LaneTimes::MAX_STATES }, _, _>")]
    pub states: Vec<StateTimes>,
}

/// Forecast demand for each product over the coming weeks, in the order of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast(Column<[Quantiles; Forecast::WEEKS]>);

impl Columns for Fulfilment {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        let Self { nodes, lanes } = self.clone();
        let entries = nodes.iter().map(|node| node.stock.0.len() as u32).collect();
        write_part(to, &Head { nodes, entries, lanes })?;
        to.column(&self.nodes.iter().flat_map(|node| node.stock.entries().iter().copied()).collect::<Vec<Stock>>());
        Ok(())
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        let Head { mut nodes, entries, lanes } = read_part(from)?;
        let stock = from.column::<Stock>();
        let mut end = 0;
        for (node, entries) in nodes.iter_mut().zip(&entries) {
            let start = end;
            end += *entries as usize;
            node.stock = NodeStock(stock.part(start..end));
        }
        if entries.len() != nodes.len() || end != stock.len() {
            return Err(bad("stock of other nodes"));
        }
        Ok(Self { nodes, lanes })
    }
}

impl Columns for Forecast {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        to.column(&self.0);
        Ok(())
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        Ok(Self(from.column()))
    }
}

impl Fulfilment {
    /// Maximum number of nodes.
    pub const MAX_NODES: usize = 4_096;
    /// Maximum number of lanes.
    pub const MAX_LANES: usize = 1 << 20;

    /// Index of a node.
    pub fn node(&self, code: &Code) -> Option<usize> {
        self.nodes.iter().position(|node| node.code == *code)
    }

    /// Lane from a node to a region.
    pub fn lane(&self, node: usize, region: usize) -> Option<&Lane> {
        let wanted = (node, region);
        let key = |lane: &Lane| (usize::from(lane.node), usize::from(lane.region));
        self.lanes.get(self.lanes.binary_search_by_key(&wanted, key).ok()?)
    }

    /// Share of total demand that each node serves: see [`Snapshot`](super::Snapshot).
    pub(super) fn node_shares(&self, regions: usize) -> Vec<f32> {
        let mut cheapest: Vec<Option<&Lane>> = vec![None; regions];
        for lane in &self.lanes {
            let open = self.nodes.get(usize::from(lane.node)).is_some_and(|node| !node.closed);
            if let Some(best) = cheapest.get_mut(usize::from(lane.region))
                && open
                && best.is_none_or(|best| lane.cost < best.cost)
            {
                *best = Some(lane);
            }
        }
        let mut shares = vec![0.0; self.nodes.len()];
        for lane in cheapest.into_iter().flatten() {
            if let Some(share) = shares.get_mut(usize::from(lane.node)) {
                *share += 1.0 / regions as f32;
            }
        }
        shares
    }

    pub(super) fn check(&self, products: usize, regions: usize) -> Result<()> {
        for (place, node) in self.nodes.iter().enumerate() {
            node.check(products).map_err(|error| error.within(node.code.as_str()))?;
            if self.nodes[..place].iter().any(|other| other.code == node.code) {
                return Err(bad(format!("node `{}` comes twice", node.code)));
            }
        }
        let key = |lane: &Lane| (lane.node, lane.region);
        if self.lanes.windows(2).any(|pair| key(&pair[0]) >= key(&pair[1])) {
            return Err(bad("lanes out of order"));
        }
        for lane in &self.lanes {
            lane.check(self.nodes.len(), regions)?;
        }
        Ok(())
    }
}

impl FulfilmentNode {
    /// Moment at which orders allocated at `at` leave the node: its next cut-off.
    pub fn departure(&self, at: Millis) -> Millis {
        let today = Millis(start_of_day(at, self.utc_offset).0 + i64::from(self.cut_off) * 60_000);
        if at <= today { today } else { Millis(today.0 + Millis::DAY) }
    }

    /// Local day of that departure.
    pub fn dispatch(&self, at: Millis) -> Day {
        Millis(self.departure(at).0 + i64::from(self.utc_offset) * 60_000).day()
    }

    fn check(&self, products: usize) -> Result<()> {
        self.code.check()?;
        self.handling.check("handling")?;
        self.unit_handling.check("unit_handling")?;
        if !(-1_440..=1_440).contains(&self.utc_offset) || self.cut_off > 1_440 {
            return Err(bad("`utc_offset` or `cut_off` is more than a day"));
        }
        let stock = self.stock.entries();
        let ascending = stock.windows(2).all(|pair| pair[0].product < pair[1].product);
        if !ascending || stock.last().is_some_and(|last| last.product.0 as usize >= products) {
            return Err(bad("its stock is out of order"));
        }
        Ok(())
    }
}

impl NodeStock {
    /// Creates a node's stock from entries in ascending order of product.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn new(entries: &[Stock]) -> Result<Self> {
        Ok(Self(Column::new(entries)?))
    }

    /// Stock entries, ascending by product.
    pub fn entries(&self) -> &[Stock] {
        &self.0
    }

    /// Units of a product available to promise.
    pub fn available(&self, product: SkuId) -> u32 {
        self.of(product).available()
    }

    /// Stock of a product.
    pub fn of(&self, product: SkuId) -> Stock {
        let found = self.0.binary_search_by_key(&product, |stock| stock.product).ok();
        let none = Stock { product, on_hand: 0, reserved: 0, safety: 0 };
        found.and_then(|place| self.0.get(place)).copied().unwrap_or(none)
    }
}

impl Stock {
    /// Units available to promise: on hand minus reserved minus safety stock.
    pub fn available(&self) -> u32 {
        self.on_hand.saturating_sub(self.reserved).saturating_sub(self.safety)
    }
}

impl Lane {
    fn check(&self, nodes: usize, regions: usize) -> Result<()> {
        if usize::from(self.node) >= nodes || usize::from(self.region) >= regions {
            return Err(bad(format!(
                "a lane from node {} to region {}, of {nodes} and {regions}",
                self.node, self.region
            )));
        }
        if self.min_days > self.max_days {
            return Err(bad(format!("a lane of {} to {} days", self.min_days, self.max_days)));
        }
        self.cost.check("cost of a lane")?;
        self.unit_cost.check("unit_cost of a lane")?;
        self.states.iter().try_for_each(StateTimes::check)
    }
}

impl Forecast {
    /// Number of forecast weeks.
    pub const WEEKS: usize = 4;

    /// Creates a forecast: for each product of the catalogue, the units sold everywhere in each week, from the
    /// snapshot's first week.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn new(products: &[[Quantiles; Self::WEEKS]]) -> Result<Self> {
        Ok(Self(Column::new(products)?))
    }

    /// Demand for a product, week by week.
    pub fn of(&self, product: SkuId) -> Option<&[Quantiles; Self::WEEKS]> {
        self.0.get(product.0 as usize)
    }

    pub(super) fn check(&self, products: usize) -> Result<()> {
        if self.0.len() != products {
            return Err(bad(format!("demand for {} products of {products}", self.0.len())));
        }
        self.0.iter().flatten().try_for_each(Quantiles::check)
    }
}
