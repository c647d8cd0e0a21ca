//! Orders, which are also the queue.
//!
//! An order is `queued` until a plan for it is committed; one that is `short` may be due again. The planning replica
//! holds a lease on it: if the process is killed, nothing is lost, and a slow one cannot commit, because the commit
//! requires its lease.

use super::{
    Column::{Number, Text},
    Scope, Store, Tx, from_json, to_json, wall,
};
use sqlx::{Any, AssertSqlSafe, Executor, Row, any::AnyRow};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{
    Millis,
    allocate::{Breakdown, OrderShortfall, ShopOrder},
};

/// Milliseconds of a lease: longer than planning may take.
const LEASE: i64 = 15_000;

/// Milliseconds after which a queued order is due in any case: longer than any pause between attempts, and than a lease
/// that another replica takes meanwhile. Only a clock that was put back gives later times.
const LONGEST_PAUSE: i64 = 60_000;

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
    /// Number of its arrival.
    pub(crate) seq: i64,
    /// Shop of the key that sent it.
    pub(crate) shop: Option<String>,
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
pub(crate) struct Outcome {
    pub(crate) order: String,
    pub(crate) shortfalls: Vec<OrderShortfall>,
    pub(crate) cost: Option<Breakdown>,
    /// Time by the machine's clock at which a shortfall is planned again in any case.
    pub(crate) again: i64,
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

const SELECT: &str = "SELECT id, body, state, received, decided, tries, cost, decision, error, seq, shop FROM orders";

fn row(row: &AnyRow) -> sqlx::Result<OrderRow> {
    let cost: Option<String> = row.try_get("cost")?;
    let cost = cost.as_deref().map(from_json).transpose();
    let read = from_json(&row.try_get::<String, _>("body")?);
    let unread = read.as_ref().err().or(cost.as_ref().err()).map(super::unread);
    Ok(OrderRow {
        id: row.try_get("id")?,
        order: read.ok(),
        state: State::from_name(&row.try_get::<String, _>("state")?)?,
        received: row.try_get("received")?,
        decided: row.try_get("decided")?,
        tries: row.try_get("tries")?,
        cost: cost.unwrap_or_default(),
        decision: row.try_get("decision")?,
        seq: row.try_get("seq")?,
        shop: row.try_get("shop")?,
        error: unread.map_or_else(|| row.try_get("error"), |unread| Ok(Some(unread)))?,
    })
}

impl Store {
    /// Whether an order was sent before; `None` if neither its key nor its id is known. The same order under another key
    /// is the same order, unless it is another shop's: an access key may have been replaced between its attempts.
    pub(crate) async fn submitted(
        &self,
        idempotency: &str,
        shop: Option<&str>,
        order: &ShopOrder,
    ) -> sqlx::Result<Option<Submitted>> {
        let body = to_json(order)?;
        let sql = "SELECT idempotency, body, shop FROM orders WHERE idempotency = $1 OR id = $2";
        let query = sqlx::query_as(sql).bind(idempotency.to_owned()).bind(order.id.to_string());
        let known: Vec<(String, String, Option<String>)> = query.fetch_all(&self.pool).await?;
        Ok(match known.as_slice() {
            [] => None,
            [(_, known, owner)] if *known == body && owner.as_deref() == shop => Some(Submitted::Again),
            known if known.iter().any(|(key, ..)| key == idempotency) => Some(Submitted::OtherBody),
            _ => Some(Submitted::SameId),
        })
    }

    /// Queues an order, once.
    pub(crate) async fn submit(
        &self,
        idempotency: &str,
        shop: Option<&str>,
        order: &ShopOrder,
        received: i64,
    ) -> sqlx::Result<Submitted> {
        let body = to_json(order)?;
        let sql = format!(
            "INSERT INTO orders \
             (id, idempotency, body, state, waits, priority, received, seq, tries, due, lease, lease_until, shop) \
             VALUES ($1, $2, $3, 'queued', 1, $4, $5, {}, 0, $6, '', 0, $7) ON CONFLICT DO NOTHING",
            self.next_arrival()
        );
        let insert = sqlx::query(AssertSqlSafe(sql)).bind(order.id.to_string()).bind(idempotency.to_owned());
        let insert = insert.bind(body);
        let insert = insert.bind(i64::from(order.priority)).bind(received).bind(wall()).bind(shop.map(str::to_owned));
        if insert.execute(&self.pool).await?.rows_affected() == 1 {
            return Ok(Submitted::New);
        }
        Ok(self.submitted(idempotency, shop, order).await?.unwrap_or(Submitted::SameId))
    }

    pub(crate) async fn order(&self, id: &str) -> sqlx::Result<Option<OrderRow>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
    }

    /// Latest orders of a scope, newest first, optionally of one state; those that came before one, if it is given.
    pub(crate) async fn orders(
        &self,
        scope: &Scope,
        state: Option<State>,
        before: Option<i64>,
        limit: i64,
    ) -> sqlx::Result<Vec<OrderRow>> {
        // With and without a state it is another statement, so that each has its index.
        let which = if state.is_some() { "state = $3 AND" } else { "" };
        let select = format!("{SELECT} WHERE {which} seq < $1");
        let (sql, values) = scope.list(&select, "seq DESC", 2, if state.is_some() { 4 } else { 3 });
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(before.unwrap_or(i64::MAX)).bind(limit);
        if let Some(state) = state {
            query = query.bind(state.name());
        }
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        query.fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Number of orders in each state.
    pub(crate) async fn order_counts(&self) -> sqlx::Result<Vec<(State, i64)>> {
        let counts = self.counts("order").await?;
        Ok(State::ALL.map(|state| (state, counts.get(state.name()).copied().unwrap_or(0))).to_vec())
    }

    /// Milliseconds since the oldest due order became due; 0 if none is.
    pub(crate) async fn oldest_due(&self) -> sqlx::Result<i64> {
        let sql = "SELECT MIN(due) FROM orders WHERE waits = 1";
        let oldest: Option<i64> = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
        Ok(oldest.map_or(0, |oldest| (wall() - oldest).max(0)))
    }

    /// Generation, which is the number of changes of stock, nodes or release; and whether an order may be due.
    pub(crate) async fn generation(&self) -> sqlx::Result<(i64, bool)> {
        let sql = "SELECT number, CAST(CASE WHEN EXISTS (SELECT 1 FROM orders WHERE waits = 1) \
                   OR EXISTS (SELECT 1 FROM orders WHERE state = 'short' AND waits = 0 AND due <= $1) \
                   THEN 1 ELSE 0 END AS BIGINT) FROM generation";
        let (number, due): (i64, i64) = sqlx::query_as(sql).bind(wall()).fetch_one(&self.pool).await?;
        Ok((number, due == 1))
    }

    /// Whether stock, nodes and release are unchanged since a generation; they stay so until the transaction ends.
    pub(crate) async fn is_generation(&self, tx: &mut Tx, generation: i64) -> sqlx::Result<bool> {
        let sql = format!("SELECT number FROM generation{}", self.locking(" FOR SHARE"));
        let now: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *tx).await?;
        Ok(now == generation)
    }

    /// Increments the generation: the last statement of a transaction, so that it never waits for a transaction that
    /// waits for it.
    pub(crate) async fn next_generation(&self, tx: &mut Tx) -> sqlx::Result<()> {
        sqlx::query("UPDATE generation SET number = number + 1").execute(&mut *tx).await.map(drop)
    }

    /// Releases the lease on these orders, without changing them.
    pub(crate) async fn give_back(&self, lease: &str, orders: &[&str]) -> sqlx::Result<()> {
        let sql = format!("UPDATE orders SET lease = '', lease_until = 0 WHERE lease = $1 AND id {}", self.among(2));
        let update = sqlx::query(AssertSqlSafe(sql)).bind(lease.to_owned()).bind(to_json(&orders)?);
        update.execute(&self.pool).await.map(drop)
    }

    /// Puts all short orders that are due again in line.
    async fn wake(&self) -> sqlx::Result<()> {
        let sql = format!(
            "UPDATE orders SET waits = 1 WHERE id IN (\
             SELECT id FROM orders WHERE state = 'short' AND waits = 0 AND due <= $1 ORDER BY id{})",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        sqlx::query(AssertSqlSafe(sql)).bind(wall()).execute(&self.pool).await.map(drop)
    }

    /// Takes a lease on orders in line: by priority, then by arrival. Times beyond all pauses are of a clock that was put
    /// back.
    pub(crate) async fn claim(&self, lease: &str, most: i64) -> sqlx::Result<Vec<Queued>> {
        self.wake().await?;
        let sql = format!(
            "UPDATE orders SET lease = $1, lease_until = $2 WHERE id IN (\
             SELECT id FROM orders WHERE waits = 1 AND state IN ('queued', 'short') AND (due <= $3 OR due > $5) \
             AND (lease_until <= $3 OR lease_until > $5) \
             ORDER BY priority, seq LIMIT $4{}) RETURNING id, body, tries, priority, seq",
            self.locking(" FOR UPDATE SKIP LOCKED")
        );
        let now = wall();
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(lease.to_owned()).bind(now + LEASE).bind(now).bind(most);
        let query = query.bind(now + LONGEST_PAUSE);
        let mut rows: Vec<(String, String, i64, i64, i64)> = query.fetch_all(&self.pool).await?;
        rows.sort_by_key(|&(_, _, _, priority, seq)| (priority, seq));
        let queued = rows.into_iter().map(|(id, body, tries, ..)| Queued { id, order: from_json(&body), tries });
        Ok(queued.collect())
    }

    /// Versions of those of these orders on which a lease is still held.
    pub(crate) async fn versions<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        lease: &str,
        orders: &[&str],
    ) -> sqlx::Result<BTreeMap<String, i64>> {
        self.leased(executor, lease, orders, "").await
    }

    /// Like [`versions`](Self::versions), and locks the orders until the transaction ends.
    pub(crate) async fn lock_leased(
        &self,
        tx: &mut Tx,
        lease: &str,
        orders: &[&str],
    ) -> sqlx::Result<BTreeMap<String, i64>> {
        self.leased(tx, lease, orders, self.locking(" FOR UPDATE")).await
    }

    async fn leased<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        lease: &str,
        orders: &[&str],
        clause: &str,
    ) -> sqlx::Result<BTreeMap<String, i64>> {
        let sql = format!(
            "SELECT id, version FROM orders WHERE lease = $1 AND state IN ('queued', 'short') AND id {} \
             ORDER BY id{clause}",
            self.among(2)
        );
        let query = sqlx::query_as(AssertSqlSafe(sql)).bind(lease.to_owned()).bind(to_json(&orders)?);
        Ok(query.fetch_all(executor).await?.into_iter().collect())
    }

    /// Locks an order until the transaction ends, and increments its version: plans from its earlier state are computed
    /// again. Returns the version before; `None` for an order of another system.
    pub(crate) async fn change(&self, tx: &mut Tx, order: &str) -> sqlx::Result<Option<i64>> {
        let sql = "UPDATE orders SET version = version + 1 WHERE id = $1 RETURNING version - 1";
        sqlx::query_scalar(sql).bind(order).fetch_optional(tx).await
    }

    /// Version of an order; `None` for an order of another system.
    pub(crate) async fn version(&self, order: &str) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT version FROM orders WHERE id = $1").bind(order).fetch_optional(&self.pool).await
    }

    /// Like [`change`](Self::change), for several orders.
    pub(crate) async fn change_all(&self, tx: &mut Tx, orders: &BTreeSet<String>) -> sqlx::Result<()> {
        let orders = self.lock_orders(tx, orders).await?;
        let sql = format!("UPDATE orders SET version = version + 1 WHERE id {}", self.among(1));
        sqlx::query(AssertSqlSafe(sql)).bind(orders).execute(&mut *tx).await.map(drop)
    }

    /// Locks orders in the order of their names; an update of several rows would lock them in any order. Returns their
    /// [`among`](Self::among).
    async fn lock_orders(&self, tx: &mut Tx, orders: &BTreeSet<String>) -> sqlx::Result<String> {
        let orders = to_json(orders)?;
        if self.locks_rows() {
            let sql = format!("SELECT 1 FROM orders WHERE id {} ORDER BY id FOR UPDATE", self.among(1));
            sqlx::query(AssertSqlSafe(sql)).bind(orders.clone()).fetch_all(&mut *tx).await?;
        }
        Ok(orders)
    }

    /// Stores decisions about locked orders.
    pub(crate) async fn decide(
        &self,
        tx: &mut Tx,
        at: Millis,
        decision: Option<&str>,
        outcomes: &[Outcome],
    ) -> sqlx::Result<()> {
        let mut rows = Vec::with_capacity(outcomes.len());
        let mut short = Vec::new();
        for Outcome { order, shortfalls, cost, again } in outcomes {
            let state = if shortfalls.is_empty() { State::Allocated } else { State::Short };
            rows.push((order, state.name(), to_json(cost)?, again));
            short.extend(shortfalls.iter().map(|short| (order, &short.sku, short.quantity, short.reason)));
        }
        let sql = format!(
            "UPDATE orders SET state = v.column2, cost = v.column3, due = v.column4, decided = $1, decision = $2, \
             waits = 0, error = NULL, lease = '', lease_until = 0, tries = 0, version = version + 1 \
             FROM {} AS v WHERE orders.id = v.column1",
            self.rows(3, &[Text, Text, Text, Number])
        );
        let update = sqlx::query(AssertSqlSafe(sql)).bind(at.0).bind(decision.map(str::to_owned));
        update.bind(to_json(&rows)?).execute(&mut *tx).await?;
        let orders: Vec<&str> = outcomes.iter().map(|outcome| outcome.order.as_str()).collect();
        let sql = format!("DELETE FROM shortfalls WHERE order_id {}", self.among(1));
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&orders)?).execute(&mut *tx).await?;
        if !short.is_empty() {
            let rows = self.rows(1, &[Text, Text, Number, Text]);
            let sql = format!("INSERT INTO shortfalls (order_id, sku, quantity, reason) SELECT * FROM {rows} AS v");
            sqlx::query(AssertSqlSafe(sql)).bind(to_json(&short)?).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Shortfalls of these orders: order, product, units, reason.
    pub(crate) async fn shortfalls(&self, orders: &[&str]) -> sqlx::Result<Vec<(String, String, i64, String)>> {
        let sql = format!(
            "SELECT order_id, sku, quantity, reason FROM shortfalls WHERE order_id {} ORDER BY order_id, sku",
            self.among(1)
        );
        sqlx::query_as(AssertSqlSafe(sql)).bind(to_json(&orders)?).fetch_all(&self.pool).await
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
        let sql = "UPDATE orders SET state = $3, tries = $4, due = $5, error = $6, waits = $7, lease = '', lease_until = 0 \
                   WHERE id = $1 AND lease = $2 AND state IN ('queued', 'short')";
        let update = sqlx::query(sql).bind(order).bind(lease).bind(state.name()).bind(tries);
        update.bind(wall() + after).bind(error).bind(i64::from(!dead)).execute(&self.pool).await.map(drop)
    }

    /// Queues all orders with shortfalls again, because more can be shipped now; returns their number.
    pub(crate) async fn requeue_short(&self, tx: &mut Tx) -> sqlx::Result<u64> {
        let sql = format!(
            "UPDATE orders SET due = $1, waits = 1 WHERE id IN (\
             SELECT id FROM orders WHERE state = 'short' AND waits = 0 ORDER BY id{})",
            self.locking(" FOR UPDATE")
        );
        Ok(sqlx::query(AssertSqlSafe(sql)).bind(wall()).execute(&mut *tx).await?.rows_affected())
    }

    /// Queues orders in one of these states again; returns their number.
    pub(crate) async fn requeue(&self, tx: &mut Tx, orders: &BTreeSet<String>, from: &[State]) -> sqlx::Result<u64> {
        let orders = self.lock_orders(tx, orders).await?;
        // All with one time, so that no claim finds only some of them.
        let sql = format!(
            "UPDATE orders SET state = 'queued', waits = 1, tries = 0, due = $1, lease = '', lease_until = 0, error = NULL \
             WHERE state {} AND id {}",
            self.among(2),
            self.among(3)
        );
        let from: Vec<&str> = from.iter().map(|state| state.name()).collect();
        let update = sqlx::query(AssertSqlSafe(sql)).bind(wall()).bind(to_json(&from)?).bind(orders);
        Ok(update.execute(&mut *tx).await?.rows_affected())
    }

    /// Orders that lack a product.
    pub(crate) async fn lacking(&self, tx: &mut Tx, sku: &str) -> sqlx::Result<Vec<String>> {
        let sql = "SELECT order_id FROM shortfalls WHERE sku = $1";
        sqlx::query_scalar(sql).bind(sku).fetch_all(tx).await
    }

    /// Cancels an order; `false` if it is unknown or already cancelled.
    pub(crate) async fn cancel(&self, tx: &mut Tx, order: &str) -> sqlx::Result<bool> {
        let sql = "UPDATE orders SET state = 'cancelled', waits = 0, lease = '', lease_until = 0, version = version + 1 \
                   WHERE id = $1 AND state <> 'cancelled'";
        let done = sqlx::query(sql).bind(order).execute(&mut *tx).await?.rows_affected() == 1;
        sqlx::query("DELETE FROM shortfalls WHERE order_id = $1").bind(order).execute(&mut *tx).await?;
        Ok(done)
    }

    /// Total units ordered.
    pub(crate) async fn order_units(&self, tx: &mut Tx, order: &str) -> sqlx::Result<u64> {
        let sql = "SELECT body FROM orders WHERE id = $1";
        let body: String = sqlx::query_scalar(sql).bind(order).fetch_one(&mut *tx).await?;
        // An unreadable order counts as not shipped.
        let order = from_json::<ShopOrder>(&body);
        Ok(order.map_or(u64::MAX, |order| order.lines.iter().map(|line| u64::from(line.quantity)).sum()))
    }

    /// Stores a decision, with its receipt.
    pub(crate) async fn add_decision(
        &self,
        tx: &mut Tx,
        id: &str,
        made: i64,
        record: &str,
        receipt: &str,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO decisions (id, made, record, receipt) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(id).bind(made).bind(record).bind(receipt).execute(&mut *tx).await.map(drop)
    }

    /// Receipts of decisions.
    pub(crate) async fn receipts(&self, decisions: &[&str]) -> sqlx::Result<BTreeMap<String, String>> {
        let among = self.among(1);
        let sql = format!("SELECT id, receipt FROM decisions WHERE receipt IS NOT NULL AND id {among}");
        let rows = sqlx::query_as(AssertSqlSafe(sql)).bind(to_json(&decisions)?).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().collect())
    }

    /// Decision with its receipt, in the form that `tradewind replay` reads.
    pub(crate) async fn decision(&self, id: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT record FROM decisions WHERE id = $1").bind(id).fetch_optional(&self.pool).await
    }
}
