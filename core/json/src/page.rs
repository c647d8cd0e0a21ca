//! Products outside a page's slice, in the page itself.

use serde::Serialize;
use std::collections::BTreeMap;
use tradewind_core::{
    Millis, Money, Sku,
    rank::{ProductRow, RankTables},
    snapshot::{Region, Storefront},
};

/// Product outside a page's slice: the facts with which the page can rank and show it. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PageProduct<T> {
    /// Facts for ranking.
    pub row: ProductRow,
    /// Texts.
    pub text: T,
    /// List price.
    pub list: Money,
    /// Price.
    pub price: Money,
    /// Lowest price of the 30 days before the price began.
    pub lowest_30_days: Money,
    /// Minimum and maximum days to delivery; `None` if it is not delivered to the region.
    pub days: Option<[u8; 2]>,
    /// Moment until which price and days hold.
    pub until: Millis,
}

impl<T> PageProduct<T> {
    /// Products of a page with their neighbours, each once, in order of SKU. Products without a text, and those that the
    /// snapshot lacks, are left out.
    pub fn of_page(
        skus: &[Sku],
        tables: &RankTables,
        storefront: &Storefront,
        region: &Region,
        at: Millis,
        text: impl Fn(&Sku) -> Option<T>,
    ) -> Vec<Self> {
        let mut rows = BTreeMap::new();
        for row in skus.iter().flat_map(|sku| ProductRow::with_neighbours(tables, sku)) {
            let known = rows.entry(row.sku.clone()).or_insert_with(|| row.clone());
            if known.neighbours.is_empty() {
                *known = row;
            }
        }
        let product = |mut row: ProductRow| {
            let id = storefront.catalog.id(&row.sku)?;
            let (text, listed) = (text(&row.sku)?, storefront.price(id)?);
            let price = listed.at(at);
            let next = listed.points.iter().map(|point| point.since).find(|since| *since > at);
            let promise = region.promise(id);
            row.regions.extend(promise.map(|_| region.code.clone()));
            Some(Self {
                row,
                text,
                list: listed.list,
                price,
                lowest_30_days: listed.lowest_before(price, at),
                days: promise.map(|promise| [promise.min_days, promise.max_days]),
                until: next.map_or(storefront.expires, |next| next.min(storefront.expires)),
            })
        };
        rows.into_values().filter_map(product).collect()
    }
}
