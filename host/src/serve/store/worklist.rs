//! Worklist of exceptions for operators.

use super::{Store, Tx, from_json, to_json};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};
use std::collections::BTreeSet;
use tradewind_core::exceptions::ExceptionScore;

/// Entry of the worklist.
#[derive(Debug, Clone)]
pub(crate) struct WorkRow {
    pub(crate) id: String,
    /// `open`, `acted` or `resolved`.
    pub(crate) state: String,
    pub(crate) finding: Finding,
    pub(crate) found: i64,
    pub(crate) acted: Option<serde_json::Value>,
    pub(crate) feedback: Option<serde_json::Value>,
}

/// Finding about a shipment.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) score: ExceptionScore,
    /// Reason why a shipment cannot be scored, for data faults that the module does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

const SELECT: &str = "SELECT id, state, score, found, acted, feedback FROM worklist";

fn row(row: &AnyRow) -> sqlx::Result<WorkRow> {
    let document = |name: &str| row.try_get::<Option<String>, _>(name)?.as_deref().map(from_json).transpose();
    Ok(WorkRow {
        id: row.try_get("id")?,
        state: row.try_get("state")?,
        finding: from_json(&row.try_get::<String, _>("score")?)?,
        found: row.try_get("found")?,
        acted: document("acted")?,
        feedback: document("feedback")?,
    })
}

impl Store {
    /// Entries of a state, highest cost first, then oldest first.
    pub(crate) async fn worklist(&self, state: &str, limit: i64) -> sqlx::Result<Vec<WorkRow>> {
        let sql = format!("{SELECT} WHERE state = $1 ORDER BY severity DESC, found, id LIMIT $2");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(state.to_owned()).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Number of open entries.
    pub(crate) async fn open_work(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT COUNT(*) FROM worklist WHERE state = 'open'").fetch_one(&self.pool).await
    }

    pub(crate) async fn work(&self, id: &str) -> sqlx::Result<Option<WorkRow>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// Updates the worklist with the findings of all open shipments: adds new entries, updates known ones, and resolves
    /// open entries without a finding. Acted entries stay unchanged.
    pub(crate) async fn refresh(&self, found: &[(String, Finding)], at: i64) -> sqlx::Result<()> {
        let mut tx = self.begin().await?;
        let open: Vec<String> =
            sqlx::query_scalar("SELECT id FROM worklist WHERE state = 'open'").fetch_all(&mut tx).await?;
        for (id, finding) in found {
            let sql = "INSERT INTO worklist (id, shipment, kind, state, severity, score, found) \
                       VALUES ($1, $2, $3, 'open', $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
                       severity = excluded.severity, score = excluded.score, \
                       state = CASE WHEN worklist.state = 'resolved' THEN 'open' ELSE worklist.state END";
            let score = &finding.score;
            let insert = sqlx::query(sql).bind(id).bind(score.shipment.as_str()).bind(kind(score));
            insert.bind(score.severity.0).bind(to_json(finding)?).bind(at).execute(&mut tx).await?;
        }
        let still: BTreeSet<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
        for id in open.iter().filter(|id| !still.contains(id.as_str())) {
            let sql = "UPDATE worklist SET state = 'resolved' WHERE id = $1 AND state = 'open'";
            sqlx::query(sql).bind(id).execute(&mut tx).await?;
        }
        tx.commit().await
    }

    /// Closes an entry with an action; `false` if it is not open.
    pub(crate) async fn act(&self, tx: &mut Tx, id: &str, acted: &serde_json::Value) -> sqlx::Result<bool> {
        let sql = "UPDATE worklist SET state = 'acted', acted = $2 WHERE id = $1 AND state = 'open'";
        Ok(sqlx::query(sql).bind(id).bind(to_json(acted)?).execute(&mut *tx).await?.rows_affected() == 1)
    }

    pub(crate) async fn set_feedback(&self, id: &str, feedback: &serde_json::Value) -> sqlx::Result<bool> {
        let sql = "UPDATE worklist SET feedback = $2 WHERE id = $1";
        Ok(sqlx::query(sql).bind(id).bind(to_json(feedback)?).execute(&self.pool).await?.rows_affected() == 1)
    }
}

/// Kind of an entry, without its data.
pub(crate) fn kind(score: &ExceptionScore) -> &'static str {
    use tradewind_core::exceptions::ExceptionKind::*;
    match score.kind {
        Late => "late",
        StockOutBeforeShip => "stock_out_before_ship",
        MissedPickup => "missed_pickup",
        MissedConnection => "missed_connection",
        MissedDelivery => "missed_delivery",
        Stuck { .. } => "stuck",
        AddressFault => "address_fault",
        DataFault => "data_fault",
    }
}
