//! The subcommands, one a file.

mod demo;
mod features;
mod inspect;
mod keygen;
#[cfg(feature = "compiler")]
mod pack;
mod rank;
#[cfg(feature = "compiler")]
mod run;
mod tables;
#[cfg(feature = "compiler")]
mod verify;

use anyhow::{Context, bail};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::guest::Client;
use tradewind_host::{Runtime, Trust, WasmGuest};

/// Packs ONNX models and runs them in `tradewind.wasm`.
#[derive(clap::Parser)]
#[command(version)]
pub enum Command {
    /// Make a key to sign packs with.
    Keygen(keygen::Keygen),
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
    /// Rank products: JSON or JSON Lines requests in, replies out.
    Rank(rank::Rank),
    /// Learn from an event log what is known of each product.
    Tables(tables::Tables),
    /// Write the feature matrix that a model is trained on.
    #[command(subcommand)]
    Features(features::Features),
    /// Rank for real households, and compare with what they bought next.
    Demo(demo::Demo),
}

impl Command {
    /// Does what the command says; what it prints goes to `out`.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Keygen(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Pack(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Run(command) => command.run(out),
            #[cfg(feature = "compiler")]
            Self::Verify(command) => command.run(out),
            Self::Inspect(command) => command.run(out),
            Self::Rank(command) => command.run(out),
            Self::Tables(command) => command.run(out),
            Self::Features(command) => command.run(out),
            Self::Demo(command) => command.run(out),
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
    /// The module's bytes, and the module ready for use.
    fn load(&self) -> anyhow::Result<(Vec<u8>, Runtime)> {
        let path = match &self.module {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("tradewind.wasm"),
        };
        let module = read(&path)?;
        let runtime = Runtime::new(&module).with_context(|| format!("`{}`", path.display()))?;
        Ok((module, runtime))
    }
}

/// A module with a pack in it.
#[derive(clap::Args)]
struct LoadArgs {
    /// The pack.
    #[arg(long, value_name = "FILE")]
    pack: PathBuf,
    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// What [`LoadArgs`] name, ready.
struct Loaded {
    client: Client<WasmGuest>,
    pack: Vec<u8>,
    module: Vec<u8>,
    runtime: Runtime,
}

impl LoadArgs {
    fn load(&self) -> anyhow::Result<Loaded> {
        let (module, runtime) = self.module.load()?;
        let pack = read(&self.pack)?;
        self.trust.trust()?.verify(&pack).with_context(|| format!("`{}`", self.pack.display()))?;
        let client = client_of(&runtime, &pack).with_context(|| format!("`{}`", self.pack.display()))?;
        Ok(Loaded { client, pack, module, runtime })
    }
}

/// A new guest that has loaded a verified pack.
fn client_of(runtime: &Runtime, pack: &[u8]) -> anyhow::Result<Client<WasmGuest>> {
    let mut client = Client::new(runtime.guest()?);
    client.load(pack)?;
    Ok(client)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}
