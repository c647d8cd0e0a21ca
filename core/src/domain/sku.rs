//! Products: what the merchant calls them, and what a catalogue calls them.

use super::{check::read, sort};
use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize};

/// A merchant's stock-keeping unit: at most [`Sku::MAX_LEN`] bytes of text, kept as it is given.
///
/// Outside the core products are always named so; it stays the same from one catalogue to the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sku(String);

/// A product's position in one [`Catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SkuId(pub u32);

impl Sku {
    /// The longest SKU, in bytes.
    pub const MAX_LEN: usize = 64;

    /// A SKU.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) when `code` is empty or too long.
    ///
    /// ```
    /// use tradewind_core::Sku;
    /// assert_eq!(Sku::new("1082185")?.as_str(), "1082185");
    /// assert!(Sku::new("").is_err());
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    pub fn new(code: impl Into<String>) -> Result<Self> {
        let sku = Self(code.into());
        sku.check()?;
        Ok(sku)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks what [`new`](Self::new) checks, of a SKU that was received.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.len() {
            1..=Self::MAX_LEN => Ok(()),
            len => {
                Err(Error::new(ErrorKind::BadRequest, format!("a SKU of {len} bytes; it needs 1 to {}", Self::MAX_LEN)))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Sku {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        read(deserializer, Self, Self::check)
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The products that a model knows, in a fixed order, with their categories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    skus: Vec<Sku>,
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    category_of: Vec<u16>,
    #[serde(deserialize_with = "bounded::list::<65_536, _, _>")]
    categories: Vec<String>,
    /// Ids in the order of their SKUs, to search; derived.
    #[serde(skip)]
    by_sku: Vec<SkuId>,
}

impl Catalog {
    /// The most products that a catalogue may have.
    pub const MAX_LEN: usize = 200_000;

    /// A catalogue of `(SKU, category)`, in an order that becomes the order of ids.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) names a SKU that comes twice, or the limit passed.
    ///
    /// ```
    /// use tradewind_core::{Catalog, Sku, SkuId};
    /// let catalog = Catalog::new([(Sku::new("tea")?, "drinks"), (Sku::new("jam")?, "spreads")])?;
    /// assert_eq!(catalog.id(&Sku::new("jam")?), Some(SkuId(1)));
    /// assert_eq!(catalog.category(SkuId(1)), "spreads");
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    pub fn new<'a>(products: impl IntoIterator<Item = (Sku, &'a str)>) -> Result<Self> {
        let mut catalog = Self::default();
        let mut numbers = BTreeMap::new();
        for (sku, category) in products {
            let next = numbers.len() as u16;
            let number = *numbers.entry(category.to_owned()).or_insert_with(|| {
                catalog.categories.push(category.to_owned());
                next
            });
            catalog.skus.push(sku);
            catalog.category_of.push(number);
        }
        if catalog.categories.len() > usize::from(u16::MAX) {
            return Err(Error::new(ErrorKind::BadRequest, "more than 65,535 categories"));
        }
        catalog.index()?;
        Ok(catalog)
    }

    /// Rebuilds what is derived, and checks what was received.
    pub(crate) fn index(&mut self) -> Result<()> {
        let bad = |message: String| Err(Error::new(ErrorKind::BadRequest, message));
        if self.skus.len() > Self::MAX_LEN {
            return bad(format!("{} products; at most {} are loaded", self.skus.len(), Self::MAX_LEN));
        }
        let numbered = self.category_of.iter().all(|&number| usize::from(number) < self.categories.len());
        if self.category_of.len() != self.skus.len() || !numbered {
            return bad(String::from("a product without a category"));
        }
        self.skus.iter().try_for_each(Sku::check)?;
        let skus = &self.skus;
        let by_sku = sort::ascending(skus.len(), &|a, b| skus[a].cmp(&skus[b]));
        if let Some(pair) = by_sku.windows(2).find(|pair| skus[pair[0]] == skus[pair[1]]) {
            return bad(format!("SKU `{}` comes twice in the catalogue", skus[pair[0]]));
        }
        self.by_sku = by_sku.into_iter().map(|id| SkuId(id as u32)).collect();
        Ok(())
    }

    /// The number of products.
    pub const fn len(&self) -> usize {
        self.skus.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.skus.is_empty()
    }

    /// The products, in order of id.
    pub fn skus(&self) -> &[Sku] {
        &self.skus
    }

    /// The id of a product, if the catalogue has it.
    pub fn id(&self, sku: &Sku) -> Option<SkuId> {
        let found = self.by_sku.binary_search_by(|id| self.skus[id.0 as usize].cmp(sku)).ok()?;
        self.by_sku.get(found).copied()
    }

    /// The product of an id.
    pub fn sku(&self, id: SkuId) -> Option<&Sku> {
        self.skus.get(id.0 as usize)
    }

    /// The category of a product; empty for an id that the catalogue does not have.
    pub fn category(&self, id: SkuId) -> &str {
        self.category_number(id).and_then(|number| self.categories.get(usize::from(number))).map_or("", String::as_str)
    }

    /// The number of categories.
    pub const fn categories(&self) -> usize {
        self.categories.len()
    }

    /// The category of a product, as a number that stands for it.
    pub fn category_number(&self, id: SkuId) -> Option<u16> {
        self.category_of.get(id.0 as usize).copied()
    }
}
