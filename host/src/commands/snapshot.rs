use super::{ModuleArgs, SignArgs, read, write};
use anyhow::Context;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::forecast::ForecastRequest;
use tradewind_host::{
    Tradewind, Trust, Verified,
    snapshot::{Built, Parts},
};
use tradewind_json::hex;

#[derive(clap::Args)]
pub struct Snapshot {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(clap::Subcommand)]
enum SnapshotCommand {
    /// Build a snapshot from a folder of tables.
    Build(Build),
}

#[derive(clap::Args)]
struct Build {
    /// A folder with snapshot.json and tables: CSV, JSON, JSON Lines or Parquet.
    folder: PathBuf,
    /// The snapshot to write, for edge and warehouse.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The public part to write, for everyone: no costs, guards, stock or lanes.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// The pack that forecasts demand from the sales, where the folder has no table of demand.
    #[arg(long, value_name = "PACK", requires = "trusted")]
    demand: Option<PathBuf>,
    /// The public key that the pack is signed with.
    #[arg(long, value_name = "FILE", id = "trusted")]
    trust: Vec<PathBuf>,
    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    sign: SignArgs,
}

impl Snapshot {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let SnapshotCommand::Build(build) = self.command;
        build.run(out)
    }
}

impl Build {
    fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let place = || format!("`{}` was not built", self.folder.display());
        let mut parts = Parts::read(&self.folder).with_context(place)?;
        if let Some(pack) = &self.demand {
            self.forecast(&mut parts, pack)?;
        }
        let Built { mut whole, mut public, snapshot, .. } = parts.build().with_context(place)?;
        self.sign.sign(&mut whole)?;
        write(&self.out, &whole)?;
        let info = snapshot.info();
        writeln!(out, "{} {}, root {}", info.name, info.version, hex(&info.root))?;
        writeln!(out, "  {} products, {} regions", info.products, info.regions)?;
        writeln!(out, "{}: {} bytes", self.out.display(), whole.len())?;
        if let Some(path) = &self.public {
            self.sign.sign(&mut public)?;
            write(path, &public)?;
            writeln!(out, "{}: {} bytes, public", path.display(), public.len())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Forecasts demand with a pack, in the module, from the snapshot as it is without.
    fn forecast(&self, parts: &mut Parts, pack: &Path) -> anyhow::Result<()> {
        let trust = Trust::read(&self.trust)?;
        let pack = Verified::pack(read(pack)?, &trust).with_context(|| format!("`{}`", pack.display()))?;
        // Made here and now, by nobody else.
        let snapshot = Verified::snapshot(parts.build()?.whole, &Trust::unsigned())?;
        let builder = Tradewind::builder().runtime(self.module.load()?);
        let tradewind = builder.verified_pack(pack).verified_snapshot(snapshot.clone()).build()?;
        let products = parts.forecastable();
        let request = ForecastRequest { pack: None, snapshot: snapshot.root, products: products.clone() };
        parts.take_forecast(&products, &tradewind.forecast(&request)?)?;
        Ok(())
    }
}
