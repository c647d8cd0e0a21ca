//! Subcommands, one per file.

mod allocate;
mod exceptions;
mod features;
mod insight;
mod inspect;
mod keygen;
mod lines;
mod live;
#[cfg(feature = "compiler")]
mod pack;
mod quote;
mod rank;
mod replay;
#[cfg(feature = "compiler")]
mod run;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod settings;
mod sign;
mod slice;
mod snapshot;
mod tables;
#[cfg(feature = "compiler")]
mod verify;
#[cfg(feature = "compiler")]
mod watch;

use anyhow::{Context, bail, ensure};
use clap::{CommandFactory, FromArgMatches};
use clap_complete::Shell;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::{
    Task,
    pack::{HEADER_LEN, sign},
    snapshot::Snapshot,
};
use tradewind_host::{KeyPair, Pack, Runtime, Tradewind, Trust, Verified};
use tradewind_json::without_bom;

/// End of the help.
const EXIT_CODES: &str = "Exit codes: 0 success; 1 failure, or differences (`verify`, `replay`); 2 invalid arguments, or cases that \
                          `verify` cannot use.";

/// Packs ONNX models and runs them in `tradewind.wasm`.
#[derive(clap::Parser)]
#[command(version, after_help = EXIT_CODES)]
pub enum Command {
    /// Make a key pair for signing packs and modules.
    Keygen(keygen::Keygen),
    /// Sign a module.
    Sign(sign::Sign),
    /// Compile an ONNX model into a pack.
    #[cfg(feature = "compiler")]
    Pack(pack::Pack),
    /// Run an ONNX model on data, and print outputs, times and sizes.
    #[cfg(feature = "compiler")]
    Run(run::Run),
    /// Run test cases in the ONNX project's layout, and compare with their recorded outputs.
    #[cfg(feature = "compiler")]
    Verify(verify::Verify),
    /// Show the contents of a pack or snapshot.
    Inspect(inspect::Inspect),
    /// Build a snapshot of prices, stock and locations.
    Snapshot(snapshot::Snapshot),
    /// Cut the parts of a ranking pack, a public snapshot and texts that pages need in a region.
    Slice(Box<slice::Slice>),
    /// Rank products (JSON or JSON Lines).
    Rank(rank::Rank),
    /// Run an insight model (JSON or JSON Lines).
    Insight(insight::Insight),
    /// Price products (JSON or JSON Lines).
    Quote(quote::Quote),
    /// Allocate orders to nodes (JSON Lines).
    Allocate(allocate::Allocate),
    /// Find shipments that need attention (JSON Lines).
    Exceptions(exceptions::Exceptions),
    #[cfg(feature = "serve")]
    /// Run the warehouse backend: orders, stock, shipments and a worklist over HTTP.
    Serve(Box<serve::Serve>),
    /// Replay recorded decisions, and show differences.
    Replay(replay::Replay),
    /// Compute product statistics from an event log.
    Tables(tables::Tables),
    /// Write the feature matrix for training a model.
    #[command(subcommand)]
    Features(features::Features),
    /// Print a script that completes this program's options in a shell.
    Completions {
        /// Shell.
        shell: Shell,
    },
}

impl Command {
    /// Reads the program's arguments, and for the service its variables and file. Exits with status 2 if they are invalid.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read() -> anyhow::Result<Self> {
        let (command, arguments) = (Self::command(), std::env::args_os().collect());
        #[cfg(feature = "serve")]
        let command = command.mut_subcommand("serve", settings::with_variables);
        #[cfg(feature = "serve")]
        let arguments: Vec<_> = settings::configured(arguments)?;
        #[cfg(not(feature = "serve"))]
        let arguments: Vec<_> = arguments;
        let matches = command.get_matches_from(arguments);
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }

    /// Runs the command, with output to `out`.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Keygen(command) => command.run(out),
            Self::Sign(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Pack(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Run(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Verify(command) => command.run(out),
            Self::Inspect(command) => command.run(out),
            Self::Snapshot(command) => command.run(out),
            Self::Slice(command) => command.run(out),
            Self::Rank(command) => command.run(out),
            Self::Insight(command) => command.run(out),
            Self::Quote(command) => command.run(out),
            Self::Allocate(command) => command.run(out),
            Self::Exceptions(command) => command.run(out),
            #[cfg(feature = "serve")]
            Self::Serve(command) => command.run(out),
            Self::Replay(command) => command.run(out),
            Self::Tables(command) => command.run(out),
            Self::Features(command) => command.run(out),
            Self::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "tradewind", &mut &mut *out);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Trusted keys.
#[derive(clap::Args)]
struct TrustArgs {
    /// Public key of trusted packs; may be repeated.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Load unsigned packs.
    #[arg(long, conflicts_with = "trust")]
    unsigned: bool,
}

impl TrustArgs {
    fn trust(&self) -> anyhow::Result<Trust> {
        match (self.trust.as_slice(), self.unsigned) {
            (_, true) => Ok(Trust::unsigned()),
            ([], false) => bail!("no trusted keys: give `--trust KEY.pub`, or `--unsigned` to load any pack"),
            (paths, false) => Ok(Trust::read(paths)?),
        }
    }
}

/// Module to run.
#[derive(clap::Args)]
struct ModuleArgs {
    /// Module (default: `tradewind.wasm` beside this program).
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

impl ModuleArgs {
    /// Path of the module.
    fn path(&self) -> anyhow::Result<PathBuf> {
        Ok(match &self.module {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tradewind.wasm"),
        })
    }

    /// Compiles the module. It is trusted like this program, which it is installed with: only `serve` checks its
    /// signature.
    fn load(&self) -> anyhow::Result<Runtime> {
        let path = self.path()?;
        Runtime::new(&read(&path)?).with_context(|| format!("`{}`", path.display()))
    }
}

/// Signing key.
#[derive(clap::Args)]
struct SignArgs {
    /// Secret key for signing.
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    key: Option<PathBuf>,
    /// Do not sign.
    #[arg(long, conflicts_with = "key")]
    unsigned: bool,
}

impl SignArgs {
    /// Signs a pack or a snapshot, unless `--unsigned` is set.
    fn sign(&self, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        if let Some(key) = &self.key {
            let signature = KeyPair::read(key)?.sign(&bytes[..HEADER_LEN]);
            sign(bytes, &signature);
        }
        Ok(())
    }
}

/// Module with packs, and optionally a snapshot.
#[derive(clap::Args)]
struct LoadArgs {
    /// Pack; may be repeated.
    #[arg(long = "pack", value_name = "FILE")]
    packs: Vec<PathBuf>,
    /// Snapshot of prices, stock and locations.
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

impl LoadArgs {
    fn load(&self) -> anyhow::Result<Tradewind> {
        let trust = self.trust.trust()?;
        let mut builder = Tradewind::builder().runtime(self.module.load()?);
        for path in &self.packs {
            let pack = Verified::pack(read(path)?, &trust);
            builder = builder.verified_pack(pack.with_context(|| format!("`{}`", path.display()))?);
        }
        if let Some(path) = &self.snapshot {
            let snapshot = Verified::snapshot(read(path)?, &trust);
            builder = builder.verified_snapshot(snapshot.with_context(|| format!("`{}`", path.display()))?);
        }
        Ok(builder.build()?)
    }
}

/// The loaded snapshot.
fn snapshot(tradewind: &Tradewind) -> anyhow::Result<&Snapshot> {
    let snapshot = tradewind.snapshot().context("this decision needs a snapshot: give one with `--snapshot`")?;
    Ok(snapshot)
}

/// The only pack with a task.
fn pack<'a>(tradewind: &'a Tradewind, wanted: fn(&Task) -> bool, does: &str) -> anyhow::Result<&'a Verified<Pack>> {
    let mut fitting = tradewind.packs().iter().filter(|pack| wanted(&pack.task));
    let found = fitting.next().with_context(|| {
        let given =
            tradewind.packs().iter().map(|pack| format!("; `{}` has the task `{}`", pack.name, pack.task.name()));
        format!("no pack {does}: give one with `--pack`{}", given.collect::<String>())
    })?;
    ensure!(fitting.next().is_none(), "more than one pack {does}: give only one");
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Reads a JSON file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    serde_json::from_slice(without_bom(&read(path)?)).with_context(|| format!("`{}`", path.display()))
}

/// Writes a file, and creates its folder.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
