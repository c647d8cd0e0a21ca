use super::{
    LoadArgs,
    lines::{self, RequestArgs},
    live::LiveArgs,
    read, read_json, snapshot,
};
use anyhow::Context;
use std::{io::Write, path::PathBuf, process::ExitCode};
use tradewind_core::allocate::AllocateRequest;
use tradewind_json::{AllocatedOrder, AllocationPolicy, Moment, Order, without_bom};

#[derive(clap::Args)]
pub struct Allocate {
    #[command(flatten)]
    load: LoadArgs,
    /// Time of the decision, RFC 3339.
    #[arg(long, value_name = "MOMENT")]
    at: Moment,
    /// Costs as JSON: day_late, late, split, missing, stock_out and change, in minor units.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
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
        let snapshot = snapshot(&tradewind)?.root;
        let policy: AllocationPolicy = read_json(&self.policy)?;
        let live = self.live.read()?;
        let mut previous = Vec::new();
        if let Some(path) = &self.previous {
            let text = read(path)?;
            for order in serde_json::Deserializer::from_slice(without_bom(&text)).into_iter::<AllocatedOrder>() {
                previous.extend(order.with_context(|| format!("`{}`", path.display()))?.planned()?);
            }
        }
        lines::answer_all(
            &tradewind,
            &self.orders,
            out,
            |order| Ok(serde_json::from_str::<Order>(order).context("invalid order")?.message()?),
            |asked, orders, out| {
                let count = orders.len();
                let policy = policy.into();
                let request = AllocateRequest { snapshot, at: self.at.0, orders, policy, live, previous, late: None };
                let allocated = asked.ask(&request)?;
                let mut short = 0;
                for order in allocated.orders {
                    short += usize::from(!order.shortfalls.is_empty());
                    serde_json::to_writer(&mut *out, &AllocatedOrder::from(order))?;
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
