//! Prices: allowed fields of a request, and no others.

use anyhow::{Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use tradewind_core::{
    Code, Millis, Sku,
    quote::{Objective, QuoteRequest},
};

/// All fields of a price request, with their allowed content. The only text is names in the snapshot, the only list is
/// a digest, and no field is specific to a shopper.
const ALLOWED: [(&str, &str); 8] = [
    ("at", "moment"),
    ("objective.margin", "number"),
    ("objective.revenue", "number"),
    ("objective.sell_through", "number"),
    ("pack", "text"),
    ("sku", "text"),
    ("region", "text"),
    ("snapshot", "digest"),
];

#[test]
fn what_asks_for_a_price_has_no_field_for_a_person() -> Result<()> {
    let request = QuoteRequest {
        pack: Some("price".into()),
        snapshot: [7; 32],
        at: Millis(1_512_345_600_000),
        sku: Sku::new("tea")?,
        region: Code::new("US-SEA")?,
        objective: Objective::MARGIN,
    };
    let written = serde_json::to_value(request)?;
    let mut found = BTreeMap::new();
    fields(&written, String::new(), &mut found)?;
    let allowed: BTreeMap<String, String> = ALLOWED.map(|(field, kind)| (field.into(), kind.into())).into();
    ensure!(found == allowed, "a price is asked for with {found:#?}, and only {allowed:#?} is allowed");
    Ok(())
}

#[test]
fn a_region_cannot_carry_a_person() {
    for text in ["jane@example.org", "Jane Doe", "user 4711", "1f3870be274f6c49b3e31a0c6728957f", ""] {
        assert!(Code::new(text).is_err(), "`{text}` is no code");
    }
}

/// Collects the leaves of a message, by path.
fn fields(value: &Value, path: String, found: &mut BTreeMap<String, String>) -> Result<()> {
    let kind = match value {
        Value::Object(fields_of) => {
            for (name, value) in fields_of {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(value, path, found)?;
            }
            return Ok(());
        }
        Value::Number(_) => "number",
        Value::String(text) if text.parse::<Millis>().is_ok() => "moment",
        Value::String(_) => "text",
        Value::Array(bytes) if bytes.len() == 32 => "digest",
        other => anyhow::bail!("`{path}` is {other}, which is not a number, a name or a digest"),
    };
    found.insert(path, kind.to_owned());
    Ok(())
}
