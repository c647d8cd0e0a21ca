//! The subcommands, one a file.

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
mod sign;
mod snapshot;
mod tables;
#[cfg(feature = "compiler")]
mod verify;
#[cfg(feature = "compiler")]
mod watch;

use anyhow::{Context, bail, ensure};
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

/// Packs ONNX models and runs them in `tradewind.wasm`.
#[derive(clap::Parser)]
#[command(version)]
pub enum Command {
    /// Make a key to sign packs and modules with.
    Keygen(keygen::Keygen),
    /// Sign a module.
    Sign(sign::Sign),
    /// Compile an ONNX model into a pack.
    #[cfg(feature = "compiler")]
    Pack(pack::Pack),
    /// Run an ONNX model on data: outputs, times, size.
    #[cfg(feature = "compiler")]
    Run(run::Run),
    /// Run test cases in the ONNX project's layout, and compare with their recorded outputs.
    #[cfg(feature = "compiler")]
    Verify(verify::Verify),
    /// Show what a pack holds.
    Inspect(inspect::Inspect),
    /// Build a snapshot of prices, stock and places.
    Snapshot(snapshot::Snapshot),
    /// Rank products: JSON or JSON Lines requests in, replies out.
    Rank(rank::Rank),
    /// Ask an insight: JSON or JSON Lines requests in, what it says and why out.
    Insight(insight::Insight),
    /// Price products: JSON or JSON Lines requests in, quotes out.
    Quote(quote::Quote),
    /// Decide from where orders ship: JSON Lines of orders in, and out.
    Allocate(allocate::Allocate),
    /// Find what is about to go wrong: JSON Lines of shipments in, exceptions out.
    Exceptions(exceptions::Exceptions),
    #[cfg(feature = "serve")]
    /// Serve the warehouse: orders, stock, shipments and a worklist, over HTTP.
    Serve(serve::Serve),
    /// Make recorded decisions again, and say what differs.
    Replay(replay::Replay),
    /// Learn from an event log what is known of each product.
    Tables(tables::Tables),
    /// Write the feature matrix that a model is trained on.
    #[command(subcommand)]
    Features(features::Features),
}

impl Command {
    /// Does what the command says; what it prints goes to `out`.
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
        }
    }
}

/// Which keys are trusted.
#[derive(clap::Args)]
struct TrustArgs {
    /// A public key whose packs are loaded; may be given several times.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// Load packs that nobody signed.
    #[arg(long, conflicts_with = "trust")]
    unsigned: bool,
}

impl TrustArgs {
    fn trust(&self) -> anyhow::Result<Trust> {
        match (self.trust.as_slice(), self.unsigned) {
            (_, true) => Ok(Trust::unsigned()),
            ([], false) => bail!("which keys are trusted? Give `--trust KEY.pub`, or `--unsigned` to load any pack"),
            (paths, false) => Ok(Trust::read(paths)?),
        }
    }
}

/// Which module runs.
#[derive(clap::Args)]
struct ModuleArgs {
    /// The module; `tradewind.wasm` beside this program when absent.
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

impl ModuleArgs {
    /// Where it is.
    fn path(&self) -> anyhow::Result<PathBuf> {
        Ok(match &self.module {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tradewind.wasm"),
        })
    }

    /// The module, compiled. It is trusted as this program is, which it lies beside: `serve` alone checks its signature.
    fn load(&self) -> anyhow::Result<Runtime> {
        let path = self.path()?;
        Runtime::new(&read(&path)?).with_context(|| format!("`{}`", path.display()))
    }
}

/// With which key a file is signed.
#[derive(clap::Args)]
struct SignArgs {
    /// The secret key to sign with.
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned")]
    key: Option<PathBuf>,
    /// Leave it unsigned.
    #[arg(long, conflicts_with = "key")]
    unsigned: bool,
}

impl SignArgs {
    /// Signs a pack or a snapshot, if that was asked for.
    fn sign(&self, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        if let Some(key) = &self.key {
            let signature = KeyPair::read(key)?.sign(&bytes[..HEADER_LEN]);
            sign(bytes, &signature);
        }
        Ok(())
    }
}

/// A module with packs in it, and perhaps a snapshot.
#[derive(clap::Args)]
struct LoadArgs {
    /// A pack; may be given several times.
    #[arg(long = "pack", value_name = "FILE")]
    packs: Vec<PathBuf>,
    /// A snapshot of prices, stock and places.
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

/// The snapshot that is loaded.
fn snapshot(tradewind: &Tradewind) -> anyhow::Result<&Snapshot> {
    let snapshot = tradewind.snapshot().context("this is decided over a snapshot; give one with `--snapshot`")?;
    Ok(snapshot)
}

/// The one pack whose task is wanted.
fn pack<'a>(tradewind: &'a Tradewind, wanted: fn(&Task) -> bool, does: &str) -> anyhow::Result<&'a Verified<Pack>> {
    let mut fitting = tradewind.packs().iter().filter(|pack| wanted(&pack.task));
    let found = fitting.next().with_context(|| format!("no pack {does}; give one with `--pack`"))?;
    ensure!(fitting.next().is_none(), "two packs that {does}; give one of them");
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// Reads a JSON file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    serde_json::from_slice(without_bom(&read(path)?)).with_context(|| format!("`{}`", path.display()))
}

/// Writes a file, and the folder that it is in.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
}
