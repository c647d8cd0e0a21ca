//! Which products are worth scoring.

use super::moment::Moment;
use crate::{
    bits::SkuBits,
    error::{Error, ErrorKind, Result},
    order,
    sku::{Sku, SkuId},
};
use alloc::{collections::BTreeMap, format, vec::Vec};
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
        let around: Vec<(SkuId, f32)> = affinities
            .iter()
            .filter(|(id, _)| !self.interests().contains_key(id) && !blocked.contains(**id))
            .map(|(id, affinity)| (*id, affinity.sum))
            .collect();
        // They are in order of id, and so are equals.
        let nearest = order::ascending(around.len(), &|a, b| around[b].1.total_cmp(&around[a].1));
        let nearest = nearest.into_iter().take(usize::from(spec.neighbours)).map(|n| around[n].0);
        let popular = self.tables.by_popularity().iter().filter(|id| !blocked.contains(**id));
        let popular = popular.take(usize::from(spec.popular));
        self.collect(self.interests().keys().chain(popular).copied().chain(nearest), &affinities)
    }

    /// The candidates that a request names, in order of id.
    pub(super) fn given(&self, skus: &[Sku]) -> Vec<Candidate> {
        self.collect(skus.iter().filter_map(|sku| self.tables.catalog.id(sku)), &self.affinities())
    }

    /// How well each product goes with what the shopper bought or looked at.
    fn affinities(&self) -> BTreeMap<SkuId, Affinity> {
        let mut affinities: BTreeMap<SkuId, Affinity> = BTreeMap::new();
        for (&id, interest) in self.interests() {
            let weight = interest.by_day_at(self.at.day()) + interest.attention_at(self.at);
            for neighbour in self.tables.neighbours(id) {
                affinities.entry(neighbour.id).or_default().add(id, weight * neighbour.weight());
            }
        }
        affinities
    }

    /// Each product once, in order of id.
    fn collect(&self, ids: impl Iterator<Item = SkuId>, affinities: &BTreeMap<SkuId, Affinity>) -> Vec<Candidate> {
        let mut set = SkuBits::none(self.tables.catalog.len());
        ids.for_each(|id| set.insert(id));
        set.iter().map(|id| Candidate { id, affinity: affinities.get(&id).copied().unwrap_or_default() }).collect()
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
