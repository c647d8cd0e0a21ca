//! Tables of a ranking model: facts about products that do not depend on the shopper.

use crate::{
    aligned::headroom,
    columns::{Column, ColumnReader, ColumnWriter, Columns, greatest},
    domain::{catalog::Catalog, sku::SkuId},
    error::{Error, ErrorKind, Result},
};
use alloc::{format, string::String, vec, vec::Vec};

/// Products, and statistics of each from past orders.
///
/// Shares and similarities are stored as their square roots, in 65,535ths and 255ths, so that small values keep their
/// relative precision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RankTables {
    /// Products.
    pub catalog: Catalog,
    popularity: Column<u16>,
    recent_popularity: Column<u16>,
    repeat_rate: Column<u8>,
    /// Gap in half days; [`NO_GAP`] if nobody bought the product twice.
    gap: Column<u16>,
    /// Neighbours, the same number of entries for each product; an entry with similarity 0 is unused.
    neighbours: Column<SkuId>,
    similarities: Column<u8>,
    /// Products in descending order of recent popularity; derived.
    by_popularity: Vec<SkuId>,
}

/// Statistics of one product.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProductStats {
    /// Share of all orders that contain it (0 to 1).
    pub popularity: f32,
    /// Share of the last four weeks' orders that contain it (0 to 1).
    pub recent_popularity: f32,
    /// Share of its buyers who bought it again (0 to 1), smoothed by four added buyers with one repeat purchase.
    pub repeat_rate: f32,
    /// Median number of days between purchases of the same shopper, in half days; NaN if nobody bought it twice.
    pub gap_days: f32,
}

/// Similar product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Other product.
    pub id: SkuId,
    /// Cosine similarity of the two products' buyers (0 to 1).
    pub similarity: f32,
}

/// Stored gap of a product that nobody bought twice.
const NO_GAP: u16 = u16::MAX;

impl ProductStats {
    /// Whether the values are shares and days.
    pub(crate) fn is_valid(&self) -> bool {
        let gap = self.gap_days.is_nan() || (0.0..f32::from(NO_GAP) / 2.0).contains(&self.gap_days);
        [self.popularity, self.recent_popularity, self.repeat_rate].into_iter().all(is_share) && gap
    }
}

impl RankTables {
    /// Maximum number of neighbours of a product.
    pub const MAX_NEIGHBOURS: usize = 64;

    /// Creates tables for a catalogue, with one entry for each product. Values are rounded to the stored precision.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) names the invalid entry.
    pub fn new(catalog: Catalog, stats: &[ProductStats], neighbours: &[Vec<Neighbour>]) -> Result<Self> {
        let len = catalog.len();
        if stats.len() != len || neighbours.len() != len {
            return Err(corrupt(format!("tables for {} and {} of {len} products", stats.len(), neighbours.len())));
        }
        if let Some(id) = stats.iter().position(|stats| !stats.is_valid()) {
            return Err(corrupt(format!("the statistics of product {id} are not shares and days")));
        }
        let shares = |of: &dyn Fn(&ProductStats) -> f32| -> Vec<u16> {
            stats.iter().map(|stats| Self::root(of(stats))).collect()
        };
        let gap = |stats: &ProductStats| {
            if stats.gap_days.is_nan() { NO_GAP } else { libm::roundf(stats.gap_days * 2.0) as u16 }
        };
        let width = neighbours.iter().map(Vec::len).max().unwrap_or_default();
        let (mut ids, mut similarities) = (vec![SkuId(0); len * width], vec![0; len * width]);
        for (id, list) in neighbours.iter().enumerate() {
            if !list.iter().all(|neighbour| is_share(neighbour.similarity)) {
                return Err(corrupt(format!("a similarity to product {id} is not between 0 and 1")));
            }
            // Ascending by id, which compresses better.
            let mut list: Vec<_> = list.iter().map(|other| (other.id, root(other.similarity, 255.0) as u8)).collect();
            list.sort_unstable();
            for (place, (other, similarity)) in
                (id * width..).zip(list.into_iter().filter(|(_, similarity)| *similarity > 0))
            {
                ids[place] = other;
                similarities[place] = similarity;
            }
        }
        let mut tables = Self {
            catalog,
            popularity: Column::new(&shares(&|stats| stats.popularity))?,
            recent_popularity: Column::new(&shares(&|stats| stats.recent_popularity))?,
            repeat_rate: Column::new(
                &stats.iter().map(|stats| root(stats.repeat_rate, 255.0) as u8).collect::<Vec<_>>(),
            )?,
            gap: Column::new(&stats.iter().map(gap).collect::<Vec<_>>())?,
            neighbours: Column::new(&ids)?,
            similarities: Column::new(&similarities)?,
            by_popularity: Vec::new(),
        };
        tables.prepare()?;
        Ok(tables)
    }

    /// Checks that the columns are consistent, and derives what is not stored.
    fn prepare(&mut self) -> Result<()> {
        let len = self.catalog.len();
        let shares = [&self.popularity, &self.recent_popularity, &self.gap];
        if shares.iter().any(|column| column.len() != len) || self.repeat_rate.len() != len {
            return Err(misfit(len));
        }
        let width = self.width();
        if width > Self::MAX_NEIGHBOURS
            || self.neighbours.len() != len * width
            || self.similarities.len() != len * width
        {
            return Err(misfit(len));
        }
        let last = greatest(bytemuck::cast_slice(&self.neighbours));
        if last as usize >= len.max(1) {
            return Err(misfit(len));
        }
        headroom(4 * (len + (1 << 16)))?;
        self.by_popularity = descending(&self.recent_popularity);
        Ok(())
    }

    /// Stored square root of a share.
    pub(crate) fn root(share: f32) -> u16 {
        root(share, 65_535.0) as u16
    }

    /// Number of neighbour entries for each product.
    pub(crate) fn width(&self) -> usize {
        self.neighbours.len().checked_div(self.catalog.len()).unwrap_or_default()
    }

    /// Products in descending order of popularity over the last four weeks, ties by ascending SKU.
    pub fn by_popularity(&self) -> &[SkuId] {
        &self.by_popularity
    }

    /// Stored square root of the share of the last four weeks' orders that contain a product.
    pub(crate) fn recent_root(&self, id: SkuId) -> u16 {
        self.recent_popularity.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// Statistics of a product.
    pub fn stats(&self, id: SkuId) -> ProductStats {
        let at = id.0 as usize;
        let share = |of: &Column<u16>| of.get(at).map_or(0.0, |&root| square(f32::from(root) / 65_535.0));
        ProductStats {
            popularity: share(&self.popularity),
            recent_popularity: share(&self.recent_popularity),
            repeat_rate: self.repeat_rate.get(at).map_or(0.0, |&root| square(f32::from(root) / 255.0)),
            gap_days: match self.gap.get(at) {
                Some(&gap) if gap != NO_GAP => f32::from(gap) / 2.0,
                Some(_) => f32::NAN,
                None => 0.0,
            },
        }
    }

    /// Neighbours of a product, ascending by SKU.
    pub fn neighbours(&self, id: SkuId) -> impl Iterator<Item = Neighbour> {
        let width = self.width();
        let places = (id.0 as usize).saturating_mul(width)..(id.0 as usize + 1).saturating_mul(width);
        let ids = self.neighbours.get(places.clone()).unwrap_or_default();
        let similarities = self.similarities.get(places).unwrap_or_default();
        let there = ids.iter().zip(similarities).filter(|(_, root)| **root > 0);
        there.map(|(&id, &root)| Neighbour { id, similarity: square(f32::from(root) / 255.0) })
    }
}

impl Columns for RankTables {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        self.catalog.write(to)?;
        to.column(&self.popularity);
        to.column(&self.recent_popularity);
        to.column(&self.repeat_rate);
        to.column(&self.gap);
        to.column(&self.neighbours);
        to.column(&self.similarities);
        Ok(())
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        let mut tables = Self {
            catalog: Catalog::read(from)?,
            popularity: from.column(),
            recent_popularity: from.column(),
            repeat_rate: from.column(),
            gap: from.column(),
            neighbours: from.column(),
            similarities: from.column(),
            by_popularity: Vec::new(),
        };
        tables.prepare()?;
        Ok(tables)
    }
}

/// Products in descending order of a value, ties by ascending id: a counting sort.
fn descending(values: &[u16]) -> Vec<SkuId> {
    let mut starts = vec![0_u32; 1 << 16];
    values.iter().for_each(|&value| starts[usize::from(!value)] += 1);
    let mut start = 0;
    for count in &mut starts {
        start += core::mem::replace(count, start);
    }
    let mut sorted = vec![SkuId(0); values.len()];
    for (&value, id) in values.iter().zip(0..) {
        let place = &mut starts[usize::from(!value)];
        if let Some(slot) = sorted.get_mut(*place as usize) {
            *slot = SkuId(id);
        }
        *place += 1;
    }
    sorted
}

fn square(root: f32) -> f32 {
    root * root
}

fn root(share: f32, whole: f32) -> f32 {
    libm::roundf(libm::sqrtf(share) * whole)
}

fn is_share(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

#[cold]
fn misfit(len: usize) -> Error {
    corrupt(format!("tables do not match a catalogue of {len} products"))
}

#[cold]
fn corrupt(message: String) -> Error {
    Error::new(ErrorKind::PackCorrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aligned::AlignedBytes, domain::sku::Sku};
    use alloc::sync::Arc;

    fn tables() -> Result<RankTables> {
        let skus = ["a", "b", "c"].map(|sku| (Sku::new(sku).expect("a SKU"), "any"));
        let stats =
            |recent_popularity, gap_days| ProductStats { recent_popularity, gap_days, ..ProductStats::default() };
        let neighbour = |id, similarity| Neighbour { id: SkuId(id), similarity };
        let neighbours = [vec![neighbour(2, 0.9), neighbour(1, 0.5)], vec![], vec![neighbour(0, 0.9)]];
        let stats = [stats(0.000_01, 10.5), stats(0.25, f32::NAN), stats(0.25, 0.0)];
        RankTables::new(Catalog::new(skus)?, &stats, &neighbours)
    }

    #[test]
    fn tables_are_read_in_place() -> Result<()> {
        let made = tables()?;
        let section = ColumnWriter::section(&made)?;
        let bytes = Arc::new(AlignedBytes::copy_of(&section)?);
        let read: RankTables = ColumnReader::read(&bytes, 0..section.len())?;
        assert_eq!(read, made);
        assert_eq!(read.by_popularity(), [1, 2, 0].map(SkuId), "ties are in order of SKU");
        let near = |a: f32, b: f32| (a / b - 1.0).abs() < 0.01;
        let stats = [0, 1, 2].map(|id| read.stats(SkuId(id)));
        assert!(near(stats[0].recent_popularity, 0.000_01) && near(stats[1].recent_popularity, 0.25));
        assert_eq!((stats[0].gap_days, stats[1].gap_days.is_nan(), stats[2].gap_days), (10.5, true, 0.0));
        let neighbours: Vec<_> = read.neighbours(SkuId(0)).map(|other| other.id.0).collect();
        assert_eq!(neighbours, [1, 2]);
        assert_eq!((read.neighbours(SkuId(1)).count(), read.neighbours(SkuId(9)).count()), (0, 0));
        assert!(read.neighbours(SkuId(2)).all(|other| near(other.similarity, 0.9)));
        Ok(())
    }

    #[test]
    fn rounding_is_idempotent() -> Result<()> {
        let first = tables()?;
        let stats: Vec<_> = (0..3).map(|id| first.stats(SkuId(id))).collect();
        let neighbours: Vec<Vec<_>> = (0..3).map(|id| first.neighbours(SkuId(id)).collect()).collect();
        assert_eq!(RankTables::new(first.catalog.clone(), &stats, &neighbours)?, first);
        Ok(())
    }

    #[test]
    fn tables_that_do_not_fit_are_refused() {
        let tables = tables().expect("tables");
        let refused = |change: &dyn Fn(&mut RankTables)| {
            let mut tables = tables.clone();
            change(&mut tables);
            let section = ColumnWriter::section(&tables).expect("a section");
            let bytes = Arc::new(AlignedBytes::copy_of(&section).expect("memory"));
            ColumnReader::read::<RankTables>(&bytes, 0..section.len()).is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|tables| tables.popularity = tables.popularity.part(0..2)));
        assert!(refused(&|tables| tables.repeat_rate = tables.repeat_rate.part(0..1)));
        assert!(refused(&|tables| tables.similarities = tables.similarities.part(0..5)));
        assert!(refused(&|tables| tables.neighbours = Column::new(&[3; 6].map(SkuId)).expect("memory")));
        assert!(refused(&|tables| tables.catalog = Catalog::default()));
    }
}
