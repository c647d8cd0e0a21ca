//! The `tradewind` command, run as by a user.

use anyhow::{Context, Result, ensure};
use parquet::{data_type::Int64Type, file::writer::SerializedFileWriter, schema::parser::parse_message_type};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tradewind_tests::{dist, root};

fn tradewind(arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = Command::new(dist("tradewind")?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // A command that fails early may not read its input.
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes()).ok();
    Ok(child.wait_with_output()?)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

#[test]
fn a_model_is_packed_signed_and_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, pack) = (folder.path().join("k"), folder.path().join("m.pack"));
    let model = root().join("tests/cases/onnx/sklearn-logistic-binary/model.onnx");
    ensure!(tradewind(&["keygen", "--out", path(&key)], "")?.status.success());
    let (secret, public) = (key.with_extension("key"), key.with_extension("pub"));
    let packed = tradewind(&["pack", path(&model), "--key", path(&secret), "--out", path(&pack)], "")?;
    ensure!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));

    let shown = tradewind(&["inspect", path(&pack), "--trust", path(&public)], "")?;
    let text = String::from_utf8(shown.stdout)?;
    for words in ["signed by", "weights", "f32 [rows, ", "operations a row", "dense"] {
        ensure!(text.contains(words), "`{words}` is not in:\n{text}");
    }
    // No key is trusted by default.
    let untrusting = tradewind(&["inspect", path(&pack)], "")?;
    ensure!(!untrusting.status.success() && String::from_utf8_lossy(&untrusting.stderr).contains("--trust"));
    let other = tradewind(&["inspect", path(&model)], "")?;
    ensure!(String::from_utf8_lossy(&other.stderr).contains("is not a pack or snapshot"), "{other:?}");
    Ok(())
}

#[test]
fn a_model_that_is_refused_leaves_no_pack() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pack = folder.path().join("m.pack");
    let model = root().join("tests/cases/refused/unknown-domain.onnx");
    let refused = tradewind(&["pack", path(&model), "--unsigned", "--out", path(&pack)], "")?;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && message.contains("FancyRank"), "{message}");
    ensure!(!pack.exists());
    Ok(())
}

#[test]
fn a_model_that_does_not_fit_its_specification_leaves_no_pack() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (model, pack) = (folder.path().join("churn"), folder.path().join("churn.pack"));
    fs::create_dir(&model)?;
    for file in ["model.onnx", "pack.json", "spec.json"] {
        fs::copy(root().join("models/churn").join(file), model.join(file))?;
    }
    let spec = fs::read_to_string(model.join("spec.json"))?;
    fs::write(model.join("spec.json"), spec.replacen("\"shopper_orders\",", "", 1))?;
    let refused = tradewind(&["pack", path(&model), "--unsigned", "--out", path(&pack)], "")?;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && message.contains("make its specification"), "{message}");
    ensure!(!pack.exists());
    Ok(())
}

#[test]
fn a_bad_line_is_reported_by_number_and_the_rest_is_done() -> Result<()> {
    let good = r#"{"id": "a", "at": "2017-12-04T00:00:00Z", "limit": 3}"#;
    let lines =
        [good, r#"{"at": "2017-12-04T00:00:00Z"}"#, "", r#"{"at": 1, "limit": 3, "events": [{"at": 1}]}"#, good]
            .join("\n");
    let (pack, key) = (dist("packs/recommend.pack")?, dist("keys/dev.pub")?);
    let output = tradewind(&["rank", "--pack", path(&pack), "--trust", path(&key)], &lines)?;
    ensure!(!output.status.success());
    let (replies, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    let replies: Vec<Value> = replies.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(replies.len() == 4, "{} replies", replies.len());
    ensure!(replies[0]["id"] == "a" && replies[0]["items"].as_array().map(Vec::len) == Some(3));
    ensure!(replies[1]["request"] == 2 && replies[2]["request"] == 4 && replies[3]["items"].is_array(), "{replies:?}");
    ensure!(errors.contains("request 2:") && errors.contains("limit") && errors.contains("2 of 4"), "{errors}");
    Ok(())
}

#[test]
fn requests_are_read_as_a_document_an_array_or_lines() -> Result<()> {
    let (pack, key) = (dist("packs/recommend.pack")?, dist("keys/dev.pub")?);
    let one = "{\n  \"at\": \"2017-12-04T00:00:00Z\",\n  \"limit\": 2\n}\n";
    let array = format!("[{one},\n{one}]");
    let lines =
        "{\"at\": \"2017-12-04T00:00:00Z\", \"limit\": 2}\r\n{\"at\": \"2017-12-04T00:00:00Z\", \"limit\": 2}\r\n";
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("requests.jsonl");
    fs::write(&file, lines)?;
    for (input, argument, expected) in [(one, "-", 1), (array.as_str(), "-", 2), (lines, "-", 2), ("", path(&file), 2)]
    {
        let output = tradewind(&["rank", "--pack", path(&pack), "--trust", path(&key), argument], input)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        ensure!(String::from_utf8(output.stdout)?.lines().count() == expected, "{input}");
    }
    Ok(())
}

#[test]
fn an_untrusted_pack_is_not_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("stranger");
    ensure!(tradewind(&["keygen", "--out", path(&key)], "")?.status.success());
    let pack = dist("packs/recommend.pack")?;
    let stranger = key.with_extension("pub");
    let output = tradewind(&["rank", "--pack", path(&pack), "--trust", path(&stranger)], "{}")?;
    ensure!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("not trusted"));
    Ok(())
}

#[test]
fn moments_are_rfc_3339_and_a_byte_order_mark_is_passed_over() -> Result<()> {
    let file = |name: &str| Ok::<_, anyhow::Error>(dist(name)?.display().to_string());
    let (trust, snapshot) = (file("keys/dev.pub")?, file("reference.snapshot")?);
    let (recommend, price, late) = (file("packs/recommend.pack")?, file("packs/price.pack")?, file("packs/late.pack")?);
    let policy = root().join("tests/cases/decisions/policy.json");
    let allocate = ["allocate", "--snapshot", &snapshot, "--pack", &late, "--policy", path(&policy), "--at"];
    let exceptions = ["exceptions", "--snapshot", &snapshot, "--pack", &late, "--at"];
    let quote = ["quote", "--snapshot", &snapshot, "--pack", &price];
    let at = "2017-12-04T14:00:00Z";
    let moment = |command: &[&str], at: &str| [command, &[at]].concat().iter().map(ToString::to_string).collect();
    let plain = |command: &[&str]| command.iter().map(ToString::to_string).collect();
    let event = r#"{"at": "2017-12-04T15:06:40Z", "limit": 3, "events": [{"at": AT, "view": {"sku": "995242"}}]}"#;
    let shipment = r#"{"id": "p", "order": "o", "node": "SEA", "region": "IAH", "lines": [], "created": "2017-11-30T00:00:00Z",
        "promised": AT}"#;
    let scan = r#"{"id": "p", "order": "o", "node": "SEA", "region": "IAH", "lines": [], "created": "2017-11-30T00:00:00Z",
        "promised": "2017-12-05T18:53:20Z", "scans": [{"state": "packed", "at": AT, "place": "SEA"}]}"#;
    let order =
        r#"{"id": "o", "region": "LAX", "lines": [{"sku": "866211", "quantity": 1}], "promised": "2017-12-09"}"#;
    let commands: [(Vec<String>, &str); 7] = [
        (plain(&["rank", "--pack", &recommend]), r#"{"at": AT, "limit": 3}"#),
        (plain(&["rank", "--pack", &recommend]), event),
        (plain(&quote), r#"{"at": AT, "sku": "1082185", "region": "IAH", "objective": {"margin": 1}}"#),
        (moment(&exceptions, at), shipment),
        (moment(&exceptions, at), scan),
        (moment(&exceptions, "AT"), scan),
        (moment(&allocate, "AT"), order),
    ];
    for (command, request) in commands {
        let run = |at: &str, mark: &str| {
            let argument = |argument: &String| if argument == "AT" { at.replace('"', "") } else { argument.clone() };
            let arguments: Vec<String> = command.iter().map(argument).collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--trust", &trust]).collect();
            tradewind(&arguments, &(mark.to_owned() + &request.replace("AT", at).replace('\n', " ")))
        };
        for (at, mark) in [("\"2017-12-04T15:00:00+01:00\"", "\u{feff}"), ("\"2017-12-04T14:00:00Z\"", "")] {
            let done = run(at, mark)?;
            ensure!(done.status.success(), "{command:?} {at}: {}", String::from_utf8_lossy(&done.stderr));
        }
        for (at, said) in [
            ("\"1512396000000\"", "invalid moment `1512396000000`: expected RFC 3339"),
            ("\"2101-01-01T00:00:00Z\"", "after 2100"),
        ] {
            let refused = run(at, "")?;
            let errors = String::from_utf8(refused.stderr)?;
            ensure!(!refused.status.success() && errors.contains(said), "{command:?} {at}: {errors}");
        }
    }
    Ok(())
}

/// Error of a service that cannot start, with variables and arguments.
fn refusal(arguments: &[&str], variables: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(dist("tradewind")?);
    let ran = command.arg("serve").args(arguments).envs(variables.iter().copied()).output()?;
    Ok((ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned()))
}

#[test]
fn the_service_takes_settings_from_the_command_line_then_variables_then_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("tradewind.toml");
    let database = format!("sqlite:{}", folder.path().join("w.db").display());
    let common = ["--config", path(&config), "--database", &database, "--unsigned"];
    // Which of three files is missing tells which setting counts.
    fs::write(&config, "snapshot = \"of-the-file\"\nmodule = \"no-module\"\n")?;
    let (code, said) = refusal(&common, &[("TRADEWIND_MODULE", path(&dist("tradewind.wasm")?))])?;
    ensure!(code == Some(1) && said.contains("of-the-file"), "{said}");
    let variables = [
        ("TRADEWIND_MODULE", path(&dist("tradewind.wasm")?).to_owned()),
        ("TRADEWIND_SNAPSHOT", "of-the-variable".into()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (_, said) = refusal(&common, &variables)?;
    ensure!(said.contains("of-the-variable"), "{said}");
    let (_, said) = refusal(&[&common[..], &["--snapshot", "of-the-command-line"]].concat(), &variables)?;
    ensure!(said.contains("of-the-command-line"), "{said}");
    for (text, expected) in [("lisen = \"127.0.0.1:0\"", "lisen"), ("listen = ", "listen"), ("listen = 1.5", "listen")]
    {
        fs::write(&config, text)?;
        let (code, said) = refusal(&common, &[])?;
        ensure!(code != Some(0) && said.contains(expected), "{text}: {said}");
    }
    let completions = tradewind(&["completions", "bash"], "")?;
    ensure!(String::from_utf8(completions.stdout)?.contains("--replace-snapshot"));
    Ok(())
}

/// Writes a Parquet file of integers.
fn write_parquet(path: &Path, columns: &[[i64; 2]]) -> Result<()> {
    let fields: String = (0..columns.len()).map(|n| format!("REQUIRED INT64 c{n};")).collect();
    let schema = parse_message_type(&format!("message rows {{ {fields} }}"))?;
    let mut writer = SerializedFileWriter::new(File::create(path)?, Arc::new(schema), Arc::default())?;
    let mut group = writer.next_row_group()?;
    for values in columns {
        let mut column = group.next_column()?.context("a column")?;
        column.typed::<Int64Type>().write_batch(values, None, None)?;
        column.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

#[test]
fn a_model_runs_on_tables_and_arrays_of_each_format() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let model = root().join("models/churn/model.onnx");
    // Nine columns of two rows, as in the archive that numpy compressed.
    let columns: Vec<[i64; 2]> = (1..=9).map(|n| [n, 10 - n]).collect();
    let separated = |by: &str| {
        let header: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
        let row = |n: usize| columns.iter().map(|column| column[n].to_string()).collect::<Vec<_>>().join(by);
        [header.join(by), row(0), row(1)].join("\n")
    };
    let object = |n: usize| {
        let cells = columns.iter().enumerate().map(|(c, column)| format!("\"c{c}\": {}", column[n]));
        format!("{{{}}}", cells.collect::<Vec<_>>().join(", "))
    };
    let texts = [
        ("commas.csv", separated(",")),
        ("semicolons.csv", separated(";")),
        ("tabs.tsv", separated("\t")),
        ("lines.jsonl", format!("{}\n\n{}\n", object(0), object(1))),
        ("rows.json", format!("[{}, {}]", object(0), object(1))),
    ];
    for (name, text) in &texts {
        fs::write(folder.path().join(name), text)?;
    }
    write_parquet(&folder.path().join("table.parquet"), &columns)?;
    fs::copy(root().join("tests/tests/run/compressed.npz"), folder.path().join("compressed.npz"))?;
    let outputs = |name: &str| -> Result<Value> {
        let input = folder.path().join(name);
        let ran = tradewind(&["run", path(&model), "--input", path(&input), "--json"], "")?;
        ensure!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(serde_json::from_slice::<Value>(&ran.stdout)?["outputs"].take())
    };
    let expected = outputs("compressed.npz")?;
    ensure!(expected["probability"].as_array().is_some_and(|rows| rows.len() == 2), "{expected}");
    for name in texts.iter().map(|(name, _)| *name).chain(["table.parquet"]) {
        let found = outputs(name)?;
        ensure!(found == expected, "{name}: {found} instead of {expected}");
    }
    fs::write(folder.path().join("odd.csv"), separated(",").replace("\n9", "\nnine"))?;
    let refused = outputs("odd.csv").err().context("it was accepted")?.to_string();
    ensure!(refused.contains("row 2, column `c0`") && refused.contains("nine"), "{refused}");
    Ok(())
}
