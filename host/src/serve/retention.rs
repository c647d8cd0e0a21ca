//! Retention: what is finished and old is written to an archive of Parquet files, if there is one, and removed.
//!
//! Each batch is one transaction. Its files are complete and on disk before it is committed, so nothing is lost; if the
//! commit fails, the next attempt archives the same rows again, under another name.

use super::{
    App,
    auth::random,
    store::{Cell, DECISIONS, ORDERS, Rows, SCANS, SHIPMENTS, Table, Tx, WORKLIST, wall},
};
use parquet::{
    basic::{Compression, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;
use tradewind_core::Millis;
use tradewind_json::hex;

/// Interval between two passes: small enough for a short retention, and large enough for large files.
const EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Pause between a start and the first pass.
const FIRST: Duration = Duration::from_secs(10);

/// Maximum orders, shipments or decisions of a batch.
const BATCH: i64 = 1_000;

/// Days for which bookings are kept.
const BOOKINGS: i32 = 30;

/// How long finished work is kept, and where its archive is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Retention {
    /// Time for which finished orders are kept after they came, with their shipments, scans and exceptions, and events;
    /// unlimited if absent.
    pub orders: Option<Duration>,
    /// Time for which decisions are kept for replay; unlimited if absent.
    pub decisions: Option<Duration>,
    /// Folder to which removed rows are written; created if missing. They are only removed if absent.
    pub archive: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RetentionError {
    #[error("database error: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the archive `{folder}` cannot be written: {error}", folder = .folder.display())]
    Archive { folder: PathBuf, error: ParquetError },
}

/// Runs until told to stop.
pub(super) async fn run(app: Arc<App>, keep: Retention, mut stop: watch::Receiver<bool>) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
        tokio::select! {
            done = pass(&app, &keep) => if let Err(error) = done {
                metrics::counter!("tradewind_retention_failed_total").increment(1);
                tracing::error!(%error, "old rows stay in the database");
            },
            _ = stop.changed() => return,
        }
        pause = EVERY;
    }
}

/// Removes all that is old.
pub(super) async fn pass(app: &App, keep: &Retention) -> Result<(), RetentionError> {
    let now = app.clock.now();
    let before = |kept: Duration| now.0.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
    let archive = keep.archive.as_deref();
    if let Some(kept) = keep.orders {
        while orders(app, archive, before(kept)).await? {}
        while shipments(app, archive, before(kept)).await? {}
        app.store.forget_events(app.clock.wall(Millis(before(kept)))).await?;
    }
    if let Some(kept) = keep.decisions {
        while decisions(app, archive, before(kept)).await? {}
    }
    app.store.forget_bookings(i64::from(now.day().0 - BOOKINGS)).await?;
    Ok(app.store.optimize().await?)
}

/// Removes a batch of finished orders with all that belongs to them; returns whether there may be more.
async fn orders(app: &App, archive: Option<&Path>, before: i64) -> Result<bool, RetentionError> {
    let mut tx = app.store.begin().await?;
    let orders = app.store.finished_orders(&mut tx, before, BATCH).await?;
    if orders.is_empty() {
        return Ok(false);
    }
    let shipments = app.store.names_of(&mut tx, &orders).await?;
    let mut parts = removed(app, &mut tx, &shipments).await?;
    parts.push((ORDERS, app.store.remove(&mut tx, ORDERS, "id", &orders).await?));
    kept(archive, parts).await?;
    tx.commit().await?;
    tracing::info!(orders = orders.len(), "finished orders removed");
    Ok(orders.len() as i64 == BATCH)
}

/// Removes a batch of finished shipments of other systems.
async fn shipments(app: &App, archive: Option<&Path>, before: i64) -> Result<bool, RetentionError> {
    let mut tx = app.store.begin().await?;
    let shipments = app.store.finished_shipments(&mut tx, before, BATCH).await?;
    if shipments.is_empty() {
        return Ok(false);
    }
    let parts = removed(app, &mut tx, &shipments).await?;
    kept(archive, parts).await?;
    tx.commit().await?;
    Ok(shipments.len() as i64 == BATCH)
}

async fn removed(app: &App, tx: &mut Tx, shipments: &[String]) -> sqlx::Result<Vec<(Table, Rows)>> {
    Ok(vec![
        (WORKLIST, app.store.remove(tx, WORKLIST, "shipment", shipments).await?),
        (SCANS, app.store.remove(tx, SCANS, "shipment", shipments).await?),
        (SHIPMENTS, app.store.remove(tx, SHIPMENTS, "id", shipments).await?),
    ])
}

async fn decisions(app: &App, archive: Option<&Path>, before: i64) -> Result<bool, RetentionError> {
    let mut tx = app.store.begin().await?;
    let names = app.store.old_decisions(&mut tx, before, BATCH / 10).await?;
    if names.is_empty() {
        return Ok(false);
    }
    let rows = app.store.remove(&mut tx, DECISIONS, "id", &names).await?;
    kept(archive, vec![(DECISIONS, rows)]).await?;
    tx.commit().await?;
    Ok(names.len() as i64 == BATCH / 10)
}

/// Writes rows to the archive.
async fn kept(archive: Option<&Path>, parts: Vec<(Table, Rows)>) -> Result<(), RetentionError> {
    let Some(folder) = archive.map(Path::to_owned) else { return Ok(()) };
    let failed = |error| RetentionError::Archive { folder: folder.clone(), error };
    let written = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || parts.iter().try_for_each(|(table, rows)| write(&folder, *table, rows))
    });
    written.await.map_err(|error| failed(ParquetError::External(error.into())))?.map_err(failed)
}

/// Writes a file with rows of a table, which is complete and on disk when this returns.
fn write(folder: &Path, table: Table, rows: &Rows) -> Result<(), ParquetError> {
    if rows.first().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let suffix = random::<8>().map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!("{}-{}-{}.parquet", table.name, wall(), hex(&suffix));
    let (path, part) = (folder.join(&name), folder.join(format!(".{name}")));
    let columns = table.columns.iter().map(|(name, is_text)| match is_text {
        true => format!("OPTIONAL BYTE_ARRAY {name} (UTF8);"),
        false => format!("OPTIONAL INT64 {name};"),
    });
    let schema = parse_message_type(&format!("message {} {{ {} }}", table.name, columns.collect::<String>()))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut writer = SerializedFileWriter::new(File::create(&part)?, Arc::new(schema), Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for cells in rows {
        let Some(mut column) = group.next_column()? else { break };
        let (mut texts, mut numbers, mut levels) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_text = true;
        for cell in cells {
            levels.push(i16::from(!matches!(cell, Cell::Text(None) | Cell::Number(None))));
            match cell {
                Cell::Text(text) => texts.extend(text.as_deref().map(ByteArray::from)),
                Cell::Number(number) => {
                    is_text = false;
                    numbers.extend(*number);
                }
            }
        }
        if is_text {
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
        } else {
            column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None)?;
        }
        column.close()?;
    }
    group.close()?;
    writer.into_inner()?.sync_all()?;
    fs::rename(part, path)?;
    // The name, too, is on disk.
    Ok(File::open(folder)?.sync_all()?)
}
