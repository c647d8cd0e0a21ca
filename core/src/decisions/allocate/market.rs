//! Remaining stock and capacity of nodes, and prices of scarce ones.

use super::network::{Network, Take};
use alloc::{vec, vec::Vec};

/// Remaining stock and capacity, with a price for each in addition to its cost.
#[derive(Debug, Clone, Default)]
pub(super) struct Market {
    /// Units left of each entry of [`Network::stock`].
    pub stock: Vec<u32>,
    /// Shipments left at each node; `u32::MAX` is no limit.
    pub shipments: Vec<u32>,
    /// Units left at each node; `u32::MAX` is no limit.
    pub units: Vec<u32>,
    /// Price of a unit of each stock entry, in parts of minor units.
    pub price: Vec<i64>,
    /// Price of each node's capacity, for each unit or shipment, in parts of minor units.
    pub node_price: Vec<i64>,
}

impl Market {
    /// All stock and capacity of the network, at price 0.
    pub fn new(network: &Network<'_>) -> Self {
        Self {
            stock: network.stock.iter().map(|place| place.available).collect(),
            shipments: network.room.iter().map(|room| room.shipments).collect(),
            units: network.room.iter().map(|room| room.units).collect(),
            price: vec![0; network.stock.len()],
            node_price: vec![0; network.room.len()],
        }
    }

    /// Sets all prices to 0.
    pub fn free(&mut self) {
        self.price.fill(0);
        self.node_price.fill(0);
    }

    /// Removes what an order's plan takes.
    pub fn take(&mut self, takes: &[Take]) {
        self.each(takes, |left, taken| left.saturating_sub(taken));
    }

    /// Returns what an order's plan took.
    pub fn give(&mut self, takes: &[Take]) {
        self.each(takes, u32::saturating_add);
    }

    fn each(&mut self, takes: &[Take], change: fn(u32, u32) -> u32) {
        for (n, take) in takes.iter().enumerate() {
            let node = take.node as usize;
            let stock = &mut self.stock[take.stock as usize];
            *stock = change(*stock, take.units);
            if self.units[node] != u32::MAX {
                self.units[node] = change(self.units[node], take.units);
            }
            if self.shipments[node] != u32::MAX && (n == 0 || takes[n - 1].node != take.node) {
                self.shipments[node] = change(self.shipments[node], 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        allocate::{Capacity, Node, Order, OrderLine, Problem, Stock},
        error::Result,
    };

    #[test]
    fn a_shipment_counts_once_for_its_node_and_is_returned_with_its_units() -> Result<()> {
        let line = |sku| OrderLine { sku, quantity: 2 };
        let node = |capacity| Node { capacity, ..Node::default() };
        let stock = |node, sku| Stock { node, sku, available: 5, ..Stock::default() };
        let problem = Problem {
            orders: vec![Order { lines: vec![line(0), line(1)], ..Order::default() }],
            nodes: vec![node(Capacity::Shipments(3)), node(Capacity::Units(4)), node(Capacity::Unlimited)],
            stock: vec![stock(0, 0), stock(0, 1), stock(1, 1), stock(2, 1)],
            ..Problem::default()
        };
        let network = Network::new(&problem)?;
        let all = Market::new(&network);
        assert_eq!((&all.shipments[..], &all.units[..]), (&[3, u32::MAX, u32::MAX][..], &[u32::MAX, 4, u32::MAX][..]));
        let take = |line, stock, node, units| Take { line, stock, node, units };
        let takes = [take(0, 0, 0, 2), take(1, 1, 0, 1), take(1, 2, 1, 1)];
        let mut left = all.clone();
        left.take(&takes);
        assert_eq!(left.stock, [3, 4, 4, 5]);
        assert_eq!(
            (&left.shipments[..], &left.units[..]),
            (&[2, u32::MAX, u32::MAX][..], &[u32::MAX, 3, u32::MAX][..])
        );
        left.give(&takes);
        assert_eq!((left.stock, left.shipments, left.units), (all.stock, all.shipments, all.units));
        Ok(())
    }
}
