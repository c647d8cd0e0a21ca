//! Ranking: real profiles and hard constraints.

use anyhow::{Context, Result, ensure};
use proptest::prelude::*;
use serde_json::Value;
use std::{collections::BTreeMap, fs, sync::OnceLock};
use tradewind_core::{
    Channel, Engine, ErrorKind, Event, EventKind, Line, Millis, Profile, Sku, SkuBits, SkuId,
    guest::{Client, ClientError},
    pack::{PackView, SectionKind},
    rank::{Constraints, RankRequest, RankTables, Reason},
};
use tradewind_json::{Statement, Words, number};
use tradewind_tests::{decisions::rankings, dist, root};

fn pack() -> Result<Vec<u8>> {
    fs::read(dist("packs/recommend.pack")?).context("cannot read the pack")
}

fn tables() -> Result<RankTables> {
    let pack = pack()?;
    Ok(PackView::parse(&pack)?.copied_columns(SectionKind::Tables)?)
}

#[test]
fn a_profile_gives_the_same_ranking_as_the_events_it_was_made_from() -> Result<()> {
    let mut client = Client::new(Engine::new());
    client.load(&pack()?).map_err(anyhow::Error::msg)?;
    for request in rankings()? {
        let mut profile = request.profile.clone();
        request.events.iter().for_each(|event| profile.apply(event));
        let by_events = client.rank(request.clone()).map_err(anyhow::Error::msg)?;
        let request = RankRequest { profile, events: Vec::new(), ..request };
        let by_profile = client.rank(request).map_err(anyhow::Error::msg)?;
        ensure!(by_events == by_profile);
    }
    Ok(())
}

#[test]
fn a_new_shopper_is_shown_what_is_popular_and_told_so() -> Result<()> {
    let mut client = Client::new(Engine::new());
    client.load(&pack()?).map_err(anyhow::Error::msg)?;
    let ranking =
        client.rank(RankRequest::new("recommend", Millis(1_512_345_600_000), 10)).map_err(anyhow::Error::msg)?;
    ensure!(ranking.items.len() == 10 && ranking.items.iter().all(|item| !item.reasons.is_empty()));
    ensure!(ranking.profile == Profile::default());
    Ok(())
}

#[test]
fn a_click_changes_what_comes_next() -> Result<()> {
    let mut client = Client::new(Engine::new());
    client.load(&pack()?).map_err(anyhow::Error::msg)?;
    let at = Millis(1_512_345_600_000);
    let tables = tables()?;
    let sku = tables.catalog.sku(SkuId(2_500)).context("gone")?;
    let event = Event { at, channel: Channel::Web, kind: EventKind::View { sku: sku.clone() } };
    let before = client.rank(RankRequest::new("recommend", at, 200)).map_err(anyhow::Error::msg)?;
    let request = RankRequest { events: vec![event], ..RankRequest::new("recommend", at, 200) };
    let after = client.rank(request).map_err(anyhow::Error::msg)?;
    ensure!(before.items.iter().all(|item| item.sku != sku), "the product was there without the click");
    let found = after.items.iter().find(|item| item.sku == sku).context("the viewed product is not a candidate")?;
    ensure!(found.reasons[0] == Reason::LookedAt, "{:?}", found.reasons);
    let neighbour = tables.neighbours(tables.catalog.id(&sku).context("gone")?);
    let neighbour = neighbour.max_by(|a, b| a.similarity.total_cmp(&b.similarity)).context("gone")?;
    let neighbour = tables.catalog.sku(neighbour.id).context("gone")?;
    ensure!(after.items.iter().any(|item| item.sku == neighbour), "what goes with it is no candidate");
    Ok(())
}

#[test]
fn requests_that_contradict_themselves_are_refused() -> Result<()> {
    let mut client = Client::new(Engine::new());
    client.load(&pack()?).map_err(anyhow::Error::msg)?;
    let at = Millis(1_512_345_600_000);
    let view = |at| Event {
        at,
        channel: Channel::Web,
        kind: EventKind::View { sku: Sku::new("1").unwrap_or_else(|_| unreachable!()) },
    };
    let ok = RankRequest::new("recommend", at, 10);
    let refused = [
        (
            "an event after the decision",
            RankRequest { events: vec![view(Millis(at.0 + 1))], ..ok.clone() },
            ErrorKind::BadRequest,
        ),
        ("a moment before 1970", RankRequest { at: Millis(-1), ..ok.clone() }, ErrorKind::BadRequest),
        (
            "too many events",
            RankRequest { events: vec![view(at); RankRequest::MAX_EVENTS + 1], ..ok.clone() },
            ErrorKind::Malformed,
        ),
        (
            "a bit set for another catalogue",
            RankRequest {
                constraints: Constraints { hidden: Some(SkuBits::none(3)), ..Constraints::default() },
                ..ok.clone()
            },
            ErrorKind::BadRequest,
        ),
        ("another pack", RankRequest { pack: "prices".into(), ..ok }, ErrorKind::UnknownPack),
    ];
    for (what, request, kind) in refused {
        match client.rank(request) {
            Err(ClientError::Fault(fault)) => ensure!(fault.code == kind.code(), "{what}: {fault}"),
            other => anyhow::bail!("{what}: {other:?}"),
        }
    }
    Ok(())
}

fn loaded() -> &'static (Vec<u8>, Vec<Sku>) {
    static LOADED: OnceLock<(Vec<u8>, Vec<Sku>)> = OnceLock::new();
    LOADED.get_or_init(|| {
        let made = || -> Result<_> { Ok((pack()?, tables()?.catalog.skus().collect())) };
        made().unwrap_or_default()
    })
}

prop_compose! {
    fn some_events()(picks in proptest::collection::vec((0..5_000usize, 0..1_000i64, 0..7u8), 0..60)) -> Vec<Event> {
        let skus = &loaded().1;
        let event = |(sku, hours, kind): (usize, i64, u8)| {
            let sku = skus.get(sku)?.clone();
            let line = Line { sku: sku.clone(), quantity: 1 };
            let kind = match kind {
                0 => EventKind::View { sku },
                1 => EventKind::AddToCart(line),
                2 => EventKind::Return(line),
                3 => EventKind::Click { sku },
                4 => EventKind::Dismiss { sku },
                _ => EventKind::Purchase { lines: vec![line] },
            };
            Some(Event { at: Millis(1_512_345_600_000 - hours * 3_600_000), channel: Channel::Web, kind })
        };
        picks.into_iter().filter_map(event).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For any model and any events of the shopper.
    #[test]
    fn constraints_hold_for_every_request(
        events in some_events(),
        exclude in proptest::collection::vec(0..5_000usize, 0..50),
        hidden in proptest::collection::vec(0..5_000u32, 0..1_000),
        available in proptest::option::of(proptest::collection::vec(0..5_000u32, 0..4_000)),
        max_per_category in proptest::option::of(0..4u16),
        limit in 0..60u16,
    ) {
        let (pack, skus) = loaded();
        let mut client = Client::new(Engine::new());
        prop_assert!(client.load(pack).is_ok());
        let tables = tables().unwrap_or_default();
        let (catalog, popular) = (&tables.catalog, tables.by_popularity());
        let set = |ids: &[u32]| {
            let mut bits = SkuBits::none(skus.len());
            ids.iter().for_each(|id| bits.insert(SkuId(*id)));
            bits
        };
        let constraints = Constraints {
            exclude: exclude.iter().filter_map(|n| skus.get(*n).cloned()).collect(),
            hidden: Some(set(&hidden)),
            available: available.as_deref().map(set),
            max_per_category,
            deliverable_to: None,
        };
        let request = RankRequest {
            events: events.clone(),
            constraints: constraints.clone(),
            ..RankRequest::new("recommend", Millis(1_512_345_600_000), limit)
        };
        let ranking = client.rank(request.clone());
        prop_assert!(ranking.is_ok(), "{:?}", ranking);
        let Ok(ranking) = ranking else { return Ok(()) };

        prop_assert!(ranking.items.len() <= usize::from(limit));
        let mut of_category: BTreeMap<String, u16> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for item in &ranking.items {
            let id = catalog.id(&item.sku);
            prop_assert!(id.is_some());
            let Some(id) = id else { continue };
            prop_assert!(seen.insert(id), "{} comes twice", item.sku);
            prop_assert!(!constraints.exclude.contains(&item.sku));
            prop_assert!(!hidden.contains(&id.0));
            prop_assert!(available.as_ref().is_none_or(|available| available.contains(&id.0)));
            let dismissed = ranking.profile.interest(&item.sku).is_some_and(|interest| interest.dismissed);
            prop_assert!(!dismissed);
            prop_assert!(!item.reasons.is_empty());
            *of_category.entry(catalog.category(id).to_owned()).or_default() += 1;
        }
        if let Some(most) = max_per_category {
            prop_assert!(of_category.values().all(|count| *count <= most));
        }
        // Of equal scores the more popular product comes first.
        let place = |sku| popular.iter().position(|id| catalog.id(sku) == Some(*id));
        let ordered = ranking.items.windows(2).all(|pair| {
            pair[0].score > pair[1].score
                || (pair[0].score == pair[1].score && place(&pair[0].sku) < place(&pair[1].sku))
        });
        prop_assert!(ordered);
        prop_assert!(ranking.profile.items().len() <= Profile::MAX_ITEMS);
        // A returned profile is accepted again.
        let again = client.rank(RankRequest { profile: ranking.profile, events: Vec::new(), ..request });
        prop_assert!(again.is_ok(), "{:?}", again);
    }
}

#[test]
fn reasons_are_said_as_the_page_says_them() -> Result<()> {
    let words = Words::shop();
    let cases: Value = serde_json::from_slice(&fs::read(root().join("tests/cases/words.json"))?)?;
    for case in cases["cases"].as_array().context("no cases")? {
        let said = |language: &str| {
            words.say(language, &Statement::of(&case["reason"]), &|value| number(language, value)).unwrap_or_default()
        };
        ensure!(said("en") == case["en"] && said("de") == case["de"], "{case}: {}, {}", said("en"), said("de"));
        ensure!(said("fr") == case["en"], "{case}: English where there is nothing nearer");
    }
    Ok(())
}
