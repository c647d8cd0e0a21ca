//! Generated problem in a merchant's form: a snapshot, and orders that use it.

use anyhow::Result;
use tradewind_core::{
    BasisPoints, Catalog, Code, Currency, Id, Line, Millis, Money, Sku, SkuId,
    allocate::{AllocateRequest, AllocationPolicy, Capacity, Order, Problem, ShopOrder},
    price_guard::{CoverPolicy, Rounding},
    snapshot::{
        Fulfilment, FulfilmentNode, Lane, ListedPrice, Live, NodeStock, Prices, Pricing, Region, Stock, Storefront,
    },
};
use tradewind_host::snapshot::Parts;

/// Noon of a day in 1971; the days of the problem are counted from it.
const NOON: Millis = Millis(365 * Millis::DAY + Millis::DAY / 2);

/// Returns the unsigned snapshot of a problem's nodes, lanes and stock, and the request for its orders. Data that a
/// snapshot lacks are left out: pressures, and probabilities of lanes; instead, `late` is charged by a lateness model.
///
/// # Errors
/// If the problem exceeds a snapshot's limits.
pub fn shop(problem: &Problem, late: Money) -> Result<(Vec<u8>, AllocateRequest)> {
    let products = problem.stock.iter().map(|stock| stock.sku).max().map_or(0, |last| last + 1);
    let regions = problem.lanes.iter().map(|lane| lane.region).max().map_or(0, |last| last + 1);
    let names = (0..products).map(|sku| Ok((Sku::new(sku_name(sku))?, "ANY"))).collect::<Result<Vec<_>>>()?;
    let mut nodes = Vec::new();
    for (place, node) in problem.nodes.iter().enumerate() {
        nodes.push(FulfilmentNode {
            code: node_code(place as u32)?,
            utc_offset: 0,
            shipments_per_day: match node.capacity {
                Capacity::Unlimited => u32::MAX,
                Capacity::Shipments(most) | Capacity::Units(most) => most,
            },
            // Shipments of today leave in the evening; at noon the cut-off of the others is past.
            cut_off: if node.dispatch.0 == 0 { 1_080 } else { 600 },
            handling: node.shipment,
            unit_handling: node.unit,
            closed: node.closed,
            stock: NodeStock::default(),
        });
    }
    let mut stocks = vec![Vec::new(); nodes.len()];
    for stock in &problem.stock {
        let (product, on_hand) = (SkuId(stock.sku), stock.available);
        stocks[stock.node as usize].push(Stock { product, on_hand, reserved: 0, safety: 0 });
    }
    for (node, mut stock) in nodes.iter_mut().zip(stocks) {
        stock.sort_by_key(|stock| stock.product);
        node.stock = NodeStock::new(&stock)?;
    }
    let mut lanes: Vec<Lane> = problem.lanes.iter().map(lane).collect();
    lanes.sort_by_key(|lane| (lane.node, lane.region));
    let named = (0..regions).map(|region| Ok(Region { code: region_code(region)?, utc_offset: 0, promises: vec![] }));
    let price = ListedPrice { list: Money(1_000), points: &[] };
    let parts = Parts {
        name: "made-up".into(),
        version: "1".into(),
        storefront: Storefront {
            currency: Currency::new("USD")?,
            issued: Millis(NOON.0 - Millis::DAY / 2),
            expires: Millis(NOON.0 + Millis::DAY),
            catalog: Catalog::new(names)?,
            prices: Prices::new(vec![price; products as usize])?,
            regions: named.collect::<Result<_>>()?,
            published: None,
            slice_of: None,
        },
        pricing: Pricing::new(
            Rounding { unit: 10, endings: vec![9] },
            CoverPolicy { short_weeks: 1, long_weeks: 8, excess_loss: BasisPoints(0) },
            &[],
        )?,
        fulfilment: Fulfilment { nodes, lanes },
        forecast: None,
    };
    let built = parts.build()?;
    let orders = problem.orders.iter().enumerate().map(|(place, asked)| order(place, asked));
    let request = AllocateRequest {
        snapshot: built.snapshot.root,
        at: NOON,
        orders: orders.collect::<Result<_>>()?,
        policy: AllocationPolicy {
            day_late: problem.costs.day_late,
            late,
            split: problem.costs.split,
            missing: Money(3_000),
            stock_out: Money(0),
            change: problem.costs.change,
        },
        live: Live::default(),
        previous: Vec::new(),
        late: None,
    };
    Ok((built.whole, request))
}

fn lane(lane: &tradewind_core::allocate::Lane) -> Lane {
    Lane {
        node: lane.node as u16,
        region: lane.region as u16,
        distance: 100 * lane.transit,
        cost: lane.shipment,
        unit_cost: lane.unit,
        min_days: lane.transit as u8,
        max_days: lane.transit as u8,
        states: Vec::new(),
    }
}

fn order(place: usize, order: &Order) -> Result<ShopOrder> {
    let line = |sku: u32, quantity| Ok(Line { sku: Sku::new(sku_name(sku))?, quantity });
    let code = |node: &u32| node_code(*node);
    Ok(ShopOrder {
        id: Id::new(format!("order-{place}"))?,
        region: region_code(order.region)?,
        lines: order.lines.iter().map(|one| line(one.sku, one.quantity)).collect::<Result<_>>()?,
        promised: tradewind_core::Day(NOON.day().0 + order.promised.0),
        priority: order.priority,
        complete: order.complete,
        max_splits: order.max_splits,
        pinned: order.pinned.as_ref().map(code).transpose()?,
        excluded: order.excluded.iter().map(code).collect::<Result<_>>()?,
    })
}

fn sku_name(sku: u32) -> String {
    format!("product-{sku:05}")
}

fn node_code(node: u32) -> Result<Code> {
    Ok(Code::new(format!("NODE-{node}"))?)
}

fn region_code(region: u32) -> Result<Code> {
    Ok(Code::new(format!("REGION-{region}"))?)
}
