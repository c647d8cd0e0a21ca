//! Precision of exceptions on generated scans: the share of checked shipments that are in trouble.
//!
//! Scans of shipments are not public, so these are **generated**, from a fixed seed: sixty lanes with
//! one to three hubs; log-normal stays (σ = .5) around a median of the lane and state, from one
//! to sixteen hours; in one shipment in twenty-five, one stay is thirty to ninety hours
//! longer. Durations are learnt from 400 delivered shipments per lane. On each of fifty days, 3,000
//! shipments are in transit, and a part of them is checked. The rules know only the learnt durations;
//! but the simulation is as simple as the rules, so the results show that the
//! rules work, not how well they would work with a real carrier.

use crate::{metric, random::Random};
use anyhow::Result;
use std::collections::BTreeSet;
use tradewind_core::{
    Id, Millis, Money, Probability, Sku,
    exceptions::{ExceptionKind, ExceptionRequest, Policy, Shipment, ShipmentLine, learn},
    pack::Metric,
    tracking::{LaneTimes, Scan, State},
};
use tradewind_host::{Runtime, Tradewind};
use tradewind_tests::module;

const LANES: usize = 60;
const LEARNT_FROM: usize = 400;
const DAYS: usize = 50;
const OPEN: usize = 3_000;
const TROUBLE: f64 = 0.04;
const BUDGETS: [f64; 3] = [0.01, 0.02, 0.05];
const METHODS: [&str; 4] = ["exceptions", "time in state", "age", "random"];

/// Lane: states that its shipments pass through, with the median minutes in each.
struct Way {
    times: LaneTimes,
    stays: Vec<(State, f64)>,
}

fn way(n: usize, random: &mut Random) -> Result<Way> {
    let mut states = vec![State::Created, State::Packed, State::PickedUp];
    for _ in 0..1 + random.below(3) {
        states.extend([State::Arrived, State::Departed]);
    }
    states.push(State::OutForDelivery);
    let stays = states.into_iter().map(|state| (state, 60.0 * (random.share() * 16f64.ln()).exp())).collect();
    let (node, region) = (Id::new(format!("node {n}"))?, Id::new(format!("region {n}"))?);
    Ok(Way { times: LaneTimes { node, region, min_days: 1, max_days: 5, states: vec![] }, stays })
}

/// Complete history of a shipment, and the scan after which it was in trouble, if any.
fn journey(name: usize, way: &Way, created: Millis, random: &mut Random) -> Result<(Shipment, Option<usize>)> {
    let trouble = (random.share() < TROUBLE).then(|| random.below(way.stays.len()));
    let place = Id::new("somewhere")?;
    let (mut at, mut scans) = (created, Vec::new());
    for (n, &(state, median)) in way.stays.iter().enumerate() {
        scans.push(Scan { state, at, place: place.clone() });
        let extra = if trouble == Some(n) { 60.0 * (30.0 + 60.0 * random.share()) } else { 0.0 };
        at.0 += ((median * (0.5 * random.normal()).exp() + extra) * 60_000.0) as i64;
    }
    scans.push(Scan { state: State::Delivered, at, place });
    let sku = Sku::new("a")?;
    let shipment = Shipment {
        id: Id::new(format!("{name:06}"))?,
        order: Id::new(format!("order {name}"))?,
        node: way.times.node.clone(),
        region: way.times.region.clone(),
        lines: vec![ShipmentLine { sku, quantity: 1, value: Money(5_000), stock: None }],
        created,
        promised: Millis(created.0 + 30 * Millis::DAY),
        leg: None,
        scans,
        alternatives: vec![],
    };
    Ok((shipment, trouble))
}

/// Precision for each budget and method.
type Precisions = [[f64; METHODS.len()]; BUDGETS.len()];

/// Computes for each budget and method the share of checked shipments that are in trouble.
fn day(tradewind: &Tradewind, ways: &[Way], lanes: &[LaneTimes], random: &mut Random) -> Result<Precisions> {
    let at = Millis(1_512_345_600_000);
    let (mut shipments, mut troubled) = (Vec::new(), BTreeSet::new());
    while shipments.len() < OPEN {
        let created = Millis(at.0 - (random.share() * 8.0 * Millis::DAY as f64) as i64);
        let (mut shipment, trouble) = journey(shipments.len(), &ways[random.below(ways.len())], created, random)?;
        shipment.scans.retain(|scan| scan.at <= at);
        let state = shipment.scans.last().map(|scan| scan.state);
        if state == Some(State::Delivered) {
            continue;
        }
        if trouble.is_some_and(|n| n + 1 == shipment.scans.len()) {
            troubled.insert(shipment.id.clone());
        }
        shipments.push(shipment);
    }
    let by = |key: &dyn Fn(&Shipment) -> i64| {
        let mut order: Vec<&Shipment> = shipments.iter().collect();
        order.sort_by_key(|shipment| key(shipment));
        order.into_iter().map(|shipment| shipment.id.clone()).collect::<Vec<_>>()
    };
    let by_stay = by(&|shipment| shipment.scans.last().map_or(0, |scan| scan.at.0));
    let by_age = by(&|shipment| shipment.created.0);
    let mut by_chance = by(&|_| 0);
    (1..by_chance.len()).rev().for_each(|n| by_chance.swap(n, random.below(n + 1)));

    let request = ExceptionRequest {
        at,
        shipments,
        lanes: lanes.to_vec(),
        policy: Policy { threshold: Probability(1), ..Policy::default() },
        limit: u32::MAX,
        ..ExceptionRequest::default()
    };
    let scores = tradewind.exceptions(&request)?;
    let rules = scores.iter().filter(|score| !matches!(score.kind, ExceptionKind::Late | ExceptionKind::DataFault));
    let ours: Vec<_> = rules.map(|score| score.shipment.clone()).collect();
    Ok(BUDGETS.map(|budget| {
        let count = (budget * OPEN as f64).round() as usize;
        [&ours, &by_stay, &by_age, &by_chance].map(|order| {
            let hits = order.iter().take(count).filter(|id| troubled.contains(id)).count();
            hits as f64 / count as f64
        })
    }))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Simulates fifty days in the module, prints the precision of each method, and compares the first with the second.
pub fn judge() -> Result<Vec<Metric>> {
    let tradewind = Tradewind::builder().runtime(Runtime::new(&module()?)?).build()?;
    let mut random = Random(20_171_204);
    let ways: Vec<Way> = (0..LANES).map(|n| way(n, &mut random)).collect::<Result<_>>()?;
    let mut lanes = Vec::new();
    for way in &ways {
        let past = (0..LEARNT_FROM).map(|n| journey(n, way, Millis(1_500_000_000_000), &mut random));
        let past = past.collect::<Result<Vec<_>>>()?;
        let states = learn(past.iter().map(|(shipment, _)| shipment.scans.as_slice()));
        lanes.push(LaneTimes { states, ..way.times.clone() });
    }
    let days = (0..DAYS).map(|n| {
        if n % 10 == 0 {
            println!("day {n} of {DAYS}");
        }
        day(&tradewind, &ways, &lanes, &mut random)
    });
    let days: Vec<Precisions> = days.collect::<Result<_>>()?;

    println!("precision, and differences with 95 % intervals over days");
    let split = format!("{DAYS} days of {OPEN} shipments");
    let mut metrics = Vec::new();
    for (b, budget) in BUDGETS.iter().enumerate() {
        let name = format!("precision at {:.0}%", 100.0 * budget);
        println!("{name}");
        let of = |m: usize| mean(&days.iter().map(|day| day[b][m]).collect::<Vec<_>>());
        println!("  {:<14} {:.3}", METHODS[0], of(0));
        for (m, method) in METHODS.iter().enumerate().skip(1) {
            let gains: Vec<f64> = days.iter().map(|day| day[b][0] - day[b][m]).collect();
            let [low, high] = random.interval(&gains, mean);
            println!("  {method:<14} {:.3}   {:+.3} [{low:+.3}, {high:+.3}]", of(m), mean(&gains));
            if m == 1 {
                metrics.push(metric(name.as_str(), &split, of(0), method, of(m), [low, high]));
            }
        }
    }
    Ok(metrics)
}
