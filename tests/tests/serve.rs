//! The warehouse service from its users' view, on SQLite.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, process::Command};
use tradewind_core::Millis;
use tradewind_tests::{
    dist,
    service::{Service, balanced, eventually, keys, list, orders, snapshot},
};

/// Separate service, with its database in a temporary folder.
fn service(arguments: &[&str]) -> Result<(Service, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder);
    let service = Service::start(&database, &keys(&database)?, arguments)?;
    Ok((service, folder))
}

fn database(folder: &tempfile::TempDir) -> String {
    format!("sqlite:{}", folder.path().join("warehouse.db").display())
}

#[test]
fn orders_are_planned_with_reasons_and_a_receipt_that_replays() -> Result<()> {
    let (service, folder) = service(&[])?;
    let orders = orders()?;
    for order in &orders[..40] {
        service.order(order)?;
    }
    let settled = service.settled()?;
    ensure!(settled.len() == 40 && settled.iter().all(|order| order["state"] != "dead"), "{settled:?}");
    ensure!(settled.iter().all(|order| list(&order["shipments"]).len() + list(&order["shortfalls"]).len() > 0));
    balanced(&service)?;

    let order = service.get("/v1/orders/order-1")?;
    ensure!(order["cost"]["shipping"].as_i64() > Some(0), "{order}");
    let receipt = &order["receipt"];
    let health = service.get("/healthz")?;
    ensure!(receipt["module"] == health["module"] && receipt["snapshot"] == health["snapshot"], "{receipt}");
    let decision = service.get(&format!("/v1/decisions/{}", receipt["decision"].as_str().context("no decision")?))?;
    let record = folder.path().join("decision.jsonl");
    fs::write(&record, decision.to_string())?;
    let mut replay = Command::new(dist("tradewind")?);
    replay.args(["replay", "--unsigned", "--module"]).arg(dist("tradewind.wasm")?);
    replay.arg("--snapshot").arg(dist("reference.snapshot")?);
    for pack in ["packs/late.pack", "packs/price.pack"] {
        replay.arg("--pack").arg(dist(pack)?);
    }
    let replayed = replay.arg(&record).output()?;
    let said = String::from_utf8(replayed.stdout)?;
    ensure!(replayed.status.success() && said.contains("1 identical"), "{said}");
    ensure!(service.stop()?, "it did not stop as told");
    Ok(())
}

#[test]
fn keys_and_roles_guard_every_path_of_the_document() -> Result<()> {
    let (service, _folder) = service(&[])?;
    let document = service.send("", "GET", "/openapi.json", &[], b"")?.body;
    let (mut guarded, mut open) = (0, Vec::new());
    for (path, methods) in document["paths"].as_object().context("no paths")? {
        for (method, operation) in methods.as_object().context("no methods")? {
            let place = path.replace("{id}", "x").replace("{name}", "x").replace("{code}", "STL");
            let answer = service.send("", &method.to_uppercase(), &place, &[], b"")?;
            if operation["security"] == json!([{}]) {
                open.push(path.clone());
                continue;
            }
            ensure!(answer.is_problem(401), "{method} {path} without a key: {answer:?}");
            guarded += 1;
        }
    }
    let schemas = &document["components"]["schemas"];
    for (name, state) in [("OrderState", "queued"), ("ScanState", "picked_up")] {
        let states = list(&schemas[name]["enum"]);
        ensure!(states.iter().any(|known| known == state), "{name}: {states:?}");
    }
    ensure!(guarded >= 20 && open == ["/healthz", "/livez", "/metrics", "/readyz"], "{guarded} guarded, {open:?} open");
    for (role, method, path) in [
        ("shop", "POST", "/v1/nodes/STL/close"),
        ("shop", "PUT", "/v1/stock"),
        ("warehouse", "POST", "/v1/quotes/verify"),
        ("operator", "PUT", "/v1/module"),
        ("operator", "POST", "/v1/rollback"),
        ("warehouse", "POST", "/v1/orders/x/retry"),
    ] {
        let answer = service.send(
            role,
            method,
            path,
            &[],
            if path.ends_with("stock") {
                b"[]"
            } else {
                b"{\"snapshot\":\"\",\"at\":\"2017-12-04T00:00:00Z\",\"sku\":\"x\",\"region\":\"X\",\"price\":0}"
            },
        )?;
        ensure!(answer.status == 403, "{role} {method} {path}: {answer:?}");
    }
    let docs = service.send("", "GET", "/docs/", &[], b"")?;
    ensure!(docs.status == 200 && docs.header("content-type").starts_with("text/html"), "{docs:?}");
    let metrics = service.send("", "GET", "/metrics", &[], b"")?;
    ensure!(metrics.body.as_str().is_some_and(|text| text.contains("tradewind_http_seconds")), "{metrics:?}");
    Ok(())
}

#[test]
fn alerts_are_about_metrics_that_exist() -> Result<()> {
    let (described, alerts) = (include_str!("../../host/src/serve/metering.rs"), include_str!("../../host/alerts.yml"));
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: Vec<&str> = words.filter(|word| word.starts_with("tradewind_")).collect();
    ensure!(named.len() > 8, "{named:?}");
    for metric in named {
        let metric = metric.trim_end_matches("_count");
        ensure!(described.contains(&format!("\"{metric}\"")), "no metric `{metric}` is described");
    }
    Ok(())
}

/// Leaves `units` of a product at one node, and none elsewhere.
fn scarce(service: &Service, sku: &str, node: &str, units: u32) -> Result<()> {
    let rows = service.items(&format!("/v1/stock?sku={sku}"))?;
    let counts = list(&rows).iter().map(|row| {
        json!({"node": row["node"], "sku": sku, "on_hand": if row["node"] == node { units } else { 0 }, "safety": 0})
    });
    service.ask("warehouse", "PUT", "/v1/stock", &counts.collect(), 200)?;
    Ok(())
}

#[test]
fn shortfalls_are_answers_and_are_planned_again_when_stock_comes() -> Result<()> {
    let (service, _folder) = service(&[])?;
    let (sku, node) = ("866211", "LAS");
    scarce(&service, sku, node, 5)?;
    for n in 0..8 {
        service.order(&json!({"id": format!("o-{n}"), "region": "LAX", "lines": [{"sku": sku, "quantity": 1}], "promised": "2017-12-09"}))?;
    }
    let settled = service.settled()?;
    let short: Vec<_> = settled.iter().filter(|order| order["state"] == "short").collect();
    ensure!(short.len() == 3, "{short:?}");
    let reasons: Vec<_> = short.iter().map(|order| &order["shortfalls"][0]["reason"]).collect();
    ensure!(reasons.iter().all(|reason| *reason == "sold_out" || *reason == "no_stock"), "{reasons:?}");
    balanced(&service)?;

    // A count finds two more units, and another count finds none.
    let count = |units: u32| json!([{"node": node, "sku": sku, "on_hand": units}]);
    let counted = service.ask("warehouse", "PUT", "/v1/stock", &count(7), 200)?;
    ensure!(counted["replanned"] == 3, "{counted}");
    let state =
        |state: &str| Ok::<_, anyhow::Error>(service.settled()?.iter().filter(|order| order["state"] == state).count());
    ensure!(state("allocated")? == 7, "{}", state("allocated")?);
    let counted = service.ask("warehouse", "PUT", "/v1/stock", &count(4), 200)?;
    ensure!(counted["replanned"].as_i64() >= Some(3), "{counted}");
    ensure!(state("allocated")? == 4 && state("short")? == 4);
    balanced(&service)?;

    // Units of a cancelled order become available to others.
    let taken = service.settled()?.into_iter().find(|order| order["state"] == "allocated").context("none")?;
    let id = taken["id"].as_str().context("no id")?;
    service.ask("shop", "POST", &format!("/v1/orders/{id}/cancel"), &Value::Null, 204)?;
    service.ask("shop", "POST", &format!("/v1/orders/{id}/cancel"), &Value::Null, 409)?;
    balanced(&service)
}

#[test]
fn a_node_that_closes_gives_up_its_orders_and_others_keep_theirs() -> Result<()> {
    let (service, _folder) = service(&[])?;
    for order in &orders()?[..60] {
        service.order(order)?;
    }
    let before = service.settled()?;
    let shipments = |orders: &[Value]| -> Vec<(String, String)> {
        let all = orders.iter().flat_map(|order| list(&order["shipments"]));
        let open = all.filter(|shipment| shipment["state"] != "cancelled");
        open.map(|shipment| (shipment["id"].to_string(), shipment["node"].as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    let was = shipments(&before);
    let mut nodes: Vec<&String> = was.iter().map(|(_, node)| node).collect();
    nodes.sort();
    let busiest = nodes.chunk_by(|a, b| a == b).max_by_key(|chunk| chunk.len()).context("no shipments")?[0].clone();
    let closed = service.ask("warehouse", "POST", &format!("/v1/nodes/{busiest}/close"), &Value::Null, 200)?;
    ensure!(closed["replanned"].as_i64() > Some(0), "{closed}");
    let after = service.settled()?;
    let is = shipments(&after);
    ensure!(is.iter().all(|(_, node)| *node != busiest), "{busiest} is closed, and ships");
    let elsewhere: Vec<_> = was.iter().filter(|(_, node)| *node != busiest).collect();
    let kept = elsewhere.iter().filter(|shipment| is.contains(shipment)).count();
    ensure!(kept * 10 >= elsewhere.len() * 9, "{kept} of {} shipments from elsewhere stay", elsewhere.len());
    balanced(&service)?;
    service.ask("operator", "POST", &format!("/v1/nodes/{busiest}/open"), &Value::Null, 200)?;
    service.ask("operator", "POST", "/v1/nodes/NOWHERE/close", &Value::Null, 404)?;
    Ok(())
}

/// Work of a node, as reported by the service.
#[derive(serde::Deserialize)]
struct Workload {
    day: String,
    booked: usize,
    capacity: usize,
}

/// Shipments that are not cancelled, by node and day of dispatch.
fn days(orders: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut days = BTreeMap::new();
    for shipment in orders.iter().flat_map(|order| list(&order["shipments"])) {
        if shipment["state"] != "cancelled" {
            let [node, day] = ["node", "dispatch"].map(|name| shipment[name].as_str().unwrap_or_default().to_owned());
            *days.entry((node, day)).or_default() += 1;
        }
    }
    days
}

/// Snapshot whose nodes can pack `shipments` shipments per day.
fn narrow(folder: &tempfile::TempDir, shipments: usize) -> Result<String> {
    let path = snapshot(folder.path(), |name, text| match name {
        "nodes.csv" => {
            let capacity = |line: &str| {
                let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
                if fields[0] != "code" {
                    fields[6] = shipments.to_string();
                }
                fields.join(",") + "\n"
            };
            text.lines().map(capacity).collect()
        }
        _ => text,
    })?;
    Ok(path.display().to_string())
}

#[test]
fn a_node_packs_no_more_in_a_day_than_it_can() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (database, snapshot) = (database(&folder), narrow(&folder, 4)?);
    let keys = keys(&database)?;
    let first = Service::start(&database, &keys, &["--snapshot", &snapshot])?;
    for orders in orders()?[..100].chunks(10) {
        for order in orders {
            first.order(order)?;
        }
        first.settled()?;
    }
    let settled = first.settled()?;
    let booked = days(&settled);
    ensure!(booked.values().all(|count| *count <= 4) && booked.values().any(|count| *count == 4), "{booked:?}");
    for node in list(&first.get("/v1/nodes")?) {
        let Workload { day, booked: told, capacity } = serde_json::from_value(node["workload"].clone())?;
        let key = (node["code"].as_str().unwrap_or_default().to_owned(), day);
        ensure!(told == booked.get(&key).copied().unwrap_or(0) && capacity == 4, "{node}: {booked:?}");
    }
    let short: Vec<_> = settled.iter().filter(|order| order["state"] == "short").collect();
    let full = short.iter().filter(|order| order["shortfalls"][0]["reason"] == "capacity").count();
    ensure!(full > 0, "{short:?}");
    balanced(&first)?;

    // A cancelled shipment makes room, but a dispatched one does not, because it was packed today.
    let one = settled.iter().find(|order| order["state"] == "allocated").context("no order ships")?;
    let id = one["id"].as_str().context("no id")?;
    first.ask("shop", "POST", &format!("/v1/orders/{id}/cancel"), &Value::Null, 204)?;
    for order in first.settled()? {
        for shipment in list(&order["shipments"]).iter().filter(|shipment| shipment["state"] == "created") {
            let scans = json!([{"state": "picked_up", "at": "2017-12-04T20:00:00Z", "place": shipment["node"]}]);
            let path = format!("/v1/shipments/{}/scans", shipment["id"].as_str().context("no id")?);
            first.ask("warehouse", "POST", &path, &scans, 204)?;
        }
    }
    let booked = days(&first.settled()?);
    ensure!(booked.values().all(|count| *count <= 4), "{booked:?}");
    ensure!(first.stop()?);

    // The next day has its own capacity.
    let next = Service::start(&database, &keys, &["--snapshot", &snapshot, "--clock", "2017-12-05T14:00:00Z"])?;
    let settled = next.settled()?;
    let booked = days(&settled);
    ensure!(booked.values().all(|count| *count <= 4), "{booked:?}");
    let before = short.len();
    eventually("more ships", || Ok(next.settled()?.iter().filter(|order| order["state"] == "short").count() < before))?;
    balanced(&next)
}

#[test]
fn orders_that_wait_for_room_are_planned_when_a_new_day_begins() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (database, snapshot) = (database(&folder), narrow(&folder, 1)?);
    // Fifteen seconds before Baltimore's cut-off, the first of all nodes.
    let clock = ["--snapshot", &snapshot, "--clock", "2017-12-04T18:59:45Z"];
    let service = Service::start(&database, &keys(&database)?, &clock)?;
    for n in 0..30 {
        service.order(&json!({"id": format!("o-{n}"), "region": "LAX", "lines": [{"sku": "866211", "quantity": 1}], "promised": "2017-12-12"}))?;
    }
    let ship = |service: &Service| -> Result<Vec<Value>> {
        Ok(service.settled()?.into_iter().filter(|order| order["state"] == "allocated").collect())
    };
    let before = ship(&service)?;
    ensure!((1..=12).contains(&before.len()), "{} of 12 nodes ship", before.len());
    let mut shipments = before.iter().flat_map(|order| list(&order["shipments"]));
    let first = shipments.find(|shipment| shipment["node"] == "BWI").context("nothing ships from Baltimore")?;
    let scans = json!([{"state": "picked_up", "at": "2017-12-04T18:59:59Z", "place": "BWI"}]);
    let path = format!("/v1/shipments/{}/scans", first["id"].as_str().context("no id")?);
    service.ask("warehouse", "POST", &path, &scans, 204)?;
    eventually("Baltimore packs for the next day", || Ok(ship(&service)?.len() == before.len() + 1))?;
    balanced(&service)
}

#[test]
fn a_price_is_honoured_after_several_snapshots() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder);
    let keys = keys(&database)?;
    let service = Service::start(&database, &keys, &[])?;
    let root = service.get("/healthz")?["snapshot"].clone();
    let mut claim =
        json!({"snapshot": root, "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": 1});
    let refused = service.ask("shop", "POST", "/v1/quotes/verify", &claim, 409)?;
    claim["price"] = refused["differs"][0]["quoted"].clone();
    service.ask("shop", "POST", "/v1/quotes/verify", &claim, 200)?;
    let put = |service: &Service, shipments: usize| -> Result<()> {
        let bytes = fs::read(narrow(&folder, shipments)?)?;
        let taken = service.send("admin", "PUT", "/v1/snapshot", &[], &bytes)?;
        ensure!(taken.status == 200, "{taken:?}");
        Ok(())
    };
    put(&service, 100)?;
    ensure!(service.get("/healthz")?["snapshot"] != root, "the snapshot is the same");
    let verified = service.ask("shop", "POST", "/v1/quotes/verify", &claim, 200)?;
    ensure!(verified["receipt"]["snapshot"] == root, "{verified}");
    ensure!(service.stop()?);

    // Also after a restart.
    let service = Service::start(&database, &keys, &[])?;
    eventually("what decided before is there again", || {
        let answer = service.send("shop", "POST", "/v1/quotes/verify", &[], &serde_json::to_vec(&claim)?)?;
        Ok(answer.status == 200)
    })?;
    let mut cheaper = claim.clone();
    cheaper["price"] = json!(1);
    service.ask("shop", "POST", "/v1/quotes/verify", &cheaper, 409)?;
    put(&service, 200)?;
    put(&service, 300)?;
    service.ask("shop", "POST", "/v1/quotes/verify", &claim, 200)?;
    let mut early = claim.clone();
    early["at"] = json!("2017-12-03T14:00:00Z");
    let refused = service.ask("shop", "POST", "/v1/quotes/verify", &early, 409)?;
    ensure!(refused["differs"][0]["field"] == "at", "{refused}");
    let mut unknown = claim;
    unknown["snapshot"] = json!("0".repeat(64));
    let refused = service.ask("shop", "POST", "/v1/quotes/verify", &unknown, 409)?;
    ensure!(refused["differs"][0]["field"] == "snapshot", "{refused}");
    Ok(())
}

#[test]
fn a_snapshot_of_the_command_line_does_not_replace_a_later_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder);
    let keys = keys(&database)?;
    let service = Service::start(&database, &keys, &[])?;
    let root = |service: &Service| Ok::<_, anyhow::Error>(service.get("/healthz")?["snapshot"].clone());
    let later = snapshot(folder.path(), |name, text| match name {
        "snapshot.json" => text.replace("2017-12-04T00:00:00Z", "2017-12-04T06:00:00Z"),
        _ => text,
    })?;
    let later = fs::read(later)?;
    let taken = service.send("admin", "PUT", "/v1/snapshot", &[], &later)?;
    ensure!(taken.status == 200, "{taken:?}");
    let active = root(&service)?;
    ensure!(service.stop()?);

    // The files of the first start were active before.
    let again = Service::start(&database, &keys, &[])?;
    ensure!(root(&again)? == active);
    ensure!(again.stop()?);
    let earlier = narrow(&folder, 50)?;
    let earlier = ["--snapshot", earlier.as_str()];
    let given = Service::start(&database, &keys, &earlier)?;
    ensure!(root(&given)? == active, "an earlier snapshot took its place");
    ensure!(given.stop()?);
    let told = Service::start(&database, &keys, &[&earlier[..], &["--replace-snapshot"]].concat())?;
    ensure!(root(&told)? != active);
    let late = told.send("admin", "PUT", "/v1/snapshot", &[], &later)?;
    ensure!(late.status == 200, "{late:?}");
    ensure!(told.stop()?);
    // It has expired by then.
    let expired = Service::start(&format!("{database}2"), &keys, &["--clock", "2018-01-01T00:00:00Z"]);
    ensure!(expired.is_err(), "the service started with an expired snapshot");
    Ok(())
}

#[test]
fn decisions_are_kept_for_as_long_as_is_wanted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder);
    let keys = keys(&database)?;
    let first = Service::start(&database, &keys, &[])?;
    first.order(&orders()?[0])?;
    let path = format!("/v1/decisions/{}", first.settled()?[0]["receipt"]["decision"].as_str().context("none")?);
    first.get(&path)?;
    ensure!(first.stop()?);
    let week = Service::start(&database, &keys, &["--clock", "2017-12-05T14:00:00Z", "--keep-decisions", "7"])?;
    week.get(&path)?;
    ensure!(week.stop()?);
    let day = Service::start(&database, &keys, &["--clock", "2017-12-07T14:00:00Z", "--keep-decisions", "1"])?;
    eventually("it is forgotten", || Ok(day.send("operator", "GET", &path, &[], b"")?.is_problem(404)))
}

/// Waits for an action of a kind on the worklist, and carries it out; returns the action.
fn act(service: &Service, kind: &str) -> Result<(Value, Value)> {
    let mut found = None;
    eventually(&format!("{kind} is offered"), || {
        let work = service.items("/v1/worklist?limit=1000")?;
        found = list(&work).iter().find_map(|entry| {
            let mut actions = list(&entry["exception"]["actions"]).iter();
            let action = actions.find(|action| action["step"] == kind || !action["step"][kind].is_null())?;
            Some((entry["id"].as_str()?.to_owned(), action.clone()))
        });
        Ok(found.is_some())
    })?;
    let (id, action) = found.context("nothing was found")?;
    let done = service.ask("operator", "POST", &format!("/v1/worklist/{id}/act"), &action, 200)?;
    Ok((action, done))
}

#[test]
fn what_the_worklist_offers_is_carried_out() -> Result<()> {
    let (service, _folder) = service(&["--clock", "2017-12-05T09:00:00Z"])?;
    let shipment = |id: &str| service.get(&format!("/v1/shipments/{id}"));
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");

    // A parcel that is late in any case, and a faster service.
    let parcel = json!({
        "id": "p-1", "order": "elsewhere-1", "node": "SEA", "region": "IAH",
        "lines": [{"sku": "1082185", "quantity": 1, "value": 10_000}],
        "created": "2017-12-01T09:00:00Z", "promised": "2017-12-06T09:00:00Z",
        "scans": [{"state": "packed", "at": "2017-12-01T12:00:00Z", "place": "SEA"}],
        "services": [{"service": "express", "cost": 100, "arrives": "2017-12-06T07:00:00Z"}],
    });
    service.ask("warehouse", "POST", "/v1/shipments", &parcel, 201)?;
    let (action, _) = act(&service, "upgrade")?;
    ensure!(action["step"]["upgrade"]["service"] == "express", "{action}");
    ensure!(shipment("p-1")?["service"] == "express", "{}", shipment("p-1")?);

    // An order of two products: one is nearly sold out, and more units are ordered than exist.
    let (scarce_sku, other) = ("1082185", "866211");
    let nodes = |sku: &str| -> Result<Vec<String>> {
        let rows = service.items(&format!("/v1/stock?sku={sku}"))?;
        list(&rows).iter().filter(|row| row["available"] != 0).map(|row| text(&row["node"])).collect()
    };
    let both = nodes(other)?;
    let node = &nodes(scarce_sku)?.into_iter().find(|node| both.contains(node)).context("no node has both")?;
    scarce(&service, scarce_sku, node, 2)?;
    let order = json!({"id": "o-1", "region": "LAX", "promised": "2017-12-12",
        "lines": [{"sku": scarce_sku, "quantity": 2}, {"sku": other, "quantity": 1}], "pinned": node});
    service.order(&order)?;
    service.settled()?;
    let (action, done) = act(&service, "split")?;
    let (first, second) = (text(&action["shipment"])?, text(&done["shipment"])?);
    let skus = |id: &str| -> Result<Vec<Value>> {
        Ok(list(&shipment(id)?["lines"]).iter().map(|line| line["sku"].clone()).collect())
    };
    ensure!(skus(&first)? == [json!(other)] && skus(&second)? == [json!(scarce_sku)], "{done}");
    balanced(&service)?;

    // A shipment that the carrier cannot deliver is held.
    let rejected = json!([{"state": "address_rejected", "at": "2017-12-05T08:59:00Z", "place": node}]);
    service.ask("warehouse", "POST", &format!("/v1/shipments/{first}/scans"), &rejected, 204)?;
    act(&service, "hold")?;
    ensure!(shipment(&first)?["held"] == true, "{}", shipment(&first)?);

    // So is one that seems to be packed before it was ordered; it stays held when it moves to another node.
    service.order(
        &json!({"id": "o-2", "region": "LAX", "promised": "2017-12-12", "lines": [{"sku": other, "quantity": 1}]}),
    )?;
    service.settled()?;
    let before = service.get("/v1/orders/o-2")?["shipments"][0].clone();
    let (id, node) = (text(&before["id"])?, text(&before["node"])?);
    let packed = json!([{"state": "packed", "at": "2017-12-01T09:00:00Z", "place": node}]);
    service.ask("warehouse", "POST", &format!("/v1/shipments/{id}/scans"), &packed, 204)?;
    let (action, _) = act(&service, "hold")?;
    ensure!(action["shipment"] == before["id"], "{action}");
    service.ask("operator", "POST", &format!("/v1/nodes/{node}/close"), &Value::Null, 200)?;
    service.settled()?;
    let order = service.get("/v1/orders/o-2")?;
    let open: Vec<_> = list(&order["shipments"]).iter().filter(|shipment| shipment["state"] != "cancelled").collect();
    ensure!(open.len() == 1 && open[0]["node"] != before["node"] && open[0]["held"] == true, "{order}");
    balanced(&service)
}

#[test]
fn what_leaves_is_no_longer_there_and_what_is_late_is_acted_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder);
    let keys = keys(&database)?;
    let first = Service::start(&database, &keys, &[])?;
    for order in &orders()?[..30] {
        first.order(order)?;
    }
    let settled = first.settled()?;
    let leaves = settled.iter().find_map(|order| list(&order["shipments"]).first()).context("no shipment")?;
    let id = leaves["id"].as_str().context("no id")?.to_owned();
    let line = &leaves["lines"][0];
    let stock = |service: &Service| -> Result<(i64, i64)> {
        let rows = service.items(&format!(
            "/v1/stock?sku={}&node={}",
            line["sku"].as_str().unwrap_or_default(),
            leaves["node"].as_str().unwrap_or_default()
        ))?;
        Ok((rows[0]["on_hand"].as_i64().context("no stock")?, rows[0]["reserved"].as_i64().context("no stock")?))
    };
    let before = stock(&first)?;
    let scans = json!([
        {"state": "packed", "at": "2017-12-04T15:00:00Z", "place": leaves["node"]},
        {"state": "picked_up", "at": "2017-12-04T18:00:00Z", "place": leaves["node"]},
    ]);
    for _ in 0..2 {
        first.ask("warehouse", "POST", &format!("/v1/shipments/{id}/scans"), &scans, 204)?;
    }
    let units = line["quantity"].as_i64().context("no units")?;
    ensure!(stock(&first)? == (before.0 - units, before.1 - units), "once, though it was scanned twice");
    balanced(&first)?;
    ensure!(first.stop()?);

    // Two days later nothing else has been packed.
    let later = Service::start(&database, &keys, &["--clock", "2017-12-06T14:00:00Z"])?;
    eventually("the worklist has an entry", || Ok(!list(&later.items("/v1/worklist")?).is_empty()))?;
    let work = later.items("/v1/worklist?limit=1000")?;
    let steps = |entry: &Value| list(&entry["exception"]["actions"]).to_vec();
    let (entry, action) = list(&work)
        .iter()
        .find_map(|entry| Some((entry, steps(entry).into_iter().find(|action| action["step"]["reroute"].is_object())?)))
        .context("nothing can be rerouted")?;
    let place = format!("/v1/worklist/{}", entry["id"].as_str().context("no id")?);
    ensure!(!list(&entry["exception"]["evidence"]).is_empty(), "{entry}");
    let forged = json!({"shipment": action["shipment"], "order": action["order"], "step": {"reroute": {"from": "STL", "to": "STL", "cost": 0}}});
    later.ask("operator", "POST", &format!("{place}/act"), &forged, 422)?;
    let done = later.ask("operator", "POST", &format!("{place}/act"), &action, 200)?;
    let moved = later.get(&format!("/v1/shipments/{}", done["shipment"].as_str().context("no shipment")?))?;
    ensure!(moved["node"] == action["step"]["reroute"]["to"], "{moved}");
    ensure!(
        later.get(&format!("/v1/shipments/{}", action["shipment"].as_str().unwrap_or_default()))?["state"]
            == "cancelled"
    );
    later.ask("operator", "POST", &format!("{place}/act"), &action, 409)?;
    later.ask("operator", "POST", &format!("{place}/feedback"), &json!({"useful": true, "note": "in time"}), 204)?;
    let acted = later.items("/v1/worklist?state=acted")?;
    ensure!(acted[0]["feedback"]["useful"] == true && acted[0]["acted"]["by"] == "operator", "{acted}");
    balanced(&later)
}

#[test]
fn a_price_is_honoured_as_it_was_quoted_and_a_tampered_one_is_not() -> Result<()> {
    let (service, _folder) = service(&["--clock", "2017-12-04T14:05:00Z"])?;
    let request = r#"{"at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "objective": {"margin": 1}}"#;
    let mut quote = Command::new(dist("tradewind")?);
    quote.args(["quote", "--unsigned", "--module"]).arg(dist("tradewind.wasm")?);
    quote.arg("--snapshot").arg(dist("reference.snapshot")?).arg("--pack").arg(dist("packs/price.pack")?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("request.json");
    fs::write(&file, request)?;
    let quoted: Value = serde_json::from_slice(&quote.arg(&file).output()?.stdout)?;
    let snapshot = service.get("/healthz")?["snapshot"].clone();
    let claim = json!({"snapshot": snapshot, "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": quoted["price"]});
    let verified = service.ask("shop", "POST", "/v1/quotes/verify", &claim, 200)?;
    ensure!(verified["quote"]["price"] == quoted["price"] && verified["receipt"]["reply"].is_string(), "{verified}");

    let mut cheaper = claim.clone();
    cheaper["price"] = json!(quoted["price"].as_i64().context("no price")? - 1);
    let refused = service.ask("shop", "POST", "/v1/quotes/verify", &cheaper, 409)?;
    let differs = json!([{"field": "price", "claimed": cheaper["price"], "quoted": quoted["price"]}]);
    ensure!(refused["differs"] == differs, "{refused}");
    for (field, value) in [("snapshot", json!("00".repeat(32))), ("at", json!("2017-12-04T15:00:00Z"))] {
        let mut other = claim.clone();
        other[field] = value;
        let refused = service.ask("shop", "POST", "/v1/quotes/verify", &other, 409)?;
        ensure!(refused["differs"][0]["field"] == field, "{refused}");
    }
    Ok(())
}

#[test]
fn the_page_is_for_those_who_signed_in_and_its_forms_for_itself() -> Result<()> {
    let (service, _folder) = service(&[])?;
    for order in &orders()?[..10] {
        service.order(order)?;
    }
    service.settled()?;
    let visit = |path: &str, cookie: &str| service.send("", "GET", path, &[("cookie", cookie)], b"");
    let form = |path: &str, cookie: &str, body: &str| {
        let headers = [("cookie", cookie), ("content-type", "application/x-www-form-urlencoded")];
        service.send("", "POST", path, &headers, body.as_bytes())
    };
    ensure!(visit("/", "")?.header("location") == "/login", "a stranger sees the page");
    ensure!(form("/login", "", "key=guessed")?.status == 401);
    let signed_in = form("/login", "", &format!("key={}", service.key("operator")))?;
    let cookie = signed_in.header("set-cookie");
    ensure!(
        signed_in.status == 303 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{signed_in:?}"
    );
    let cookie = cookie.split(';').next().context("no cookie")?;

    let page = visit("/", cookie)?;
    let html = page.body.as_str().context("no page")?;
    let policy = page.header("content-security-policy");
    ensure!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    ensure!(!html.contains("<script") && !html.contains("//") && html.contains("order-1"), "{html}");
    ensure!(html.contains(service.get("/healthz")?["module"].as_str().context("no module")?), "no digest");
    ensure!(visit("/orders/order-1", cookie)?.body.as_str().is_some_and(|html| html.contains("Receipt")));
    ensure!(visit("/style.css", cookie)?.header("content-type").starts_with("text/css"));
    let languages = [("de-AT,en;q=0.8", "de", "Arbeitsliste"), ("fr, *;q=0.5", "en", "Worklist")];
    for (accepted, language, said) in languages {
        let headers = [("cookie", cookie), ("accept-language", accepted)];
        let page = service.send("", "GET", "/", &headers, b"")?;
        let html = page.body.as_str().unwrap_or_default();
        ensure!(html.contains(&format!("lang=\"{language}\"")) && html.contains(said), "{accepted}: {html}");
    }

    let token =
        html.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).context("no token")?;
    let closed = || {
        let nodes = service.get("/v1/nodes")?;
        Ok::<_, anyhow::Error>(list(&nodes).iter().any(|node| node["code"] == "STL" && node["closed"] == true))
    };
    ensure!(form("/nodes/STL/close", cookie, "token=00")?.status == 403 && !closed()?, "another site closes a node");
    ensure!(form("/nodes/STL/close", "", &format!("token={token}"))?.header("location") == "/login" && !closed()?);
    ensure!(form("/nodes/STL/close", cookie, &format!("token={token}"))?.status == 303 && closed()?);
    ensure!(form("/logout", cookie, &format!("token={token}"))?.status == 303);
    ensure!(visit("/", cookie)?.header("location") == "/login", "signed out, and still seen");
    Ok(())
}

#[test]
fn insights_are_asked_of_the_packs_that_are_loaded() -> Result<()> {
    const AT: Millis = Millis(1_512_345_600_000);
    let (service, _folder) = service(&[])?;
    let order = |ago: i64| json!({"at": Millis(AT.0 - ago * Millis::DAY), "purchase": {"lines": [{"sku": "1082185", "quantity": 1}]}});
    let request = json!({"id": "a", "pack": "churn", "at": AT, "events": [order(150), order(120), order(75)]});
    service.ask("shop", "POST", "/v1/insights", &request, 404)?;
    service.ask("shop", "POST", "/v1/insights", &json!({"at": AT}), 404)?;

    let pack = fs::read(dist("packs/churn.pack")?)?;
    let put = service.send("admin", "PUT", "/v1/packs/churn", &[], &pack)?;
    ensure!(put.status == 200 || put.status == 201, "{put:?}");
    let said = service.ask("shop", "POST", "/v1/insights", &request, 200)?;
    let item = &said["items"][0];
    ensure!(said["id"] == "a" && said["pack"] == "churn" && item["probability"].as_f64() > Some(0.5), "{said}");
    ensure!(item["evidence"][0] == json!({"source": "days_since_order", "value": 75.0}), "{said}");
    for wrong in
        [json!({"at": AT, "texts": ["nice"]}), json!({"at": AT, "skus": ["1082185"]}), json!({"pack": "churn"})]
    {
        service.ask("shop", "POST", "/v1/insights", &wrong, 422)?;
    }
    Ok(())
}
