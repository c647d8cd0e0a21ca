use super::{
    LoadArgs,
    lines::{self, RequestArgs},
    pack, snapshot,
};
use anyhow::Context;
use std::{io::Write, process::ExitCode};
use tradewind_core::Task;
use tradewind_json::{Priced, QuoteReply, QuoteRequest};

#[derive(clap::Args)]
pub struct Quote {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    requests: RequestArgs,
}

impl Quote {
    /// Writes a line for each request: its price or its error.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tradewind = self.load.load()?;
        pack(&tradewind, |task| matches!(task, Task::Price(_)), "prices")?;
        let snapshot = snapshot(&tradewind)?;
        let currency = snapshot.storefront.currency;
        lines::answer(&tradewind, &self.requests, out, &mut |asked, request| {
            let request: QuoteRequest = serde_json::from_str(request).context("invalid quote request")?;
            let id = request.id.clone();
            let document = asked.ask(&request.message(snapshot.root))?;
            Ok(serde_json::to_string(&QuoteReply { id, quote: Priced { currency, document } })?)
        })
    }
}
