use super::{SignArgs, write};
use anyhow::Context;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_host::{hex, snapshot};

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
        let snapshot::Built { mut whole, mut public, snapshot } =
            snapshot::build(&self.folder).with_context(|| format!("`{}` was not built", self.folder.display()))?;
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
}
