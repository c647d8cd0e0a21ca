//! Access keys and sessions: hashes only.

use super::{Store, wall};

/// Key, without its secret.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) made: i64,
}

/// Signed-in user.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) key: String,
    pub(crate) role: String,
}

impl Store {
    /// Adds a key; `false` if the name exists.
    pub(crate) async fn add_key(&self, id: &str, role: &str, hash: &str) -> sqlx::Result<bool> {
        let sql = "INSERT INTO access_keys (id, hash, role, made) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let done = sqlx::query(sql).bind(id).bind(hash).bind(role).bind(wall()).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes a key, and ends its sessions; `false` if the name does not exist.
    pub(crate) async fn remove_key(&self, id: &str) -> sqlx::Result<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("DELETE FROM access_keys WHERE id = $1").bind(id).execute(&mut tx).await?;
        sqlx::query("DELETE FROM sessions WHERE access_key = $1").bind(id).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// All keys, by name.
    pub(crate) async fn keys(&self) -> sqlx::Result<Vec<KeyRow>> {
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as("SELECT id, role, made FROM access_keys ORDER BY id").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(id, role, made)| KeyRow { id, role, made }).collect())
    }

    /// Name and role of the key with a hash.
    pub(crate) async fn key(&self, hash: &str) -> sqlx::Result<Option<(String, String)>> {
        sqlx::query_as("SELECT id, role FROM access_keys WHERE hash = $1").bind(hash).fetch_optional(&self.pool).await
    }

    pub(crate) async fn add_session(&self, hash: &str, key: &str, expires: i64) -> sqlx::Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires <= $1").bind(wall()).execute(&mut tx).await?;
        let sql = "INSERT INTO sessions (hash, access_key, expires) VALUES ($1, $2, $3)";
        sqlx::query(sql).bind(hash).bind(key).bind(expires).execute(&mut tx).await?;
        tx.commit().await
    }

    pub(crate) async fn session(&self, hash: &str) -> sqlx::Result<Option<Session>> {
        let sql = "SELECT access_keys.id, access_keys.role FROM sessions \
                   JOIN access_keys ON access_keys.id = sessions.access_key \
                   WHERE sessions.hash = $1 AND sessions.expires > $2";
        let row: Option<(String, String)> =
            sqlx::query_as(sql).bind(hash).bind(wall()).fetch_optional(&self.pool).await?;
        Ok(row.map(|(key, role)| Session { key, role }))
    }

    pub(crate) async fn remove_session(&self, hash: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(&self.pool).await.map(drop)
    }
}
