//! When shipments are scored for exceptions: those that moved at once, the others when their findings may have changed.
//!
//! Replicas share this work: each claims shipments for a time, and writes what it found only while its claim stands. A
//! shipment that moves meanwhile is due again at once.

use super::{ROWS, ShipmentRow, Store, Tx, WorkRow, parameters, shipments, values, wall, worklist};
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::tracking::Scan;

/// Milliseconds of a claim: longer than scoring may take.
const CLAIM: i64 = 30_000;

/// Claimed shipment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) shipment: String,
    /// Version that was read.
    version: i64,
    /// The shipment; `None` if it is gone, and an error if its data cannot be read.
    pub(crate) row: Option<sqlx::Result<ShipmentRow>>,
    /// Its scans, oldest first; errors for unreadable ones.
    pub(crate) scans: Vec<sqlx::Result<Scan>>,
    /// Its entries on the worklist.
    pub(crate) entries: Vec<WorkRow>,
}

impl Store {
    /// Makes shipments due at once.
    pub(crate) async fn look_again(&self, tx: &mut Tx, shipments: &[&str]) -> sqlx::Result<()> {
        let mut shipments = shipments.to_vec();
        shipments.sort_unstable();
        shipments.dedup();
        for shipments in shipments.chunks(ROWS) {
            let sql = format!(
                "INSERT INTO looks (shipment, due, version) VALUES {} \
                 ON CONFLICT (shipment) DO UPDATE SET due = 0, version = looks.version + 1",
                values(1, shipments.len(), 3)
            );
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for shipment in shipments {
                insert = insert.bind((*shipment).to_owned()).bind(0_i64).bind(0_i64);
            }
            insert.execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Makes the shipments due that wait at a node with a product: its stock has changed.
    pub(crate) async fn look_at_stock(&self, tx: &mut Tx, node: &str, sku: &str) -> sqlx::Result<()> {
        let sql = format!(
            "UPDATE looks SET due = 0, version = version + 1 WHERE shipment IN (SELECT shipment FROM looks WHERE shipment IN (\
             SELECT shipment FROM reservations WHERE sku = $1 AND node = $2) ORDER BY shipment{})",
            self.locking(" FOR UPDATE")
        );
        sqlx::query(AssertSqlSafe(sql)).bind(sku.to_owned()).bind(node.to_owned()).execute(&mut *tx).await.map(drop)
    }

    /// Makes all watched shipments due: another release may find other exceptions.
    pub(crate) async fn look_at_all(&self, tx: &mut Tx) -> sqlx::Result<()> {
        let sql = format!(
            "UPDATE looks SET due = 0, version = version + 1 WHERE shipment IN (SELECT shipment FROM looks ORDER BY shipment{})",
            self.locking(" FOR UPDATE")
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await.map(drop)
    }

    /// Claims due shipments, and reads what is known about them.
    pub(crate) async fn claim_looks(&self, most: i64) -> sqlx::Result<Vec<Look>> {
        let now = wall();
        // Times beyond all pauses are of a clock that was put back.
        let sql = format!(
            "UPDATE looks SET due = $1 WHERE shipment IN (\
             SELECT shipment FROM looks WHERE due <= $2 OR due > $3 ORDER BY due LIMIT $4{}) RETURNING shipment, version",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        let claim = sqlx::query_as(AssertSqlSafe(sql)).bind(now + CLAIM).bind(now).bind(now + 24 * 3_600_000);
        let mut claimed: Vec<(String, i64)> = claim.bind(most).fetch_all(&self.pool).await?;
        claimed.sort_unstable();
        let (mut rows, mut scans, mut entries) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for names in claimed.chunks(ROWS) {
            let list = parameters(1, names.len());
            let bound = |sql: String| {
                names.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, name| query.bind(name.0.clone()))
            };
            let found = bound(format!("{} WHERE id IN {list}", shipments::SELECT)).fetch_all(&self.pool).await?;
            for row in &found {
                rows.insert(row.try_get::<String, _>("id")?, shipments::row(row));
            }
            let sql = format!("SELECT shipment, at, state, place FROM scans WHERE shipment IN {list} ORDER BY shipment, at");
            for row in bound(sql).fetch_all(&self.pool).await? {
                let (shipment, scan) = shipments::scan(sqlx::FromRow::from_row(&row)?);
                scans.entry(shipment).or_insert_with(Vec::new).push(scan);
            }
            let sql = format!("{} WHERE shipment IN {list}", worklist::SELECT);
            for row in &bound(sql).fetch_all(&self.pool).await? {
                let entry = worklist::row(row)?;
                let shipment: String = row.try_get("shipment")?;
                entries.entry(shipment).or_insert_with(Vec::new).push(entry);
            }
        }
        let looks = claimed.into_iter().map(|(shipment, version)| Look {
            version,
            row: rows.remove(&shipment),
            scans: scans.remove(&shipment).unwrap_or_default(),
            entries: entries.remove(&shipment).unwrap_or_default(),
            shipment,
        });
        Ok(looks.collect())
    }

    /// Ends claims: each shipment is due again at a time by the machine's clock, or never. Returns the names of those that
    /// did not move meanwhile; the others are due already, and what was found of them is outdated.
    pub(crate) async fn end_looks(
        &self,
        tx: &mut Tx,
        looks: &[(&Look, Option<i64>)],
    ) -> sqlx::Result<BTreeSet<String>> {
        let mut ended = BTreeSet::new();
        for looks in looks.chunks(ROWS) {
            let sql = format!(
                "SELECT shipment, version FROM looks WHERE shipment IN {} ORDER BY shipment{}",
                parameters(1, looks.len()),
                self.locking(" FOR UPDATE")
            );
            let query = looks.iter().fold(sqlx::query_as(AssertSqlSafe(sql)), |query, (look, _)| {
                query.bind(look.shipment.clone())
            });
            let versions: BTreeMap<String, i64> = query.fetch_all(&mut *tx).await?.into_iter().collect();
            let current: Vec<&(&Look, Option<i64>)> =
                looks.iter().filter(|(look, _)| versions.get(&look.shipment) == Some(&look.version)).collect();
            let (again, over): (Vec<_>, Vec<_>) = current.iter().copied().partition(|(_, again)| again.is_some());
            if !again.is_empty() {
                let sql = format!(
                    "UPDATE looks SET due = v.column2 FROM (VALUES {}) AS v WHERE shipment = v.column1",
                    values(1, again.len(), 2)
                );
                let update = again.iter().fold(sqlx::query(AssertSqlSafe(sql)), |update, (look, again)| {
                    update.bind(look.shipment.clone()).bind(*again)
                });
                update.execute(&mut *tx).await?;
            }
            if !over.is_empty() {
                let sql = format!("DELETE FROM looks WHERE shipment IN {}", parameters(1, over.len()));
                let delete = over
                    .iter()
                    .fold(sqlx::query(AssertSqlSafe(sql)), |delete, (look, _)| delete.bind(look.shipment.clone()));
                delete.execute(&mut *tx).await?;
            }
            ended.extend(current.iter().map(|(look, _)| look.shipment.clone()));
        }
        Ok(ended)
    }

    /// Number of due shipments.
    pub(crate) async fn due_looks(&self) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM looks WHERE due <= $1";
        sqlx::query_scalar(sql).bind(wall()).fetch_one(&self.pool).await
    }
}
