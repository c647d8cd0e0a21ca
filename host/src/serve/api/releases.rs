//! Releases: the module, packs and snapshot that decide together.

use super::{
    Answered,
    body::{File, Path},
    responses::{ForRoles, Keyed, WithBody},
};
use crate::serve::{
    self, App,
    auth::Caller,
    problem::Problem,
    release::{self, Artefact, Kind, Parts, Release, ReleaseError},
    store,
};
use axum::{Json, extract::State, http::HeaderMap};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use tradewind_core::Millis;
use tradewind_json::{Problem as Document, ProblemKind, hex};

/// Bytes of a file.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "the schema of a file")]
struct Bytes(Vec<u8>);

/// Current release.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReleaseStatus {
    /// Number of the release.
    pub(crate) number: i64,
    /// SHA-256 of the module.
    pub(crate) module: String,
    /// SHA-256 of each pack's file, by name.
    pub(crate) packs: BTreeMap<String, String>,
    /// Root of the snapshot.
    pub(crate) snapshot: String,
    /// First moment at which the snapshot is valid.
    pub(crate) issued: Millis,
    /// Moment at which the snapshot expires.
    pub(crate) expires: Millis,
}

impl From<&Release> for ReleaseStatus {
    fn from(release: &Release) -> Self {
        Self {
            number: release.number,
            module: hex(&release.parts.module.digest()),
            packs: release.parts.packs.iter().map(|pack| (pack.name.clone(), hex(&pack.digest()))).collect(),
            snapshot: hex(&release.snapshot.root),
            issued: release.snapshot.storefront.issued,
            expires: release.snapshot.storefront.expires,
        }
    }
}

/// Current and past releases.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Releases {
    /// Current release.
    current: ReleaseStatus,
    /// Latest releases, newest first.
    history: Vec<Past>,
}

/// Past release.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PastRelease)]
pub(super) struct Past {
    /// Number of the release.
    number: i64,
    /// Moment at which it was made.
    made: Millis,
    /// Reason for the release.
    note: String,
}

/// Shows the current release and past ones. For all roles.
#[utoipa::path(
    get, path = "/v1/releases", operation_id = "listReleases", tag = "releases",
    responses((status = 200, body = Releases, description = "current and past releases"), Keyed)
)]
pub(super) async fn list(State(app): State<Arc<App>>, _caller: Caller) -> Answered<Releases> {
    let history = app.store.releases().await?.into_iter();
    Ok(Json(Releases {
        current: ReleaseStatus::from(&*app.release()),
        history: history.map(|row| Past { number: row.number, made: Millis(row.made), note: row.note }).collect(),
    }))
}

/// Installs a module: verifies its signature, tests it with the packs and the snapshot, and uses it from the next
/// request on. For admins.
#[utoipa::path(
    put, path = "/v1/module", operation_id = "putModule", tag = "releases",
    params(("Tradewind-Signature" = String, Header, description = "output of `tradewind sign`, on one line")),
    request_body(content = Bytes, content_type = "application/octet-stream", description = "file of the module"),
    responses(
        (status = 200, body = ReleaseStatus, description = "the module is active"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "another release was made at the same time"),
        WithBody,
    )
)]
pub(super) async fn put_module(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    File(bytes): File,
) -> Answered<ReleaseStatus> {
    caller.may(&[])?;
    let signature = headers.get("tradewind-signature").and_then(|text| text.to_str().ok()).map(str::to_owned);
    let artefact = Artefact::new(Kind::Module, bytes, signature, &app.settings.trust).map_err(refused)?;
    replace(&app, &caller, artefact, "a module").await
}

/// Installs a pack like a module; it replaces the pack of the same name. For admins.
#[utoipa::path(
    put, path = "/v1/packs/{name}", operation_id = "putPack", tag = "releases",
    params(("name" = String, Path, description = "name of the pack")),
    request_body(content = Bytes, content_type = "application/octet-stream", description = "file of the pack"),
    responses(
        (status = 200, body = ReleaseStatus, description = "the pack is active"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "another release was made at the same time"),
        WithBody,
    )
)]
pub(super) async fn put_pack(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    File(bytes): File,
) -> Answered<ReleaseStatus> {
    caller.may(&[])?;
    let pack = release::pack(bytes, &app.settings.trust).map_err(refused)?;
    if pack.name != name {
        return Err(Problem::unprocessable(format!("the pack's name is `{}`, not `{name}`", pack.name)));
    }
    replace(&app, &caller, Artefact::Pack(pack), "a pack").await
}

/// Installs a snapshot like a module. Its stock is used for new products and nodes; for known ones the service's own
/// counts remain. For admins.
#[utoipa::path(
    put, path = "/v1/snapshot", operation_id = "putSnapshot", tag = "releases",
    request_body(content = Bytes, content_type = "application/octet-stream", description = "file of the snapshot"),
    responses(
        (status = 200, body = ReleaseStatus, description = "the snapshot is active"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "another release was made at the same time"),
        WithBody,
    )
)]
pub(super) async fn put_snapshot(
    State(app): State<Arc<App>>,
    caller: Caller,
    File(bytes): File,
) -> Answered<ReleaseStatus> {
    caller.may(&[])?;
    let artefact = Artefact::new(Kind::Snapshot, bytes, None, &app.settings.trust).map_err(refused)?;
    if let Artefact::Snapshot(snapshot) = &artefact
        && snapshot.storefront.expires <= app.clock.now()
    {
        let expires = snapshot.storefront.expires;
        return Err(Problem::new(
            ProblemKind::FileRejected,
            format!("the snapshot expired at {expires}; build another one"),
        ));
    }
    replace(&app, &caller, artefact, "a snapshot").await
}

/// Rolls back to the release that the current one replaced; repeated, to the one before that. For admins.
#[utoipa::path(
    post, path = "/v1/rollback", operation_id = "rollBack", tag = "releases",
    responses(
        (status = 200, body = ReleaseStatus, description = "the previous release is active"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "there is no previous release, or another one was made at the same time"),
        (status = 422, body = Document, content_type = "application/problem+json",
            description = "a file of the previous release is not trusted any more, or fails its test"),
        ForRoles,
    )
)]
pub(super) async fn roll_back(State(app): State<Arc<App>>, caller: Caller) -> Answered<ReleaseStatus> {
    caller.may(&[])?;
    let current = app.release().number;
    let before = app.store.release_before(current).await?;
    let before = before.ok_or_else(|| Problem::conflict("there is no previous release"))?;
    let parts = app.store.parts(before, &app.settings.trust).await?;
    let parts = parts.ok_or_else(|| Problem::conflict("the previous release is no longer stored"))?.map_err(refused)?;
    let previous = app.store.release_before(before).await?;
    release(&app, parts, current, previous, &format!("rollback to {before}, by {}", caller.key)).await
}

async fn replace(app: &App, caller: &Caller, artefact: Artefact, what: &str) -> Answered<ReleaseStatus> {
    let current = app.release();
    let note = format!("{what} from {}", caller.key);
    release(app, current.parts.clone().with(artefact), current.number, Some(current.number), &note).await
}

async fn release(app: &App, parts: Parts, current: i64, previous: Option<i64>, note: &str) -> Answered<ReleaseStatus> {
    let release = serve::build(current + 1, parts, &app.settings.running).await.map_err(refused)?;
    if let Err(error) = serve::install(&app.store, &release, previous, note).await {
        if store::is_duplicate(&error) {
            return Err(Problem::conflict("another release was made at the same time; check it, and try again"));
        }
        return Err(error.into());
    }
    let status = ReleaseStatus::from(&release);
    app.swap(release);
    Ok(Json(status))
}

/// Converts an error of a file to a problem of the request.
fn refused(error: ReleaseError) -> Problem {
    tracing::warn!(%error, "file rejected");
    Problem::new(ProblemKind::FileRejected, error.to_string())
}
