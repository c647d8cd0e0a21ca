use super::*;
use crate::{
    domain::{catalog::Catalog, line::Line},
    model::tables::ProductStats,
    plan::{Batch, Buffer, BufferId, Cast, DType, Dim, Operand, Plan, Port, Step, Unary, UnaryOp},
    profile::event::{Channel, EventKind},
};
use alloc::{vec, vec::Vec};

const NOW: Millis = Millis(100 * Millis::DAY);

/// A plan of no steps.
fn empty() -> Plan {
    Plan {
        batch: Batch::Independent,
        tile: 8,
        arena_bytes: 0,
        inputs: vec![],
        outputs: vec![],
        buffers: vec![],
        weights: vec![],
        steps: vec![],
    }
}

/// A model that gives its features as they are, and takes the columns of text beside them without reading them.
fn echo(features: u32, text: &[&str]) -> Executor {
    let mut plan = empty();
    let inputs = [("features", DType::F32, features)].into_iter().chain(text.iter().map(|name| (*name, DType::I64, 1)));
    for (name, dtype, width) in inputs {
        let port = port(&mut plan, name, dtype, width);
        plan.inputs.push(port);
    }
    let output = port(&mut plan, "given", DType::F32, features);
    let copy = Step {
        kernel: Unary { op: UnaryOp::Abs }.into(),
        inputs: vec![Operand::Buffer(plan.inputs[0].buffer)],
        output: output.buffer,
        node: "abs".into(),
    };
    (plan.outputs, plan.steps) = (vec![output], vec![copy]);
    Executor::new(plan, &[]).unwrap()
}

/// A model of text alone: what is in no category has 0, the first category 1.
fn of_text() -> Executor {
    let mut plan = empty();
    let mut input = port(&mut plan, "text", DType::I64, 1);
    input.categories = vec!["bad".into(), "good".into()];
    let output = port(&mut plan, "given", DType::F32, 1);
    let cast = Step {
        kernel: Cast.into(),
        inputs: vec![Operand::Buffer(input.buffer)],
        output: output.buffer,
        node: "cast".into(),
    };
    (plan.inputs, plan.outputs, plan.steps) = (vec![input], vec![output], vec![cast]);
    Executor::new(plan, &[]).unwrap()
}

fn port(plan: &mut Plan, name: &str, dtype: DType, width: u32) -> Port {
    let bytes = if dtype == DType::I64 { 8 } else { 4 };
    plan.buffers.push(Buffer { dtype, len: Dim::per_row(width), offset: plan.arena_bytes });
    plan.arena_bytes += (plan.tile * width * bytes).next_multiple_of(16);
    let categories = if dtype == DType::I64 { vec!["tea".into()] } else { vec![] };
    let shape = vec![Dim::per_row(1), Dim::fixed(width)];
    Port { name: name.into(), shape, buffer: BufferId(plan.buffers.len() as u16 - 1), categories }
}

fn sku(code: &str) -> Sku {
    Sku::new(code).unwrap()
}

/// Tea is bought by one in two orders, jam by one in four.
fn tables() -> RankTables {
    let catalog = Catalog::new([(sku("jam"), "spreads"), (sku("tea"), "drinks")]).unwrap();
    let stats = |popularity| ProductStats { popularity, ..ProductStats::default() };
    RankTables::new(catalog, &[stats(0.25), stats(0.5)], &[vec![], vec![]]).unwrap()
}

fn spec(rows: Rows, inputs: &[Source], output: Output) -> InsightSpec {
    InsightSpec { rows, inputs: inputs.to_vec(), output, keep: Keep::default(), evidence: vec![] }
}

/// Someone who bought tea 40, 20 and 10 days ago.
fn regular() -> Profile {
    let mut profile = Profile::default();
    for day in [60, 80, 90] {
        let kind = EventKind::Purchase { lines: vec![Line { sku: sku("tea"), quantity: 1 }] };
        profile.apply(&Event { at: Millis(day * Millis::DAY), channel: Channel::Web, kind });
    }
    profile
}

fn ask(spec: InsightSpec, request: &InsightRequest) -> Result<Insights> {
    let text: &[&str] = if spec.rows == Rows::ShopperProduct { &["sku"] } else { &[] };
    let mut executor = if spec.inputs.is_empty() { of_text() } else { echo(spec.inputs.len() as u32, text) };
    InsightModel::new(spec, tables(), &executor)?.insight("this", request, None, &mut executor, &[])
}

fn request() -> InsightRequest {
    InsightRequest { profile: regular(), ..InsightRequest::new(None, NOW) }
}

#[test]
fn a_shopper_is_one_row_with_the_facts_that_are_reasons() {
    let days = Range { unit: crate::Unit::Days, least: 0.0, most: 365.0 };
    let mut spec = spec(Rows::Shopper, &[Source::DaysSinceOrder], Output::Amount(days));
    let rule = |source, at_least, at_most| Rule { source, at_least, at_most };
    spec.evidence = vec![
        rule(Source::ShopperOrders, Some(3.0), None),
        rule(Source::OrderGap, None, Some(14.0)),
        rule(Source::OrderDue, Some(0.5), Some(1.0)),
    ];
    let insights = ask(spec, &request()).unwrap();
    let evidence =
        vec![Fact { source: Source::ShopperOrders, value: 3.0 }, Fact { source: Source::OrderDue, value: 10.0 / 15.0 }];
    let items = vec![Insight { of: Subject::Shopper, value: Value::Amount(10.0), evidence }];
    assert_eq!(insights, Insights { pack: "this".into(), items, considered: 1 });
}

#[test]
fn what_was_just_done_counts_and_what_comes_later_is_refused() {
    let order = |day| Event {
        at: Millis(day * Millis::DAY),
        channel: Channel::Web,
        kind: EventKind::Purchase { lines: vec![Line { sku: sku("jam"), quantity: 1 }] },
    };
    let orders = || spec(Rows::Shopper, &[Source::ShopperOrders], Output::Score);
    let insights = ask(orders(), &InsightRequest { events: vec![order(99)], ..request() }).unwrap();
    assert_eq!(insights.items[0].value, Value::Score(4.0));
    let error = ask(orders(), &InsightRequest { events: vec![order(101)], ..request() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
}

#[test]
fn a_shopper_and_products_are_those_bought_or_those_asked_for() {
    let share = || spec(Rows::ShopperProduct, &[Source::OrderShare], Output::Probability);
    let of = |insights: Insights| insights.items.into_iter().map(|item| (item.of, item.value)).collect::<Vec<_>>();
    let bought = of(ask(share(), &request()).unwrap());
    assert_eq!(bought, [(Subject::Sku(sku("tea")), Value::Probability(1.0))]);
    let products = Some(vec![sku("jam"), sku("tea"), sku("unknown")]);
    let asked = of(ask(share(), &InsightRequest { skus: products, ..request() }).unwrap());
    assert_eq!(asked[1], (Subject::Sku(sku("jam")), Value::Probability(0.0)));
    assert_eq!(asked.len(), 2, "a product that is not known has no row");
}

#[test]
fn rows_are_kept_from_the_greatest_on() {
    let mut hours = spec(Rows::ShopperHour, &[Source::Hour], Output::Score);
    hours.keep = Keep { at_least: Some(20.0), limit: Some(8) };
    let insights = ask(hours.clone(), &request()).unwrap();
    assert_eq!(insights.considered, 168);
    let kept: Vec<_> = insights.items.iter().map(|item| item.of.clone()).collect();
    let expected = [23, 47, 71, 95, 119, 143, 167, 22].map(Subject::Hour);
    assert_eq!(kept, expected, "the last hour of each day, and of equals the first");
    hours.keep = Keep { at_least: Some(22.0), limit: None };
    assert_eq!(ask(hours, &request()).unwrap().items.len(), 14);
}

#[test]
fn products_are_those_of_the_tables_where_there_is_no_snapshot() {
    let insights =
        ask(spec(Rows::Product, &[Source::Popularity], Output::Probability), &InsightRequest::new(None, NOW));
    let values: Vec<_> = insights.unwrap().items.into_iter().map(|item| (item.of, item.value)).collect();
    let said = |code, id| (Subject::Sku(sku(code)), Value::Probability(tables().stats(SkuId(id)).popularity));
    assert_eq!(values, [said("tea", 1), said("jam", 0)]);
    let nodes = spec(Rows::ProductNode, &[Source::Available], Output::Score);
    assert_eq!(ask(nodes, &InsightRequest::new(None, NOW)).unwrap_err().kind(), ErrorKind::NoSnapshot);
}

#[test]
fn texts_are_answered_by_their_places() {
    let texts = ["good", "what", "bad"].map(Into::into).to_vec();
    let request = InsightRequest { texts, ..InsightRequest::new(None, NOW) };
    let insights = ask(spec(Rows::Text, &[], Output::Score), &request).unwrap();
    let places: Vec<_> = insights.items.iter().map(|item| item.of.clone()).collect();
    assert_eq!(places.first(), Some(&Subject::Text(0)), "{insights:?}");
    assert_eq!(places.len(), 3);
}

#[test]
fn labels_and_quantiles_come_from_several_columns() {
    let labels = Output::Label(vec!["seldom".into(), "often".into()]);
    let two = spec(Rows::Shopper, &[Source::ShopperOrders, Source::DaysSinceOrder], labels);
    assert_eq!(ask(two, &request()).unwrap().items[0].value, Value::Label("often".into()));
    let range = Range { unit: crate::Unit::Days, least: 0.0, most: 50.0 };
    let inputs = [Source::ShopperOrders, Source::DaysSinceOrder, Source::DaysSinceFirstOrder];
    let three = spec(Rows::Shopper, &inputs, Output::Quantiles(range));
    let quantiles = Quantiles { p10: 3.0, p50: 10.0, p90: 40.0 };
    assert_eq!(ask(three, &request()).unwrap().items[0].value, Value::Quantiles(quantiles));
}

#[test]
fn what_a_model_gives_beyond_its_range_is_a_fault() {
    let range = Range { unit: crate::Unit::Days, least: 0.0, most: 5.0 };
    for output in [Output::Probability, Output::Amount(range)] {
        let error = ask(spec(Rows::Shopper, &[Source::DaysSinceOrder], output), &request()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite, "10 days");
    }
    let unknown = spec(Rows::Shopper, &[Source::OrderGap], Output::Score);
    let stranger = ask(unknown, &InsightRequest::new(None, NOW));
    assert_eq!(stranger.unwrap_err().kind(), ErrorKind::NotFinite, "a stranger has no gap");
}

#[test]
fn what_does_not_fit_the_rows_is_refused() {
    let orders = || spec(Rows::Shopper, &[Source::ShopperOrders], Output::Score);
    for request in
        [InsightRequest { skus: Some(vec![]), ..request() }, InsightRequest { texts: vec!["?".into()], ..request() }]
    {
        assert_eq!(ask(orders(), &request).unwrap_err().kind(), ErrorKind::BadRequest);
    }
    let labels = |labels: &[&str]| Output::Label(labels.iter().map(|&label| label.into()).collect());
    let mut evidence = orders();
    evidence.evidence = vec![Rule { source: Source::Due, at_least: None, at_most: None }];
    let mut keep = orders();
    keep.keep.at_least = Some(f32::NAN);
    for spec in [
        spec(Rows::Shopper, &[Source::Popularity], Output::Score),
        spec(Rows::Shopper, &[Source::ShopperOrders, Source::OrderGap], Output::Score),
        spec(Rows::Shopper, &[Source::ShopperOrders], labels(&["only"])),
        spec(
            Rows::Shopper,
            &[Source::ShopperOrders],
            Output::Amount(Range { unit: crate::Unit::Days, least: 2.0, most: 1.0 }),
        ),
        evidence,
        keep,
    ] {
        assert_eq!(ask(spec, &request()).unwrap_err().kind(), ErrorKind::PackCorrupt);
    }
}
