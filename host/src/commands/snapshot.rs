use super::{ModuleArgs, SignArgs, read, write};
use anyhow::Context;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tradewind_core::{
    Error, Id, Line, Money, Sku,
    allocate::{AllocateRequest, AllocationPolicy, ShopOrder},
    forecast::ForecastRequest,
    snapshot::{Live, Region},
};
use tradewind_host::{
    Runtime, Tradewind, Trust, Verified,
    snapshot::{Built, Parts},
};
use tradewind_json::hex;

/// Loads both files of a snapshot into the module, and allocates an order for each region.
fn tried(runtime: Runtime, built: &Built) -> anyhow::Result<()> {
    let load = |bytes: &[u8]| {
        // It was just made by this process.
        let snapshot = Verified::snapshot(bytes.to_vec(), &Trust::unsigned())?;
        Ok::<_, anyhow::Error>(Tradewind::builder().runtime(runtime.clone()).verified_snapshot(snapshot).build()?)
    };
    load(&built.public)?;
    let (whole, storefront) = (load(&built.whole)?, &built.snapshot.storefront);
    let order = |(sku, region): (Sku, &Region)| {
        Ok::<_, Error>(ShopOrder {
            id: Id::new(region.code.as_str())?,
            region: region.code.clone(),
            lines: vec![Line { sku, quantity: 1 }],
            promised: storefront.issued.day(),
            priority: 0,
            complete: false,
            max_splits: 0,
            pinned: None,
            excluded: Vec::new(),
        })
    };
    whole.allocate(&AllocateRequest {
        snapshot: built.snapshot.root,
        at: storefront.issued,
        orders: storefront.catalog.skus().zip(&storefront.regions).map(order).collect::<Result<_, _>>()?,
        policy: AllocationPolicy { late: Money(0), ..AllocationPolicy::default() },
        live: Live::default(),
        previous: Vec::new(),
        late: None,
    })?;
    Ok(())
}

/// Number of products whose demand is forecast together.
const TOGETHER: usize = 4_096;

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
    /// Folder with snapshot.json and tables: CSV, JSON, JSON Lines or Parquet.
    folder: PathBuf,
    /// Output file of the full snapshot, for edge and warehouse.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Output file of the public part: no costs, price guards, stock or lanes.
    #[arg(long, value_name = "FILE")]
    public: Option<PathBuf>,
    /// Pack that forecasts demand from the sales, if the folder has no demand table.
    #[arg(long, value_name = "PACK", requires = "trusted")]
    demand: Option<PathBuf>,
    /// Public key of the pack.
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
        let place = || format!("cannot build `{}`", self.folder.display());
        let mut parts = Parts::read(&self.folder).with_context(place)?;
        if let Some(pack) = &self.demand {
            self.forecast(&mut parts, pack)?;
        }
        let built = parts.build().with_context(place)?;
        tried(self.module.load()?, &built).with_context(place)?;
        let Built { mut whole, mut public, snapshot, .. } = built;
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

    /// Forecasts demand with a pack, in the module, from the snapshot without demand.
    fn forecast(&self, parts: &mut Parts, pack: &Path) -> anyhow::Result<()> {
        let trust = Trust::read(&self.trust)?;
        let pack = Verified::pack(read(pack)?, &trust).with_context(|| format!("`{}`", pack.display()))?;
        // The snapshot was just made by this process.
        let snapshot = Verified::snapshot(parts.build()?.whole, &Trust::unsigned())?;
        let builder = Tradewind::builder().runtime(self.module.load()?);
        let tradewind = builder.verified_pack(pack).verified_snapshot(snapshot.clone()).build()?;
        let products = parts.forecastable();
        let mut weeks = Vec::with_capacity(products.len());
        // A part of them at a time, so that the memory of a call does not depend on the size of the catalogue.
        for part in products.chunks(TOGETHER) {
            let request = ForecastRequest { pack: None, snapshot: snapshot.root, products: part.to_vec() };
            weeks.extend(tradewind.forecast(&request)?);
        }
        parts.take_forecast(&products, &weeks)?;
        Ok(())
    }
}
