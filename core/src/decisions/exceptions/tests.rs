use super::*;
use crate::{
    domain::{
        quantiles::Quantiles,
        sku::Sku,
        tracking::{Scan, StateTimes},
    },
    error::ErrorKind,
};
use alloc::{format, string::ToString, vec};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000;
const NOW: Millis = Millis(1_512_345_600_000);

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn hours_ago(hours: i64) -> Millis {
    Millis(NOW.0 - hours * HOUR)
}

fn scan(state: State, at: Millis) -> Scan {
    Scan { state, at, place: id("ORD") }
}

fn line(sku: &str, value: i64, stock: Option<Stock>) -> ShipmentLine {
    ShipmentLine { sku: Sku::new(sku).unwrap(), quantity: 2, value: Money(value), stock }
}

/// Shipment from ORD to SEA, created 60 hours ago, promised in 72 hours.
fn shipment(name: &str, scans: Vec<Scan>) -> Shipment {
    Shipment {
        id: id(name),
        order: id(&format!("order of {name}")),
        node: id("ORD"),
        region: id("SEA"),
        lines: vec![line("tea", 2_000, None)],
        created: hours_ago(60),
        promised: Millis(NOW.0 + 72 * HOUR),
        leg: None,
        scans,
        alternatives: vec![],
    }
}

/// Lane with stays of two to ten hours, and one to three days to delivery.
fn lane() -> LaneTimes {
    let stay = Quantiles { p10: 120.0, p50: 240.0, p90: 600.0 };
    let to_delivery = Quantiles { p10: 1_440.0, p50: 2_880.0, p90: 4_320.0 };
    let states = [State::Packed, State::PickedUp, State::Arrived, State::Departed, State::OutForDelivery];
    LaneTimes {
        node: id("ORD"),
        region: id("SEA"),
        min_days: 2,
        max_days: 4,
        states: states.map(|state| StateTimes { state, stay, to_delivery }).to_vec(),
    }
}

fn request(shipments: Vec<Shipment>) -> ExceptionRequest {
    let places = vec![id("SEA"), id("ORD")];
    ExceptionRequest {
        snapshot: None,
        at: NOW,
        shipments,
        live: Live::default(),
        lanes: vec![lane()],
        places,
        policy: Policy::default(),
        limit: 100,
        late: None,
    }
}

fn found(shipment: Shipment) -> Vec<ExceptionScore> {
    exceptions(&request(vec![shipment])).unwrap()
}

fn kinds(shipment: Shipment) -> Vec<ExceptionKind> {
    found(shipment).iter().map(|score| score.kind).collect()
}

#[test]
fn probabilities_match_the_quantiles_and_are_never_zero() {
    let quantiles = Quantiles { p10: 10.0, p50: 30.0, p90: 40.0 };
    let cases =
        [(-1.0, 1.0), (0.0, 1.0), (5.0, 1.0), (10.0, 0.9), (20.0, 0.7), (30.0, 0.5), (40.0, 0.1), (50.0, 0.00625)];
    for (x, expected) in cases {
        assert!((quantiles.exceed(x) - expected).abs() < 1e-6, "{x}: {}", quantiles.exceed(x));
    }
    assert!(quantiles.exceed(1e6) > 0.0);
    let always = Quantiles { p10: 7.0, p50: 7.0, p90: 7.0 };
    assert_eq!([6.0, 7.0, 8.0].map(|x| always.exceed(x)), [1.0, 0.0, 0.0]);
}

#[test]
fn a_long_stay_is_named_by_its_state() {
    let stays = [
        (State::Packed, ExceptionKind::MissedPickup),
        (State::PickedUp, ExceptionKind::Stuck { state: State::PickedUp }),
        (State::Arrived, ExceptionKind::MissedConnection),
        (State::OutForDelivery, ExceptionKind::MissedDelivery),
    ];
    for (state, kind) in stays {
        let long = kinds(shipment("a", vec![scan(state, hours_ago(30))]));
        assert!(long.contains(&kind), "{state:?}: {long:?}");
        let short = kinds(shipment("a", vec![scan(state, hours_ago(3))]));
        assert!(short.is_empty(), "{state:?}: {short:?}");
    }
    assert_eq!(kinds(shipment("a", vec![scan(State::Delivered, hours_ago(50))])), []);
}

#[test]
fn exceptions_reported_by_scans_are_certain() {
    let score = &found(shipment("a", vec![scan(State::Attempted, hours_ago(1))]))[0];
    assert_eq!((score.kind, score.probability), (ExceptionKind::MissedDelivery, Probability::CERTAIN));
    assert_eq!(score.severity, Money(800 + 400), "800, and a fifth of 2,000");

    let score = &found(shipment("a", vec![scan(State::AddressRejected, hours_ago(1))]))[0];
    assert_eq!(score.kind, ExceptionKind::AddressFault);
    let steps: Vec<_> = score.actions.iter().map(|action| &action.step).collect();
    assert!(matches!(steps[..], [Step::Hold, Step::Notify { .. }]), "{steps:?}");
}

#[test]
fn lateness_depends_on_the_leg_the_lane_and_the_promise() {
    let score = &found(Shipment { leg: Some(0.4), ..shipment("a", vec![scan(State::PickedUp, hours_ago(1))]) })[0];
    assert_eq!((score.kind, score.probability), (ExceptionKind::Late, Probability(4_000)), "the leg");
    assert_eq!(score.severity, Money((500 + 100) * 4 / 10));

    let promised = Millis(NOW.0 + 12 * HOUR);
    let score = &found(Shipment { promised, ..shipment("a", vec![scan(State::PickedUp, hours_ago(1))]) })[0];
    assert_eq!((score.kind, score.probability), (ExceptionKind::Late, Probability::CERTAIN), "13 hours are too few");

    let promised = hours_ago(2);
    let score = &found(Shipment { promised, ..shipment("a", vec![scan(State::PickedUp, hours_ago(3))]) })[0];
    assert_eq!(score.evidence, [Evidence::Overdue { promised, minutes: 120 }]);
}

#[test]
fn lanes_without_learnt_durations_use_the_carriers_days() {
    let promised = Millis(NOW.0 + 24 * HOUR);
    let late = Shipment { promised, created: hours_ago(1), ..shipment("a", vec![]) };
    let request = ExceptionRequest { lanes: vec![LaneTimes { states: vec![], ..lane() }], ..request(vec![late]) };
    let scores = exceptions(&request).unwrap();
    assert_eq!(scores[0].kind, ExceptionKind::Late, "25 hours, for 2 to 4 days");
    assert_eq!(scores[0].probability, Probability::CERTAIN);
}

#[test]
fn demand_that_leaves_too_few_units_is_a_stock_out() {
    let demand = Quantiles { p10: 5.0, p50: 10.0, p90: 20.0 };
    let stock = |available| Some(Stock { available, demand });
    let lines = vec![line("tea", 2_000, stock(17)), line("jam", 1_000, stock(100)), line("rum", 9_000, stock(1))];
    let alternatives = [("LAX", 900, 24), ("DEN", 900, 24), ("ATL", 100, 96), ("SEA", 9_000, 24)];
    let alternatives = alternatives.map(|(node, cost, hours)| Alternative {
        way: Way::Node(id(node)),
        cost: Money(cost),
        arrives: Millis(NOW.0 + hours * HOUR),
    });
    let waiting =
        Shipment { lines, alternatives: alternatives.to_vec(), created: hours_ago(1), ..shipment("a", vec![]) };
    let scores = found(waiting.clone());
    let score = scores.iter().find(|score| score.kind == ExceptionKind::StockOutBeforeShip).unwrap();
    let probabilities = score.evidence.iter().map(|evidence| match evidence {
        Evidence::Stock { sku, probability, .. } => (sku.as_str(), probability.0),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        probabilities.collect::<Vec<_>>(),
        [("tea", 2_800), ("rum", 10_000)],
        "more than 15 and a half: .5 − .4 · 5.5 / 10"
    );
    assert_eq!(score.severity, Money(300 + 3_300), "30 % of tea and rum");

    let steps: Vec<_> = score.actions.iter().map(|action| action.step.clone()).collect();
    let lines =
        |skus: &[&str]| skus.iter().map(|sku| crate::Line { sku: Sku::new(*sku).unwrap(), quantity: 2 }).collect();
    let notify = Step::Notify { kind: score.kind, promised: waiting.promised };
    let reroute = Step::Reroute { from: id("ORD"), to: id("DEN"), cost: Money(900) };
    assert_eq!(steps, [reroute, Step::Split { now: lines(&["jam"]), later: lines(&["tea", "rum"]) }, notify]);
    assert!(score.actions.iter().all(|action| action.order == waiting.order && action.shipment == waiting.id));

    let packed = Shipment { scans: vec![scan(State::Packed, hours_ago(1))], ..waiting };
    assert!(!kinds(packed).contains(&ExceptionKind::StockOutBeforeShip), "what is packed is there");
}

#[test]
fn inconsistent_data_are_a_data_fault_and_not_an_error() {
    let faults = |shipment: Shipment| -> Vec<DataFault> {
        let evidence = found(shipment).into_iter().flat_map(|score| score.evidence);
        evidence.filter_map(|evidence| if let Evidence::Fault(fault) = evidence { Some(fault) } else { None }).collect()
    };
    let delivered = scan(State::Delivered, hours_ago(5));
    let nowhere = Scan { place: id("Atlantis"), ..delivered.clone() };
    let empty = ShipmentLine { quantity: 0, ..line("tea", 0, None) };
    let sku = empty.sku.clone();
    let cases = [
        (shipment("a", vec![scan(State::Packed, hours_ago(1)), delivered.clone()]), DataFault::OutOfOrder { scan: 1 }),
        (shipment("a", vec![scan(State::Packed, hours_ago(-1))]), DataFault::InFuture { scan: 0 }),
        (
            shipment("a", vec![delivered.clone(), scan(State::Arrived, hours_ago(4))]),
            DataFault::AfterDelivery { scan: 1 },
        ),
        (shipment("a", vec![nowhere]), DataFault::UnknownPlace { scan: 0, place: id("Atlantis") }),
        (Shipment { region: id("XXX"), ..shipment("a", vec![]) }, DataFault::UnknownLane),
        (Shipment { lines: vec![], ..shipment("a", vec![]) }, DataFault::NoLines),
        (Shipment { lines: vec![empty], ..shipment("a", vec![]) }, DataFault::NoUnits { sku }),
        (Shipment { created: hours_ago(-1), ..shipment("a", vec![]) }, DataFault::CreatedInFuture),
        (Shipment { promised: hours_ago(61), ..shipment("a", vec![]) }, DataFault::PromisedTooEarly),
    ];
    for (shipment, fault) in cases {
        assert_eq!(faults(shipment), [fault]);
    }
    let twice = request(vec![shipment("a", vec![delivered.clone()]), shipment("a", vec![delivered])]);
    assert_eq!(exceptions(&twice).unwrap()[0].evidence, [Evidence::Fault(DataFault::Twice)]);
}

#[test]
fn requests_that_no_program_should_send_are_refused() {
    let kind = |change: &dyn Fn(&mut ExceptionRequest)| {
        let mut request = request(vec![shipment("a", vec![])]);
        change(&mut request);
        exceptions(&request).map_err(|error| error.kind()).err()
    };
    let bad = Some(ErrorKind::BadRequest);
    assert_eq!(kind(&|_| ()), None);
    assert_eq!(kind(&|request| request.at = Millis(-1)), bad);
    assert_eq!(kind(&|request| request.shipments[0].leg = Some(f32::NAN)), bad);
    assert_eq!(kind(&|request| request.shipments[0].lines[0].value = Money(-1)), bad);
    assert_eq!(kind(&|request| request.lanes.push(lane())), bad, "a lane twice");
    assert_eq!(kind(&|request| request.lanes[0].states[0].stay.p10 = 1e9), bad);
    assert_eq!(kind(&|request| request.policy.trouble = Probability(0)), bad);
    assert_eq!(kind(&|request| request.policy.late.fixed = Money(i64::MIN)), bad);
}

#[test]
fn durations_are_learnt_from_completed_stays() {
    let journey = |n: i64| {
        let packed = scan(State::Packed, hours_ago(100));
        let picked_up = scan(State::PickedUp, Millis(packed.at.0 + n * 60_000));
        vec![packed, picked_up, scan(State::Delivered, hours_ago(50))]
    };
    let journeys: Vec<Vec<Scan>> = (1..=100).map(journey).collect();
    let states = learn(journeys.iter().map(Vec::as_slice));
    let [packed, picked_up] = states[..] else { panic!("{states:?}") };
    assert_eq!(packed.stay, Quantiles { p10: 10.0, p50: 50.0, p90: 90.0 });
    assert_eq!(packed.to_delivery, Quantiles { p10: 3_000.0, p50: 3_000.0, p90: 3_000.0 });
    assert_eq!(picked_up.state, State::PickedUp);
    assert!(learn([journey(1).as_slice()]).is_empty(), "one journey is too few");
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Created),
        Just(State::Packed),
        Just(State::PickedUp),
        Just(State::Arrived),
        Just(State::Departed),
        Just(State::OutForDelivery),
        Just(State::Attempted),
        Just(State::AddressRejected),
        Just(State::Delivered),
    ]
}

fn any_moment() -> impl Strategy<Value = Millis> {
    prop_oneof![(-200..200i64).prop_map(hours_ago), Just(Millis(0)), Just(Millis(9_223_372_036_854))]
}

fn any_quantiles() -> impl Strategy<Value = Quantiles> {
    (0..100u16, 0..100u16, 0..100u16).prop_map(|(a, b, c)| {
        let [a, b, c] = [a, b, c].map(f32::from);
        Quantiles { p10: a, p50: a + b, p90: a + b + c }
    })
}

fn any_line() -> impl Strategy<Value = ShipmentLine> {
    let stock =
        prop::option::of((any::<u32>(), any_quantiles()).prop_map(|(available, demand)| Stock { available, demand }));
    (0..3u32, any::<u32>(), 0..=Money::MAX.0, stock).prop_map(|(sku, quantity, value, stock)| ShipmentLine {
        sku: Sku::new(sku.to_string()).unwrap(),
        quantity,
        value: Money(value),
        stock,
    })
}

fn any_alternative() -> impl Strategy<Value = Alternative> {
    (any::<bool>(), "[A-C]", -5_000..5_000i64, any_moment()).prop_map(|(node, name, cost, arrives)| Alternative {
        way: if node { Way::Node(id(&name)) } else { Way::Service(id(&name)) },
        cost: Money(cost),
        arrives,
    })
}

prop_compose! {
    fn any_shipment()(
        name in "[a-c]",
        node in "ORD|SEA|[A-Z]{3}",
        lines in prop::collection::vec(any_line(), 0..4),
        created in any_moment(),
        promised in any_moment(),
        leg in prop::option::of(0.0..=1.0f32),
        scans in prop::collection::vec((any_state(), any_moment()), 0..6),
        alternatives in prop::collection::vec(any_alternative(), 0..4),
    ) -> Shipment {
        let scans = scans.into_iter().map(|(state, at)| scan(state, at)).collect();
        Shipment { node: id(&node), lines, created, promised, leg, alternatives, ..shipment(&name, scans) }
    }
}

proptest! {
    #[test]
    fn exceptions_are_in_order_of_severity(
        shipments in prop::collection::vec(any_shipment(), 0..8),
        limit in 0..20u32,
    ) {
        let request = ExceptionRequest { limit, ..request(shipments) };
        let scores = exceptions(&request).unwrap();
        prop_assert!(scores.len() <= limit as usize);
        let rank = |score: &ExceptionScore| (core::cmp::Reverse(score.severity), score.shipment.clone());
        prop_assert!(scores.is_sorted_by_key(rank));
        for score in &scores {
            prop_assert!((request.policy.threshold..=Probability::CERTAIN).contains(&score.probability));
            prop_assert!(score.severity >= Money(0) && !score.evidence.is_empty());
            let known = |action: &Action| request.shipments.iter().any(|shipment| {
                action.shipment == shipment.id && action.order == shipment.order
            });
            prop_assert!(score.actions.iter().all(known));
        }
        let bytes = postcard::to_allocvec(&request).unwrap();
        let same: ExceptionRequest = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(exceptions(&same).unwrap(), scores);
    }

    #[test]
    fn the_order_of_shipments_does_not_matter(shipments in prop::collection::vec(any_shipment(), 0..8)) {
        let named = shipments.into_iter().enumerate().map(|(n, other)| Shipment { id: id(&n.to_string()), ..other });
        let mut request = request(named.collect());
        let scores = exceptions(&request).unwrap();
        request.shipments.reverse();
        prop_assert_eq!(exceptions(&request).unwrap(), scores);
    }

    #[test]
    fn more_stock_is_less_likely_to_run_out(quantiles in any_quantiles(), a in 0..400u16, b in 0..400u16) {
        let (low, high) = (f32::from(a.min(b)), f32::from(a.max(b)));
        prop_assert!(quantiles.exceed(low) >= quantiles.exceed(high));
        prop_assert!((0.0..=1.0).contains(&quantiles.exceed(low)));
    }
}

proptest! {
    #[test]
    fn an_altered_request_is_answered_or_refused(
        shipments in prop::collection::vec(any_shipment(), 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = postcard::to_allocvec(&request(shipments)).unwrap();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        if let Ok(altered) = postcard::from_bytes::<ExceptionRequest>(&bytes) {
            let _answer = exceptions(&altered);
        }
    }
}
