//! Worklist of exceptions for operators.

use super::{Scope, Store, Tx, from_json, to_json};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, any::AnyRow};
use tradewind_core::{
    Id, Money, Probability,
    exceptions::{ExceptionKind, ExceptionScore},
};

/// Entry of the worklist.
#[derive(Debug, Clone)]
pub(crate) struct WorkRow {
    pub(crate) id: String,
    /// `open`, `acted` or `resolved`.
    pub(crate) state: String,
    pub(crate) finding: Finding,
    pub(crate) found: i64,
    pub(crate) acted: Option<Value>,
    pub(crate) feedback: Option<Value>,
}

/// Finding about a shipment.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) score: ExceptionScore,
    /// Reason why a shipment cannot be scored, for data faults that the module does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Finding {
    /// Finding about a shipment that cannot be scored, with its cost and the reason.
    pub(crate) fn unjudged(shipment: Id, severity: Money, reason: String) -> Self {
        let score = ExceptionScore {
            shipment,
            kind: ExceptionKind::DataFault,
            probability: Probability::CERTAIN,
            severity,
            evidence: Vec::new(),
            actions: Vec::new(),
        };
        Self { score, reason: Some(reason) }
    }
}

pub(super) const SELECT: &str = "SELECT id, shipment, state, severity, score, found, acted, feedback FROM worklist";

/// Entry; one whose finding cannot be read is a data fault with the reason, until its shipment is scored again.
pub(super) fn row(row: &AnyRow) -> sqlx::Result<WorkRow> {
    // What people wrote is shown as it is.
    let document = |name: &str| -> sqlx::Result<Option<Value>> {
        let text: Option<String> = row.try_get(name)?;
        Ok(text.map(|text| from_json(&text).unwrap_or(Value::String(text))))
    };
    let unread = |error: &sqlx::Error| -> sqlx::Result<Finding> {
        let shipment = row.try_get::<String, _>("shipment")?;
        let shipment = Id::new(shipment).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Finding::unjudged(shipment, Money(row.try_get("severity")?), super::unread(error)))
    };
    Ok(WorkRow {
        id: row.try_get("id")?,
        state: row.try_get("state")?,
        finding: from_json(&row.try_get::<String, _>("score")?).or_else(|error| unread(&error))?,
        found: row.try_get("found")?,
        acted: document("acted")?,
        feedback: document("feedback")?,
    })
}

impl Store {
    /// Entries of a scope and a state, highest cost first, then oldest first; those after one, if it is given.
    pub(crate) async fn worklist(
        &self,
        scope: &Scope,
        state: &str,
        after: Option<&(i64, i64, String)>,
        limit: i64,
    ) -> sqlx::Result<Vec<WorkRow>> {
        let (severity, found, id) = after.cloned().unwrap_or((i64::MAX, 0, String::new()));
        let select =
            format!("{SELECT} WHERE state = $1 AND severity <= $2 AND (severity < $2 OR (found, id) > ($3, $4))");
        let (sql, values) = scope.list(&select, "severity DESC, found, id", 5, 6);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(state.to_owned()).bind(severity).bind(found).bind(id);
        let query = values.into_iter().fold(query.bind(limit), |query, value| query.bind(value));
        query.fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Number of open entries.
    pub(crate) async fn open_work(&self) -> sqlx::Result<i64> {
        Ok(self.counts("exception").await?.get("open").copied().unwrap_or(0))
    }

    /// Number of shipments that cannot be scored, or only partly.
    pub(crate) async fn unjudged(&self) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM worklist WHERE state = 'open' AND kind = 'data_fault'";
        sqlx::query_scalar(sql).fetch_one(&self.pool).await
    }

    pub(crate) async fn work(&self, id: &str) -> sqlx::Result<Option<WorkRow>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// Writes the findings of a shipment, and returns the changed entries' number: new ones are added, known ones updated
    /// if they differ, and open ones without a finding resolved. Acted entries stay as they are.
    pub(crate) async fn refresh(
        &self,
        tx: &mut Tx,
        known: &[WorkRow],
        found: &[(String, Finding)],
        at: i64,
    ) -> sqlx::Result<usize> {
        let mut changed = 0;
        for (id, finding) in found {
            let before = known.iter().find(|entry| entry.id == *id);
            if before
                .is_some_and(|entry| entry.state == "acted" || (entry.state == "open" && entry.finding == *finding))
            {
                continue;
            }
            let sql = "INSERT INTO worklist (id, shipment, kind, state, severity, score, found) \
                       VALUES ($1, $2, $3, 'open', $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
                       severity = excluded.severity, score = excluded.score, state = 'open' \
                       WHERE worklist.state <> 'acted'";
            let score = &finding.score;
            let insert = sqlx::query(sql).bind(id).bind(score.shipment.as_str()).bind(kind(score));
            insert.bind(score.severity.0).bind(to_json(finding)?).bind(at).execute(&mut *tx).await?;
            changed += 1;
        }
        let ended = |entry: &&WorkRow| entry.state == "open" && found.iter().all(|(id, _)| *id != entry.id);
        for entry in known.iter().filter(ended) {
            let sql = "UPDATE worklist SET state = 'resolved' WHERE id = $1 AND state = 'open'";
            sqlx::query(sql).bind(entry.id.clone()).execute(&mut *tx).await?;
            changed += 1;
        }
        Ok(changed)
    }

    /// Closes an entry with an action; `false` if it is not open.
    pub(crate) async fn act(&self, tx: &mut Tx, id: &str, acted: &Value) -> sqlx::Result<bool> {
        let sql = "UPDATE worklist SET state = 'acted', acted = $2 WHERE id = $1 AND state = 'open'";
        Ok(sqlx::query(sql).bind(id).bind(to_json(acted)?).execute(&mut *tx).await?.rows_affected() == 1)
    }

    pub(crate) async fn set_feedback(&self, id: &str, feedback: &Value) -> sqlx::Result<bool> {
        let sql = "UPDATE worklist SET feedback = $2 WHERE id = $1";
        Ok(sqlx::query(sql).bind(id).bind(to_json(feedback)?).execute(&self.pool).await?.rows_affected() == 1)
    }
}

/// Kind of an entry, without its data.
pub(crate) fn kind(score: &ExceptionScore) -> &'static str {
    use ExceptionKind::*;
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
