//! Hard constraints, and the best that pass them.

use super::{Constraints, candidates::Candidate};
use crate::{
    domain::{sku::Catalog, sku_set::SkuBits, sort},
    profile::Profile,
};
use alloc::{vec, vec::Vec};

/// A candidate and the model's score.
#[derive(Debug, Clone)]
pub struct Scored {
    pub candidate: Candidate,
    pub score: f32,
}

/// The products that may not be in the reply.
pub fn blocked(
    constraints: &Constraints,
    deliverable: Option<&SkuBits>,
    catalog: &Catalog,
    profile: &Profile,
) -> SkuBits {
    let mut blocked = SkuBits::none(catalog.len());
    for wanted in constraints.available.iter().chain(deliverable) {
        blocked.unite(&wanted.complement());
    }
    if let Some(hidden) = &constraints.hidden {
        blocked.unite(hidden);
    }
    let dismissed = profile.items().iter().filter(|item| item.dismissed).map(|item| &item.sku);
    for id in constraints.exclude.iter().chain(dismissed).filter_map(|sku| catalog.id(sku)) {
        blocked.insert(id);
    }
    blocked
}

/// The `limit` best, at most `per_category` of a category; of equal scores, the first comes first.
pub fn top(scored: &[Scored], limit: usize, per_category: Option<u16>, catalog: &Catalog) -> Vec<Scored> {
    let best = sort::greatest(scored.iter().map(|scored| scored.score).zip(0..));
    let mut taken = vec![0_u16; catalog.categories()];
    let mut allowed = |scored: &Scored| {
        let Some(most) = per_category else { return true };
        let category = catalog.category_number(scored.candidate.id).map_or(usize::MAX, usize::from);
        let Some(count) = taken.get_mut(category) else { return false };
        *count = count.saturating_add(1);
        *count <= most
    };
    best.filter_map(|n| scored.get(n as usize)).filter(|scored| allowed(scored)).take(limit).cloned().collect()
}
