//! The table of models/README.md matches the model cards; `cargo xtask evaluate` writes it.

use anyhow::{Context, Result, ensure};
use std::fs;
use tradewind_core::pack::{Metric, ModelCard};
use tradewind_tests::root;

/// Formats a number as in the table: four digits, no zero before the point.
fn figure(value: f64, sign: &str) -> String {
    let sign = if value < 0.0 { "−" } else { sign };
    let text = format!("{:.4}", value.abs());
    format!("{sign}{}", text.strip_prefix('0').unwrap_or(&text))
}

#[test]
fn the_table_of_figures_is_that_of_the_cards() -> Result<()> {
    let readme = fs::read_to_string(root().join("models/README.md"))?;
    let (_, rest) = readme.split_once("<!-- cargo xtask evaluate: begin -->").context("no table")?;
    let (table, _) = rest.split_once("<!-- end -->").context("no end of the table")?;
    let mut models = 0;
    for entry in fs::read_dir(root().join("models"))? {
        let folder = entry?.path();
        // Only trainable models are in the table.
        if !folder.join("train.toml").exists() {
            continue;
        }
        models += 1;
        let model = folder.file_name().and_then(|name| name.to_str()).context("a name")?;
        let card = fs::read(folder.join("card.json"))?;
        let card: ModelCard = serde_json::from_slice(&card)?;
        let rows: Vec<&str> = table.lines().filter(|row| row.starts_with(&format!("| {model} |"))).collect();
        ensure!(rows.len() == card.metrics.len(), "{model}: {} rows for its metrics", rows.len());
        for (row, metric) in rows.iter().zip(&card.metrics) {
            let Metric { name, split, value, baseline, baseline_value, difference_low, difference_high } = metric;
            let (low, high) = (figure(*difference_low, "+"), figure(*difference_high, "+"));
            let (ours, theirs) = (figure(*value, ""), figure(*baseline_value, ""));
            let wanted = format!("; {split} | {name} | {baseline} | {theirs} | **{ours}** | {low} … {high} |");
            ensure!(row.ends_with(&wanted), "{model}: the table has\n{row}\nand the card\n{wanted}");
        }
    }
    ensure!(models >= 4, "only {models} models were compared");
    for system in ["exceptions", "allocate"] {
        ensure!(table.contains(&format!("\n| {system} |")), "the table has no row of {system}");
    }
    Ok(())
}
