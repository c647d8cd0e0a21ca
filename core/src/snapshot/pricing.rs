//! What a price is computed from, beyond what everyone may know.

use super::ListedPrice;
use crate::{
    bounded,
    domain::{
        check::bad,
        money::BasisPoints,
        offer::{Offer, Week},
        price_guard::{CoverPolicy, PriceGuard, Rounding},
        sku::{Catalog, SkuId},
        time::Millis,
    },
    error::Result,
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
    /// The weeks before the snapshot's, without a gap, the last one last.
    #[serde(deserialize_with = "bounded::list::<{ Week::HISTORY }, _, _>")]
    pub history: Vec<Week>,
    /// How it is promoted in the snapshot's first week and those after it, and not beyond them.
    #[serde(deserialize_with = "bounded::list::<53, _, _>")]
    pub promotions: Vec<Promotion>,
}

/// How a product is promoted in a week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The share of the shops that display it apart from its shelf, or of the pages that feature it.
    pub display: BasisPoints,
    /// The share of the shops whose mailer has it.
    pub mailer: BasisPoints,
}

impl PriceInputs {
    /// How the product is offered at a moment of the snapshot that was issued so, at its listed price.
    pub(crate) fn offer(&self, issued: Millis, at: Millis, listed: &ListedPrice) -> Offer {
        let week = ((at.0 - issued.0) / (7 * Millis::DAY)).max(0) as usize;
        let Promotion { display, mailer } = self.promotions.get(week).copied().unwrap_or_default();
        Offer { price: listed.at(at), list: listed.list, display, mailer }
    }
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
            return Err(bad("priced products out of order"));
        }
        self.products.iter().try_for_each(|inputs| {
            inputs.guard.check()?;
            inputs.history.iter().try_for_each(|week| week.offer.check())?;
            let mut shares = inputs.promotions.iter().flat_map(|week| [week.display, week.mailer]);
            match shares.find(|share| !(0..=BasisPoints::WHOLE.0).contains(&share.0)) {
                None => Ok(()),
                Some(share) => Err(bad(format!("a promotion in {} basis points of all shops", share.0))),
            }
        })
    }
}
