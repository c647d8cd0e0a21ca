//! Which products are worth scoring.

use crate::{
    domain::{sku::SkuId, sort},
    error::{Error, ErrorKind, Result},
    model::moment::{Candidate, Moment},
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
    /// The candidates, the most popular first: everything the shopper has to do with, then what goes with
    /// that, then what is popular. Places are not spent on products that are `blocked`.
    pub fn candidates(&self, spec: &CandidateSpec, blocked: &dyn Fn(SkuId) -> bool) -> Vec<Candidate> {
        let affinities = self.affinities();
        let mut ids: Vec<SkuId> = self.interests().iter().map(|(id, _)| *id).collect();
        let around = affinities.found.iter().filter(|(id, _)| self.interest(*id).is_none() && !blocked(*id));
        let nearest = sort::greatest(around.map(|(id, affinity)| (affinity.sum, id.0)));
        ids.extend(nearest.take(usize::from(spec.neighbours)).map(SkuId));
        let popular = self.tables.by_popularity().iter().filter(|id| !blocked(**id));
        ids.extend(popular.take(usize::from(spec.popular)));
        affinities.candidates(self.tables, ids)
    }
}
