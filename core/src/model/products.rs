//! Products of a ranking: those of a pack's tables, and those that a request adds.

use super::tables::{Neighbour, ProductStats, RankTables};
use crate::{
    bounded,
    domain::{
        check::{at_most, bad},
        name::Code,
        sku::{Sku, SkuId},
        sort,
    },
    error::Result,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Facts about a product outside a pack's tables.
///
/// A page has a slice of a shop's pack. The row of another product comes with that product's own page, and then with
/// each request of the page. With the rows of the products that a shopper knows, and of their neighbours, a slice ranks
/// as the whole pack does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductRow {
    /// Product.
    pub sku: Sku,
    /// Its category.
    pub category: String,
    /// Share of all orders that contain it (0 to 1).
    pub popularity: f32,
    /// Share of the last four weeks' orders that contain it (0 to 1).
    pub recent_popularity: f32,
    /// Share of its buyers who bought it again (0 to 1).
    pub repeat_rate: f32,
    /// Median number of days between purchases of the same shopper; absent if nobody bought it twice.
    pub gap_days: Option<f32>,
    /// Similar products.
    #[serde(deserialize_with = "bounded::list::<{ RankTables::MAX_NEIGHBOURS }, _, _>")]
    pub neighbours: Vec<SimilarProduct>,
    /// Regions to which it can be delivered.
    #[serde(deserialize_with = "bounded::list::<{ ProductRow::MAX_REGIONS }, _, _>")]
    pub regions: Vec<Code>,
}

/// Product similar to that of a [`ProductRow`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarProduct {
    /// Product.
    pub sku: Sku,
    /// Cosine similarity of the two products' buyers (0 to 1).
    pub similarity: f32,
}

impl ProductRow {
    /// Maximum number of regions of a row.
    pub const MAX_REGIONS: usize = 4_096;

    /// Row of a product of tables, without regions and without neighbours; `None` if they do not have it.
    pub fn new(tables: &RankTables, sku: &Sku) -> Option<Self> {
        let id = tables.catalog.id(sku)?;
        let ProductStats { popularity, recent_popularity, repeat_rate, gap_days } = tables.stats(id);
        Some(Self {
            sku: sku.clone(),
            category: tables.catalog.category(id).into(),
            popularity,
            recent_popularity,
            repeat_rate,
            gap_days: Some(gap_days).filter(|days| !days.is_nan()),
            neighbours: Vec::new(),
            regions: Vec::new(),
        })
    }

    /// Rows of a product of tables, with its neighbours, and of each of these, without theirs; none if the tables do not
    /// have the product.
    pub fn with_neighbours(tables: &RankTables, sku: &Sku) -> Vec<Self> {
        let (Some(id), Some(mut row)) = (tables.catalog.id(sku), Self::new(tables, sku)) else { return Vec::new() };
        let similar = |Neighbour { id, similarity }| Some(SimilarProduct { sku: tables.catalog.sku(id)?, similarity });
        row.neighbours = tables.neighbours(id).filter_map(similar).collect();
        let others: Vec<Self> = row.neighbours.iter().filter_map(|other| Self::new(tables, &other.sku)).collect();
        core::iter::once(row).chain(others).collect()
    }

    fn stats(&self) -> ProductStats {
        ProductStats {
            popularity: self.popularity,
            recent_popularity: self.recent_popularity,
            repeat_rate: self.repeat_rate,
            gap_days: self.gap_days.unwrap_or(f32::NAN),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.sku.check()?;
        self.regions.iter().try_for_each(Code::check)?;
        at_most("bytes of a category", self.category.len(), 1_024)?;
        let mut similar = self.neighbours.iter().map(|other| other.similarity);
        if self.stats().is_valid() && similar.all(|similarity| (0.0..=1.0).contains(&similarity)) {
            return Ok(());
        }
        Err(bad(format!("the row of `{}` has values that are not shares and days", self.sku)))
    }
}

/// Products of tables and rows, numbered together in order of SKU.
#[derive(Debug, Clone)]
pub(crate) struct Products<'a> {
    pub(crate) tables: &'a RankTables,
    /// Rows of products outside the tables, ascending.
    rows: Vec<Numbered<'a>>,
    /// Rows of products whose neighbours the tables lack, ascending by their id there.
    similar: Vec<(SkuId, &'a ProductRow)>,
}

#[derive(Debug, Clone, Copy)]
struct Numbered<'a> {
    /// Number of the tables' products before it.
    before: u32,
    id: SkuId,
    row: &'a ProductRow,
}

/// Product of the tables, by its id there, or of a row.
pub(crate) enum Place<'a> {
    Table(SkuId),
    Row(&'a ProductRow),
}

impl<'a> Products<'a> {
    /// Adds rows to tables. Of several rows of a product, one with neighbours counts; of a product of the tables, only
    /// the neighbours count, and only if the tables have none of it.
    pub fn new(tables: &'a RankTables, rows: &'a [ProductRow]) -> Self {
        let key = |row: &'a ProductRow| (&row.sku, row.neighbours.is_empty());
        let (mut added, mut similar) = (Vec::<Numbered<'a>>::new(), Vec::new());
        let mut last = None;
        for place in sort::ascending(rows.len(), &|a, b| key(&rows[a]).cmp(&key(&rows[b]))) {
            let row = &rows[place];
            if last.replace(&row.sku) == Some(&row.sku) {
                continue;
            }
            match tables.catalog.place(&row.sku) {
                Ok(id) if tables.neighbours(id).next().is_none() => similar.push((id, row)),
                Ok(_) => {}
                Err(before) => added.push(Numbered { before: before.0, id: SkuId(before.0 + added.len() as u32), row }),
            }
        }
        Self { tables, rows: added, similar }
    }

    /// Id of a product of the tables.
    pub fn of_table(&self, id: SkuId) -> SkuId {
        SkuId(id.0 + self.rows.partition_point(|row| row.before <= id.0) as u32)
    }

    /// Product of an id.
    pub fn place(&self, id: SkuId) -> Place<'a> {
        match self.rows.binary_search_by_key(&id, |row| row.id) {
            Ok(n) => Place::Row(self.rows[n].row),
            Err(before) => Place::Table(SkuId(id.0 - before as u32)),
        }
    }

    pub fn id(&self, sku: &Sku) -> Option<SkuId> {
        match self.tables.catalog.place(sku) {
            Ok(id) => Some(self.of_table(id)),
            Err(_) => self.rows.binary_search_by(|row| row.row.sku.cmp(sku)).ok().map(|n| self.rows[n].id),
        }
    }

    pub fn sku(&self, id: SkuId) -> Option<Sku> {
        match self.place(id) {
            Place::Table(id) => self.tables.catalog.sku(id),
            Place::Row(row) => Some(row.sku.clone()),
        }
    }

    pub fn stats(&self, id: SkuId) -> ProductStats {
        match self.place(id) {
            Place::Table(id) => self.tables.stats(id),
            Place::Row(row) => row.stats(),
        }
    }

    /// Root of the share of the last four weeks' orders that contain a product, in 65,535ths.
    pub fn recent_root(&self, id: SkuId) -> u16 {
        match self.place(id) {
            Place::Table(id) => self.tables.recent_root(id),
            Place::Row(row) => RankTables::root(row.recent_popularity),
        }
    }

    /// Maximum number of neighbours of a product.
    pub fn width(&self) -> usize {
        let rows = self.rows.iter().map(|row| row.row).chain(self.similar.iter().map(|(_, row)| *row));
        rows.fold(self.tables.width(), |most, row| most.max(row.neighbours.len()))
    }

    /// Calls `each` with the neighbours of a product, ascending by SKU.
    pub fn neighbours(&self, id: SkuId, each: &mut dyn FnMut(Neighbour)) {
        let row = match self.place(id) {
            Place::Row(row) => row,
            Place::Table(id) => match self.similar.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(n) => self.similar[n].1,
                Err(_) => {
                    let of_table = |Neighbour { id, similarity }| Neighbour { id: self.of_table(id), similarity };
                    return self.tables.neighbours(id).map(of_table).for_each(each);
                }
            },
        };
        let known = |SimilarProduct { sku, similarity }: &SimilarProduct| {
            Some(Neighbour { id: self.id(sku)?, similarity: *similarity })
        };
        row.neighbours.iter().filter_map(known).for_each(each);
    }

    /// Number of a product's category, below [`categories`](Self::categories).
    pub fn category(&self, id: SkuId) -> Option<usize> {
        let catalog = &self.tables.catalog;
        match self.place(id) {
            Place::Table(id) => catalog.category_number(id).map(usize::from),
            Place::Row(row) => {
                let other = || self.rows.iter().position(|other| other.row.category == row.category);
                catalog.category_named(&row.category).or_else(|| Some(catalog.categories() + other()?))
            }
        }
    }

    /// Maximum number of categories.
    pub const fn categories(&self) -> usize {
        self.tables.catalog.categories() + self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalog::Catalog;
    use alloc::vec;

    fn sku(code: &str) -> Sku {
        Sku::new(code).expect("a SKU")
    }

    fn tables(products: &[(&str, &str)], neighbours: &[Vec<Neighbour>]) -> RankTables {
        let catalog =
            Catalog::new(products.iter().map(|(code, category)| (sku(code), *category))).expect("a catalogue");
        let stats = |n: usize| ProductStats { recent_popularity: 0.1 * n as f32, ..ProductStats::default() };
        RankTables::new(catalog, &(0..products.len()).map(stats).collect::<Vec<_>>(), neighbours).expect("tables")
    }

    fn neighbours(products: &Products<'_>, id: SkuId) -> Vec<String> {
        let mut found = Vec::new();
        products.neighbours(id, &mut |neighbour| {
            found.extend(products.sku(neighbour.id).map(|sku| String::from(sku.as_str())));
        });
        found
    }

    #[test]
    fn rows_and_tables_are_numbered_together() -> Result<()> {
        let like = |id| Neighbour { id: SkuId(id), similarity: 0.5 };
        let whole = [("a", "tea"), ("b", "jam"), ("c", "tea"), ("d", "oil"), ("e", "jam")];
        let whole = tables(&whole, &[vec![like(1)], vec![like(0), like(3)], vec![like(1), like(4)], vec![], vec![]]);
        // The slice has the neighbours of `d` only, and neither `a` nor `c`.
        let slice = tables(&[("b", "jam"), ("d", "oil"), ("e", "jam")], &[vec![], vec![like(0)], vec![]]);
        let rows: Vec<ProductRow> =
            ["c", "b"].iter().flat_map(|code| ProductRow::with_neighbours(&whole, &sku(code))).collect();
        rows.iter().try_for_each(ProductRow::check)?;
        let products = Products::new(&slice, &rows);
        let ids = ["a", "b", "c", "d", "e"].map(|code| products.id(&sku(code)).map(|id| id.0));
        assert_eq!(ids, [Some(0), Some(1), Some(2), Some(3), Some(4)], "in order of SKU");
        assert_eq!(products.id(&sku("f")), None);
        let codes: Vec<_> = (0..5).filter_map(|id| products.sku(SkuId(id))).collect();
        assert_eq!(codes, ["a", "b", "c", "d", "e"].map(sku));
        assert_eq!(neighbours(&products, SkuId(1)), ["a", "d"], "the tables have none of `b`, its row has");
        assert_eq!(neighbours(&products, SkuId(2)), ["b", "e"]);
        assert_eq!(neighbours(&products, SkuId(3)), ["b"]);
        assert!(neighbours(&products, SkuId(0)).is_empty());
        assert_eq!(products.stats(SkuId(2)), whole.stats(SkuId(2)));
        assert_eq!(products.recent_root(SkuId(2)), whole.recent_root(SkuId(2)));
        let category = |id| products.category(SkuId(id));
        assert_eq!((category(1), category(4)), (Some(0), Some(0)), "jam");
        assert!(category(0) == category(2) && category(0) >= Some(slice.catalog.categories()), "tea is only in rows");
        assert!(category(0).is_some_and(|number| number < products.categories()));
        Ok(())
    }

    #[test]
    fn a_row_with_other_values_is_refused() {
        let whole = tables(&[("a", "tea"), ("b", "tea")], &[vec![Neighbour { id: SkuId(1), similarity: 1.0 }], vec![]]);
        let row = ProductRow::with_neighbours(&whole, &sku("a")).swap_remove(0);
        assert!(row.check().is_ok() && row.gap_days.is_some());
        let refused = |change: &dyn Fn(&mut ProductRow)| {
            let mut row = row.clone();
            change(&mut row);
            row.check().is_err()
        };
        assert!(refused(&|row| row.popularity = 1.5));
        assert!(refused(&|row| row.recent_popularity = f32::NAN));
        assert!(refused(&|row| row.gap_days = Some(-1.0)));
        assert!(refused(&|row| row.neighbours[0].similarity = f32::INFINITY));
        assert!(refused(&|row| row.category = "x".repeat(2_000)));
    }
}
