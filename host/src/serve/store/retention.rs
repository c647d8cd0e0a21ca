//! Removal of old rows.

use super::{Store, Tx, to_json};
use sqlx::{AssertSqlSafe, Row};

/// Table whose rows are archived before they are removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Columns: name, and whether it is text; the others are 64-bit integers.
    pub(crate) columns: &'static [(&'static str, bool)],
}

/// Value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

/// Rows of a table, by column.
pub(crate) type Rows = Vec<Vec<Cell>>;

pub(crate) const ORDERS: Table = Table {
    name: "orders",
    columns: &[
        ("id", true),
        ("body", true),
        ("state", true),
        ("priority", false),
        ("received", false),
        ("decided", false),
        ("cost", true),
        ("decision", true),
    ],
};

pub(crate) const SHIPMENTS: Table = Table {
    name: "shipments",
    columns: &[
        ("id", true),
        ("order_id", true),
        ("node", true),
        ("region", true),
        ("body", true),
        ("state", true),
        ("dispatch", false),
        ("allocated", false),
    ],
};

pub(crate) const SCANS: Table =
    Table { name: "scans", columns: &[("shipment", true), ("at", false), ("state", true), ("place", true)] };

pub(crate) const WORKLIST: Table = Table {
    name: "worklist",
    columns: &[
        ("id", true),
        ("shipment", true),
        ("kind", true),
        ("state", true),
        ("severity", false),
        ("score", true),
        ("found", false),
        ("acted", true),
        ("feedback", true),
    ],
};

pub(crate) const DECISIONS: Table =
    Table { name: "decisions", columns: &[("id", true), ("made", false), ("record", true)] };

impl Store {
    /// Names of finished orders that came before a time, oldest first: all of them has left, or they are cancelled. They
    /// are locked until the transaction ends.
    pub(crate) async fn finished_orders(&self, tx: &mut Tx, before: i64, most: i64) -> sqlx::Result<Vec<String>> {
        let sql = format!(
            "SELECT id FROM orders WHERE received < $1 AND state IN ('allocated', 'cancelled') \
             AND NOT EXISTS (SELECT 1 FROM shipments WHERE order_id = orders.id AND open = 1) \
             ORDER BY received LIMIT $2{}",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(before).bind(most).fetch_all(tx).await
    }

    /// Names of closed shipments of other systems without a scan since a time.
    pub(crate) async fn finished_shipments(&self, tx: &mut Tx, before: i64, most: i64) -> sqlx::Result<Vec<String>> {
        let sql = format!(
            "SELECT id FROM shipments WHERE allocated = 0 AND open = 0 \
             AND NOT EXISTS (SELECT 1 FROM scans WHERE shipment = shipments.id AND at >= $1) \
             AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.id = order_id) ORDER BY id LIMIT $2{}",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(before).bind(most).fetch_all(tx).await
    }

    /// Names of decisions made before a time.
    pub(crate) async fn old_decisions(&self, tx: &mut Tx, before: i64, most: i64) -> sqlx::Result<Vec<String>> {
        let sql = "SELECT id FROM decisions WHERE made < $1 ORDER BY made LIMIT $2";
        sqlx::query_scalar(sql).bind(before).bind(most).fetch_all(tx).await
    }

    /// Names of the shipments of orders.
    pub(crate) async fn names_of(&self, tx: &mut Tx, orders: &[String]) -> sqlx::Result<Vec<String>> {
        let sql = format!("SELECT id FROM shipments WHERE order_id {} ORDER BY id", self.among(1));
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(to_json(&orders)?).fetch_all(tx).await
    }

    /// Removes the rows of a table in which a column has one of these values, and returns them by column.
    pub(crate) async fn remove(&self, tx: &mut Tx, table: Table, key: &str, names: &[String]) -> sqlx::Result<Rows> {
        let mut rows: Rows = table.columns.iter().map(|_| Vec::new()).collect();
        let columns = table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let sql = format!("DELETE FROM {} WHERE {key} {} RETURNING {columns}", table.name, self.among(1));
        for row in sqlx::query(AssertSqlSafe(sql)).bind(to_json(&names)?).fetch_all(tx).await? {
            for ((name, is_text), column) in table.columns.iter().zip(&mut rows) {
                column.push(match is_text {
                    true => Cell::Text(row.try_get(*name)?),
                    false => Cell::Number(row.try_get(*name)?),
                });
            }
        }
        Ok(rows)
    }

    /// Removes events before a time, by the machine's clock, except those that an active webhook has not got; returns
    /// their number.
    pub(crate) async fn forget_events(&self, before: i64) -> sqlx::Result<u64> {
        // By number, because their times have no index: events of one time have neighbouring numbers.
        let sql = "DELETE FROM events WHERE seq <= (SELECT seq FROM events WHERE at >= $1 ORDER BY tx, seq LIMIT 1) - 1 \
                   AND NOT EXISTS (SELECT 1 FROM webhooks WHERE state = 'active' \
                   AND (webhooks.tx, webhooks.seq) < (events.tx, events.seq))";
        Ok(sqlx::query(sql).bind(before).execute(&self.pool).await?.rows_affected())
    }

    /// Removes bookings of days before one, on which nothing waits any more.
    pub(crate) async fn forget_bookings(&self, before: i64) -> sqlx::Result<()> {
        let sql = "DELETE FROM bookings WHERE day < $1 AND waiting = 0";
        sqlx::query(sql).bind(before).execute(&self.pool).await.map(drop)
    }

    /// Lets the database update what it knows about its tables.
    pub(crate) async fn optimize(&self) -> sqlx::Result<()> {
        match self.dialect {
            super::Dialect::Sqlite => sqlx::raw_sql("PRAGMA optimize").execute(&self.pool).await.map(drop),
            // It does so by itself.
            super::Dialect::Postgres => Ok(()),
        }
    }
}
