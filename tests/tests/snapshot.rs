//! Snapshots from a merchant's tables: identical from every format, invalid tables refused with file, row and column,
//! and trusted only with their signature.

use anyhow::{Context, Result, ensure};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use serde_json::{Map, Value, json};
use std::{
    env,
    fmt::Write,
    fs::{self, File},
    path::Path,
    process::Command,
    sync::Arc,
};
use tradewind_core::{
    Engine, ErrorKind, Id, Millis, Quantiles,
    exceptions::{Evidence, ExceptionKind, ExceptionRequest, Policy, Shipment},
    guest::Client,
    pack::{self, HEADER_LEN, SectionKind},
    snapshot::Snapshot,
    tracking::{Scan, State},
};
use tradewind_host::{
    KeyPair, Trust, TrustError,
    snapshot::{Parts, TABLES},
};
use tradewind_tests::{dist, root};

const SETTINGS: &str = r#"{
    "name": "shop", "version": "1", "currency": "USD",
    "issued": "2017-12-04T00:00:00Z", "expires": "2017-12-11T00:00:00Z",
    "rounding": {"unit": 10, "endings": [9]},
    "cover": {"short_weeks": 1, "long_weeks": 8, "excess_loss": 2000}
}"#;

const CELLS: [(&str, &str); 9] = [
    ("products", "sku,category,list,cost,margin\ntea,DRINKS,500,300,500\njam,SWEETS,400,,\nrum,DRINKS,900,700,"),
    (
        "prices",
        "sku,since,price\ntea,2017-11-01T00:00:00Z,499\ntea,2017-11-20T00:00:00Z,450\njam,2017-11-01T00:00:00Z,400\nrum,2017-11-01T00:00:00Z,900",
    ),
    ("regions", "code,utc_offset,name\nEAST,-300,The east\nWEST,-480,The west"),
    (
        "nodes",
        "code,utc_offset,shipments_per_day,cut_off,handling,unit_handling\nBOS,-300,900,960,90,12\nLAX,-480,800,960,80,12",
    ),
    (
        "lanes",
        "node,region,distance,cost,unit_cost,min_days,max_days\nBOS,EAST,90,500,50,1,2\nBOS,WEST,4000,900,90,3,5\nLAX,WEST,80,500,50,1,2",
    ),
    ("stock", "node,sku,on_hand,reserved,safety\nBOS,tea,40,2,4\nBOS,jam,10,0,0\nLAX,tea,30,0,3"),
    (
        "sales",
        "sku,week,units,price,list,display,mailer\ntea,2017-11-13,9,450,500,0,0\ntea,2017-11-20,8,450,500,100,0\ntea,2017-11-27,7,450,500,0,50",
    ),
    ("plan", "sku,week,display,mailer\ntea,2017-12-04,0,100\ntea,2017-12-11,0,0"),
    ("demand", "sku,week,p10,p50,p90\ntea,2017-12-04,4,8,15\ntea,2017-12-11,4,8,15"),
];

const FORMATS: [&str; 3] = ["csv", "jsonl", "parquet"];

/// A table with a name for each column.
#[derive(Clone)]
struct Table {
    name: &'static str,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    fn parse(name: &'static str, text: &str) -> Self {
        let mut lines = text.lines().map(|line| line.split(','));
        let columns = lines.next().into_iter().flatten().map(str::to_owned).collect();
        let cell = |text: &str| match text.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => text.into(),
        };
        Self { name, columns, rows: lines.map(|line| line.map(cell).collect()).collect() }
    }

    fn write(&self, folder: &Path, format: &str) -> Result<()> {
        let path = folder.join(self.name).with_extension(format);
        let text = |cell: &Value| match cell {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match format {
            "csv" => {
                let rows = self.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(","));
                let lines: Vec<String> = std::iter::once(self.columns.join(",")).chain(rows).collect();
                fs::write(path, lines.join("\n"))?;
            }
            "jsonl" => {
                let object = |row: &Vec<Value>| -> Map<String, Value> {
                    let cells = self.columns.iter().cloned().zip(row.iter().cloned());
                    cells.filter(|(_, cell)| !cell.is_null()).collect()
                };
                let lines = self.rows.iter().map(|row| Ok(serde_json::to_string(&object(row))?));
                fs::write(path, lines.collect::<Result<Vec<_>>>()?.join("\n"))?;
            }
            _ => self.write_parquet(&path)?,
        }
        Ok(())
    }

    /// A column is numeric if all its cells are.
    fn write_parquet(&self, path: &Path) -> Result<()> {
        let numbers = |c: usize| self.rows.iter().all(|row| row[c].is_null() || row[c].is_i64());
        let fields = self.columns.iter().enumerate().map(|(c, name)| match numbers(c) {
            true => format!("OPTIONAL INT64 {name};"),
            false => format!("OPTIONAL BINARY {name} (UTF8);"),
        });
        let schema = parse_message_type(&format!("message rows {{ {} }}", fields.collect::<String>()))?;
        let mut writer = SerializedFileWriter::new(File::create(path)?, Arc::new(schema), Arc::default())?;
        let mut group = writer.next_row_group()?;
        for c in 0..self.columns.len() {
            let mut column = group.next_column()?.context("a column")?;
            let present: Vec<&Value> = self.rows.iter().map(|row| &row[c]).filter(|cell| !cell.is_null()).collect();
            let levels: Vec<i16> = self.rows.iter().map(|row| i16::from(!row[c].is_null())).collect();
            if numbers(c) {
                let values: Vec<i64> = present.iter().filter_map(|cell| cell.as_i64()).collect();
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            } else {
                let text = |cell: &&Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
                let values: Vec<ByteArray> = present.iter().map(|cell| text(cell).into_bytes().into()).collect();
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
            column.close()?;
        }
        group.close()?;
        writer.close()?;
        Ok(())
    }
}

fn sign(file: &mut Vec<u8>, key: &KeyPair) {
    let signature = key.sign(&file[..HEADER_LEN]);
    pack::sign(file, &signature);
}

fn tables() -> Vec<Table> {
    CELLS.iter().map(|(name, text)| Table::parse(name, text)).collect()
}

fn write(folder: &Path, tables: &[Table], format: &str) -> Result<()> {
    fs::write(folder.join("snapshot.json"), SETTINGS)?;
    tables.iter().try_for_each(|table| table.write(folder, format))
}

/// The full snapshot and its public part, unsigned.
fn build(tables: &[Table], format: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), tables, format)?;
    let built = Parts::read(folder.path())?.build()?;
    Ok((built.whole, built.public))
}

#[test]
fn every_format_gives_the_same_snapshot() -> Result<()> {
    let built = FORMATS.map(|format| build(&tables(), format));
    let [csv, jsonl, parquet] = built;
    let csv = csv?;
    ensure!(csv == jsonl?, "JSON Lines differ from CSV");
    ensure!(csv == parquet?, "Parquet differs from CSV");
    Ok(())
}

/// Alteration: table, function, and words expected in the message besides the file's name.
type Fault = (&'static str, fn(&mut Table), &'static [&'static str]);

fn set(table: &mut Table, row: usize, column: &str, cell: impl Into<Value>) {
    // An alteration without effect would be accepted, and so detected.
    if let Some(c) = table.columns.iter().position(|name| name == column) {
        table.rows[row - 1][c] = cell.into();
    }
}

fn again(table: &mut Table, row: usize) {
    table.rows.push(table.rows[row - 1].clone());
}

const FAULTS: [Fault; 33] = [
    ("stock", |table| table.columns[2] = "onhand".into(), &["row 1", "`onhand`", "`on_hand`"]),
    ("products", |table| table.columns[2] = "lst".into(), &["row 1", "`lst`", "`list`"]),
    ("sales", |table| drop(table.rows.remove(1)), &["row 1", "`tea`", "gap", "2 weeks before"]),
    ("sales", |table| drop(table.rows.pop()), &["row 2", "`tea`", "gap", "1 weeks before"]),
    ("sales", |table| set(table, 2, "week", "2017-11-21"), &["row 2", "whole weeks"]),
    ("sales", |table| set(table, 1, "week", "2016-11-14"), &["row 1", "13 weeks before"]),
    ("plan", |table| drop(table.rows.remove(0)), &["row 1", "begins with the week of the snapshot"]),
    ("stock", |table| set(table, 3, "sku", "gin"), &["row 3", "no `gin`"]),
    ("prices", |table| set(table, 2, "sku", "gin"), &["row 2", "no `gin`"]),
    ("sales", |table| set(table, 3, "sku", "gin"), &["row 3", "no `gin`"]),
    ("lanes", |table| set(table, 2, "region", "NORTH"), &["row 2", "no region `NORTH`"]),
    ("lanes", |table| set(table, 3, "node", "SEA"), &["row 3", "no node `SEA`"]),
    ("stock", |table| set(table, 2, "node", "SEA"), &["row 2", "no node `SEA`"]),
    ("stock", |table| set(table, 2, "on_hand", -3), &["row 2", "column `on_hand`"]),
    ("nodes", |table| set(table, 1, "shipments_per_day", -1), &["row 1", "column `shipments_per_day`"]),
    ("products", |table| again(table, 2), &["row 4", "`jam` comes twice"]),
    ("prices", |table| again(table, 1), &["row 5", "`tea`", "comes twice"]),
    ("prices", |table| set(table, 2, "price", 45_000), &["row 2", "column `price`", "10 times", "`tea`, 500"]),
    ("prices", |table| set(table, 3, "price", 0), &["row 3", "column `price`", "not above 0"]),
    ("products", |table| set(table, 3, "list", -900), &["row 3", "column `list`", "not above 0"]),
    (
        "products",
        |table| {
            again(table, 3);
            set(table, 4, "sku", "gin");
        },
        &["row 4", "column `sku`", "`gin` has no price"],
    ),
    ("stock", |table| set(table, 1, "reserved", 41), &["row 1", "column `reserved`", "41 units", "40 on hand"]),
    ("regions", |table| set(table, 2, "utc_offset", 900), &["row 2", "column `utc_offset`", "840 minutes"]),
    ("nodes", |table| set(table, 1, "utc_offset", -721), &["row 1", "column `utc_offset`", "-720"]),
    ("regions", |table| again(table, 1), &["row 3", "`EAST` comes twice"]),
    ("nodes", |table| again(table, 2), &["row 3", "`LAX` comes twice"]),
    ("lanes", |table| again(table, 1), &["row 4", "from `BOS` to `EAST` comes twice"]),
    ("stock", |table| again(table, 1), &["row 4", "`tea` at `BOS` comes twice"]),
    ("sales", |table| again(table, 3), &["row 4", "come twice"]),
    ("demand", |table| again(table, 1), &["row 3", "comes twice"]),
    ("lanes", |table| set(table, 1, "cost", "cheap"), &["row 1", "column `cost`"]),
    ("regions", |table| set(table, 1, "utc_offset", "EST"), &["row 1", "column `utc_offset`"]),
    ("products", |table| set(table, 1, "list", Value::Null), &["row 1", "list"]),
];

#[test]
fn a_table_that_is_wrong_is_refused_with_file_row_and_column() -> Result<()> {
    for format in FORMATS {
        for (name, alter, words) in FAULTS {
            let mut tables = tables();
            alter(tables.iter_mut().find(|table| table.name == name).context("no such table")?);
            let Err(error) = build(&tables, format) else {
                anyhow::bail!("{name}.{format}: accepted, though it should say {words:?}");
            };
            let said = format!("{error:#}");
            let file = format!("{name}.{format}");
            for words in words.iter().chain([&file.as_str()]) {
                ensure!(said.contains(words), "{file}: `{words}` is not in: {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_currency_without_a_minor_unit_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), &tables(), "csv")?;
    for (code, expected) in
        [("KWD", None), ("XAU", Some("`XAU` has no minor unit")), ("USF", Some("`USF`")), ("usd", Some("`usd`"))]
    {
        fs::write(folder.path().join("snapshot.json"), SETTINGS.replace("USD", code))?;
        let said = Parts::read(folder.path()).err().map(|error| error.to_string());
        match expected {
            None => ensure!(said.is_none(), "{code}: {said:?}"),
            Some(words) => {
                let said = said.with_context(|| format!("{code} was accepted"))?;
                ensure!(said.contains(words) && said.contains("snapshot.json"), "{code}: {said}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_snapshot_that_expires_before_it_is_valid_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), &tables(), "csv")?;
    fs::write(folder.path().join("snapshot.json"), SETTINGS.replace("2017-12-11", "2017-12-04"))?;
    let said = Parts::read(folder.path()).err().context("it was accepted")?.to_string();
    ensure!(said.contains("snapshot.json") && said.contains("`expires`"), "{said}");
    Ok(())
}

#[test]
fn a_strangers_cut_of_a_snapshot_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let (merchant, stranger) = (KeyPair::generate()?, KeyPair::generate()?);
    merchant.write(&path("merchant"))?;
    stranger.write(&path("stranger"))?;
    let trust = Trust::read(&[path("merchant.pub")])?;
    let (mut whole, mut public) = build(&tables(), "csv")?;
    sign(&mut whole, &merchant);
    sign(&mut public, &merchant);
    let (whole_view, public_view) = (trust.verify(&whole)?, trust.verify(&public)?);
    ensure!(whole_view.root() == public_view.root(), "the public part has another root");

    // The public file signed by another key, and the full file truncated by another key.
    for (name, of) in [("resigned", &public), ("cut", &whole)] {
        let mut file = pack::cut(of, SectionKind::Storefront)?;
        sign(&mut file, &stranger);
        let refused = trust.verify(&file).map(|view| view.root());
        let untrusted =
            |error: &TrustError| matches!(error, TrustError::Pack(error) if error.kind() == ErrorKind::PackUntrusted);
        ensure!(refused.as_ref().is_err_and(untrusted), "{name}: {refused:?}");
        fs::write(path(name), &file)?;
        let run = Command::new(dist("tradewind")?)
            .args(["rank", "--module"])
            .arg(dist("tradewind.wasm")?)
            .arg("--pack")
            .arg(dist("packs/recommend.pack")?)
            .arg("--trust")
            .arg(dist("keys/dev.pub")?)
            .arg("--trust")
            .arg(path("merchant.pub"))
            .arg("--snapshot")
            .arg(path(name))
            .arg(root().join("tests/cases/rank/requests.jsonl"))
            .output()?;
        let said = String::from_utf8_lossy(&run.stderr);
        ensure!(!run.status.success() && said.contains(name), "{name}: {said}");
        ensure!(run.stdout.is_empty(), "{name}: something was ranked over it");
    }
    Ok(())
}

/// Forty shipments from Boston to the west: packed immediately, a day at the hub, then delivered.
fn scans() -> Result<Table> {
    let mut text = String::from("shipment,node,region,state,at");
    for n in 0..40 {
        let begun = 1_509_494_400_000 + n * Millis::DAY / 40;
        for (state, hours) in [("delivered", 60), ("arrived", 30), ("packed", 1), ("picked_up", 5), ("created", 0)] {
            let at = serde_json::to_value(Millis(begun + hours * 3_600_000))?;
            text += &format!("\nparcel-{n},BOS,WEST,{state},{}", at.as_str().context("no text")?);
        }
    }
    Ok(Table::parse("scans", &text))
}

/// Evidence about a parcel that has been at a hub for some hours.
fn stay(snapshot: &[u8], hours: i64) -> Result<Option<Vec<Evidence>>> {
    let mut client = Client::new(Engine::new());
    let snapshot = client.load_snapshot(snapshot)?;
    let at = Millis(snapshot.issued.0 + 12 * 3_600_000);
    let scan = |state, hours: i64| -> Result<Scan> {
        Ok(Scan { state, at: Millis(at.0 - hours * 3_600_000), place: Id::new("HUB")? })
    };
    let parcel = Shipment {
        id: Id::new("parcel")?,
        order: Id::new("order")?,
        node: Id::new("BOS")?,
        region: Id::new("WEST")?,
        lines: vec![],
        created: Millis(at.0 - (hours + 30) * 3_600_000),
        promised: Millis(at.0 + 20 * Millis::DAY),
        leg: None,
        scans: vec![scan(State::PickedUp, hours + 25)?, scan(State::Arrived, hours)?],
        alternatives: vec![],
    };
    let request = ExceptionRequest {
        snapshot: Some(snapshot.root),
        at,
        shipments: vec![parcel],
        policy: Policy::default(),
        limit: 10,
        ..ExceptionRequest::default()
    };
    let found = client.exceptions(request)?;
    let missed = found.into_iter().find(|score| score.kind == ExceptionKind::MissedConnection);
    Ok(missed.map(|score| score.evidence))
}

#[test]
fn durations_of_lanes_are_learnt_from_past_scans() -> Result<()> {
    let mut tables = tables();
    let (without, _) = build(&tables, "csv")?;
    tables.push(scans()?);
    for format in FORMATS {
        let (whole, _) = build(&tables, format)?;
        let snapshot = Snapshot::read(&whole)?;
        let lanes = snapshot.fulfilment.context("no lanes")?.lanes;
        let learnt: Vec<usize> = lanes.iter().map(|lane| lane.states.len()).collect();
        ensure!(learnt == [0, 4, 0], "{format}: {learnt:?} states of the three lanes");
        let hub = lanes[1].states.iter().find(|times| times.state == State::Arrived).context("no hub")?;
        let minutes = |hours: f32| Quantiles { p10: 60.0 * hours, p50: 60.0 * hours, p90: 60.0 * hours };
        ensure!((hub.stay, hub.to_delivery) == (minutes(30.0), minutes(30.0)), "{format}: {hub:?}");

        ensure!(stay(&whole, 29)?.is_none(), "{format}: as long as always");
        let evidence = stay(&whole, 60)?.context("nothing is found of a stay twice as long as any")?;
        ensure!(format!("{evidence:?}").contains("1800"), "{format}: {evidence:?}");
    }
    ensure!(stay(&without, 60)?.is_none(), "of a lane of which nothing is known, no stay is too long");
    Ok(())
}

#[test]
fn past_scans_that_are_wrong_are_refused() -> Result<()> {
    const FAULTS: [Fault; 5] = [
        ("scans", |table| set(table, 3, "state", "lost"), &["row 3", "`lost`", "`picked_up`"]),
        ("scans", |table| set(table, 3, "at", "yesterday"), &["row 3", "invalid moment `yesterday`"]),
        ("scans", |table| set(table, 3, "region", "NORTH"), &["row 3", "no region `NORTH`"]),
        ("scans", |table| set(table, 7, "region", "EAST"), &["row 7", "`parcel-1`", "another lane"]),
        ("scans", |table| again(table, 2), &["row 201", "comes twice"]),
    ];
    for (_, alter, words) in FAULTS {
        let (mut tables, mut scans) = (tables(), scans()?);
        alter(&mut scans);
        tables.push(scans);
        let said = build(&tables, "csv").map_or_else(|error| format!("{error:#}"), |_| "accepted".into());
        ensure!(words.iter().all(|word| said.contains(word)), "{words:?} are not in: {said}");
    }
    Ok(())
}

const INTRODUCTION: &str = "# Tables of a snapshot

`tradewind snapshot build FOLDER` reads `snapshot.json` and one file of each table: CSV (with commas), JSON (an array of
objects), JSON Lines or Parquet. Columns may be in any order; a column that is not listed here is an error, as is a row that
contradicts another, with file, row and column. An empty cell, `null`, or a missing field means no value.

Amounts are whole minor units of the currency (cents), basis points are hundredths of a percent, moments are RFC 3339, days are
dates. `snapshot.schema.json` has a JSON Schema of a row of each table. [The reference snapshot](snapshot/README.md) is an
example; [the limits](../core/ABI.md#limits) are those of the module.

This page is generated from `host/src/snapshot/tables.rs`: `TRADEWIND_RECORD=1 cargo xtask test models snapshot`.

## snapshot.json

| field | meaning | example |
|---|---|---|
| `name`, `version` | names of the shop's snapshot, and of this one | `\"shop\"`, `\"2017-12-04\"` |
| `currency` | currency of all amounts: ISO 4217, with minor units | `\"USD\"` |
| `issued`, `expires` | moments from which and until which it is valid; nothing is promised or priced outside of them | `\"2017-12-04T00:00:00Z\"` |
| `rounding` | computed prices are multiples of `unit`, plus one of `endings` | `{\"unit\": 10, \"endings\": [9]}` |
| `cover` | stock that covers fewer than `short_weeks` of demand is short, more than `long_weeks` long; a unit too many loses `excess_loss` of its cost, in basis points | `{\"short_weeks\": 1, \"long_weeks\": 8, \"excess_loss\": 2000}` |
";

fn page() -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    for table in TABLES {
        let needed = if table.required { "Required." } else { "Optional." };
        write!(page, "\n## {}\n\n{} {needed}\n\n", table.name, table.about.trim())?;
        page.push_str("| column | unit | meaning | example |\n|---|---|---|---|\n");
        for column in table.columns {
            let meaning = column.about.trim().trim_end_matches('.');
            let optional = if column.required { "" } else { ", optional" };
            let example = if column.example.is_empty() { "" } else { &format!("`{}`", column.example) };
            writeln!(page, "| `{}` | {}{optional} | {meaning} | {example} |", column.name, column.unit)?;
        }
    }
    Ok(page)
}

fn schemas() -> Result<String> {
    let tables: Map<_, _> = TABLES.iter().map(|table| (table.name.to_owned(), table.json_schema())).collect();
    Ok(serde_json::to_string_pretty(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": tables,
    }))? + "\n")
}

#[test]
fn the_page_and_the_schemas_are_written_from_the_declaration() -> Result<()> {
    for (path, written) in [("models/SNAPSHOT.md", page()?), ("models/snapshot.schema.json", schemas()?)] {
        let path = root().join(path);
        if env::var_os("TRADEWIND_RECORD").is_some() {
            fs::write(&path, &written)?;
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        ensure!(found == written, "`{}` is not what the tables say; record it again", path.display());
    }
    Ok(())
}
