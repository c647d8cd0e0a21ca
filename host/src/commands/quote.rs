use super::{LoadArgs, lines::{self, RequestArgs}};
use anyhow::{Context, ensure};
use std::{io::Write, process::ExitCode};
use tradewind_core::pack::{PackView, SectionKind, Task};
use tradewind_host::json::{QuoteReply, QuoteRequest};

#[derive(clap::Args)]
pub struct Quote {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    requests: RequestArgs,
}

impl Quote {
    /// Writes a line for each request: its price, or what was wrong with it.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let mut loaded = self.load.load()?;
        loaded.pack(|task| matches!(task, Task::Price(_)), "prices")?;
        let snapshot = loaded.snapshot.as_deref().context("a price is computed from a snapshot; give one with `--snapshot`")?;
        let view = PackView::parse(snapshot)?;
        let (root, currency) = (view.root(), view.read::<Storefront>(SectionKind::Storefront)?.currency);
        lines::answer(&mut loaded, &self.requests, out, &mut |client, request| {
            let request: QuoteRequest = serde_json::from_str(request).context("this is no quote request")?;
            let id = request.id.clone();
            let quote = client.quote(request.message(root)?)?;
            Ok(serde_json::to_string(&QuoteReply { id, currency, quote })?)
        })
    }
}
