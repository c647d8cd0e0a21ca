//! Demand and price: whatever a product's past, quantiles ascend and units never rise with the price.

use anyhow::{Context, Result, ensure};
use proptest::prelude::*;
use std::fs;
use tradewind_core::{
    BasisPoints, ErrorKind, Executor, Money, Quantiles, Sku, Task,
    aligned::AlignedBytes,
    demand::{DemandModel, DemandSpec, Outlook, PriceModel},
    offer::{Offer, Week},
    pack::{PackView, SectionKind},
    plan::Plan,
};
use tradewind_tests::dist;

/// A loaded pack: its task, and what runs its model.
fn load(name: &str) -> Result<(Task, Executor, AlignedBytes)> {
    let bytes = fs::read(dist(&format!("packs/{name}.pack"))?).context("cannot read the pack")?;
    let view = PackView::parse(&bytes)?;
    let mut plan: Plan = view.read(SectionKind::Plan)?;
    let stored = AlignedBytes::copy_of(&bytes[view.section(SectionKind::Weights).unwrap_or(0..0)])?;
    let weights = plan.expand(stored.as_slice())?.unwrap_or(stored);
    Ok((view.read(SectionKind::Task)?, Executor::new(plan, weights.as_slice())?, weights))
}

fn demand() -> Result<(DemandModel, Executor, AlignedBytes)> {
    let (task, executor, weights) = load("demand")?;
    let Task::Demand(spec) = task else { anyhow::bail!("the pack `demand` has another task") };
    Ok((DemandModel::new(spec, &executor)?, executor, weights))
}

fn price() -> Result<(PriceModel, Executor, AlignedBytes)> {
    let (task, executor, weights) = load("price")?;
    let Task::Price(spec) = task else { anyhow::bail!("the pack `price` has another task") };
    Ok((PriceModel::new(spec, &executor)?, executor, weights))
}

fn offers() -> impl Strategy<Value = Offer> {
    (1..100_000_i64, 1..100_000_i64, 0..=10_000, 0..=10_000).prop_map(|(price, list, display, mailer)| Offer {
        price: Money(price),
        list: Money(list),
        display: BasisPoints(display),
        mailer: BasisPoints(mailer),
    })
}

fn histories() -> impl Strategy<Value = Vec<Week>> {
    let units = prop_oneof![0..10_u32, 0..1_000_u32, Just(1_000_000)];
    prop::collection::vec((units, offers()).prop_map(|(units, offer)| Week::new(offer, units)), 1..20)
}

#[test]
fn a_product_that_the_model_does_not_know_is_answered() -> Result<()> {
    let (model, mut executor, weights) = price()?;
    let offer = Offer { price: Money(399), list: Money(399), display: BasisPoints(0), mailer: BasisPoints(0) };
    let history = [Week::new(offer, 10); 13];
    let prices = [Money(299), Money(349), Money(399)];
    let unknown = model.units(&Sku::new("unknown")?, &history, offer, &prices, &mut executor, weights.as_slice())?;
    let known = model.units(&Sku::new("1029743")?, &history, offer, &prices, &mut executor, weights.as_slice())?;
    assert_ne!(unknown, known, "a product has a slope of its own");
    assert!((5.0..15.0).contains(&unknown[2]), "ten a week at the price that it always had: {unknown:?}");
    Ok(())
}

#[test]
fn the_matrix_to_learn_from_is_what_is_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let sales = "sku,week,units,price,list,display,mailer\n\
                 tea,7,8,200,200,0,0\ntea,8,12,150,200,5000,0\ntea,9,1,200,200,0,0\ntea,10,9,180,200,0,2500\n";
    let features = "\"base\", \"expected\", \"similar_units\", \"price_to_mean_4\", \"horizon\"";
    let out = folder.path().join("out").display().to_string();
    let arguments = [
        ("--sales", file("sales.csv", sales)?),
        ("--targets", file("weeks.csv", "split,sku,week,horizon\na,tea,10,2\nb,tea,9,1\n")?),
        ("--spec", file("spec.json", &format!("{{\"features\": [{features}]}}"))?),
        ("--split", "a".into()),
        ("--out", out.clone()),
    ];
    let run = |command: &str| -> Result<std::process::Output> {
        let mut program = std::process::Command::new(dist("tradewind")?);
        program.args(["features", command]);
        program.args(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
        Ok(program.output()?)
    };
    let done = run("demand")?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let offer = |price, display, mailer| Offer {
        price: Money(price),
        list: Money(200),
        display: BasisPoints(display),
        mailer: BasisPoints(mailer),
    };
    let history = [Week::new(offer(200, 0, 0), 8), Week::new(offer(150, 5_000, 0), 12)];
    let spec: DemandSpec = serde_json::from_str(&format!("{{\"features\": [{features}]}}"))?;
    let mut row = Vec::new();
    Outlook::new(&history, offer(180, 0, 2_500), 2)?.row(&spec.features, &mut row);
    let matrix = fs::read(format!("{out}/features.npy"))?;
    let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    ensure!(matrix.ends_with(&bytes), "{row:?}");
    ensure!(fs::read_to_string(format!("{out}/rows.csv"))? == "sku,week,horizon,units\ntea,10,2,9\n");

    // A week is missing.
    file("sales.csv", "sku,week,units,price,list,display,mailer\ntea,7,8,200,200,0,0\ntea,9,1,200,200,0,0\n")?;
    let refused = run("demand")?;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && message.contains("row 2") && message.contains("week 9"), "{message}");
    Ok(())
}

proptest! {
    #[test]
    fn units_never_rise_with_the_price(
        history in histories(),
        offer in offers(),
        mut prices in prop::collection::vec((1..100_000_i64).prop_map(Money), 2..20),
        known in any::<bool>(),
    ) {
        let (model, mut executor, weights) = price().unwrap();
        prices.sort();
        let sku = Sku::new(if known { "1029743" } else { "unknown" }).unwrap();
        // A model may answer nothing to what no product is like, but then it says so.
        if let Ok(units) = model.units(&sku, &history, offer, &prices, &mut executor, weights.as_slice()) {
            for pair in units.windows(2) {
                // The last bits of `exp` and `log` are not those of exact numbers.
                prop_assert!(pair[1] <= pair[0] * (1.0 + 1e-5), "{prices:?}: {units:?}");
            }
        }
    }

    #[test]
    fn quantiles_ascend_from_zero_for_all_that_a_product_can_be(
        list in 1..100_000_i64,
        history in histories(),
        offer in offers(),
        horizon in 1..=4_u8,
    ) {
        // A tenth to twice the list price, which stays.
        let priced = |offer: Offer| {
            let price = Money((list * (10 + offer.price.0 % 191) / 100).max(1));
            Offer { price, list: Money(list), ..offer }
        };
        let history: Vec<Week> = history.into_iter().map(|week| Week::new(priced(week.offer), week.units)).collect();
        for quantiles in forecast(demand().unwrap(), &history, priced(offer), horizon).unwrap() {
            prop_assert!(quantiles.check().is_ok(), "{quantiles:?}");
        }
    }

    #[test]
    fn what_no_product_is_like_has_quantiles_that_ascend_or_is_refused_by_name(
        history in histories(),
        offer in offers(),
        horizon in 1..=4_u8,
    ) {
        match forecast(demand().unwrap(), &history, offer, horizon) {
            Ok(quantiles) => prop_assert!(quantiles.iter().all(|quantiles| quantiles.check().is_ok()), "{quantiles:?}"),
            Err(error) => {
                prop_assert!(error.kind() == ErrorKind::NotFinite && error.message().contains("`tea`"), "{error}");
            }
        }
    }
}

/// Three forecasts of the same week.
fn forecast(
    (model, mut executor, weights): (DemandModel, Executor, AlignedBytes),
    history: &[Week],
    offer: Offer,
    horizon: u8,
) -> tradewind_core::Result<Vec<Quantiles>> {
    let (outlook, tea) = (Outlook::new(history, offer, horizon)?, Sku::new("tea")?);
    model.quantiles(&[outlook; 3], |_| &tea, &mut executor, weights.as_slice())
}
