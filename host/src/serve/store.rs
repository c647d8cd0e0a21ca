//! Persistent state: SQLite in a file, or PostgreSQL, with the same statements.
//!
//! Numbers are integers, times are milliseconds since 1970, documents are JSON. Code that writes more than one row uses
//! a transaction of [`Store::begin`]; rows are locked in one order: nodes, orders, shipments, looks, stock, bookings,
//! worklist, and of each in the order of their names. Triggers write the feed of events, and count orders, shipments and
//! entries of the worklist by state, in the transaction that changes them.

mod database;
mod events;
mod keys;
mod looks;
mod orders;
mod releases;
mod retention;
pub(crate) mod schedule;
mod scope;
mod shipments;
mod stock;
mod taken;
mod webhooks;
mod worklist;

pub(crate) use database::{Pool, Tx};
pub(crate) use events::{EventRow, Place};
pub(crate) use keys::KeyRow;
pub(crate) use looks::Look;
pub(crate) use orders::{OrderRow, Outcome, Queued, State as OrderState, Submitted};
pub(crate) use retention::{Cell, DECISIONS, ORDERS, Rows, SCANS, SHIPMENTS, Table, WORKLIST};
pub(crate) use scope::Scope;
pub(crate) use shipments::{Body, Filter, NewShipment, Readable, ShipmentRow, name_of};
pub(crate) use stock::{Conflict, Counts, StockRow};
pub(crate) use taken::Taken;
pub(crate) use webhooks::{Secrets, State as WebhookState, WebhookRow};
pub(crate) use worklist::{Finding, WorkRow, kind};

use sqlx::{
    AnyConnection, AssertSqlSafe, ConnectOptions, SqlSafeStr,
    any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::{Mutex, Notify};

/// Migrations from an empty database to this version: statements for every database, and additional ones for SQLite and
/// PostgreSQL. Existing ones never change.
const MIGRATIONS: [Steps; 8] = [
    Steps { all: include_str!("store/migrations/1.sql"), sqlite: "", postgres: "" },
    Steps { all: include_str!("store/migrations/2.sql"), sqlite: "", postgres: "" },
    Steps {
        all: include_str!("store/migrations/3.sql"),
        sqlite: "",
        postgres: include_str!("store/migrations/3.postgres.sql"),
    },
    Steps { all: include_str!("store/migrations/4.sql"), sqlite: "", postgres: "" },
    Steps { all: include_str!("store/migrations/5.sql"), sqlite: "", postgres: "" },
    Steps {
        all: include_str!("store/migrations/6.sql"),
        sqlite: include_str!("store/migrations/6.sqlite.sql"),
        postgres: include_str!("store/migrations/6.postgres.sql"),
    },
    Steps {
        all: include_str!("store/migrations/7.sql"),
        sqlite: include_str!("store/migrations/7.sqlite.sql"),
        postgres: include_str!("store/migrations/7.postgres.sql"),
    },
    Steps { all: include_str!("store/migrations/8.sql"), sqlite: "", postgres: "" },
];

/// Statements of a migration.
struct Steps {
    all: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Maximum time that a statement waits for a connection, or for SQLite's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: Pool,
    dialect: Dialect,
    /// Signals commits, which may have written events.
    committed: Arc<Notify>,
    /// Held while the use of a key is recorded.
    recording: Arc<Mutex<()>>,
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
                    // Concurrent readers and one writer; committed data is on disk. A year's indices are read from memory,
                    // and written back in larger parts.
                    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; \
                                   PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8192";
                    sqlx::raw_sql(pragmas).execute(connection).await?;
                }
                Ok(())
            })
        });
        // Statements are too long for logs; failures are logged separately.
        let connect = url.parse::<AnyConnectOptions>()?.disable_statement_logging();
        let store = Self {
            pool: Pool(options.connect_with(connect).await?),
            dialect,
            committed: Arc::default(),
            recording: Arc::default(),
        };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> sqlx::Result<()> {
        let migrations = MIGRATIONS.iter().zip(1_i64..).map(|(steps, version)| {
            let sql = match self.dialect {
                Dialect::Sqlite => steps.all.to_owned() + steps.sqlite,
                Dialect::Postgres => steps.all.replace(" BLOB", " BYTEA") + steps.postgres,
            };
            Migration::new(version, "tradewind".into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
        });
        let migrator = Migrator::with_migrations(migrations.collect());
        let mut connection = self.pool.0.acquire().await?;
        if let Some(version) = self.earlier(&mut connection).await? {
            migrator.skip(&mut *connection, Some(version)).await?;
        }
        match migrator.run(&mut *connection).await {
            Err(MigrateError::VersionMissing(version)) => {
                let latest = MIGRATIONS.len();
                let text =
                    format!("the database has version {version}, from a newer Tradewind; this one supports {latest}");
                Err(sqlx::Error::Configuration(text.into()))
            }
            done => Ok(done?),
        }
    }

    /// Version of a database whose migrations an earlier Tradewind recorded in a table of its own.
    async fn earlier(&self, connection: &mut AnyConnection) -> sqlx::Result<Option<i64>> {
        let (tables, name) = match self.dialect {
            Dialect::Sqlite => ("sqlite_schema", "name"),
            Dialect::Postgres => ("information_schema.tables", "table_name"),
        };
        let sql = format!(
            "SELECT CAST({name} AS TEXT) FROM {tables} WHERE {name} IN ('tradewind_schema', '_sqlx_migrations')"
        );
        let known: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
        if known != ["tradewind_schema"] {
            return Ok(None);
        }
        sqlx::query_scalar("SELECT MAX(version) FROM tradewind_schema").fetch_one(connection).await
    }

    /// Starts a writing transaction.
    pub(crate) async fn begin(&self) -> sqlx::Result<Tx> {
        schedule::step(schedule::Point::Outside).await;
        let inner = match self.dialect {
            // A transaction that begins with a read could not write after another has.
            Dialect::Sqlite => self.pool.0.begin_with("BEGIN IMMEDIATE").await?,
            Dialect::Postgres => self.pool.0.begin().await?,
        };
        Ok(Tx { inner, committed: Arc::clone(&self.committed) })
    }

    /// Completes when a transaction of this process has committed, or after [`wake_webhooks`](Self::wake_webhooks).
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Lets [`committed`](Self::committed) complete.
    pub(crate) fn wake_webhooks(&self) {
        self.committed.notify_one();
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
    pub(crate) const fn locks_rows(&self) -> bool {
        matches!(self.dialect, Dialect::Postgres)
    }

    /// Condition that a value is among those bound as parameter `n`, a JSON array ([`to_json`]). A statement is the same for
    /// any number of them, so that databases prepare it once.
    fn among(&self, n: usize) -> String {
        match self.dialect {
            Dialect::Sqlite => format!("IN (SELECT value FROM json_each(${n}))"),
            // An array, for which an index is read even if the table has no statistics.
            Dialect::Postgres => format!("= ANY (ARRAY(SELECT json_array_elements_text(${n}::json)))"),
        }
    }

    /// Table of the rows bound as parameter `n`, a JSON array of arrays, with the columns `column1`, `column2`, …
    fn rows(&self, n: usize, columns: &[Column]) -> String {
        let column = |(index, column): (usize, &Column)| match (self.dialect, column) {
            (Dialect::Postgres, Column::Number) => format!("(value ->> {index})::bigint AS column{}", index + 1),
            _ => format!("value ->> {index} AS column{}", index + 1),
        };
        let columns = columns.iter().enumerate().map(column).collect::<Vec<_>>().join(", ");
        match self.dialect {
            Dialect::Sqlite => format!("(SELECT {columns} FROM json_each(${n}))"),
            Dialect::Postgres => format!("(SELECT {columns} FROM json_array_elements(${n}::json) AS value)"),
        }
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

/// Type of a column of [`rows`](Store::rows).
#[derive(Debug, Clone, Copy)]
enum Column {
    Text,
    Number,
}

/// Whether a row with the same key exists.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
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
