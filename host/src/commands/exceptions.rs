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
    /// The moment of the decision, in RFC 3339.
    #[arg(long, value_name = "MOMENT")]
    at: Millis,
    /// What is listed and what it costs, as JSON; a guess in cents when absent.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The most exceptions to list.
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    shipments: RequestArgs,
}

impl Exceptions {
    /// Looks at all shipments at once, and writes a line for each exception, the worst first, and for each line
    /// that is no shipment.
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
            |shipment| Ok(serde_json::from_str::<Shipment>(shipment).context("this is no shipment")?.message()?),
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
