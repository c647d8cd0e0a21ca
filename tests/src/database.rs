//! Databases of a service, of each supported kind, and access to their rows.

use crate::service::{Postgres, eventually};
use anyhow::{Context, Result, anyhow};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, PgConnection, any::install_default_drivers};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Database, deleted when this value is dropped.
pub struct Database {
    /// Address for a service.
    pub url: String,
    kept: Kept,
}

/// Storage of a database.
enum Kept {
    Folder(TempDir),
    Postgres(Postgres),
}

impl Database {
    /// Creates an SQLite database.
    ///
    /// # Errors
    /// If its folder cannot be created.
    pub fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite:{}", folder.path().join("warehouse.db").display());
        Ok(Self { url, kept: Kept::Folder(folder) })
    }

    /// Creates a PostgreSQL database.
    ///
    /// # Errors
    /// As for [`Postgres::start`].
    pub fn postgres() -> Result<Self> {
        let postgres = Postgres::start()?;
        Ok(Self { url: postgres.url(), kept: Kept::Postgres(postgres) })
    }

    /// Creates another database with the same contents. No service may use this one.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn copy(&self) -> Result<Self> {
        match &self.kept {
            Kept::Folder(folder) => {
                let copy = Self::sqlite()?;
                let file = copy.url.trim_start_matches("sqlite:");
                std::fs::copy(folder.path().join("warehouse.db"), file)?;
                Ok(copy)
            }
            Kept::Postgres(postgres) => {
                let postgres = postgres.copy()?;
                Ok(Self { url: postgres.url(), kept: Kept::Postgres(postgres) })
            }
        }
    }

    /// Runs statements one after the other.
    ///
    /// # Errors
    /// The statement that failed.
    pub fn run(&self, statements: impl IntoIterator<Item = impl Into<String>>) -> Result<()> {
        install_default_drivers();
        let url = if self.url.starts_with("sqlite:") { format!("{}?mode=rwc", self.url) } else { self.url.clone() };
        Builder::new_current_thread().enable_all().build()?.block_on(async {
            let mut connection = AnyConnection::connect(&url).await?;
            for statement in statements {
                let statement = statement.into();
                let ran = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await;
                ran.with_context(|| statement)?;
            }
            Ok(connection.close().await?)
        })
    }

    /// Creates the tables of earlier versions, up to a version of the schema before migrations were sqlx's.
    ///
    /// # Errors
    /// If a statement fails.
    pub fn older(&self, version: usize) -> Result<()> {
        let is_sqlite = self.url.starts_with("sqlite:");
        let bytes = if is_sqlite { " BLOB" } else { " BYTEA" };
        let steps = [
            (include_str!("../../host/src/serve/store/migrations/1.sql"), ""),
            (include_str!("../../host/src/serve/store/migrations/2.sql"), ""),
            (
                include_str!("../../host/src/serve/store/migrations/3.sql"),
                include_str!("../../host/src/serve/store/migrations/3.postgres.sql"),
            ),
            (include_str!("../../host/src/serve/store/migrations/4.sql"), ""),
            (include_str!("../../host/src/serve/store/migrations/5.sql"), ""),
        ];
        self.run(["CREATE TABLE tradewind_schema (version BIGINT NOT NULL)"])?;
        for (step, (sql, postgres)) in steps.iter().take(version).enumerate() {
            self.run([sql.replace(" BLOB", bytes) + if is_sqlite { "" } else { postgres }])?;
            self.run([format!("INSERT INTO tradewind_schema (version) VALUES ({})", step + 1)])?;
        }
        Ok(())
    }
}

/// Runs a test on a new database of each kind.
///
/// # Errors
/// Of the test, with the kind.
pub fn both(test: impl Fn(&Database) -> Result<()>) -> Result<()> {
    test(&Database::sqlite()?).context("SQLite")?;
    test(&Database::postgres()?).context("PostgreSQL")
}

/// Counts the sessions of a PostgreSQL server that wait for others' locks, until it ends.
pub struct LockWaits {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<f64>>,
}

impl LockWaits {
    /// Starts to count.
    pub fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (url.to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            Builder::new_current_thread().enable_all().build()?.block_on(async {
                let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
                let mut connection = PgConnection::connect(&url).await?;
                let (mut waits, mut samples) = (0, 0);
                while !stopped.load(Ordering::Relaxed) {
                    waits += sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await?;
                    samples += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(waits as f64 / f64::from(samples.max(1)))
            })
        });
        Self { stop, thread }
    }

    /// Mean number of waiting sessions.
    ///
    /// # Errors
    /// If the server became unreachable.
    pub fn end(self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("counting waits panicked"))?
    }
}

/// Transaction on PostgreSQL that holds the locks of a statement until it is released or dropped.
pub struct Lock {
    runtime: Runtime,
    connection: PgConnection,
}

impl Lock {
    /// Runs a statement in a transaction that stays open.
    ///
    /// # Errors
    /// If the statement fails.
    pub fn take(url: &str, statement: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
            anyhow::Ok(connection)
        })?;
        Ok(Self { runtime, connection })
    }

    /// Waits until another session waits for the lock.
    ///
    /// # Errors
    /// If none does.
    pub fn stops_someone(&mut self) -> Result<()> {
        let sql = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
        let Self { runtime, connection } = self;
        eventually("someone waits for the lock", || {
            let waiting: i64 = runtime.block_on(sqlx::query_scalar(sql).fetch_one(&mut *connection))?;
            Ok(waiting > 0)
        })
    }

    /// Releases the lock.
    ///
    /// # Errors
    /// If the database is unreachable.
    pub fn release(mut self) -> Result<()> {
        self.runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut self.connection))?;
        Ok(())
    }
}
