//! Hard constraints, and selection of the best candidates.

use super::Constraints;
use crate::{
    domain::{sku::SkuId, sort},
    model::{
        moment::Candidate,
        products::{Place, Products},
    },
    profile::Profile,
    snapshot::Region,
};
use alloc::{vec, vec::Vec};

/// Candidate with its score.
#[derive(Debug, Clone)]
pub struct Scored {
    pub candidate: Candidate,
    pub score: f32,
}

/// Products that must not be in the reply.
pub struct Blocked<'a> {
    constraints: &'a Constraints,
    deliverable: Option<Deliverable<'a>>,
    products: &'a Products<'a>,
    /// Products that the shopper dismissed or the request excludes; ascending.
    excluded: Vec<SkuId>,
}

/// Products that a snapshot promises to deliver to a region.
#[derive(Clone, Copy)]
pub struct Deliverable<'a> {
    pub region: &'a Region,
    /// Ids in the snapshot of the pack's products.
    pub known: &'a [SkuId],
}

impl Deliverable<'_> {
    fn has(&self, id: SkuId) -> bool {
        self.known.get(id.0 as usize).is_some_and(|id| self.region.promise(*id).is_some())
    }
}

impl<'a> Blocked<'a> {
    pub fn new(
        constraints: &'a Constraints,
        deliverable: Option<Deliverable<'a>>,
        products: &'a Products<'a>,
        profile: &Profile,
    ) -> Self {
        let dismissed = profile.items().iter().filter(|item| item.dismissed).map(|item| &item.sku);
        let excluded = constraints.exclude.iter().chain(dismissed).filter_map(|sku| products.id(sku));
        let excluded: Vec<SkuId> = excluded.collect();
        let ascending = sort::ascending(excluded.len(), &|a, b| excluded[a].cmp(&excluded[b]));
        let excluded = ascending.into_iter().map(|place| excluded[place]).collect();
        Self { constraints, deliverable, products, excluded }
    }

    pub fn has(&self, id: SkuId) -> bool {
        let Constraints { hidden, available, deliverable_to, .. } = self.constraints;
        let blocked = match self.products.place(id) {
            Place::Table(id) => {
                hidden.as_ref().is_some_and(|hidden| hidden.contains(id))
                    || available.as_ref().is_some_and(|available| !available.contains(id))
                    || self.deliverable.is_some_and(|deliverable| !deliverable.has(id))
            }
            Place::Row(row) => deliverable_to.as_ref().is_some_and(|region| !row.regions.contains(region)),
        };
        blocked || self.excluded.binary_search(&id).is_ok()
    }
}

/// Best `limit` candidates, with at most `per_category` of each category; ties in the order of `scored`.
pub fn top(scored: &[Scored], limit: usize, per_category: Option<u16>, products: &Products<'_>) -> Vec<Scored> {
    let best = sort::greatest(scored.iter().map(|scored| scored.score).zip(0..));
    let mut taken = vec![0_u16; products.categories()];
    let mut allowed = |scored: &Scored| {
        let Some(most) = per_category else { return true };
        let category = products.category(scored.candidate.id).unwrap_or(usize::MAX);
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
        domain::{catalog::Catalog, name::Code, sku::Sku, sku_set::SkuBits, time::Millis},
        model::{
            moment::Affinity,
            products::ProductRow,
            tables::{ProductStats, RankTables},
        },
        profile::event::{Channel, Event, EventKind},
        snapshot::Promise,
    };

    fn sku(code: &str) -> Sku {
        Sku::new(code).expect("a code")
    }

    /// Six products: four teas and two jams.
    fn tables() -> RankTables {
        let products = [("a", "tea"), ("b", "tea"), ("c", "tea"), ("d", "tea"), ("e", "jam"), ("f", "jam")];
        let catalog = Catalog::new(products.map(|(code, category)| (sku(code), category))).expect("a catalogue");
        RankTables::new(catalog, &[ProductStats::default(); 6], &[const { Vec::new() }; 6]).expect("tables")
    }

    /// Row of a jam outside the tables, delivered to one region.
    fn row() -> ProductRow {
        let mut row = ProductRow::new(&tables(), &sku("f")).expect("a product");
        (row.sku, row.regions) = (sku("g"), vec![Code::new("EAST").expect("a code")]);
        row
    }

    fn set(ids: &[u32]) -> SkuBits {
        let mut set = SkuBits::none(6);
        ids.iter().for_each(|id| set.insert(SkuId(*id)));
        set
    }

    /// Ids of the best products, for these scores.
    fn best(scores: [f32; 6], limit: usize, per_category: Option<u16>) -> Vec<u32> {
        let scored = scores.iter().zip(0..).map(|(score, id)| Scored {
            candidate: Candidate { id: SkuId(id), affinity: Affinity::default() },
            score: *score,
        });
        let scored: Vec<Scored> = scored.collect();
        let tables = tables();
        let products = Products::new(&tables, &[]);
        top(&scored, limit, per_category, &products).iter().map(|scored| scored.candidate.id.0).collect()
    }

    #[test]
    fn the_best_come_first_and_no_category_exceeds_its_limit() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        assert_eq!(best(scores, 4, None), [0, 1, 2, 3]);
        assert_eq!(best(scores, 4, Some(2)), [0, 1, 4, 5]);
        assert_eq!(best(scores, 3, Some(1)), [0, 4]);
        assert!(best(scores, 9, Some(0)).is_empty());
        // A worse product never replaces a better one of its category.
        assert_eq!(best([0.1, 0.2, 0.9, 0.3, 0.4, 0.8], 3, Some(1)), [2, 5]);
        assert_eq!(best([0.5; 6], 3, None), [0, 1, 2], "ties are in order");
    }

    #[test]
    fn each_constraint_blocks_its_products() {
        let (tables, rows) = (tables(), [row()]);
        let products = Products::new(&tables, &rows);
        let known = [0, 1, 2, 3, 4, 5].map(SkuId);
        let of = |constraints: &Constraints, delivered: Option<&[u32]>, profile: &Profile| {
            let promise = |ids| Promise::new(1, 2, &set(ids)).expect("memory");
            let promises = delivered.map(|ids| vec![promise(ids)]).unwrap_or_default();
            let region = Region { code: Code::new("EAST").expect("a code"), utc_offset: 0, promises };
            let deliverable = delivered.map(|_| Deliverable { region: &region, known: &known });
            let blocked = Blocked::new(constraints, deliverable, &products, profile);
            (0..7).filter(|id| blocked.has(SkuId(*id))).collect::<Vec<u32>>()
        };
        let (free, nobody) = (Constraints::default(), Profile::default());
        assert!(of(&free, None, &nobody).is_empty());
        assert_eq!(of(&Constraints { available: Some(set(&[1, 2])), ..free.clone() }, None, &nobody), [0, 3, 4, 5]);
        assert_eq!(of(&Constraints { hidden: Some(set(&[5])), ..free.clone() }, None, &nobody), [5]);
        assert_eq!(of(&free, Some(&[0, 1, 2, 3]), &nobody), [4, 5]);
        let exclude = vec![sku("c"), sku("not in the catalogue")];
        assert_eq!(of(&Constraints { exclude, ..free.clone() }, None, &nobody), [2]);
        let mut shopper = Profile::default();
        shopper.apply(&Event { at: Millis(1), channel: Channel::Web, kind: EventKind::Dismiss { sku: sku("b") } });
        assert_eq!(of(&free, None, &shopper), [1]);
        // A row is not in bit sets, and names its regions itself.
        let deliverable_to = |code| Some(Code::new(code).expect("a code"));
        assert_eq!(
            of(&Constraints { deliverable_to: deliverable_to("EAST"), ..free.clone() }, None, &nobody),
            [0_u32; 0]
        );
        assert_eq!(of(&Constraints { deliverable_to: deliverable_to("WEST"), ..free.clone() }, None, &nobody), [6]);
        assert_eq!(of(&Constraints { exclude: vec![sku("g")], ..free.clone() }, None, &nobody), [6]);
        let all =
            Constraints { available: Some(set(&[0, 1, 2])), hidden: Some(set(&[0])), exclude: vec![sku("e")], ..free };
        assert_eq!(of(&all, Some(&[0, 1, 2, 3]), &shopper), [0, 1, 3, 4, 5]);
    }

    #[test]
    fn products_outside_the_snapshot_cannot_be_delivered() {
        let promises = vec![Promise::new(1, 2, &SkuBits::all(2)).expect("memory")];
        let region = Region { code: Code::new("EAST").expect("a code"), utc_offset: 0, promises };
        let known = [SkuId(1), SkuId::NONE, SkuId(0)];
        let deliverable = Deliverable { region: &region, known: &known };
        assert_eq!([0, 1, 2, 3].map(|id| deliverable.has(SkuId(id))), [true, false, true, false]);
    }
}
