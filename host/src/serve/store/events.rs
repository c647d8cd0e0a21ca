//! What happened, in order, and how many orders, shipments and entries of the worklist are in each state. Triggers write
//! both, in the transaction of the change.

use super::{Dialect, OrderState, Scope, Store};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use tradewind_core::tracking;

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

impl EventRow {
    /// Whether events may have a type.
    pub(crate) fn is_kind(kind: &str) -> bool {
        match kind.split_once('.') {
            Some(("order", state)) => OrderState::ALL.iter().any(|known| known.name() == state),
            Some(("shipment", "cancelled" | "held" | "released")) => true,
            Some(("shipment", state)) => serde_json::from_value::<tracking::State>(state.into()).is_ok(),
            Some(("exception", state)) => ["open", "acted", "resolved"].contains(&state),
            _ => false,
        }
    }
}

impl Store {
    /// Events of a scope after a place, oldest first. An event appears when no earlier one can appear any more.
    pub(crate) async fn events(&self, scope: &Scope, after: Place, limit: i64) -> sqlx::Result<Vec<EventRow>> {
        let after_place = self.events_after("$1", "$2");
        let select = format!("SELECT tx, seq, at, kind, subject, parent FROM events WHERE {after_place}");
        let (sql, values) = scope.list(&select, self.events_order(), 3, 4);
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(after.tx).bind(after.seq).bind(limit);
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        let rows: Vec<(i64, i64, i64, String, String, Option<String>)> = query.fetch_all(&self.pool).await?;
        let event =
            |(tx, seq, at, kind, subject, parent)| EventRow { place: Place { tx, seq }, at, kind, subject, parent };
        Ok(rows.into_iter().map(event).collect())
    }

    /// Place of the last event that appears.
    pub(crate) async fn last_event(&self) -> sqlx::Result<Place> {
        let (all, order) = (self.events_after("0", "0"), self.events_order().replace(',', " DESC,"));
        let sql = format!("SELECT tx, seq FROM events WHERE {all} ORDER BY {order} DESC LIMIT 1");
        let last: Option<(i64, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_optional(&self.pool).await?;
        Ok(last.map_or_else(Place::default, |(tx, seq)| Place { tx, seq }))
    }

    /// Condition of events after a place, before which no other can appear any more. SQLite has one writer at a time, so
    /// that the number alone is the order; it searches no index by both.
    pub(super) fn events_after(&self, tx: &str, seq: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("events.seq > {seq} AND {tx} >= 0"),
            Dialect::Postgres => format!(
                "(events.tx, events.seq) > ({tx}, {seq}) \
                 AND events.tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            ),
        }
    }

    /// Order of events.
    pub(super) const fn events_order(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "seq",
            Dialect::Postgres => "tx, seq",
        }
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
