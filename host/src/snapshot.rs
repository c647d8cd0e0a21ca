//! Snapshots, built from the tables that a merchant keeps.
//!
//! A folder holds `snapshot.json` and tables, each as CSV, JSON, JSON Lines or Parquet; [`TABLES`] lists them with their
//! columns, and `models/SNAPSHOT.md` shows it. A column that is not listed is an error, so that one that is misspelt is not
//! passed over.

mod places;
mod scans;
mod tables;

pub use tables::{ColumnSchema, TABLES, TableSchema};

use crate::{
    rows::{Table, TableError},
    sha256,
};
use places::Places;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tables::{DemandRow, PlanRow, PriceRow, ProductRow, SalesRow, Settings};
use tradewind_core::{
    BasisPoints, Catalog, Currency, Day, Error, ErrorKind, Money, Quantiles, Sku, SkuBits, SkuId,
    offer::{Offer, Week},
    pack::{self, PackWriter, SectionKind},
    price_guard::{Floor, PriceGuard},
    snapshot::{
        Forecast, Fulfilment, Lane, ListedPrice, PriceInputs, PricePoint, Prices, Pricing, Promise, Promotion,
        Snapshot, Storefront,
    },
};
use tradewind_json::without_bom;

/// Why a snapshot was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// `snapshot.json`.
    #[error("`{path}`: {message}")]
    Settings {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The tables contradict each other.
    #[error(transparent)]
    Core(#[from] Error),
}

/// A snapshot, unsigned.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// All sections: for edge and warehouse.
    pub whole: Vec<u8>,
    /// The public section alone, with the same root: for everyone.
    pub public: Vec<u8>,
    /// What was built.
    pub snapshot: Snapshot,
}

/// What a snapshot is made of.
#[derive(Debug)]
pub struct Parts {
    /// The merchant's name for it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Products, prices, regions, promises.
    pub storefront: Storefront,
    /// Guards, costs, sales.
    pub pricing: Pricing,
    /// Nodes, lanes, stock.
    pub fulfilment: Fulfilment,
    /// Demand.
    pub forecast: Option<Forecast>,
}

impl Parts {
    /// Reads the tables of a folder.
    ///
    /// # Errors
    /// [`SnapshotError`] says which file and row, and what is wrong there.
    pub fn read(folder: &Path) -> Result<Self, SnapshotError> {
        let path = folder.join("snapshot.json");
        let settings = Settings::read(&path)?;
        // Amounts can be written in it, wherever the snapshot goes.
        let currency = Currency::new(&settings.currency).and_then(|currency| currency.digits().map(|_| currency));
        let currency = currency.map_err(|error| SnapshotError::Settings {
            path: path.display().to_string(),
            message: error.to_string(),
        })?;
        if settings.expires <= settings.issued {
            return Err(SnapshotError::Settings {
                path: path.display().to_string(),
                message: format!("`expires` ({}) is not after `issued` ({})", settings.expires, settings.issued),
            });
        }
        let products: Table<ProductRow> = Table::read(folder, "products")?;
        let catalog = catalog(&products)?;
        let weeks = Weeks { first: settings.issued.day(), catalog: &catalog };
        let history = history(folder, &weeks)?;
        let promotions = promotions(folder, &weeks)?;
        let mut priced = BTreeMap::new();
        let mut published = BTreeMap::new();
        products.each(|row| {
            let product = id_of(&catalog, &row.sku)?;
            let place = product.0 as usize;
            if let Some(guard) = row.guard()? {
                let inputs = PriceInputs { product, guard, history: &history[place], promotions: &promotions[place] };
                if row.publish == Some(true) {
                    let guard = PriceGuard { floor: Floor::Price(inputs.guard.floor.price()), ..inputs.guard.clone() };
                    published.insert(product, PriceInputs { guard, ..inputs.clone() });
                }
                priced.insert(product, inputs);
            }
            Ok::<_, Error>(())
        })?;
        let pricing = |products: BTreeMap<_, _>| {
            Pricing::new(settings.rounding.clone(), settings.cover, &products.into_values().collect::<Vec<_>>())
        };
        let published = (!published.is_empty()).then(|| pricing(published)).transpose()?;
        let pricing = pricing(priced)?;
        let places = Places::read(folder)?;
        let (nodes, mut lanes) = places.nodes_and_lanes(folder, &catalog)?;
        scans::learn(folder, &places, &mut lanes)?;
        let fulfilment = Fulfilment { nodes, lanes: lanes.into_values().collect() };
        let mut regions = places.regions;
        for (place, region) in regions.iter_mut().enumerate() {
            region.promises = promises(&fulfilment, place, catalog.len())?;
        }
        let forecast = forecast(folder, &weeks)?;
        let storefront = Storefront {
            currency,
            issued: settings.issued,
            expires: settings.expires,
            prices: prices(folder, &catalog, &products)?,
            regions,
            published,
            slice_of: None,
            catalog,
        };
        Ok(Self { name: settings.name, version: settings.version, storefront, pricing, fulfilment, forecast })
    }

    /// Builds the snapshot, and reads it back as the module will: whatever that refuses is refused here.
    ///
    /// # Errors
    /// [`SnapshotError::Core`].
    pub fn build(&self) -> Result<Built, SnapshotError> {
        let mut writer = PackWriter::new(self.name.as_str(), self.version.as_str())
            .columns(SectionKind::Storefront, &self.storefront)?
            .columns(SectionKind::Pricing, &self.pricing)?
            .columns(SectionKind::Fulfilment, &self.fulfilment)?;
        if let Some(forecast) = &self.forecast {
            writer = writer.columns(SectionKind::Forecast, forecast)?;
        }
        let whole = writer.finish(sha256)?;
        let snapshot = Snapshot::read(&whole)?;
        Ok(Built { public: pack::cut(&whole, SectionKind::Storefront)?, whole, snapshot })
    }

    /// The products whose demand can be forecast from their sales.
    pub fn forecastable(&self) -> Vec<Sku> {
        let priced = self.pricing.inputs().filter(|inputs| !inputs.history.is_empty());
        priced.filter_map(|inputs| self.storefront.catalog.sku(inputs.product)).collect()
    }

    /// Takes the demand for these products from a forecast, week by week; others have none.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory).
    pub fn take_forecast(&mut self, products: &[Sku], weeks: &[tradewind_core::forecast::Weeks]) -> Result<(), Error> {
        let mut demand = vec![[Quantiles::default(); Forecast::WEEKS]; self.storefront.catalog.len()];
        for (sku, weeks) in products.iter().zip(weeks) {
            if let Some(id) = self.storefront.catalog.id(sku) {
                demand[id.0 as usize] = *weeks;
            }
        }
        self.forecast = Some(Forecast::new(&demand)?);
        Ok(())
    }
}

/// Maximum price, as a multiple of the list price: more is a mistake of units.
const MOST: i64 = 10;

/// Weeks before and after the moment of a snapshot.
struct Weeks<'a> {
    /// The day on which the first one after it begins.
    first: Day,
    catalog: &'a Catalog,
}

impl Weeks<'_> {
    /// The product, and how many weeks after the snapshot's moment a week begins; negative before it.
    fn place(&self, sku: &str, week: Day) -> Result<(SkuId, i32), Error> {
        let days = week.since(self.first);
        if days % 7 != 0 {
            return Err(bad("a week that does not begin whole weeks before or after the snapshot"));
        }
        Ok((id_of(self.catalog, sku)?, days / 7))
    }
}

fn history(folder: &Path, weeks: &Weeks<'_>) -> Result<Vec<Vec<Week>>, SnapshotError> {
    let mut history: Vec<BTreeMap<i32, Week>> = vec![BTreeMap::new(); weeks.catalog.len()];
    let Some(table) = Table::<SalesRow>::read_optional(folder, "sales")? else {
        return Ok(vec![Vec::new(); weeks.catalog.len()]);
    };
    table.each(|row| {
        let (id, week) = weeks.place(&row.sku, row.week)?;
        if !(-(Week::HISTORY as i32)..0).contains(&week) {
            return Err(bad(&format!("sales are of the {} weeks before the snapshot", Week::HISTORY)));
        }
        let offer = Offer {
            price: Money(row.price),
            list: Money(row.list),
            display: BasisPoints(row.display),
            mailer: BasisPoints(row.mailer),
        };
        offer.check()?;
        match history[id.0 as usize].insert(week, Week::new(offer, row.units)) {
            None => Ok(()),
            Some(_) => Err(bad("the sales of this week come twice")),
        }
    })?;
    let complete = history.into_iter().zip(weeks.catalog.skus()).map(|(weeks_of, sku)| {
        // Backwards from the week before the snapshot, none is left out.
        let gap = weeks_of.keys().rev().zip(1_i32..).find(|(week, back)| **week != -*back);
        let Some((week, back)) = gap else { return Ok(weeks_of.into_values().collect::<Vec<Week>>()) };
        let begins = |week: i32| Day(weeks.first.0 + 7 * week);
        let row = table.rows.iter().position(|row| row.sku == sku.as_str() && row.week == begins(*week));
        let message = format!("the sales of `{sku}` have a gap after this week: {back} weeks before the snapshot");
        Err(SnapshotError::Table(table.error(row.unwrap_or_default(), message)))
    });
    complete.collect()
}

fn promotions(folder: &Path, weeks: &Weeks<'_>) -> Result<Vec<Vec<Promotion>>, SnapshotError> {
    let mut promotions: Vec<Vec<Promotion>> = vec![Vec::new(); weeks.catalog.len()];
    let Some(table) = Table::<PlanRow>::read_optional(folder, "plan")? else { return Ok(promotions) };
    table.each(|row| {
        let (id, week) = weeks.place(&row.sku, row.week)?;
        let planned = &mut promotions[id.0 as usize];
        if usize::try_from(week) != Ok(planned.len()) {
            return Err(bad("a plan begins with the week of the snapshot and has no gap"));
        }
        planned.push(Promotion { display: BasisPoints(row.display), mailer: BasisPoints(row.mailer) });
        Ok(())
    })?;
    Ok(promotions)
}

impl Settings {
    fn read(path: &Path) -> Result<Self, SnapshotError> {
        let error = |message: String| SnapshotError::Settings { path: path.display().to_string(), message };
        let text = fs::read(path).map_err(|source| error(source.to_string()))?;
        serde_json::from_slice(without_bom(&text)).map_err(|source| error(source.to_string()))
    }
}

impl ProductRow {
    /// What no price of it may break; `None` where neither cost nor floor is known, and so no price can be
    /// computed.
    fn guard(&self) -> Result<Option<PriceGuard>, Error> {
        let floor = match (self.cost, self.margin, self.floor) {
            (Some(cost), margin, None) => {
                Floor::Margin { cost: Money(cost), margin: BasisPoints(margin.unwrap_or_default()) }
            }
            (None, None, Some(floor)) => Floor::Price(Money(floor)),
            (None, None, None) => return Ok(None),
            _ => return Err(bad("a product has a `cost`, perhaps with a `margin`, or a `floor`, but not both")),
        };
        Ok(Some(PriceGuard {
            floor,
            ceiling: self.ceiling.map(Money),
            minimum_advertised: self.minimum_advertised.map(Money),
            day_step: self.day_step.map(BasisPoints),
            week_step: self.week_step.map(BasisPoints),
            locked_until: self.locked_until,
        }))
    }
}

fn catalog(products: &Table<ProductRow>) -> Result<Catalog, SnapshotError> {
    let (mut named, mut seen) = (Vec::new(), BTreeSet::new());
    products.each(|row| {
        once(&mut seen, row.sku.as_str(), || format!("the product `{}`", row.sku))?;
        named.push((Sku::new(row.sku.as_str())?, row.category.as_str()));
        Ok::<_, Error>(())
    })?;
    named.sort();
    Ok(Catalog::new(named)?)
}

fn prices(folder: &Path, catalog: &Catalog, products: &Table<ProductRow>) -> Result<Prices, SnapshotError> {
    let mut lists = vec![Money(0); catalog.len()];
    products.each(|row| {
        column("list", row.list > 0, || format!("{} is not above 0", row.list))?;
        lists[id_of(catalog, &row.sku)?.0 as usize] = Money(row.list);
        Ok::<_, Error>(())
    })?;
    let mut points: Vec<Vec<PricePoint>> = vec![Vec::new(); catalog.len()];
    let mut seen = BTreeSet::new();
    Table::<PriceRow>::read(folder, "prices")?.each(|row| {
        let id = id_of(catalog, &row.sku)?;
        once(&mut seen, (id, row.since), || format!("a price of `{}` from this moment", row.sku))?;
        let list = lists[id.0 as usize].0;
        column("price", row.price > 0, || format!("{} is not above 0", row.price))?;
        column("price", row.price <= list.saturating_mul(MOST), || {
            format!(
                "{} is over {MOST} times the list price of `{}`, {list}; are both in minor units?",
                row.price, row.sku
            )
        })?;
        points[id.0 as usize].push(PricePoint { since: row.since, price: Money(row.price) });
        Ok::<_, Error>(())
    })?;
    products.each(|row| {
        let priced = !points[id_of(catalog, &row.sku)?.0 as usize].is_empty();
        column("sku", priced, || format!("`{}` has no price in the table of prices", row.sku))
    })?;
    points.iter_mut().for_each(|points| points.sort_by_key(|point| point.since));
    Ok(Prices::new(lists.into_iter().zip(&points).map(|(list, points)| ListedPrice { list, points }))?)
}

/// What can be promised in a region: each product by the soonest of the nodes that have it. An order may
/// come after the cut-off, so a day is added to the longest time.
fn promises(fulfilment: &Fulfilment, region: usize, products: usize) -> Result<Vec<Promise>, Error> {
    let mut lanes: Vec<&Lane> = fulfilment.lanes.iter().filter(|lane| usize::from(lane.region) == region).collect();
    lanes.sort_by_key(|lane| (lane.max_days, lane.min_days));
    let mut promised = SkuBits::none(products);
    let mut promises: Vec<((u8, u8), SkuBits)> = Vec::new();
    for lane in lanes {
        let node = &fulfilment.nodes[usize::from(lane.node)];
        let days = (lane.min_days, lane.max_days.saturating_add(1));
        for stock in node.stock.entries().iter().filter(|stock| !node.closed && stock.available() > 0) {
            if promised.contains(stock.product) {
                continue;
            }
            promised.insert(stock.product);
            match promises.last_mut().filter(|(last, _)| *last == days) {
                Some((_, products)) => products.insert(stock.product),
                None => {
                    let mut bits = SkuBits::none(products);
                    bits.insert(stock.product);
                    promises.push((days, bits));
                }
            }
        }
    }
    promises.iter().map(|((min_days, max_days), products)| Promise::new(*min_days, *max_days, products)).collect()
}

fn forecast(folder: &Path, weeks: &Weeks<'_>) -> Result<Option<Forecast>, SnapshotError> {
    let Some(table) = Table::<DemandRow>::read_optional(folder, "demand")? else { return Ok(None) };
    let mut products = vec![[Quantiles::default(); Forecast::WEEKS]; weeks.catalog.len()];
    let mut seen = BTreeSet::new();
    table.each(|row| {
        let (id, place) = weeks.place(&row.sku, row.week)?;
        let week = usize::try_from(place).ok().and_then(|place| products[id.0 as usize].get_mut(place));
        let week =
            week.ok_or_else(|| bad(&format!("demand is of the {} weeks after the snapshot", Forecast::WEEKS)))?;
        once(&mut seen, (id, place), || "the demand of this week".into())?;
        *week = Quantiles { p10: row.p10, p50: row.p50, p90: row.p90 };
        Ok::<_, Error>(())
    })?;
    Ok(Some(Forecast::new(&products)?))
}

fn id_of(catalog: &Catalog, sku: &str) -> Result<SkuId, Error> {
    catalog.id(&Sku::new(sku)?).ok_or_else(|| bad(&format!("the table of products has no `{sku}`")))
}

/// Refuses a row whose key was there before.
fn once<K: Ord>(seen: &mut BTreeSet<K>, key: K, what: impl FnOnce() -> String) -> Result<(), Error> {
    if seen.insert(key) { Ok(()) } else { Err(bad(&format!("{} comes twice", what()))) }
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}

/// Refuses a row unless a condition holds.
fn column(name: &str, holds: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(bad(&format!("column `{name}`: {}", message()))) }
}
