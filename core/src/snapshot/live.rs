//! Changes at nodes since the snapshot.

use super::{Fulfilment, FulfilmentNode};
use crate::{
    bounded,
    domain::{
        name::Code,
        sku::{Sku, SkuId},
        sort,
    },
    error::{Error, ErrorKind, Result},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Current state of nodes, where it differs from the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Stock entries that replace those of the snapshot.
    #[serde(deserialize_with = "bounded::list::<{ Live::MAX_STOCK }, _, _>")]
    pub stock: Vec<LiveStock>,
    /// Closed nodes, in addition to those of the snapshot.
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    pub closed: Vec<Code>,
    /// Capacity of nodes that is already used.
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    pub booked: Vec<Booked>,
}

/// Current stock of a product at a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStock {
    /// Node.
    pub node: Code,
    /// Product.
    pub sku: Sku,
    /// Units available to promise.
    pub available: u32,
}

/// Used capacity of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Node.
    pub node: Code,
    /// Shipments booked for the day on which orders that are allocated now would leave.
    pub shipments: u32,
}

/// Node of the snapshot in its current state.
pub(crate) struct LiveNode<'a> {
    pub(crate) node: &'a FulfilmentNode,
    pub(crate) closed: bool,
    /// Shipments that it can still pack.
    pub(crate) room: u32,
    /// Stock by product, ascending; the last entry of a product counts.
    stock: Vec<(&'a Sku, u32)>,
}

impl Live {
    /// Maximum number of stock entries.
    pub const MAX_STOCK: usize = 100_000;

    /// Nodes of the snapshot in their current state, in the snapshot's order.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for a node that the snapshot does not have.
    pub(crate) fn nodes<'a>(&'a self, fulfilment: &'a Fulfilment) -> Result<Vec<LiveNode<'a>>> {
        let nodes = fulfilment.nodes.iter().map(|node| LiveNode {
            node,
            closed: node.closed,
            room: node.shipments_per_day,
            stock: Vec::new(),
        });
        let mut nodes: Vec<_> = nodes.collect();
        for code in &self.closed {
            nodes[fulfilment.place(code)?].closed = true;
        }
        for Booked { node, shipments } in &self.booked {
            let live = &mut nodes[fulfilment.place(node)?];
            live.room = live.room.saturating_sub(*shipments);
        }
        let stock = &self.stock;
        for place in sort::ascending(stock.len(), &|a, b| stock[a].sku.cmp(&stock[b].sku)) {
            let LiveStock { node, sku, available } = &stock[place];
            nodes[fulfilment.place(node)?].stock.push((sku, *available));
        }
        Ok(nodes)
    }
}

impl LiveNode<'_> {
    /// Units of a product available to promise; `id` is its position in the catalogue, if any.
    pub(crate) fn available(&self, sku: &Sku, id: Option<SkuId>) -> u32 {
        let end = self.stock.partition_point(|(other, _)| *other <= sku);
        match self.stock[..end].last() {
            Some((other, available)) if *other == sku => *available,
            _ => id.map_or(0, |id| self.node.stock.available(id)),
        }
    }
}

impl Fulfilment {
    /// Index of a node that a request names.
    pub(crate) fn place(&self, code: &Code) -> Result<usize> {
        code.check()?;
        let unknown = || Error::new(ErrorKind::BadRequest, format!("the snapshot has no node `{code}`"));
        self.node(code).ok_or_else(unknown)
    }
}
