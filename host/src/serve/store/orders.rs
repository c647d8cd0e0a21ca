//! Orders, which are also the queue.
//!
//! An order is `queued` until a plan for it is committed; one that is `short` may be due again. The planning replica
//! holds a lease on it: if the process is killed, nothing is lost, and a slow one cannot commit, because the commit
//! requires its lease.

use super::{Store, Tx, from_json, parameters, to_json, wall};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};
use tradewind_core::{
    Millis,
    allocate::{Breakdown, OrderShortfall, ShopOrder},
};

/// Milliseconds of a lease: longer than planning may take.
const LEASE: i64 = 15_000;

/// State of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OrderState)]
pub(crate) enum State {
    /// Waiting for its first or next plan.
    Queued,
    /// All of it ships.
    Allocated,
    /// Some or all of it does not ship, for the given reasons; planned again when stock arrives.
    Short,
    /// Planning failed too often; an operator must act.
    Dead,
    /// Cancelled: nothing more of it ships.
    Cancelled,
}

/// Stored order.
#[derive(Debug, Clone)]
pub(crate) struct OrderRow {
    pub(crate) id: String,
    /// As it was sent; `None` where what is kept cannot be read, as `error` says then.
    pub(crate) order: Option<ShopOrder>,
    pub(crate) state: State,
    pub(crate) received: i64,
    pub(crate) decided: Option<i64>,
    pub(crate) tries: i64,
    pub(crate) cost: Option<serde_json::Value>,
    pub(crate) decision: Option<String>,
    pub(crate) error: Option<String>,
}

/// Order with a lease.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) id: String,
    /// The order as received; an error if the stored data is unreadable.
    pub(crate) order: sqlx::Result<ShopOrder>,
    pub(crate) tries: i64,
}

/// Decision about an order.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) at: Millis,
    /// Record that contains it.
    pub(crate) decision: Option<&'a str>,
    pub(crate) shortfalls: &'a [OrderShortfall],
    pub(crate) cost: Option<Breakdown>,
    /// Time by the machine's clock at which a shortfall is planned again in any case.
    pub(crate) again: Option<i64>,
}

/// Result of submitting an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// Queued.
    New,
    /// Known: sent before with the same key.
    Again,
    /// Another order was sent with the same key.
    OtherBody,
    /// Another order has the same id.
    SameId,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [Self::Queued, Self::Allocated, Self::Short, Self::Dead, Self::Cancelled];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Allocated => "allocated",
            Self::Short => "short",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    fn from_name(name: &str) -> sqlx::Result<Self> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| sqlx::Error::Decode(format!("unknown order state `{name}`").into()))
    }
}

const SELECT: &str = "SELECT id, body, state, received, decided, tries, cost, decision, error FROM orders";

fn row(row: &AnyRow) -> sqlx::Result<OrderRow> {
    let cost: Option<String> = row.try_get("cost")?;
    let read = from_json(&row.try_get::<String, _>("body")?);
    let unread = read.as_ref().err().map(super::unread);
    Ok(OrderRow {
        id: row.try_get("id")?,
        order: read.ok(),
        state: State::from_name(&row.try_get::<String, _>("state")?)?,
        received: row.try_get("received")?,
        decided: row.try_get("decided")?,
        tries: row.try_get("tries")?,
        cost: cost.as_deref().map(from_json).transpose()?,
        decision: row.try_get("decision")?,
        error: unread.map_or_else(|| row.try_get("error"), |unread| Ok(Some(unread)))?,
    })
}

impl Store {
    /// Queues an order, once.
    pub(crate) async fn submit(&self, idempotency: &str, order: &ShopOrder, received: i64) -> sqlx::Result<Submitted> {
        let body = to_json(order)?;
        let sql = format!(
            "INSERT INTO orders (id, idempotency, body, state, priority, received, seq, tries, due, lease, lease_until) \
             VALUES ($1, $2, $3, 'queued', $4, $5, {}, 0, $6, '', 0) ON CONFLICT DO NOTHING",
            self.next_arrival()
        );
        let insert = sqlx::query(AssertSqlSafe(sql)).bind(order.id.to_string()).bind(idempotency.to_owned());
        let insert = insert.bind(body.clone());
        let insert = insert.bind(i64::from(order.priority)).bind(received).bind(wall());
        if insert.execute(&self.pool).await?.rows_affected() == 1 {
            return Ok(Submitted::New);
        }
        let sql = "SELECT body FROM orders WHERE idempotency = $1";
        let known: Option<String> = sqlx::query_scalar(sql).bind(idempotency).fetch_optional(&self.pool).await?;
        Ok(match known {
            None => Submitted::SameId,
            Some(known) if known == body => Submitted::Again,
            Some(_) => Submitted::OtherBody,
        })
    }

    pub(crate) async fn order(&self, id: &str) -> sqlx::Result<Option<OrderRow>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// Latest orders, newest first, optionally of one state.
    pub(crate) async fn orders(&self, state: Option<State>, limit: i64) -> sqlx::Result<Vec<OrderRow>> {
        let sql = format!("{SELECT} WHERE ($1 IS NULL OR state = $1) ORDER BY seq DESC LIMIT $2");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(state.map(State::name)).bind(limit);
        query.fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Number of orders in each state.
    pub(crate) async fn order_counts(&self) -> sqlx::Result<Vec<(State, i64)>> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, COUNT(*) FROM orders GROUP BY state").fetch_all(&self.pool).await?;
        let count = |state: State| rows.iter().find(|(name, _)| name == state.name()).map_or(0, |(_, count)| *count);
        Ok(State::ALL.map(|state| (state, count(state))).to_vec())
    }

    /// Generation: the number of changes of stock, nodes or release.
    pub(crate) async fn generation(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT number FROM generation").fetch_one(&self.pool).await
    }

    /// Whether stock, nodes and release are unchanged since a generation; they stay so until the transaction ends.
    pub(crate) async fn is_generation(&self, tx: &mut Tx, generation: i64) -> sqlx::Result<bool> {
        let sql = format!("SELECT number FROM generation{}", self.locking(" FOR SHARE"));
        let now: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut **tx).await?;
        Ok(now == generation)
    }

    /// Increments the generation: the last statement of a transaction, so that it never waits for a transaction that
    /// waits for it.
    pub(crate) async fn next_generation(&self, tx: &mut Tx) -> sqlx::Result<()> {
        sqlx::query("UPDATE generation SET number = number + 1").execute(&mut **tx).await.map(drop)
    }

    /// Releases the lease on all its orders, without changing them.
    pub(crate) async fn give_back(&self, lease: &str) -> sqlx::Result<()> {
        let sql = "UPDATE orders SET lease = '', lease_until = 0 WHERE lease = $1";
        sqlx::query(sql).bind(lease).execute(&self.pool).await.map(drop)
    }

    /// Takes a lease on due orders: by priority, then by arrival.
    pub(crate) async fn claim(&self, lease: &str, most: i64) -> sqlx::Result<Vec<Queued>> {
        let sql = format!(
            "UPDATE orders SET lease = $1, lease_until = $2 WHERE id IN (\
             SELECT id FROM orders WHERE state IN ('queued', 'short') AND due <= $3 AND lease_until <= $3 \
             ORDER BY priority, seq LIMIT $4{}) RETURNING id, body, tries, priority, seq",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        let now = wall();
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(lease.to_owned()).bind(now + LEASE).bind(now).bind(most);
        let mut rows: Vec<(String, String, i64, i64, i64)> = query.fetch_all(&self.pool).await?;
        rows.sort_by_key(|&(_, _, _, priority, seq)| (priority, seq));
        let queued = rows.into_iter().map(|(id, body, tries, ..)| Queued { id, order: from_json(&body), tries });
        Ok(queued.collect())
    }

    /// Commits the decision about an order; `false` if the lease was lost.
    pub(crate) async fn decide(
        &self,
        tx: &mut Tx,
        lease: &str,
        order: &str,
        outcome: &Outcome<'_>,
    ) -> sqlx::Result<bool> {
        let Outcome { at, decision, shortfalls, cost, again } = outcome;
        let state = if shortfalls.is_empty() { State::Allocated } else { State::Short };
        let sql = "UPDATE orders SET state = $3, decided = $4, decision = $5, cost = $6, error = NULL, due = $7, \
                   lease = '', lease_until = 0, tries = 0 \
                   WHERE id = $1 AND lease = $2 AND state IN ('queued', 'short')";
        let update = sqlx::query(sql).bind(order).bind(lease).bind(state.name()).bind(at.0);
        let update = update.bind(decision.map(str::to_owned)).bind(to_json(cost)?).bind(again.unwrap_or(i64::MAX));
        if update.execute(&mut **tx).await?.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM shortfalls WHERE order_id = $1").bind(order).execute(&mut **tx).await?;
        for short in *shortfalls {
            let sql = "INSERT INTO shortfalls (order_id, sku, quantity, reason) VALUES ($1, $2, $3, $4)";
            let reason = serde_json::to_value(short.reason).map_err(|error| sqlx::Error::Encode(error.into()))?;
            let insert = sqlx::query(sql).bind(order).bind(short.sku.as_str()).bind(i64::from(short.quantity));
            insert.bind(reason.as_str().unwrap_or_default()).execute(&mut **tx).await?;
        }
        Ok(true)
    }

    /// Shortfalls of an order: product, units, reason.
    pub(crate) async fn shortfalls(&self, order: &str) -> sqlx::Result<Vec<(String, i64, String)>> {
        let sql = "SELECT sku, quantity, reason FROM shortfalls WHERE order_id = $1 ORDER BY sku";
        sqlx::query_as(sql).bind(order).fetch_all(&self.pool).await
    }

    /// Puts a failed order back: to be retried later, or dead.
    pub(crate) async fn put_back(
        &self,
        lease: &str,
        order: &str,
        tries: i64,
        after: i64,
        error: &str,
        dead: bool,
    ) -> sqlx::Result<()> {
        let state = if dead { State::Dead } else { State::Queued };
        let sql = "UPDATE orders SET state = $3, tries = $4, due = $5, error = $6, lease = '', lease_until = 0 \
                   WHERE id = $1 AND lease = $2 AND state IN ('queued', 'short')";
        let update = sqlx::query(sql).bind(order).bind(lease).bind(state.name()).bind(tries);
        update.bind(wall() + after).bind(error).execute(&self.pool).await.map(drop)
    }

    /// Queues all orders with shortfalls again, because more can be shipped now; returns their number.
    pub(crate) async fn requeue_short(&self, tx: &mut Tx) -> sqlx::Result<u64> {
        let sql = "UPDATE orders SET due = $1 WHERE state = 'short'";
        Ok(sqlx::query(sql).bind(wall()).execute(&mut **tx).await?.rows_affected())
    }

    /// Queues orders in one of these states again; returns their number.
    pub(crate) async fn requeue(&self, tx: &mut Tx, orders: &[String], from: &[State]) -> sqlx::Result<u64> {
        let mut count = 0;
        // All in one statement, so that no claim sees only some of them.
        let now = wall();
        let states = parameters(3, from.len());
        let sql = format!(
            "UPDATE orders SET state = 'queued', tries = 0, due = $2, lease = '', lease_until = 0, error = NULL WHERE id = $1 AND state IN {states}"
        );
        for order in orders {
            let mut update = sqlx::query(AssertSqlSafe(sql.clone())).bind(order.clone()).bind(now);
            for state in from {
                update = update.bind(state.name());
            }
            count += update.execute(&mut **tx).await?.rows_affected();
        }
        Ok(count)
    }

    /// Orders that lack a product.
    pub(crate) async fn lacking(&self, tx: &mut Tx, sku: &str) -> sqlx::Result<Vec<String>> {
        let sql = "SELECT order_id FROM shortfalls WHERE sku = $1 ORDER BY order_id";
        sqlx::query_scalar(sql).bind(sku).fetch_all(&mut **tx).await
    }

    /// Cancels an order; `false` if it is unknown or already cancelled.
    pub(crate) async fn cancel(&self, tx: &mut Tx, order: &str) -> sqlx::Result<bool> {
        let sql =
            "UPDATE orders SET state = 'cancelled', lease = '', lease_until = 0 WHERE id = $1 AND state <> 'cancelled'";
        let done = sqlx::query(sql).bind(order).execute(&mut **tx).await?.rows_affected() == 1;
        sqlx::query("DELETE FROM shortfalls WHERE order_id = $1").bind(order).execute(&mut **tx).await?;
        Ok(done)
    }

    /// Total units ordered.
    pub(crate) async fn order_units(&self, tx: &mut Tx, order: &str) -> sqlx::Result<u64> {
        let sql = "SELECT body FROM orders WHERE id = $1";
        let body: String = sqlx::query_scalar(sql).bind(order).fetch_one(&mut **tx).await?;
        // An unreadable order counts as not shipped.
        let order = from_json::<ShopOrder>(&body);
        Ok(order.map_or(u64::MAX, |order| order.lines.iter().map(|line| u64::from(line.quantity)).sum()))
    }

    pub(crate) async fn add_decision(&self, tx: &mut Tx, id: &str, made: i64, record: &str) -> sqlx::Result<()> {
        let sql = "INSERT INTO decisions (id, made, record) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(id).bind(made).bind(record).execute(&mut **tx).await.map(drop)
    }

    /// Deletes decisions made before a time; returns their number.
    pub(crate) async fn forget_decisions(&self, before: i64) -> sqlx::Result<u64> {
        let delete = sqlx::query("DELETE FROM decisions WHERE made < $1").bind(before);
        Ok(delete.execute(&self.pool).await?.rows_affected())
    }

    /// Decision with its receipt, in the form that `tradewind replay` reads.
    pub(crate) async fn decision(&self, id: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT record FROM decisions WHERE id = $1").bind(id).fetch_optional(&self.pool).await
    }
}
