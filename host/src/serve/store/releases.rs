//! Releases and their files.

use super::{Store, Tx, wall};
use crate::{
    Trust,
    serve::release::{Artefact, Kind, Parts, ReleaseError},
};
use tradewind_core::Digest;
use tradewind_json::hex;

/// Number of releases kept for rollback, beside those of the last days.
const KEPT: i64 = 20;

/// Milliseconds for which a replaced release is kept in any case: a quote is valid until midnight, where it was given.
const QUOTED: i64 = 48 * 3_600_000;

/// Release without its files.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseRow {
    pub(crate) number: i64,
    pub(crate) made: i64,
    pub(crate) note: String,
}

impl Store {
    /// Number of the active release; 0 before the first.
    pub(crate) async fn current_release(&self) -> sqlx::Result<i64> {
        let number: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM releases").fetch_one(&self.pool).await?;
        Ok(number.unwrap_or(0))
    }

    /// Latest releases, newest first.
    pub(crate) async fn releases(&self) -> sqlx::Result<Vec<ReleaseRow>> {
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as("SELECT number, made, note FROM releases ORDER BY number DESC")
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(|(number, made, note)| ReleaseRow { number, made, note }).collect())
    }

    /// Release that another one replaced.
    pub(crate) async fn release_before(&self, number: i64) -> sqlx::Result<Option<i64>> {
        let sql = "SELECT b.number FROM releases a JOIN releases b ON b.number = a.previous WHERE a.number = $1";
        sqlx::query_scalar(sql).bind(number).fetch_optional(&self.pool).await
    }

    /// Latest release with a snapshot.
    pub(crate) async fn release_of(&self, root: &Digest) -> sqlx::Result<Option<i64>> {
        let number: Option<i64> = sqlx::query_scalar("SELECT MAX(number) FROM releases WHERE root = $1")
            .bind(hex(root))
            .fetch_one(&self.pool)
            .await?;
        Ok(number)
    }

    /// Files that were never active.
    pub(crate) async fn unseen(&self, parts: &Parts) -> sqlx::Result<Vec<Artefact>> {
        let mut unseen = Vec::new();
        for artefact in parts.all() {
            let sql = "SELECT COUNT(*) FROM seen WHERE digest = $1";
            let seen: i64 = sqlx::query_scalar(sql).bind(hex(&artefact.digest())).fetch_one(&self.pool).await?;
            if seen == 0 {
                unseen.push(artefact);
            }
        }
        Ok(unseen)
    }

    /// Files of a release, verified again; `None` if it does not exist.
    pub(crate) async fn parts(&self, number: i64, trust: &Trust) -> sqlx::Result<Option<Result<Parts, ReleaseError>>> {
        let sql = "SELECT kind, bytes, signature FROM artefacts \
                   JOIN release_parts ON release_parts.digest = artefacts.digest WHERE release = $1";
        let rows: Vec<(String, Vec<u8>, Option<String>)> =
            sqlx::query_as(sql).bind(number).fetch_all(&self.pool).await?;
        let (mut module, mut snapshot, mut packs) = (None, None, Vec::new());
        for (kind, bytes, signature) in rows {
            let Some(kind) = Kind::from_name(&kind) else { continue };
            match Artefact::new(kind, bytes, signature, trust) {
                Ok(Artefact::Module(kept)) => module = Some(kept),
                Ok(Artefact::Snapshot(kept)) => snapshot = Some(kept),
                Ok(Artefact::Pack(kept)) => packs.push(kept),
                Err(error) => return Ok(Some(Err(error))),
            }
        }
        packs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(module.zip(snapshot).map(|(module, snapshot)| Ok(Parts { module, packs, snapshot })))
    }

    /// Activates a release. Fails with a unique violation if another was added meanwhile.
    pub(crate) async fn add_release(
        &self,
        tx: &mut Tx,
        number: i64,
        previous: Option<i64>,
        parts: &Parts,
        note: &str,
    ) -> sqlx::Result<()> {
        let sql = "INSERT INTO releases (number, previous, made, note, root) VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(sql).bind(number).bind(previous).bind(wall()).bind(note);
        insert.bind(hex(&parts.snapshot.root)).execute(&mut *tx).await?;
        for artefact in parts.all() {
            let sql = "INSERT INTO artefacts (digest, kind, bytes, signature) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (digest) DO UPDATE SET signature = excluded.signature";
            let (digest, kind) = (hex(&artefact.digest()), artefact.kind().name());
            let statement = sqlx::query(sql).bind(digest.clone()).bind(kind).bind(artefact.bytes().to_vec());
            statement.bind(artefact.signature().map(str::to_owned)).execute(&mut *tx).await?;
            let sql = "INSERT INTO release_parts (release, digest) VALUES ($1, $2)";
            sqlx::query(sql).bind(number).bind(digest.clone()).execute(&mut *tx).await?;
            let sql = "INSERT INTO seen (digest) VALUES ($1) ON CONFLICT DO NOTHING";
            sqlx::query(sql).bind(digest).execute(&mut *tx).await?;
        }
        // A release that was replaced long ago: the one after it is old too.
        let sql =
            "DELETE FROM releases WHERE number <= $1 AND number < (SELECT MAX(number) FROM releases WHERE made < $2)";
        sqlx::query(sql).bind(number - KEPT).bind(wall() - QUOTED).execute(&mut *tx).await?;
        for sql in [
            "DELETE FROM release_parts WHERE release NOT IN (SELECT number FROM releases)",
            "DELETE FROM artefacts WHERE digest NOT IN (SELECT digest FROM release_parts)",
        ] {
            sqlx::query(sql).execute(&mut *tx).await?;
        }
        Ok(())
    }
}
