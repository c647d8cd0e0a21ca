//! Worklist of exceptions for operators.

use super::{
    Column::{Number, Text},
    Scope, Store, Tx, from_json, to_json,
};
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

    /// Writes what was found about shipments, each with its known entries: new findings are added, known ones updated if
    /// they differ, and open entries without a finding resolved. Acted entries stay as they are.
    pub(crate) async fn refresh<'a>(
        &self,
        tx: &mut Tx,
        shipments: impl IntoIterator<Item = (&'a [WorkRow], &'a [(String, Finding)])>,
        at: i64,
    ) -> sqlx::Result<()> {
        let (mut rows, mut ended) = (Vec::new(), Vec::new());
        for (known, found) in shipments {
            for (id, finding) in found {
                let known = known.iter().find(|entry| entry.id == *id);
                let is_known =
                    |entry: &WorkRow| entry.state == "acted" || (entry.state == "open" && entry.finding == *finding);
                if !known.is_some_and(is_known) {
                    let Finding { score, .. } = finding;
                    rows.push((id, &score.shipment, kind(score), score.severity.0, to_json(finding)?, at));
                }
            }
            let is_ended = |entry: &&WorkRow| entry.state == "open" && found.iter().all(|(id, _)| *id != entry.id);
            ended.extend(known.iter().filter(is_ended).map(|entry| &entry.id));
        }
        if !rows.is_empty() {
            rows.sort_unstable();
            let sql = format!(
                "INSERT INTO worklist (id, shipment, kind, state, severity, score, found, node, shop) \
                 SELECT column1, column2, column3, 'open', column4, column5, column6, node, shop \
                 FROM {} AS v LEFT JOIN shipments ON shipments.id = column2 WHERE true \
                 ON CONFLICT (id) DO UPDATE SET \
                 severity = excluded.severity, score = excluded.score, state = 'open' \
                 WHERE worklist.state <> 'acted'",
                self.rows(1, &[Text, Text, Text, Number, Text, Number])
            );
            sqlx::query(AssertSqlSafe(sql)).bind(to_json(&rows)?).execute(&mut *tx).await?;
        }
        if !ended.is_empty() {
            let sql = format!("UPDATE worklist SET state = 'resolved' WHERE state = 'open' AND id IN {}", self.list(1));
            sqlx::query(AssertSqlSafe(sql)).bind(to_json(&ended)?).execute(&mut *tx).await?;
        }
        Ok(())
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
