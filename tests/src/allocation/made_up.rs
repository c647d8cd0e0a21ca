//! Generated problems, for benchmarks and for properties of large problems.

use tradewind_core::{
    Day, Money,
    allocate::{Capacity, Costs, Lane, Node, Order, OrderLine, Problem, Stock},
};

/// Reproducible pseudo-random numbers.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % end
    }

    fn money(&mut self, least: i64, end: u32) -> Money {
        Money(least + i64::from(self.below(end)))
    }
}

/// Generates orders of up to eight lines, most of few; each node stocks `carried` of ten products, with `cover` units
/// per hundred ordered.
pub fn made_up(orders: u32, nodes: u32, skus: u32, carried: u32, cover: u32) -> Problem {
    let draw = &mut Draw(u64::from(orders * 1_000 + nodes));
    let regions = 60;
    let orders: Vec<Order> = (0..orders)
        .map(|_| {
            let mut lines: Vec<OrderLine> = Vec::new();
            let most = 1 + draw.below(8);
            for _ in 0..1 + draw.below(most) {
                // Small numbers are popular.
                let sku = draw.below(skus).min(draw.below(skus));
                if lines.iter().all(|line| line.sku != sku) {
                    lines.push(OrderLine { sku, quantity: 1 + draw.below(2) * draw.below(3) });
                }
            }
            Order {
                region: draw.below(regions),
                lines,
                promised: Day(2 + draw.below(4) as i32),
                late: draw.money(200, 600),
                missing: Money(3_000),
                priority: u8::from(draw.below(5) > 0),
                complete: draw.below(7) == 0,
                max_splits: if draw.below(4) == 0 { draw.below(3) as u16 } else { u16::MAX },
                ..Order::default()
            }
        })
        .collect();
    let mut wanted = vec![0; skus as usize];
    for line in orders.iter().flat_map(|order| &order.lines) {
        wanted[line.sku as usize] += line.quantity;
    }
    let mut stock = Vec::new();
    for node in 0..nodes {
        for (sku, &wanted) in wanted.iter().enumerate() {
            if draw.below(10) >= carried {
                continue;
            }
            let parts = 10 * nodes * carried;
            let available = (draw.below(2 * wanted * cover + 1) + draw.below(parts)) / parts;
            stock.push(Stock { node, sku: sku as u32, available, pressure: draw.money(-25, 85) });
        }
    }
    let room = 14 * orders.len() as u32 / (10 * nodes) + 1;
    let made = (0..nodes).map(|node| Node {
        capacity: if node % 3 == 0 && orders.len() > 1 { Capacity::Shipments(room) } else { Capacity::Unlimited },
        dispatch: Day(draw.below(2) as i32),
        shipment: draw.money(60, 100),
        unit: draw.money(8, 27),
        closed: false,
    });
    let made = made.collect();
    let lanes = (0..nodes).flat_map(|node| (0..regions).map(move |region| (node, region)));
    let lanes = lanes.collect::<Vec<_>>().into_iter().map(|(node, region)| {
        let zone = 1 + draw.below(8);
        Lane {
            node,
            region,
            shipment: draw.money(420 + 75 * i64::from(zone), 60),
            unit: Money(12 + 6 * i64::from(zone)),
            transit: 1 + zone as u16 / 2,
            late: 30_000 + 8_000 * zone + draw.below(30_000),
        }
    });
    Problem {
        lanes: lanes.collect(),
        orders,
        nodes: made,
        stock,
        costs: Costs { day_late: Money(250), split: Money(120), change: Money(0) },
        previous: Vec::new(),
    }
}
