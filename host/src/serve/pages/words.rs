//! Texts of the pages.

use tradewind_core::{
    BasisPoints, Millis, Money,
    exceptions::{Evidence, ExceptionKind, Step},
    snapshot::Storefront,
};

pub(super) fn kind(kind: ExceptionKind) -> String {
    match kind {
        ExceptionKind::Late => "Late".into(),
        ExceptionKind::StockOutBeforeShip => "Out of stock before it ships".into(),
        ExceptionKind::MissedPickup => "Not picked up".into(),
        ExceptionKind::MissedConnection => "Stuck at a hub".into(),
        ExceptionKind::MissedDelivery => "Not delivered".into(),
        ExceptionKind::Stuck { state } => format!("Nothing since it was {}", spaced(&state)),
        ExceptionKind::AddressFault => "Address not found".into(),
        ExceptionKind::DataFault => "Invalid data".into(),
    }
}

pub(super) fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Leg { probability } => {
            format!("the model gives its leg a {} chance of being late", percent(*probability))
        }
        Evidence::Overdue { promised, minutes } => {
            format!("promised until {}, {} ago", moment(*promised), span(*minutes))
        }
        Evidence::ToDelivery { state, since, typical, probability } => format!(
            "{} since {}; delivery from there usually takes {}, {} in one case in ten; {} risk of arriving after the promise",
            spaced(state),
            moment(*since),
            span(typical.p50 as u32),
            span(typical.p90 as u32),
            percent(*probability)
        ),
        Evidence::Stay { state, minutes, typical, .. } => format!(
            "{} for {}; usually {}, {} in one case in ten",
            spaced(state),
            span(*minutes),
            span(typical.p50 as u32),
            span(typical.p90 as u32)
        ),
        Evidence::Stock { sku, quantity, available, demand, probability } => format!(
            "{quantity} of {sku} needed, {available} available, {:.0} forecast for other orders before dispatch; {} risk that too few remain",
            demand.p50,
            percent(*probability)
        ),
        Evidence::Scanned { state, at } => format!("{} at {}", spaced(state), moment(*at)),
        Evidence::Fault(fault) => format!("data: {}", spaced(fault)),
    }
}

pub(super) fn step(step: &Step, storefront: &Storefront) -> String {
    match step {
        Step::Reroute { to, cost, .. } => format!("Send from {to} ({} more)", money(*cost, storefront)),
        Step::Split { later, .. } => format!("Send the rest now, {} later", products(later.len())),
        Step::Upgrade { service, cost } => format!("Send by {service} ({} more)", money(*cost, storefront)),
        Step::Hold => "Hold".into(),
        Step::Notify { .. } => "Tell the customer".into(),
    }
}

fn products(count: usize) -> String {
    if count == 1 { "1 product".into() } else { format!("{count} products") }
}

pub(super) fn money(amount: Money, storefront: &Storefront) -> String {
    let currency = storefront.currency;
    match currency.digits() {
        Ok(digits) => format!("{} {currency}", amount.decimal(digits).replace('-', "−")),
        Err(_) => format!("{} minor units of {currency}", amount.0),
    }
}

pub(super) fn percent(share: BasisPoints) -> String {
    format!("{:.0} %", f64::from(share.0) / 100.0)
}

/// Formats a moment in UTC, to the minute.
pub(super) fn moment(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.0.to_string(), |at| at.strftime("%-d %b %Y %H:%M UTC").to_string())
}

/// Formats minutes as a duration.
fn span(minutes: u32) -> String {
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{:.1} days", f64::from(minutes) / 1_440.0),
    }
}

/// Formats a variant with its value as plain words.
pub(super) fn spaced<T: serde::Serialize>(value: &T) -> String {
    let text = match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Object(fields)) => fields.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    text.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_core::{Catalog, Currency};

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (code, text) in [("USD", "−12.90 USD"), ("JPY", "−1290 JPY"), ("KWD", "−1.290 KWD"), ("RSD", "−12.90 RSD")]
        {
            let storefront = Storefront {
                currency: Currency::new(code).unwrap(),
                issued: Millis(0),
                expires: Millis(0),
                catalog: Catalog::default(),
                prices: vec![],
                regions: vec![],
                published: None,
            };
            assert_eq!(money(Money(-1_290), &storefront), text);
        }
    }
}
