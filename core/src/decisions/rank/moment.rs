//! One shopper at one moment, before the tables.

use super::tables::RankTables;
use crate::{
    domain::{sku::SkuId, sort, time::Millis},
    profile::{Interest, Profile},
};
use alloc::vec::Vec;

/// All that a ranking is decided from: who, when, and what is known of the products.
///
/// [`candidates`](Self::candidates) finds what is worth scoring, [`row`](Self::row) computes the
/// features of one of them. Training data is made by the same two.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(super) tables: &'a RankTables,
    pub(super) profile: &'a Profile,
    pub(super) at: Millis,
    /// By product, ascending.
    interests: Vec<(SkuId, &'a Interest)>,
}

impl<'a> Moment<'a> {
    /// The moment of a decision.
    pub fn new(tables: &'a RankTables, profile: &'a Profile, at: Millis) -> Self {
        let known = profile.items().iter().filter_map(|item| Some((tables.catalog.id(&item.sku)?, item)));
        let known: Vec<_> = known.collect();
        let by_id = sort::ascending(known.len(), &|a, b| known[a].0.cmp(&known[b].0));
        let interests = by_id.into_iter().map(|place| known[place]).collect();
        Self { tables, profile, at, interests }
    }

    /// The shopper's interests in products of the catalogue.
    pub(super) fn interests(&self) -> &[(SkuId, &'a Interest)] {
        &self.interests
    }

    /// The shopper's interest in a product.
    pub(super) fn interest(&self, id: SkuId) -> Option<&'a Interest> {
        let place = self.interests.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.interests.get(place).map(|(_, interest)| *interest)
    }
}
