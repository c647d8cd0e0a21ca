//! When shipments are scored for exceptions: those that moved at once, the others when their findings may have changed.
//!
//! One replica scores at a time, so that more of them do not take more from planning. It claims shipments for a time, and
//! writes what it found only while its claim stands. A shipment that moves meanwhile is due again at once.

use super::{
    Column::{Number, Text},
    ShipmentRow, Store, Tx, WorkRow, shipments, to_json, wall, worklist,
};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::tracking::Scan;

/// Milliseconds of a claim: longer than scoring may take.
const CLAIM: i64 = 30_000;

/// Key of the advisory lock of the replica that scores, in PostgreSQL.
const WATCH: i64 = 0x0074_7261_6465_7769;

/// Right of one replica to score, until it is dropped or its connection ends.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Holds the lock. `None` for SQLite, which serves one process.
    _transaction: Option<Transaction<'static, Any>>,
}

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
        let shipments: Vec<[&str; 1]> = shipments.iter().map(|id| [*id]).collect::<BTreeSet<_>>().into_iter().collect();
        let sql = format!(
            "INSERT INTO looks (shipment, due, version) SELECT column1, 0, 0 FROM {} AS v WHERE true \
             ON CONFLICT (shipment) DO UPDATE SET due = 0, version = looks.version + 1",
            self.rows(1, &[Text])
        );
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&shipments)?).execute(&mut *tx).await.map(drop)
    }

    /// Makes the shipments due that wait at a node with a product: its stock has changed.
    pub(crate) async fn look_at_stock(&self, tx: &mut Tx, node: &str, sku: &str) -> sqlx::Result<()> {
        let here = "WHERE shipment IN (SELECT shipment FROM reservations WHERE sku = $1 AND node = $2)";
        sqlx::query(AssertSqlSafe(self.due_at_once(here)))
            .bind(sku.to_owned())
            .bind(node.to_owned())
            .execute(&mut *tx)
            .await
            .map(drop)
    }

    /// Makes all watched shipments due: another release may find other exceptions.
    pub(crate) async fn look_at_all(&self, tx: &mut Tx) -> sqlx::Result<()> {
        sqlx::query(AssertSqlSafe(self.due_at_once(""))).execute(&mut *tx).await.map(drop)
    }

    /// Statement that makes the shipments due that match a condition, locked in the order of their names.
    fn due_at_once(&self, which: &str) -> String {
        let locking = self.locking(" FOR UPDATE");
        format!(
            "UPDATE looks SET due = 0, version = version + 1 \
             WHERE shipment IN (SELECT shipment FROM looks {which} ORDER BY shipment{locking})"
        )
    }

    /// Takes the right to score, or returns `None` while another replica has it.
    pub(crate) async fn watch(&self) -> sqlx::Result<Option<Watch>> {
        if !self.locks_rows() {
            return Ok(Some(Watch { _transaction: None }));
        }
        let mut transaction = self.pool.0.begin().await?;
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(WATCH);
        let locked: bool = lock.fetch_one(&mut *transaction).await?;
        Ok(locked.then_some(Watch { _transaction: Some(transaction) }))
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
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        claimed.sort_unstable();
        let (mut rows, mut scans, mut entries) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let names = to_json(&claimed.iter().map(|(shipment, _)| shipment).collect::<Vec<_>>())?;
        let (among, pool) = (self.among(1), &self.pool);
        let read = async |sql: String| sqlx::query(AssertSqlSafe(sql)).bind(names.clone()).fetch_all(pool).await;
        for row in &read(format!("{} WHERE id {among}", shipments::SELECT)).await? {
            rows.insert(row.try_get::<String, _>("id")?, shipments::row(row));
        }
        let sql = format!("SELECT shipment, at, state, place FROM scans WHERE shipment {among} ORDER BY shipment, at");
        for row in &read(sql).await? {
            let (shipment, scan) = shipments::scan(sqlx::FromRow::from_row(row)?);
            scans.entry(shipment).or_insert_with(Vec::new).push(scan);
        }
        for row in &read(format!("{} WHERE shipment {among}", worklist::SELECT)).await? {
            entries.entry(row.try_get::<String, _>("shipment")?).or_insert_with(Vec::new).push(worklist::row(row)?);
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
        let sql = format!(
            "SELECT shipment, version FROM looks WHERE shipment {} ORDER BY shipment{}",
            self.among(1),
            self.locking(" FOR UPDATE")
        );
        let names: Vec<&str> = looks.iter().map(|(look, _)| look.shipment.as_str()).collect();
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(to_json(&names)?);
        let versions: BTreeMap<String, i64> = query.fetch_all(&mut *tx).await?.into_iter().collect();
        let current = looks.iter().filter(|(look, _)| versions.get(&look.shipment) == Some(&look.version));
        let current: Vec<(&str, Option<i64>)> = current.map(|(look, again)| (look.shipment.as_str(), *again)).collect();
        let again: Vec<_> = current.iter().filter(|(_, again)| again.is_some()).collect();
        let sql = format!(
            "UPDATE looks SET due = v.column2 FROM {} AS v WHERE shipment = v.column1",
            self.rows(1, &[Text, Number])
        );
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&again)?).execute(&mut *tx).await?;
        let over: Vec<&str> =
            current.iter().filter(|(_, again)| again.is_none()).map(|(shipment, _)| *shipment).collect();
        if !over.is_empty() {
            let sql = format!("DELETE FROM looks WHERE shipment {}", self.among(1));
            sqlx::query(AssertSqlSafe(sql)).bind(to_json(&over)?).execute(&mut *tx).await?;
        }
        Ok(current.into_iter().map(|(shipment, _)| shipment.to_owned()).collect())
    }

    /// Number of due shipments.
    pub(crate) async fn due_looks(&self) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM looks WHERE due <= $1";
        sqlx::query_scalar(sql).bind(wall()).fetch_one(&self.pool).await
    }
}
