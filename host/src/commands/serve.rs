use super::{ModuleArgs, TrustArgs, read, read_json};
use anyhow::Context;
use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};
use tradewind_core::Millis;
use tradewind_host::{
    Limits, RuntimeConfig,
    serve::{self, Config, Files, KeyInfo, Keys, NewKey, Role},
};

/// Maximum concurrent calls of the module, each with up to 1 GiB: about the bytes of its files, and 64 MiB.
const MOST_GUESTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Serve {
    #[command(subcommand)]
    command: Option<Other>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(clap::Subcommand)]
enum Other {
    /// Manage access keys.
    #[command(subcommand)]
    Key(Key),
}

#[derive(clap::Subcommand)]
enum Key {
    /// Make a key; it is printed only once.
    Add {
        /// Name of the key.
        name: String,
        /// shop, warehouse, operator or admin.
        #[arg(long)]
        role: Role,
        /// Nodes to which a warehouse's or operator's key is limited, separated by commas (default: all).
        #[arg(long, value_name = "NODES", value_delimiter = ',')]
        nodes: Vec<String>,
        /// Shop to whose orders a shop's key is limited; its keys share their orders (default: all orders).
        #[arg(long, value_name = "NAME")]
        shop: Option<String>,
        /// Days after which the key expires (default: never).
        #[arg(long, value_name = "DAYS")]
        days: Option<NonZeroU32>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Replace a key's secret; the new one is printed only once.
    Rotate {
        /// Name of the key.
        name: String,
        /// Hours for which the earlier secret remains valid; 0 ends it, and its sessions, at once.
        #[arg(long, value_name = "HOURS", default_value = "24")]
        hours: u32,
        /// Days after which the key expires (default: unchanged).
        #[arg(long, value_name = "DAYS")]
        days: Option<NonZeroU32>,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List names, roles, creation times, limits, expiry and last use.
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Remove a key.
    Remove {
        /// Name of the key.
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(clap::Args)]
struct DatabaseArgs {
    /// sqlite:FILE, or postgres://USER:PASSWORD@HOST/NAME, which several replicas can share.
    #[arg(
        long,
        value_name = "URL",
        default_value = "sqlite:tradewind.db",
        env = "TRADEWIND_DATABASE",
        hide_env_values = true
    )]
    database: String,
}

#[derive(clap::Args)]
struct RunArgs {
    /// Settings as TOML: a key for each option, without its dashes. Options and variables count before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    module: ModuleArgs,
    /// Signature of the module (default: MODULE.sig).
    #[arg(help_heading = "Files", long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Snapshot of prices, stock and locations.
    #[arg(help_heading = "Files", long, value_name = "FILE", required = true)]
    snapshot: Option<PathBuf>,
    /// Take this snapshot even if the database has a later one.
    #[arg(help_heading = "Files", long)]
    replace_snapshot: bool,
    /// Pack; may be repeated. Used are a lateness pack, a price pack, and insight packs.
    #[arg(help_heading = "Files", long = "pack", value_name = "FILE")]
    packs: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Costs of allocations, as JSON (default: guesses in cents).
    #[arg(help_heading = "Decisions", long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Kinds of exceptions and their costs, as JSON (default: guesses in cents).
    #[arg(help_heading = "Decisions", long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// Goals of prices, as JSON weights of margin, revenue and sell_through; must match the edge's.
    #[arg(help_heading = "Decisions", long, value_name = "JSON", default_value = r#"{"margin": 1}"#)]
    objective: String,
    /// Maximum concurrent calls of the module (default: number of processors).
    #[arg(help_heading = "Limits", long, value_name = "NUMBER")]
    guests: Option<NonZeroUsize>,
    /// Maximum milliseconds of a call of the module.
    #[arg(help_heading = "Limits", long, value_name = "MILLIS", default_value = "5000")]
    deadline: NonZeroU64,
    /// Maximum wasmtime fuel for each call (default: unlimited). A batch of 64 orders over 12 nodes uses about 10⁹.
    #[arg(help_heading = "Limits", long, value_name = "UNITS")]
    fuel: Option<NonZeroU64>,
    /// Private folder for compiled code, to start faster; created if missing.
    #[arg(help_heading = "Files", long, value_name = "FOLDER")]
    compiled: Option<PathBuf>,
    /// Days to keep finished orders, with their shipments, scans and exceptions, and events (default: unlimited).
    #[arg(help_heading = "Retention", long, value_name = "DAYS")]
    keep: Option<NonZeroU32>,
    /// Days to keep decisions for replay (default: unlimited).
    #[arg(help_heading = "Retention", long, value_name = "DAYS")]
    keep_decisions: Option<NonZeroU32>,
    /// Folder for what is not kept, as Parquet files; created if missing (default: it is deleted).
    #[arg(help_heading = "Retention", long, value_name = "FOLDER")]
    archive: Option<PathBuf>,
    /// Start of the service's clock, for recorded data, RFC 3339 (default: now).
    #[arg(help_heading = "Decisions", long, value_name = "MOMENT")]
    clock: Option<Millis>,
    /// Log in JSON.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match self.command {
            Some(Other::Key(key)) => runtime.block_on(key.run(out))?,
            None => {
                #[cfg(feature = "otel")]
                let traces = serve::Traces::from_env().context("OpenTelemetry")?;
                self.run.log(
                    #[cfg(feature = "otel")]
                    traces.as_ref(),
                );
                let config = self.run.config()?;
                let served = serve::run(config, |address| {
                    // A closed pipe must not stop the service.
                    let _ = writeln!(out, "http://{address}").and_then(|()| out.flush());
                });
                runtime.block_on(served)?;
            }
        }
        // A call of the module that still runs must not delay the end.
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(ExitCode::SUCCESS)
    }
}

impl Key {
    async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Add { name, role, nodes, shop, days, database } => {
                let mut new = NewKey::new(&name, role);
                if !nodes.is_empty() {
                    new = new.nodes(&nodes);
                }
                if let Some(shop) = shop {
                    new = new.shop(shop);
                }
                if let Some(days) = days {
                    new = new.lifetime(of_days(days));
                }
                let keys = Keys::open(&database.database).await?;
                let key = keys.add(&new).await?;
                writeln!(out, "{key}")?;
                for node in keys.unknown_nodes(&nodes).await? {
                    eprintln!("tradewind: the node {node} does not exist yet");
                }
                eprintln!(
                    "tradewind: key `{name}` with role {role}; only its digest is stored, so it is not shown again"
                );
            }
            Self::Rotate { name, hours, days, database } => {
                let kept = Duration::from_secs(3_600 * u64::from(hours));
                let key = Keys::open(&database.database).await?.rotate(&name, kept, days.map(of_days)).await?;
                writeln!(out, "{key}")?;
                eprintln!("tradewind: new secret of key `{name}`; the earlier one remains valid for {hours} hours");
            }
            Self::List { database } => {
                for key in Keys::open(&database.database).await?.list().await? {
                    writeln!(out, "{}", listed(&key)?)?;
                }
            }
            Self::Remove { name, database } => Keys::open(&database.database).await?.remove(&name).await?,
        }
        Ok(())
    }
}

/// Line of a list of keys.
fn listed(key: &KeyInfo) -> anyhow::Result<String> {
    let time = |at: Millis| jiff::Timestamp::from_millisecond(at.0);
    let mut line = format!("{:<24} {:<10} {}", key.name, key.role, time(key.made)?);
    if let Some(nodes) = &key.nodes {
        line += &format!("  nodes {}", nodes.iter().map(String::as_str).collect::<Vec<_>>().join(","));
    }
    if let Some(shop) = &key.shop {
        line += &format!("  shop {shop}");
    }
    if let Some(expires) = key.expires {
        line += &format!("  expires {}", time(expires)?);
    }
    if let Some(used) = key.used {
        line += &format!("  used {}", time(used)?);
    }
    Ok(line)
}

fn of_days(days: NonZeroU32) -> Duration {
    Duration::from_secs(86_400 * u64::from(days.get()))
}

impl RunArgs {
    /// Starts the log, and traces if they are configured.
    fn log(&self, #[cfg(feature = "otel")] traces: Option<&serve::Traces>) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        let log = if self.log_json { log.json().boxed() } else { log.boxed() };
        let log = tracing_subscriber::registry().with(filter).with(log);
        #[cfg(feature = "otel")]
        let log = log.with(traces.map(serve::Traces::layer));
        log.init();
    }

    fn config(self) -> anyhow::Result<Config> {
        let snapshot = self.snapshot.context("no snapshot: give `--snapshot FILE`")?;
        let module = self.module.path()?;
        let signature = match &self.signature {
            Some(path) => Some(path.clone()),
            None => Some(module.with_added_extension("sig")).filter(|path| path.exists()),
        };
        let text = |path: PathBuf| {
            String::from_utf8(read(&path)?).with_context(|| format!("`{}` is not UTF-8 text", path.display()))
        };
        let files = Files {
            module: read(&module)?,
            signature: signature.map(text).transpose()?,
            packs: self.packs.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
            snapshot: read(&snapshot)?,
        };
        let mut config = Config::new(self.database.database, files, self.trust.trust()?);
        config.listen = self.listen;
        let deadline = Duration::from_millis(self.deadline.get());
        let limits = Limits::default().deadline(deadline).fuel(self.fuel.map(NonZeroU64::get));
        config.runtime = RuntimeConfig::default().limits(limits).cache(self.compiled);
        config.guests = self.guests.unwrap_or(config.guests).min(MOST_GUESTS);
        config.policy = self.policy.as_deref().map(read_json).transpose()?.unwrap_or_default();
        config.exceptions = self.exceptions.as_deref().map(read_json).transpose()?.unwrap_or_default();
        config.objective = serde_json::from_str(&self.objective).context("`--objective`")?;
        config.replace_snapshot = self.replace_snapshot;
        config.retention.orders = self.keep.map(of_days);
        config.retention.decisions = self.keep_decisions.map(of_days);
        config.retention.archive = self.archive;
        config.clock = self.clock;
        Ok(config)
    }
}
