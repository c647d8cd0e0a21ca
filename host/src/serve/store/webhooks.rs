//! Webhooks: receivers of the feed's events, each with its place in the feed.
//!
//! A replica that delivers to a webhook holds a lease on it, so that no two deliver to it at a time. The place of the
//! last delivered event is stored after each delivery, and only while the lease is held: if the process is killed in
//! between, the event is delivered again.

use super::{Place, Store, from_json, to_json, wall};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

/// Milliseconds of a lease: longer than a delivery may take.
const LEASE: i64 = 30_000;

/// A lease that ends later than this many milliseconds from now is of a clock that was put back. More than a lease: a
/// replica may claim after this one has read its clock, and before it claims.
const FAR: i64 = 10 * LEASE;

/// Maximum number of webhooks.
const MOST: i64 = 50;

/// State of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookState)]
pub(crate) enum State {
    /// Events are delivered.
    Active,
    /// All attempts to deliver an event have failed; nothing is delivered until it is resumed.
    Failed,
    /// The receiver responded 410; nothing is delivered any more.
    Gone,
}

/// Secrets that sign deliveries.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    pub(crate) current: String,
    /// Secret before the last rotation, and the time until which it signs, too.
    pub(crate) former: Option<(String, i64)>,
}

/// Stored webhook.
#[derive(Debug, Clone)]
pub(crate) struct WebhookRow {
    pub(crate) id: String,
    pub(crate) url: String,
    /// Types of events that it gets; all if absent.
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) secrets: Secrets,
    pub(crate) state: State,
    /// Place of the last event that was delivered, or that it does not get.
    pub(crate) place: Place,
    /// Failed attempts since the last delivery.
    pub(crate) tries: i64,
    /// Time of the next attempt, by the machine's clock; 0 if it is not a repeated one.
    pub(crate) due: i64,
    pub(crate) error: Option<String>,
    pub(crate) made: i64,
    /// Time of the last delivery, by the machine's clock.
    pub(crate) delivered: Option<i64>,
}

impl State {
    const ALL: [Self; 3] = [Self::Active, Self::Failed, Self::Gone];

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

impl WebhookRow {
    /// Whether it gets events of a type.
    pub(crate) fn wants(&self, kind: &str) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|wanted| wanted == kind))
    }
}

const COLUMNS: &str =
    "id, url, kinds, secret, former, former_until, state, tx, seq, tries, due, error, made, delivered";

fn row(row: &AnyRow) -> sqlx::Result<WebhookRow> {
    let state: String = row.try_get("state")?;
    let unknown = || sqlx::Error::Decode(format!("unknown webhook state `{state}`").into());
    Ok(WebhookRow {
        id: row.try_get("id")?,
        url: row.try_get("url")?,
        kinds: row.try_get::<Option<String>, _>("kinds")?.as_deref().map(from_json).transpose()?,
        secrets: secrets(row)?,
        state: State::ALL.into_iter().find(|known| known.name() == state).ok_or_else(unknown)?,
        place: Place { tx: row.try_get("tx")?, seq: row.try_get("seq")? },
        tries: row.try_get("tries")?,
        due: row.try_get("due")?,
        error: row.try_get("error")?,
        made: row.try_get("made")?,
        delivered: row.try_get("delivered")?,
    })
}

fn secrets(row: &AnyRow) -> sqlx::Result<Secrets> {
    let former: Option<String> = row.try_get("former")?;
    let until: i64 = row.try_get("former_until")?;
    Ok(Secrets { current: row.try_get("secret")?, former: former.map(|former| (former, until)) })
}

impl Store {
    /// Adds a webhook; `false` if there are too many.
    pub(crate) async fn add_webhook(&self, webhook: &WebhookRow) -> sqlx::Result<bool> {
        let kinds = webhook.kinds.as_ref().map(to_json).transpose()?;
        let sql = "INSERT INTO webhooks \
                   (id, url, kinds, secret, former_until, state, tx, seq, tries, due, lease, lease_until, made) \
                   SELECT $1, $2, $3, $4, 0, 'active', $5, $6, 0, 0, '', 0, $7 \
                   WHERE (SELECT COUNT(*) FROM webhooks) < $8";
        let insert = sqlx::query(sql).bind(webhook.id.clone()).bind(webhook.url.clone()).bind(kinds);
        let insert = insert.bind(webhook.secrets.current.clone()).bind(webhook.place.tx).bind(webhook.place.seq);
        Ok(insert.bind(webhook.made).bind(MOST).execute(&self.pool).await?.rows_affected() == 1)
    }

    /// All webhooks, oldest first.
    pub(crate) async fn webhooks(&self) -> sqlx::Result<Vec<WebhookRow>> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks ORDER BY made, id");
        sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Removes a webhook; `false` if it does not exist.
    pub(crate) async fn remove_webhook(&self, id: &str) -> sqlx::Result<bool> {
        let done = sqlx::query("DELETE FROM webhooks WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces the secret of a webhook; the former one signs, too, until a time. Returns the webhook, if it exists.
    pub(crate) async fn rotate_webhook(&self, id: &str, secret: &str, until: i64) -> sqlx::Result<Option<WebhookRow>> {
        let sql = format!(
            "UPDATE webhooks SET former = secret, former_until = $3, secret = $2 WHERE id = $1 RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).bind(secret.to_owned()).bind(until);
        update.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()
    }

    /// Makes a webhook that is not gone deliver at once. Returns it; `None` if it is gone or does not exist.
    pub(crate) async fn resume_webhook(&self, id: &str) -> sqlx::Result<Option<WebhookRow>> {
        let sql = format!(
            "UPDATE webhooks SET state = 'active', tries = 0, due = 0 WHERE id = $1 AND state <> 'gone' \
             RETURNING {COLUMNS}"
        );
        let update = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool);
        update.await?.as_ref().map(row).transpose()
    }

    /// Claims webhooks with undelivered events, and reads them. Costs one search of an index for each webhook.
    pub(crate) async fn claim_webhooks(&self, lease: &str, most: i64) -> sqlx::Result<Vec<WebhookRow>> {
        let now = wall();
        let sql = format!(
            "SELECT id FROM webhooks WHERE state = 'active' AND due <= $1 AND (lease_until <= $1 OR lease_until > $2) \
             AND ({}) IS NOT NULL ORDER BY due, id LIMIT $3",
            self.next_event("seq")
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(now).bind(now + FAR).bind(most);
        let due: Vec<String> = query.fetch_all(&self.pool).await?;
        let sql = format!(
            "UPDATE webhooks SET lease = $2, lease_until = $3 WHERE id = $1 AND state = 'active' AND due <= $4 \
             AND (lease_until <= $4 OR lease_until > $5) RETURNING {COLUMNS}"
        );
        let mut claimed = Vec::new();
        for id in due {
            let claim = sqlx::query(AssertSqlSafe(sql.clone())).bind(id).bind(lease.to_owned());
            let claim = claim.bind(now + LEASE).bind(now).bind(now + FAR).fetch_optional(&self.pool).await?;
            claimed.extend(claim.as_ref().map(row).transpose()?);
        }
        Ok(claimed)
    }

    /// Statement for a column of the event after a webhook's place. The order makes it one search of the index, whatever
    /// a planner expects.
    fn next_event(&self, column: &str) -> String {
        let (after, order) = (self.events_after("webhooks.tx", "webhooks.seq"), self.events_order());
        format!("SELECT events.{column} FROM events WHERE {after} ORDER BY {order} LIMIT 1")
    }

    /// Records the delivery of an event, or events that a webhook does not get, and extends the lease. Returns the
    /// secrets for the next delivery; `None` if the lease is lost.
    pub(crate) async fn advance_webhook(
        &self,
        id: &str,
        lease: &str,
        place: Place,
        delivered: Option<i64>,
    ) -> sqlx::Result<Option<Secrets>> {
        let sql = "UPDATE webhooks SET tx = $3, seq = $4, lease_until = $5, delivered = COALESCE($6, delivered), \
                   tries = CASE WHEN $6 IS NULL THEN tries ELSE 0 END, due = 0, \
                   error = CASE WHEN $6 IS NULL THEN error ELSE NULL END \
                   WHERE id = $1 AND lease = $2 AND state = 'active' RETURNING secret, former, former_until";
        let update = sqlx::query(sql).bind(id).bind(lease).bind(place.tx).bind(place.seq).bind(wall() + LEASE);
        update.bind(delivered).fetch_optional(&self.pool).await?.as_ref().map(secrets).transpose()
    }

    /// Records a failed attempt, and ends the lease.
    pub(crate) async fn fail_webhook(
        &self,
        id: &str,
        lease: &str,
        state: State,
        tries: i64,
        due: i64,
        error: &str,
    ) -> sqlx::Result<()> {
        let sql = "UPDATE webhooks SET state = $3, tries = $4, due = $5, error = $6, lease = '', lease_until = 0 \
                   WHERE id = $1 AND lease = $2";
        let update = sqlx::query(sql).bind(id).bind(lease).bind(state.name()).bind(tries).bind(due).bind(error);
        update.execute(&self.pool).await.map(drop)
    }

    /// Ends a lease.
    pub(crate) async fn release_webhook(&self, id: &str, lease: &str) -> sqlx::Result<()> {
        let sql = "UPDATE webhooks SET lease = '', lease_until = 0 WHERE id = $1 AND lease = $2";
        sqlx::query(sql).bind(id).bind(lease).execute(&self.pool).await.map(drop)
    }

    /// Milliseconds for which the oldest event has waited that an active webhook has not got; 0 without one.
    pub(crate) async fn webhook_lag(&self) -> sqlx::Result<i64> {
        let sql = format!("SELECT ({}) AS oldest FROM webhooks WHERE state = 'active'", self.next_event("at"));
        let waiting: Vec<Option<i64>> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let oldest = waiting.into_iter().flatten().min();
        Ok(oldest.map_or(0, |oldest| (wall() - oldest).max(0)))
    }

    /// Numbers of webhooks by state.
    pub(crate) async fn webhook_counts(&self) -> sqlx::Result<Vec<(&'static str, i64)>> {
        let sql = "SELECT state, COUNT(*) FROM webhooks GROUP BY state";
        let counts: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        let of = |name| counts.iter().find(|(state, _)| state == name).map_or(0, |(_, count)| *count);
        Ok(State::ALL.map(|state| (state.name(), of(state.name()))).to_vec())
    }
}
