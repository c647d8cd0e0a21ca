//! A shopper before the tables at one moment.

use super::{
    habit::Habit,
    shopper::Shopper,
    source::{Part, Row, Source},
    tables::RankTables,
};
use crate::{
    domain::{
        sku::{Sku, SkuId},
        sort,
        time::Millis,
    },
    profile::{Interest, Profile},
};
use alloc::{vec, vec::Vec};
use core::cmp::Reverse;

/// All that is known of a shopper and products at a moment: who, when, and the tables of a pack.
///
/// [`candidates`](Self::candidates) finds the products worth scoring, [`row`](Self::row) computes the features of one of
/// them. Training data is made by the same two.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(crate) tables: &'a RankTables,
    pub(crate) profile: &'a Profile,
    pub(crate) at: Millis,
    /// By product, ascending.
    interests: Vec<(SkuId, &'a Interest)>,
}

/// A product to score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The product.
    pub id: SkuId,
    /// How well it goes with what the shopper bought or looked at.
    pub affinity: Affinity,
}

/// How well a product goes with what the shopper bought or looked at: the sum over that of
/// (orders decayed by day + attention) × similarity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Affinity {
    /// The sum.
    pub sum: f32,
    /// The product that contributes most.
    pub through: Option<SkuId>,
    /// What that product contributes.
    most: f32,
}

impl<'a> Moment<'a> {
    /// What is known of the rows of candidates.
    pub(crate) const PARTS: &'static [Part] = &[Part::Shopper, Part::Product, Part::Habit];

    /// The moment of a decision.
    pub fn new(tables: &'a RankTables, profile: &'a Profile, at: Millis) -> Self {
        let known = profile.items().iter().filter_map(|item| Some((tables.catalog.id(&item.sku)?, item)));
        let known: Vec<_> = known.collect();
        let by_id = sort::ascending(known.len(), &|a, b| known[a].0.cmp(&known[b].0));
        let interests = by_id.into_iter().map(|place| known[place]).collect();
        Self { tables, profile, at, interests }
    }

    /// The shopper's interests in products of the catalogue.
    pub(crate) fn interests(&self) -> &[(SkuId, &'a Interest)] {
        &self.interests
    }

    /// The shopper's interest in a product.
    pub(crate) fn interest(&self, id: SkuId) -> Option<&'a Interest> {
        let place = self.interests.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.interests.get(place).map(|(_, interest)| *interest)
    }

    /// The candidates that are named, the most popular first; products outside the catalogue are passed over.
    pub(crate) fn given(&self, skus: &[Sku]) -> Vec<Candidate> {
        self.affinities().candidates(self.tables, skus.iter().filter_map(|sku| self.tables.catalog.id(sku)).collect())
    }

    /// The products of the catalogue that the shopper bought, the most popular first.
    pub(crate) fn bought(&self) -> Vec<Candidate> {
        let bought = self.interests.iter().filter(|(_, interest)| interest.orders > 0);
        self.affinities().candidates(self.tables, bought.map(|(id, _)| *id).collect())
    }

    /// How well each product goes with what the shopper bought or looked at.
    pub(crate) fn affinities(&self) -> Affinities {
        let mut affinities = Affinities::new(self.interests.len() * self.tables.width());
        for &(id, interest) in self.interests() {
            let weight = interest.by_day_at(self.at.day()) + interest.attention_at(self.at);
            for neighbour in self.tables.neighbours(id) {
                affinities.add(neighbour.id, id, weight * neighbour.similarity);
            }
        }
        affinities
    }

    /// Appends a candidate's row, one value for each of `features`.
    pub fn row(&self, features: &[Source], candidate: &Candidate, row: &mut Vec<f32>) {
        let habit = self.habit(candidate);
        Row {
            shopper: Some(&Shopper::new(self.profile, self.at)),
            product: Some(self.tables.stats(candidate.id)),
            habit: Some(&habit),
            ..Row::default()
        }
        .append(features, row);
    }

    /// What the shopper has to do with a candidate.
    pub(crate) fn habit(&self, candidate: &Candidate) -> Habit {
        let bought = self.interest(candidate.id).filter(|interest| interest.orders > 0);
        let or_nan = |value: Option<f32>| value.unwrap_or(f32::NAN);
        Habit {
            of: self.profile.orders,
            orders: bought.map_or(0, |interest| interest.orders),
            decayed: bought.map_or([0.0; 3], |interest| interest.by_order_at(self.profile.orders)),
            days_since: or_nan(bought.map(|interest| self.at.day().since(interest.last) as f32)),
            orders_since: or_nan(
                bought.map(|interest| self.profile.orders.saturating_sub(interest.last_order()) as f32),
            ),
            gap: or_nan(bought.and_then(Interest::mean_gap_days)),
            typical_gap: self.tables.stats(candidate.id).gap_days,
            affinity: candidate.affinity.sum,
        }
    }
}

/// The products that go with anything: a hash table, whose size does not depend on the catalogue's.
pub(crate) struct Affinities {
    /// Where a product is found, counted from one, or zero: at the hash of its id or in the next free slot.
    slots: Vec<u32>,
    pub(crate) found: Vec<(SkuId, Affinity)>,
}

impl Affinities {
    /// Room for so many products.
    fn new(products: usize) -> Self {
        Self { slots: vec![0; (2 * products).next_power_of_two()], found: Vec::new() }
    }

    /// The slot of a product, or the one that it would have.
    fn slot(&self, id: SkuId) -> usize {
        let mask = self.slots.len() - 1;
        // Neighbours in the catalogue are apart here: multiplied by 2^32 over the golden ratio.
        let mut slot = (id.0.wrapping_mul(0x9E37_79B9) >> 8) as usize & mask;
        while self.slots.get(slot).is_some_and(|&place| {
            place > 0 && self.found.get(place as usize - 1).is_some_and(|(other, _)| *other != id)
        }) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn add(&mut self, id: SkuId, through: SkuId, weight: f32) {
        let slot = self.slot(id);
        let Some(place) = self.slots.get_mut(slot) else { return };
        if *place == 0 {
            self.found.push((id, Affinity::default()));
            *place = self.found.len() as u32;
        }
        if let Some((_, affinity)) = self.found.get_mut(*place as usize - 1) {
            affinity.add(through, weight);
        }
    }

    fn of(&self, id: SkuId) -> Affinity {
        let place = self.slots.get(self.slot(id)).and_then(|place| place.checked_sub(1));
        place.and_then(|place| self.found.get(place as usize)).map_or_else(Affinity::default, |(_, affinity)| *affinity)
    }

    /// Products as candidates, each once, in descending order of popularity and of equals in order of SKU: so a model that
    /// gives two the same score leaves the more popular first.
    pub(crate) fn candidates(&self, tables: &RankTables, ids: Vec<SkuId>) -> Vec<Candidate> {
        let keys: Vec<_> = ids.iter().map(|&id| (Reverse(tables.recent_root(id)), id)).collect();
        let mut candidates: Vec<Candidate> = Vec::with_capacity(ids.len());
        for place in sort::ascending(ids.len(), &|a, b| keys[a].cmp(&keys[b])) {
            let id = ids[place];
            if candidates.last().is_none_or(|last| last.id != id) {
                candidates.push(Candidate { id, affinity: self.of(id) });
            }
        }
        candidates
    }
}

impl Affinity {
    fn add(&mut self, through: SkuId, weight: f32) {
        self.sum += weight;
        if weight > self.most {
            self.most = weight;
            self.through = Some(through);
        }
    }
}
