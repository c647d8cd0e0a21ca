//! Public section of a snapshot: products, prices, regions, promises.

use super::Pricing;
use crate::{
    bounded,
    columns::{Column, ColumnReader, ColumnWriter, Columns, Lists},
    domain::{
        catalog::Catalog,
        check::bad,
        digest::{self, Digest},
        money::{Currency, Money},
        name::Code,
        price_guard::Past,
        sku::SkuId,
        sku_set::{self, SkuBits},
        time::Millis,
    },
    error::Result,
    pack::{read_part, write_part},
};
use alloc::{format, vec::Vec};
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Public section of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Storefront {
    /// Currency of all amounts.
    pub currency: Currency,
    /// First moment at which the snapshot is valid.
    pub issued: Millis,
    /// Moment at which it expires; from then on nothing is promised or priced.
    pub expires: Millis,
    /// Products, with their categories.
    pub catalog: Catalog,
    /// Prices of each product, in the order of the catalogue.
    pub prices: Prices,
    /// Regions to which the merchant delivers.
    pub regions: Vec<Region>,
    /// Inputs of prices that may be computed in public; floors contain no costs.
    pub published: Option<Pricing>,
    /// Root of the snapshot of which this is a slice, and for which it answers.
    pub slice_of: Option<Digest>,
}

/// Parts of a storefront that are not columns.
#[derive(Serialize, Deserialize)]
struct Head {
    currency: Currency,
    issued: Millis,
    expires: Millis,
    #[serde(deserialize_with = "bounded::list::<{ Storefront::MAX_REGIONS }, _, _>")]
    regions: Vec<Region>,
    published: bool,
    #[serde(deserialize_with = "digest::read_optional")]
    slice_of: Option<Digest>,
}

/// Prices of products.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    list: Column<Money>,
    points: Lists<PricePoint>,
}

/// Past and scheduled prices of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedPrice<'a> {
    /// List price.
    pub list: Money,
    /// Prices with the moments from which they apply, ascending. The first also applies before its moment.
    pub points: &'a [PricePoint],
}

/// Price that applies from a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PricePoint {
    /// Moment from which it applies.
    pub since: Millis,
    /// Price.
    pub price: Money,
}

/// Delivery area.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Name of the region.
    pub code: Code,
    /// Offset of its local time from UTC, in minutes.
    pub utc_offset: i16,
    /// Promises, soonest first; the first that contains a product applies.
    #[serde(deserialize_with = "bounded::list::<64, _, _>")]
    pub promises: Vec<Promise>,
}

/// Products that are delivered within a number of days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// Minimum days from order to delivery.
    pub min_days: u8,
    /// Maximum days from order to delivery.
    pub max_days: u8,
    /// Products, one bit for each position in the catalogue.
    #[serde(skip)]
    products: Column<u8>,
}

impl Storefront {
    /// Maximum number of regions.
    pub const MAX_REGIONS: usize = 4_096;

    /// Prices of a product.
    pub fn price(&self, id: SkuId) -> Option<ListedPrice<'_>> {
        self.prices.of(id)
    }

    fn check(&self) -> Result<()> {
        self.currency.check()?;
        self.issued.check()?;
        self.expires.check()?;
        self.prices.check(&self.catalog)?;
        for (place, region) in self.regions.iter().enumerate() {
            region.check().map_err(|error| error.within(region.code.as_str()))?;
            if self.regions[..place].iter().any(|other| other.code == region.code) {
                return Err(bad(format!("region `{}` comes twice", region.code)));
            }
        }
        self.published.as_ref().map_or(Ok(()), |published| published.check(self.catalog.len()))
    }
}

impl Columns for Storefront {
    fn write(&self, to: &mut ColumnWriter) -> Result<()> {
        let Self { currency, issued, expires, regions, published, slice_of, .. } = self;
        let (currency, issued, expires, regions) = (*currency, *issued, *expires, regions.clone());
        let (published_too, slice_of) = (published.is_some(), *slice_of);
        write_part(to, &Head { currency, issued, expires, regions, published: published_too, slice_of })?;
        self.catalog.write(to)?;
        to.column(&self.prices.list);
        to.lists(&self.prices.points);
        let promises = self.regions.iter().flat_map(|region| &region.promises);
        to.column(&promises.flat_map(|promise| promise.products.iter().copied()).collect::<Vec<u8>>());
        published.as_ref().map_or(Ok(()), |published| published.write(to))
    }

    fn read(from: &mut ColumnReader<'_>) -> Result<Self> {
        let Head { currency, issued, expires, mut regions, published, slice_of } = read_part(from)?;
        let catalog = Catalog::read(from)?;
        let prices = Prices { list: from.column(), points: from.lists() };
        let promised = from.column::<u8>();
        let len = catalog.len().div_ceil(8);
        let promises = regions.iter_mut().flat_map(|region| &mut region.promises);
        let mut end = 0;
        for promise in promises {
            promise.products = promised.part(end..end + len);
            end += len;
        }
        if end != promised.len() {
            return Err(bad("promises do not match the catalogue"));
        }
        let published = published.then(|| Pricing::read(from)).transpose()?;
        let storefront = Self { currency, issued, expires, catalog, prices, regions, published, slice_of };
        storefront.check()?;
        Ok(storefront)
    }
}

impl Prices {
    /// Creates the prices of products, in the order of the catalogue.
    ///
    /// # Errors
    /// Errors of [`Lists::new`].
    pub fn new<'a>(prices: impl IntoIterator<Item = ListedPrice<'a>>) -> Result<Self> {
        let (list, points): (Vec<_>, Vec<_>) = prices.into_iter().map(|price| (price.list, price.points)).unzip();
        Ok(Self { list: Column::new(&list)?, points: Lists::new(points)? })
    }

    fn of(&self, id: SkuId) -> Option<ListedPrice<'_>> {
        let at = id.0 as usize;
        Some(ListedPrice { list: *self.list.get(at)?, points: self.points.get(at) })
    }

    fn check(&self, catalog: &Catalog) -> Result<()> {
        if self.list.len() != catalog.len() || self.points.len() != catalog.len() {
            return Err(bad(format!("{} prices for {} products", self.list.len(), catalog.len())));
        }
        for (n, (&list, points)) in self.list.iter().zip(self.points.iter()).enumerate() {
            ListedPrice { list, points }.check().map_err(|error| error.within(catalog.code(n)))?;
        }
        Ok(())
    }
}

impl ListedPrice<'_> {
    /// Period before a reduction in which the lowest price counts: 30 days, in milliseconds.
    pub const LOOK_BACK: i64 = 30 * Millis::DAY;

    /// Price at a moment.
    pub fn at(&self, at: Millis) -> Money {
        let point = self.points.iter().rev().find(|point| point.since <= at).or(self.points.first());
        point.map_or(self.list, |point| point.price)
    }

    /// Prices from which steps are measured, with days that begin `offset` minutes before UTC days.
    pub fn past(&self, at: Millis, offset: i16) -> Past {
        let today = start_of_day(at, offset);
        Past {
            current: self.at(at),
            yesterday: self.at(Millis(today.0 - 1)),
            week_ago: self.at(Millis(at.0 - 7 * Millis::DAY)),
        }
    }

    /// Lowest price of the 30 days before `price` began, where `price` is the price asked at `at`: the reference of a
    /// reduction (directive 98/6/EC, article 6a, paragraph 2). The running price itself does not count, however long it
    /// has run. A price other than the listed one begins at `at`.
    pub fn lowest_before(&self, price: Money, at: Millis) -> Money {
        let shown = self.points.iter().rev().filter(|point| point.since <= at);
        let running = shown.take_while(|point| point.price == price).last();
        let began = running.map_or(at, |point| point.since);
        let from = Millis(began.0 - Self::LOOK_BACK);
        let since = self.points.iter().filter(|point| (from..began).contains(&point.since)).map(|point| point.price);
        since.fold(self.at(from), Money::min)
    }

    fn check(&self) -> Result<()> {
        let mut amounts = core::iter::once(self.list).chain(self.points.iter().map(|point| point.price));
        if amounts.any(|amount| !(1..=Money::MAX.0).contains(&amount.0)) {
            return Err(bad("a price is not above 0"));
        }
        if self.points.iter().any(|point| point.since.check().is_err())
            || self.points.windows(2).any(|pair| pair[0].since >= pair[1].since)
        {
            return Err(bad("its prices are not in order of time"));
        }
        Ok(())
    }
}

impl Region {
    /// Soonest promise for a product; `None` if it cannot be delivered to the region.
    pub fn promise(&self, id: SkuId) -> Option<&Promise> {
        self.promises.iter().find(|promise| promise.holds(id))
    }

    fn check(&self) -> Result<()> {
        self.code.check()?;
        if !(-1_440..=1_440).contains(&self.utc_offset) {
            return Err(bad(format!("`utc_offset` is {} minutes, over 1,440", self.utc_offset)));
        }
        for promise in &self.promises {
            if promise.min_days > promise.max_days {
                return Err(bad(format!("a promise of {} to {} days", promise.min_days, promise.max_days)));
            }
        }
        Ok(())
    }
}

impl Promise {
    /// Creates a promise for products of a catalogue.
    ///
    /// # Errors
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    pub fn new(min_days: u8, max_days: u8, products: &SkuBits) -> Result<Self> {
        Ok(Self { min_days, max_days, products: Column::new(products.bytes())? })
    }

    /// Whether the promise includes a product.
    pub fn holds(&self, id: SkuId) -> bool {
        sku_set::contains(&self.products, id)
    }
}

/// Start of the local day that contains `at`, in a time zone `offset` minutes ahead of UTC.
pub(crate) const fn start_of_day(at: Millis, offset: i16) -> Millis {
    let offset = offset as i64 * 60_000;
    Millis((at.0 + offset).div_euclid(Millis::DAY) * Millis::DAY - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_applies_from_its_moment() {
        let day = |days: i64| Millis(17_000 * Millis::DAY + days * Millis::DAY);
        let point = |days, price| PricePoint { since: day(days), price: Money(price) };
        let listed = ListedPrice { list: Money(999), points: &[point(0, 900), point(20, 700), point(25, 850)] };
        assert_eq!([-5, 0, 19, 20, 60].map(|days| listed.at(day(days)).0), [900, 900, 900, 700, 850]);
        let past = listed.past(Millis(day(25).0 + 1), 0);
        assert_eq!((past.current.0, past.yesterday.0, past.week_ago.0), (850, 700, 900));
        // Where the day began an hour before the change, yesterday ended at the previous price.
        assert_eq!(listed.past(Millis(day(25).0 + 1), 60).yesterday, Money(700));
    }
}
