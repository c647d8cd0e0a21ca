mod story;

use super::LoadArgs;
use anyhow::{Context, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use story::{Shop, StoryArgs};
use tradewind_core::{
    Event, Millis, Sku,
    guest::Client,
    pack::{SectionKind, Task},
    rank::{RankRequest, RankTables, Ranking},
};
use tradewind_host::{
    WasmGuest, hex, sha256,
    training::{EventLog, Order, Target, read_products},
};

/// How many households are shown.
const SHOWN: usize = 3;
/// How many products are ranked for each.
const LIMIT: u16 = 10;
/// Width of a title in columns.
const TITLE: usize = 44;

#[derive(clap::Args)]
pub struct Demo {
    #[command(flatten)]
    load: LoadArgs,
    /// The folder with catalog.csv, events.csv and targets.csv.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    #[command(flatten)]
    story: StoryArgs,
}

impl Demo {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let mut loaded = self.load.load()?;
        let view = loaded.pack(|task| matches!(task, Task::Rank(_)), "ranks")?;
        let (manifest, root) = (view.manifest().clone(), view.root());
        let tables = view.read::<RankTables>(SectionKind::Tables)?.prepared()?;
        let (module, name) = (&loaded.module, &manifest.name);
        writeln!(out, "module  {:>7} bytes  sha256 {}…", module.len(), &hex(&sha256(module))[..16])?;
        writeln!(out, "pack    {name} {}  root   {}…", manifest.version, &hex(&root)[..16])?;

        let (catalog, titles) = read_products(&self.data.join("catalog.csv"))?;
        let titles: BTreeMap<Sku, String> = catalog.catalog.skus().iter().cloned().zip(titles).collect();
        let log = EventLog::read(&self.data.join("events.csv"))?;
        let targets = Target::read(&self.data.join("targets.csv"), "test")?;
        ensure!(!targets.is_empty(), "`{}` has no targets of split `test`", self.data.display());

        let (root, storefront) = loaded.storefront()?;
        let shop = Shop { root, storefront, titles: &titles };
        let target = &targets[targets.len() / 2];
        story::tell(out, &mut loaded.client, &shop, &self.story, request(name, &log, target, LIMIT))?;

        // Households spread over the whole list, chosen by their place in it alone.
        for target in (0..SHOWN).filter_map(|n| targets.get((2 * n + 1) * targets.len() / (2 * SHOWN))) {
            show(out, &mut loaded.client, name, &log, target, &titles)?;
        }
        measure(out, &mut loaded.client, name, &log, &targets, &tables)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn request(pack: &str, log: &EventLog, target: &Target, limit: u16) -> RankRequest {
    let at = Millis(target.at);
    let events: Vec<Event> = log.before(&target.profile, at).iter().map(Order::event).collect();
    RankRequest { events, ..RankRequest::new(pack, at, limit) }
}

/// Shows one household: what it bought last, what is ranked next and why, what it really bought.
fn show(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    pack: &str,
    log: &EventLog,
    target: &Target,
    titles: &BTreeMap<Sku, String>,
) -> anyhow::Result<()> {
    let title = |sku: &Sku| titles.get(sku).cloned().unwrap_or_else(|| sku.to_string());
    let history = log.before(&target.profile, Millis(target.at));
    writeln!(out, "\n── household {} · {} orders before {} ", target.profile, history.len(), date(target.at))?;
    for order in history.iter().rev().take(2).rev() {
        let lines: Vec<_> = order.lines.iter().map(|line| title(&line.sku).to_lowercase()).collect();
        writeln!(out, "   {}  {}", date(order.at.0), shortened(&lines, 6))?;
    }
    let bought = target.bought(log);
    let ranking = client.rank(request(pack, log, target, LIMIT)).context("the module refused the request")?;
    writeln!(out, "   ranked next by the module")?;
    for (place, item) in ranking.items.iter().enumerate() {
        let mark = if bought.contains(&item.sku) { '✓' } else { ' ' };
        let reasons: Vec<_> = item.reasons.iter().take(2).map(|reason| reason.sentence(title)).collect();
        writeln!(out, "   {:>2} {mark} {:<TITLE$.TITLE$}  {}", place + 1, title(&item.sku), reasons.join("; "))?;
    }
    let names: Vec<_> = bought.iter().map(|sku| title(sku).to_lowercase()).collect();
    writeln!(
        out,
        "   really bought  {} of them, among {} products: {}",
        hits(&ranking, &bought),
        bought.len(),
        shortened(&names, 6)
    )?;
    Ok(())
}

/// Ranks for every household of the split, and tells how well and how fast.
fn measure(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    pack: &str,
    log: &EventLog,
    targets: &[Target],
    tables: &RankTables,
) -> anyhow::Result<()> {
    const DEPTH: u16 = 20;
    let popular: Vec<&Sku> =
        tables.by_popularity().iter().filter_map(|id| tables.catalog.sku(*id)).take(usize::from(DEPTH)).collect();
    let mut latencies = Vec::with_capacity(targets.len());
    let (mut recall, mut baseline, mut considered) = (0.0, 0.0, 0u64);
    for target in targets {
        let bought = target.bought(log);
        // A shop sends the profile, not the history: so does what is timed.
        let first = client.rank(request(pack, log, target, DEPTH)).context("the module refused the request")?;
        let again = RankRequest { profile: first.profile, ..RankRequest::new(pack, Millis(target.at), DEPTH) };
        let started = Instant::now();
        let ranking = client.rank(again).context("the module refused the request")?;
        latencies.push(started.elapsed());
        considered += u64::from(ranking.considered);
        let share = |hits: usize| hits as f64 / bought.len().max(1) as f64;
        recall += share(hits(&ranking, &bought));
        baseline += share(popular.iter().filter(|sku| bought.contains(*sku)).count());
    }
    let total: Duration = latencies.iter().sum();
    let count = targets.len() as f64;
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    writeln!(
        out,
        "\n── all {} households of the test split, through the module under wasmtime, one thread",
        targets.len()
    )?;
    writeln!(out, "   recall@20   {:.3}   (most popular of late: {:.3})", recall / count, baseline / count)?;
    writeln!(
        out,
        "   latency     {:.2} ms median, {:.2} ms at 99 %, profile in and ranked products out",
        at(0.5),
        at(0.99)
    )?;
    writeln!(
        out,
        "   throughput  {:.0} decisions a second, {:.0} candidates scored a second",
        count / total.as_secs_f64(),
        considered as f64 / total.as_secs_f64()
    )?;
    Ok(())
}

fn hits(ranking: &Ranking, bought: &BTreeSet<&Sku>) -> usize {
    ranking.items.iter().filter(|item| bought.contains(&item.sku)).count()
}

/// The first of some names, and how many more there are.
fn shortened(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The UTC date of a moment, as `YYYY-MM-DD`.
fn date(at: i64) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.strftime("%Y-%m-%d").to_string())
}
