//! Health and metrics of the service.

use super::{Answered, responses::Open};
use crate::serve::{
    App, metering,
    problem::{Answer, Problem},
};
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;
use tradewind_core::Millis;
use tradewind_json::{ProblemKind, hex};

/// Health of the service, and its release.
#[derive(Serialize, utoipa::ToSchema)]
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
    get, path = "/healthz", operation_id = "getHealth", tag = "service", security(()),
    responses((status = 200, body = Health, description = "the service takes requests"), Open)
)]
pub(super) async fn health(State(app): State<Arc<App>>) -> Answered<Health> {
    app.store.ping().await?;
    let release = app.release();
    release
        .snapshot
        .holds(app.clock.now())
        .map_err(|error| Problem::new(ProblemKind::NoSnapshot, error.to_string()))?;
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

/// State of the process.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Status)]
pub(super) struct Status {
    /// `ok`.
    status: &'static str,
}

const OK: Json<Status> = Json(Status { status: "ok" });

/// Answers 200 for as long as the process runs, for an orchestrator that restarts it.
#[utoipa::path(
    get, path = "/livez", operation_id = "getLiveness", tag = "service", security(()),
    responses((status = 200, body = Status, description = "the process runs"), Open)
)]
pub(super) async fn live() -> Json<Status> {
    OK
}

/// Answers 200 if the database responds, so that orders and scans are accepted, for a load balancer. An expired snapshot
/// changes nothing: orders are kept until there is another one.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "service", security(()),
    responses((status = 200, body = Status, description = "the service takes requests"), Open)
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> Answered<Status> {
    app.store.ping().await?;
    Ok(OK)
}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "service", security(()),
    responses((status = 200, body = String, content_type = "text/plain", description = "metrics in Prometheus' format"), Open)
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Answer<String> {
    Ok(metering::render(&app).await?)
}
