//! Which products are worth scoring.

use super::moment::Moment;
use crate::{
    domain::{
        sku::{Sku, SkuId},
        sku_set::SkuBits,
        sort,
    },
    error::{Error, ErrorKind, Result},
};
use alloc::{format, vec, vec::Vec};
use serde::{Deserialize, Serialize};

/// How candidates are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateSpec {
    /// How many products that go with what the shopper bought or looked at, best first.
    pub neighbours: u16,
    /// How many products that are popular with everyone.
    pub popular: u16,
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

impl CandidateSpec {
    /// The most candidates of one kind.
    pub const MAX: u16 = 4_096;

    pub(crate) fn check(self) -> Result<()> {
        if self.neighbours.max(self.popular) <= Self::MAX {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PackCorrupt,
            format!("{} and {} candidates; at most {} of a kind are scored", self.neighbours, self.popular, Self::MAX),
        ))
    }
}

impl Moment<'_> {
    /// The candidates, in order of id: everything the shopper has to do with, then what goes with
    /// that, then what is popular. Places are not spent on products that are `blocked`.
    pub fn candidates(&self, spec: &CandidateSpec, blocked: &SkuBits) -> Vec<Candidate> {
        let affinities = self.affinities();
        let mut ids = SkuBits::none(self.tables.catalog.len());
        self.interests().iter().for_each(|(id, _)| ids.insert(*id));
        let around: Vec<&(SkuId, Affinity)> =
            affinities.found.iter().filter(|(id, _)| !ids.contains(*id) && !blocked.contains(*id)).collect();
        let nearest = sort::greatest(around.iter().map(|(id, affinity)| (affinity.sum, id.0)));
        nearest.take(usize::from(spec.neighbours)).for_each(|id| ids.insert(SkuId(id)));
        let popular = self.tables.by_popularity().iter().filter(|id| !blocked.contains(**id));
        popular.take(usize::from(spec.popular)).for_each(|id| ids.insert(*id));
        affinities.candidates(&ids)
    }

    /// The candidates that a request names, in order of id.
    pub(super) fn given(&self, skus: &[Sku]) -> Vec<Candidate> {
        let mut ids = SkuBits::none(self.tables.catalog.len());
        skus.iter().filter_map(|sku| self.tables.catalog.id(sku)).for_each(|id| ids.insert(id));
        self.affinities().candidates(&ids)
    }

    /// How well each product goes with what the shopper bought or looked at.
    fn affinities(&self) -> Affinities {
        let mut affinities = Affinities { places: vec![0; self.tables.catalog.len()], found: Vec::new() };
        for &(id, interest) in self.interests() {
            let weight = interest.by_day_at(self.at.day()) + interest.attention_at(self.at);
            for neighbour in self.tables.neighbours(id) {
                affinities.add(neighbour.id, id, weight * neighbour.weight());
            }
        }
        affinities
    }
}

/// The products that go with anything.
struct Affinities {
    /// For each product of the catalogue, where it is found, counted from one; or zero.
    places: Vec<u32>,
    found: Vec<(SkuId, Affinity)>,
}

impl Affinities {
    fn add(&mut self, id: SkuId, through: SkuId, weight: f32) {
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        if *place == 0 {
            self.found.push((id, Affinity::default()));
            *place = self.found.len() as u32;
        }
        if let Some((_, affinity)) = self.found.get_mut(*place as usize - 1) {
            affinity.add(through, weight);
        }
    }

    fn of(&self, id: SkuId) -> Affinity {
        let place = self.places.get(id.0 as usize).and_then(|place| place.checked_sub(1));
        place.and_then(|place| self.found.get(place as usize)).map_or_else(Affinity::default, |(_, affinity)| *affinity)
    }

    /// Products as candidates, in order of id.
    fn candidates(&self, ids: &SkuBits) -> Vec<Candidate> {
        ids.iter().map(|id| Candidate { id, affinity: self.of(id) }).collect()
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
