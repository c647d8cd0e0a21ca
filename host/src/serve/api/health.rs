//! Health and metrics of the service.

use super::Document;
use crate::serve::{
    App,
    problem::{Answer, Problem, ProblemSchema},
};
use axum::{Json, extract::State};
use std::sync::Arc;
use tradewind_core::Millis;
use tradewind_json::hex;

/// Health of the service, and its release.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`, or `degraded` if the service takes requests but its background work fails: `troubles` has the reasons.
    status: &'static str,
    /// Background work that fails, or that did not finish for two minutes.
    troubles: Vec<String>,
    /// Time of the last successful pass over the queue: due orders were planned, or put back for their own faults.
    last_plan: Option<Millis>,
    /// Time of the last successful exception scan of all open shipments.
    last_exception_scan: Option<Millis>,
    /// Number of the release.
    release: i64,
    /// SHA-256 of the module.
    module: String,
    /// Root of the snapshot.
    snapshot: String,
    /// Moment at which the snapshot expires.
    expires: Millis,
}

/// Answers 200 if the database responds and the snapshot is valid, so that orders and scans are accepted.
#[utoipa::path(
    get, path = "/healthz", tag = "service", security(()),
    responses((status = 200, body = Health), (status = 503, body = ProblemSchema, content_type = "application/problem+json"))
)]
pub(super) async fn health(State(app): State<Arc<App>>) -> Document<Health> {
    app.store.ping().await?;
    let release = app.release();
    release.snapshot.holds(app.clock.now()).map_err(|error| Problem::unavailable(error.to_string()))?;
    let pulses = [&app.planned, &app.looked];
    let troubles: Vec<String> = pulses.iter().filter_map(|pulse| pulse.trouble()).collect();
    let [last_plan, last_exception_scan] = pulses.map(|pulse| pulse.last().map(|last| app.clock.at(last)));
    Ok(Json(Health {
        status: if troubles.is_empty() { "ok" } else { "degraded" },
        troubles,
        last_plan,
        last_exception_scan,
        release: release.number,
        module: hex(&release.parts.module.digest()),
        snapshot: hex(&release.snapshot.root),
        expires: release.snapshot.storefront.expires,
    }))
}

/// Metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", security(()), responses((status = 200, body = String)))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Answer<String> {
    for (state, count) in app.store.order_counts().await? {
        metrics::gauge!("tradewind_orders", "state" => state.name()).set(count as f64);
    }
    let shipments = app.store.counts("shipment").await?;
    let closed = ["delivered", "cancelled"];
    let open = shipments.iter().filter(|(state, _)| !closed.contains(&state.as_str())).map(|(_, count)| count);
    metrics::gauge!("tradewind_open_shipments").set(open.sum::<i64>() as f64);
    metrics::gauge!("tradewind_shipments_due").set(app.store.due_looks().await? as f64);
    metrics::gauge!("tradewind_exceptions_open").set(app.store.open_work().await? as f64);
    metrics::gauge!("tradewind_unjudged_shipments").set(app.store.unjudged().await? as f64);
    Ok(app.metrics.render())
}
