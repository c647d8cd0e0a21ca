//! Access keys of the warehouse service: limits to nodes or a shop, rotation and expiry.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_tests::{
    database::{Database, both},
    service::{Answer, Service, eventually, key, keys, list, orders, text},
};

fn send(service: &Service, key: &str, method: &str, path: &str, body: &Value) -> Result<Answer> {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
    service.send(key, method, path, &[("idempotency-key", "k")], &body)
}

/// All items of a list, as a key sees it, in small pages.
fn items(service: &Service, key: &str, path: &str) -> Result<Vec<Value>> {
    let (mut items, mut after) = (Vec::new(), String::new());
    let sign = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = send(service, key, "GET", &format!("{path}{sign}limit=3{after}"), &Value::Null)?;
        ensure!(page.status == 200, "{path}: {page:?}");
        items.extend_from_slice(list(&page.body["items"]));
        // The feed of events has a next part even at its end.
        match page.body["next"].as_str() {
            Some(next) if !list(&page.body["items"]).is_empty() => after = format!("&after={next}"),
            _ => return Ok(items),
        }
    }
}

/// Service with orders of the shops `a` and `b` and of no shop, planned, some of them late.
struct Warehouse {
    service: Service,
    /// Node of the limited keys, and another one with shipments.
    here: String,
    there: String,
}

const PARCELS: [&str; 3] = ["p-LAS", "p-SEA", "p-STL"];

impl Warehouse {
    fn start(database: &Database) -> Result<Self> {
        let mut keys = keys(&database.url)?;
        let (here, there) = ("LAS".to_owned(), "SEA".to_owned());
        for (name, arguments) in [
            ("a", &["--role", "shop", "--shop", "a"][..]),
            ("a-2", &["--role", "shop", "--shop", "a"]),
            ("b", &["--role", "shop", "--shop", "b"]),
            ("packer", &["--role", "warehouse", "--nodes", &here]),
            ("lead", &["--role", "operator", "--nodes", &here]),
            ("two", &["--role", "operator", "--nodes", "LAS,SEA"]),
        ] {
            keys.insert(name, key(&database.url, &[&["add", name], arguments].concat())?);
        }
        let service = Service::start(&database.url, &keys, &[])?;
        for (n, order) in orders()?[..24].iter().enumerate() {
            let sender = ["a", "b", "shop"][n % 3];
            let headers = [("idempotency-key", text(&order["id"]))];
            let sent = service.send(sender, "POST", "/v1/orders", &headers, &serde_json::to_vec(order)?)?;
            ensure!(sent.status == 202, "{sent:?}");
        }
        service.settled()?;
        for parcel in PARCELS {
            service.ask("warehouse", "POST", "/v1/shipments", &late(parcel, parcel.trim_start_matches("p-")), 201)?;
        }
        eventually("parcels are on the worklist", || {
            let found = items(&service, "operator", "/v1/worklist")?;
            Ok(PARCELS.iter().all(|id| found.iter().any(|entry| entry["exception"]["shipment"] == *id)))
        })?;
        Ok(Self { service, here, there })
    }

    /// Name of an order of another shop than `a`, and of a shipment and a worklist entry of another node than theirs.
    fn elsewhere(&self) -> Result<(String, String, String)> {
        let own: BTreeSet<String> = items(&self.service, "a", "/v1/orders")?.iter().map(id).collect();
        let orders = items(&self.service, "operator", "/v1/orders")?;
        let order = orders.iter().map(id).find(|order| !own.contains(order)).context("no order of another shop")?;
        let parcel = format!("p-{}", self.there);
        Ok((order, parcel.clone(), format!("{parcel}-late")))
    }
}

fn id(value: &Value) -> String {
    text(&value["id"]).to_owned()
}

/// Shipment of another system that is late already.
fn late(id: &str, node: &str) -> Value {
    json!({
        "id": id, "order": "elsewhere-1", "node": node, "region": "IAH",
        "lines": [{"sku": "1082185", "quantity": 1, "value": 10_000}],
        "created": "2017-12-01T09:00:00Z", "promised": "2017-12-03T09:00:00Z",
    })
}

/// What an operation does for keys of `LAS` (warehouse, operator) and of the shop `a`, when asked for something of
/// another node and another shop.
const OPERATIONS: [(&str, [u16; 3]); 32] = [
    ("submitOrder", [403, 403, 409]),
    ("listOrders", [403, 403, 200]),
    ("getOrder", [403, 403, 404]),
    ("cancelOrder", [403, 403, 404]),
    ("retryOrder", [403, 403, 403]),
    ("getDecision", [403, 403, 403]),
    ("listStock", [200, 200, 403]),
    ("setStock", [403, 403, 403]),
    ("listNodes", [200, 200, 403]),
    ("closeNode", [403, 403, 403]),
    ("openNode", [403, 403, 403]),
    ("addShipment", [403, 403, 403]),
    ("listShipments", [200, 200, 200]),
    ("getShipment", [404, 404, 404]),
    ("addScans", [403, 403, 403]),
    ("releaseShipment", [403, 403, 403]),
    ("listEvents", [200, 200, 200]),
    ("listWorklist", [200, 200, 200]),
    ("actOnEntry", [403, 403, 403]),
    ("sendFeedback", [403, 403, 403]),
    // A price that is not the quoted one; no insight is loaded.
    ("verifyQuote", [403, 403, 409]),
    ("askInsight", [404, 404, 404]),
    ("listReleases", [200, 200, 200]),
    ("addWebhook", [403, 403, 403]),
    ("listWebhooks", [403, 403, 403]),
    ("removeWebhook", [403, 403, 403]),
    ("rotateWebhook", [403, 403, 403]),
    ("resumeWebhook", [403, 403, 403]),
    ("putModule", [403, 403, 403]),
    ("putPack", [403, 403, 403]),
    ("putSnapshot", [403, 403, 403]),
    ("rollBack", [403, 403, 403]),
];

/// Operations of which the refusal names the node, and for which of the keys their role is enough.
const AT_NODES: [(&str, &str); 7] = [
    ("setStock", "packer"),
    ("closeNode", "packer"),
    ("openNode", "lead"),
    ("addShipment", "packer"),
    ("addScans", "packer"),
    ("releaseShipment", "lead"),
    ("actOnEntry", "lead"),
];

#[test]
fn limited_keys_reach_nothing_of_other_nodes_and_shops() -> Result<()> {
    both(|database| {
        let warehouse = Warehouse::start(database)?;
        let Warehouse { service, there, .. } = &warehouse;
        let (order, parcel, entry) = warehouse.elsewhere()?;
        let found = service.get(&format!("/v1/orders/{order}"))?;
        let worklist = items(service, "operator", "/v1/worklist")?;
        let action = &worklist.iter().find(|found| id(found) == entry).context("no entry")?["exception"]["actions"][0];
        let bodies: BTreeMap<&str, Value> = BTreeMap::from([
            ("submitOrder", found["order"].clone()),
            ("setStock", json!([{"node": there, "sku": "1082185", "on_hand": 40}])),
            ("addShipment", late("p-new", there)),
            ("addScans", json!([{"state": "packed", "at": "2017-12-04T14:30:00Z", "place": there}])),
            ("actOnEntry", action.clone()),
            ("sendFeedback", json!({"useful": false})),
            ("addWebhook", json!({"url": "https://shop.example/"})),
            (
                "verifyQuote",
                json!({
                    "snapshot": service.get("/healthz")?["snapshot"], "at": "2017-12-04T14:00:00Z", "sku": "1082185",
                    "region": "IAH", "price": 1,
                }),
            ),
            ("askInsight", json!({"at": "2017-12-04T14:00:00Z"})),
        ]);
        let document = service.ask("", "GET", "/openapi.json", &Value::Null, 200)?;
        let mut left: BTreeMap<&str, [u16; 3]> = BTreeMap::from(OPERATIONS);
        for (path, methods) in document["paths"].as_object().context("no paths")? {
            for (method, operation) in methods.as_object().context("no methods")? {
                if operation["security"] == json!([{}]) {
                    continue;
                }
                let name = text(&operation["operationId"]);
                let statuses = left.remove(name).with_context(|| format!("what may limited keys do with {name}?"))?;
                let named = if path.starts_with("/v1/orders") {
                    &order
                } else if path.starts_with("/v1/decisions") {
                    &text(&found["receipt"]["decision"]).to_owned()
                } else if path.starts_with("/v1/worklist") {
                    &entry
                } else {
                    &parcel
                };
                let path = path.replace("{id}", named).replace("{code}", there).replace("{name}", "late");
                for (key, status) in ["packer", "lead", "a"].into_iter().zip(statuses) {
                    let body = bodies.get(name).unwrap_or(&Value::Null);
                    let answer = send(service, key, &method.to_uppercase(), &path, body)?;
                    ensure!(answer.status == status, "{name} with the key {key}: {answer:?}, not {status}");
                    ensure!(status == 200 || answer.is_problem(status), "{name}: {answer:?}");
                    let documented = &operation["responses"][status.to_string()];
                    ensure!(!documented.is_null(), "{name}: status {status} is not documented");
                    if AT_NODES.contains(&(name, key)) {
                        let detail = text(&answer.body["detail"]);
                        ensure!(
                            detail.contains("limited to the node LAS") && detail.contains(there),
                            "{name}: {detail}"
                        );
                    }
                }
            }
        }
        ensure!(left.is_empty(), "no such operations: {left:?}");
        ensure!(service.get(&format!("/v1/orders/{order}"))?["state"] == found["state"]);
        ensure!(service.get(&format!("/v1/shipments/{parcel}"))?["state"] == "created");
        Ok(())
    })
}

#[test]
fn limited_keys_see_exactly_what_is_theirs() -> Result<()> {
    both(|database| {
        let warehouse = Warehouse::start(database)?;
        let Warehouse { service, here, there } = &warehouse;
        let all = |path: &str| items(service, "operator", path);
        let orders = all("/v1/orders")?;
        let own: BTreeSet<String> = items(service, "a", "/v1/orders")?.iter().map(id).collect();
        ensure!(own.len() == 8, "{own:?}");
        let places: BTreeMap<String, Value> =
            all("/v1/shipments")?.into_iter().map(|shipment| (id(&shipment), shipment)).collect();
        let node_of = |shipment: &Value| places.get(text(shipment)).map_or("", |found| text(&found["node"]));
        let order_of = |shipment: &Value| places.get(text(shipment)).map_or("", |found| text(&found["order"]));
        let of_event = |event: &Value| match text(&event["type"]).split_once('.') {
            Some(("order", _)) => ("", text(&event["subject"]).to_owned()),
            Some(("shipment", _)) => (node_of(&event["subject"]), text(&event["parent"]).to_owned()),
            _ => (node_of(&event["parent"]), order_of(&event["parent"]).to_owned()),
        };
        let sku = both_have(service, here, there)?;
        for (path, node, order) in [
            (
                "/v1/shipments",
                &(|item: &Value| text(&item["node"]).to_owned()) as &dyn Fn(&Value) -> String,
                &(|item: &Value| text(&item["order"]).to_owned()) as &dyn Fn(&Value) -> String,
            ),
            ("/v1/shipments?state=created", &|item| text(&item["node"]).to_owned(), &|item| {
                text(&item["order"]).to_owned()
            }),
            ("/v1/worklist", &|item| node_of(&item["exception"]["shipment"]).to_owned(), &|item| {
                order_of(&item["exception"]["shipment"]).to_owned()
            }),
            ("/v1/events", &|item| of_event(item).0.to_owned(), &|item| of_event(item).1),
            (&format!("/v1/stock?sku={sku}"), &|item| text(&item["node"]).to_owned(), &|_| String::new()),
        ] {
            // What is found meanwhile is at the end, or in neither.
            let everything = all(path)?;
            let expect = |key: &str, within: &dyn Fn(&Value) -> bool| {
                let seen = items(service, key, path)?;
                let expected: Vec<&Value> = everything.iter().filter(|item| within(item)).collect();
                ensure!(!expected.is_empty(), "{path}: nothing for {key}");
                ensure!(seen.iter().collect::<Vec<_>>() == expected, "{path} for {key}: {seen:?}, not {expected:?}");
                Ok(())
            };
            for key in ["packer", "lead"] {
                expect(key, &|item| node(item) == *here)?;
            }
            expect("two", &|item| [here, there].contains(&&node(item)))?;
            if path.starts_with("/v1/worklist") || path.starts_with("/v1/stock") {
                continue;
            }
            expect("a", &|item| own.contains(&order(item)))?;
            expect("a-2", &|item| own.contains(&order(item)))?;
        }
        let queued = |key: &str| items(service, key, "/v1/orders?state=allocated");
        let expected = orders.iter().filter(|order| own.contains(&id(order)) && order["state"] == "allocated");
        ensure!(queued("a")?.iter().map(id).eq(expected.map(id)), "orders with a state");
        let nodes = send(service, "two", "GET", "/v1/nodes", &Value::Null)?.body;
        ensure!(list(&nodes).iter().map(|node| text(&node["code"])).eq(["LAS", "SEA"]), "{nodes}");
        for path in ["/v1/shipments?node=SEA", "/v1/stock?node=SEA"] {
            ensure!(items(service, "packer", path)?.is_empty() && !items(service, "two", path)?.is_empty(), "{path}");
        }
        let shown = send(service, "packer", "GET", &format!("/v1/shipments/p-{here}"), &Value::Null)?;
        ensure!(shown.status == 200, "{shown:?}");
        let scan = json!([{"state": "packed", "at": "2017-12-04T14:30:00Z", "place": here}]);
        let scanned = send(service, "packer", "POST", &format!("/v1/shipments/p-{here}/scans"), &scan)?;
        ensure!(scanned.status == 204, "{scanned:?}");
        let closed = send(service, "lead", "POST", &format!("/v1/nodes/{here}/close"), &Value::Null)?;
        ensure!(closed.status == 200, "{closed:?}");
        let feedback = json!({"useful": true});
        let said = send(service, "lead", "POST", &format!("/v1/worklist/p-{here}-late/feedback"), &feedback)?;
        ensure!(said.status == 204, "{said:?}");
        // An exception of the shop's own shipment.
        let first = own.iter().next().context("no order")?;
        let late = json!({"state": "out_for_delivery", "at": "2017-12-04T14:40:00Z", "place": here});
        let shipment = places.values().find(|shipment| text(&shipment["order"]) == first).context("no shipment")?;
        service.ask("warehouse", "POST", &format!("/v1/shipments/{}/scans", id(shipment)), &json!([late]), 204)?;
        let cancelled =
            send(service, "a-2", "POST", &format!("/v1/orders/{}/cancel", own.last().context("none")?), &Value::Null)?;
        ensure!(cancelled.status == 204, "{cancelled:?}");
        Ok(())
    })
}

/// Product in stock at two nodes.
fn both_have(service: &Service, here: &str, there: &str) -> Result<String> {
    let stocked = |node: &str| {
        let stock = service.get(&format!("/v1/stock?node={node}&limit=1000"))?;
        Ok::<_, anyhow::Error>(
            list(&stock["items"]).iter().map(|row| text(&row["sku"]).to_owned()).collect::<BTreeSet<_>>(),
        )
    };
    let (here, there) = (stocked(here)?, stocked(there)?);
    here.intersection(&there).next().cloned().context("no product is at both nodes")
}

#[test]
fn keys_of_a_shop_share_its_orders_and_their_idempotency() -> Result<()> {
    both(|database| {
        let mut keys = keys(&database.url)?;
        for name in ["one", "other"] {
            keys.insert(name, key(&database.url, &["add", name, "--role", "shop", "--shop", "web"])?);
        }
        keys.insert("rival", key(&database.url, &["add", "rival", "--role", "shop", "--shop", "rival"])?);
        // Its name is that of the shop.
        keys.insert("web", key(&database.url, &["add", "web", "--role", "shop"])?);
        let service = Service::start(&database.url, &keys, &[])?;
        let (order, next) = (&orders()?[0], &orders()?[1]);
        let say =
            |key: &str, order: &Value| Ok::<_, anyhow::Error>(send(&service, key, "POST", "/v1/orders", order)?.status);
        ensure!(say("one", order)? == 202 && say("other", order)? == 202, "the same order");
        ensure!(say("other", next)? == 422, "the same idempotency key, another order");
        ensure!(say("rival", order)? == 409, "another shop's order is not repeated");
        ensure!(say("web", order)? == 409, "a key without a shop is not the shop");
        ensure!(say("web", next)? == 202 && say("rival", &orders()?[2])? == 202, "their own idempotency keys");
        let before = items(&service, "one", "/v1/orders")?;
        ensure!(before.len() == 1 && items(&service, "shop", "/v1/orders")?.len() == 3);
        keys.insert("one", key(&database.url, &["rotate", "one"])?);
        let keys = keys.clone();
        ensure!(service.stop()?);
        let service = Service::start(&database.url, &keys, &[])?;
        ensure!(send(&service, "one", "POST", "/v1/orders", order)?.status == 202, "after the rotation");
        ensure!(items(&service, "one", "/v1/orders")?.len() == 1);
        Ok(())
    })
}

#[test]
fn secrets_are_replaced_and_expire() -> Result<()> {
    both(|database| {
        let mut keys = keys(&database.url)?;
        keys.insert("first", key(&database.url, &["add", "till", "--role", "operator", "--days", "3"])?);
        let service = Service::start(&database.url, &keys, &[])?;
        let status = |service: &Service, key: &str| send(service, key, "GET", "/v1/nodes", &Value::Null);
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let signed = service.send("", "POST", "/login", &form, format!("key={}", service.key("first")).as_bytes())?;
        let cookie = signed.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let page = |service: &Service| service.send("", "GET", "/", &[("cookie", &cookie)], b"");
        ensure!(status(&service, "first")?.status == 200 && page(&service)?.status == 200);

        // Both secrets are valid, until the earlier one ends.
        keys.insert("second", key(&database.url, &["rotate", "till"])?);
        let listed = key(&database.url, &["list"])?;
        ensure!(
            listed
                .lines()
                .any(|line| line.starts_with("till ") && line.contains("expires 20") && line.contains("used 20")),
            "{listed}"
        );
        ensure!(service.stop()?);
        let service = Service::start(&database.url, &keys, &[])?;
        ensure!(status(&service, "first")?.status == 200 && status(&service, "second")?.status == 200);
        ensure!(page(&service)?.status == 200, "the session ends with the earlier secret");
        key(&database.url, &["rotate", "till", "--hours", "0"])?;
        for earlier in ["first", "second"] {
            let refused = status(&service, earlier)?;
            let detail = text(&refused.body["detail"]);
            ensure!(refused.is_problem(401) && detail.contains("`till` expired at 20"), "{earlier}: {refused:?}");
        }
        ensure!(page(&service)?.header("location") == "/login", "the session has not ended");

        // Keys end with their sessions.
        let signed =
            service.send("", "POST", "/login", &form, format!("key={}", service.key("operator")).as_bytes())?;
        let cookie = signed.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        database.run(["UPDATE access_keys SET expires = 1 WHERE id = 'operator'"])?;
        let refused = status(&service, "operator")?;
        let detail = text(&refused.body["detail"]);
        ensure!(
            refused.is_problem(401) && detail == "the access key `operator` expired at 1970-01-01T00:00:00.001Z",
            "{refused:?}"
        );
        ensure!(service.send("", "GET", "/", &[("cookie", &cookie)], b"")?.header("location") == "/login");
        let refused = key(&database.url, &["rotate", "operator"]).err().context("an expired key is replaced")?;
        ensure!(refused.to_string().contains("expired at 1970"), "{refused}");
        key(&database.url, &["rotate", "operator", "--days", "1", "--hours", "1"])?;
        ensure!(status(&service, "operator")?.status == 200, "the key has another time");
        key(&database.url, &["remove", "operator"])?;
        ensure!(status(&service, "operator")?.status == 401);
        Ok(())
    })
}

#[test]
fn limits_that_do_not_fit_a_role_are_refused() -> Result<()> {
    let database = Database::sqlite()?;
    for (arguments, said) in [
        (&["--role", "admin", "--nodes", "LAS"][..], "role admin cannot be limited to nodes"),
        (&["--role", "shop", "--nodes", "LAS"], "role shop cannot be limited to nodes"),
        (&["--role", "admin", "--shop", "web"], "role admin cannot be limited to a shop"),
        (&["--role", "warehouse", "--shop", "web"], "role warehouse cannot be limited to a shop"),
        (&["--role", "shop", "--shop", "web", "--nodes", "LAS"], "not to both"),
        (&["--role", "warehouse", "--nodes", "las"], "capital letters"),
        (&["--role", "shop", "--shop", "a b"], "a b"),
        (&["--role", "shop", "--days", "0"], "0"),
    ] {
        let refused = key(&database.url, &[&["add", "bad"], arguments].concat());
        let refused = refused.err().with_context(|| format!("{arguments:?}"))?.to_string();
        ensure!(refused.contains(said), "{arguments:?}: {refused}");
    }
    key(&database.url, &["add", "good", "--role", "operator", "--nodes", "LAS,SEA"])?;
    let listed = key(&database.url, &["list"])?;
    ensure!(listed.lines().count() == 1 && listed.contains("nodes LAS,SEA"), "{listed}");
    Ok(())
}
