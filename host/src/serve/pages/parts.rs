//! Parts of the pages.

use super::{Visitor, hidden, words};
use crate::serve::{
    api::{OrderStatus, ReleaseStatus},
    live::Workload,
    overview::Sums,
    release::Release,
    store::{Finding, OrderState, WorkRow},
};
use maud::{Markup, html};
use std::collections::BTreeMap;
use tradewind_core::{Day, Millis, exceptions::Step};

pub(super) fn counts(visitor: &Visitor, orders: &[(OrderState, i64)], exceptions: i64) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        dl.counts {
            div { dt { (t("exceptions")) } dd { (exceptions) } }
            @for (state, count) in orders {
                div.warn[*state == OrderState::Dead && *count > 0] { dt { (t("orders")) " " (t(state.name())) } dd { (count) } }
            }
        }
    }
}

pub(super) fn exceptions(visitor: &Visitor, release: &Release, open: &[WorkRow]) -> Markup {
    let storefront = &release.snapshot.storefront;
    let t = |text: &str| visitor.reader.label(text);
    html! {
        section aria-labelledby="exceptions" {
            h2 #exceptions { (t("Exceptions")) }
            @if open.is_empty() { p.hint { (t("No exceptions.")) } }
            ol.work {
                @for WorkRow { id, finding: Finding { score, reason }, feedback, .. } in open {
                    li {
                        article aria-labelledby=(id) {
                            header {
                                h3 #(id) { (visitor.reader.kind(score.kind)) ": " code { (score.shipment) } }
                                p.stake { strong { (words::money(score.severity, storefront)) } " " (t("at stake")) ", " (words::percent(score.probability)) " " (t("likely")) }
                            }
                            ul.evidence {
                                @for evidence in &score.evidence { li { (visitor.reader.evidence(evidence)) } }
                                @if let Some(reason) = reason { li { (reason) } }
                            }
                            div.actions {
                                @for (place, action) in score.actions.iter().enumerate() {
                                    form method="post" action={ "/act/" (id) } {
                                        (hidden(visitor))
                                        input type="hidden" name="action" value=(serde_json::to_string(action).unwrap_or_default());
                                        button.quiet[place > 0] type="submit" { (visitor.reader.step(&action.step, storefront)) }
                                    }
                                }
                                @if feedback.is_none() {
                                    form method="post" action={ "/feedback/" (id) } {
                                        (hidden(visitor))
                                        input type="hidden" name="useful" value="false";
                                        button.link type="submit" { (t("Not useful")) }
                                    }
                                } @else { span.hint { (t("thank you for the feedback")) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn acted(visitor: &Visitor, release: &Release, acted: &[WorkRow]) -> Markup {
    let storefront = &release.snapshot.storefront;
    let t = |text: &str| visitor.reader.label(text);
    html! {
        @if !acted.is_empty() {
            details {
                summary { (t("Completed actions")) " (" (acted.len()) ")" }
                ul {
                    @for WorkRow { finding: Finding { score, .. }, acted, .. } in acted {
                        @let done = acted.clone().unwrap_or_default();
                        li {
                            code { (score.shipment) } " " (visitor.reader.kind(score.kind)) ": "
                            @if let Ok(step) = serde_json::from_value::<Step>(done["action"]["step"].clone()) { (visitor.reader.step(&step, storefront)) }
                            " · " (done["by"].as_str().unwrap_or("?"))
                            @if let Some(new) = done["shipment"].as_str() { " → " code { (new) } }
                        }
                    }
                }
            }
        }
    }
}

fn day(date: Option<Day>) -> String {
    date.map_or_else(|| "–".to_owned(), |date| date.to_string())
}

pub(super) fn orders(visitor: &Visitor, orders: &[OrderStatus]) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        section aria-labelledby="orders" {
            h2 #orders { (t("Orders")) }
            div.scroll tabindex="0" role="region" aria-labelledby="orders" {
                table {
                    thead { tr { th scope="col" { (t("Order")) } th scope="col" { (t("State")) } th scope="col" { (t("To")) } th scope="col" { (t("Promised")) } th scope="col" { (t("Ships from")) } th scope="col" { (t("Missing")) } } }
                    tbody {
                        @for status in orders {
                            tr {
                                th scope="row" { a href={ "/orders/" (status.id) } { (status.id) } }
                                td {
                                    span class={ "state " (status.state.name()) } { (t(status.state.name())) }
                                    @if let Some(error) = &status.error { p.hint { (error) } }
                                    @if status.state == OrderState::Dead {
                                        form method="post" action={ "/orders/" (status.id) "/retry" } {
                                            (hidden(visitor))
                                            button.quiet type="submit" { (t("Try again")) }
                                        }
                                    }
                                }
                                td { @if let Some(order) = &status.order { (order.region) } }
                                td { (day(status.order.as_ref().map(|order| order.promised))) }
                                td { @for shipment in status.shipments.iter().filter(|shipment| shipment.state != "cancelled") { (shipment.node) " " } }
                                td { @for short in &status.shortfalls { (short.quantity) " × " (short.sku) " (" (visitor.reader.code("reason", &short.reason)) ") " } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn order(visitor: &Visitor, release: &Release, status: &OrderStatus) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        h1 { (t("Order")) " " (status.id) }
        (orders(visitor, std::slice::from_ref(status)))
        h2 { (t("Shipments")) }
        @for shipment in &status.shipments {
            article {
                h3 { code { (shipment.id) } " " (t("from")) " " (shipment.node) " " span class={ "state " (shipment.state) } { (visitor.reader.code("state", &shipment.state)) } @if shipment.held { " " (t("held")) } }
                p { (t("leaves")) " " (day(shipment.dispatch)) ", " (t("arrives")) " " (day(shipment.arrival))
                    @if let Some(late) = shipment.late { ", " (words::percent(late)) " " (t("risk of being late")) }
                    @if let Some(service) = &shipment.service { ", " (t("by")) " " (service) } }
                @if let Some(fault) = &shipment.fault { p { (fault) } }
                ul { @for line in &shipment.lines { li { (line.quantity) " × " (line.sku) ", " (words::money(line.value, &release.snapshot.storefront)) } } }
            }
        }
        @if let Some(receipt) = &status.receipt {
            h2 { (t("Receipt")) }
            dl.digests {
                dt { (t("decision")) } dd { code { (receipt.decision) } }
                dt { (t("module")) } dd { code { (receipt.module) } }
                @for pack in &receipt.packs { dt { (t("pack")) } dd { code { (pack) } } }
                @if let Some(snapshot) = &receipt.snapshot { dt { (t("snapshot")) } dd { code { (snapshot) } } }
                dt { (t("request")) } dd { code { (receipt.request) } }
                dt { (t("reply")) } dd { code { (receipt.reply) } }
            }
        }
        p { a href="/" { (t("Back to the worklist")) } }
    }
}

pub(super) fn nodes(
    visitor: &Visitor,
    nodes: &BTreeMap<String, bool>,
    sums: Option<&Sums>,
    workloads: &BTreeMap<String, Workload>,
) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        section aria-labelledby="nodes" {
            h2 #nodes { (t("Nodes")) }
            div.scroll tabindex="0" role="region" aria-labelledby="nodes" {
                table {
                    thead { tr { th scope="col" { (t("Node")) } th scope="col" { (t("State")) } th.number scope="col" { (t("To pack")) } th.number scope="col" { (t("Available")) } th.number scope="col" { (t("Promised")) } th.number scope="col" { (t("Products sold out")) } th scope="col" { "" } } }
                    tbody {
                        @for (code, closed) in nodes {
                            @let sums = sums.map(|sums| sums.nodes.get(code).copied().unwrap_or_default());
                            tr {
                                th scope="row" { (code) }
                                td { @if *closed { span class="state dead" { (t("closed")) } } @else { span class="state allocated" { (t("open")) } } }
                                td.number {
                                    @if let Some(Workload { booked, capacity, .. }) = workloads.get(code) { (booked) " / " (capacity) }
                                }
                                @match sums {
                                    Some((available, reserved, empty)) => { td.number { (available) } td.number { (reserved) } td.number { (empty) } }
                                    None => { td.number { "…" } td.number { "…" } td.number { "…" } }
                                }
                                td {
                                    form method="post" action={ "/nodes/" (code) "/" (if *closed { "open" } else { "close" }) } {
                                        (hidden(visitor))
                                        button.quiet type="submit" { (t(if *closed { "Open" } else { "Close" })) " " (code) }
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

/// Products with the shortest stock cover.
pub(super) fn cover(visitor: &Visitor, sums: Option<(&Sums, Millis)>) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        section aria-labelledby="cover" {
            h2 #cover { (t("Least stock cover")) }
            @match sums {
                None => p.hint { (t("The sums over all stock are being computed; load the page again.")) },
                Some((sums, _)) if sums.cover.is_empty() => p.hint { (t("The snapshot forecasts no demand.")) },
                Some((sums, made)) => {
                    p.hint { (t("Stock at")) " " (words::moment(made)) }
                    table {
                        thead { tr { th scope="col" { (t("Product")) } th.number scope="col" { (t("Available")) } th.number scope="col" { (t("Demand a week")) } th.number scope="col" { (t("Weeks")) } } }
                        tbody {
                            @for cover in &sums.cover {
                                tr { th scope="row" { (cover.sku) } td.number { (cover.units) } td.number { (format!("{:.0}", cover.demand)) } td.number { (format!("{:.1}", cover.weeks())) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn digests(visitor: &Visitor, release: &ReleaseStatus) -> Markup {
    let t = |text: &str| visitor.reader.label(text);
    html! {
        section aria-labelledby="digests" {
            h2 #digests { (t("Active release")) " " (release.number) }
            dl.digests {
                dt { (t("module")) } dd { code { (release.module) } }
                @for (name, digest) in &release.packs { dt { (t("pack")) " " (name) } dd { code { (digest) } } }
                dt { (t("snapshot")) } dd { code { (release.snapshot) } " " (t("until")) " " (words::moment(release.expires)) }
            }
        }
    }
}
