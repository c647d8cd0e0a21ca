//! Webhooks of the warehouse service: a real receiver, which judges signatures with the library of the specification.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tradewind_tests::{
    database::{Database, both},
    root,
    service::{Service, eventually, keys, list, orders, text},
    tool,
};

/// Receiver on its own port, stopped when this value is dropped.
struct Receiver {
    child: Child,
    address: String,
    deliveries: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start() -> Result<Self> {
        let mut command = Command::new(tool("python-api")?);
        let mut child = command.arg(root().join("tests/api/receiver.py")).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let port = lines.next().context("the receiver did not start")??;
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&deliveries);
        thread::spawn(move || {
            for delivery in lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
            }
        });
        Ok(Self { child, address: format!("http://127.0.0.1:{port}"), deliveries })
    }

    fn set(&self, settings: &Value) -> Result<()> {
        ureq::post(format!("{}/control", self.address)).send_json(settings)?;
        Ok(())
    }

    fn got(&self) -> Vec<Value> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events that were confirmed, in the order of their arrival.
    fn confirmed(&self) -> Vec<Value> {
        let got = self.got().into_iter().filter(|delivery| delivery["status"] == 204);
        got.map(|delivery| told(&delivery["body"]["data"])).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Event without its moment: each service of a test has its own clock.
fn told(event: &Value) -> Value {
    let mut event = event.clone();
    event["at"].take();
    event
}

fn start(database: &Database) -> Result<Service> {
    Service::start(&database.url, &keys(&database.url)?, &[])
}

/// Starts the service again, with the keys of another one.
fn again(service: &Service, database: &Database, arguments: &[&str]) -> Result<Service> {
    let keys = ["shop", "warehouse", "operator", "admin"].map(|role| (role, service.key(role).to_owned()));
    Service::start(&database.url, &keys.into(), arguments)
}

/// Adds a webhook, and tells the receiver its secret.
fn add(service: &Service, receiver: &Receiver, fields: Value) -> Result<Value> {
    let mut webhook = json!({"url": format!("{}/events", receiver.address)});
    for (name, value) in fields.as_object().into_iter().flatten() {
        webhook[name] = value.clone();
    }
    let added = service.ask("admin", "POST", "/v1/webhooks", &webhook, 201)?;
    receiver.set(&json!({"secret": added["secret"], "status": 204, "delay": 0}))?;
    Ok(added)
}

fn show(service: &Service, webhook: &Value) -> Result<Value> {
    let webhooks = service.ask("admin", "GET", "/v1/webhooks", &Value::Null, 200)?;
    let found = list(&webhooks).iter().find(|found| found["id"] == webhook["id"]);
    ensure!(found.is_some_and(|found| found["secret"].is_null()), "{webhooks}");
    found.cloned().context("no webhook")
}

fn change(service: &Service, webhook: &Value, what: &str, status: u16) -> Result<Value> {
    let path = format!("/v1/webhooks/{}/{what}", text(&webhook["id"]));
    service.ask("admin", "POST", &path, &Value::Null, status)
}

/// Events of the feed after one.
fn feed(service: &Service, after: &Value) -> Result<Vec<Value>> {
    let feed = service.get(&format!("/v1/events?limit=1000&after={}", text(after)))?;
    Ok(list(&feed["items"]).iter().map(told).collect())
}

/// Waits until a receiver has confirmed the events of the feed after one, and no others, each once.
fn in_step(service: &Service, receiver: &Receiver, after: &Value) -> Result<Vec<Value>> {
    eventually("all events are delivered", || Ok(receiver.confirmed().len() >= feed(service, after)?.len()))?;
    // More may have happened meanwhile.
    let (got, told) = (receiver.confirmed(), feed(service, after)?);
    ensure!(!got.is_empty() && told.starts_with(&got), "{}", difference(&got, &told));
    Ok(got)
}

/// First difference between two lists of events.
fn difference(got: &[Value], told: &[Value]) -> String {
    let place = got.iter().zip(told).take_while(|(got, told)| got == told).count();
    format!("event {place} of {}: {:?}, not {:?}", got.len(), got.get(place), told.get(place))
}

#[test]
fn events_arrive_signed_and_in_order() -> Result<()> {
    both(|database| {
        let service = start(database)?;
        let (all, some) = (Receiver::start()?, Receiver::start()?);
        service.order(&orders()?[0])?;
        service.settled()?;
        let webhook = add(&service, &all, json!({}))?;
        add(&service, &some, json!({"kinds": ["order.allocated", "order.allocated"], "after": "0-0"}))?;
        for order in &orders()?[1..6] {
            service.order(order)?;
        }
        service.settled()?;
        in_step(&service, &all, &webhook["after"])?;
        for delivery in all.got() {
            let (body, data) = (&delivery["body"], &delivery["body"]["data"]);
            ensure!(delivery["verified"] == true && list(&delivery["signatures"]).len() == 1, "{delivery}");
            ensure!(delivery["id"] == data["id"] && body["type"] == data["type"] && body["timestamp"] == data["at"]);
        }
        let allocated = |events: &[Value]| events.iter().filter(|event| event["type"] == "order.allocated").count();
        let expected = allocated(&feed(&service, &json!("0-0"))?);
        eventually("the other receiver has its events", || Ok(some.confirmed().len() >= expected))?;
        ensure!(some.confirmed().len() == expected && allocated(&some.confirmed()) == expected);

        // For a day, both secrets sign.
        let rotated = change(&service, &webhook, "rotate", 200)?;
        ensure!(text(&rotated["secret"]).starts_with("whsec_") && rotated["secret"] != webhook["secret"]);
        for (n, secret) in [&webhook["secret"], &rotated["secret"]].into_iter().enumerate() {
            all.set(&json!({"secret": secret}))?;
            let before = all.got().len();
            service.order(&orders()?[6 + n])?;
            service.settled()?;
            in_step(&service, &all, &webhook["after"])?;
            for delivery in &all.got()[before..] {
                ensure!(delivery["verified"] == true && list(&delivery["signatures"]).len() == 2, "{delivery}");
            }
        }
        database.run(["UPDATE webhooks SET former_until = 1"])?;
        let before = all.got().len();
        service.order(&orders()?[8])?;
        service.settled()?;
        in_step(&service, &all, &webhook["after"])?;
        ensure!(all.got()[before..].iter().all(|delivery| list(&delivery["signatures"]).len() == 1));

        let shown = show(&service, &webhook)?;
        ensure!(shown["state"] == "active" && shown["delivered"].is_string() && shown["tries"] == 0, "{shown}");
        let lines = [
            r#"tradewind_webhooks{state="active"} 2"#,
            "tradewind_webhook_lag_seconds 0",
            "# HELP tradewind_webhook_deliveries_total Events that receivers have confirmed.",
        ];
        // Exceptions are found meanwhile.
        eventually("the metrics have all lines", || {
            let metrics = service.send("", "GET", "/metrics", &[], b"")?.body;
            Ok(lines.iter().all(|line| text(&metrics).lines().any(|known| known == *line)))
        })?;
        let path = format!("/v1/webhooks/{}", text(&webhook["id"]));
        service.ask("admin", "DELETE", &path, &Value::Null, 204)?;
        service.ask("admin", "DELETE", &path, &Value::Null, 404)?;
        Ok(())
    })
}

#[test]
fn a_receiver_that_fails_gets_the_same_event_again() -> Result<()> {
    both(|database| {
        let (service, receiver) = (start(database)?, Receiver::start()?);
        let webhook = add(&service, &receiver, json!({}))?;
        receiver.set(&json!({"status": 302}))?;
        service.order(&orders()?[0])?;
        service.settled()?;
        eventually("an attempt has failed", || Ok(show(&service, &webhook)?["tries"] == 1))?;
        let shown = show(&service, &webhook)?;
        let failed = text(&shown["last_error"]) == "the receiver responded 302" && shown["retry"].is_string();
        ensure!(failed && shown["state"] == "active" && receiver.got().len() == 1, "{shown}");
        // The first pause is five seconds.
        receiver.set(&json!({"status": 204}))?;
        let got = in_step(&service, &receiver, &webhook["after"])?;
        ensure!(receiver.got()[0]["id"] == got[0]["id"] && receiver.got()[0]["verified"] == true);
        let shown = show(&service, &webhook)?;
        ensure!(shown["last_error"].is_null() && shown["retry"].is_null() && shown["tries"] == 0, "{shown}");

        // The last attempt fails; then nothing is delivered until it is resumed.
        receiver.set(&json!({"status": 500}))?;
        service.order(&orders()?[1])?;
        eventually("an attempt has failed", || Ok(show(&service, &webhook)?["tries"] == 1))?;
        database.run(["UPDATE webhooks SET tries = 9, due = 0"])?;
        eventually("it has failed", || Ok(show(&service, &webhook)?["state"] == "failed"))?;
        receiver.set(&json!({"status": 204}))?;
        service.order(&orders()?[2])?;
        service.settled()?;
        let before = receiver.got().len();
        thread::sleep(Duration::from_secs(3));
        ensure!(receiver.got().len() == before, "a failed webhook gets events");
        ensure!(change(&service, &webhook, "resume", 200)?["state"] == "active");
        in_step(&service, &receiver, &webhook["after"])?;

        // It wants no more.
        receiver.set(&json!({"status": 410}))?;
        service.order(&orders()?[3])?;
        eventually("it is gone", || Ok(show(&service, &webhook)?["state"] == "gone"))?;
        change(&service, &webhook, "resume", 409)?;
        change(&service, &json!({"id": "nothing"}), "resume", 404)?;
        Ok(())
    })
}

#[test]
fn a_killed_service_loses_no_event_and_keeps_their_order() -> Result<()> {
    both(|database| {
        let (service, receiver) = (start(database)?, Receiver::start()?);
        let webhook = add(&service, &receiver, json!({}))?;
        receiver.set(&json!({"delay": 0.1}))?;
        for order in &orders()?[..10] {
            service.order(order)?;
        }
        eventually("some are delivered", || Ok(receiver.got().len() > 5))?;
        let keys = ["shop", "warehouse", "operator", "admin"].map(|role| (role, service.key(role).to_owned()));
        service.kill()?;
        receiver.set(&json!({"delay": 0}))?;
        let service = Service::start(&database.url, &keys.into(), &[])?;
        service.settled()?;
        let told = feed(&service, &webhook["after"])?;
        eventually("all are delivered", || {
            Ok(receiver.confirmed().last() == feed(&service, &webhook["after"])?.last())
        })?;
        let mut got = receiver.confirmed();
        let count = got.len();
        got.dedup();
        ensure!(got.starts_with(&told), "{}", difference(&told, &got));
        ensure!(count <= got.len() + 1, "more than one event is delivered again");
        Ok(())
    })
}

#[test]
fn replicas_never_deliver_to_a_webhook_at_a_time() -> Result<()> {
    let database = Database::postgres()?;
    let (service, receiver) = (start(&database)?, Receiver::start()?);
    let other = again(&service, &database, &[])?;
    let webhook = add(&service, &receiver, json!({}))?;
    receiver.set(&json!({"delay": 0.02}))?;
    for (n, order) in orders()?[..40].iter().enumerate() {
        [&service, &other][n % 2].order(order)?;
        thread::sleep(Duration::from_millis(20));
    }
    service.settled()?;
    in_step(&service, &receiver, &webhook["after"])?;
    let times: Vec<(f64, f64)> = receiver
        .got()
        .iter()
        .map(|delivery| (delivery["began"].as_f64().unwrap_or(0.0), delivery["ended"].as_f64().unwrap_or(0.0)))
        .collect();
    let apart = times.iter().zip(times.iter().skip(1)).all(|((_, ended), (began, _))| ended <= began);
    ensure!(apart, "two deliveries at a time: {times:?}");
    Ok(())
}

#[test]
fn a_slow_receiver_delays_neither_others_nor_the_end() -> Result<()> {
    let database = Database::sqlite()?;
    let (service, slow, receiver) = (start(&database)?, Receiver::start()?, Receiver::start()?);
    add(&service, &slow, json!({}))?;
    slow.set(&json!({"delay": 40}))?;
    let webhook = add(&service, &receiver, json!({}))?;
    service.order(&orders()?[0])?;
    service.settled()?;
    in_step(&service, &receiver, &webhook["after"])?;
    let began = Instant::now();
    ensure!(service.stop()? && began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    Ok(())
}

#[test]
fn events_are_kept_for_active_webhooks_only() -> Result<()> {
    let database = Database::sqlite()?;
    let (service, receiver) = (start(&database)?, Receiver::start()?);
    let webhook = add(&service, &receiver, json!({}))?;
    receiver.set(&json!({"status": 500}))?;
    service.order(&orders()?[0])?;
    service.settled()?;
    eventually("an attempt has failed", || Ok(show(&service, &webhook)?["tries"] != 0))?;
    let told = feed(&service, &webhook["after"])?;
    let keep = |service: Service| -> Result<Service> {
        let next = again(&service, &database, &["--keep", "1"]);
        ensure!(service.stop()?);
        database.run(["UPDATE events SET at = 1 WHERE seq < (SELECT MAX(seq) FROM events)"])?;
        let next = next?;
        // The first pass is ten seconds after the start.
        thread::sleep(Duration::from_secs(13));
        Ok(next)
    };
    database.run(["UPDATE webhooks SET due = due + 3600000"])?;
    let service = keep(service)?;
    let kept = feed(&service, &webhook["after"])?;
    ensure!(kept.starts_with(&told), "{}", difference(&kept, &told));
    database.run(["UPDATE webhooks SET state = 'failed'"])?;
    let service = keep(service)?;
    ensure!(list(&service.get("/v1/events")?["items"]).len() <= 2, "a failed webhook keeps events");
    receiver.set(&json!({"status": 204}))?;
    change(&service, &webhook, "resume", 200)?;
    eventually("it continues with the first that is left", || Ok(!receiver.confirmed().is_empty()))
}

#[test]
fn webhooks_that_cannot_be_used_are_refused() -> Result<()> {
    let database = Database::sqlite()?;
    let service = start(&database)?;
    for (webhook, said) in [
        (json!({"url": "shop.example"}), "`url`"),
        (json!({"url": "ftp://shop.example/"}), "`url`"),
        (json!({"url": "https://user:secret@shop.example/"}), "without a user name"),
        (json!({"url": format!("https://shop.example/{}", "x".repeat(2_048))}), "2000 bytes"),
        (json!({"url": "https://shop.example/", "kinds": []}), "empty"),
        (json!({"url": "https://shop.example/", "kinds": ["order.lost"]}), "order.lost"),
        (json!({"url": "https://shop.example/", "kinds": ["order"]}), "`order`"),
        (json!({"url": "https://shop.example/", "secret": "whsec_"}), "secret"),
    ] {
        let refused = service.send("admin", "POST", "/v1/webhooks", &[], &serde_json::to_vec(&webhook)?)?;
        ensure!(refused.is_problem(422) && text(&refused.body["detail"]).contains(said), "{webhook}: {refused:?}");
    }
    let webhook =
        json!({"url": "https://shop.example/", "kinds": ["shipment.picked_up", "exception.open", "order.dead"]});
    let unread = json!({"url": "https://shop.example/", "after": "now"});
    ensure!(service.send("admin", "POST", "/v1/webhooks", &[], &serde_json::to_vec(&unread)?)?.is_problem(400));
    for role in ["shop", "warehouse", "operator"] {
        service.ask(role, "POST", "/v1/webhooks", &webhook, 403)?;
        service.ask(role, "GET", "/v1/webhooks", &Value::Null, 403)?;
    }
    for _ in 0..50 {
        service.ask("admin", "POST", "/v1/webhooks", &webhook, 201)?;
    }
    service.ask("admin", "POST", "/v1/webhooks", &webhook, 409)?;
    Ok(())
}
