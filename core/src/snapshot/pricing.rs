//! What a price is computed from, beyond what everyone may know.

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

/// Guards, sales and promotions of products, and how the merchant prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// How prices end.
    pub rounding: Rounding,
    /// How much and how little stock are priced.
    pub cover: CoverPolicy,
    /// The products that may be priced, ascending.
    products: Column<SkuId>,
    guards: Column<Guard>,
    history: Lists<Week>,
    promotions: Lists<Promotion>,
}

/// What the price of a product is computed from.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceInputs<'a> {
    /// The product.
    pub product: SkuId,
    /// What no price may break.
    pub guard: PriceGuard,
    /// The weeks before the snapshot's, without a gap, the last one last.
    pub history: &'a [Week],
    /// How it is promoted in the snapshot's first week and those after it, and not beyond them.
    pub promotions: &'a [Promotion],
}

/// How a product is promoted in a week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Promotion {
    /// The share of the shops that display it apart from its shelf, or of the pages that feature it.
    pub display: BasisPoints,
    /// The share of the shops whose mailer has it.
    pub mailer: BasisPoints,
}

/// A [`PriceGuard`] as it is stored: what is absent has the least value of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Guard {
    /// The cost, or the floor itself where there is no margin.
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
    /// How the product is offered at a moment of the snapshot that was issued so, at its listed price.
    pub(crate) fn offer(&self, issued: Millis, at: Millis, listed: &ListedPrice<'_>) -> Offer {
        let week = ((at.0 - issued.0) / (7 * Millis::DAY)).max(0) as usize;
        let Promotion { display, mailer } = self.promotions.get(week).copied().unwrap_or_default();
        Offer { price: listed.at(at), list: listed.list, display, mailer }
    }
}

impl Pricing {
    /// Prices of products are computed from this; the products are in ascending order.
    ///
    /// # Errors
    /// As [`Lists::new`].
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

    /// The products that may be priced, ascending.
    pub fn products(&self) -> &[SkuId] {
        &self.products
    }

    /// What prices are computed from, in the order of [`products`](Self::products).
    pub fn inputs(&self) -> impl Iterator<Item = PriceInputs<'_>> {
        (0..self.products.len()).filter_map(|place| self.at(place))
    }

    /// The inputs of a product.
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
            return Err(bad(format!(
                "guards, sales or promotions of other products than the {priced} that are priced"
            )));
        }
        self.guards.iter().try_for_each(|guard| guard.guard().check())?;
        self.history.values().iter().try_for_each(|week| week.offer.check())?;
        if self.history.iter().any(|weeks| weeks.len() > Week::HISTORY) {
            return Err(bad(format!("sales of more than {} weeks", Week::HISTORY)));
        }
        let mut shares = self.promotions.values().iter().flat_map(|week| [week.display, week.mailer]);
        match shares.find(|share| !(0..=BasisPoints::WHOLE.0).contains(&share.0)) {
            None => Ok(()),
            Some(share) => Err(bad(format!("a promotion in {} basis points of all shops", share.0))),
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
