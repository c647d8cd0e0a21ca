//! Catalogues: the products of a pack or a snapshot.

use super::{
    check::bad,
    sku::{Sku, SkuId},
};
use crate::{
    aligned::headroom,
    columns::{Column, ColumnReader, ColumnWriter, Columns, Texts},
    error::{Error, ErrorKind, Result},
};
use alloc::{collections::BTreeMap, format, vec::Vec};

/// Products in ascending order of SKU (by bytes), with their categories.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    skus: Texts,
    category_of: Column<u16>,
    categories: Texts,
}

impl Catalog {
    /// Maximum number of products.
    pub const MAX_LEN: usize = 1_000_000;

    /// Creates a catalogue of `(SKU, category)`, in ascending order of SKU.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) names a SKU that is duplicated or out of order, or the limit that is
    /// exceeded.
    ///
    /// ```
    /// use tradewind_core::{Catalog, Sku, SkuId};
    /// let catalog = Catalog::new([(Sku::new("jam")?, "spreads"), (Sku::new("tea")?, "drinks")])?;
    /// assert_eq!(catalog.id(&Sku::new("tea")?), Some(SkuId(1)));
    /// assert_eq!(catalog.category(SkuId(1)), "drinks");
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    pub fn new<'a>(products: impl IntoIterator<Item = (Sku, &'a str)>) -> Result<Self> {
        let (mut numbers, mut categories) = (BTreeMap::new(), Vec::new());
        let (mut skus, mut category_of) = (Vec::new(), Vec::new());
        for (sku, category) in products {
            let next = categories.len();
            let number = *numbers.entry(category).or_insert_with(|| {
                categories.push(category);
                next
            });
            skus.push(sku);
            category_of.push(u16::try_from(number).map_err(|_| bad("more than 65,536 categories"))?);
        }
        let catalog = Self {
            skus: Texts::new(skus.iter().map(Sku::as_str))?,
            category_of: Column::new(&category_of)?,
            categories: Texts::new(categories)?,
        };
        catalog.check()?;
        Ok(catalog)
    }

    fn check(&self) -> Result<()> {
        let len = self.len();
        if len > Self::MAX_LEN {
            return Err(bad(format!("{len} products; the limit is {}", Self::MAX_LEN)));
        }
        let numbered = self.category_of.iter().all(|&number| usize::from(number) < self.categories.len());
        if self.category_of.len() != len || !numbered {
            return Err(bad("a product without a category"));
        }
        // Only the first SKU of an ascending list can be empty.
        if len > 0 {
            Sku::check_len(self.skus.get(0).len())?;
            Sku::check_len(self.skus.longest())?;
        }
        match self.skus.out_of_order() {
            None => Ok(()),
            Some(n) => Err(out_of_order(self.skus.get(n.saturating_sub(1)) == self.skus.get(n), self.skus.get(n))),
        }
    }

    /// Number of products.
    pub const fn len(&self) -> usize {
        self.skus.len()
    }

    /// Whether the catalogue has no products.
    pub const fn is_empty(&self) -> bool {
        self.skus.is_empty()
    }

    /// SKUs, ascending.
    pub fn skus(&self) -> impl Iterator<Item = Sku> {
        (0..self.len()).filter_map(|n| self.sku(SkuId(n as u32)))
    }

    /// Id of a product; `None` if it is not in the catalogue.
    pub fn id(&self, sku: &Sku) -> Option<SkuId> {
        self.place(sku).ok()
    }

    /// Id of a product, or the number of the products before it.
    pub(crate) fn place(&self, sku: &Sku) -> core::result::Result<SkuId, SkuId> {
        let id = |place| SkuId(place as u32);
        self.skus.search(sku.as_str()).map(id).map_err(id)
    }

    /// Text of a product's SKU; empty if `n` is out of range.
    pub(crate) fn code(&self, n: usize) -> &str {
        self.skus.get(n)
    }

    /// SKU of a product.
    pub fn sku(&self, id: SkuId) -> Option<Sku> {
        match self.skus.get(id.0 as usize) {
            "" => None,
            text => Some(Sku::checked(text)),
        }
    }

    /// Category of a product; empty for an id outside the catalogue.
    pub fn category(&self, id: SkuId) -> &str {
        self.category_number(id).map_or("", |number| self.categories.get(number.into()))
    }

    /// Number of categories.
    pub const fn categories(&self) -> usize {
        self.categories.len()
    }

    /// Index of a category.
    pub(crate) fn category_named(&self, name: &str) -> Option<usize> {
        self.categories.iter().position(|category| category == name.as_bytes())
    }

    /// Index of a product's category.
    pub fn category_number(&self, id: SkuId) -> Option<u16> {
        self.category_of.get(id.0 as usize).copied()
    }

    /// Id of each product in another catalogue, or [`SkuId::NONE`].
    pub(crate) fn ids_in(&self, other: &Self) -> Result<Vec<SkuId>> {
        headroom(4 * self.len())?;
        let mut ids = Vec::with_capacity(self.len());
        let mut others = other.skus.iter().zip(0..);
        let mut next = others.next();
        for sku in self.skus.iter() {
            while next.is_some_and(|(other, _)| other < sku) {
                next = others.next();
            }
            ids.push(next.filter(|(other, _)| *other == sku).map_or(SkuId::NONE, |(_, id)| SkuId(id)));
        }
        Ok(ids)
    }
}

impl Columns for Catalog {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        to.texts(&self.skus);
        to.column(&self.category_of);
        to.texts(&self.categories);
        Ok(())
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        let catalog = Self { skus: from.texts(), category_of: from.column(), categories: from.texts() };
        catalog.check()?;
        Ok(catalog)
    }
}

#[cold]
fn out_of_order(twice: bool, sku: &str) -> Error {
    let what = if twice { "comes twice in the catalogue" } else { "is not in ascending order of SKU" };
    Error::new(ErrorKind::BadRequest, format!("SKU `{sku}` {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aligned::AlignedBytes;
    use alloc::{string::String, sync::Arc, vec};

    fn catalog(skus: &[&str]) -> Result<Catalog> {
        Catalog::new(skus.iter().map(|sku| (Sku::new(*sku).expect("a SKU"), "any")))
    }

    #[test]
    fn a_catalogue_is_read_in_place() -> Result<()> {
        let made =
            Catalog::new([(Sku::new("jam")?, "spreads"), (Sku::new("tea")?, "drinks"), (Sku::new("té")?, "drinks")])?;
        let section = ColumnWriter::section(&made)?;
        let whole = section.len();
        let read =
            |bytes: &[u8]| ColumnReader::read::<Catalog>(&Arc::new(AlignedBytes::copy_of(bytes)?), 0..bytes.len());
        assert_eq!(read(&section)?, made);
        for len in 0..whole {
            assert!(read(&section[..len]).is_err(), "cut to {len} bytes");
        }
        for at in 0..whole {
            let mut damaged = section.clone();
            damaged[at] ^= 0x80;
            // Any catalogue that is read contains each of its products.
            if let Ok(catalog) = read(&damaged) {
                assert!(
                    catalog.skus().all(|sku| catalog.id(&sku).is_some()) && catalog.skus().count() == catalog.len()
                );
            }
        }
        Ok(())
    }

    #[test]
    fn a_duplicate_or_unsorted_product_is_named() -> Result<()> {
        let message = |skus: &[&str]| catalog(skus).map_err(|error| String::from(error.message()));
        assert_eq!(message(&["a", "b", "b"]), Err("SKU `b` comes twice in the catalogue".into()));
        assert_eq!(message(&["a", "c", "b"]), Err("SKU `b` is not in ascending order of SKU".into()));
        Ok(())
    }

    #[test]
    fn products_are_found_in_another_catalogue() -> Result<()> {
        let (own, other) = (catalog(&["a", "c", "d", "f"])?, catalog(&["b", "c", "e", "f", "g"])?);
        assert_eq!(own.ids_in(&other)?, [SkuId::NONE, SkuId(1), SkuId::NONE, SkuId(3)]);
        assert_eq!(own.ids_in(&Catalog::default())?, vec![SkuId::NONE; 4]);
        Ok(())
    }
}
