//! Validation of all input before it is stored: with the types that the module decodes, and against the release. Valid
//! input can be decided, alone and together with all earlier input.

use super::{
    App, live, plan,
    problem::{Answer, Problem},
    store::EventRow,
    watch::{self, WatchError},
};
use axum::http::Uri;
use std::collections::BTreeSet;
use tradewind_core::{Code, Error, Sku, allocate::ShopOrder, tracking::Scan};
use tradewind_json::Shipment;

/// Maximum length of users' texts, in bytes.
const MAX_NOTE: usize = 2_000;

/// Checks a name that is used in URLs: 1 to 48 letters, digits, `.`, `_` and `-`; not `.` or `..`, which URLs cannot
/// contain (RFC 3986, section 5.2.4).
pub(super) fn name(what: &str, name: &str) -> Answer<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=48).contains(&name.len()) && name.bytes().all(fits) && ![".", ".."].contains(&name) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!(
        "invalid name of {what} `{name}` (expected 1 to 48 letters, digits, `.`, `_` and `-`; not `.` or `..`)"
    )))
}

/// Checks that a text has no control characters, which some databases cannot store.
fn plain(field: &str, text: &str) -> Answer<()> {
    match text.chars().find(|character| character.is_control()) {
        None => Ok(()),
        Some(found) => {
            let detail = format!("`{field}` contains the control character U+{:04X} (expected text)", u32::from(found));
            Err(Problem::unprocessable(detail))
        }
    }
}

/// Checks a user's text of one or more lines.
pub(super) fn note(field: &str, text: &str) -> Answer<()> {
    if text.len() > MAX_NOTE {
        let detail = format!("`{field}` has {} bytes (at most {MAX_NOTE})", text.len());
        return Err(Problem::unprocessable(detail));
    }
    text.split(['\n', '\r', '\t']).try_for_each(|part| plain(field, part))
}

/// Checks the address of a webhook's receiver.
pub(super) fn receiver(field: &str, url: &str) -> Answer<()> {
    let parsed: Option<Uri> = url.parse().ok().filter(|_| url.len() <= MAX_NOTE);
    let host = parsed.as_ref().and_then(|url| Some((url.scheme_str()?, url.authority()?.as_str())));
    if host.is_some_and(|(scheme, host)| ["http", "https"].contains(&scheme) && !host.contains('@')) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!(
        "`{field}` is not an address of a receiver: `{url}` (expected `https://HOST/PATH`, at most {MAX_NOTE} bytes, \
         without a user name or password)"
    )))
}

/// Checks types of events, and removes repeated ones.
pub(super) fn kinds(kinds: Vec<String>) -> Answer<Vec<String>> {
    let kinds: BTreeSet<String> = kinds.into_iter().collect();
    if kinds.is_empty() {
        return Err(Problem::unprocessable("`kinds` is empty (expected types of events, or no `kinds` for all)"));
    }
    match kinds.iter().find(|kind| !EventRow::is_kind(kind)) {
        None => Ok(kinds.into_iter().collect()),
        Some(kind) => Err(Problem::unprocessable(format!(
            "`kinds`: unknown type of events `{kind}` (expected the `type` of an event, such as `order.allocated`)"
        ))),
    }
}

/// Checks a product name, which may be missing in the snapshot.
pub(super) fn sku(field: &str, sku: &str) -> Answer<Sku> {
    plain(field, sku)?;
    Ok(Sku::new(sku).map_err(|error| error.within(&format!("`{field}`")))?)
}

/// Checks a region or node.
pub(super) fn code(field: &str, code: &str) -> Answer<Code> {
    Ok(Code::new(code).map_err(|error| error.within(&format!("`{field}`")))?)
}

/// Checks an order.
pub(super) async fn order(app: &App, order: &ShopOrder) -> Answer<()> {
    name("the order", order.id.as_str())?;
    order.check()?;
    let release = app.release();
    products(app, order.lines.iter().map(|line| &line.sku)).await?;
    Ok(plan::check(app, &release, order.clone())?)
}

/// Checks a shipment planned by another system.
pub(super) async fn shipment(app: &App, shipment: &Shipment) -> Answer<()> {
    name("the shipment", shipment.id.as_str())?;
    let Shipment { order, services, scans: known, .. } = shipment;
    plain("order", order.as_str())?;
    services.iter().try_for_each(|other| plain("service", other.service.as_str()))?;
    scans(known)?;
    let message = shipment.clone().message()?;
    let snapshot = &app.release().snapshot;
    snapshot.region(&code("region", shipment.region.as_str())?)?;
    let node = code("node", shipment.node.as_str())?;
    if snapshot.fulfilment.as_ref().is_none_or(|fulfilment| fulfilment.node(&node).is_none()) {
        return Err(Problem::unprocessable(format!("the snapshot has no node `{node}`")));
    }
    products(app, message.lines.iter().map(|line| &line.sku)).await?;
    // The module checks now what it would refuse later.
    watch::ask(app, vec![message]).await.map(drop).map_err(|error| match error {
        WatchError::Ask(error) => error.into(),
        error => Problem::internal(&error),
    })
}

/// Checks scans.
pub(super) fn scans(scans: &[Scan]) -> Answer<()> {
    for (n, scan) in scans.iter().enumerate() {
        let place = |error: Error| error.within(&format!("scan {n}"));
        plain("place", scan.place.as_str())?;
        scan.check().map_err(place)?;
    }
    Ok(())
}

/// Checks that the snapshot or a node has these products.
async fn products(app: &App, skus: impl Iterator<Item = &Sku> + Send) -> Answer<()> {
    let unknown = live::unknown(app, &app.release(), skus).await?;
    match unknown.first() {
        None => Ok(()),
        Some(sku) => Err(Problem::unprocessable(format!(
            "unknown product `{sku}`: neither the snapshot nor a node's stock contains it"
        ))),
    }
}
