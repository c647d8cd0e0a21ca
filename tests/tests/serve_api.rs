//! The API of the warehouse service as its users' tools see it: its OpenAPI document, judged by a linter, a generator of
//! clients and a fuzzer; its probes and metrics.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tradewind_tests::{
    database::Database,
    dist, root,
    service::{ROLES, Service, eventually, keys},
    tool,
};

fn service() -> Result<(Service, Database)> {
    let database = Database::sqlite()?;
    let service = Service::start(&database.url, &keys(&database.url)?, &[])?;
    Ok((service, database))
}

/// Writes the document to a file of a folder.
fn document(service: &Service, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("openapi.json");
    fs::write(&path, service.ask("", "GET", "/openapi.json", &Value::Null, 200)?.to_string())?;
    Ok(path)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    ensure!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    Ok(())
}

#[test]
fn an_expired_snapshot_leaves_the_service_ready_for_orders() -> Result<()> {
    let (service, database) = service()?;
    let open = |service: &Service, path: &str, status: u16| service.ask("", "GET", path, &Value::Null, status);
    for path in ["/livez", "/readyz", "/healthz"] {
        ensure!(open(&service, path, 200)?["status"] == "ok", "{path}");
    }
    let keys = ROLES.into_iter().map(|role| (role, service.key(role).to_owned())).collect();
    ensure!(service.stop()?);
    let service = Service::start(&database.url, &keys, &["--clock", "2019-01-01T00:00:00Z"])?;
    ensure!(open(&service, "/livez", 200)?["status"] == "ok" && open(&service, "/readyz", 200)?["status"] == "ok");
    ensure!(open(&service, "/healthz", 503)?["type"] == "/problems#no-snapshot");
    service.order(&json!({
        "id": "o-1", "region": "LAX", "lines": [{"sku": "866211", "quantity": 1}], "promised": "2019-01-09",
    }))?;
    let metrics = open(&service, "/metrics", 200)?;
    let metrics = metrics.as_str().context("no metrics")?;
    let expires = metrics.lines().find_map(|line| line.strip_prefix("tradewind_snapshot_expires_in_seconds "));
    ensure!(expires.context("no gauge")?.parse::<f64>()? < 0.0, "{metrics}");
    for line in [
        "# TYPE tradewind_http_seconds histogram",
        "# HELP tradewind_oldest_due_order_seconds Time since the oldest due order became due; 0 if none is.",
        r#"tradewind_http_seconds_bucket{route="/v1/orders",method="POST",status="202",le="+Inf"} 1"#,
    ] {
        ensure!(metrics.lines().any(|known| known == line), "no `{line}`: {metrics}");
    }
    let waits = || {
        let metrics = open(&service, "/metrics", 200)?;
        let age = metrics.as_str().into_iter().flat_map(str::lines);
        let age = age.filter_map(|line| line.strip_prefix("tradewind_oldest_due_order_seconds ")).next();
        Ok(age.is_some_and(|age| age != "0"))
    };
    eventually("the order waits", waits)
}

#[test]
fn documents_without_a_rust_type_have_the_fields_of_their_schemas() -> Result<()> {
    let (service, _database) = service()?;
    let document = service.ask("", "GET", "/openapi.json", &Value::Null, 200)?;
    let conforms = |name: &str, value: &Value| {
        let schema = &document["components"]["schemas"][name];
        let (known, fields) = (&schema["properties"], value.as_object().with_context(|| format!("{name}: {value}"))?);
        let required = schema["required"].as_array().with_context(|| format!("no schema `{name}`"))?;
        let missing = required.iter().filter_map(Value::as_str).find(|field| !fields.contains_key(*field));
        let unknown = fields.keys().find(|field| known[field.as_str()].is_null());
        ensure!(missing.is_none() && unknown.is_none(), "{name}: {missing:?} {unknown:?} in {value}");
        Ok(())
    };
    let claim = |price: &Value| {
        let root = service.get("/healthz")?["snapshot"].clone();
        let claim = json!({
            "snapshot": root, "at": "2017-12-04T14:00:00Z", "sku": "1082185", "region": "IAH", "price": price,
        });
        service.send("shop", "POST", "/v1/quotes/verify", &[], &serde_json::to_vec(&claim)?)
    };
    let refused = claim(&json!(1))?;
    ensure!(refused.is_problem(409) && refused.body["type"] == "/problems#price-refused", "{refused:?}");
    conforms("Differs", &refused.body["differs"][0])?;
    let verified = claim(&refused.body["differs"][0]["quoted"])?;
    ensure!(verified.status == 200, "{verified:?}");
    conforms("Digests", &verified.body["receipt"])?;

    // A parcel that is late already.
    service.ask(
        "warehouse",
        "POST",
        "/v1/shipments",
        &json!({
            "id": "p-1", "order": "elsewhere-1", "node": "SEA", "region": "IAH",
            "lines": [{"sku": "1082185", "quantity": 1, "value": 10_000}],
            "created": "2017-12-01T09:00:00Z", "promised": "2017-12-03T09:00:00Z",
        }),
        201,
    )?;
    eventually("the parcel is late", || Ok(service.items("/v1/worklist")?[0]["exception"]["shipment"] == "p-1"))?;
    let entry = service.items("/v1/worklist")?[0].clone();
    let place = format!("/v1/worklist/{}", entry["id"].as_str().context("no id")?);
    let acted = service.ask("operator", "POST", &format!("{place}/act"), &entry["exception"]["actions"][0], 200)?;
    conforms("ActionTaken", &acted)?;
    let feedback = json!({"useful": true, "note": "seen"});
    service.ask("operator", "POST", &format!("{place}/feedback"), &feedback, 204)?;
    let entry = service.items("/v1/worklist?state=acted")?[0].clone();
    ensure!(entry["acted"] == acted, "{entry}");
    conforms("FeedbackGiven", &entry["feedback"])
}

#[test]
fn a_service_without_insights_does_not_ask_to_try_again() -> Result<()> {
    let (service, _database) = service()?;
    let insight = serde_json::to_vec(&json!({"at": "2017-12-04T14:00:00Z"}))?;
    let insight = service.send("shop", "POST", "/v1/insights", &[], &insight)?;
    ensure!(insight.is_problem(404), "it would be sent again: {insight:?}");
    Ok(())
}

#[test]
fn redocly_has_no_complaint() -> Result<()> {
    let (service, _database) = service()?;
    let folder = tempfile::tempdir()?;
    let document = document(&service, folder.path())?;
    let mut lint = Command::new("node");
    lint.arg(tool("redocly")?.join("node_modules/@redocly/cli/bin/cli.js")).arg("lint").arg(document);
    lint.arg("--config").arg(root().join("tests/api/redocly.yaml")).args(["--max-problems", "1000"]);
    run(lint.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"))
}

#[test]
fn a_generated_client_sends_and_reads_an_order() -> Result<()> {
    let (service, _database) = service()?;
    let folder = tempfile::tempdir()?;
    let (document, python) = (document(&service, folder.path())?, tool("python-api")?);
    let mut generate = Command::new(&python);
    generate.args(["-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning", "--path"]);
    generate.arg(document).arg("--output-path").arg(folder.path().join("tradewind_client"));
    run(generate.arg("--config").arg(root().join("tests/api/openapi-python-client.yaml")))?;
    let mut script = Command::new(python);
    script.arg(root().join("tests/api/round_trip.py")).args([service.address(), service.key("shop")]);
    run(script.env("PYTHONPATH", folder.path()))
}

#[test]
#[ignore = "takes minutes; `cargo xtask schemathesis` runs it"]
fn schemathesis_finds_no_failure() -> Result<()> {
    let database = Database::sqlite()?;
    let churn = dist("packs/churn.pack")?.display().to_string();
    let service = Service::start(&database.url, &keys(&database.url)?, &["--pack", &churn])?;
    // It keeps failures in the working directory.
    let folder = tempfile::tempdir()?;
    let mut fuzz = Command::new(tool("python-api")?);
    fuzz.current_dir(folder.path());
    fuzz.args(["-m", "schemathesis.cli", "--config-file"]).arg(root().join("tests/api/schemathesis.toml"));
    fuzz.arg("run").arg(format!("{}/openapi.json", service.address()));
    fuzz.arg("--header").arg(format!("Authorization: Bearer {}", service.key("admin")));
    ensure!(fuzz.status()?.success(), "see the failures above");
    Ok(())
}
