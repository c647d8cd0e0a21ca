use super::{
    LoadArgs,
    lines::{self, RequestArgs},
    live::LiveArgs,
    read, read_json, snapshot,
};
use anyhow::Context;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::{
    Millis,
    allocate::{AllocateRequest, AllocatedOrder, AllocationPolicy, ShopOrder},
};
use tradewind_json::{Priced, without_bom};

#[derive(clap::Args)]
pub struct Allocate {
    #[command(flatten)]
    load: LoadArgs,
    /// Time of the decision, RFC 3339.
    #[arg(long, value_name = "MOMENT")]
    at: Millis,
    /// Costs as JSON: day_late, late, split, missing, stock_out and change, in minor units; otherwise the defaults.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    live: LiveArgs,
    /// Earlier output of this command: its plans are kept where possible.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    #[command(flatten)]
    orders: RequestArgs,
}

impl Allocate {
    /// Decides all orders together, and writes a line for each: its allocation, or its error.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let tradewind = self.load.load()?;
        let snapshot = snapshot(&tradewind)?;
        let (root, currency) = (snapshot.root, snapshot.storefront.currency);
        let policy: AllocationPolicy = self.policy.as_deref().map(read_json).transpose()?.unwrap_or_default();
        let live = self.live.read()?;
        let mut previous = Vec::new();
        if let Some(path) = &self.previous {
            let text = read(path)?;
            for order in serde_json::Deserializer::from_slice(without_bom(&text)).into_iter::<Priced<AllocatedOrder>>()
            {
                previous.extend(order.with_context(|| format!("`{}`", path.display()))?.document.planned());
            }
        }
        lines::answer_all(
            &tradewind,
            &self.orders,
            out,
            |order| {
                let order: ShopOrder = serde_json::from_str(order).context("invalid order")?;
                order.check()?;
                Ok(order)
            },
            |asked, orders, out| {
                let count = orders.len();
                let request =
                    AllocateRequest { snapshot: root, at: self.at, orders, policy, live, previous, late: None };
                let allocated = asked.ask(&request)?;
                let mut short = 0;
                for document in allocated.orders {
                    short += usize::from(!document.shortfalls.is_empty());
                    serde_json::to_writer(&mut *out, &Priced { currency, document })?;
                    writeln!(out)?;
                }
                let (total, bound) = (allocated.total.0, allocated.bound.0);
                eprintln!(
                    "tradewind: {count} orders, {short} of them short, cost {total}; no plan costs less than {bound}"
                );
                Ok(())
            },
        )
    }
}
