//! The warehouse service on a real PostgreSQL: replicas, crashes of both, and an unreachable database.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{fs, thread};
use tradewind_tests::{
    database::Lock,
    dist,
    service::{Postgres, Service, balanced, eventually, keys, orders},
};

#[test]
fn replicas_that_start_together_on_an_empty_database_all_serve() -> Result<()> {
    let postgres = Postgres::start()?;
    let keys = keys(&postgres.url())?;
    let start = || Service::start(&postgres.url(), &keys, &[]);
    thread::scope(|scope| -> Result<()> {
        let started: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        for replica in started {
            let replica = replica.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            ensure!(replica.get("/healthz")?["release"] == 1);
        }
        Ok(())
    })
}

#[test]
fn replicas_never_promise_the_same_unit_twice() -> Result<()> {
    let postgres = Postgres::start()?;
    let keys = keys(&postgres.url())?;
    let start = || Service::start(&postgres.url(), &keys, &[]);
    let (one, other) = (start()?, start()?);
    let (sku, units) = ("866211", 40);
    let stock = one.items(&format!("/v1/stock?sku={sku}"))?;
    let counts = stock.as_array().into_iter().flatten().enumerate().map(|(place, row)| {
        json!({"node": row["node"], "sku": sku, "on_hand": if place < 2 { units / 2 } else { 0 }, "safety": 0})
    });
    one.ask("warehouse", "PUT", "/v1/stock", &counts.collect(), 200)?;
    let send = |service: &Service, name: &str| -> Result<()> {
        for n in 0..100 {
            service.order(&json!({"id": format!("{name}-{n}"), "region": "LAX", "lines": [{"sku": sku, "quantity": 1}], "promised": "2017-12-09"}))?;
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let sent = [scope.spawn(|| send(&one, "one")), scope.spawn(|| send(&other, "other"))];
        for sent in sent {
            sent.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    let settled = one.settled()?;
    let count = |state: &str| settled.iter().filter(|order| order["state"] == state).count();
    ensure!(
        count("allocated") == units && count("short") == 200 - units,
        "{} are promised of {units}",
        count("allocated")
    );
    balanced(&other)?;

    // One replica activates a release, and the other follows.
    let pack = fs::read(dist("packs/late.pack")?)?;
    let taken = one.send("admin", "PUT", "/v1/packs/late", &[], &pack)?;
    ensure!(taken.status == 200, "{taken:?}");
    eventually("the other replica follows", || Ok(other.get("/healthz")?["release"] == taken.body["number"]))?;

    // One replica is killed while both work; the other finishes.
    for order in orders()? {
        one.order(&order)?;
    }
    one.kill()?;
    ensure!(other.settled()?.len() == 200 + orders()?.len());
    balanced(&other)?;
    ensure!(other.stop()?);
    Ok(())
}

#[test]
fn orders_wait_while_the_database_is_away() -> Result<()> {
    let postgres = Postgres::start()?;
    let service = Service::start(&postgres.url(), &keys(&postgres.url())?, &[])?;
    let orders = orders()?;
    for order in &orders[..80] {
        service.order(order)?;
    }
    // The database stops during the work.
    postgres.down()?;
    let away = service.submit(&orders[80])?;
    ensure!(away.is_problem(503) && away.header("retry-after") == "1", "{away:?}");
    ensure!(service.send("", "GET", "/healthz", &[], b"")?.status == 503);
    postgres.up()?;
    eventually("it is well again", || Ok(service.send("", "GET", "/healthz", &[], b"")?.status == 200))?;
    for order in &orders[..120] {
        service.order(order)?;
    }
    let settled = service.settled()?;
    ensure!(settled.len() == 120, "{} orders", settled.len());
    ensure!(settled.iter().all(|order| order["state"] == "allocated" || order["state"] == "short"));
    balanced(&service)?;
    service.ask("operator", "GET", "/v1/orders/nothing", &Value::Null, 404)?;
    Ok(())
}

/// Sets the count of a product at one node, and 0 elsewhere.
fn count(service: &Service, sku: &str, on_hand: u32, safety: u32) -> Result<()> {
    let rows = service.items(&format!("/v1/stock?sku={sku}"))?;
    let nodes = rows.as_array().context("no list")?.iter().map(|row| row["node"].clone());
    let none = nodes.filter(|node| node != "LAS").map(|node| json!({"node": node, "sku": sku, "on_hand": 0}));
    let here = json!({"node": "LAS", "sku": sku, "on_hand": on_hand, "safety": safety});
    service.ask("warehouse", "PUT", "/v1/stock", &none.chain([here]).collect(), 200)?;
    Ok(())
}

#[test]
fn stock_that_comes_while_an_order_is_planned_goes_to_the_first_waiting_order() -> Result<()> {
    let postgres = Postgres::start()?;
    let service = Service::start(&postgres.url(), &keys(&postgres.url())?, &[])?;
    let (scarce, other) = ("866211", "1082185");
    let order = |id: &str, priority: u8, skus: &[&str]| {
        let lines: Vec<_> = skus.iter().map(|sku| json!({"sku": sku, "quantity": 1})).collect();
        json!({"id": id, "region": "LAX", "lines": lines, "promised": "2017-12-09", "priority": priority})
    };
    let state = |id: &str| -> Result<Value> { Ok(service.get(&format!("/v1/orders/{id}"))?["state"].clone()) };
    count(&service, scarce, 0, 0)?;
    count(&service, other, 9, 0)?;
    // A higher count, or a lower safety stock.
    for (round, (on_hand, safety)) in [(1, 0), (4, 2), (4, 0)].into_iter().enumerate() {
        let [urgent, late] = ["urgent", "late"].map(|name| format!("{name}-{round}"));
        service.order(&order(&urgent, 0, &[scarce]))?;
        service.settled()?;
        // The other order's input has been read when its plan waits here.
        let mut lock = Lock::take(&postgres.url(), "SELECT closed FROM nodes FOR UPDATE")?;
        service.order(&order(&late, 1, &[scarce, other]))?;
        lock.stops_someone()?;
        count(&service, scarce, on_hand, safety)?;
        lock.release()?;
        let given = if round == 2 { "allocated" } else { "short" };
        eventually("both are planned with what has come", || {
            Ok(state(&urgent)? == "allocated" && state(&late)? == given)
        })?;
        balanced(&service)?;
        service.ask("operator", "POST", &format!("/v1/orders/{late}/cancel"), &Value::Null, 204)?;
    }
    Ok(())
}
