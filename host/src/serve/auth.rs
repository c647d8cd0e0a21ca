//! Authentication and roles: access keys.

use super::{App, problem::Problem, store::wall};
use crate::sha256;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
};
use tradewind_json::{ProblemKind, hex};

/// Role of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Shop backend: sends orders, and verifies prices at checkout.
    Shop,
    /// Warehouse systems: set stock counts, scan shipments, close nodes.
    Warehouse,
    /// Operators: act on the worklist, give feedback, retry dead orders.
    Operator,
    /// Administrators: everything, including modules, packs and snapshots.
    Admin,
}

/// Sender of a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Name of the key.
    pub(crate) key: String,
    pub(crate) role: Role,
}

/// Name of the key of a request, for the access log; empty until the key is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyName(Arc<OnceLock<String>>);

impl KeyName {
    pub(crate) fn get(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }
}

/// Prefix of access keys.
const PREFIX: &str = "tw_";

/// Duration of a session on the pages, in milliseconds.
pub(crate) const SESSION: i64 = 12 * 3_600_000;

const COOKIE: &str = "tradewind_session";

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Shop, Self::Warehouse, Self::Operator, Self::Admin];

    /// Name in text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Warehouse => "warehouse",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| format!("unknown role `{name}` (expected {})", Self::ALL.map(Self::name).join(", ")))
    }
}

impl Caller {
    /// Allows these roles, and the admin.
    pub(crate) fn may(&self, roles: &[Role]) -> Result<(), Problem> {
        if self.role == Role::Admin || roles.contains(&self.role) {
            return Ok(());
        }
        let wanted = roles.iter().copied().chain([Role::Admin]).map(Role::name).collect::<Vec<_>>().join(" or ");
        let detail = format!("the key `{}` has role {}, but this needs {wanted}", self.key, self.role);
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        // Schemes ignore case (RFC 9110, section 11.1).
        let credentials = value.and_then(|value| value.trim_start().split_once(' '));
        let Some((_, key)) = credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            let detail = "missing access key: send `Authorization: Bearer KEY`; `tradewind serve key add` makes one";
            return Err(Problem::new(ProblemKind::Unauthenticated, detail));
        };
        let caller = app.caller(key.trim()).await?;
        if let Some(name) = parts.extensions.get::<KeyName>() {
            name.0.get_or_init(|| caller.key.clone());
        }
        Ok(caller)
    }
}

impl App {
    /// Caller with this key.
    pub(crate) async fn caller(&self, key: &str) -> Result<Caller, Problem> {
        let found = self.store.key(&digest(key)).await?;
        let known = found.and_then(|(key, role)| Some(Caller { key, role: role.parse().ok()? }));
        known.ok_or_else(|| Problem::new(ProblemKind::Unauthenticated, "unknown access key"))
    }

    /// Signs a user in; returns the page's cookie.
    pub(crate) async fn sign_in(&self, key: &str) -> Result<String, Problem> {
        let caller = self.caller(key).await?;
        let token = hex(&random::<32>().map_err(|error| Problem::internal(&error))?);
        self.store.add_session(&digest(&token), &caller.key, wall() + SESSION).await?;
        Ok(format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", SESSION / 1_000))
    }

    /// Signed-in user, and the token required in the page's forms.
    pub(crate) async fn signed_in(&self, headers: &HeaderMap) -> Result<Option<(Caller, String)>, Problem> {
        let Some(token) = session_token(headers) else { return Ok(None) };
        let Some(session) = self.store.session(&digest(token)).await? else { return Ok(None) };
        let Ok(role) = session.role.parse() else { return Ok(None) };
        Ok(Some((Caller { key: session.key, role }, form_token(token))))
    }

    pub(crate) async fn sign_out(&self, headers: &HeaderMap) -> Result<String, Problem> {
        if let Some(token) = session_token(headers) {
            self.store.remove_session(&digest(token)).await?;
        }
        Ok(format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"))
    }
}

/// New access key, and its hash.
pub(crate) fn new_key() -> Result<(String, String), getrandom::Error> {
    let key = format!("{PREFIX}{}", hex(&random::<32>()?));
    let hash = digest(&key);
    Ok((key, hash))
}

/// Keys are 256 random bits, so a plain digest cannot be reversed.
fn digest(secret: &str) -> String {
    hex(&sha256(secret.as_bytes()))
}

/// Token of forms: another site can neither read nor guess it.
fn form_token(session: &str) -> String {
    digest(&format!("form {session}"))
}

fn session_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map(|()| bytes)
}
