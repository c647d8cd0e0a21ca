//! Sums over all stock for the operators' page. They read the whole table, so they are computed in the background while
//! the page is in use, and shown with their time.

use super::{App, store::wall};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Mutex;
use tradewind_core::{Millis, Sku};

/// Milliseconds after which the sums are computed again.
const FRESH: i64 = 60_000;

/// Time for which a page waits for the first sums.
const PATIENCE: Duration = Duration::from_millis(30);

/// Maximum number of products with the least cover.
const LEAST: usize = 10;

/// Sums over stock.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Time by the machine's clock.
    made: i64,
    /// Available and reserved units, and sold-out products, by node.
    pub(super) nodes: BTreeMap<String, (i64, i64, i64)>,
    /// Products with the shortest cover by the forecast demand of the snapshot's first week, shortest first.
    pub(super) cover: Vec<Cover>,
}

/// Stock cover of a product.
#[derive(Debug)]
pub(super) struct Cover {
    pub(super) sku: String,
    /// Available units at all nodes.
    pub(super) units: i64,
    /// Median demand of a week.
    pub(super) demand: f32,
}

/// Latest sums.
#[derive(Debug, Default)]
pub(super) struct Overview {
    latest: RwLock<Option<Arc<Sums>>>,
    /// Held while sums are computed.
    computing: Mutex<()>,
}

impl Cover {
    /// Weeks that the units last.
    pub(super) fn weeks(&self) -> f32 {
        self.units as f32 / self.demand
    }
}

impl Sums {
    /// When they were computed, by the service's clock.
    pub(super) fn made(&self, app: &App) -> Millis {
        app.clock.at(Millis(self.made))
    }
}

/// Latest sums; `None` while the first are computed. Old ones are computed again in the background.
pub(super) async fn latest(app: &Arc<App>) -> Option<Arc<Sums>> {
    let latest = || app.overview.latest.read().unwrap_or_else(PoisonError::into_inner).clone();
    let known = latest();
    if known.as_ref().is_some_and(|sums| wall() - sums.made < FRESH) {
        return known;
    }
    let computed = tokio::spawn(compute(Arc::clone(app)));
    // A small shop's page has its own.
    let _ = tokio::time::timeout(PATIENCE, computed).await;
    latest()
}

async fn compute(app: Arc<App>) {
    let Ok(_computing) = app.overview.computing.try_lock() else { return };
    match sums(&app).await {
        Ok(sums) => {
            *app.overview.latest.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(sums));
        }
        Err(error) => tracing::warn!(%error, "sums over stock failed"),
    }
}

async fn sums(app: &App) -> sqlx::Result<Sums> {
    let made = wall();
    let nodes = app.store.node_totals().await?;
    let release = app.release();
    let catalog = &release.snapshot.storefront.catalog;
    let mut cover = Vec::new();
    if let Some(forecast) = &release.snapshot.forecast {
        cover.extend(app.store.available().await?.into_iter().filter_map(|(sku, units)| {
            let demand = forecast.of(catalog.id(&Sku::new(sku.as_str()).ok()?)?)?[0].p50;
            (demand > 0.0).then_some(Cover { sku, units, demand })
        }));
    }
    cover.sort_by(|a, b| a.weeks().total_cmp(&b.weeks()).then(b.demand.total_cmp(&a.demand)));
    cover.truncate(LEAST);
    Ok(Sums { made, nodes, cover })
}
