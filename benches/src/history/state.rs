//! Generated state of a warehouse.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{fmt, fs, path::Path, process::Command};
use tempfile::TempDir;
use tradewind_tests::{dist, root};

/// Numbers of a state.
pub struct Size {
    products: usize,
    orders: usize,
    open: usize,
    entries: usize,
}

impl Size {
    /// A year.
    pub const fn year() -> Self {
        Self { products: 40_000, orders: 200_000, open: 50_000, entries: 5_000 }
    }

    /// No history, with the same catalogue.
    pub const fn none() -> Self {
        Self { products: 40_000, orders: 0, open: 0, entries: 0 }
    }

    /// A smaller state.
    pub const fn divided(self, by: usize) -> Self {
        let Self { products, orders, open, entries } = self;
        Self { products: products / by, orders: orders / by, open: open / by, entries: entries / by }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { products, orders, open, entries } = self;
        write!(
            f,
            "{products} products at {NODES} nodes, {orders} orders, {open} open shipments, {entries} entries of the worklist"
        )
    }
}

const NODES: usize = 30;

/// Clock of the service.
const NOW: &str = "2017-12-04T14:00:00Z";
const NOON: i64 = 1_512_396_000_000;

/// Shop with its snapshot.
pub struct Shop {
    folder: TempDir,
    products: usize,
    nodes: Vec<String>,
    regions: Vec<String>,
}

fn codes(table: &str) -> Vec<String> {
    table.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect()
}

fn sku(n: usize) -> String {
    format!("{}", 10_000_000 + n)
}

impl Shop {
    /// Makes tables and snapshot: the regions, nodes and lanes of the reference, and more nodes at other airports.
    pub fn make(size: &Size) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let reference = root().join("models/snapshot");
        let read = |name: &str| fs::read_to_string(reference.join(name));
        let (nodes, regions, lanes) = (read("nodes.csv")?, read("regions.csv")?, read("lanes.csv")?);
        let mut all = codes(&nodes);
        let known = all.clone();
        let places: Vec<String> = codes(&regions).into_iter().filter(|code| !all.contains(code)).collect();
        all.extend(places.into_iter().take(NODES - all.len()));
        ensure!(all.len() == NODES, "{} nodes", all.len());
        let mut table = nodes.trim_end().to_owned();
        let mut ways = lanes.trim_end().to_owned();
        for (n, code) in all.iter().enumerate().skip(known.len()) {
            let like = known[n % known.len()].as_str();
            let row = nodes.lines().find(|row| row.starts_with(&format!("{like},"))).context("no such node")?;
            table += &format!("\n{code}{}", &row[like.len()..]);
            for row in lanes.lines().filter(|row| row.starts_with(&format!("{like},"))) {
                ways += &format!("\n{code}{}", &row[like.len()..]);
            }
        }
        let table = table.lines().enumerate().map(|(n, row)| {
            let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
            // More than are ever packed here.
            if n > 0
                && let Some(capacity) = cells.get_mut(6)
            {
                *capacity = "100000".into();
            }
            cells.join(",") + "\n"
        });
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text);
        write("nodes.csv", table.collect())?;
        write("lanes.csv", ways + "\n")?;
        write("regions.csv", regions.clone())?;
        write("snapshot.json", read("snapshot.json")?)?;
        let products = 0..size.products;
        write(
            "products.csv",
            products.clone().fold("sku,name,category,list\n".to_owned(), |text, n| {
                text + &format!("{},Product {n},CATEGORY {},1999\n", sku(n), n % 200)
            }),
        )?;
        write(
            "prices.csv",
            products.clone().fold("sku,since,price\n".to_owned(), |text, n| {
                text + &format!("{},2017-12-01T00:00:00Z,{}\n", sku(n), 499 + n % 1500)
            }),
        )?;
        write(
            "stock.csv",
            products.fold("node,sku,on_hand,reserved,safety\n".to_owned(), |mut text, n| {
                for node in &all {
                    text += &format!("{node},{},{},0,2\n", sku(n), 10_000 + n % 40);
                }
                text
            }),
        )?;
        let out = folder.path().join("generated.snapshot");
        let made = Command::new(dist("tradewind")?)
            .args(["snapshot", "build"])
            .arg(folder.path())
            .arg("--key")
            .arg(dist("keys/dev.key")?)
            .arg("--out")
            .arg(&out)
            .output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Ok(Self { folder, products: size.products, nodes: all, regions: codes(&regions) })
    }

    /// Arguments of the service.
    pub fn arguments(&self) -> Vec<String> {
        let snapshot: &Path = &self.folder.path().join("generated.snapshot");
        vec!["--snapshot".into(), snapshot.display().to_string(), "--clock".into(), NOW.into()]
    }

    /// Order with a few lines.
    pub fn order(&self, id: &str) -> Value {
        let seed = id.bytes().fold(7_usize, |seed, byte| seed.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let line = |n: usize| json!({"sku": sku(seed.wrapping_add(n * 7_919) % self.products), "quantity": 1 + n});
        json!({
            "id": id, "region": self.regions[seed % self.regions.len()], "promised": "2017-12-11",
            "lines": [line(0), line(1)], "priority": seed % 8,
        })
    }

    /// Statements that queue orders, as `POST /v1/orders` does, all at once.
    pub fn queue(&self, prefix: &str, count: usize, is_postgres: bool) -> Vec<String> {
        let rows: Vec<String> = (0..count)
            .map(|n| {
                let id = format!("{prefix}-{n}");
                let order = self.order(&id);
                format!(
                    "('{id}', 'shop {id}', '{order}', 'queued', 1, {}, {NOON}, (SELECT COALESCE(MAX(seq), 0) FROM orders) + {}, 0, 0, '', 0)",
                    order["priority"], n + 1
                )
            })
            .collect();
        let columns = "id, idempotency, body, state, waits, priority, received, seq, tries, due, lease, lease_until";
        let next = "SELECT setval('arrivals', (SELECT MAX(seq) + 1 FROM orders), false)";
        let mut all = vec!["BEGIN".to_owned()];
        all.extend(inserts(&format!("orders ({columns})"), &rows));
        all.extend(is_postgres.then(|| next.to_owned()));
        all.push("COMMIT".into());
        all
    }

    /// Statements that write a history.
    pub fn history(&self, size: &Size) -> Vec<String> {
        let (mut orders, mut shipments, mut reservations, mut looks) = (vec![], vec![], vec![], vec![]);
        let (mut scans, mut decisions, mut entries) = (vec![], vec![], vec![]);
        for n in 0..size.orders {
            let id = format!("h-{n}");
            let order = self.order(&id);
            let open = n >= size.orders - size.open;
            // An order every two and a half minutes of a year.
            let at = NOON - (size.orders - n) as i64 * 150_000;
            let decision = format!("decision-{}", n / 64);
            if n % 64 == 0 {
                let record = format!(
                    "{{\"module\": \"00\", \"packs\": [], \"snapshot\": null, \"request\": \"{}\"}}",
                    "0".repeat(20_000)
                );
                decisions.push(format!("('{decision}', {at}, '{record}', '{{\"module\": \"00\", \"packs\": [], \"snapshot\": null, \"request\": \"00\", \"reply\": \"00\"}}')"));
            }
            orders.push(format!(
                "('{id}', 'shop {id}', '{order}', 'allocated', 0, {}, {at}, {}, 0, 0, '', 0, '{decision}', {at})",
                order["priority"],
                n + 1
            ));
            let node = &self.nodes[n % self.nodes.len()];
            let region = order["region"].as_str().unwrap_or_default();
            let (created, promised) = if open {
                (NOON - 3_600_000 * (1 + n as i64 % 20), NOON + 4 * 86_400_000)
            } else {
                (at, at + 3 * 86_400_000)
            };
            let moment = |at: i64| tradewind_core::Millis(at);
            let day = created / 86_400_000 + 1;
            let lines: Vec<Value> = order["lines"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|line| json!({"sku": line["sku"], "quantity": line["quantity"], "value": 999}))
                .collect();
            let body = json!({
                "lines": lines, "created": moment(created), "promised": moment(promised),
                "dispatch": tradewind_core::Day(day as i32), "arrival": tradewind_core::Day(day as i32 + 2), "late": 0.05,
            });
            let state = if !open {
                "delivered"
            } else if n % 3 == 0 {
                "picked_up"
            } else {
                "created"
            };
            shipments.push(format!(
                "('{id}.1', '{id}', '{node}', '{region}', '{body}', '{state}', 1, {}, 0, {day})",
                i64::from(open)
            ));
            if state == "created" {
                for line in &lines {
                    reservations.push(format!(
                        "('{}', '{node}', '{id}.1', {})",
                        line["sku"].as_str().unwrap_or_default(),
                        line["quantity"]
                    ));
                }
            }
            if open {
                looks.push(format!("('{id}.1', 0, 0)"));
            }
            let reached = match state {
                "created" => 1,
                "picked_up" => 3,
                _ => 6,
            };
            for (step, state) in ["created", "packed", "picked_up", "arrived", "out_for_delivery", "delivered"]
                .iter()
                .take(reached)
                .enumerate()
            {
                scans.push(format!("('{id}.1', {}, '{state}', '{node}')", created + step as i64 * 600_000));
            }
            if n < size.entries {
                let score = json!({"shipment": format!("{id}.1"), "kind": "late", "probability": 1.0, "severity": 500, "evidence": [], "actions": []});
                entries.push(format!("('{id}.1-late', '{id}.1', 'late', 'resolved', {}, '{score}', {at})", 500 + n));
            }
        }
        let mut all = Vec::new();
        all.extend(inserts("orders (id, idempotency, body, state, waits, priority, received, seq, tries, due, lease, lease_until, decision, decided)", &orders));
        all.extend(inserts(
            "shipments (id, order_id, node, region, body, state, allocated, open, held, dispatch)",
            &shipments,
        ));
        all.extend(inserts("reservations (sku, node, shipment, quantity)", &reservations));
        all.extend(inserts("looks (shipment, due, version)", &looks));
        all.extend(inserts("scans (shipment, at, state, place)", &scans));
        all.extend(inserts("decisions (id, made, record, receipt)", &decisions));
        all.extend(inserts("worklist (id, shipment, kind, state, severity, score, found)", &entries));
        all.push("UPDATE stock SET reserved = r.units FROM (SELECT sku, node, SUM(quantity) AS units FROM reservations GROUP BY sku, node) AS r WHERE stock.sku = r.sku AND stock.node = r.node".into());
        all.push("INSERT INTO bookings (node, day, shipments, waiting) SELECT node, dispatch, COUNT(*), SUM(CASE WHEN state = 'created' THEN 1 ELSE 0 END) FROM shipments GROUP BY node, dispatch".into());
        all
    }
}

/// Statements that insert rows, a thousand at a time, and each list of them in one transaction.
fn inserts(table: &str, rows: &[String]) -> Vec<String> {
    rows.chunks(1_000).map(|rows| format!("INSERT INTO {table} VALUES {}", rows.join(", "))).collect()
}
