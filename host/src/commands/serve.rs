use super::{ModuleArgs, TrustArgs, read, read_json};
use anyhow::{Context, ensure};
use std::{
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tracing_subscriber::EnvFilter;
use tradewind_core::Millis;
use tradewind_host::{
    Limits, RuntimeConfig,
    serve::{self, Config, Files, Keys, Role},
};

/// The most calls of the module at a time, each with up to 128 MiB.
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
    /// Make, list and remove access keys.
    #[command(subcommand)]
    Key(Key),
}

#[derive(clap::Subcommand)]
enum Key {
    /// Make a key, and print it this once.
    Add {
        /// What it is called.
        name: String,
        /// shop, warehouse, operator or admin.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// List names, roles and when they were made.
    List {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Take a key away.
    Remove {
        /// What it is called.
        name: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(clap::Args)]
struct DatabaseArgs {
    /// sqlite:FILE, or postgres://USER:PASSWORD@HOST/NAME, which several replicas may share.
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
    #[command(flatten)]
    module: ModuleArgs,
    /// The module's signature; MODULE.sig when absent.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// A snapshot of prices, stock and places.
    #[arg(long, value_name = "FILE", required = true)]
    snapshot: Option<PathBuf>,
    /// A pack; may be given several times. One that says how likely a leg is late, and one that prices, are of use.
    #[arg(long = "pack", value_name = "FILE")]
    packs: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What things cost in allocations, as JSON; a guess in cents when absent.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Which exceptions are listed and what they cost, as JSON; a guess in cents when absent.
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,
    /// What prices are for, as JSON: weights of margin, revenue and sell_through. As the edge has it.
    #[arg(long, value_name = "JSON", default_value = r#"{"margin": 1}"#)]
    objective: String,
    /// Calls of the module at a time; as many as there are processors when absent.
    #[arg(long, value_name = "NUMBER")]
    guests: Option<NonZeroUsize>,
    /// Milliseconds that a call of the module may take.
    #[arg(long, value_name = "MILLIS", default_value = "5000")]
    deadline: NonZeroU64,
    /// Units of work that a call of the module may do, whatever the machine; not counted when absent. A batch of 64 orders
    /// over twelve nodes takes some thousand million.
    #[arg(long, value_name = "UNITS")]
    fuel: Option<NonZeroU64>,
    /// A private folder for compiled code, so that the next start need not compile; made when absent.
    #[arg(long, value_name = "FOLDER")]
    compiled: Option<PathBuf>,
    /// Days for which decisions are kept to be replayed; for ever when absent.
    #[arg(long, value_name = "DAYS")]
    keep_decisions: Option<NonZeroU32>,
    /// The moment at which the service's clock starts, for recorded data, in RFC 3339; now when absent.
    #[arg(long, value_name = "MOMENT")]
    clock: Option<Millis>,
    /// Log lines as JSON.
    #[arg(long)]
    log_json: bool,
}

impl Serve {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match self.command {
            Some(Other::Key(key)) => runtime.block_on(key.run(out))?,
            None => {
                let config = self.run.config()?;
                let served = serve::run(config, |address| {
                    // A closed pipe is no reason not to serve.
                    let _ = writeln!(out, "http://{address}").and_then(|()| out.flush());
                });
                runtime.block_on(served)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Key {
    async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::Add { name, role, database } => {
                ensure!((1..=64).contains(&name.len()), "a key needs a name of 1 to 64 bytes");
                let key = Keys::open(&database.database).await?.add(&name, role).await?;
                writeln!(out, "{key}")?;
                eprintln!("tradewind: the key `{name}` of role {role}; it is kept as a digest, and not shown again");
            }
            Self::List { database } => {
                for key in Keys::open(&database.database).await?.list().await? {
                    let made = jiff::Timestamp::from_millisecond(key.made.0)?;
                    writeln!(out, "{:<24} {:<10} {made}", key.name, key.role)?;
                }
            }
            Self::Remove { name, database } => Keys::open(&database.database).await?.remove(&name).await?,
        }
        Ok(())
    }
}

impl RunArgs {
    fn config(self) -> anyhow::Result<Config> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        let log = log.with_ansi(io::stderr().is_terminal());
        if self.log_json {
            log.json().init()
        } else {
            log.init()
        }

        let snapshot = self.snapshot.context("which snapshot? Give `--snapshot FILE`")?;
        let module = self.module.path()?;
        let signature = match &self.signature {
            Some(path) => Some(path.clone()),
            None => Some(module.with_added_extension("sig")).filter(|path| path.exists()),
        };
        let text =
            |path: PathBuf| String::from_utf8(read(&path)?).with_context(|| format!("`{}` is no text", path.display()));
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
        config.keep_decisions = self.keep_decisions.map(|days| Duration::from_secs(86_400 * u64::from(days.get())));
        config.clock = self.clock;
        Ok(config)
    }
}
