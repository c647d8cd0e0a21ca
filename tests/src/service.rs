//! `tradewind serve`, the real program on its own port, and optionally a real PostgreSQL.

use crate::{dist, root};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tradewind_json::ProblemKind;

/// Maximum time of any wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Roles of keys.
pub const ROLES: [&str; 4] = ["shop", "warehouse", "operator", "admin"];

/// Running service, stopped when this value is dropped.
pub struct Service {
    child: Child,
    address: String,
    keys: BTreeMap<&'static str, String>,
    agent: ureq::Agent,
}

/// Response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, with lower-case names.
    pub headers: BTreeMap<String, String>,
    /// Body; text if it is not JSON.
    pub body: Value,
}

/// Makes keys of each role in a database, which may be new.
///
/// # Errors
/// If the command fails.
pub fn keys(database: &str) -> Result<BTreeMap<&'static str, String>> {
    ROLES.into_iter().map(|role| Ok((role, key(database, &["add", role, "--role", role])?))).collect()
}

/// Runs `tradewind serve key`, and returns what it prints.
///
/// # Errors
/// If the command fails, with its message.
pub fn key(database: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(dist("tradewind")?);
    let done = command.args(["serve", "key"]).args(arguments).args(["--database", database]).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?.trim().to_owned())
}

/// Elements of an array; none of another value.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Contents of a string; empty for another value.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Service {
    /// Starts the service with the reference snapshot and its time, plus `arguments`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(database: &str, keys: &BTreeMap<&'static str, String>, arguments: &[&str]) -> Result<Self> {
        let file = |name: &str| Ok::<_, anyhow::Error>(dist(name)?.display().to_string());
        let mut command = Command::new(dist("tradewind")?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", database]);
        if !arguments.contains(&"--snapshot") {
            command.args(["--snapshot", &file("reference.snapshot")?]);
        }
        for (flag, name) in [
            ("--module", "tradewind.wasm"),
            ("--pack", "packs/late.pack"),
            ("--pack", "packs/price.pack"),
            ("--trust", "keys/dev.pub"),
        ] {
            command.args([flag, &file(name)?]);
        }
        if !arguments.contains(&"--clock") {
            command.args(["--clock", "2017-12-04T14:00:00Z"]);
        }
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().to_owned();
        if address.is_empty() {
            bail!("the service did not start: {}", child.wait()?);
        }
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent = agent.max_redirects(0).max_redirects_will_error(false);
        Ok(Self { child, address, keys: keys.clone(), agent: agent.build().into() })
    }

    /// Address, `http://HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Key of a role.
    pub fn key(&self, role: &str) -> &str {
        self.keys.get(role).map_or("", String::as_str)
    }

    /// Sends a request as a role, or without a key if the role is empty.
    ///
    /// # Errors
    /// If the service is unreachable.
    pub fn send(&self, role: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.address));
        if let Some(key) = self.keys.get(role) {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // Without a length, an empty body would be sent in chunks, and a response that does not wait for its end closes the
        // connection.
        let has_body = !body.is_empty() || ["POST", "PUT"].contains(&method);
        let mut response =
            if has_body { self.agent.run(request.body(body)?) } else { self.agent.run(request.body(())?) }?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body })
    }

    /// Like [`send`](Self::send) with a JSON document, and requires a status.
    ///
    /// # Errors
    /// If the status differs.
    pub fn ask(&self, role: &str, method: &str, path: &str, body: &Value, status: u16) -> Result<Value> {
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let answer = self.send(role, method, path, &[("content-type", "application/json")], &bytes)?;
        ensure!(answer.status == status, "{method} {path}: {} {}, not {status}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// If it is missing.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("operator", "GET", path, &Value::Null, 200)
    }

    /// Reads all pages of a list.
    ///
    /// # Errors
    /// If it is missing.
    pub fn items(&self, path: &str) -> Result<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("{path}{after}"))?;
            items.extend(
                page["items"].as_array().with_context(|| format!("{path}: {page} is no page"))?.iter().cloned(),
            );
            let Some(next) = page["next"].as_str() else { return Ok(Value::Array(items)) };
            after = format!("{}after={next}", if path.contains('?') { '&' } else { '?' });
        }
    }

    /// Sends an order, with its id as idempotency key.
    ///
    /// # Errors
    /// If it is not accepted.
    pub fn order(&self, order: &Value) -> Result<()> {
        let answer = self.submit(order)?;
        ensure!(answer.status == 202, "{order}: {} {}", answer.status, answer.body);
        Ok(())
    }

    /// Sends an order, with its id as idempotency key, and returns the response.
    ///
    /// # Errors
    /// If the service is unreachable.
    pub fn submit(&self, order: &Value) -> Result<Answer> {
        let key = order["id"].as_str().context("an order without an id")?;
        self.send("shop", "POST", "/v1/orders", &[("idempotency-key", key)], &serde_json::to_vec(order)?)
    }

    /// Waits until no order is queued, and returns all orders.
    ///
    /// # Errors
    /// If that takes more than a minute.
    pub fn settled(&self) -> Result<Vec<Value>> {
        eventually("no order is queued any more", || {
            let queued = self.get("/v1/orders?state=queued&limit=1")?;
            Ok(queued["items"].as_array().is_some_and(Vec::is_empty))
        })?;
        Ok(self.items("/v1/orders?limit=1000")?.as_array().context("no list")?.clone())
    }

    /// Kills the process, like a power cut.
    ///
    /// # Errors
    /// If it has ended already.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops the process and waits for its end; returns whether it ended successfully.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(mut self) -> Result<bool> {
        ensure!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?.success());
        let mut ended = None;
        eventually("the service ends", || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })?;
        Ok(ended.is_some_and(|status| status.success()))
    }
}

impl Answer {
    /// Returns a header; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether it is a problem document with this status.
    pub fn is_problem(&self, status: u16) -> bool {
        let known = |kind: &&ProblemKind| self.body["type"] == kind.uri().as_str();
        self.status == status
            && self.header("content-type") == "application/problem+json"
            && self.body["status"] == status
            && self.body["detail"].is_string()
            && ProblemKind::ALL.iter().find(known).is_some_and(|kind| kind.status() == status)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until a condition holds.
///
/// # Errors
/// If it does not hold within a minute, or the check fails.
pub fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds()? {
        ensure!(began.elapsed() < PATIENCE, "it did not come true that {what}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Reads the recorded orders.
///
/// # Errors
/// If they cannot be read.
pub fn orders() -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("tests/cases/decisions/orders.jsonl"))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Rebuilds the reference snapshot from its tables; `alter` may change each text table, given its name and content.
///
/// # Errors
/// If it cannot be built.
pub fn snapshot(folder: &Path, alter: impl Fn(&str, String) -> String) -> Result<PathBuf> {
    let (tables, snapshot) = (folder.join("tables"), folder.join("altered.snapshot"));
    fs::create_dir_all(&tables)?;
    for entry in fs::read_dir(root().join("models/snapshot"))? {
        let (name, from) = entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))?;
        match fs::read_to_string(&from) {
            Ok(text) => fs::write(tables.join(&name), alter(&name, text))?,
            Err(_) => fs::copy(from, tables.join(&name)).map(drop)?,
        }
    }
    let mut build = Command::new(dist("tradewind")?);
    build.args(["snapshot", "build"]).arg(&tables).arg("--key").arg(dist("keys/dev.key")?).arg("--out").arg(&snapshot);
    let built = build.output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(snapshot)
}

/// Checks that promised units equal shipped units: for each product and node, reserved units are those of unshipped
/// shipments, and never exceed stock. Orders have all of their units exactly once.
///
/// # Errors
/// The first difference.
pub fn balanced(service: &Service) -> Result<()> {
    let mut shipped: BTreeMap<(String, String), i64> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let units = |value: &Value| value.as_i64().unwrap_or(-1);
    for order in service.settled()? {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        let lines = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for line in lines(&order["order"]["lines"]) {
            *wanted.entry(text(&line["sku"])).or_default() += units(&line["quantity"]);
        }
        for shipment in lines(&order["shipments"]).iter().filter(|shipment| shipment["state"] != "cancelled") {
            for line in lines(&shipment["lines"]) {
                *wanted.entry(text(&line["sku"])).or_default() -= units(&line["quantity"]);
                if shipment["state"] == "created" || shipment["state"] == "packed" {
                    let key = (text(&line["sku"]), text(&shipment["node"]));
                    *shipped.entry(key).or_default() += units(&line["quantity"]);
                }
            }
        }
        for short in lines(&order["shortfalls"]) {
            *wanted.entry(text(&short["sku"])).or_default() -= units(&short["quantity"]);
        }
        let decided = order["state"] == "allocated" || order["state"] == "short";
        ensure!(!decided || wanted.values().all(|left| *left == 0), "{order}: {wanted:?} are left");
    }
    for row in service.items("/v1/stock")?.as_array().context("no list")? {
        let (on_hand, reserved, safety) = (units(&row["on_hand"]), units(&row["reserved"]), units(&row["safety"]));
        let expected = shipped.remove(&(text(&row["sku"]), text(&row["node"]))).unwrap_or(0);
        ensure!(reserved == expected, "{row}: {expected} units ship");
        ensure!(reserved == 0 || on_hand - safety - reserved >= 0, "{row}: more is promised than is there");
    }
    ensure!(shipped.is_empty(), "{shipped:?} ship from nowhere");
    Ok(())
}

/// PostgreSQL server in a temporary folder, on its own port, stopped when this value is dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Creates and starts a server.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let postgres = Self::folder()?;
        postgres.run("initdb", &["--auth=trust", "--username=tradewind", "--no-sync"])?;
        postgres.up()?;
        Ok(postgres)
    }

    /// Folder and port of a new server.
    fn folder() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let postgres = Self { folder, programs: programs()?, port };
        #[cfg(unix)]
        if let Some((uid, gid)) = unprivileged()? {
            std::os::unix::fs::chown(postgres.folder.path(), Some(uid), Some(gid))?;
        }
        Ok(postgres)
    }

    /// Creates and starts another server with a copy of this one's databases. This one is stopped.
    ///
    /// # Errors
    /// If a server does not stop or start, or the disk is full.
    pub fn copy(&self) -> Result<Self> {
        if Path::new(&self.path("data/postmaster.pid")).exists() {
            self.run("pg_ctl", &["stop", "--mode=fast"])?;
        }
        let copy = Self::folder()?;
        let copied = Command::new("cp").args(["--archive", &self.path("data"), &copy.path("data")]).status()?;
        ensure!(copied.success(), "cannot copy {}", self.path("data"));
        copy.up()?;
        Ok(copy)
    }

    /// Address of its database.
    pub fn url(&self) -> String {
        format!("postgres://tradewind@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// If it does not start.
    pub fn up(&self) -> Result<()> {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.folder.path().display());
        self.run("pg_ctl", &["start", "--wait", "--log", &self.path("log"), "--options", &options])
    }

    /// Stops it immediately, like a crash.
    ///
    /// # Errors
    /// If it is not running.
    pub fn down(&self) -> Result<()> {
        self.run("pg_ctl", &["stop", "--mode=immediate"])
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-D", &self.path("data")]).args(arguments).current_dir(self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        #[cfg(unix)]
        if let Some((uid, gid)) = unprivileged()? {
            // PostgreSQL refuses to run as root.
            std::os::unix::process::CommandExt::uid(&mut command, uid);
            std::os::unix::process::CommandExt::gid(&mut command, gid);
        }
        ensure!(command.status()?.success(), "{program} failed; {} may say why", self.path("log"));
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.down().ok();
    }
}

/// Folder of PostgreSQL's programs, as found by the build.
fn programs() -> Result<PathBuf> {
    let link = root().join("dist/tools/postgresql");
    let missing = "`cargo xtask setup` installs PostgreSQL, `cargo xtask build` links it to dist/tools/postgresql";
    fs::read_link(link).context(missing)
}

/// User that runs PostgreSQL if this process is root.
#[cfg(unix)]
fn unprivileged() -> Result<Option<(u32, u32)>> {
    let id = Command::new("id").arg("-u").output()?;
    if String::from_utf8(id.stdout)?.trim() != "0" {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let fields =
        |name: &str| users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == name);
    let user = fields("postgres").or_else(|| fields("nobody")).context("no user but root")?;
    Ok(Some((user[2].parse()?, user[3].parse()?)))
}
