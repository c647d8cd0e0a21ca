//! Existing rows from versions that accepted undecidable input: they are listed, and do not block other decisions. Each
//! test on SQLite and on PostgreSQL.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use tradewind_core::allocate::ShopOrder;
use tradewind_tests::{
    database::{Database, both},
    root,
    service::{Service, eventually, keys, list, orders, snapshot},
};

fn parcel(id: &str) -> Value {
    json!({
        "id": id, "order": "elsewhere-1", "node": "SEA", "region": "IAH",
        "lines": [{"sku": "1082185", "quantity": 1, "value": 10_000}],
        "created": "2017-12-01T09:00:00Z", "promised": "2017-12-03T09:00:00Z",
    })
}

/// Exceptions of shipments on the worklist: kind and reason.
fn work(service: &Service) -> Result<Vec<(String, String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| {
        let exception = &entry["exception"];
        (text(&exception["shipment"]), text(&exception["kind"]), text(&entry["reason"]))
    };
    Ok(list(&service.items("/v1/worklist?limit=1000")?).iter().map(entry).collect())
}

#[test]
fn a_shipment_that_cannot_be_judged_is_listed_and_all_others_are_judged() -> Result<()> {
    both(unjudged)
}

/// Fault of a shipment that cannot be scored: name, body and expected message.
type Fault<'a> = (&'a dyn Fn(&str) -> String, &'a str);

/// More bytes than a name may have, in fewer characters.
const LONG: &str = "ééééééééééééééééééééééééééééééééé";

/// Statement after which a shipment is scored again, whose rows were changed directly.
fn look_again(id: &str) -> String {
    format!("UPDATE looks SET due = 0, version = version + 1 WHERE shipment = '{id}'")
}

fn unjudged(database: &Database) -> Result<()> {
    let keys = keys(&database.url)?;
    let service = Service::start(&database.url, &keys, &[])?;
    let scan = |at: i64, state: &'static str, place: &'static str| {
        move |id: &str| {
            format!("INSERT INTO scans (shipment, at, state, place) VALUES ('{id}', {at}, '{state}', '{place}')")
        }
    };
    let body = |from: &'static str, to: &'static str| {
        move |id: &str| format!("UPDATE shipments SET body = REPLACE(body, '{from}', '{to}') WHERE id = '{id}'")
    };
    let at = 1_512_118_800_000;
    let faults: [Fault<'_>; 8] = [
        (&scan(at, "arrived", ""), "0 bytes"),
        (&scan(at, "arrived", LONG), "66 bytes"),
        (&scan(-1, "arrived", "SEA"), "-1"),
        (&scan(i64::MAX, "arrived", "SEA"), "`at`"),
        (&scan(at, "teleported", "SEA"), "teleported"),
        (&body("2017-12-03", "2300-01-01"), "2262"),
        (&body("\"value\":10000", "\"value\":-1"), "below 0"),
        (&body("{", "["), "cannot be read"),
    ];
    for (n, (fault, _)) in faults.iter().enumerate() {
        let id = format!("bad-{n}");
        service.ask("warehouse", "POST", "/v1/shipments", &parcel(&id), 201)?;
        database.run([fault(&id), look_again(&id)])?;
    }
    // Existing scans are too many for one scoring.
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("bad-8"), 201)?;
    database.run((0..1_001).map(|n| scan(at + n, "arrived", "SEA")("bad-8")).chain([look_again("bad-8")]))?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("good"), 201)?;

    let check = |service: &Service| -> Result<()> {
        eventually("all of them are listed", || {
            let work = work(service)?;
            let bad = work.iter().filter(|(id, kind, _)| id.starts_with("bad-") && kind == "data_fault").count();
            Ok(bad == faults.len() + 1 && work.iter().any(|(id, kind, _)| id == "good" && kind == "late"))
        })?;
        let work = work(service)?;
        let faults = faults.iter().map(|(_, said)| *said).chain(["scans"]);
        for (n, said) in faults.enumerate() {
            let reason = work.iter().find(|(id, ..)| *id == format!("bad-{n}")).context("not listed")?;
            ensure!(reason.2.contains(said), "{said}: {reason:?}");
        }
        let shown = service.get("/v1/shipments/bad-0")?;
        ensure!(shown["fault"].as_str().is_some_and(|fault| fault.contains("0 bytes")), "{shown}");
        let shown = service.get("/v1/shipments/bad-4")?;
        ensure!(shown["fault"].as_str().is_some_and(|fault| fault.contains("teleported")), "{shown}");
        ensure!(service.get("/v1/shipments/good")?["fault"].is_null());
        let health = service.get("/healthz")?;
        ensure!(
            health["status"] == "ok" && health["last_exception_scan"].is_string() && health["last_plan"].is_string(),
            "{health}"
        );
        let metrics = service.send("", "GET", "/metrics", &[], b"")?.body;
        let metrics = metrics.as_str().context("no metrics")?;
        let now = std::time::UNIX_EPOCH.elapsed()?.as_secs_f64();
        for name in ["tradewind_last_exception_scan_seconds", "tradewind_last_plan_seconds"] {
            let value = metrics.lines().find_map(|line| line.strip_prefix(name)).context("no metric")?;
            ensure!((now - value.trim().parse::<f64>()?).abs() < 120.0, "{name}{value}");
        }
        ensure!(metrics.contains("tradewind_unjudged_shipments 9"), "{metrics}");
        Ok(())
    };
    check(&service)?;
    // Entries that cannot be read are written again when their shipments are scored; the others of their batch too.
    database.run([
        "UPDATE worklist SET score = '?' WHERE shipment IN ('good', 'bad-1')".to_owned(),
        "UPDATE worklist SET state = 'acted', acted = 'by hand', score = '?' WHERE shipment = 'bad-2'".to_owned(),
    ])?;
    let entries = service.items("/v1/worklist?state=acted")?;
    let entry = list(&entries).first().context("no entry")?;
    let said = entry["reason"].as_str().unwrap_or_default();
    ensure!(said.contains("cannot be read") && entry["acted"] == "by hand", "{entry}");
    database.run([
        "UPDATE worklist SET state = 'open', acted = NULL WHERE shipment = 'bad-2'".to_owned(),
        "UPDATE looks SET due = 0, version = version + 1".to_owned(),
    ])?;
    check(&service)?;
    // Lists have unreadable shipments, in their place.
    database.run([
        "UPDATE shipments SET dispatch = 17500 WHERE id = 'bad-7'",
        "UPDATE shipments SET dispatch = 17501 WHERE id = 'good'",
    ])?;
    let page = service.get("/v1/shipments?limit=9")?;
    let next = page["next"].as_str().context("one page")?;
    let rest = service.get(&format!("/v1/shipments?after={next}"))?;
    let shown = [&page, &rest]
        .map(|page| list(&page["items"]).iter().map(|shipment| shipment["id"].clone()).collect::<Vec<_>>());
    ensure!(shown.concat().len() == faults.len() + 2 && rest["next"].is_null(), "{shown:?}");
    let shown = service.get("/v1/shipments/bad-7")?;
    ensure!(
        shown["fault"].as_str().is_some_and(|fault| fault.contains("cannot be read")) && shown["promised"].is_null()
    );
    // Operators see it, and can hold it.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let signed = service.send("", "POST", "/login", &form, format!("key={}", service.key("operator")).as_bytes())?;
    let cookie = signed.header("set-cookie").split(';').next().context("no cookie")?.to_owned();
    let page = service.send("", "GET", "/", &[("cookie", &cookie)], b"")?;
    ensure!(page.body.as_str().is_some_and(|page| page.contains("teleported") && page.contains("bad-0")), "{page:?}");
    // The same after a restart.
    ensure!(service.stop()?);
    let service = Service::start(&database.url, &keys, &[])?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("good-2"), 201)?;
    eventually("the next is judged", || Ok(work(&service)?.iter().any(|(id, ..)| id == "good-2")))?;
    check(&service)
}

#[test]
fn shipments_to_where_the_next_snapshot_does_not_deliver_are_data_faults() -> Result<()> {
    let (database, folder) = (Database::sqlite()?, tempfile::tempdir()?);
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    let mut other = parcel("to-lax");
    other["region"] = json!("LAX");
    for parcel in [parcel("to-iah"), other] {
        service.ask("warehouse", "POST", "/v1/shipments", &parcel, 201)?;
    }
    let next = snapshot(folder.path(), |name, text| {
        let region = |line: &&str| {
            !line.split(',').take(2).enumerate().any(|(place, field)| {
                field == "IAH" && (name == "regions.csv" && place == 0 || name == "lanes.csv" && place == 1)
            })
        };
        text.lines().filter(region).map(|line| format!("{line}\n")).collect()
    })?;
    let taken = service.send("admin", "PUT", "/v1/snapshot", &[], &fs::read(next)?)?;
    ensure!(taken.status == 200, "{taken:?}");
    eventually("it is listed, and the other is judged", || {
        let work = work(&service)?;
        let has = |id: &str, kind: &str| work.iter().any(|(shipment, found, _)| shipment == id && found == kind);
        Ok(has("to-iah", "data_fault") && has("to-lax", "late"))
    })?;
    let refused = service.send("warehouse", "POST", "/v1/shipments", &[], &serde_json::to_vec(&parcel("p-2"))?)?;
    ensure!(refused.is_problem(422), "{refused:?}");
    Ok(())
}

#[test]
fn an_order_that_cannot_be_planned_takes_no_other_down() -> Result<()> {
    both(undecidable)
}

fn undecidable(database: &Database) -> Result<()> {
    let keys = keys(&database.url)?;
    ensure!(Service::start(&database.url, &keys, &[])?.stop()?);
    let kept = |order: &Value| -> Result<String> {
        let order: ShopOrder = serde_json::from_value(order.clone())?;
        Ok(serde_json::to_string(&order)?)
    };
    let good = &orders()?[..60];
    let order =
        json!({"id": "bad", "region": "LAX", "lines": [{"sku": "866211", "quantity": 1}], "promised": "2017-12-09"});
    let mut bad = Vec::new();
    for (place, value) in [
        ("/promised", json!("2300-01-01")),
        ("/region", json!("NOWHERE")),
        ("/lines/0/quantity", json!(4_294_967_295_u32)),
        ("/lines/0/sku", json!("")),
    ] {
        let mut order = order.clone();
        *order.pointer_mut(place).context("no field")? = value;
        bad.push(order.to_string());
    }
    bad.push("{".to_owned());
    let good: Vec<(String, String)> = good
        .iter()
        .map(|order| Ok((order["id"].as_str().context("no id")?.to_owned(), kept(order)?)))
        .collect::<Result<_>>()?;
    let mut rows = good.clone();
    for (n, body) in bad.iter().enumerate() {
        rows.insert(n * 12, (format!("bad-{n}"), body.replace("\"bad\"", &format!("\"bad-{n}\""))));
    }
    let rows = rows.iter().enumerate().map(|(n, (id, body))| {
        format!(
            "INSERT INTO orders (id, idempotency, body, state, priority, received, seq, tries, due, lease, lease_until) \
             VALUES ('{id}', '{id}', '{body}', 'queued', 0, 1512396000000, {}, 0, 0, '', 0)",
            n + 1
        )
    });
    database.run(rows)?;
    let service = Service::start(&database.url, &keys, &[])?;
    // Valid orders are planned without waiting for retried ones.
    eventually("all others are planned", || {
        let all = service.items("/v1/orders?limit=1000")?;
        let planned = |order: &&Value| order["state"] == "allocated" || order["state"] == "short";
        Ok(list(&all).iter().filter(planned).count() == good.len())
    })?;
    let settled = service.settled()?;
    let dead: Vec<_> = settled.iter().filter(|order| order["state"] == "dead").collect();
    ensure!(dead.len() == bad.len(), "{dead:?}");
    for (n, said) in ["2300-01-01", "NOWHERE", "1000000", "SKU", "cannot be read"].iter().enumerate() {
        let order = dead.iter().find(|order| order["id"] == format!("bad-{n}")).context("it is not dead")?;
        ensure!(order["error"].as_str().is_some_and(|error| error.contains(said)), "{said}: {order}");
    }
    let cancelled = service.send("shop", "POST", "/v1/orders/bad-4/cancel", &[], b"")?;
    ensure!(cancelled.status == 204, "{cancelled:?}");
    ensure!(service.get("/healthz")?["status"] == "ok");
    Ok(())
}

#[test]
fn health_says_when_shipments_are_no_longer_looked_at() -> Result<()> {
    both(unhealthy)
}

fn unhealthy(database: &Database) -> Result<()> {
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    eventually("all is well", || {
        let health = service.get("/healthz")?;
        Ok(health["status"] == "ok" && health["last_exception_scan"].is_string() && health["troubles"] == json!([]))
    })?;
    database.run(["ALTER TABLE worklist RENAME TO elsewhere"])?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("p-1"), 201)?;
    let mut last = Value::Null;
    eventually("it says so", || {
        let health = service.get("/healthz")?;
        last = health["last_exception_scan"].clone();
        let told = list(&health["troubles"])
            .iter()
            .any(|trouble| trouble.as_str().is_some_and(|said| said.contains("shipments")));
        Ok(health["status"] == "degraded" && told)
    })?;
    ensure!(last.is_string(), "it does not say when it last looked");
    database.run(["ALTER TABLE elsewhere RENAME TO worklist"])?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("p-2"), 201)?;
    eventually("all is well again", || Ok(service.get("/healthz")?["status"] == "ok"))?;
    ensure!(service.get("/healthz")?["last_exception_scan"] != last);
    Ok(())
}

const SKU: &str = "866211";

fn order(id: &str, priority: u8) -> Value {
    json!({"id": id, "region": "LAX", "lines": [{"sku": SKU, "quantity": 1}], "promised": "2017-12-09", "priority": priority})
}

/// Sets the count of the product to `units` at one node, and 0 elsewhere.
fn count(service: &Service, units: u32) -> Result<()> {
    let rows = service.items(&format!("/v1/stock?sku={SKU}"))?;
    let counts = list(&rows).iter().map(|row| {
        json!({"node": row["node"], "sku": SKU, "on_hand": if row["node"] == "LAS" { units } else { 0 }, "safety": 0})
    });
    service.ask("warehouse", "PUT", "/v1/stock", &counts.collect(), 200)?;
    service.settled()?;
    Ok(())
}

/// Allocated ones among these orders.
fn allocated(service: &Service) -> Result<Vec<String>> {
    let mut settled = service.settled()?;
    settled.reverse();
    let settled = settled.iter().filter(|order| order["state"] == "allocated");
    Ok(settled.filter_map(|order| order["id"].as_str().map(str::to_owned)).collect())
}

#[test]
fn the_first_order_is_served_first_and_loses_last() -> Result<()> {
    both(arrivals)
}

fn arrivals(database: &Database) -> Result<()> {
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    count(&service, 0)?;
    // Sorted as text, their names have the opposite order.
    for (id, priority) in [("web-9", 1), ("web-10", 1), ("web-8", 2), ("web-11", 0)] {
        service.order(&order(id, priority))?;
        service.settled()?;
    }
    let listed = service.items("/v1/orders")?;
    let listed: Vec<_> = list(&listed).iter().map(|order| order["id"].clone()).collect();
    ensure!(listed == ["web-11", "web-8", "web-10", "web-9"], "{listed:?}");
    // Back-orders get new units by priority, then by arrival.
    for (units, expected) in [
        (1, &["web-11"][..]),
        (2, &["web-9", "web-11"]),
        (3, &["web-9", "web-10", "web-11"]),
        (4, &["web-9", "web-10", "web-8", "web-11"]),
        // They lose units in the opposite order.
        (3, &["web-9", "web-10", "web-11"]),
        (2, &["web-9", "web-11"]),
        (1, &["web-11"]),
        (4, &["web-9", "web-10", "web-8", "web-11"]),
    ] {
        count(&service, units)?;
        let served = allocated(&service)?;
        ensure!(served == expected, "of {units}: {served:?}, not {expected:?}");
    }
    // Packed units stay, with any order, as long as others are unpacked.
    let of = service.get("/v1/orders/web-8")?;
    let shipment = list(&of["shipments"]).iter().find(|shipment| shipment["state"] == "created").context("none")?;
    let packed = json!([{"state": "packed", "at": "2017-12-04T15:00:00Z", "place": "LAS"}]);
    let path = format!("/v1/shipments/{}/scans", shipment["id"].as_str().context("no id")?);
    service.ask("warehouse", "POST", &path, &packed, 204)?;
    for (units, expected) in
        [(3, &["web-9", "web-8", "web-11"][..]), (2, &["web-8", "web-11"]), (1, &["web-8"]), (0, &[])]
    {
        count(&service, units)?;
        let served = allocated(&service)?;
        ensure!(served == expected, "of {units}: {served:?}, not {expected:?}");
    }
    Ok(())
}

#[test]
fn orders_of_a_database_of_the_version_before_are_served_as_they_came() -> Result<()> {
    both(older)
}

fn older(database: &Database) -> Result<()> {
    database.older(2)?;
    // One unit of the product at every node, and orders that waited for it.
    let nodes = fs::read_to_string(root().join("models/snapshot/nodes.csv"))?;
    let nodes = nodes.lines().skip(1).filter_map(|line| line.split(',').next());
    database.run(nodes.map(|node| {
        let units = u8::from(node == "LAS");
        format!("INSERT INTO stock (node, sku, on_hand, reserved, safety) VALUES ('{node}', '{SKU}', {units}, 0, 0)")
    }))?;
    let waiting = [("web-10", 7), ("web-9", 7), ("web-100", 6), ("a", 8)];
    for (id, received) in waiting {
        let body: ShopOrder = serde_json::from_value(order(id, 0))?;
        let body = serde_json::to_string(&body)?;
        database.run([format!(
            "INSERT INTO orders (id, idempotency, body, state, priority, received, tries, due, lease, lease_until) \
             VALUES ('{id}', '{id}', '{body}', 'short', 0, {received}, 0, {}, '', 0)",
            i64::MAX
        )])?;
    }
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    let planned = || Ok(list(&service.items("/v1/orders")?).iter().all(|order| order["decided"].is_string()));
    eventually("all are planned", planned)?;
    let served = allocated(&service)?;
    ensure!(served == ["web-100"], "{served:?}");
    service.order(&order("0", 0))?;
    service.settled()?;
    let listed = service.items("/v1/orders")?;
    let listed: Vec<_> = list(&listed).iter().map(|order| order["id"].clone()).collect();
    ensure!(listed == ["0", "a", "web-10", "web-9", "web-100"], "{listed:?}");
    for (units, expected) in [
        (2, &["web-100", "web-9"][..]),
        (4, &["web-100", "web-9", "web-10", "a"]),
        (5, &["web-100", "web-9", "web-10", "a", "0"]),
    ] {
        count(&service, units)?;
        let served = allocated(&service)?;
        ensure!(served == expected, "of {units}: {served:?}, not {expected:?}");
    }
    Ok(())
}
