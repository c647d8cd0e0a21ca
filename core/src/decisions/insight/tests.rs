use super::*;
use crate::{
    domain::{catalog::Catalog, line::Line},
    model::tables::ProductStats,
    plan::{Batch, Buffer, BufferId, Cast, DType, Dim, Operand, Plan, Port, Step, Unary, UnaryOp},
    profile::event::{Channel, EventKind},
};
use alloc::{vec, vec::Vec};

const NOW: Millis = Millis(100 * Millis::DAY);

/// Plan without steps.
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
        texts: vec![],
    }
}

/// Model whose output is its features; it ignores its text columns.
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

/// Model with text alone: the first category is 1, text without a category is 0.
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

/// Tea is in half of all orders, jam in a quarter.
fn tables() -> RankTables {
    let catalog = Catalog::new([(sku("jam"), "spreads"), (sku("tea"), "drinks")]).unwrap();
    let stats = |popularity| ProductStats { popularity, ..ProductStats::default() };
    RankTables::new(catalog, &[stats(0.25), stats(0.5)], &[vec![], vec![]]).unwrap()
}

fn spec(rows: Rows, inputs: &[Source], output: Output) -> InsightSpec {
    InsightSpec { rows, inputs: inputs.to_vec(), output, keep: Keep::default(), evidence: vec![] }
}

/// Shopper who bought tea 40, 20 and 10 days ago.
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
fn a_shopper_is_one_row_with_facts_as_reasons() {
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
fn recent_events_count_and_later_events_are_refused() {
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
fn rows_of_a_shopper_are_products_bought_or_requested() {
    let share = || spec(Rows::ShopperProduct, &[Source::OrderShare], Output::Probability);
    let of = |insights: Insights| insights.items.into_iter().map(|item| (item.of, item.value)).collect::<Vec<_>>();
    let bought = of(ask(share(), &request()).unwrap());
    assert_eq!(bought, [(Subject::Sku(sku("tea")), Value::Probability(1.0))]);
    let products = Some(vec![sku("jam"), sku("tea"), sku("unknown")]);
    let asked = of(ask(share(), &InsightRequest { skus: products, ..request() }).unwrap());
    assert_eq!(asked[1], (Subject::Sku(sku("jam")), Value::Probability(0.0)));
    assert_eq!(asked.len(), 2, "an unknown product has no row");
}

#[test]
fn rows_with_the_greatest_values_are_kept() {
    let mut hours = spec(Rows::ShopperHour, &[Source::Hour], Output::Score);
    hours.keep = Keep { at_least: Some(20.0), limit: Some(8) };
    let insights = ask(hours.clone(), &request()).unwrap();
    assert_eq!(insights.considered, 168);
    let kept: Vec<_> = insights.items.iter().map(|item| item.of.clone()).collect();
    let expected = [23, 47, 71, 95, 119, 143, 167, 22].map(Subject::Hour);
    assert_eq!(kept, expected, "the last hour of each day, ties in order of row");
    hours.keep = Keep { at_least: Some(22.0), limit: None };
    assert_eq!(ask(hours, &request()).unwrap().items.len(), 14);
}

#[test]
fn products_are_those_of_the_tables_without_a_snapshot() {
    let insights =
        ask(spec(Rows::Product, &[Source::Popularity], Output::Probability), &InsightRequest::new(None, NOW));
    let values: Vec<_> = insights.unwrap().items.into_iter().map(|item| (item.of, item.value)).collect();
    let said = |code, id| (Subject::Sku(sku(code)), Value::Probability(tables().stats(SkuId(id)).popularity));
    assert_eq!(values, [said("tea", 1), said("jam", 0)]);
    let nodes = spec(Rows::ProductNode, &[Source::Available], Output::Score);
    assert_eq!(ask(nodes, &InsightRequest::new(None, NOW)).unwrap_err().kind(), ErrorKind::NoSnapshot);
}

#[test]
fn texts_are_identified_by_index() {
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
fn a_value_outside_its_range_is_a_fault() {
    let range = Range { unit: crate::Unit::Days, least: 0.0, most: 5.0 };
    for output in [Output::Probability, Output::Amount(range)] {
        let error = ask(spec(Rows::Shopper, &[Source::DaysSinceOrder], output), &request()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite, "10 days");
    }
    let unknown = spec(Rows::Shopper, &[Source::OrderGap], Output::Score);
    let stranger = ask(unknown, &InsightRequest::new(None, NOW));
    assert_eq!(stranger.unwrap_err().kind(), ErrorKind::NotFinite, "a new shopper has no gap");
}

#[test]
fn fields_that_the_rows_do_not_use_are_refused() {
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

#[test]
fn features_are_computed_only_from_what_is_known_in_training() {
    let features = |rows, inputs: &[Source]| {
        let mut matrix = Vec::new();
        let spec = spec(rows, inputs, Output::Probability);
        spec.features(&tables(), &regular(), Millis(0), &mut matrix).map(|subjects| (subjects.len(), matrix.len()))
    };
    assert!(features(Rows::Product, &[Source::Popularity]).is_ok_and(|(rows, values)| rows > 0 && values == rows));
    for (rows, source) in [(Rows::Product, Source::Base), (Rows::ProductNode, Source::Available)] {
        let error = features(rows, &[source]).err();
        assert!(error.is_some_and(|error| error.kind() == ErrorKind::NoSnapshot), "{source:?}");
    }
    assert!(features(Rows::Text, &[]).is_err());
}
