//! Facts about a shopper and a catalogue at one moment.

use super::{
    habit::Habit,
    products::Products,
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

/// Facts about a shopper and products at a moment: a profile and the tables of a pack.
///
/// [`candidates`](Self::candidates) finds the products worth scoring, and [`row`](Self::row) computes the features of
/// one of them. Both also produce the training data.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(crate) products: Products<'a>,
    pub(crate) profile: &'a Profile,
    pub(crate) at: Millis,
    /// Interests, ascending by product.
    interests: Vec<(SkuId, &'a Interest)>,
}

/// Product to score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Product.
    pub id: SkuId,
    /// Affinity to products that the shopper bought or viewed.
    pub affinity: Affinity,
}

/// Affinity of a product to products that the shopper bought or viewed: the sum over these of (orders decayed by day +
/// attention) × similarity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Affinity {
    /// Sum of all contributions.
    pub sum: f32,
    /// Product with the largest contribution.
    pub through: Option<SkuId>,
    /// Largest contribution.
    most: f32,
}

impl<'a> Moment<'a> {
    /// Parts of a candidate's row.
    pub(crate) const PARTS: &'static [Part] = &[Part::Shopper, Part::Product, Part::Habit];

    /// Creates the facts for a decision at `at`.
    pub fn new(tables: &'a RankTables, profile: &'a Profile, at: Millis) -> Self {
        Self::among(Products::new(tables, &[]), profile, at)
    }

    /// Creates the facts for a decision at `at` among products.
    pub(crate) fn among(products: Products<'a>, profile: &'a Profile, at: Millis) -> Self {
        let known = profile.items().iter().filter_map(|item| Some((products.id(&item.sku)?, item)));
        let known: Vec<_> = known.collect();
        let by_id = sort::ascending(known.len(), &|a, b| known[a].0.cmp(&known[b].0));
        let interests = by_id.into_iter().map(|place| known[place]).collect();
        Self { products, profile, at, interests }
    }

    /// Interests of the shopper in products of the catalogue.
    pub(crate) fn interests(&self) -> &[(SkuId, &'a Interest)] {
        &self.interests
    }

    /// Interest of the shopper in a product.
    pub(crate) fn interest(&self, id: SkuId) -> Option<&'a Interest> {
        let place = self.interests.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.interests.get(place).map(|(_, interest)| *interest)
    }

    /// Candidates for `skus`, most popular first; unknown products are skipped.
    pub(crate) fn given(&self, skus: &[Sku]) -> Vec<Candidate> {
        self.affinities().candidates(&self.products, skus.iter().filter_map(|sku| self.products.id(sku)).collect())
    }

    /// Products of the catalogue that the shopper bought, most popular first.
    pub(crate) fn bought(&self) -> Vec<Candidate> {
        let bought = self.interests.iter().filter(|(_, interest)| interest.orders > 0);
        self.affinities().candidates(&self.products, bought.map(|(id, _)| *id).collect())
    }

    /// Affinity of each product to products that the shopper bought or viewed.
    pub(crate) fn affinities(&self) -> Affinities {
        let mut affinities = Affinities::new(self.interests.len() * self.products.width());
        for &(id, interest) in self.interests() {
            let weight = interest.by_day_at(self.at.day()) + interest.attention_at(self.at);
            self.products.neighbours(id, &mut |neighbour| {
                affinities.add(neighbour.id, id, weight * neighbour.similarity);
            });
        }
        affinities
    }

    /// Appends a candidate's row, one value for each of `features`.
    pub fn row(&self, features: &[Source], candidate: &Candidate, row: &mut Vec<f32>) {
        let habit = self.habit(candidate);
        Row {
            shopper: Some(&Shopper::new(self.profile, self.at)),
            product: Some(self.products.stats(candidate.id)),
            habit: Some(&habit),
            ..Row::default()
        }
        .append(features, row);
    }

    /// Facts about the shopper and a candidate.
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
            typical_gap: self.products.stats(candidate.id).gap_days,
            affinity: candidate.affinity.sum,
        }
    }
}

/// Products with an affinity: a hash table whose size does not depend on the catalogue's.
pub(crate) struct Affinities {
    /// Index of a product in `found`, plus one; 0 if free. A product is at the hash of its id, or in the next free
    /// slot.
    slots: Vec<u32>,
    pub(crate) found: Vec<(SkuId, Affinity)>,
}

impl Affinities {
    /// Creates a table for at most `products` products.
    fn new(products: usize) -> Self {
        Self { slots: vec![0; (2 * products).next_power_of_two()], found: Vec::new() }
    }

    /// Slot of a product, or its free slot.
    fn slot(&self, id: SkuId) -> usize {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing spreads consecutive ids: a multiplication by 2^32 over the golden ratio.
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

    /// Unique candidates in descending order of popularity, ties by ascending SKU: products with equal scores of the
    /// model then stay in order of popularity.
    pub(crate) fn candidates(&self, products: &Products<'_>, ids: Vec<SkuId>) -> Vec<Candidate> {
        let keys: Vec<_> = ids.iter().map(|&id| (Reverse(products.recent_root(id)), id)).collect();
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
