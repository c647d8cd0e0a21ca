//! Prices for what is scarce, and what they prove.
//!
//! Lagrangian relaxation: stock and capacity may be exceeded, at a price for each unit. Then every order is served by
//! itself, and what that costs, less the worth of all that is there at these prices, is below the cost of every
//! plan. Prices follow the excess (subgradient, with Polyak's step and half of the last direction).

use super::{
    network::{Network, Take},
    place::{Market, Placer},
};
use alloc::{vec, vec::Vec};

/// The ascent of the prices, one step at a time.
pub(super) struct Ascent {
    /// Everything that is there, with the prices of the next step.
    pub market: Market,
    /// The best bound so far, in parts of minor units.
    pub bound: i64,
    /// The prices that gave it.
    pub prices: (Vec<i64>, Vec<i64>),
    /// What there is of each place and node, at most all that is wanted: nothing beyond can be short.
    limits: Vec<i64>,
    direction: Vec<f64>,
    pace: f64,
    idle: u32,
    takes: Vec<Take>,
}

/// Steps without a better bound after which steps are halved.
const PATIENCE: u32 = 6;

impl Ascent {
    pub fn new(network: &Network<'_>) -> Self {
        let mut market = Market::new(network);
        // A node's units are priced, not counted.
        market.units.fill(u32::MAX);
        let (stock, nodes) = (market.stock.len(), market.node_price.len());
        let wanted = network.lines.iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        let mut limits: Vec<i64> = network.stock.iter().map(|place| i64::from(place.available)).collect();
        limits.extend((0..nodes).map(|node| match network.capacity(node) {
            (units, u32::MAX) => i64::from(units).min(wanted),
            (_, shipments) => i64::from(shipments).min(wanted),
        }));
        Self {
            market,
            bound: i64::MIN,
            prices: (vec![0; stock], vec![0; nodes]),
            limits,
            direction: vec![0.0; stock + nodes],
            pace: 1.0,
            idle: 0,
            takes: Vec::new(),
        }
    }

    /// Evaluates the prices for these orders and moves them. Returns whether another step may help.
    pub fn step(&mut self, network: &Network<'_>, placer: &mut Placer, orders: &[usize], upper: i64) -> bool {
        let stock = network.stock.len();
        let mut excess: Vec<i64> = self.limits.iter().map(|limit| -limit).collect();
        let mut value = 0_i64;
        for &o in orders {
            value += placer.place(network, &self.market, o, 16, &mut self.takes);
            for (n, take) in self.takes.iter().enumerate() {
                excess[take.stock as usize] += i64::from(take.units);
                let used = match network.capacity(take.node as usize) {
                    (_, u32::MAX) => i64::from(take.units),
                    _ => i64::from(n == 0 || self.takes[n - 1].node != take.node),
                };
                excess[stock + take.node as usize] += used;
            }
        }
        let prices = || self.market.price.iter().chain(&self.market.node_price);
        value -= prices().zip(&self.limits).map(|(&price, &limit)| price * limit).sum::<i64>();
        if value > self.bound {
            self.bound = value;
            self.prices = (self.market.price.clone(), self.market.node_price.clone());
            self.idle = 0;
        } else {
            self.idle += 1;
            if self.idle == PATIENCE {
                (self.pace, self.idle) = (self.pace / 2.0, 0);
            }
        }
        let mut norm = 0.0;
        for ((&price, excess), direction) in prices().zip(&excess).zip(&mut self.direction) {
            let slope = if price == 0 && *excess < 0 { 0.0 } else { *excess as f64 };
            *direction = slope + 0.5 * *direction;
            if price == 0 && *direction < 0.0 {
                *direction = 0.0;
            }
            norm += *direction * *direction;
        }
        let distance = upper - value;
        if norm == 0.0 || distance <= 0 || self.pace < 1e-3 {
            return false;
        }
        let length = self.pace * distance as f64 / norm;
        let (stock_price, node_price) = (&mut self.market.price, &mut self.market.node_price);
        for (price, direction) in stock_price.iter_mut().chain(node_price).zip(&self.direction) {
            *price = price.saturating_add((length * direction) as i64).clamp(0, network.dearest);
        }
        true
    }
}
