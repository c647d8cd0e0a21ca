//! Faults of the warehouse service, with real causes: misbehaving modules, unsigned files, replacement under load,
//! power cuts.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};
use tradewind_core::pack::SIGNATURE_LEN;
use tradewind_host::KeyPair;
use tradewind_tests::{
    dist, module,
    service::{Answer, Service, balanced, keys, orders, snapshot},
};

fn service(arguments: &[&str]) -> Result<(Service, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let database = format!("sqlite:{}", folder.path().join("warehouse.db").display());
    let service = Service::start(&database, &keys(&database)?, arguments)?;
    Ok((service, folder))
}

fn put_module(service: &Service, wasm: &[u8], signature: &str) -> Result<Answer> {
    service.send("admin", "PUT", "/v1/module", &[("tradewind-signature", signature)], wasm)
}

fn signed(service: &Service, wasm: &[u8]) -> Result<Answer> {
    put_module(service, wasm, &KeyPair::read(dist("keys/dev.key")?)?.sign_module(wasm))
}

/// Module that accepts all files, and runs `body` at the first request. Its memory begins with `memory`.
fn misbehaving(abi: u32, body: &str, memory: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(format!(
        r#"(module
             (memory (export "memory") 16 2048)
             (data (i32.const 0) "{memory}")
             (func $deep (param i32) (result i32)
               (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (call $deep (local.get 0))))
             (func (export "abi_version") (result i32) i32.const {abi})
             (func (export "alloc") (param i32) (result i32) i32.const 1024)
             (func (export "dealloc") (param i32 i32))
             (func (export "load") (param i32 i32) (result i32) {body})
             (func (export "call") (param i32 i32) (result i32) {body})
             (func (export "score") (param i32 i32 i32 i32 i32 i32) (result i32) {body}))"#
    ))?)
}

#[test]
fn modules_that_misbehave_are_refused_and_the_one_before_goes_on() -> Result<()> {
    let (service, _folder) = service(&["--deadline", "1000"])?;
    let before = service.get("/v1/releases")?["current"].clone();
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
    let faults = [
        ("an infinite loop", misbehaving(1, "(loop $on (br $on)) i32.const 0", "")?, "interrupt"),
        ("a memory bomb", misbehaving(1, grow, "")?, "unreachable"),
        ("a stack overflow", misbehaving(1, "(call $deep (i32.const 0))", "")?, "stack"),
        ("a trap", misbehaving(1, "unreachable", "")?, "unreachable"),
        ("a malformed reply", misbehaving(1, "i32.const 0", r"\02\00\00\00\ff\ff")?, "no reply"),
        (
            "a reply that does not decode",
            misbehaving(1, "i32.const 8", r"\00\00\00\00\00\00\00\00\02\00\00\00\ff\ff")?,
            "does not decode",
        ),
        ("a reply of 2 GiB", misbehaving(1, "i32.const 8", r"\00\00\00\00\00\00\00\00\00\00\00\80")?, "reply of"),
        ("a reply outside its memory", misbehaving(1, "i32.const 0x7fffffff", "")?, "outside its memory"),
        (
            "an answer to another question",
            misbehaving(1, "i32.const 8", r"\00\00\00\00\00\00\00\00\01\00\00\00\05")?,
            "the reply has number",
        ),
        ("another ABI", misbehaving(7, "i32.const 0", "")?, "ABI 7"),
        ("no module at all", b"no wasm".to_vec(), "cannot be used"),
        (
            "a module that asks for the clock",
            wat::parse_str(r#"(module (import "wasi_snapshot_preview1" "clock_time_get" (func)))"#)?,
            "imports",
        ),
    ];
    for (what, wasm, said) in faults {
        let answer = signed(&service, &wasm)?;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        ensure!(answer.status == 422 && detail.contains(said), "{what}: {answer:?}");
    }
    ensure!(service.get("/v1/releases")?["current"] == before, "a module that was refused decides");
    for order in &orders()?[..5] {
        service.order(order)?;
    }
    balanced(&service)
}

#[test]
fn files_that_nobody_trusted_signed_are_refused() -> Result<()> {
    let (service, folder) = service(&[])?;
    let (wasm, pack) = (module()?, fs::read(dist("packs/late.pack")?)?);
    let dev = KeyPair::read(dist("keys/dev.key")?)?;
    let signature = dev.sign_module(&wasm);
    let refused = |what: &str, answer: Answer, said: &str| {
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        ensure!(answer.status == 422 && detail.contains(said), "{what}: {answer:?}");
        Ok(())
    };
    refused("no signature", service.send("admin", "PUT", "/v1/module", &[], &wasm)?, "not signed")?;
    refused("a stranger's", put_module(&service, &wasm, &KeyPair::generate()?.sign_module(&wasm))?, "not trusted")?;
    refused("garbage", put_module(&service, &wasm, "ed25519-signature 00 00")?, "invalid signature")?;
    for place in [0, wasm.len() / 2, wasm.len() - 1] {
        let mut flipped = wasm.clone();
        flipped[place] ^= 1;
        refused("a bit of the module", put_module(&service, &flipped, &signature)?, "differs from the signed one")?;
        let mut flipped = pack.clone();
        let place = place * pack.len() / wasm.len();
        flipped[place] ^= 1;
        refused("a bit of the pack", service.send("admin", "PUT", "/v1/packs/late", &[], &flipped)?, "not trusted")?;
    }
    refused(
        "a pack under another name",
        service.send("admin", "PUT", "/v1/packs/price", &[], &pack)?,
        "name is `late`",
    )?;
    refused(
        "a snapshot as a pack",
        service.send("admin", "PUT", "/v1/packs/late", &[], &fs::read(dist("reference.snapshot")?)?)?,
        "snapshot",
    )?;
    refused(
        "the public part",
        service.send("admin", "PUT", "/v1/snapshot", &[], &fs::read(dist("reference.public.snapshot")?)?)?,
        "public part",
    )?;

    let unsigned = &pack[..pack.len() - SIGNATURE_LEN];
    refused("an unsigned pack", service.send("admin", "PUT", "/v1/packs/late", &[], unsigned)?, "not trusted")?;

    // A service does not start with files that it would refuse.
    let database = format!("sqlite:{}", folder.path().join("other.db").display());
    let started = Service::start(&database, &keys(&database)?, &["--signature", "/dev/null"]);
    ensure!(started.is_err(), "it started with a module that is not signed");
    Ok(())
}

#[test]
fn releases_are_swapped_under_load_and_no_request_fails() -> Result<()> {
    let (service, _folder) = service(&[])?;
    let (wasm, pack) = (module()?, fs::read(dist("packs/late.pack")?)?);
    let health = service.get("/healthz")?;
    let claim = json!({"snapshot": health["snapshot"], "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": 1});
    let claim = serde_json::to_vec(&claim)?;
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let all = orders()?;
    thread::scope(|scope| -> Result<()> {
        let load = || -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                let answer = service.send("shop", "POST", "/v1/quotes/verify", &[], &claim)?;
                // The price is wrong on purpose: its refusal shows that it was computed.
                ensure!(answer.status == 409 && answer.body["differs"][0]["field"] == "price", "{answer:?}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(load)).collect();
        let swapped = (|| -> Result<()> {
            for (round, orders) in all.chunks(16).take(10).enumerate() {
                for order in orders {
                    service.order(order)?;
                }
                let answer = match round % 3 {
                    0 => signed(&service, &wasm)?,
                    1 => service.send("admin", "PUT", "/v1/packs/late", &[], &pack)?,
                    _ => service.send("admin", "POST", "/v1/rollback", &[], b"")?,
                };
                ensure!(answer.status == 200 && answer.body["number"] == round + 2, "{answer:?}");
            }
            Ok(())
        })();
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        swapped
    })?;
    ensure!(asked.load(Ordering::Relaxed) > 10, "there was no load");
    balanced(&service)?;
    let history = service.get("/v1/releases")?["history"].as_array().context("no history")?.len();
    ensure!(history == 11, "{history} releases");
    Ok(())
}

#[test]
fn those_who_come_when_too_many_wait_are_told_to_come_back() -> Result<()> {
    let (service, _folder) = service(&["--guests", "1"])?;
    let claim = json!({"snapshot": service.get("/healthz")?["snapshot"], "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": 1});
    let claim = serde_json::to_vec(&claim)?;
    // The only guest is also busy with orders.
    for order in orders()? {
        service.order(&order)?;
    }
    let ask = || -> Result<Vec<Answer>> {
        (0..5).map(|_| service.send("shop", "POST", "/v1/quotes/verify", &[], &claim)).collect()
    };
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..150).map(|_| scope.spawn(ask)).collect();
        let join =
            |thread: thread::ScopedJoinHandle<'_, _>| thread.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let answers = answers.concat();
    let computed = answers.iter().filter(|answer| answer.status == 409).count();
    let turned_away = answers.iter().filter(|answer| answer.is_problem(503) && answer.header("retry-after") == "1");
    let turned_away = turned_away.count();
    ensure!(computed + turned_away == answers.len() && computed > 0, "{computed} + {turned_away}");
    ensure!(turned_away > 0, "nobody was turned away");
    let metrics = service.send("", "GET", "/metrics", &[], b"")?.body;
    let counted = format!("tradewind_turned_away_total {turned_away}");
    ensure!(metrics.as_str().is_some_and(|text| text.contains(&counted)), "{metrics}");
    // Afterwards requests succeed.
    ensure!(service.send("shop", "POST", "/v1/quotes/verify", &[], &claim)?.status == 409);
    balanced(&service)
}

#[test]
fn work_is_limited_whatever_the_machine() -> Result<()> {
    // Enough fuel for the service's requests, and unlimited time: only the work is limited.
    let (service, folder) = service(&["--fuel", "4000000000", "--deadline", "600000"])?;
    for order in &orders()?[..5] {
        service.order(order)?;
    }
    balanced(&service)?;
    let endless = signed(&service, &misbehaving(1, "(loop $on (br $on)) i32.const 0", "")?)?;
    ensure!(endless.status == 422 && endless.body["detail"].as_str().is_some_and(|said| said.contains("fuel")));
    let database = format!("sqlite:{}", folder.path().join("other.db").display());
    let starved = Service::start(&database, &keys(&database)?, &["--fuel", "1000"]);
    ensure!(starved.is_err(), "it started though no call can be finished");
    Ok(())
}

#[test]
fn compiled_code_is_kept_where_nobody_else_can_write() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = format!("sqlite:{}", folder.path().join("warehouse.db").display());
    let keys = keys(&database)?;
    let compiled = folder.path().join("compiled");
    let arguments = ["--compiled", compiled.to_str().context("a path")?];
    for _ in 0..2 {
        let service = Service::start(&database, &keys, &arguments)?;
        service.order(&orders()?[0])?;
        balanced(&service)?;
        ensure!(fs::read_dir(&compiled)?.count() > 0, "nothing was kept");
        ensure!(service.stop()?);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        ensure!(fs::metadata(&compiled)?.permissions().mode() & 0o777 == 0o700, "others may look");
        fs::set_permissions(&compiled, fs::Permissions::from_mode(0o777))?;
        ensure!(Service::start(&database, &keys, &arguments).is_err(), "code that others may write is run");
    }
    Ok(())
}

#[test]
fn a_power_cut_loses_nothing_and_does_nothing_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = format!("sqlite:{}", folder.path().join("warehouse.db").display());
    let keys = keys(&database)?;
    let orders = orders()?;
    let mut service = Service::start(&database, &keys, &[])?;
    // Repeated power cuts while orders arrive and are planned.
    for part in orders.chunks(orders.len().div_ceil(3)) {
        for order in part {
            service.order(order)?;
        }
        service.kill()?;
        service = Service::start(&database, &keys, &[])?;
    }
    // The client does not know which orders were accepted, and sends all of them again.
    for order in &orders {
        service.order(order)?;
    }
    let settled = service.settled()?;
    ensure!(settled.len() == orders.len(), "{} of {} orders", settled.len(), orders.len());
    ensure!(settled.iter().all(|order| order["state"] == "allocated" || order["state"] == "short"));
    balanced(&service)
}

#[test]
fn an_order_that_cannot_be_planned_ends_where_people_see_it() -> Result<()> {
    let (service, folder) = service(&[])?;
    let order = orders()?.into_iter().find(|order| order["region"] == "LAX").context("no order")?;
    let id = order["id"].as_str().context("no id")?;
    service.order(&order)?;
    let settled = service.settled()?;
    let node = settled[0]["shipments"][0]["node"].as_str().context("no shipment")?.to_owned();

    // The next snapshot no longer delivers to the order's region; then its node closes.
    let next = snapshot(folder.path(), |name, text| {
        let region = |line: &&str| {
            !line.split(',').take(2).enumerate().any(|(place, field)| {
                field == "LAX" && (name == "regions.csv" && place == 0 || name == "lanes.csv" && place == 1)
            })
        };
        text.lines().filter(region).map(|line| format!("{line}\n")).collect()
    })?;
    let taken = service.send("admin", "PUT", "/v1/snapshot", &[], &fs::read(next)?)?;
    ensure!(taken.status == 200, "{taken:?}");
    service.ask("operator", "POST", &format!("/v1/nodes/{node}/close"), &Value::Null, 200)?;
    service.settled()?;
    let dead = service.get(&format!("/v1/orders/{id}"))?;
    ensure!(dead["state"] == "dead" && dead["error"].as_str().is_some_and(|said| said.contains("LAX")), "{dead}");
    ensure!(service.items("/v1/orders?state=dead")?[0]["id"] == id);
    let metrics = service.send("", "GET", "/metrics", &[], b"")?.body;
    let metrics = metrics.as_str().context("no metrics")?;
    // It was planned once, before its region was gone; failures are no plans.
    for line in [
        "tradewind_orders{state=\"dead\"} 1",
        "tradewind_orders_planned_total 1",
        "tradewind_orders_failed_total 5",
        "tradewind_orders_dead_total 1",
        "tradewind_oldest_due_order_seconds 0",
    ] {
        ensure!(metrics.lines().any(|known| known == line), "no `{line}`: {metrics}");
    }

    // Back to the previous snapshot, and an operator retries the order.
    ensure!(service.send("admin", "POST", "/v1/rollback", &[], b"")?.status == 200);
    service.ask("operator", "POST", &format!("/v1/orders/{id}/retry"), &Value::Null, 202)?;
    service.settled()?;
    let alive = service.get(&format!("/v1/orders/{id}"))?;
    ensure!(alive["state"] != "dead" && alive["tries"] == 0, "{alive}");
    balanced(&service)
}
