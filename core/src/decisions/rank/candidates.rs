//! Which products are worth scoring.

use crate::{
    domain::{sku::SkuId, sku_set::SkuBits, sort},
    error::{Error, ErrorKind, Result},
    model::moment::{Affinity, Candidate, Moment},
};
use alloc::{format, vec::Vec};
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
}
