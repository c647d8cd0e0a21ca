//! What has happened at nodes since the snapshot was made.

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

/// What nodes have and do now, where that is not as the snapshot says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Stock; each entry stands for what it says.
    #[serde(deserialize_with = "bounded::list::<{ Live::MAX_STOCK }, _, _>")]
    pub stock: Vec<LiveStock>,
    /// Nodes that ship nothing, beside those that are closed in the snapshot.
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    pub closed: Vec<Code>,
    /// What nodes have taken on already of what they can pack in a day.
    #[serde(deserialize_with = "bounded::list::<{ Fulfilment::MAX_NODES }, _, _>")]
    pub booked: Vec<Booked>,
}

/// What a node has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveStock {
    /// The node.
    pub node: Code,
    /// The product.
    pub sku: Sku,
    /// Units available to promise.
    pub available: u32,
}

/// What a node has taken on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// The node.
    pub node: Code,
    /// Shipments that it packs on the day on which what is decided now leaves it.
    pub shipments: u32,
}

/// A node of the snapshot as it is now.
pub(crate) struct LiveNode<'a> {
    pub(crate) node: &'a FulfilmentNode,
    pub(crate) closed: bool,
    /// Shipments that it can still pack.
    pub(crate) room: u32,
    /// By product, ascending; of several for one product the last holds.
    stock: Vec<(&'a Sku, u32)>,
}

impl Live {
    /// The most entries of stock.
    pub const MAX_STOCK: usize = 100_000;

    /// The nodes of the snapshot, in its order, as they are now.
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
    /// Units of a product that can be promised; `id` is its place in the catalogue, if it has one.
    pub(crate) fn available(&self, sku: &Sku, id: Option<SkuId>) -> u32 {
        let end = self.stock.partition_point(|(other, _)| *other <= sku);
        match self.stock[..end].last() {
            Some((other, available)) if *other == sku => *available,
            _ => id.map_or(0, |id| self.node.stock.available(id)),
        }
    }
}

impl Fulfilment {
    /// The place of a node that a request names.
    pub(crate) fn place(&self, code: &Code) -> Result<usize> {
        code.check()?;
        let unknown = || Error::new(ErrorKind::BadRequest, format!("the snapshot has no node `{code}`"));
        self.node(code).ok_or_else(unknown)
    }
}
