//! What a price is computed from, beyond what everyone may know.

use super::bad;
use crate::{
    bounded,
    error::Result,
    quote::{CoverPolicy, PriceGuard, Rounding},
    sku::{Catalog, SkuId},
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Guards, sales and promotions of products, and how the merchant prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pricing {
    /// How prices end.
    pub rounding: Rounding,
    /// How much and how little stock are priced.
    pub cover: CoverPolicy,
    /// The products that may be priced, ascending.
    #[serde(deserialize_with = "bounded::list::<{ Catalog::MAX_LEN }, _, _>")]
    pub products: Vec<PriceInputs>,
}

/// What the price of a product is computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceInputs {
    /// The product.
    pub product: SkuId,
    /// What no price may break.
    pub guard: PriceGuard,
}

impl Pricing {
    /// The inputs of a product.
    pub fn of(&self, product: SkuId) -> Option<&PriceInputs> {
        let place = self.products.binary_search_by_key(&product, |inputs| inputs.product).ok()?;
        self.products.get(place)
    }

    pub(super) fn check(&self, products: usize) -> Result<()> {
        self.rounding.check()?;
        self.cover.excess_loss.check("excess_loss")?;
        let ascending = self.products.windows(2).all(|pair| pair[0].product < pair[1].product);
        if !ascending || self.products.last().is_some_and(|last| last.product.0 as usize >= products) {
            return Err(bad(format!("priced products that are not, in order, among the {products} of the catalogue")));
        }
        self.products.iter().try_for_each(|inputs| inputs.guard.check())
    }
}
