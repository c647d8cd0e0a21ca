//! Amounts and prices, as defined by their standards.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::{collections::BTreeMap, fs};
use tradewind_core::{
    Currency, Millis, Money,
    snapshot::{ListedPrice, PricePoint},
};
use tradewind_tests::root;

fn cases<T: for<'de> Deserialize<'de>>(name: &str) -> Result<T> {
    let text = fs::read_to_string(root().join("tests/cases").join(name))?;
    serde_json::from_str(&text).with_context(|| name.to_owned())
}

#[test]
fn amounts_have_the_digits_of_iso_4217() -> Result<()> {
    #[derive(Deserialize)]
    struct Currencies {
        digits: BTreeMap<String, Option<u32>>,
    }
    let Currencies { digits } = cases("currencies.json")?;
    ensure!(digits.len() == 178, "{} currencies", digits.len());
    for a in 'A'..='Z' {
        for b in 'A'..='Z' {
            for c in 'A'..='Z' {
                let code = String::from_iter([a, b, c]);
                let found = Currency::new(&code)?.digits();
                ensure!(found.as_ref().ok() == digits.get(&code).copied().flatten().as_ref(), "{code}: {found:?}");
            }
        }
    }
    let gold = Currency::new("XAU")?.digits().err().context("gold has minor units")?;
    ensure!(gold.to_string().contains("`XAU` has no minor unit"), "{gold}");
    Ok(())
}

#[test]
fn amounts_are_written_in_major_units() {
    let cases =
        [(0, 0, "0"), (1_290, 2, "12.90"), (-5, 2, "-0.05"), (1_290, 0, "1290"), (1_290, 3, "1.290"), (7, 4, "0.0007")];
    for (amount, digits, text) in cases {
        assert_eq!(Money(amount).decimal(digits), text, "{amount} with {digits} digits");
    }
}

#[test]
fn a_reduction_is_compared_with_the_30_days_before_it_began() -> Result<()> {
    #[derive(Deserialize)]
    struct Cases {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        what: String,
        points: Vec<(i64, i64)>,
        day: i64,
        price: Option<i64>,
        lowest: i64,
    }
    let day = |days: i64| Millis((17_000 + days) * Millis::DAY);
    for Case { what, points, day: at, price, lowest } in cases::<Cases>("prior-prices.json")?.cases {
        let points = points.iter().map(|&(days, price)| PricePoint { since: day(days), price: Money(price) });
        let points: Vec<_> = points.collect();
        let listed = ListedPrice { list: Money(999), points: &points };
        let price = price.map_or(listed.at(day(at)), Money);
        let found = listed.lowest_before(price, day(at));
        ensure!(found == Money(lowest), "{what}: {found:?}, not {lowest}");
    }
    Ok(())
}
