//! Metrics for Prometheus: their descriptions, units and buckets.

use super::App;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Interval at which recorded durations are sorted into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of the process.
pub(super) fn install() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new();
    let recorder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?.install_recorder()?;
    describe();
    Ok(recorder)
}

/// Sorts recorded durations into their buckets until told to stop: otherwise they fill the memory if nobody reads the
/// metrics.
pub(super) async fn upkeep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        app.metrics.run_upkeep();
        tokio::select! {
            () = tokio::time::sleep(UPKEEP) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Metrics as text, with those that are measured now.
pub(super) async fn render(app: &App) -> sqlx::Result<String> {
    for (state, count) in app.store.order_counts().await? {
        gauge!("tradewind_orders", "state" => state.name()).set(count as f64);
    }
    let shipments = app.store.counts("shipment").await?;
    let closed = ["delivered", "cancelled"];
    let open = shipments.iter().filter(|(state, _)| !closed.contains(&state.as_str())).map(|(_, count)| count);
    gauge!("tradewind_open_shipments").set(open.sum::<i64>() as f64);
    gauge!("tradewind_shipments_due").set(app.store.due_looks().await? as f64);
    gauge!("tradewind_exceptions_open").set(app.store.open_work().await? as f64);
    gauge!("tradewind_unjudged_shipments").set(app.store.unjudged().await? as f64);
    for (state, count) in app.store.webhook_counts().await? {
        gauge!("tradewind_webhooks", "state" => state).set(count as f64);
    }
    gauge!("tradewind_webhook_lag_seconds").set(app.store.webhook_lag().await? as f64 / 1_000.0);
    let waiting = app.store.oldest_due().await?;
    gauge!("tradewind_oldest_due_order_seconds").set(waiting as f64 / 1_000.0);
    let left = app.release().snapshot.storefront.expires.0 - app.clock.now().0;
    gauge!("tradewind_snapshot_expires_in_seconds").set(left as f64 / 1_000.0);
    Ok(app.metrics.render())
}

fn describe() {
    for (name, unit, about) in [
        ("tradewind_http_seconds", Unit::Seconds, "Duration of requests, by route, method and status."),
        ("tradewind_decision_seconds", Unit::Seconds, "Duration of calls of the module."),
    ] {
        describe_histogram!(name, unit, about);
    }
    for (name, unit, about) in [
        ("tradewind_orders_received_total", Unit::Count, "Orders accepted, including repeated ones."),
        ("tradewind_orders_planned_total", Unit::Count, "Orders whose plan was committed."),
        ("tradewind_orders_failed_total", Unit::Count, "Failed attempts to plan an order."),
        ("tradewind_orders_dead_total", Unit::Count, "Orders that failed too often."),
        ("tradewind_plan_conflicts_total", Unit::Count, "Plans computed again, because others took the units."),
        ("tradewind_prices_refused_total", Unit::Count, "Prices at checkout that differ from the quote."),
        ("tradewind_turned_away_total", Unit::Count, "Requests rejected because the queue was full."),
        ("tradewind_guests_lost_total", Unit::Count, "Instances of the module lost to a trap or limit."),
        ("tradewind_retention_failed_total", Unit::Count, "Failed removals of old rows."),
        ("tradewind_webhook_deliveries_total", Unit::Count, "Events that receivers have confirmed."),
        ("tradewind_webhook_failures_total", Unit::Count, "Failed attempts to deliver an event."),
        ("tradewind_exception_scans_failed_total", Unit::Count, "Failed exception scans."),
    ] {
        describe_counter!(name, unit, about);
    }
    for (name, unit, about) in [
        ("tradewind_orders", Unit::Count, "Orders, by state."),
        (
            "tradewind_oldest_due_order_seconds",
            Unit::Seconds,
            "Time since the oldest due order became due; 0 if none is.",
        ),
        (
            "tradewind_snapshot_expires_in_seconds",
            Unit::Seconds,
            "Time until the snapshot expires; negative afterwards.",
        ),
        ("tradewind_webhooks", Unit::Count, "Webhooks, by state."),
        (
            "tradewind_webhook_lag_seconds",
            Unit::Seconds,
            "Time since the oldest event that an active webhook has not got; 0 without one.",
        ),
        ("tradewind_release", Unit::Count, "Number of the active release."),
        ("tradewind_open_shipments", Unit::Count, "Shipments that are monitored."),
        ("tradewind_unjudged_shipments", Unit::Count, "Shipments that cannot be scored."),
        ("tradewind_shipments_due", Unit::Count, "Shipments to be scored for exceptions now."),
        ("tradewind_exceptions_open", Unit::Count, "Open exceptions."),
        ("tradewind_last_plan_seconds", Unit::Seconds, "Unix time of the last pass over the queue."),
        ("tradewind_last_exception_scan_seconds", Unit::Seconds, "Unix time of the last exception scan."),
    ] {
        describe_gauge!(name, unit, about);
    }
}
