//! What a ranking model knows of products, whoever looks at them.

use crate::{
    bounded,
    domain::{
        sku::{Catalog, SkuId},
        sort,
    },
    error::{Error, ErrorKind, Result},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Products, and what was learnt of each from past orders.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RankTables {
    /// The products.
    pub catalog: Catalog,
    /// One for each product.
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    stats: Vec<ProductStats>,
    /// For each product, those that the same shoppers buy, best first.
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    neighbours: Vec<Vec<Neighbour>>,
    /// Products from the most to the least popular of late; derived.
    #[serde(skip)]
    by_popularity: Vec<SkuId>,
}

/// What was learnt of one product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProductStats {
    /// Share of all orders that contain it.
    pub popularity: f32,
    /// Share of the last four weeks' orders that contain it.
    pub recent_popularity: f32,
    /// Share of its buyers who bought it again, with one of four imagined buyers added.
    pub repeat_rate: f32,
    /// Days between two purchases by the same shopper, the median; NaN where nobody bought it twice.
    pub gap_days: f32,
}

/// A product that goes with another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The other product.
    pub id: SkuId,
    /// Cosine similarity of the two products' buyers, in 65,535ths.
    pub similarity: u16,
}

impl Neighbour {
    /// The similarity, from 0 to 1.
    pub fn weight(self) -> f32 {
        f32::from(self.similarity) / f32::from(u16::MAX)
    }
}

impl RankTables {
    /// The most neighbours of one product.
    pub const MAX_NEIGHBOURS: usize = 64;

    /// Tables for a catalogue, with one entry for each product.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) says what does not fit.
    pub fn new(catalog: Catalog, stats: Vec<ProductStats>, neighbours: Vec<Vec<Neighbour>>) -> Result<Self> {
        let mut tables = Self { catalog, stats, neighbours, by_popularity: Vec::new() };
        tables.prepare()?;
        Ok(tables)
    }

    /// The same tables as [`new`](Self::new) would make them: for tables that were decoded, which
    /// lack what is derived.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn prepared(mut self) -> Result<Self> {
        self.prepare()?;
        Ok(self)
    }

    /// Rebuilds what is derived, and checks that the tables fit each other.
    fn prepare(&mut self) -> Result<()> {
        let corrupt = |message| Err(Error::new(ErrorKind::PackCorrupt, message));
        self.catalog.index()?;
        let len = self.catalog.len();
        if self.stats.len() != len || self.neighbours.len() != len {
            return corrupt(format!("tables for {} and {} of {len} products", self.stats.len(), self.neighbours.len()));
        }
        for (id, neighbours) in self.neighbours.iter().enumerate() {
            let known = neighbours.iter().all(|neighbour| (neighbour.id.0 as usize) < len);
            if !known || neighbours.len() > Self::MAX_NEIGHBOURS {
                return corrupt(format!("the neighbours of product {id} are too many, or not in the catalogue"));
            }
        }
        let share = |value: f32| (0.0..=1.0).contains(&value);
        for (id, stats) in self.stats.iter().enumerate() {
            let sound = share(stats.popularity)
                && share(stats.recent_popularity)
                && share(stats.repeat_rate)
                && (stats.gap_days.is_nan() || stats.gap_days >= 0.0);
            if !sound {
                return corrupt(format!("the statistics of product {id} are no shares and days"));
            }
        }
        let popularity = self.stats.iter().map(|stats| stats.recent_popularity);
        self.by_popularity = sort::greatest(popularity.zip(0..)).map(SkuId).collect();
        Ok(())
    }

    /// Products from the most to the least popular of the last four weeks.
    pub fn by_popularity(&self) -> &[SkuId] {
        &self.by_popularity
    }

    /// What was learnt of a product.
    pub fn stats(&self, id: SkuId) -> ProductStats {
        self.stats.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// What goes with a product, best first.
    pub fn neighbours(&self, id: SkuId) -> &[Neighbour] {
        self.neighbours.get(id.0 as usize).map_or(&[], Vec::as_slice)
    }
}
