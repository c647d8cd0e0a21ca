//! One shopper's way from the page to the packing bench, over one snapshot.

use super::{super::read_json, TITLE};
use anyhow::{Context, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tradewind_core::{
    Day, Line, Millis, Money, Sku,
    allocate::{AllocateRequest, Problem, ShopOrder},
    exceptions::{ExceptionRequest, ExceptionScore, Id, Policy, Step},
    guest::Client,
    pack::Digest,
    quote::{Objective, PriceReason, Quote, QuoteRequest},
    rank::{Constraints, RankRequest},
    snapshot::{Region, Storefront},
};
use tradewind_host::WasmGuest;
use tradewind_json::{AllocationPolicy, Shipment};

/// What the story is told over.
#[derive(clap::Args)]
pub struct StoryArgs {
    /// The region that the order goes to.
    #[arg(long, value_name = "REGION", default_value = "SEA")]
    region: String,
    /// What things cost: see `tradewind allocate --help`.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Shipments on their way: JSON Lines.
    #[arg(long, value_name = "FILE")]
    shipments: PathBuf,
}

/// Products on the page, and exceptions on the list.
const SHOWN: usize = 6;
/// Of these so many are ordered.
const ORDERED: usize = 4;

/// A snapshot, and what its products are called.
pub struct Shop<'a> {
    pub root: Digest,
    pub storefront: Storefront,
    pub titles: &'a BTreeMap<Sku, String>,
}

impl Shop<'_> {
    fn title(&self, sku: &Sku) -> String {
        self.titles.get(sku).cloned().unwrap_or_else(|| sku.to_string())
    }
}

/// Tells the story of a shopper who is ranked for by `request`.
pub fn tell(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    shop: &Shop<'_>,
    args: &StoryArgs,
    request: RankRequest,
) -> anyhow::Result<()> {
    let regions = &shop.storefront.regions;
    let region = regions.iter().find(|region| region.code.as_str() == args.region);
    let region = region.with_context(|| format!("the snapshot has no region `{}`", args.region))?;
    let at = request.at;
    writeln!(out, "\n── one order to {}, from the page to the packing bench, all over the same snapshot", region.code)?;

    let constraints = Constraints { deliverable_to: Some(region.code.clone()), ..Constraints::default() };
    let ranking = client.rank(RankRequest { constraints, limit: SHOWN as u16, ..request })?;
    let products: Vec<Sku> = ranking.items.into_iter().map(|item| item.sku).collect();
    ensure!(products.len() >= ORDERED, "only {} products can be delivered there", products.len());
    let quotes = prices(out, client, shop, region, at, &products)?;
    order(out, client, shop, region, at, &quotes[..ORDERED], &args.policy)?;
    watch(out, client, shop, at, &args.shipments)
}

fn prices(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    shop: &Shop<'_>,
    region: &Region,
    at: Millis,
    products: &[Sku],
) -> anyhow::Result<Vec<Quote>> {
    writeln!(out, "\n   what can be delivered there, as ranked, with prices that know nothing of the shopper")?;
    writeln!(out, "   {:<TITLE$}    list   price  lowest of 30 days  days  why", "")?;
    let mut quotes = Vec::new();
    for product in products {
        let objective = Objective::MARGIN;
        let (snapshot, region_code) = (shop.root, region.code.clone());
        let request = QuoteRequest { snapshot, at, product: product.clone(), region: region_code, objective };
        let quote = client.quote(request)?;
        let promise = shop.storefront.catalog.id(product).and_then(|id| region.promise(id));
        let days = promise.map_or("–".into(), |promise| format!("{}–{}", promise.min_days, promise.max_days));
        let why: Vec<_> = quote.reasons.iter().map(|reason| why(*reason)).collect();
        writeln!(
            out,
            "   {:<TITLE$.TITLE$} {:>7} {:>7}  {:>17}  {days:>4}  {}",
            shop.title(product),
            money(quote.list),
            money(quote.price),
            money(quote.lowest_30_days),
            why.join("; ")
        )?;
        quotes.push(quote);
    }
    Ok(quotes)
}

fn order(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    shop: &Shop<'_>,
    region: &Region,
    at: Millis,
    quotes: &[Quote],
    policy: &Path,
) -> anyhow::Result<()> {
    let policy: AllocationPolicy = read_json(policy)?;
    let sum: i64 = quotes.iter().map(|quote| quote.price.0).sum();
    let order = ShopOrder {
        id: Id::new("order-1")?,
        region: region.code.clone(),
        lines: quotes.iter().map(|quote| Line { sku: quote.product.clone(), quantity: 1 }).collect(),
        promised: Day(at.day().0 + 6),
        priority: 0,
        complete: false,
        max_splits: Problem::MAX_SHIPMENTS as u16,
        pinned: None,
        excluded: Vec::new(),
    };
    let allocated = client.allocate(AllocateRequest {
        snapshot: shop.root,
        at,
        orders: vec![order],
        policy: policy.into(),
        stock: Vec::new(),
        closed: Vec::new(),
        previous: Vec::new(),
    })?;
    writeln!(out, "\n   the first {ORDERED} are ordered for {}; from where they ship", money(Money(sum)))?;
    for order in &allocated.orders {
        for shipment in &order.shipments {
            let lines: Vec<_> = shipment.lines.iter().map(|line| shop.title(&line.sku).to_lowercase()).collect();
            writeln!(
                out,
                "   {}  leaves {}, arrives {}, {:.0} % risk of being late: {}",
                shipment.node,
                date(shipment.dispatch),
                date(shipment.arrival),
                f64::from(shipment.late.0) / 100.0,
                lines.join(", ")
            )?;
        }
        for short in &order.shortfalls {
            writeln!(out, "   not shipped: {} of {} ({:?})", short.quantity, shop.title(&short.sku), short.reason)?;
        }
    }
    writeln!(
        out,
        "   cost {}, freight, handling, risk and stock; no plan costs less than {}",
        money(allocated.total),
        money(allocated.bound)
    )?;
    Ok(())
}

fn watch(
    out: &mut dyn Write,
    client: &mut Client<WasmGuest>,
    shop: &Shop<'_>,
    at: Millis,
    shipments: &Path,
) -> anyhow::Result<()> {
    let text = fs::read_to_string(shipments).with_context(|| format!("cannot read `{}`", shipments.display()))?;
    let shipments = text.lines().map(|line| Ok(serde_json::from_str::<Shipment>(line)?.message()?));
    let shipments = shipments.collect::<anyhow::Result<Vec<_>>>()?;
    let count = shipments.len();
    let found = client.exceptions(ExceptionRequest {
        snapshot: Some(shop.root),
        at: Millis(at.0 + 8 * 3_600_000),
        shipments,
        policy: Policy::default(),
        limit: 1_000,
        ..ExceptionRequest::default()
    })?;
    writeln!(out, "\n   of {count} shipments (generated scans), {} need attention; the dearest", found.len())?;
    for ExceptionScore { shipment, kind, probability, severity, actions, .. } in found.iter().take(SHOWN) {
        let actions: Vec<_> = actions.iter().map(|action| what(&action.step)).collect();
        writeln!(
            out,
            "   {:<12} {:<22} {:>3.0} %  {:>7} at stake  {}",
            shipment.as_str(),
            format!("{kind:?}"),
            f64::from(probability.0) / 100.0,
            money(*severity),
            actions.join(", ")
        )?;
    }
    Ok(())
}

fn why(reason: PriceReason) -> String {
    match reason {
        PriceReason::Locked => "locked".into(),
        PriceReason::ModelFault => "no forecast, so unchanged".into(),
        PriceReason::Unchanged => "as it is".into(),
        PriceReason::Lowered => "lower earns more".into(),
        PriceReason::Raised => "higher earns more".into(),
        PriceReason::StockShort => "little stock".into(),
        PriceReason::StockLong => "much stock".into(),
        PriceReason::Held(bound) => format!("held by the {}", format!("{bound:?}").to_lowercase()),
    }
}

fn what(step: &Step) -> String {
    match step {
        Step::Reroute { to, cost, .. } => format!("send from {} for {} more", to.as_str(), money(*cost)),
        Step::Split { now, later } => format!("send {} now and {} later", now.len(), later.len()),
        Step::Upgrade { service, cost } => format!("{} for {} more", service.as_str(), money(*cost)),
        Step::Hold => "hold".into(),
        Step::Notify { .. } => "tell the customer".into(),
    }
}

fn money(amount: Money) -> String {
    let (sign, cents) = if amount.0 < 0 { ("−", -amount.0) } else { ("", amount.0) };
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

fn date(day: Day) -> String {
    super::date(i64::from(day.0) * Millis::DAY)
}
