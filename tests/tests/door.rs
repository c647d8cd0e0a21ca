//! Input accepted by the API's types can be decided by the module: valid and invalid orders and shipments, alone and in
//! combination.

use anyhow::{Result, bail, ensure};
use proptest::{prelude::*, sample::select, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use std::{fmt::Debug, fs};
use tradewind_core::{
    Engine, Millis,
    aligned::AlignedBytes,
    allocate::{AllocateRequest, AllocationPolicy, Problem, ShopOrder},
    exceptions::{self, ExceptionRequest, Policy},
    message::{self, Decision},
    snapshot::{Live, Snapshot},
};
use tradewind_json::Shipment;
use tradewind_tests::{decisions::AFTERNOON, dist};

/// Engine with the reference snapshot and a lateness model.
fn engine() -> Result<(Engine, Snapshot)> {
    let bytes = fs::read(dist("reference.snapshot")?)?;
    let mut engine = Engine::new();
    for bytes in [&bytes, &fs::read(dist("packs/late.pack")?)?] {
        let fault = message::fault(&engine.load(AlignedBytes::copy_of(bytes)?));
        ensure!(fault.is_none(), "{fault:?}");
    }
    Ok((engine, Snapshot::read(&bytes)?))
}

/// Order as accepted by the API; `None` if it is refused.
fn taken(order: Value, snapshot: &Snapshot) -> Option<ShopOrder> {
    let order = serde_json::from_value::<ShopOrder>(order).ok()?;
    order.check().ok()?;
    let request = allocation(vec![order.clone()], snapshot);
    request.check(snapshot).ok().map(|()| order)
}

fn allocation(orders: Vec<ShopOrder>, snapshot: &Snapshot) -> AllocateRequest {
    AllocateRequest {
        snapshot: snapshot.root,
        at: AFTERNOON,
        orders,
        policy: AllocationPolicy::default(),
        live: Live::default(),
        previous: Vec::new(),
        late: None,
    }
}

/// Shipment as accepted by the API; `None` if it is refused.
fn watched(shipment: Value) -> Option<exceptions::Shipment> {
    serde_json::from_value::<Shipment>(shipment).ok()?.message().ok()
}

fn decided<D: Decision + Debug>(engine: &mut Engine, request: &D) -> Result<()> {
    match message::fault(&engine.call(&message::request(request))) {
        Some(fault) => bail!("{fault}: {request:?}"),
        None => Ok(()),
    }
}

fn texts() -> impl Strategy<Value = String> {
    let known = select(vec!["LAX", "SEA", "IAH", "LAS", "866211", "1082185", "995242", "o-1", "", ".", "lax", "a/b"]);
    let long = (60..70_usize, select(vec!["x", "é", "\u{0}"])).prop_map(|(len, part)| part.repeat(len));
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => long, 1 => ".{0,8}"]
}

fn numbers() -> impl Strategy<Value = Value> {
    let odd = select(vec![
        0,
        -1,
        1_000_000,
        1_000_001,
        i64::from(u32::MAX),
        i64::from(u32::MAX) + 1,
        10_000_000_000_000,
        10_000_000_000_001,
        i64::MIN,
        i64::MAX,
    ]);
    prop_oneof![3 => (1..9_i64).boxed(), 1 => odd.boxed()].prop_map(Value::from)
}

fn moments() -> impl Strategy<Value = Value> {
    let odd = select(vec![
        json!("2017-12-01T09:00:00Z"),
        json!("1969-12-31T00:00:00Z"),
        json!("2300-01-01T00:00:00Z"),
        json!(0),
        json!(1_512_345_600),
        json!(-1),
        json!(1_512_345_600_000_i64),
        json!(Millis(946_684_799_999)),
        json!(Millis(946_684_800_000)),
        json!(Millis(4_133_980_799_999)),
        json!(Millis(4_133_980_800_000)),
        json!(Millis(i64::MAX)),
        json!("soon"),
    ]);
    prop_oneof![3 => (1_512_000_000_000..1_512_400_000_000_i64).prop_map(|at| json!(Millis(at))), 1 => odd]
}

fn order() -> impl Strategy<Value = Value> {
    let days =
        select(vec!["2017-12-09", "2017-12-01", "2000-01-01", "2100-12-31", "2300-01-01", "1969-12-31", "9999-12-31"]);
    let lines = proptest::collection::vec((texts(), numbers()), 0..4);
    let rest = (0..10_u16, any::<bool>(), prop::option::of(numbers()), prop::option::of(texts()));
    (texts(), texts(), lines, days, rest, proptest::collection::vec(texts(), 0..3)).prop_map(
        |(id, region, lines, promised, (priority, complete, max_splits, pinned), excluded)| {
            let lines = lines.into_iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity}));
            json!({
                "id": id, "region": region, "lines": lines.collect::<Value>(), "promised": promised, "priority": priority,
                "complete": complete, "max_splits": max_splits, "pinned": pinned, "excluded": excluded,
            })
        },
    )
}

fn shipment() -> impl Strategy<Value = Value> {
    let states = select(vec!["created", "packed", "picked_up", "arrived", "delivered", "teleported"]);
    let lines = proptest::collection::vec((texts(), numbers(), numbers()), 0..4);
    let scans = proptest::collection::vec((states, moments(), texts()), 0..5);
    let services = proptest::collection::vec((texts(), numbers(), moments()), 0..3);
    ((texts(), texts(), texts(), texts()), lines, moments(), moments(), scans, services).prop_map(
        |((id, order, node, region), lines, created, promised, scans, services)| {
            let lines = lines.into_iter();
            let lines = lines.map(|(sku, quantity, value)| json!({"sku": sku, "quantity": quantity, "value": value}));
            let scans = scans.into_iter().map(|(state, at, place)| json!({"state": state, "at": at, "place": place}));
            let services = services.into_iter();
            let services =
                services.map(|(service, cost, arrives)| json!({"service": service, "cost": cost, "arrives": arrives}));
            json!({
                "id": id, "order": order, "node": node, "region": region, "lines": lines.collect::<Value>(),
                "created": created, "promised": promised, "scans": scans.collect::<Value>(),
                "services": services.collect::<Value>(),
            })
        },
    )
}

fn exceptions(shipments: Vec<exceptions::Shipment>, snapshot: &Snapshot) -> ExceptionRequest {
    ExceptionRequest {
        snapshot: Some(snapshot.root),
        at: AFTERNOON,
        shipments,
        policy: Policy::default(),
        limit: 100,
        ..ExceptionRequest::default()
    }
}

#[test]
fn what_the_door_takes_is_decided() -> Result<()> {
    let (mut engine, snapshot) = engine()?;
    let (mut orders, mut shipments) = (0, 0);
    let mut runner = TestRunner::deterministic();
    for _ in 0..20_000 {
        let sent = order().new_tree(&mut runner).map_err(anyhow::Error::msg)?.current();
        if let Some(order) = taken(sent, &snapshot) {
            orders += 1;
            decided(&mut engine, &allocation(vec![order], &snapshot))?;
        }
        let sent = shipment().new_tree(&mut runner).map_err(anyhow::Error::msg)?.current();
        if let Some(shipment) = watched(sent) {
            shipments += 1;
            decided(&mut engine, &exceptions(vec![shipment], &snapshot))?;
        }
    }
    ensure!(orders > 100 && shipments > 100, "{orders} orders and {shipments} shipments are taken: nothing was shown");
    Ok(())
}

#[test]
fn what_has_come_together_is_decided_too() -> Result<()> {
    let (mut engine, snapshot) = engine()?;
    // The largest order, with a previous plan, at the end of the snapshot's validity.
    let skus: Vec<_> = snapshot.storefront.catalog.skus().take(Problem::MAX_ORDER_LINES).collect();
    let units = ShopOrder::MAX_UNITS / skus.len();
    let lines: Value = skus.iter().map(|sku| json!({"sku": sku.as_str(), "quantity": units})).collect();
    let largest = json!({"id": "o", "region": "LAX", "lines": lines, "promised": "2017-12-09"});
    let largest = taken(largest, &snapshot).ok_or_else(|| anyhow::anyhow!("the largest order is not taken"))?;
    let mut request = allocation(vec![largest], &snapshot);
    request.at = Millis(snapshot.storefront.expires.0 - 1);
    decided(&mut engine, &request)?;

    // The largest shipment.
    let line = |n: usize| json!({"sku": format!("{n:064}"), "quantity": u32::MAX, "value": 10_000_000_000_000_i64});
    let scan =
        |n: usize| json!({"state": "arrived", "at": Millis(1_512_000_000_000 + n as i64), "place": "é".repeat(32)});
    let service = |n: usize| json!({"service": format!("{n:064}"), "cost": 1, "arrives": "2100-12-31T23:59:59Z"});
    let full = json!({
        "id": "p", "order": "o", "node": "SEA", "region": "IAH", "created": "2000-01-01T00:00:00Z",
        "promised": "2100-12-31T23:59:59Z", "lines": (0..1_000).map(line).collect::<Value>(),
        "scans": (0..1_000).map(scan).collect::<Value>(), "services": (0..1_000).map(service).collect::<Value>(),
    });
    for (list, all) in [("scans", true), ("scans", false), ("services", false)] {
        let mut shipment = full.clone();
        if !all {
            shipment[list] = json!([]);
        }
        let shipment = watched(shipment).ok_or_else(|| anyhow::anyhow!("the largest shipment is not taken"))?;
        decided(&mut engine, &exceptions(vec![shipment], &snapshot))?;
    }
    for list in ["lines", "scans", "services"] {
        let mut over = full.clone();
        let more = over[list][0].clone();
        over[list].as_array_mut().into_iter().for_each(|list| list.push(more.clone()));
        ensure!(watched(over).is_none(), "too many {list} are taken");
    }
    Ok(())
}
