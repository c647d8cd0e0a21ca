//! Access keys and sessions: hashes only.

use super::{Scope, Store, Tx, from_json, to_json, wall};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};

/// Milliseconds for which the digest of an expired secret is kept, so that its users learn the reason.
const REMEMBERED: i64 = 30 * 86_400_000;

/// Key, without its secret.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) scope: Scope,
    pub(crate) made: i64,
    /// Time at which it expires.
    pub(crate) expires: Option<i64>,
    /// Last use, to the hour.
    pub(crate) used: Option<i64>,
}

const COLUMNS: &str = "access_keys.id, role, made, nodes, shop, access_keys.expires, used";

fn row(row: &AnyRow) -> sqlx::Result<KeyRow> {
    let nodes: Option<String> = row.try_get("nodes")?;
    let scope = match (nodes, row.try_get("shop")?) {
        (Some(nodes), _) => Scope::Nodes(from_json(&nodes)?),
        (None, Some(shop)) => Scope::Shop(shop),
        (None, None) => Scope::All,
    };
    Ok(KeyRow {
        id: row.try_get("id")?,
        role: row.try_get("role")?,
        scope,
        made: row.try_get("made")?,
        expires: row.try_get("expires")?,
        used: row.try_get("used")?,
    })
}

impl Store {
    /// Adds a key; `false` if the name exists.
    pub(crate) async fn add_key(&self, key: &KeyRow, hash: &str) -> sqlx::Result<bool> {
        let nodes = match &key.scope {
            Scope::Nodes(nodes) => Some(to_json(nodes)?),
            Scope::All | Scope::Shop(_) => None,
        };
        let sql = "INSERT INTO access_keys (id, hash, role, made, nodes, shop, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(sql).bind(key.id.clone()).bind(hash).bind(key.role.clone()).bind(key.made).bind(nodes);
        let insert = insert.bind(key.scope.shop().map(str::to_owned)).bind(key.expires);
        Ok(insert.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Replaces the secret of a key. Earlier secrets and sessions remain valid at most until a time. A new time of
    /// expiry is set if it is given.
    pub(crate) async fn rotate_key(
        &self,
        tx: &mut Tx,
        id: &str,
        hash: &str,
        until: i64,
        expires: Option<i64>,
    ) -> sqlx::Result<()> {
        let sql = "DELETE FROM former_secrets WHERE access_key = $1 AND until < $2";
        sqlx::query(sql).bind(id).bind(wall() - REMEMBERED).execute(&mut *tx).await?;
        for sql in [
            "UPDATE former_secrets SET until = $2 WHERE access_key = $1 AND until > $2",
            "INSERT INTO former_secrets (hash, access_key, until) SELECT hash, id, $2 FROM access_keys WHERE id = $1",
            "UPDATE sessions SET expires = $2 WHERE access_key = $1 AND expires > $2",
        ] {
            sqlx::query(sql).bind(id).bind(until).execute(&mut *tx).await?;
        }
        let sql = "UPDATE access_keys SET hash = $2, expires = COALESCE($3, expires) WHERE id = $1";
        sqlx::query(sql).bind(id).bind(hash).bind(expires).execute(&mut *tx).await.map(drop)
    }

    /// Removes a key, and ends its sessions; `false` if the name does not exist.
    pub(crate) async fn remove_key(&self, id: &str) -> sqlx::Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("DELETE FROM access_keys WHERE id = $1").bind(id).execute(&mut tx).await?;
        for sql in ["DELETE FROM sessions WHERE access_key = $1", "DELETE FROM former_secrets WHERE access_key = $1"] {
            sqlx::query(sql).bind(id).execute(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// All keys, by name.
    pub(crate) async fn keys(&self) -> sqlx::Result<Vec<KeyRow>> {
        let sql = format!("SELECT {COLUMNS} FROM access_keys ORDER BY id");
        sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Key with a name; locked until the transaction ends.
    pub(crate) async fn lock_key(&self, tx: &mut Tx, id: &str) -> sqlx::Result<Option<KeyRow>> {
        let sql = format!("SELECT {COLUMNS} FROM access_keys WHERE id = $1{}", self.locking(" FOR UPDATE"));
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&mut *tx).await?;
        found.as_ref().map(row).transpose()
    }

    /// Key with the hash of a secret, and the time at which this secret expires.
    pub(crate) async fn key(&self, hash: &str) -> sqlx::Result<Option<(KeyRow, Option<i64>)>> {
        let sql = format!(
            "SELECT {COLUMNS}, access_keys.expires AS until FROM access_keys WHERE hash = $1 \
             UNION ALL SELECT {COLUMNS}, until FROM former_secrets \
             JOIN access_keys ON access_keys.id = access_key WHERE former_secrets.hash = $1"
        );
        let found = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_owned()).fetch_optional(&self.pool).await?;
        found.map(|found| Ok((row(&found)?, found.try_get("until")?))).transpose()
    }

    /// Records a use of a key, unless another use is being recorded.
    pub(crate) async fn set_used(&self, id: &str, at: i64) -> sqlx::Result<()> {
        let Ok(_only) = self.recording.try_lock() else { return Ok(()) };
        let sql = "UPDATE access_keys SET used = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(at).execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn add_session(&self, hash: &str, key: &str, expires: i64) -> sqlx::Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires <= $1").bind(wall()).execute(&mut tx).await?;
        let sql = "INSERT INTO sessions (hash, access_key, expires) VALUES ($1, $2, $3)";
        sqlx::query(sql).bind(hash).bind(key).bind(expires).execute(&mut tx).await?;
        tx.commit().await
    }

    /// Key of a session that has not expired.
    pub(crate) async fn session(&self, hash: &str) -> sqlx::Result<Option<KeyRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM sessions JOIN access_keys ON access_keys.id = sessions.access_key \
             WHERE sessions.hash = $1 AND sessions.expires > $2 \
             AND (access_keys.expires IS NULL OR access_keys.expires > $2)"
        );
        let found = sqlx::query(AssertSqlSafe(sql)).bind(hash.to_owned()).bind(wall()).fetch_optional(&self.pool);
        found.await?.as_ref().map(row).transpose()
    }

    pub(crate) async fn remove_session(&self, hash: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(&self.pool).await.map(drop)
    }
}
