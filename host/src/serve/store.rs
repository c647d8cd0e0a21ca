//! Persistent state: SQLite in a file, or PostgreSQL, with the same statements.
//!
//! Numbers are integers, times are milliseconds since 1970, documents are JSON. Code that writes more than one row uses
//! a transaction of [`Store::begin`]; rows are locked in one order: nodes, orders, shipments, stock, bookings, and of each
//! in the order of their names.

mod database;
mod keys;
mod orders;
mod releases;
pub(crate) mod schedule;
mod shipments;
mod stock;
mod taken;
mod worklist;

pub(crate) use database::{Pool, Tx};
pub(crate) use orders::{OrderRow, Outcome, Queued, State as OrderState, Submitted};
pub(crate) use shipments::{Body, NewShipment, ShipmentRow, name_of};
pub(crate) use stock::{Conflict, Counts, StockRow};
pub(crate) use taken::Taken;
pub(crate) use worklist::{Finding, WorkRow, kind};

use sqlx::{
    AssertSqlSafe, ConnectOptions,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
};
use std::time::{Duration, SystemTime};

/// Migrations from an empty database to this version, each a list of statements for every database, and additional ones
/// for PostgreSQL. Existing ones never change.
const MIGRATIONS: [(&str, &str); 5] = [
    (include_str!("store/schema.sql"), ""),
    (include_str!("store/schema.2.sql"), ""),
    (include_str!("store/schema.3.sql"), include_str!("store/schema.3.postgres.sql")),
    (include_str!("store/schema.4.sql"), ""),
    (include_str!("store/schema.5.sql"), ""),
];

/// Maximum time that a statement waits for a connection, or for SQLite's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: Pool,
    dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

impl Store {
    /// Opens a database, creates a missing file, and migrates it to this version.
    pub(crate) async fn open(url: &str) -> sqlx::Result<Self> {
        install_default_drivers();
        let dialect = if url.starts_with("sqlite:") {
            Dialect::Sqlite
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Dialect::Postgres
        } else {
            let text = format!("invalid database `{url}` (expected sqlite:FILE or postgres://USER@HOST/NAME)");
            return Err(sqlx::Error::Configuration(text.into()));
        };
        let mut url = url.to_owned();
        if dialect == Dialect::Sqlite && !url.contains('?') {
            url.push_str("?mode=rwc");
        }
        let connections = if dialect == Dialect::Sqlite { 4 } else { 16 };
        let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if dialect == Dialect::Sqlite {
                    // Concurrent readers and one writer; committed data is on disk.
                    sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000")
                        .execute(connection)
                        .await?;
                }
                Ok(())
            })
        });
        // Statements are too long for logs; failures are logged separately.
        let connect = url.parse::<AnyConnectOptions>()?.disable_statement_logging();
        let store = Self { pool: Pool(options.connect_with(connect).await?), dialect };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> sqlx::Result<()> {
        let mut tx = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // Replicas that start together migrate one after the other.
            sqlx::query("SELECT pg_advisory_xact_lock(7239640)").execute(&mut tx).await?;
        }
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS tradewind_schema (version BIGINT NOT NULL)").execute(&mut tx).await?;
        let version: Option<i64> =
            sqlx::query_scalar("SELECT MAX(version) FROM tradewind_schema").fetch_one(&mut tx).await?;
        let version = usize::try_from(version.unwrap_or(0)).unwrap_or_default();
        if version > MIGRATIONS.len() {
            let text = format!(
                "the database has version {version}, from a newer Tradewind; this one supports {}",
                MIGRATIONS.len()
            );
            return Err(sqlx::Error::Configuration(text.into()));
        }
        for (step, (sql, postgres)) in MIGRATIONS.iter().enumerate().skip(version) {
            let sql = match self.dialect {
                Dialect::Sqlite => (*sql).to_owned(),
                Dialect::Postgres => sql.replace(" BLOB", " BYTEA") + postgres,
            };
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut tx).await?;
            sqlx::query("INSERT INTO tradewind_schema (version) VALUES ($1)")
                .bind(step as i64 + 1)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await
    }

    /// Starts a writing transaction.
    pub(crate) async fn begin(&self) -> sqlx::Result<Tx> {
        schedule::step(schedule::Point::Outside).await;
        match self.dialect {
            // A transaction that begins with a read could not write after another has.
            Dialect::Sqlite => self.pool.0.begin_with("BEGIN IMMEDIATE").await.map(Tx),
            Dialect::Postgres => self.pool.0.begin().await.map(Tx),
        }
    }

    /// Connections for reads outside transactions.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Whether the database is reachable.
    pub(crate) async fn ping(&self) -> sqlx::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Waits for running statements, and closes all connections.
    pub(crate) async fn close(&self) {
        self.pool.0.close().await;
    }

    /// Number of the next order to arrive. Concurrent writers may skip numbers.
    const fn next_arrival(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "(SELECT COALESCE(MAX(seq), 0) + 1 FROM orders)",
            Dialect::Postgres => "nextval('arrivals')",
        }
    }

    /// Whether several transactions may write at a time, so that rows are locked.
    const fn locks_rows(&self) -> bool {
        matches!(self.dialect, Dialect::Postgres)
    }

    /// Clause that locks rows being read; SQLite has only one writer and needs none.
    const fn locking(&self, clause: &'static str) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => clause,
        }
    }
}

/// Whether the database is unreachable, or asks for a retry, rather than refusing a statement.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => true,
        // PostgreSQL: connection exceptions, rolled back (deadlock), shutting down or starting. SQLite: busy, locked.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "57P", "53"].iter().any(|class| code.starts_with(class))
                || ["5", "6", "261", "517"].contains(&&*code)
        }),
        _ => false,
    }
}

/// Whether a transaction was aborted because of a conflict; a retry may succeed.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("40"))
}

/// Maximum rows or names per statement; more are not faster.
const ROWS: usize = 100;

/// Whether a row with the same key exists.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

/// Returns `($1, $2), ($3, $4), …` after `from - 1` other parameters.
fn values(from: usize, rows: usize, columns: usize) -> String {
    let row = |n| parameters(from + n * columns, columns);
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Returns `($from, $from+1, …)`: one parameter per value.
fn parameters(from: usize, count: usize) -> String {
    let list: Vec<String> = (from..from + count).map(|n| format!("${n}")).collect();
    format!("({})", list.join(", "))
}

/// Milliseconds since 1970 by the machine's clock, used for leases and retries.
pub(crate) fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Error text for unreadable stored data.
pub(crate) fn unread(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Decode(error) => format!("its stored data cannot be read: {error}"),
        error => format!("its stored data cannot be read: {error}"),
    }
}

/// Encodes a document for the database.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Decodes a document from the database.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> sqlx::Result<T> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
