//! Decisions with the reference snapshot, and their rules.

use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use tradewind_core::{
    Code, Engine, ErrorKind, Millis, Money, Sku,
    allocate::{AllocateRequest, Allocated, AllocatedOrder, Reason, ShopOrder},
    exceptions::{ExceptionKind, ExceptionRequest, Step},
    guest::{
        Client, ClientError,
        checkout::{Claim, Refusal},
    },
    message::{self, Decision},
    pack::{PackView, PackWriter, SectionKind},
    price_guard::Floor,
    quote::{Objective, QuoteRequest},
    rank::{Constraints, RankRequest, RankTables},
    snapshot::{Booked, Live, LiveStock, Snapshot},
    tracking::State,
};
use tradewind_host::{
    receipts::{Difference, Record},
    sha256,
};
use tradewind_tests::{
    decisions::{AFTERNOON, orders, quotes, shipments},
    dist, module,
};

fn snapshot() -> Result<(Vec<u8>, Snapshot)> {
    let bytes = fs::read(dist("reference.snapshot")?)?;
    let snapshot = Snapshot::read(&bytes)?;
    Ok((bytes, snapshot))
}

/// Packs of all decisions, and their snapshot.
fn files() -> Result<Vec<Vec<u8>>> {
    let packs = ["recommend", "price", "demand", "late"].map(|name| dist(&format!("packs/{name}.pack")));
    let mut files = packs.into_iter().map(|path| Ok(fs::read(path?)?)).collect::<Result<Vec<_>>>()?;
    files.push(snapshot()?.0);
    Ok(files)
}

fn native() -> Result<Client<Engine>> {
    let mut client = Client::new(Engine::new());
    let files = files()?;
    let (snapshot, packs) = files.split_last().context("no files")?;
    for pack in packs {
        client.load(pack)?;
    }
    client.load_snapshot(snapshot)?;
    Ok(client)
}

#[test]
fn no_quote_of_any_product_breaks_its_guard() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let pricing = snapshot.pricing.as_ref().context("no pricing")?;
    let region = snapshot.storefront.regions.first().context("no region")?.clone();
    let (mut moved, mut faults) = (0, 0);
    for inputs in pricing.inputs() {
        let sku = snapshot.storefront.catalog.sku(inputs.product).context("no product")?;
        let objective = Objective { margin: 1, revenue: 1, sell_through: 0 };
        let request = QuoteRequest {
            pack: None,
            snapshot: snapshot.root,
            at: AFTERNOON,
            sku,
            region: region.code.clone(),
            objective,
        };
        let quote = client.quote(request)?;
        let past = snapshot.storefront.price(inputs.product).context("no price")?.past(AFTERNOON, region.utc_offset);
        ensure!(inputs.guard.window(&past).allows(quote.price), "{quote:?} of {:?} after {past:?}", inputs.guard);
        ensure!(
            quote.units.is_none_or(f32::is_finite) && quote.elasticity.is_none_or(|slope| slope <= 0.0),
            "{quote:?}"
        );
        // A price that was not listed begins now, so the replaced price is included.
        ensure!(quote.price == past.current || quote.lowest_30_days <= past.current, "{quote:?} after {past:?}");
        moved += usize::from(quote.price != past.current);
        faults += usize::from(quote.units.is_none());
    }
    ensure!(faults == 0, "{faults} products have no usable answer");
    ensure!(moved > 0, "no price ever moves");
    Ok(())
}

#[test]
fn of_two_packs_for_the_same_neither_answers_unasked() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let request = quotes(snapshot.root)?.swap_remove(0);
    let file = fs::read(dist("packs/price.pack")?)?;
    let view = PackView::parse(&file)?;
    let mut other = PackWriter::new("other", "1");
    for section in &view.manifest().sections {
        other = other.bytes(section.kind, view.bytes(section.kind).context("no section")?.to_vec());
    }
    client.load(&other.finish(sha256)?)?;
    let refused = client.quote(request).err().context("one of two packs answers")?.to_string();
    ensure!(refused.contains("`price` and `other`"), "{refused}");
    Ok(())
}

#[test]
fn a_price_is_honoured_at_checkout_only_as_it_was_quoted() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let request = quotes(snapshot.root)?.swap_remove(3);
    let quote = client.quote(request.clone())?;
    let QuoteRequest { at, sku, region, objective, .. } = request;
    let claim = Claim { snapshot: snapshot.root, at, sku, price: quote.price };
    let minute = Millis(at.0 + 60_000);
    let mut verify = |claim: &Claim, now| client.verify_quote(claim, region.clone(), objective, now);

    ensure!(verify(&claim, minute)? == quote);
    let cheaper = Claim { price: Money(quote.price.0 - 1), ..claim.clone() };
    let refused = verify(&cheaper, minute);
    ensure!(refused == Err(Refusal::Price { claimed: cheaper.price, quoted: quote.price }), "{refused:?}");
    ensure!(verify(&claim, quote.valid_until) == Err(Refusal::Expired(quote.valid_until)));
    ensure!(verify(&claim, Millis(at.0 - 1)) == Err(Refusal::NotYet));
    let forged = verify(&Claim { snapshot: [1; 32], ..claim.clone() }, minute);
    let kind = |refusal: Result<_, Refusal<_>>| match refusal {
        Err(Refusal::Quote(ClientError::Fault(fault))) => fault.kind(),
        _ => None,
    };
    ensure!(kind(forged) == Some(ErrorKind::NoSnapshot), "a snapshot of the shopper's own");
    let unknown = verify(&Claim { sku: Sku::new("nothing")?, ..claim.clone() }, minute);
    ensure!(kind(unknown) == Some(ErrorKind::BadRequest));
    let late = Millis(snapshot.storefront.expires.0 + 1);
    ensure!(kind(verify(&Claim { at: late, ..claim }, late)) == Some(ErrorKind::SnapshotExpired));
    Ok(())
}

#[test]
fn a_decision_is_made_again_from_its_record_and_what_differs_is_said() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let module = sha256(&module()?);
    client.quote(quotes(snapshot.root)?.swap_remove(0))?;
    let record = Record::take(&mut client, module).context("no record")?;
    ensure!(Record::take(&mut client, module).is_none(), "a record is of one decision");
    let written = serde_json::to_string(&record)?;
    let record: Record = serde_json::from_str(&written)?;
    ensure!(record.replay(&mut client, module)? == []);

    // With another module, and with an altered reply.
    let mut altered = record.clone();
    let mut quote = message::answer::<QuoteRequest>(&record.reply.0)?;
    quote.price = Money(quote.price.0 - 10);
    altered.reply.0 = message::encode(QuoteRequest::NUMBER, &quote);
    let differences = altered.replay(&mut client, [3; 32])?;
    let said: Vec<_> = differences.iter().map(ToString::to_string).collect();
    ensure!(differences.contains(&Difference::Record("reply")), "{said:?}");
    ensure!(said.iter().any(|said| said.starts_with("module: ")), "{said:?}");
    ensure!(said.iter().any(|said| said.starts_with("quote.price was ")), "{said:?}");
    Ok(())
}

#[test]
fn only_what_can_be_delivered_to_a_region_is_ranked_for_it() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let pack = fs::read(dist("packs/recommend.pack")?)?;
    let tables: RankTables = PackView::parse(&pack)?.copied_columns(SectionKind::Tables)?;
    // Including products outside the snapshot, or out of stock.
    let candidates = Some(tables.catalog.skus().collect::<Vec<_>>());
    let ranked = |client: &mut Client<Engine>, region: Option<Code>, at| {
        let constraints = Constraints { deliverable_to: region, ..Constraints::default() };
        let candidates = candidates.clone();
        client.rank(RankRequest { constraints, candidates, ..RankRequest::new("recommend", at, 200) })
    };
    let everywhere = ranked(&mut client, None, AFTERNOON)?;
    let mut different = 0;
    for region in &snapshot.storefront.regions {
        let ranking = ranked(&mut client, Some(region.code.clone()), AFTERNOON)?;
        ensure!(ranking.items.len() == 200);
        for item in &ranking.items {
            let promised = snapshot.storefront.catalog.id(&item.sku).and_then(|id| region.promise(id));
            ensure!(promised.is_some(), "`{}` cannot be delivered to {}", item.sku, region.code);
        }
        different += usize::from(ranking.items != everywhere.items);
    }
    ensure!(different > 0, "what can be delivered changes nothing");
    let kind = |result: Result<_, ClientError<_>>| match result {
        Err(ClientError::Fault(fault)) => fault.kind(),
        _ => None,
    };
    ensure!(kind(ranked(&mut client, Some(Code::new("NOWHERE")?), AFTERNOON)) == Some(ErrorKind::BadRequest));
    let region = Some(snapshot.storefront.regions[0].code.clone());
    ensure!(kind(ranked(&mut client, region.clone(), snapshot.storefront.expires)) == Some(ErrorKind::SnapshotExpired));
    let mut without = Client::new(Engine::new());
    without.load(&pack)?;
    ensure!(kind(ranked(&mut without, region, AFTERNOON)) == Some(ErrorKind::NoSnapshot));
    Ok(())
}

#[test]
fn nothing_is_promised_twice_and_a_new_plan_moves_little() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let request = orders(snapshot.root)?;
    let plan = client.allocate(request.clone())?;
    check(&snapshot, &request.orders, &plan)?;
    ensure!(plan.bound <= plan.total, "a bound of {:?} over {:?}", plan.bound, plan.total);

    // The busiest node closes: shipments from other nodes stay there.
    let mut busy: BTreeMap<&Code, usize> = BTreeMap::new();
    let all = plan.orders.iter().flat_map(|order| &order.shipments);
    all.for_each(|shipment| *busy.entry(&shipment.node).or_default() += 1);
    let closed =
        busy.iter().max_by_key(|(_, count)| **count).map(|(node, _)| (*node).clone()).context("no shipment")?;
    let previous: Vec<_> = plan.orders.iter().flat_map(AllocatedOrder::planned).collect();
    let again = AllocateRequest {
        live: Live { closed: vec![closed.clone()], ..Live::default() },
        previous: previous.clone(),
        ..request.clone()
    };
    let replanned = client.allocate(again)?;
    check(&snapshot, &request.orders, &replanned)?;
    let from = |plan: &Allocated| -> BTreeMap<(String, Sku, Code), u32> {
        let shipments = plan.orders.iter().flat_map(|order| order.shipments.iter().map(move |one| (order, one)));
        let lines = shipments.flat_map(|(order, one)| one.lines.iter().map(move |line| (order, one, line)));
        lines
            .map(|(order, one, line)| ((order.id.to_string(), line.sku.clone(), one.node.clone()), line.quantity))
            .collect()
    };
    let (before, after) = (from(&plan), from(&replanned));
    ensure!(after.keys().all(|(_, _, node)| *node != closed), "{closed} is closed, and ships");
    let units = |moved: bool| -> u32 {
        let elsewhere = before.iter().filter(|((_, _, node), _)| *node != closed);
        let kept = elsewhere.map(|(key, units)| (units, (*units).min(after.get(key).copied().unwrap_or(0))));
        kept.map(|(units, kept)| if moved { units - kept } else { *units }).sum()
    };
    ensure!(units(true) * 10 <= units(false), "{} of {} units move that could stay", units(true), units(false));
    Ok(())
}

#[test]
fn what_is_booked_already_is_not_booked_again() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let mut request = orders(snapshot.root)?;
    let nodes = &snapshot.fulfilment.as_ref().context("no nodes")?.nodes;
    // Every node has room for two more.
    let booked = nodes.iter().map(|node| Booked { node: node.code.clone(), shipments: node.shipments_per_day - 2 });
    request.live.booked = booked.collect();
    let plan = client.allocate(request.clone())?;
    check(&snapshot, &request.orders, &plan)?;
    for node in nodes {
        let shipments = plan.orders.iter().flat_map(|order| &order.shipments);
        let count = shipments.filter(|shipment| shipment.node == node.code).count();
        ensure!(count <= 2, "{count} shipments from {}", node.code);
    }
    let short = plan.orders.iter().flat_map(|order| &order.shortfalls);
    ensure!(short.filter(|short| short.reason == Reason::Capacity).count() > 0, "no shortfall names the capacity");

    request.live.booked[0].node = Code::new("NOWHERE")?;
    let refused = client.allocate(request).err().context("a node that does not exist is booked")?;
    ensure!(refused.to_string().contains("the snapshot has no node `NOWHERE`"), "{refused}");
    Ok(())
}

#[test]
fn exceptions_look_at_what_is_there_now() -> Result<()> {
    let (_, snapshot) = snapshot()?;
    let mut client = native()?;
    let mut request = shipments(snapshot.root)?;
    request.shipments.retain(|shipment| shipment.scans.iter().all(|scan| scan.state == State::Created));
    let reroutes = |client: &mut _, request: &ExceptionRequest| -> Result<Vec<(String, String)>> {
        let found = Client::exceptions(client, request.clone())?;
        let actions = found.into_iter().flat_map(|score| score.actions);
        let reroutes = actions.filter_map(|action| match action.step {
            Step::Reroute { to, .. } => Some((action.shipment.to_string(), to.to_string())),
            _ => None,
        });
        Ok(reroutes.collect())
    };
    let stock_outs = |client: &mut _, request: &ExceptionRequest| -> Result<usize> {
        let found = Client::exceptions(client, request.clone())?;
        Ok(found.iter().filter(|score| score.kind == ExceptionKind::StockOutBeforeShip).count())
    };
    let before = reroutes(&mut client, &request)?;
    let (_, to) = before.first().context("nothing can be rerouted")?;
    let node = Code::new(to.as_str())?;

    // The suggested node closes, is full, or has sold its stock.
    let full = snapshot.fulfilment.as_ref().and_then(|places| places.nodes.iter().find(|place| place.code == node));
    let shipments = full.context("an unknown node is offered")?.shipments_per_day;
    let skus = request.shipments.iter().flat_map(|shipment| &shipment.lines).map(|line| line.sku.clone());
    let sold =
        |node: &Code| skus.clone().map(|sku| LiveStock { node: node.clone(), sku, available: 0 }).collect::<Vec<_>>();
    for live in [
        Live { closed: vec![node.clone()], ..Live::default() },
        Live { booked: vec![Booked { node: node.clone(), shipments }], ..Live::default() },
        Live { stock: sold(&node), ..Live::default() },
    ] {
        let after = reroutes(&mut client, &ExceptionRequest { live: live.clone(), ..request.clone() })?;
        ensure!(after.iter().all(|(_, other)| other != to), "{live:?}: {after:?}");
    }

    // Units reserved for a shipment belong to it; demand may take them only if no others are left.
    let calm = stock_outs(&mut client, &request)?;
    let nodes: BTreeSet<String> = request.shipments.iter().map(|shipment| shipment.node.to_string()).collect();
    let nodes = nodes.into_iter().map(Code::new).collect::<Result<Vec<_>, _>>()?;
    request.live.stock = nodes.iter().flat_map(sold).collect();
    ensure!(stock_outs(&mut client, &request)? > calm, "nothing is about to be sold out");

    request.snapshot = None;
    ensure!(client.exceptions(request).is_err(), "what is of a snapshot is taken without one");
    Ok(())
}

/// Checks that no node gives more than it has, and that orders get exactly the ordered products.
fn check(snapshot: &Snapshot, orders: &[ShopOrder], plan: &Allocated) -> Result<()> {
    let fulfilment = snapshot.fulfilment.as_ref().context("no nodes")?;
    let mut taken: BTreeMap<(&Code, &Sku), u32> = BTreeMap::new();
    ensure!(plan.orders.len() == orders.len());
    for (order, allocated) in orders.iter().zip(&plan.orders) {
        let mut got: BTreeMap<&Sku, u32> = BTreeMap::new();
        for shipment in &allocated.shipments {
            ensure!(order.pinned.as_ref().is_none_or(|pinned| *pinned == shipment.node), "{} is pinned", order.id);
            ensure!(!order.excluded.contains(&shipment.node), "{} excludes {}", order.id, shipment.node);
            for line in &shipment.lines {
                *taken.entry((&shipment.node, &line.sku)).or_default() += line.quantity;
                *got.entry(&line.sku).or_default() += line.quantity;
            }
        }
        let short = allocated.shortfalls.iter().map(|short| short.quantity).sum::<u32>();
        ensure!(!order.complete || short == 0 || got.is_empty(), "{} is complete or nothing", order.id);
        ensure!(allocated.shipments.len() <= usize::from(order.max_splits) + 1, "{} is split too often", order.id);
        for short in &allocated.shortfalls {
            *got.entry(&short.sku).or_default() += short.quantity;
        }
        let wanted: BTreeMap<&Sku, u32> = order.lines.iter().map(|line| (&line.sku, line.quantity)).collect();
        ensure!(got == wanted, "{} wanted {wanted:?} and got {got:?}", order.id);
    }
    for ((node, sku), units) in taken {
        let stock = fulfilment.node(node).map(|node| &fulfilment.nodes[node].stock).context("no such node")?;
        let available = snapshot.storefront.catalog.id(sku).map_or(0, |id| stock.available(id));
        ensure!(units <= available, "{units} of `{sku}` from {node}, which has {available}");
    }
    Ok(())
}

#[test]
fn the_public_part_has_the_same_root_and_no_secrets() -> Result<()> {
    let (whole, snapshot) = snapshot()?;
    let public = fs::read(dist("reference.public.snapshot")?)?;
    let part = Snapshot::read(&public)?;
    ensure!(part.root == snapshot.root && part.storefront == snapshot.storefront);
    ensure!(part.pricing.is_none() && part.fulfilment.is_none() && part.forecast.is_none());
    ensure!(public.len() < whole.len());
    let published = part.storefront.published.as_ref().context("nothing is published")?;
    ensure!(published.inputs().all(|inputs| matches!(inputs.guard.floor, Floor::Price(_))), "a cost is public");
    // A page computes the prices that it may, without margins, and edge and warehouse the very same.
    let client = |snapshot: &[u8]| -> Result<_> {
        let mut client = Client::new(Engine::new());
        client.load(&fs::read(dist("packs/price.pack")?)?)?;
        client.load_snapshot(snapshot)?;
        Ok(client)
    };
    let (mut page, mut warehouse) = (client(&public)?, client(&whole)?);
    for inputs in published.inputs() {
        for objective in [Objective::MARGIN, Objective { margin: 1, revenue: 1, sell_through: 1 }] {
            let sku = part.storefront.catalog.sku(inputs.product).context("no product")?;
            let region = part.storefront.regions[0].code.clone();
            let request = QuoteRequest { pack: None, snapshot: part.root, at: AFTERNOON, sku, region, objective };
            let quote = page.quote(request.clone())?;
            ensure!(quote.units.is_some() && quote.margin.is_none(), "{quote:?}");
            warehouse.quote(request)?;
            ensure!(page.take_exchange() == warehouse.take_exchange(), "{} differs", quote.sku);
        }
    }
    Ok(())
}
