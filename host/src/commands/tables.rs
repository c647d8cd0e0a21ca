use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::Millis;
use tradewind_host::training::{EventLog, product_tables, read_products, write_products};

#[derive(clap::Args)]
pub struct Tables {
    /// Purchases: CSV with the columns profile,at,order,sku,quantity.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Products: CSV with the columns sku,category,title.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// Use only orders before this time, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    before: Millis,
    /// Number of related products to keep for each.
    #[arg(long, default_value_t = 10)]
    neighbours: usize,
    /// Output file of products.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Tables {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let (catalog, titles) = read_products(&self.catalog)?;
        let log = EventLog::read(&self.events)?;
        let tables = product_tables(catalog.catalog, &log, self.before, self.neighbours)?;
        write_products(&self.out, &tables, &titles)?;
        writeln!(out, "{} products in {}", titles.len(), self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
