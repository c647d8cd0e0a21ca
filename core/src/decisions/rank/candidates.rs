//! Selection of the products to score.

use crate::{
    domain::{sku::SkuId, sort},
    error::{Error, ErrorKind, Result},
    model::moment::{Candidate, Moment},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Selection of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateSpec {
    /// Maximum number of products similar to those that the shopper bought or viewed, best first.
    pub neighbours: u16,
    /// Maximum number of generally popular products.
    pub popular: u16,
}

impl CandidateSpec {
    /// Maximum number of candidates of one kind.
    pub const MAX: u16 = 4_096;

    pub(crate) fn check(self) -> Result<()> {
        if self.neighbours.max(self.popular) <= Self::MAX {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PackCorrupt,
            format!("{} and {} candidates; the limit is {} of each kind", self.neighbours, self.popular, Self::MAX),
        ))
    }
}

impl Moment<'_> {
    /// Candidates, most popular first: all products that the shopper bought or viewed, products similar to these, and
    /// popular products. `blocked` products do not count towards the limits.
    pub fn candidates(&self, spec: &CandidateSpec, blocked: &dyn Fn(SkuId) -> bool) -> Vec<Candidate> {
        let affinities = self.affinities();
        let mut ids: Vec<SkuId> = self.interests().iter().map(|(id, _)| *id).collect();
        let around = affinities.found.iter().filter(|(id, _)| self.interest(*id).is_none() && !blocked(*id));
        let nearest = sort::greatest(around.map(|(id, affinity)| (affinity.sum, id.0)));
        ids.extend(nearest.take(usize::from(spec.neighbours)).map(SkuId));
        // Slices have the most popular products, so rows are not among these.
        let popular = self.products.tables.by_popularity().iter().map(|id| self.products.of_table(*id));
        ids.extend(popular.filter(|id| !blocked(*id)).take(usize::from(spec.popular)));
        affinities.candidates(&self.products, ids)
    }
}
