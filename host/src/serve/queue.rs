//! Worker that plans queued orders, and puts back failed ones.

use super::{
    App,
    plan::{self, Claim, Due, PlanError},
    store::{self, Queued},
    turns::Turns,
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tradewind_json::hex;

/// Maximum orders planned together.
const BATCH: i64 = 64;

/// Number of planners of a process, where the database lets several transactions write: while one's plan is committed,
/// the other decides about the next orders.
const PLANNERS: usize = 2;

/// Attempts before an order is dead.
const TRIES: i64 = 5;

/// Maximum number of new claims because stock has changed, before a plan is committed anyway: counts may arrive faster
/// than plans are made.
const CLAIMS: u32 = 4;

/// Interval at which the queue is checked without a signal: another replica may have queued orders.
const LOOK: Duration = Duration::from_millis(500);

/// Runs until told to stop.
pub(super) async fn run(app: Arc<App>, stop: watch::Receiver<bool>) {
    let planners = if app.store.locks_rows() { PLANNERS } else { 1 };
    let turns = Turns::default();
    join_all((0..planners).map(|_| planner(&app, &turns, stop.clone()))).await;
}

async fn planner(app: &App, turns: &Turns, mut stop: watch::Receiver<bool>) {
    let mut claims = 1;
    while !*stop.borrow() {
        let pause = match step(app, turns, claims < CLAIMS).await {
            Ok(planned) => {
                claims = 1;
                if planned > 0 {
                    continue;
                }
                LOOK
            }
            Err(PlanError::Changed) => {
                claims += 1;
                continue;
            }
            Err(error) => {
                app.planned.failed();
                tracing::warn!(%error, "planning failed, orders stay queued");
                LOOK
            }
        };
        tokio::select! {
            () = app.queued.notified() => {}
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Plans due orders; returns their number. An order that cannot be planned does not block others. Unless `fresh`, a
/// plan is committed even if stock has changed since the claim.
pub(super) async fn step(app: &App, turns: &Turns, fresh: bool) -> Result<usize, PlanError> {
    let mut turn = turns.next().await;
    // Before the claim, which may not see later changes.
    let (generation, is_due) = app.store.generation().await?;
    if !is_due {
        app.planned.done();
        return Ok(0);
    }
    let lease = lease()?;
    let queued = app.store.claim(&lease, BATCH).await?;
    let claim = Claim { lease, generation: fresh.then_some(generation) };
    let lease = claim.lease.as_str();
    let count = queued.len();
    if count as i64 == BATCH {
        // There may be more.
        app.queued.notify_one();
    }
    let mut due = Vec::with_capacity(count);
    for Queued { id, order, tries } in queued {
        let read = order.map_err(|error| store::unread(&error));
        match read.and_then(|order| order.check().map(|()| order).map_err(|error| error.to_string())) {
            Ok(order) => due.push(Due { order, tries }),
            // It will always fail.
            Err(error) => put_back(app, lease, &id, TRIES, 0, &error).await?,
        }
    }
    // A failed batch is halved until the faulty order is alone.
    let (mut sound, mut planned) = (true, 0);
    let mut parts = vec![due.as_slice()];
    while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
        match plan::plan(app, &claim, part, &mut turn).await {
            Ok(()) => planned += part.len(),
            Err(PlanError::Changed) => {
                let orders: Vec<&str> = due.iter().map(|due| due.order.id.as_str()).collect();
                app.store.give_back(lease, &orders).await?;
                return Err(PlanError::Changed);
            }
            // The leases expire by themselves.
            Err(PlanError::Database(error)) if store::is_away(&error) => return Err(PlanError::Database(error)),
            Err(error) if part.len() > 1 && error.is_of_orders() => {
                tracing::warn!(%error, orders = part.len(), "batch failed, retrying its halves");
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error) => {
                let theirs = error.is_of_orders();
                sound &= theirs;
                for Due { order, tries } in part {
                    let tries = tries + i64::from(theirs);
                    let after = if theirs { 500 << tries.min(6) } else { 1_000 };
                    put_back(app, lease, order.id.as_str(), tries, after, &error.to_string()).await?;
                }
            }
        }
    }
    if sound {
        app.planned.done();
    } else {
        app.planned.failed();
    }
    metrics::counter!("tradewind_orders_planned_total").increment(planned as u64);
    if count > 0 {
        app.moved.notify_one();
    }
    Ok(count)
}

/// Puts a failed order back: to be retried after some milliseconds, or dead.
async fn put_back(app: &App, lease: &str, order: &str, tries: i64, after: i64, error: &str) -> sqlx::Result<()> {
    metrics::counter!("tradewind_orders_failed_total").increment(1);
    let dead = tries >= TRIES;
    if dead {
        metrics::counter!("tradewind_orders_dead_total").increment(1);
        tracing::error!(order, error, "order moved to dead state");
    }
    app.store.put_back(lease, order, tries, after, error, dead).await
}

/// Unique name of a lease.
fn lease() -> Result<String, PlanError> {
    super::auth::random::<16>().map(|bytes| hex(&bytes)).map_err(|error| {
        PlanError::Database(sqlx::Error::Io(std::io::Error::other(format!("no random numbers: {error}"))))
    })
}
