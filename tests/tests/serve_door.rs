//! Input checks of the warehouse service: undecidable or unreadable input is refused, with the reason.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tradewind_core::Millis;
use tradewind_tests::{
    database::Database,
    service::{Answer, Service, balanced, eventually, keys},
};

fn service() -> Result<(Service, Database)> {
    let database = Database::sqlite()?;
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    Ok((service, database))
}

fn order(id: &str) -> Value {
    json!({"id": id, "region": "LAX", "lines": [{"sku": "866211", "quantity": 1}], "promised": "2017-12-09"})
}

fn parcel(id: &str) -> Value {
    json!({
        "id": id, "order": "elsewhere-1", "node": "SEA", "region": "IAH",
        "lines": [{"sku": "1082185", "quantity": 1, "value": 10_000}],
        "created": "2017-12-01T09:00:00Z", "promised": "2017-12-03T09:00:00Z",
    })
}

/// Document with one field, given by its path, replaced.
fn with(mut document: Value, place: &str, value: Value) -> Result<Value> {
    *document.pointer_mut(place).with_context(|| format!("no `{place}`"))? = value;
    Ok(document)
}

fn post(service: &Service, role: &str, path: &str, body: &Value) -> Result<Answer> {
    service.send(role, "POST", path, &[("idempotency-key", "k")], &serde_json::to_vec(body)?)
}

fn says(what: &str, answer: &Answer, status: u16, said: &str) -> Result<()> {
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(answer.is_problem(status) && detail.contains(said), "{what}: {said}: {answer:?}");
    Ok(())
}

#[test]
fn an_order_is_taken_once() -> Result<()> {
    let (service, _database) = service()?;
    let order = order("o-1");
    let send = |key: &str, order: &Value| {
        service.send("shop", "POST", "/v1/orders", &[("idempotency-key", key)], &serde_json::to_vec(order)?)
    };
    let first = send("a", &order)?;
    ensure!(first.status == 202, "{first:?}");
    let mut spaced = order.to_string().replace(':', " : ").into_bytes();
    spaced.push(b'\n');
    let again = service.send("shop", "POST", "/v1/orders", &[("idempotency-key", "a")], &spaced)?;
    ensure!((again.status, &again.body) == (202, &first.body), "the same order under the same key: {again:?}");
    let mut other = order.clone();
    other["lines"][0]["quantity"] = json!(2);
    ensure!(send("a", &other)?.status == 422, "another order under the same key");
    // A shop whose access key was replaced between its attempts has other keys.
    ensure!(send("b", &order)?.status == 202, "the same order under another key");
    ensure!(send("b", &other)?.status == 409, "another order with the same id");
    let nameless = service.send("shop", "POST", "/v1/orders", &[], &serde_json::to_vec(&order)?)?;
    ensure!(nameless.is_problem(400), "{nameless:?}");
    ensure!(service.settled()?.len() == 1);

    let garbage = service.send("shop", "POST", "/v1/orders", &[("idempotency-key", "d")], b"{\"id\": 1}")?;
    ensure!(garbage.status == 422 && garbage.body["detail"].as_str().is_some_and(|said| said.contains("line 1")));
    Ok(())
}

#[test]
fn orders_that_can_never_be_planned_are_refused() -> Result<()> {
    let (service, _database) = service()?;
    let twice = json!([{"sku": "866211", "quantity": 1}, {"sku": "866211", "quantity": 1}]);
    let (half, many) = (json!({"sku": "866211", "quantity": 600_000}), json!({"sku": "1082185", "quantity": 600_000}));
    let long = "x".repeat(49);
    for (place, value, said) in [
        ("/id", json!("."), "`.`"),
        ("/id", json!(".."), "`..`"),
        ("/id", json!(""), "`id`: a name of 0 bytes"),
        ("/id", json!(long), "1 to 48"),
        ("/id", json!("a/b"), "a/b"),
        ("/id", json!("a%2Fb"), "a%2Fb"),
        ("/id", json!("a\u{7}b"), "1 to 48"),
        ("/promised", json!("2300-01-01"), "`promised`"),
        ("/promised", json!("1999-12-31"), "2000 to 2100"),
        ("/promised", json!("2017-13-01"), "promised"),
        ("/lines/0/quantity", json!(4_294_967_295_u32), "1000000"),
        ("/lines/0/quantity", json!(-1), "lines[0].quantity"),
        ("/lines/0/quantity", json!(4_294_967_296_u64), "lines[0].quantity"),
        ("/lines/0/quantity", json!(0), "866211"),
        ("/lines/0/sku", json!(""), "lines[0].sku"),
        ("/lines/0/sku", json!("x".repeat(65)), "1 to 64"),
        ("/lines/0/sku", json!("nothing"), "unknown product `nothing`"),
        ("/lines", json!([half, many]), "1200000 units"),
        ("/lines", twice, "two lines"),
        ("/lines", json!([]), "lines"),
        ("/region", json!("NOWHERE"), "NOWHERE"),
        ("/region", json!("lax"), "`region`"),
        ("/region", json!(""), "`region`"),
    ] {
        says(place, &post(&service, "shop", "/v1/orders", &with(order("o-1"), place, value)?)?, 422, said)?;
    }
    for (field, value, said) in [
        ("priority", json!(8), "0 (first) to 7"),
        ("priority", json!(256), "priority"),
        ("pinned", json!("NOWHERE"), "NOWHERE"),
        ("excluded", json!(vec!["LAS"; 1_001]), "excluded"),
        ("excluded", json!(["NOWHERE"]), "NOWHERE"),
        ("excluded", json!(["las"]), "`excluded[0]`"),
        ("surprise", json!(1), "surprise"),
    ] {
        let mut bad = order("o-1");
        bad[field] = value;
        says(field, &post(&service, "shop", "/v1/orders", &bad)?, 422, said)?;
    }
    ensure!(service.settled()?.is_empty(), "one of them was taken");
    // The maximum accepted quantity is planned.
    let most = with(order("o-1"), "/lines/0/quantity", json!(1_000_000))?;
    ensure!(post(&service, "shop", "/v1/orders", &most)?.status == 202);
    ensure!(service.settled()?[0]["state"] == "short");
    Ok(())
}

#[test]
fn shipments_scans_and_counts_that_can_never_be_judged_are_refused() -> Result<()> {
    let (service, _database) = service()?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("p-1"), 201)?;
    let scan = |at: Value, place: &str| json!({"state": "arrived", "at": at, "place": place});
    let (at, long) = (json!("2017-12-03T09:00:00Z"), "x".repeat(65));
    for (bad, said) in [
        (scan(at.clone(), ""), ".place`: a name of 0 bytes"),
        (scan(at.clone(), &long), "65 bytes"),
        (scan(at.clone(), &"é".repeat(33)), "66 bytes"),
        (scan(at.clone(), "a\u{0}b"), "U+0000"),
        (scan(json!("1969-12-31T23:59:59Z"), "SEA"), "before 2000"),
        (scan(json!(1_512_345_600_000_i64), "SEA"), "expected a string"),
        (scan(json!("1512345600000"), "SEA"), "RFC 3339"),
        (scan(json!("2101-01-01T00:00:00Z"), "SEA"), "after 2100"),
        (scan(json!("yesterday"), "SEA"), "yesterday"),
        (json!({"state": "teleported", "at": at, "place": "SEA"}), "teleported"),
    ] {
        // Other scans of the same request are refused too.
        let scans = json!([scan(at.clone(), "SEA"), bad]);
        says("scan", &post(&service, "warehouse", "/v1/shipments/p-1/scans", &scans)?, 422, said)?;
        let mut both = parcel("p-2");
        both["scans"] = json!([bad]);
        says("shipment", &post(&service, "warehouse", "/v1/shipments", &both)?, 422, said)?;
    }
    ensure!(service.get("/v1/shipments/p-1")?["scans"] == json!([]), "a scan was taken");
    for (place, value, said) in [
        ("/id", json!(".."), "`..`"),
        ("/order", json!(""), "`order`"),
        ("/order", json!("a\nb"), "U+000A"),
        ("/node", json!("NOWHERE"), "NOWHERE"),
        ("/region", json!("NOWHERE"), "NOWHERE"),
        ("/created", json!(1_512_345_600), "`created`"),
        ("/promised", json!("2300-01-01T00:00:00Z"), "after 2100"),
        ("/lines/0/value", json!(-1), "below 0"),
        ("/lines/0/value", json!(10_000_000_000_001_i64), "value"),
        ("/lines/0/sku", json!("nothing"), "nothing"),
        ("/lines", json!(vec![json!({"sku": "1082185", "quantity": 1, "value": 0}); 1_001]), "1001 lines"),
    ] {
        let bad = with(parcel("p-2"), place, value)?;
        says(place, &post(&service, "warehouse", "/v1/shipments", &bad)?, 422, said)?;
    }
    for (place, value, said) in [
        ("/0/on_hand", json!(-1), "[0].on_hand"),
        ("/0/on_hand", json!(4_294_967_296_u64), "[0].on_hand"),
        ("/0/sku", json!(""), "`sku`"),
        ("/0/sku", json!("a\u{0}"), "U+0000"),
        ("/0/node", json!("NOWHERE"), "NOWHERE"),
        ("/0/node", json!("a b"), "`node`"),
    ] {
        let bad = with(json!([{"node": "LAS", "sku": "866211", "on_hand": 1}]), place, value)?;
        let answer = service.send("warehouse", "PUT", "/v1/stock", &[], &serde_json::to_vec(&bad)?)?;
        says(place, &answer, 422, said)?;
    }
    for (query, said) in [("sku=", "`sku`"), ("node=nowhere", "`node`")] {
        says(query, &service.send("operator", "GET", &format!("/v1/stock?{query}"), &[], b"")?, 422, said)?;
    }
    let claim = json!({"snapshot": "00", "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": 1});
    for (place, value, said) in [
        ("/snapshot", json!("00"), "64 hexadecimal"),
        ("/at", json!(1_512_345_600), "`at`"),
        ("/sku", json!(""), "`sku`"),
        ("/region", json!("x"), "`region`"),
    ] {
        let mut bad = with(claim.clone(), "/snapshot", json!("00".repeat(32)))?;
        bad = with(bad, place, value)?;
        says(place, &post(&service, "shop", "/v1/quotes/verify", &bad)?, 422, said)?;
    }
    // Clients can see that the only valid parcel is scored.
    eventually("the parcel is late", || Ok(service.items("/v1/worklist")?[0]["exception"]["shipment"] == "p-1"))?;
    let id = service.items("/v1/worklist")?[0]["id"].as_str().context("no id")?.to_owned();
    let note = json!({"useful": true, "note": "x".repeat(2_001)});
    says("note", &post(&service, "operator", &format!("/v1/worklist/{id}/feedback"), &note)?, 422, "`note`")
}

#[test]
fn scans_are_taken_as_long_as_all_of_them_can_be_judged() -> Result<()> {
    let (service, _database) = service()?;
    service.ask("warehouse", "POST", "/v1/shipments", &parcel("p-1"), 201)?;
    let scan =
        |n: i64, state: &str| json!({"state": state, "at": Millis(1_512_118_800_000 + 60_000 * n), "place": "SEA"});
    let send = |scans: &Value| post(&service, "warehouse", "/v1/shipments/p-1/scans", scans);
    for tens in (0..1_000).step_by(10) {
        let scans = (tens..tens + 10).map(|n| scan(n, "arrived")).collect();
        ensure!(send(&scans)?.status == 204, "{tens}");
    }
    says("one more", &send(&json!([scan(1_000, "departed")]))?, 422, "1000 scans")?;
    ensure!(send(&json!([scan(0, "arrived")]))?.status == 204, "one that is known");
    let listed = || {
        let work = service.items("/v1/worklist")?;
        Ok(work.as_array().into_iter().flatten().any(|entry| entry["exception"]["kind"] == "late"))
    };
    eventually("it is judged with all of its scans", listed)?;
    ensure!(service.get("/v1/shipments/p-1")?["fault"].is_null());
    ensure!(send(&json!([scan(1_000, "delivered")]))?.status == 204, "it can be delivered all the same");
    eventually("nothing is wrong with it", || Ok(!listed()?))
}

#[test]
fn an_order_that_has_left_cannot_be_cancelled() -> Result<()> {
    let (service, _database) = service()?;
    let scans = |shipment: &str, node: &Value, states: &[(&str, u32)]| {
        let scans = states.iter();
        let scans = scans
            .map(|(state, hour)| json!({"state": state, "at": format!("2017-12-04T{hour}:00:00Z"), "place": node}));
        service.ask("warehouse", "POST", &format!("/v1/shipments/{shipment}/scans"), &scans.collect(), 204)
    };
    for id in ["whole", "packed", "part"] {
        service.order(&order(id))?;
    }
    let node =
        |id: &str| Ok::<_, anyhow::Error>(service.get(&format!("/v1/orders/{id}"))?["shipments"][0]["node"].clone());
    service.settled()?;
    let cancel = |id: &str| post(&service, "shop", &format!("/v1/orders/{id}/cancel"), &Value::Null);
    for (state, hour) in [("picked_up", 15), ("arrived", 16), ("delivered", 17)] {
        scans("whole.1", &node("whole")?, &[(state, hour)])?;
        says(state, &cancel("whole")?, 409, &format!("`whole.1` is {}", state.replace('_', " ")))?;
    }
    ensure!(service.get("/v1/orders/whole")?["state"] == "allocated");
    // Packed units are still at the node.
    scans("packed.1", &node("packed")?, &[("packed", 15)])?;
    ensure!(cancel("packed")?.status == 204);
    ensure!(service.get("/v1/orders/packed")?["shipments"][0]["state"] == "cancelled");

    // Of an order in parts, only unshipped parts are cancelled.
    let two = json!([{"sku": "866211", "quantity": 1}, {"sku": "1082185", "quantity": 900_000}]);
    service.order(&with(order("short"), "/lines", two)?)?;
    service.settled()?;
    let short = service.get("/v1/orders/short")?;
    ensure!(short["state"] == "short", "{short}");
    for shipment in short["shipments"].as_array().context("none")? {
        scans(shipment["id"].as_str().context("no id")?, &shipment["node"], &[("packed", 15), ("picked_up", 16)])?;
    }
    ensure!(cancel("short")?.status == 204, "the rest of it was to come");
    let short = service.get("/v1/orders/short")?;
    ensure!(short["state"] == "cancelled" && short["shipments"][0]["state"] == "picked_up", "{short}");
    says("twice", &cancel("short")?, 409, "cancelled already")?;
    ensure!(cancel("part")?.status == 204);
    says("nothing", &cancel("nothing")?, 404, "nothing")?;
    balanced(&service)
}

#[test]
fn what_cannot_be_read_is_a_problem_document_or_a_page() -> Result<()> {
    let (service, _database) = service()?;
    for (method, path, status, said) in [
        ("GET", "/v1/orders?state=bogus", 400, "bogus"),
        ("GET", "/v1/orders?limit=many", 400, "limit"),
        ("GET", "/v1/orders?limit=-1", 400, "limit"),
        ("GET", "/v1/orders?stat=queued", 400, "stat"),
        ("GET", "/v1/orders?state=queued&state=dead", 400, "state"),
        ("GET", "/v1/worklist?state=bogus", 400, "bogus"),
        ("GET", "/v1/worklist?limit=70000", 400, "limit"),
        ("GET", "/v1/stock?nod=LAS", 400, "nod"),
        ("GET", "/v1/orders/%FF", 400, "the path"),
        ("GET", "/v1/orders/a%00b", 400, "%00"),
        ("GET", "/v1/orders/a%0Ab", 400, "%0A"),
        ("GET", "/v1/stock?sku=a%00", 400, "%00"),
        ("GET", "/v1/orders/a%2Fb%25", 404, "`a/b%`"),
        ("GET", "/v1/nothing", 404, "/v1/nothing"),
        ("GET", "/docs/nothing", 404, "/docs/nothing"),
        ("DELETE", "/v1/orders", 405, "DELETE"),
        ("PUT", "/v1/orders/o-1", 405, "PUT"),
        ("GET", "/nodes/LAS/close", 405, "GET"),
    ] {
        says(path, &service.send("operator", method, path, &[], b"")?, status, said)?;
    }
    ensure!(!service.send("operator", "DELETE", "/v1/orders", &[], b"")?.header("allow").is_empty());
    for (body, status, said) in [
        (&b"{"[..], 400, "line 1"),
        (b"", 400, "the body"),
        (b"\xff", 400, "the body"),
        (b"{\"id\": 1}", 422, "`id`"),
        (b"[]", 422, "the body"),
        (b"{}", 422, "id"),
    ] {
        let answer = service.send("shop", "POST", "/v1/orders", &[("idempotency-key", "k")], body)?;
        says(&String::from_utf8_lossy(body), &answer, status, said)?;
    }
    let twice = order("o-1").to_string().repeat(2);
    let twice = service.send("shop", "POST", "/v1/orders", &[("idempotency-key", "k")], twice.as_bytes())?;
    says("two orders", &twice, 400, "trailing")?;

    // Browsers get HTML pages.
    let html = [("accept", "Text/HTML, */*;q=0.1")];
    let page = |what: &str, answer: &Answer, status: u16, said: &str| {
        let text = answer.body.as_str().unwrap_or_default();
        let shown = text.contains("That did not work") || text.contains("Access key");
        ensure!(
            answer.status == status
                && answer.header("content-type").starts_with("text/html")
                && shown
                && text.contains(said),
            "{what}: {answer:?}"
        );
        Ok(())
    };
    page("nothing", &service.send("", "GET", "/nothing", &html, b"")?, 404, "/nothing")?;
    page("a method", &service.send("", "GET", "/nodes/LAS/close", &html, b"")?, 405, "GET")?;
    page("control", &service.send("", "GET", "/orders/%07", &html, b"")?, 400, "%07")?;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    page("no form", &service.send("", "POST", "/login", &[("content-type", "text/plain")], b"key=a")?, 415, "form")?;
    page("no key", &service.send("", "POST", "/login", &form, b"token=a")?, 422, "key")?;
    let signed = service.send("", "POST", "/login", &form, format!("key={}", service.key("operator")).as_bytes())?;
    let cookie = signed.header("set-cookie").split(';').next().context("no cookie")?.to_owned();
    let form = [form[0], ("cookie", &cookie)];
    page("no token", &service.send("", "POST", "/orders/x/retry", &form, b"a=b")?, 422, "token")?;
    page("no such", &service.send("", "POST", "/feedback/x", &form, b"token=a&useful=perhaps")?, 422, "useful")?;
    page("bytes", &service.send("", "GET", "/orders/%FF", &form, b"")?, 400, "the path")
}

#[test]
fn the_letters_of_schemes_and_media_types_do_not_matter_nor_does_a_byte_order_mark() -> Result<()> {
    let (service, _database) = service()?;
    let key = service.key("shop");
    for (n, scheme) in ["Bearer ", "bearer ", "BEARER ", "bEARER   "].into_iter().enumerate() {
        let id = format!("o-{n}");
        let authorization = format!("{scheme}{key}");
        let headers = [
            ("AUTHORIZATION", authorization.as_str()),
            ("Idempotency-KEY", &id),
            ("content-type", "Application/JSON; Charset=UTF-8"),
        ];
        let mut body = "\u{feff}".as_bytes().to_vec();
        serde_json::to_writer(&mut body, &order(&id))?;
        let taken = service.send("", "POST", "/v1/orders", &headers, &body)?;
        ensure!(taken.status == 202, "{scheme}: {taken:?}");
    }
    for wrong in ["Basic ", "Bearer", ""] {
        let authorization = format!("{wrong}{key}");
        let answer = service.send("", "GET", "/v1/orders", &[("authorization", &authorization)], b"")?;
        ensure!(
            answer.is_problem(401) && answer.header("www-authenticate").starts_with("Bearer"),
            "{wrong}: {answer:?}"
        );
    }
    ensure!(service.settled()?.len() == 4);
    Ok(())
}
