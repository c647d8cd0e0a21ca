//! The warehouse service on a real PostgreSQL: replicas, crashes of either, and the database away for a while.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{fs, thread};
use tradewind_tests::{
    dist,
    service::{Postgres, Service, balanced, eventually, keys, orders},
};

#[test]
fn replicas_never_promise_the_same_unit_twice() -> Result<()> {
    let postgres = Postgres::start()?;
    let keys = keys(&postgres.url())?;
    let start = || Service::start(&postgres.url(), &keys, &[]);
    let (one, other) = (start()?, start()?);
    let (sku, units) = ("866211", 40);
    let stock = one.get(&format!("/v1/stock?sku={sku}"))?;
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

    // What one takes, the other follows.
    let pack = fs::read(dist("packs/late.pack")?)?;
    let taken = one.send("admin", "PUT", "/v1/packs/late", &[], &pack)?;
    ensure!(taken.status == 200, "{taken:?}");
    eventually("the other replica follows", || Ok(other.get("/healthz")?["release"] == taken.body["number"]))?;

    // One is killed while both work; the other finishes.
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
    // It goes away in the middle of the work.
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
