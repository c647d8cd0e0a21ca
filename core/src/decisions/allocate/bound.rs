//! Prices of scarce stock and capacity, and the lower bound they prove.
//!
//! Lagrangian relaxation: stock and capacity may be exceeded, at a price for each unit. Then orders are independent:
//! the sum of their costs, less the value of all stock and capacity at these prices, is a lower bound on the cost of
//! every plan. This holds for any prices of at least 0, and also with a lower bound in place of an order's cost
//! ([`Placer::place`]). Prices follow the excess (subgradient, with Polyak's step and half of the last direction).

use super::{
    market::Market,
    network::{Network, Take},
    place::Placer,
    problem::SCALE,
};
use alloc::{vec, vec::Vec};

/// Ascent of the prices, one step at a time.
///
/// There is a price for each stock entry, each node's capacity, and each product over all nodes. The last does not
/// improve the bound, but lets the price of a product that is short everywhere rise everywhere at once.
pub(super) struct Ascent {
    /// All stock and capacity, with the prices of the next step.
    pub market: Market,
    /// Best bound so far, in parts of minor units.
    pub bound: i64,
    /// Prices of the next step: stock entries, nodes, products.
    prices: Vec<i64>,
    /// Supply of each, at most the total demand: more cannot be scarce.
    limits: Vec<i64>,
    /// Product of each stock entry, as an index into `prices`.
    product: Vec<u32>,
    /// Prices of the best bound.
    best: Vec<i64>,
    direction: Vec<f64>,
    /// Steps without a better bound before steps get shorter.
    pub patience: u32,
    pace: f64,
    idle: u32,
    /// Length of the last step along its direction.
    length: f64,
    /// Maximum price.
    pub dearest: i64,
    takes: Vec<Take>,
}

/// Factor by which steps get shorter.
const SHORTER: f64 = 0.5;
/// Number of parts of a sweep.
const PARTS: usize = 32;

impl Ascent {
    /// Creates the ascent, with initial prices for products whose demand by these orders exceeds supply.
    pub fn new(network: &Network<'_>, orders: &[usize]) -> Self {
        let mut market = Market::new(network);
        // Units of a node are priced, not limited.
        market.units.fill(u32::MAX);
        // INVARIANT: only the demand and values of these orders count, or orders of a later stage would affect this
        // one.
        let units = |o: &usize| network.lines(*o).iter().map(|line| i64::from(line.quantity)).sum::<i64>();
        let wanted = orders.iter().map(units).sum::<i64>();
        let worth_of = |o: &usize| network.order(*o).missing.0 + network.order(*o).late.0;
        let dearest = network.dearest + orders.iter().map(worth_of).max().unwrap_or(0) * SCALE;
        let (places, nodes) = (network.stock.len(), market.node_price.len());
        let mut product = Vec::with_capacity(places);
        let mut last = places + nodes;
        for (at, place) in network.stock.iter().enumerate() {
            last += usize::from(at > 0 && network.stock[at - 1].sku != place.sku);
            product.push(last as u32);
        }
        let mut demand = vec![0; last + 1];
        let mut worth = vec![i64::MAX; last + 1];
        for &o in orders {
            for line in network.lines(o).iter().filter(|line| !line.stock.is_empty()) {
                let product = product[line.stock.start] as usize;
                demand[product] += i64::from(line.quantity);
                worth[product] = worth[product].min(network.order(o).missing.0 * SCALE);
            }
        }
        let mut limits = vec![0; last + 1];
        for (at, place) in network.stock.iter().enumerate() {
            let product = product[at] as usize;
            limits[at] = i64::from(place.available).min(demand[product]);
            limits[product] += limits[at];
        }
        for (node, limit) in limits[places..places + nodes].iter_mut().enumerate() {
            let room = &network.room[node];
            *limit = i64::from(room.units.min(room.shipments)).min(wanted);
        }
        let first = places + nodes;
        let price = |at: usize| if demand[at] > limits[at] && at >= first { worth[at] / 4 * 3 } else { 0 };
        let prices: Vec<i64> = (0..limits.len()).map(price).collect();
        let mut ascent = Self {
            market,
            bound: i64::MIN,
            best: prices.clone(),
            direction: vec![0.0; limits.len()],
            prices,
            limits,
            product,
            patience: 1,
            pace: 1.0,
            idle: 0,
            length: 0.0,
            dearest,
            takes: Vec::new(),
        };
        ascent.show();
        ascent
    }

    /// Sets the market's prices to those of the best bound.
    pub fn finish(&mut self) {
        self.prices.clone_from(&self.best);
        self.show();
    }

    fn show(&mut self) {
        let prices = &self.prices[..];
        for ((price, own), &product) in self.market.price.iter_mut().zip(prices).zip(&self.product) {
            *price = own + prices[product as usize];
        }
        let first = self.market.price.len();
        let nodes = first + self.market.node_price.len();
        self.market.node_price.clone_from_slice(&self.prices[first..nodes]);
    }

    /// Evaluates the prices for these orders and updates them. Returns whether another step may help.
    pub fn step(&mut self, network: &Network<'_>, placer: &mut Placer, orders: &[usize], upper: i64) -> bool {
        let mut excess: Vec<f64> = self.limits.iter().map(|&limit| -limit as f64).collect();
        let mut value = 0_i64;
        for &o in orders {
            value += self.want(network, placer, o, &mut excess);
        }
        value -= self.prices.iter().zip(&self.limits).map(|(&price, &limit)| price * limit).sum::<i64>();
        if value > self.bound {
            self.bound = value;
            self.best.clone_from(&self.prices);
            self.idle = 0;
        } else {
            self.idle += 1;
        }
        if self.idle >= self.patience {
            (self.pace, self.idle) = (SHORTER * self.pace, 0);
        }
        let mut norm = 0.0;
        let prices = self.prices.iter().zip(&self.limits);
        for ((&excess, direction), (&price, &limit)) in excess.iter().zip(&mut self.direction).zip(prices) {
            let slope = excess + 0.5 * *direction;
            *direction = if price == 0 && slope < 0.0 { 0.0 } else { slope };
            norm += *direction * *direction / limit.max(1) as f64;
        }
        let distance = upper - value;
        // Plans cost whole minor units, so a distance below one proves optimality.
        if norm == 0.0 || distance < SCALE || self.pace < 1e-4 {
            return false;
        }
        let length = self.pace * distance as f64 / norm;
        self.length = length;
        for ((price, direction), &limit) in self.prices.iter_mut().zip(&self.direction).zip(&self.limits) {
            let moved = (length * direction / limit.max(1) as f64) as i64;
            *price = price.saturating_add(moved).clamp(0, self.dearest);
        }
        self.show();
        true
    }

    /// Processes the orders in parts and updates prices after each, in total by the length of the last step: later
    /// parts see the prices that earlier ones changed.
    pub fn sweep(&mut self, network: &Network<'_>, placer: &mut Placer, orders: &[usize]) {
        let mut excess = Vec::new();
        for part in orders.chunks(orders.len().div_ceil(PARTS).max(1)) {
            let share = part.len() as f64 / orders.len() as f64;
            excess.clear();
            excess.extend(self.limits.iter().map(|&limit| -share * limit as f64));
            for &o in part {
                self.want(network, placer, o, &mut excess);
            }
            for ((price, excess), &limit) in self.prices.iter_mut().zip(&excess).zip(&self.limits) {
                let moved = (self.length * excess / limit.max(1) as f64) as i64;
                *price = price.saturating_add(moved).clamp(0, self.dearest);
            }
            self.show();
        }
    }

    /// Lower bound of an order's cost at these prices; adds what it takes to `taken`.
    fn want(&mut self, network: &Network<'_>, placer: &mut Placer, o: usize, taken: &mut [f64]) -> i64 {
        let least = placer.place(network, &self.market, o, 16, &mut self.takes);
        for (n, take) in self.takes.iter().enumerate() {
            let units = f64::from(take.units);
            taken[take.stock as usize] += units;
            taken[self.product[take.stock as usize] as usize] += units;
            let first = n == 0 || self.takes[n - 1].node != take.node;
            let by_units = network.room[take.node as usize].shipments == u32::MAX;
            let of_node = if by_units { units } else { f64::from(u8::from(first)) };
            taken[network.stock.len() + take.node as usize] += of_node;
        }
        least
    }
}
