use super::{
    LoadArgs,
    lines::{self, RequestArgs},
    live::LiveArgs,
    read_json, snapshot,
};
use anyhow::Context;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::{
    Millis,
    exceptions::{ExceptionRequest, Policy},
};
use tradewind_json::{Priced, Shipment};

#[derive(clap::Args)]
pub struct Exceptions {
    #[command(flatten)]
    load: LoadArgs,
    /// Time of the decision, RFC 3339.
    #[arg(long, value_name = "MOMENT")]
    at: Millis,
    /// Kinds of exceptions and their costs, as JSON (default: guesses in cents).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Maximum number of exceptions.
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    shipments: RequestArgs,
}

impl Exceptions {
    /// Scores all shipments together, and writes a line for each exception, worst first, and for each invalid line.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tradewind = self.load.load()?;
        let snapshot = snapshot(&tradewind)?;
        let (root, currency) = (snapshot.root, snapshot.storefront.currency);
        let policy: Policy = match &self.policy {
            None => Policy::default(),
            Some(path) => read_json(path)?,
        };
        let live = self.live.read()?;
        lines::answer_all(
            &tradewind,
            &self.shipments,
            out,
            |shipment| Ok(serde_json::from_str::<Shipment>(shipment).context("invalid shipment")?.message()?),
            |asked, shipments, out| {
                let count = shipments.len();
                let found = asked.ask(&ExceptionRequest {
                    snapshot: Some(root),
                    at: self.at,
                    shipments,
                    live,
                    lanes: Vec::new(),
                    places: Vec::new(),
                    policy,
                    limit: self.limit,
                    late: None,
                })?;
                eprintln!("tradewind: {count} shipments, {} exceptions", found.len());
                for document in found {
                    serde_json::to_writer(&mut *out, &Priced { currency, document })?;
                    writeln!(out)?;
                }
                Ok(())
            },
        )
    }
}
