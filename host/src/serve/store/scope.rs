//! Part of the state that an access key sees and changes.

use std::{collections::BTreeSet, fmt};

/// Limits of a key. Tables have the columns `node` and `shop`, and indexes by both in the order of their lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    #[default]
    All,
    /// What is at these nodes.
    Nodes(BTreeSet<String>),
    /// Orders of a shop, and what belongs to them.
    Shop(String),
}

impl Scope {
    /// Whether something at a node and of a shop is part of it.
    pub(crate) fn has(&self, node: Option<&str>, shop: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Nodes(nodes) => node.is_some_and(|node| nodes.contains(node)),
            Self::Shop(name) => shop == Some(name),
        }
    }

    /// Shop of new orders.
    pub(crate) fn shop(&self) -> Option<&str> {
        match self {
            Self::Shop(shop) => Some(shop),
            Self::All | Self::Nodes(_) => None,
        }
    }

    /// Limits of a list that another condition limits to a node.
    pub(super) fn at(&self, node: Option<&str>) -> Self {
        match (self, node) {
            (Self::Nodes(nodes), Some(node)) if nodes.contains(node) => Self::All,
            (Self::Nodes(_), Some(_)) => Self::Nodes(BTreeSet::new()),
            _ => self.clone(),
        }
    }

    /// Statement for a part of a list, and the values of its parameters from `next` on. `select` ends with a condition,
    /// and contains the columns of `order`; `limit` is a parameter. The parts of several nodes are read from their
    /// indexes and merged, so that each page costs the same, wherever it is in the list.
    pub(super) fn list(&self, select: &str, order: &str, limit: usize, next: usize) -> (String, Vec<String>) {
        let end = format!("ORDER BY {order} LIMIT ${limit}");
        let (column, values) = match self {
            Self::All => return (format!("{select} {end}"), Vec::new()),
            Self::Nodes(nodes) => ("node", nodes.iter().cloned().collect::<Vec<_>>()),
            Self::Shop(shop) => ("shop", vec![shop.clone()]),
        };
        let part = |n: usize| format!("{select} AND {column} = ${n} {end}");
        let sql = match values.len() {
            0 => format!("{select} AND 1 = 0 {end}"),
            1 => part(next),
            count => {
                let parts = (next..).take(count).map(|n| format!("SELECT * FROM ({}) AS part{n}", part(n)));
                format!("SELECT * FROM ({}) AS parts {end}", parts.collect::<Vec<_>>().join(" UNION ALL "))
            }
        };
        (sql, values)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Nodes(nodes) if nodes.len() == 1 => write!(f, "the node {}", Vec::from_iter(nodes.clone()).join("")),
            Self::Nodes(nodes) => write!(f, "the nodes {}", Vec::from_iter(nodes.clone()).join(", ")),
            Self::Shop(shop) => write!(f, "the shop {shop}"),
        }
    }
}
