use std::path::PathBuf;
use tradewind_core::{
    Code, Sku,
    snapshot::{Booked, Live, LiveStock},
};
use tradewind_host::rows::Table;

/// Changes since the snapshot.
#[derive(clap::Args)]
pub struct LiveArgs {
    /// Changed stock: a table with node, sku and available.
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,
    /// Shipments already booked at nodes for the day: a table with node and shipments; rows of a node are summed.
    #[arg(long, value_name = "FILE")]
    booked: Option<PathBuf>,
    /// Closed node; may be repeated.
    #[arg(long, value_name = "NODE")]
    closed: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct StockRow {
    node: String,
    sku: String,
    available: u32,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct BookedRow {
    node: String,
    shipments: u32,
}

impl LiveArgs {
    pub fn read(self) -> anyhow::Result<Live> {
        let mut live = Live::default();
        if let Some(path) = self.stock {
            Table::<StockRow>::read_file(path)?.each(|StockRow { node, sku, available }| {
                live.stock.push(LiveStock { node: Code::new(node)?, sku: Sku::new(sku)?, available: *available });
                Ok::<_, tradewind_core::Error>(())
            })?;
        }
        if let Some(path) = self.booked {
            Table::<BookedRow>::read_file(path)?.each(|BookedRow { node, shipments }| {
                live.booked.push(Booked { node: Code::new(node)?, shipments: *shipments });
                Ok::<_, tradewind_core::Error>(())
            })?;
        }
        live.closed = self.closed.into_iter().map(Code::new).collect::<Result<_, _>>()?;
        Ok(live)
    }
}
