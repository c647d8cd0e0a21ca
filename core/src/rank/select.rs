//! Hard constraints, and the best that pass them.

use super::{Constraints, candidates::Candidate};
use crate::{bits::SkuBits, profile::Profile, sku::Catalog};
use alloc::{collections::BTreeMap, vec::Vec};

/// A candidate and the model's score.
#[derive(Debug, Clone)]
pub struct Scored {
    pub candidate: Candidate,
    pub score: f32,
}

/// The products that may not be in the reply.
pub fn blocked(constraints: &Constraints, catalog: &Catalog, profile: &Profile) -> SkuBits {
    let mut blocked = match &constraints.available {
        Some(available) => available.complement(),
        None => SkuBits::none(catalog.len()),
    };
    if let Some(hidden) = &constraints.hidden {
        blocked.unite(hidden);
    }
    let dismissed = profile.items().iter().filter(|item| item.dismissed).map(|item| &item.sku);
    for id in constraints.exclude.iter().chain(dismissed).filter_map(|sku| catalog.id(sku)) {
        blocked.insert(id);
    }
    blocked
}

/// The `limit` best, at most `per_category` of a category; equal scores in order of id.
pub fn top(mut scored: Vec<Scored>, limit: usize, per_category: Option<u16>, catalog: &Catalog) -> Vec<Scored> {
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.candidate.id.cmp(&b.candidate.id)));
    if let Some(most) = per_category {
        let mut taken = BTreeMap::new();
        scored.retain(|scored| {
            let count = taken.entry(catalog.category_number(scored.candidate.id)).or_insert(0u16);
            *count = count.saturating_add(1);
            *count <= most
        });
    }
    scored.truncate(limit);
    scored
}
