//! Hard constraints, and the best that pass them.

use super::Constraints;
use crate::{
    domain::{sku::Catalog, sku_set::SkuBits, sort},
    model::moment::Candidate,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            sku::{Sku, SkuId},
            time::Millis,
        },
        model::moment::Affinity,
        profile::event::{Channel, Event, EventKind},
    };

    fn sku(code: &str) -> Sku {
        Sku::new(code).expect("a code")
    }

    /// Six products: four teas and two jams.
    fn catalog() -> Catalog {
        let products = [("a", "tea"), ("b", "tea"), ("c", "tea"), ("d", "tea"), ("e", "jam"), ("f", "jam")];
        Catalog::new(products.map(|(code, category)| (sku(code), category))).expect("a catalogue")
    }

    fn set(ids: &[u32]) -> SkuBits {
        let mut set = SkuBits::none(6);
        ids.iter().for_each(|id| set.insert(SkuId(*id)));
        set
    }

    /// The places of the best, where products have these scores.
    fn best(scores: [f32; 6], limit: usize, per_category: Option<u16>) -> Vec<u32> {
        let scored = scores.iter().zip(0..).map(|(score, id)| Scored {
            candidate: Candidate { id: SkuId(id), affinity: Affinity::default() },
            score: *score,
        });
        let scored: Vec<Scored> = scored.collect();
        top(&scored, limit, per_category, &catalog()).iter().map(|scored| scored.candidate.id.0).collect()
    }

    #[test]
    fn the_best_come_first_and_no_category_has_more_than_it_may() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        assert_eq!(best(scores, 4, None), [0, 1, 2, 3]);
        assert_eq!(best(scores, 4, Some(2)), [0, 1, 4, 5]);
        assert_eq!(best(scores, 3, Some(1)), [0, 4]);
        assert!(best(scores, 9, Some(0)).is_empty());
        // A better product of a category is never left out for a worse one.
        assert_eq!(best([0.1, 0.2, 0.9, 0.3, 0.4, 0.8], 3, Some(1)), [2, 5]);
        assert_eq!(best([0.5; 6], 3, None), [0, 1, 2], "of equals, the first");
    }

    #[test]
    fn what_may_not_be_shown_is_blocked_whoever_says_so() {
        let catalog = catalog();
        let of = |constraints: &Constraints, deliverable: Option<&SkuBits>, profile: &Profile| {
            blocked(constraints, deliverable, &catalog, profile)
        };
        let (free, nobody) = (Constraints::default(), Profile::default());
        assert_eq!(of(&free, None, &nobody), set(&[]));
        assert_eq!(
            of(&Constraints { available: Some(set(&[1, 2])), ..free.clone() }, None, &nobody),
            set(&[0, 3, 4, 5])
        );
        assert_eq!(of(&Constraints { hidden: Some(set(&[5])), ..free.clone() }, None, &nobody), set(&[5]));
        assert_eq!(of(&free, Some(&set(&[0, 1, 2, 3])), &nobody), set(&[4, 5]));
        let exclude = vec![sku("c"), sku("not in the catalogue")];
        assert_eq!(of(&Constraints { exclude, ..free.clone() }, None, &nobody), set(&[2]));
        let mut shopper = Profile::default();
        shopper.apply(&Event { at: Millis(1), channel: Channel::Web, kind: EventKind::Dismiss(sku("b")) });
        assert_eq!(of(&free, None, &shopper), set(&[1]));
        let all =
            Constraints { available: Some(set(&[0, 1, 2])), hidden: Some(set(&[0])), exclude: vec![sku("e")], ..free };
        assert_eq!(of(&all, Some(&set(&[0, 1, 2, 3])), &shopper), set(&[0, 1, 3, 4, 5]));
    }
}
