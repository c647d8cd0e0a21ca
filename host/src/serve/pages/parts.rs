//! Parts of the pages.

use super::{Visitor, hidden, words};
use crate::serve::{
    api::{OrderStatus, ReleaseStatus},
    live::Workload,
    release::Release,
    store::{Finding, OrderState, StockRow, WorkRow},
};
use maud::{Markup, html};
use std::collections::BTreeMap;
use tradewind_core::Sku;
use tradewind_json::Date;

/// Number of products shown with the least cover.
const LEAST: usize = 10;

pub(super) fn counts(orders: &[(OrderState, i64)], exceptions: i64) -> Markup {
    html! {
        dl.counts {
            div { dt { "exceptions" } dd { (exceptions) } }
            @for (state, count) in orders {
                div.warn[*state == OrderState::Dead && *count > 0] { dt { "orders " (state.name()) } dd { (count) } }
            }
        }
    }
}

pub(super) fn exceptions(visitor: &Visitor, release: &Release, open: &[WorkRow]) -> Markup {
    let storefront = &release.snapshot.storefront;
    html! {
        section aria-labelledby="exceptions" {
            h2 #exceptions { "Exceptions" }
            @if open.is_empty() { p.hint { "No exceptions." } }
            ol.work {
                @for WorkRow { id, finding: Finding { score, reason }, feedback, .. } in open {
                    li {
                        article aria-labelledby=(id) {
                            header {
                                h3 #(id) { (words::kind(score.kind)) ": " code { (score.shipment) } }
                                p.stake { strong { (words::money(score.severity, storefront)) } " at stake, " (words::percent(score.probability)) " likely" }
                            }
                            ul.evidence {
                                @for evidence in &score.evidence { li { (words::evidence(evidence)) } }
                                @if let Some(reason) = reason { li { (reason) } }
                            }
                            div.actions {
                                @for (place, action) in score.actions.iter().enumerate() {
                                    form method="post" action={ "/act/" (id) } {
                                        (hidden(visitor))
                                        input type="hidden" name="action" value=(serde_json::to_string(action).unwrap_or_default());
                                        button.quiet[place > 0] type="submit" { (words::step(&action.step, storefront)) }
                                    }
                                }
                                @if feedback.is_none() {
                                    form method="post" action={ "/feedback/" (id) } {
                                        (hidden(visitor))
                                        input type="hidden" name="useful" value="false";
                                        button.link type="submit" { "Not useful" }
                                    }
                                } @else { span.hint { "thank you for the feedback" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn acted(acted: &[WorkRow]) -> Markup {
    html! {
        @if !acted.is_empty() {
            details {
                summary { "Completed actions (" (acted.len()) ")" }
                ul {
                    @for WorkRow { finding: Finding { score, .. }, acted, .. } in acted {
                        @let done = acted.clone().unwrap_or_default();
                        li {
                            code { (score.shipment) } " " (words::kind(score.kind)) ": "
                            (words::spaced(&done["action"]["step"])) " by " (done["by"].as_str().unwrap_or("?"))
                            @if let Some(new) = done["shipment"].as_str() { ", now " code { (new) } }
                        }
                    }
                }
            }
        }
    }
}

fn day(date: Option<Date>) -> String {
    let text = date.and_then(|date| serde_json::to_value(date).ok());
    text.as_ref().and_then(serde_json::Value::as_str).unwrap_or("–").to_owned()
}

pub(super) fn orders(visitor: &Visitor, orders: &[OrderStatus]) -> Markup {
    html! {
        section aria-labelledby="orders" {
            h2 #orders { "Orders" }
            div.scroll tabindex="0" role="region" aria-labelledby="orders" {
                table {
                    thead { tr { th scope="col" { "Order" } th scope="col" { "State" } th scope="col" { "To" } th scope="col" { "Promised" } th scope="col" { "Ships from" } th scope="col" { "Missing" } } }
                    tbody {
                        @for status in orders {
                            tr {
                                th scope="row" { a href={ "/orders/" (status.order.id) } { (status.order.id) } }
                                td {
                                    span class={ "state " (status.state.name()) } { (status.state.name()) }
                                    @if let Some(error) = &status.error { p.hint { (error) } }
                                    @if status.state == OrderState::Dead {
                                        form method="post" action={ "/orders/" (status.order.id) "/retry" } {
                                            (hidden(visitor))
                                            button.quiet type="submit" { "Try again" }
                                        }
                                    }
                                }
                                td { (status.order.region) }
                                td { (day(Some(status.order.promised))) }
                                td { @for shipment in status.shipments.iter().filter(|shipment| shipment.state != "cancelled") { (shipment.node) " " } }
                                td { @for short in &status.shortfalls { (short.quantity) " × " (short.sku) " (" (short.reason.replace('_', " ")) ") " } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn order(visitor: &Visitor, release: &Release, status: &OrderStatus) -> Markup {
    html! {
        h1 { "Order " (status.order.id) }
        (orders(visitor, std::slice::from_ref(status)))
        h2 { "Shipments" }
        @for shipment in &status.shipments {
            article {
                h3 { code { (shipment.id) } " from " (shipment.node) " " span class={ "state " (shipment.state) } { (shipment.state.replace('_', " ")) } @if shipment.held { " held" } }
                p { "leaves " (day(shipment.dispatch)) ", arrives " (day(shipment.arrival))
                    @if let Some(late) = shipment.late { ", " (format!("{:.0} %", late * 100.0)) " risk of being late" }
                    @if let Some(service) = &shipment.service { ", by " (service) } }
                ul { @for line in &shipment.lines { li { (line.quantity) " × " (line.sku) ", " (words::money(tradewind_core::Money(line.value), &release.snapshot.storefront)) } } }
            }
        }
        @if let Some(receipt) = &status.receipt {
            h2 { "Receipt" }
            dl.digests {
                dt { "decision" } dd { code { (receipt.decision) } }
                dt { "module" } dd { code { (receipt.module) } }
                @for pack in &receipt.packs { dt { "pack" } dd { code { (pack) } } }
                @if let Some(snapshot) = &receipt.snapshot { dt { "snapshot" } dd { code { (snapshot) } } }
                dt { "request" } dd { code { (receipt.request) } }
                dt { "reply" } dd { code { (receipt.reply) } }
            }
        }
        p { a href="/" { "Back to the worklist" } }
    }
}

pub(super) fn nodes(
    visitor: &Visitor,
    nodes: &BTreeMap<String, bool>,
    stock: &[StockRow],
    workloads: &BTreeMap<String, Workload>,
) -> Markup {
    let mut sums: BTreeMap<&str, (i64, i64, usize)> = BTreeMap::new();
    for row in stock {
        let (available, reserved, empty) = sums.entry(&row.node).or_default();
        *available += row.available();
        *reserved += row.reserved;
        *empty += usize::from(row.available() == 0);
    }
    html! {
        section aria-labelledby="nodes" {
            h2 #nodes { "Nodes" }
            div.scroll tabindex="0" role="region" aria-labelledby="nodes" {
                table {
                    thead { tr { th scope="col" { "Node" } th scope="col" { "State" } th.number scope="col" { "To pack" } th.number scope="col" { "Available" } th.number scope="col" { "Promised" } th.number scope="col" { "Products sold out" } th scope="col" { "" } } }
                    tbody {
                        @for (code, closed) in nodes {
                            @let (available, reserved, empty) = sums.get(code.as_str()).copied().unwrap_or_default();
                            tr {
                                th scope="row" { (code) }
                                td { @if *closed { span class="state dead" { "closed" } } @else { span class="state allocated" { "open" } } }
                                td.number {
                                    @if let Some(Workload { booked, capacity, .. }) = workloads.get(code) { (booked) " of " (capacity) }
                                }
                                td.number { (available) } td.number { (reserved) } td.number { (empty) }
                                td {
                                    form method="post" action={ "/nodes/" (code) "/" (if *closed { "open" } else { "close" }) } {
                                        (hidden(visitor))
                                        button.quiet type="submit" { (if *closed { "Open " } else { "Close " }) (code) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Products with the shortest stock cover, by the forecast demand of the snapshot's first week.
pub(super) fn cover(release: &Release, stock: &[StockRow]) -> Markup {
    let mut available: BTreeMap<&str, i64> = BTreeMap::new();
    for row in stock {
        *available.entry(&row.sku).or_default() += row.available();
    }
    let forecast = release.snapshot.forecast.as_ref();
    let catalog = &release.snapshot.storefront.catalog;
    let covers = available.into_iter().filter_map(|(sku, units)| {
        let demand = forecast?.of(catalog.id(&Sku::new(sku).ok()?)?)?[0].p50;
        (demand > 0.0).then(|| (sku, units, demand, units as f32 / demand))
    });
    let mut covers: Vec<_> = covers.collect();
    covers.sort_by(|a, b| a.3.total_cmp(&b.3).then(b.2.total_cmp(&a.2)));
    html! {
        section aria-labelledby="cover" {
            h2 #cover { "Least stock cover" }
            @if covers.is_empty() { p.hint { "The snapshot forecasts no demand." } }
            @else {
                table {
                    thead { tr { th scope="col" { "Product" } th.number scope="col" { "Available" } th.number scope="col" { "Demand a week" } th.number scope="col" { "Weeks" } } }
                    tbody {
                        @for (sku, units, demand, weeks) in covers.iter().take(LEAST) {
                            tr { th scope="row" { (sku) } td.number { (units) } td.number { (format!("{demand:.0}")) } td.number { (format!("{weeks:.1}")) } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn digests(release: &ReleaseStatus) -> Markup {
    html! {
        section aria-labelledby="digests" {
            h2 #digests { "Active release " (release.number) }
            dl.digests {
                dt { "module" } dd { code { (release.module) } }
                @for (name, digest) in &release.packs { dt { "pack " (name) } dd { code { (digest) } } }
                dt { "snapshot" } dd { code { (release.snapshot) } " until " (words::moment(release.expires.0)) }
            }
        }
    }
}
