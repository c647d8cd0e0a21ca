//! Management of access keys, for the command line.

use super::{
    Cause, ServeError,
    auth::{self, Role},
    door,
    store::{KeyRow, Scope, Store, wall},
};
use std::{collections::BTreeSet, time::Duration};
use tradewind_core::Millis;

/// Maximum nodes of a limited key: each is a part of the statements of lists.
const MOST_NODES: usize = 100;

/// Key to make.
#[derive(Debug, Clone)]
pub struct NewKey {
    name: String,
    role: Role,
    nodes: Option<BTreeSet<String>>,
    shop: Option<String>,
    lifetime: Option<Duration>,
}

/// Listed key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyInfo {
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
    /// Creation time.
    pub made: Millis,
    /// Nodes to which it is limited; unlimited if absent.
    pub nodes: Option<BTreeSet<String>>,
    /// Shop to which it is limited; unlimited if absent.
    pub shop: Option<String>,
    /// Time at which it expires; never if absent.
    pub expires: Option<Millis>,
    /// Last use, to the hour.
    pub used: Option<Millis>,
}

/// Access keys of a database.
#[derive(Debug)]
pub struct Keys(Store);

impl NewKey {
    /// Key with a role, without limits.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, nodes: None, shop: None, lifetime: None }
    }

    /// Limits it to what is at these nodes.
    #[must_use]
    pub fn nodes(self, nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { nodes: Some(nodes.into_iter().map(Into::into).collect()), ..self }
    }

    /// Limits it to the orders of a shop.
    #[must_use]
    pub fn shop(self, shop: impl Into<String>) -> Self {
        Self { shop: Some(shop.into()), ..self }
    }

    /// Time after which it expires.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Limits, if they fit the role.
    fn scope(&self) -> Result<Scope, String> {
        match (self.role, &self.nodes, &self.shop) {
            (_, None, None) => Ok(Scope::All),
            (Role::Shop, None, Some(shop)) => {
                door::name("the shop", shop).map_err(|problem| problem.detail().to_owned())?;
                Ok(Scope::Shop(shop.clone()))
            }
            (_, Some(_), Some(_)) => Err("a key is limited to nodes or to a shop, not to both".to_owned()),
            (role, None, Some(_)) => {
                Err(format!("a key with role {role} cannot be limited to a shop (expected role shop)"))
            }
            (Role::Warehouse | Role::Operator, Some(nodes), None) => {
                if !(1..=MOST_NODES).contains(&nodes.len()) {
                    return Err(format!("{} nodes (expected 1 to {MOST_NODES})", nodes.len()));
                }
                let invalid = nodes.iter().try_for_each(|node| door::code("nodes", node).map(drop));
                invalid.map_err(|problem| problem.detail().to_owned())?;
                Ok(Scope::Nodes(nodes.clone()))
            }
            (role, Some(_), None) => {
                Err(format!("a key with role {role} cannot be limited to nodes (expected role warehouse or operator)"))
            }
        }
    }
}

impl Keys {
    /// Opens a database given as in [`Config::database`](super::Config::database).
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn open(database: &str) -> Result<Self, ServeError> {
        Ok(Self(Store::open(database).await.map_err(Cause::from)?))
    }

    /// Makes a key. Its secret is returned only once; the database stores its digest.
    ///
    /// # Errors
    /// If the name exists or is invalid, the limits do not fit the role, or the database fails.
    pub async fn add(&self, new: &NewKey) -> Result<String, ServeError> {
        let NewKey { name, role, lifetime, .. } = new;
        if !(1..=64).contains(&name.len()) || name.trim() != name || name.chars().any(char::is_control) {
            let detail = format!("invalid key name `{name}` (expected 1 to 64 bytes of text without spaces around it)");
            return Err(Cause::Key(detail).into());
        }
        let scope = new.scope().map_err(Cause::Key)?;
        let (key, hash) = auth::new_key().map_err(Cause::Random)?;
        let (id, role, expires) = (name.clone(), role.to_string(), lifetime.map(after));
        let row = KeyRow { id, role, scope, made: wall(), expires, used: None };
        if !self.0.add_key(&row, &hash).await.map_err(Cause::from)? {
            return Err(Cause::Key(format!("there is a key `{name}` already; remove it first")).into());
        }
        Ok(key)
    }

    /// Nodes of a list that the database does not have. It has none before the service has started once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn unknown_nodes(&self, nodes: &[String]) -> Result<Vec<String>, ServeError> {
        let known = self.0.nodes().await.map_err(Cause::from)?;
        let unknown = nodes.iter().filter(|node| !known.is_empty() && !known.contains_key(*node));
        Ok(unknown.cloned().collect())
    }

    /// Replaces the secret of a key, and returns the new one. The earlier one remains valid for some time, and
    /// sessions that began with it end then, too. With a lifetime, the key expires after it instead of when it would have.
    ///
    /// # Errors
    /// If the name does not exist, the key has expired and gets no lifetime, or the database fails.
    pub async fn rotate(&self, name: &str, keep: Duration, lifetime: Option<Duration>) -> Result<String, ServeError> {
        let (key, hash) = auth::new_key().map_err(Cause::Random)?;
        let mut tx = self.0.begin().await.map_err(Cause::from)?;
        let found = self.0.lock_key(&mut tx, name).await.map_err(Cause::from)?;
        let row = found.ok_or_else(|| Cause::Key(format!("unknown key `{name}`")))?;
        if let Some(expires) = row.expires.filter(|expires| *expires <= wall() && lifetime.is_none()) {
            let detail = format!("the key `{name}` expired at {}: give it another time", Millis(expires));
            return Err(Cause::Key(detail).into());
        }
        let expires = lifetime.map(after);
        self.0.rotate_key(&mut tx, name, &hash, after(keep), expires).await.map_err(Cause::from)?;
        tx.commit().await.map_err(Cause::from)?;
        Ok(key)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// If the name does not exist, or the database fails.
    pub async fn remove(&self, name: &str) -> Result<(), ServeError> {
        if self.0.remove_key(name).await.map_err(Cause::from)? {
            return Ok(());
        }
        Err(Cause::Key(format!("unknown key `{name}`")).into())
    }

    /// All keys, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, ServeError> {
        let info = |key: KeyRow| {
            let (nodes, shop) = match key.scope {
                Scope::All => (None, None),
                Scope::Nodes(nodes) => (Some(nodes), None),
                Scope::Shop(shop) => (None, Some(shop)),
            };
            let (name, role, made) = (key.id, key.role, Millis(key.made));
            KeyInfo { name, role, made, nodes, shop, expires: key.expires.map(Millis), used: key.used.map(Millis) }
        };
        Ok(self.0.keys().await.map_err(Cause::from)?.into_iter().map(info).collect())
    }
}

/// Time by the machine's clock after a duration.
fn after(duration: Duration) -> i64 {
    wall().saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}
