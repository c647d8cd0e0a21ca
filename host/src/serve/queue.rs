//! The worker: takes orders from the queue, has them planned, and puts back what could not be.

use super::{
    App,
    guests::AskError,
    plan::{self, PlanError},
    store::Queued,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tradewind_core::{ErrorKind, guest::ClientError};
use tradewind_json::hex;

/// Orders that are planned together.
const BATCH: i64 = 64;

/// How long orders are ours before another may take them: longer than a plan may take.
const LEASE: Duration = Duration::from_secs(15);

/// How often an order is tried before someone must look at it.
const TRIES: i64 = 5;

/// How often the queue is looked at when nobody says that there is something in it: another replica may have put
/// it there.
const LOOK: Duration = Duration::from_millis(500);

/// Works until told to stop.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let pause = match step(&app).await {
            Ok(0) => LOOK,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(%error, "orders wait");
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

/// Plans what is due; how many orders that were.
async fn step(app: &App) -> Result<usize, PlanError> {
    let lease = lease()?;
    let batch = app.store.claim(&lease, LEASE.as_millis() as i64, BATCH).await?;
    let count = batch.len();
    if count == 0 {
        return Ok(0);
    }
    match plan::plan(app, &lease, &batch).await {
        Ok(()) => {}
        // The leases end by themselves.
        Err(PlanError::Database(error)) if super::store::is_away(&error) => return Err(PlanError::Database(error)),
        Err(error) if count == 1 => put_back(app, &lease, &batch, &error).await?,
        Err(error) => {
            tracing::warn!(%error, orders = count, "a batch could not be planned; each order is tried alone");
            for one in batch.chunks(1) {
                if let Err(error) = plan::plan(app, &lease, one).await {
                    put_back(app, &lease, one, &error).await?;
                }
            }
        }
    }
    metrics::counter!("tradewind_orders_planned_total").increment(count as u64);
    app.moved.notify_one();
    Ok(count)
}

/// Puts orders back: to wait for the service, where the fault is not theirs, or to be tried again, or to be seen.
async fn put_back(app: &App, lease: &str, batch: &[Queued], error: &PlanError) -> Result<(), PlanError> {
    let theirs = match error {
        PlanError::Ask(AskError::Client(ClientError::Fault(fault))) => {
            !matches!(fault.kind(), Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired | ErrorKind::UnknownPack))
        }
        PlanError::Ask(AskError::Client(_)) | PlanError::Order(_) | PlanError::Unsound(_) => true,
        PlanError::Database(error) => !super::store::is_away(error),
        PlanError::Ask(_) | PlanError::Contended => false,
    };
    for Queued { order, tries } in batch {
        let tries = tries + i64::from(theirs);
        let dead = tries >= TRIES;
        let after = if theirs { 500 << tries.min(6) } else { 1_000 };
        if dead {
            metrics::counter!("tradewind_orders_dead_total").increment(1);
            tracing::error!(order = order.id, %error, "an order is dead: someone must look at it");
        }
        app.store.put_back(lease, &order.id, tries, after, &error.to_string(), dead).await?;
    }
    Ok(())
}

/// A name for a lease that nobody else has.
fn lease() -> Result<String, PlanError> {
    super::auth::random::<16>().map(|bytes| hex(&bytes)).map_err(|error| {
        PlanError::Database(sqlx::Error::Io(std::io::Error::other(format!("no random numbers: {error}"))))
    })
}
