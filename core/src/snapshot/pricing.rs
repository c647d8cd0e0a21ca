//! Inputs of prices that are not public.

use super::ListedPrice;
use crate::{
    columns::{Column, ColumnReader, ColumnWriter, Columns, Lists},
    domain::{
        check::bad,
        money::{BasisPoints, Money},
        offer::{Offer, Week},
        price_guard::{CoverPolicy, Floor, PriceGuard, Rounding},
        sku::SkuId,
        time::Millis,
    },
    error::Result,
    pack::{read_part, write_part},
};
use alloc::{format, vec::Vec};
use bytemuck::{Pod, Zeroable};

/// Guards, sales and promotions of products, and the merchant's pricing policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// Price endings.
    pub rounding: Rounding,
    /// Pricing policy for low and excess stock.
    pub cover: CoverPolicy,
    /// Products that may be priced, ascending.
    products: Column<SkuId>,
    guards: Column<Guard>,
    history: Lists<Week>,
    promotions: Lists<Promotion>,
}

/// Inputs of a product's price.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceInputs<'a> {
    /// Product.
    pub product: SkuId,
    /// Limits on its price.
    pub guard: PriceGuard,
    /// Weeks before the snapshot's first week, without gaps, oldest first.
    pub history: &'a [Week],
    /// Promotions of the snapshot's first week and of the weeks after it.
    pub promotions: &'a [Promotion],
}

/// Promotion of a product in one week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Promotion {
    /// Share of shops that display it away from its shelf, or of pages that feature it.
    pub display: BasisPoints,
    /// Share of shops whose mailer contains it.
    pub mailer: BasisPoints,
}

/// Stored form of a [`PriceGuard`]: the minimum value of a type stands for an absent field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Guard {
    /// Cost, or the floor itself if there is no margin.
    floor: i64,
    ceiling: i64,
    minimum_advertised: i64,
    locked_until: i64,
    margin: i32,
    day_step: i32,
    week_step: i32,
    reserved: i32,
}

impl Guard {
    fn new(guard: &PriceGuard) -> Self {
        let (floor, margin) = match guard.floor {
            Floor::Price(price) => (price, None),
            Floor::Margin { cost, margin } => (cost, Some(margin)),
        };
        let amount = |amount: Option<Money>| amount.map_or(i64::MIN, |amount| amount.0);
        let rate = |rate: Option<BasisPoints>| rate.map_or(i32::MIN, |rate| rate.0);
        Self {
            floor: floor.0,
            ceiling: amount(guard.ceiling),
            minimum_advertised: amount(guard.minimum_advertised),
            locked_until: guard.locked_until.map_or(i64::MIN, |until| until.0),
            margin: rate(margin),
            day_step: rate(guard.day_step),
            week_step: rate(guard.week_step),
            reserved: 0,
        }
    }

    fn guard(&self) -> PriceGuard {
        let number = |number: i64| (number != i64::MIN).then_some(number);
        let rate = |rate: i32| (rate != i32::MIN).then_some(BasisPoints(rate));
        let floor = Money(self.floor);
        PriceGuard {
            floor: rate(self.margin).map_or(Floor::Price(floor), |margin| Floor::Margin { cost: floor, margin }),
            ceiling: number(self.ceiling).map(Money),
            minimum_advertised: number(self.minimum_advertised).map(Money),
            day_step: rate(self.day_step),
            week_step: rate(self.week_step),
            locked_until: number(self.locked_until).map(Millis),
        }
    }
}

impl PriceInputs<'_> {
    /// Offer of the product at a moment, at its listed price; `issued` is the snapshot's first moment.
    pub(crate) fn offer(&self, issued: Millis, at: Millis, listed: &ListedPrice<'_>) -> Offer {
        let week = ((at.0 - issued.0) / (7 * Millis::DAY)).max(0) as usize;
        let Promotion { display, mailer } = self.promotions.get(week).copied().unwrap_or_default();
        Offer { price: listed.at(at), list: listed.list, display, mailer }
    }
}

impl Pricing {
    /// Creates the section from the inputs of products, in ascending order of product.
    ///
    /// # Errors
    /// Errors of [`Lists::new`].
    pub fn new(rounding: Rounding, cover: CoverPolicy, products: &[PriceInputs<'_>]) -> Result<Self> {
        Ok(Self {
            rounding,
            cover,
            products: Column::new(&products.iter().map(|inputs| inputs.product).collect::<Vec<_>>())?,
            guards: Column::new(&products.iter().map(|inputs| Guard::new(&inputs.guard)).collect::<Vec<_>>())?,
            history: Lists::new(products.iter().map(|inputs| inputs.history))?,
            promotions: Lists::new(products.iter().map(|inputs| inputs.promotions))?,
        })
    }

    /// Products that may be priced, ascending.
    pub fn products(&self) -> &[SkuId] {
        &self.products
    }

    /// Inputs of all prices, in the order of [`products`](Self::products).
    pub fn inputs(&self) -> impl Iterator<Item = PriceInputs<'_>> {
        (0..self.products.len()).filter_map(|place| self.at(place))
    }

    /// Inputs of a product's price; `None` if it may not be priced.
    pub fn of(&self, product: SkuId) -> Option<PriceInputs<'_>> {
        self.at(self.products.binary_search(&product).ok()?)
    }

    fn at(&self, place: usize) -> Option<PriceInputs<'_>> {
        Some(PriceInputs {
            product: *self.products.get(place)?,
            guard: self.guards.get(place)?.guard(),
            history: self.history.get(place),
            promotions: self.promotions.get(place),
        })
    }

    pub(super) fn check(&self, products: usize) -> Result<()> {
        self.rounding.check()?;
        self.cover.excess_loss.check("excess_loss")?;
        let ascending = self.products.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.products.last().is_some_and(|last| last.0 as usize >= products) {
            return Err(bad("priced products out of order"));
        }
        let priced = self.products.len();
        if [self.guards.len(), self.history.len(), self.promotions.len()] != [priced; 3] {
            return Err(bad(format!("guards, sales or promotions do not match the {priced} products")));
        }
        self.guards.iter().try_for_each(|guard| guard.guard().check())?;
        self.history.values().iter().try_for_each(|week| week.offer.check())?;
        if self.history.iter().any(|weeks| weeks.len() > Week::HISTORY) {
            return Err(bad(format!("sales of more than {} weeks", Week::HISTORY)));
        }
        let mut shares = self.promotions.values().iter().flat_map(|week| [week.display, week.mailer]);
        match shares.find(|share| !(0..=BasisPoints::WHOLE.0).contains(&share.0)) {
            None => Ok(()),
            Some(share) => Err(bad(format!("a promotion's share is {} basis points", share.0))),
        }
    }
}

impl Columns for Pricing {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        write_part(to, &(&self.rounding, &self.cover))?;
        to.column(&self.products);
        to.column(&self.guards);
        to.lists(&self.history);
        to.lists(&self.promotions);
        Ok(())
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        let (rounding, cover) = read_part(from)?;
        Ok(Self {
            rounding,
            cover,
            products: from.column(),
            guards: from.column(),
            history: from.lists(),
            promotions: from.lists(),
        })
    }
}
