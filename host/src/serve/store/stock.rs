//! Nodes and their stock.

use super::{
    Column::{Number, Text},
    Scope, Store, Tx, to_json,
};
use sqlx::{AssertSqlSafe, FromRow, Row, any::AnyRow};
use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{Sku, snapshot::Snapshot};

/// Stock of a product at a node, in units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StockRow {
    pub(crate) node: String,
    pub(crate) sku: String,
    /// Units on the shelf, including reserved ones.
    pub(crate) on_hand: i64,
    /// Units promised to orders.
    pub(crate) reserved: i64,
    /// Safety stock.
    pub(crate) safety: i64,
}

/// Stock count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) on_hand: i64,
    /// Safety stock; unchanged if absent.
    pub(crate) safety: Option<i64>,
}

/// Stock is below the units of a plan.
#[derive(Debug)]
pub(crate) struct Conflict;

impl StockRow {
    /// Units available to promise.
    pub(crate) const fn available(&self) -> i64 {
        let left = self.on_hand - self.reserved - self.safety;
        if left > 0 { left } else { 0 }
    }
}

impl FromRow<'_, AnyRow> for StockRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            node: row.try_get("node")?,
            sku: row.try_get("sku")?,
            on_hand: row.try_get("on_hand")?,
            reserved: row.try_get("reserved")?,
            safety: row.try_get("safety")?,
        })
    }
}

/// Rows of a new snapshot's stock per statement.
const SEEDED: usize = 5_000;

const SELECT: &str = "SELECT node, sku, on_hand, reserved, safety FROM stock";

impl Store {
    /// Adds new nodes and stock of a snapshot. Existing rows belong to the service: a later snapshot does not change
    /// them.
    pub(crate) async fn seed(&self, tx: &mut Tx, snapshot: &Snapshot) -> sqlx::Result<()> {
        let nodes = snapshot.fulfilment.iter().flat_map(|fulfilment| &fulfilment.nodes);
        let catalog = &snapshot.storefront.catalog;
        let mut rows: Vec<(&str, Sku, i64, i64)> = Vec::new();
        for node in nodes {
            sqlx::query("INSERT INTO nodes (code, closed) VALUES ($1, 0) ON CONFLICT DO NOTHING")
                .bind(node.code.as_str())
                .execute(&mut *tx)
                .await?;
            let known = node.stock.entries().iter().filter_map(|stock| Some((stock, catalog.sku(stock.product)?)));
            // Units reserved elsewhere are not available to this service's orders.
            rows.extend(known.map(|(stock, sku)| {
                let on_hand = i64::from(stock.on_hand.saturating_sub(stock.reserved));
                (node.code.as_str(), sku, on_hand, i64::from(stock.safety))
            }));
        }
        let table = self.rows(1, &[Text, Text, Number, Number]);
        let sql = format!(
            "INSERT INTO stock (node, sku, on_hand, reserved, safety) \
             SELECT column1, column2, column3, 0, column4 FROM {table} AS v WHERE true ON CONFLICT DO NOTHING"
        );
        // Rows of a product are read together.
        rows.sort_unstable_by(|(node, sku, ..), (other, other_sku, ..)| (sku, node).cmp(&(other_sku, other)));
        let mut added = 0;
        for rows in rows.chunks(SEEDED) {
            added +=
                sqlx::query(AssertSqlSafe(sql.clone())).bind(to_json(&rows)?).execute(&mut *tx).await?.rows_affected();
        }
        if added > 0 {
            // Without statistics, databases read all of it for a few rows.
            sqlx::query("ANALYZE stock").execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Units of products that can be promised at each node, which may be negative: by product, node and units.
    pub(crate) async fn promisable(&self, skus: &[String]) -> sqlx::Result<BTreeMap<String, Vec<(String, i64)>>> {
        // One row for each product: thirty nodes are as many rows, which cost more than their contents. No name has a
        // line break or a tab.
        let sql = format!(
            "SELECT column1, (SELECT string_agg(node || '\t' || CAST(on_hand - reserved - safety AS TEXT), '\n') \
             FROM stock WHERE sku = column1) FROM {} AS v",
            self.rows(1, &[Text])
        );
        let names: Vec<[&str; 1]> = skus.iter().map(|sku| [sku.as_str()]).collect();
        let rows: Vec<(String, Option<String>)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(to_json(&names)?).fetch_all(&self.pool).await?;
        let place = |line: &str| {
            let (node, units) = line.split_once('\t')?;
            Some((node.to_owned(), units.parse().ok()?))
        };
        let places = |nodes: String| {
            let mut places: Vec<(String, i64)> = nodes.lines().filter_map(place).collect();
            places.sort_unstable();
            places
        };
        Ok(rows.into_iter().filter_map(|(sku, nodes)| Some((sku, places(nodes?)))).collect())
    }

    /// Stock of a scope by product, then by node, optionally of one product or node; what comes after one, if it is
    /// given.
    pub(crate) async fn stock_list(
        &self,
        scope: &Scope,
        sku: Option<&str>,
        node: Option<&str>,
        after: Option<(String, String)>,
        limit: i64,
    ) -> sqlx::Result<Vec<StockRow>> {
        let (after_sku, after_node) = after.unwrap_or_default();
        let which = match (sku, node) {
            (None, None) => "",
            (Some(_), None) => " AND sku = $4",
            (None, Some(_)) => " AND node = $4",
            (Some(_), Some(_)) => " AND sku = $4 AND node = $5",
        };
        let select = format!("{SELECT} WHERE (sku, node) > ($1, $2){which}");
        let next = 4 + usize::from(sku.is_some()) + usize::from(node.is_some());
        let (sql, values) = scope.at(node).list(&select, "sku, node", 3, next);
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(after_sku).bind(after_node).bind(limit);
        for given in [sku, node].into_iter().flatten() {
            query = query.bind(given.to_owned());
        }
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        query.fetch_all(&self.pool).await
    }

    /// Available, reserved and sold-out stock of each node: units, units, products. Reads all stock.
    pub(crate) async fn node_totals(&self) -> sqlx::Result<BTreeMap<String, (i64, i64, i64)>> {
        let left = "on_hand - reserved - safety";
        let sql = format!(
            "SELECT node, CAST(SUM(CASE WHEN {left} > 0 THEN {left} ELSE 0 END) AS BIGINT), \
             CAST(SUM(reserved) AS BIGINT), CAST(SUM(CASE WHEN {left} > 0 THEN 0 ELSE 1 END) AS BIGINT) \
             FROM stock GROUP BY node"
        );
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(node, left, reserved, none)| (node, (left, reserved, none))).collect())
    }

    /// Available units of each product at all nodes. Reads all stock.
    pub(crate) async fn available(&self) -> sqlx::Result<Vec<(String, i64)>> {
        let left = "on_hand - reserved - safety";
        let sql = format!(
            "SELECT sku, CAST(SUM(CASE WHEN {left} > 0 THEN {left} ELSE 0 END) AS BIGINT) FROM stock GROUP BY sku"
        );
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool).await
    }

    /// All nodes, and whether they are closed.
    pub(crate) async fn nodes(&self) -> sqlx::Result<BTreeMap<String, bool>> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT code, closed FROM nodes").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(code, closed)| (code, closed != 0)).collect())
    }

    /// Whether one of these nodes is closed, or missing. They stay open until the transaction ends.
    pub(crate) async fn any_closed(&self, tx: &mut Tx, nodes: &BTreeSet<String>) -> sqlx::Result<bool> {
        if nodes.is_empty() {
            return Ok(false);
        }
        let sql = format!(
            "SELECT closed FROM nodes WHERE code IN {} ORDER BY code{}",
            self.list(1),
            self.locking(" FOR SHARE")
        );
        let rows: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(to_json(nodes)?).fetch_all(&mut *tx).await?;
        Ok(rows.len() < nodes.len() || rows.into_iter().any(|closed| closed != 0))
    }

    /// Opens or closes a node; `false` if it does not exist.
    pub(crate) async fn set_closed(&self, tx: &mut Tx, node: &str, closed: bool) -> sqlx::Result<bool> {
        let sql = "UPDATE nodes SET closed = $2 WHERE code = $1";
        let done = sqlx::query(sql).bind(node).bind(i64::from(closed)).execute(&mut *tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Stock of a product at a node.
    pub(crate) async fn stock_of(&self, tx: &mut Tx, node: &str, sku: &str) -> sqlx::Result<Option<StockRow>> {
        self.one_stock(tx, node, sku, "").await
    }

    /// Like [`stock_of`](Self::stock_of), and locks it until the transaction ends.
    pub(crate) async fn lock_stock_of(&self, tx: &mut Tx, node: &str, sku: &str) -> sqlx::Result<Option<StockRow>> {
        self.one_stock(tx, node, sku, self.locking(" FOR UPDATE")).await
    }

    async fn one_stock(&self, tx: &mut Tx, node: &str, sku: &str, clause: &str) -> sqlx::Result<Option<StockRow>> {
        let sql = format!("{SELECT} WHERE sku = $1 AND node = $2{clause}");
        sqlx::query_as(AssertSqlSafe(sql)).bind(sku.to_owned()).bind(node.to_owned()).fetch_optional(tx).await
    }

    /// Stores a count, which must cover the reserved units.
    pub(crate) async fn count(&self, tx: &mut Tx, node: &str, sku: &str, counts: Counts) -> sqlx::Result<()> {
        let sql = "INSERT INTO stock (node, sku, on_hand, reserved, safety) VALUES ($1, $2, $3, 0, COALESCE($4, 0)) \
                   ON CONFLICT (sku, node) DO UPDATE SET on_hand = $3, safety = COALESCE($4, stock.safety)";
        let query = sqlx::query(sql).bind(node).bind(sku).bind(counts.on_hand).bind(counts.safety);
        query.execute(&mut *tx).await.map(drop)
    }
}
