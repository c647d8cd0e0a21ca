//! One shopper at one moment, before the tables.

use super::tables::RankTables;
use crate::{
    event::Millis,
    profile::{Interest, Profile},
    sku::SkuId,
};
use alloc::collections::BTreeMap;

/// All that a ranking is decided from: who, when, and what is known of the products.
///
/// [`candidates`](Self::candidates) finds what is worth scoring, [`row`](Self::row) computes the
/// features of one of them. Training data is made by the same two.
#[derive(Debug)]
pub struct Moment<'a> {
    pub(super) tables: &'a RankTables,
    pub(super) profile: &'a Profile,
    pub(super) at: Millis,
    interests: BTreeMap<SkuId, &'a Interest>,
}

impl<'a> Moment<'a> {
    /// The moment of a decision.
    pub fn new(tables: &'a RankTables, profile: &'a Profile, at: Millis) -> Self {
        let mut interests = BTreeMap::new();
        for item in profile.items() {
            if let Some(id) = tables.catalog.id(&item.sku) {
                interests.insert(id, item);
            }
        }
        Self { tables, profile, at, interests }
    }

    /// The shopper's interests in products of the catalogue.
    pub(super) const fn interests(&self) -> &BTreeMap<SkuId, &'a Interest> {
        &self.interests
    }
}
