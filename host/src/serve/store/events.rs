//! What happened, in order, and how many orders, shipments and entries of the worklist are in each state. Triggers write
//! both, in the transaction of the change.

use super::{Dialect, Scope, Store};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// Event: a new order, shipment or entry of the worklist, or another state of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventRow {
    pub(crate) place: Place,
    /// Milliseconds since 1970, by the database's clock.
    pub(crate) at: i64,
    /// What, and its state: `order.allocated`, `shipment.packed`, `exception.open`.
    pub(crate) kind: String,
    pub(crate) subject: String,
    /// Order of a shipment, shipment of an entry.
    pub(crate) parent: Option<String>,
}

/// Place of an event in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Transaction: on PostgreSQL, one that began later may end earlier, so events are ordered by it.
    pub(crate) tx: i64,
    pub(crate) seq: i64,
}

impl Store {
    /// Events of a scope after a place, oldest first. An event appears when no earlier one can appear any more.
    pub(crate) async fn events(&self, scope: &Scope, after: Place, limit: i64) -> sqlx::Result<Vec<EventRow>> {
        let ended = match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => " AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
        };
        let select = format!("SELECT tx, seq, at, kind, subject, parent FROM events WHERE (tx, seq) > ($1, $2){ended}");
        let (sql, values) = scope.list(&select, "tx, seq", 3, 4);
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(after.tx).bind(after.seq).bind(limit);
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        let rows: Vec<(i64, i64, i64, String, String, Option<String>)> = query.fetch_all(&self.pool).await?;
        let event =
            |(tx, seq, at, kind, subject, parent)| EventRow { place: Place { tx, seq }, at, kind, subject, parent };
        Ok(rows.into_iter().map(event).collect())
    }

    /// Numbers of orders (`order`), shipments (`shipment`) or entries of the worklist (`exception`), by state.
    pub(crate) async fn counts(&self, what: &str) -> sqlx::Result<BTreeMap<String, i64>> {
        let prefix = format!("{what}.");
        let sql = "SELECT what, CAST(SUM(number) AS BIGINT) FROM counts WHERE what LIKE $1 GROUP BY what";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).bind(format!("{prefix}%")).fetch_all(&self.pool).await?;
        let named = |(name, count): (String, i64)| Some((name.strip_prefix(&prefix)?.to_owned(), count));
        Ok(rows.into_iter().filter_map(named).collect())
    }
}
