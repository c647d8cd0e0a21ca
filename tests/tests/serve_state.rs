//! State of the warehouse service over time: lists in pages, the feed of events, exceptions as time passes, retention, and
//! databases of earlier versions. Each test on SQLite and on PostgreSQL, where it can differ.

use anyhow::{Context, Result, ensure};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};
use tradewind_tests::{
    database::{Database, Lock, both},
    service::{Service, balanced, eventually, keys, list, orders, text},
};

const SKU: &str = "1082185";

fn start(database: &Database, arguments: &[&str]) -> Result<Service> {
    Service::start(&database.url, &keys(&database.url)?, arguments)
}

#[test]
fn lists_come_in_pages_that_together_are_the_list() -> Result<()> {
    both(|database| {
        let service = start(database, &[])?;
        for order in &orders()?[..30] {
            service.order(order)?;
        }
        service.settled()?;
        eventually("something is on the worklist", || Ok(!list(&service.items("/v1/worklist")?).is_empty()))?;
        for (path, keys) in [
            ("/v1/orders", &["id"][..]),
            ("/v1/orders?state=allocated", &["id"]),
            ("/v1/stock?node=LAS", &["sku", "node"]),
            (&format!("/v1/stock?sku={SKU}"), &["sku", "node"]),
            ("/v1/shipments", &["id"]),
            ("/v1/shipments?state=created", &["id"]),
            ("/v1/worklist", &["id"]),
        ] {
            let sign = if path.contains('?') { '&' } else { '?' };
            let whole = service.items(&format!("{path}{sign}limit=1000"))?;
            let pages = service.items(&format!("{path}{sign}limit=7"))?;
            ensure!(whole == pages, "{path}");
            let names: BTreeSet<Vec<&str>> =
                list(&whole).iter().map(|item| keys.iter().map(|key| text(&item[*key])).collect()).collect();
            ensure!(
                !names.is_empty() && names.len() == list(&whole).len(),
                "{path}: {} of {}",
                names.len(),
                list(&whole).len()
            );
        }
        // What is added meanwhile moves nothing to another page.
        let first = service.get("/v1/orders?limit=10")?;
        service.order(&orders()?[30])?;
        let second = service.get(&format!("/v1/orders?limit=10&after={}", text(&first["next"])))?;
        let seen: BTreeSet<&str> = list(&first["items"]).iter().map(|order| text(&order["id"])).collect();
        ensure!(list(&second["items"]).len() == 10);
        ensure!(list(&second["items"]).iter().all(|order| !seen.contains(text(&order["id"]))), "an order comes twice");
        let refused = service.send("operator", "GET", "/v1/orders?after=17", &[], b"")?;
        ensure!(refused.status == 400 && text(&refused.body["detail"]).contains("cursor"), "{refused:?}");
        Ok(())
    })
}

#[test]
fn a_node_sees_what_it_has_to_pack() -> Result<()> {
    let database = Database::sqlite()?;
    let service = start(&database, &[])?;
    for order in &orders()?[..20] {
        service.order(order)?;
    }
    let all: Vec<Value> = service.settled()?.iter().flat_map(|order| list(&order["shipments"]).to_vec()).collect();
    let one = all.first().context("no shipment")?;
    let path = format!("/v1/shipments?node={}&state=created&dispatch={}", text(&one["node"]), text(&one["dispatch"]));
    let here = service.items(&path)?;
    let expected = all.iter().filter(|other| other["node"] == one["node"] && other["dispatch"] == one["dispatch"]);
    let names = |shipments: &mut dyn Iterator<Item = &Value>| -> BTreeSet<String> {
        shipments.map(|shipment| text(&shipment["id"]).to_owned()).collect()
    };
    ensure!(names(&mut list(&here).iter()) == names(&mut expected.into_iter()), "{here}");
    let scan = json!([{"state": "packed", "at": "2017-12-04T14:30:00Z", "place": one["node"]}]);
    service.ask("warehouse", "POST", &format!("/v1/shipments/{}/scans", text(&one["id"])), &scan, 204)?;
    ensure!(list(&service.items(&path)?).iter().all(|shipment| shipment["id"] != one["id"]), "it is packed");
    let refused = service.send("operator", "GET", "/v1/shipments?state=lost", &[], b"")?;
    ensure!(refused.status == 400 && text(&refused.body["detail"]).contains("lost"), "{refused:?}");
    Ok(())
}

/// All events after one.
fn events(service: &Service, after: &mut String) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    loop {
        let query = if after.is_empty() { String::new() } else { format!("&after={after}") };
        let feed = service.get(&format!("/v1/events?limit=5{query}"))?;
        let items = list(&feed["items"]);
        *after = text(&feed["next"]).to_owned();
        if items.is_empty() {
            return Ok(events);
        }
        events.extend_from_slice(items);
    }
}

#[test]
fn the_feed_tells_every_change_once_and_in_order() -> Result<()> {
    both(|database| {
        let service = start(database, &[])?;
        let mut after = String::new();
        ensure!(events(&service, &mut after)?.is_empty());
        let order = &orders()?[0];
        service.order(order)?;
        let settled = service.settled()?;
        let id = text(&order["id"]);
        let shipment = text(&settled[0]["shipments"][0]["id"]).to_owned();
        let scan = json!([{"state": "packed", "at": "2017-12-04T14:30:00Z", "place": "STL"}]);
        service.ask("warehouse", "POST", &format!("/v1/shipments/{shipment}/scans"), &scan, 204)?;
        service.ask("shop", "POST", &format!("/v1/orders/{id}/cancel"), &Value::Null, 204)?;
        let mut told = Vec::new();
        eventually("all of it appears", || {
            told.extend(events(&service, &mut after)?);
            Ok(told.iter().any(|event| event["type"] == "shipment.cancelled"))
        })?;
        let of = |subject: &str| -> Vec<&str> {
            told.iter().filter(|event| event["subject"] == subject).map(|event| text(&event["type"])).collect()
        };
        ensure!(of(id) == ["order.queued", "order.allocated", "order.cancelled"], "{told:?}");
        ensure!(of(&shipment) == ["shipment.created", "shipment.packed", "shipment.cancelled"], "{told:?}");
        let parents = told.iter().filter(|event| event["subject"] == *shipment).all(|event| event["parent"] == id);
        let names: BTreeSet<&str> = told.iter().map(|event| text(&event["id"])).collect();
        ensure!(parents && names.len() == told.len(), "{told:?}");
        let refused = service.send("operator", "GET", "/v1/events?after=now", &[], b"")?;
        ensure!(refused.status == 400, "{refused:?}");
        Ok(())
    })
}

#[test]
fn no_event_appears_before_one_that_was_told() -> Result<()> {
    let database = Database::postgres()?;
    let service = start(&database, &[])?;
    let mut after = String::new();
    // A transaction that has written an event, and ends after a later one.
    let slow = "INSERT INTO events (kind, subject) VALUES ('order.queued', 'slow')";
    let lock = Lock::take(&database.url, slow)?;
    service.order(&orders()?[0])?;
    service.settled()?;
    ensure!(events(&service, &mut after)?.is_empty(), "an event was told before an earlier one");
    lock.release()?;
    let mut told = Vec::new();
    eventually("both appear", || {
        told.extend(events(&service, &mut after)?);
        Ok(told.len() > 2)
    })?;
    ensure!(told[0]["subject"] == "slow", "{told:?}");
    Ok(())
}

/// Values of a column in all archived files of a table.
fn archived(folder: &Path, table: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(table) {
            continue;
        }
        for row in SerializedFileReader::new(File::open(&path)?)?.get_row_iter(None)? {
            found.insert(row?.get_string(0)?.clone());
        }
    }
    Ok(found)
}

#[test]
fn finished_orders_are_archived_and_removed_and_open_ones_stay() -> Result<()> {
    both(|database| {
        let (keys, folder) = (keys(&database.url)?, tempfile::tempdir()?);
        let archive = folder.path().join("archive");
        let service = Service::start(&database.url, &keys, &[])?;
        for order in &orders()?[..12] {
            service.order(order)?;
        }
        let settled = service.settled()?;
        let (gone, stays) = settled.split_at(6);
        for shipment in gone.iter().flat_map(|order| list(&order["shipments"])) {
            let scan = |state: &str, at: &str| json!({"state": state, "at": at, "place": shipment["node"]});
            let scans = json!([scan("picked_up", "2017-12-04T15:00:00Z"), scan("delivered", "2017-12-05T15:00:00Z")]);
            service.ask("warehouse", "POST", &format!("/v1/shipments/{}/scans", text(&shipment["id"])), &scans, 204)?;
        }
        ensure!(service.stop()?);
        let names = |orders: &[Value]| -> BTreeSet<String> {
            orders
                .iter()
                .filter(|order| order["state"] == "allocated")
                .map(|order| text(&order["id"]).to_owned())
                .collect()
        };
        let arguments = [
            "--clock",
            "2017-12-09T14:00:00Z",
            "--keep",
            "2",
            "--keep-decisions",
            "2",
            "--archive",
            &archive.display().to_string(),
        ];
        let service = Service::start(&database.url, &keys, &arguments)?;
        let left = || -> Result<BTreeSet<String>> {
            Ok(list(&service.items("/v1/orders")?).iter().map(|order| text(&order["id"]).to_owned()).collect())
        };
        eventually("what is finished is removed", || Ok(left()?.is_disjoint(&names(gone))))?;
        ensure!(left()?.is_superset(&names(stays)), "{:?}", left()?);
        ensure!(archived(&archive, "orders")? == names(gone));
        let shipments: BTreeSet<String> = gone
            .iter()
            .flat_map(|order| list(&order["shipments"]))
            .map(|shipment| text(&shipment["id"]).to_owned())
            .collect();
        ensure!(archived(&archive, "shipments")? == shipments && archived(&archive, "scans")? == shipments);
        eventually("decisions are archived", || Ok(!archived(&archive, "decisions")?.is_empty()))?;
        for id in &shipments {
            ensure!(service.send("operator", "GET", &format!("/v1/shipments/{id}"), &[], b"")?.status == 404);
        }
        balanced(&service)
    })
}

#[test]
fn a_database_of_version_5_keeps_its_open_work() -> Result<()> {
    both(|database| {
        database.older(5)?;
        let order = |id: &str| {
            json!({"id": id, "region": "IAH", "lines": [{"sku": SKU, "quantity": 2}], "promised": "2017-12-09", "priority": 3}).to_string()
        };
        let body = json!({
            "lines": [{"sku": SKU, "quantity": 2, "value": 198}], "created": "2017-12-04T10:00:00Z",
            "promised": "2017-12-09T23:59:59Z", "dispatch": "2017-12-05", "arrival": "2017-12-07", "late": 0.05,
        });
        let of_order = |id: &str, seq: i64| {
            format!(
                "INSERT INTO orders (id, idempotency, body, state, priority, received, tries, due, lease, lease_until, seq, decided) \
                 VALUES ('{id}', '{id}', '{}', 'allocated', 3, 1, 0, 0, '', 0, {seq}, 1)",
                order(id)
            )
        };
        let shipment = |id: &str, body: &str, state: &str, open: u8| {
            format!(
                "INSERT INTO shipments (id, order_id, node, region, body, state, allocated, open, held, dispatch) \
                 VALUES ('{id}.1', '{id}', 'LAS', 'IAH', '{body}', '{state}', 1, {open}, 0, 17505)"
            )
        };
        let score = json!({"shipment": "done.1", "kind": "late", "probability": 1.0, "severity": 1, "evidence": [], "actions": []});
        database.run([
            "INSERT INTO nodes (code, closed) VALUES ('LAS', 0)".to_owned(),
            format!("INSERT INTO stock (node, sku, on_hand, reserved, safety) VALUES ('LAS', '{SKU}', 9, 2, 0)"),
            of_order("here", 1),
            shipment("here", &body.to_string(), "created", 1),
            of_order("done", 2),
            shipment("done", &body.to_string(), "delivered", 0),
            shipment("broken", "no document", "created", 1),
            "INSERT INTO bookings (node, day, shipments, waiting) VALUES ('LAS', 17505, 2, 1)".to_owned(),
            format!("INSERT INTO worklist (id, shipment, kind, state, severity, score, found) VALUES ('done.1-late', 'done.1', 'late', 'open', 1, '{score}', 1)"),
            "INSERT INTO decisions (id, made, record) VALUES ('d', 1, '{\"module\": \"aa\", \"packs\": [], \"snapshot\": null, \"request_digest\": \"bb\", \"reply_digest\": \"cc\"}')".to_owned(),
            "UPDATE orders SET decision = 'd' WHERE id = 'here'".to_owned(),
        ])?;
        let service = start(database, &[])?;
        eventually("what is done is resolved", || {
            Ok(list(&service.items("/v1/worklist?state=resolved")?).iter().any(|entry| entry["id"] == "done.1-late"))
        })?;
        let here = service.get("/v1/orders/here")?;
        ensure!(here["receipt"]["request"] == "bb" && here["receipt"]["module"] == "aa", "{here}");
        let at = service.items("/v1/shipments?node=LAS&dispatch=2017-12-05")?;
        let broken = list(&at).iter().find(|shipment| shipment["id"] == "broken.1").context("it is not listed")?;
        ensure!(!broken["fault"].is_null() && list(&at).len() == 3, "{at}");
        // A count finds the shipments that lose their units.
        let none = json!([{"node": "LAS", "sku": SKU, "on_hand": 0, "safety": 0}]);
        ensure!(service.ask("warehouse", "PUT", "/v1/stock", &none, 200)?["replanned"] == 1);
        service.settled()?;
        ensure!(service.get("/v1/shipments/here.1")?["state"] == "cancelled");
        let metrics = service.send("", "GET", "/metrics", &[], b"")?.body;
        ensure!(text(&metrics).contains("tradewind_open_shipments 2"), "{metrics}");
        Ok(())
    })
}

#[test]
fn slow_clients_are_cut_off_and_do_not_delay_the_end() -> Result<()> {
    let database = Database::sqlite()?;
    let service = start(&database, &[])?;
    let connect = |bytes: &str| -> Result<TcpStream> {
        let mut stream = TcpStream::connect(service.address().trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(bytes.as_bytes())?;
        Ok(stream)
    };
    let head = format!("POST /v1/orders HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n", service.key("shop"));
    let mut headers = connect(&head)?;
    let mut body = connect(&format!(
        "{head}Idempotency-Key: slow\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    ))?;
    let mut said = String::new();
    body.read_to_string(&mut said)?;
    ensure!(said.starts_with("HTTP/1.1 408") && said.contains("application/problem+json"), "{said}");
    let mut said = String::new();
    headers.read_to_string(&mut said)?;
    ensure!(!said.contains(" 200 ") && !said.contains(" 202 "), "{said}");
    // One that has only begun, and one that does nothing.
    let _stuck = connect(&format!("{head}Idempotency-Key: stuck\r\nContent-Length: 100\r\n\r\n{{"))?;
    let _idle = connect("")?;
    ensure!(service.stop()?);
    Ok(())
}
