//! Authentication and permissions: access keys with roles, and limits to nodes or a shop.

use super::{
    App,
    problem::{Answer, Problem},
    store::{KeyRow, Scope, wall},
};
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
use tradewind_core::Millis;
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
    /// What it sees and changes.
    pub(crate) scope: Scope,
}

/// Name of the key of a request, for the access log; empty until the key is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyName(Arc<OnceLock<String>>);

impl KeyName {
    pub(crate) fn get(&self) -> &str {
        self.0.get().map_or("", String::as_str)
    }

    pub(crate) fn set(&self, caller: &Caller) {
        self.0.get_or_init(|| caller.key.clone());
    }
}

/// Prefix of access keys.
const PREFIX: &str = "tw_";

/// Duration of a session on the pages, in milliseconds.
pub(crate) const SESSION: i64 = 12 * 3_600_000;

const COOKIE: &str = "tradewind_session";

/// Precision of the last use of a key, in milliseconds: most requests write nothing.
const USED: i64 = 3_600_000;

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
    /// Caller with a key; `None` if its role is unknown.
    fn new(key: KeyRow) -> Option<Self> {
        Some(Self { key: key.id, role: key.role.parse().ok()?, scope: key.scope })
    }

    /// Allows these roles, and the admin.
    pub(crate) fn may(&self, roles: &[Role]) -> Answer<()> {
        if self.role == Role::Admin || roles.contains(&self.role) {
            return Ok(());
        }
        let wanted = roles.iter().copied().chain([Role::Admin]).map(Role::name).collect::<Vec<_>>().join(" or ");
        let detail = format!("the key `{}` has role {}, but this needs {wanted}", self.key, self.role);
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }

    /// Refuses keys of nodes: orders are at no node.
    pub(crate) fn may_use_orders(&self) -> Answer<()> {
        match self.scope {
            Scope::Nodes(_) => Err(self.limited("orders are at no node")),
            Scope::All | Scope::Shop(_) => Ok(()),
        }
    }

    /// Refuses keys of a shop: stock and nodes are of no shop.
    pub(crate) fn may_use_stock(&self) -> Answer<()> {
        match self.scope {
            Scope::Shop(_) => Err(self.limited("stock and nodes are of no shop")),
            Scope::All | Scope::Nodes(_) => Ok(()),
        }
    }

    /// Refuses changes at a node that is not the key's.
    pub(crate) fn may_change_at(&self, node: &str) -> Answer<()> {
        if self.scope.has(Some(node), None) {
            return Ok(());
        }
        Err(self.limited(&format!("this is at {node}")))
    }

    fn limited(&self, but: &str) -> Problem {
        let detail = format!("the key `{}` is limited to {}, but {but}", self.key, self.scope);
        Problem::new(ProblemKind::Forbidden, detail)
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
            name.set(&caller);
        }
        Ok(caller)
    }
}

impl App {
    /// Caller with this key.
    pub(crate) async fn caller(&self, key: &str) -> Answer<Caller> {
        Ok(self.authenticated(key).await?.0)
    }

    /// Caller with this key, and the time at which it expires.
    async fn authenticated(&self, key: &str) -> Answer<(Caller, Option<i64>)> {
        let refused = |detail: String| Problem::new(ProblemKind::Unauthenticated, detail);
        let unknown = || refused("unknown access key".to_owned());
        let (row, until) = self.store.key(&digest(key)).await?.ok_or_else(unknown)?;
        let now = wall();
        for (what, expires) in [("access key", row.expires), ("earlier secret of the access key", until)] {
            if let Some(expires) = expires.filter(|expires| *expires <= now) {
                return Err(refused(format!("the {what} `{}` expired at {}", row.id, Millis(expires))));
            }
        }
        if row.used.is_none_or(|used| now - used >= USED) {
            let (store, id) = (self.store.clone(), row.id.clone());
            tokio::spawn(async move {
                if let Err(error) = store.set_used(&id, now).await {
                    tracing::debug!(%error, "last use of a key not recorded");
                }
            });
        }
        let expires = [row.expires, until].into_iter().flatten().min();
        Ok((Caller::new(row).ok_or_else(unknown)?, expires))
    }

    /// Signs a user in; returns the caller, and the page's cookie.
    pub(crate) async fn sign_in(&self, key: &str) -> Answer<(Caller, String)> {
        let (caller, expires) = self.authenticated(key).await?;
        let token = hex(&random::<32>().map_err(|error| Problem::internal(&error))?);
        let until = (wall() + SESSION).min(expires.unwrap_or(i64::MAX));
        self.store.add_session(&digest(&token), &caller.key, until).await?;
        let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}", SESSION / 1_000);
        Ok((caller, cookie))
    }

    /// Signed-in user, and the token required in the page's forms.
    pub(crate) async fn signed_in(&self, headers: &HeaderMap) -> Answer<Option<(Caller, String)>> {
        let Some(token) = session_token(headers) else { return Ok(None) };
        let Some(key) = self.store.session(&digest(token)).await? else { return Ok(None) };
        Ok(Caller::new(key).map(|caller| (caller, form_token(token))))
    }

    pub(crate) async fn sign_out(&self, headers: &HeaderMap) -> Answer<String> {
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
