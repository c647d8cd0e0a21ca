//! Snapshots, built from the tables that a merchant keeps.
//!
//! A folder holds `snapshot.json` and tables, each as CSV, JSON, JSON Lines or Parquet. Amounts are
//! whole minor units (cents), rates basis points (hundredths of a percent), moments RFC 3339
//! (`2017-12-04T00:00:00Z`), products, nodes and regions text. A column that is not listed is an error,
//! so that one that is misspelt is not passed over.
//!
//! | table | columns |
//! |---|---|
//! | `products` | `sku`, `category`, `list`; may have `name`, `cost` and `margin` (the least share of the cost on top), `floor` (a price as such, for want of a cost), `ceiling`, `minimum_advertised`, `day_step`, `week_step` (largest steps, rates), `locked_until`, `publish` (whether its floor is public) |
//! | `prices` | `sku`, `since`, `price`: each price from the moment it holds; the last 30 days at least |
//! | `regions` | `code`, `utc_offset` (minutes) |
//! | `nodes` | `code`, `utc_offset`, `shipments_per_day`, `cut_off` (minutes after midnight), `handling` (a shipment), `unit_handling`; may have `closed` |
//! | `lanes` | `node`, `region`, `distance` (km), `cost` (a shipment), `unit_cost`, `min_days`, `max_days` (from dispatch) |
//! | `stock` | `node`, `sku`, `on_hand`, `reserved`, `safety`: units |
//! | `demand` | `sku`, `week` (1 to 4), `p10`, `p50`, `p90`: units; may be absent |
//!
//! Places may also have `name`, `state`, `latitude`, `longitude` and `weight`, which are not read.

use crate::{
    rows::{Table, TableError},
    sha256,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tradewind_core::{
    BasisPoints, Catalog, Currency, Error, ErrorKind, Millis, Money, Quantiles, Sku, SkuBits, SkuId,
    pack::{self, PackView, PackWriter, SectionKind},
    quote::{CoverPolicy, Floor, PriceGuard, Rounding},
    snapshot::{
        Code, Forecast, Fulfilment, FulfilmentNode, Lane, ListedPrice, NodeStock, PriceInputs, PricePoint, Pricing,
        Promise, Region, Snapshot, Stock, Storefront,
    },
};

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
pub struct Built {
    /// All sections: for edge and warehouse.
    pub whole: Vec<u8>,
    /// The public section alone, with the same root: for everyone.
    pub public: Vec<u8>,
    /// What was built.
    pub snapshot: Snapshot,
}

/// `snapshot.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    version: String,
    currency: String,
    issued: Moment,
    expires: Moment,
    rounding: Rounding,
    cover: CoverPolicy,
}

/// A moment, written in RFC 3339.
#[derive(Debug, Clone, Copy)]
struct Moment(Millis);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: jiff::Timestamp =
            text.parse().map_err(|error| D::Error::custom(format_args!("`{text}` is no moment: {error}")))?;
        Ok(Self(Millis(moment.as_millisecond())))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductRow {
    sku: String,
    category: String,
    #[serde(rename = "name")]
    _name: Option<String>,
    list: i64,
    cost: Option<i64>,
    margin: Option<i32>,
    floor: Option<i64>,
    ceiling: Option<i64>,
    minimum_advertised: Option<i64>,
    day_step: Option<i32>,
    week_step: Option<i32>,
    locked_until: Option<Moment>,
    publish: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRow {
    sku: String,
    since: Moment,
    price: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionRow {
    code: String,
    utc_offset: i16,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
    #[serde(rename = "latitude")]
    _latitude: Option<f64>,
    #[serde(rename = "longitude")]
    _longitude: Option<f64>,
    #[serde(rename = "weight")]
    _weight: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeRow {
    code: String,
    utc_offset: i16,
    shipments_per_day: u32,
    cut_off: u16,
    handling: i64,
    unit_handling: i64,
    closed: Option<bool>,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "state")]
    _state: Option<String>,
    #[serde(rename = "latitude")]
    _latitude: Option<f64>,
    #[serde(rename = "longitude")]
    _longitude: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LaneRow {
    node: String,
    region: String,
    distance: u16,
    cost: i64,
    unit_cost: i64,
    min_days: u8,
    max_days: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StockRow {
    node: String,
    sku: String,
    on_hand: u32,
    reserved: u32,
    safety: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DemandRow {
    sku: String,
    week: usize,
    p10: f32,
    p50: f32,
    p90: f32,
}

/// Reads the tables of a folder and builds a snapshot of them.
///
/// # Errors
/// [`SnapshotError`] says which file and row, and what is wrong there.
pub fn build(folder: &Path) -> Result<Built, SnapshotError> {
    let settings = Settings::read(&folder.join("snapshot.json"))?;
    let products: Table<ProductRow> = Table::read(folder, "products")?;
    let catalog = catalog(&products)?;
    let mut pricing = Pricing { rounding: settings.rounding, cover: settings.cover, products: Vec::new() };
    let mut published = pricing.clone();
    let mut id = 0;
    products.each(|row| {
        let guard = row.guard()?;
        if let Some(guard) = guard {
            if row.publish == Some(true) {
                let guard = PriceGuard { floor: Floor::Price(guard.floor.price()), ..guard.clone() };
                published.products.push(PriceInputs { product: SkuId(id), guard });
            }
            pricing.products.push(PriceInputs { product: SkuId(id), guard });
        }
        id += 1;
        Ok::<_, Error>(())
    })?;
    let mut regions = regions(folder)?;
    let fulfilment = fulfilment(folder, &catalog, &regions)?;
    for (place, region) in regions.iter_mut().enumerate() {
        region.promises = promises(&fulfilment, place, catalog.len());
    }
    let forecast = forecast(folder, &catalog)?;
    let storefront = Storefront {
        currency: Currency::new(&settings.currency)?,
        issued: settings.issued.0,
        expires: settings.expires.0,
        prices: prices(folder, &catalog, &products)?,
        regions,
        published: (!published.products.is_empty()).then_some(published),
        catalog,
    };
    let mut writer = PackWriter::new(settings.name, settings.version)
        .postcard(SectionKind::Storefront, &storefront)?
        .postcard(SectionKind::Pricing, &pricing)?
        .postcard(SectionKind::Fulfilment, &fulfilment)?;
    if let Some(forecast) = forecast {
        writer = writer.postcard(SectionKind::Forecast, &forecast)?;
    }
    let whole = writer.finish(sha256)?;
    // Read back as the module will: whatever it refuses is refused here.
    let snapshot = Snapshot::read(&PackView::parse(&whole)?)?;
    Ok(Built { public: pack::cut(&whole, SectionKind::Storefront)?, whole, snapshot })
}

impl Settings {
    fn read(path: &Path) -> Result<Self, SnapshotError> {
        let error = |message: String| SnapshotError::Settings { path: path.display().to_string(), message };
        let text = fs::read(path).map_err(|source| error(source.to_string()))?;
        serde_json::from_slice(&text).map_err(|source| error(source.to_string()))
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
            locked_until: self.locked_until.map(|until| until.0),
        }))
    }
}

fn catalog(products: &Table<ProductRow>) -> Result<Catalog, SnapshotError> {
    let mut named = Vec::new();
    products.each(|row| Ok::<_, Error>(named.push((Sku::new(row.sku.as_str())?, row.category.as_str()))))?;
    Ok(Catalog::new(named)?)
}

fn prices(folder: &Path, catalog: &Catalog, products: &Table<ProductRow>) -> Result<Vec<ListedPrice>, SnapshotError> {
    let list = products.rows.iter().map(|row| ListedPrice { list: Money(row.list), points: Vec::new() });
    let mut prices: Vec<ListedPrice> = list.collect();
    Table::<PriceRow>::read(folder, "prices")?.each(|row| {
        let id = id_of(catalog, &row.sku)?;
        prices[id.0 as usize].points.push(PricePoint { since: row.since.0, price: Money(row.price) });
        Ok::<_, Error>(())
    })?;
    prices.iter_mut().for_each(|price| price.points.sort_by_key(|point| point.since));
    Ok(prices)
}

fn regions(folder: &Path) -> Result<Vec<Region>, SnapshotError> {
    let mut regions = Vec::new();
    Table::<RegionRow>::read(folder, "regions")?.each(|row| {
        let code = Code::new(row.code.as_str())?;
        regions.push(Region { code, utc_offset: row.utc_offset, promises: Vec::new() });
        Ok::<_, Error>(())
    })?;
    Ok(regions)
}

fn fulfilment(folder: &Path, catalog: &Catalog, regions: &[Region]) -> Result<Fulfilment, SnapshotError> {
    let mut nodes = Vec::new();
    let mut place_of = BTreeMap::new();
    Table::<NodeRow>::read(folder, "nodes")?.each(|row| {
        place_of.insert(row.code.clone(), nodes.len());
        nodes.push(FulfilmentNode {
            code: Code::new(row.code.as_str())?,
            utc_offset: row.utc_offset,
            shipments_per_day: row.shipments_per_day,
            cut_off: row.cut_off,
            handling: Money(row.handling),
            unit_handling: Money(row.unit_handling),
            closed: row.closed.unwrap_or_default(),
            stock: NodeStock::default(),
        });
        Ok::<_, Error>(())
    })?;
    let node_of = |code: &str| place_of.get(code).copied().ok_or_else(|| bad(&format!("there is no node `{code}`")));
    Table::<StockRow>::read(folder, "stock")?.each(|row| {
        let StockRow { on_hand, reserved, safety, .. } = *row;
        let stock = Stock { product: id_of(catalog, &row.sku)?, on_hand, reserved, safety };
        nodes[node_of(&row.node)?].stock.0.push(stock);
        Ok::<_, Error>(())
    })?;
    nodes.iter_mut().for_each(|node| node.stock.0.sort_by_key(|stock| stock.product));
    let region_of: BTreeMap<&str, usize> =
        regions.iter().enumerate().map(|(place, region)| (region.code.as_str(), place)).collect();
    let mut lanes = Vec::new();
    Table::<LaneRow>::read(folder, "lanes")?.each(|row| {
        let region = region_of.get(row.region.as_str());
        let region = region.ok_or_else(|| bad(&format!("there is no region `{}`", row.region)))?;
        lanes.push(Lane {
            node: node_of(&row.node)? as u16,
            region: *region as u16,
            distance: row.distance,
            cost: Money(row.cost),
            unit_cost: Money(row.unit_cost),
            min_days: row.min_days,
            max_days: row.max_days,
        });
        Ok::<_, Error>(())
    })?;
    lanes.sort_by_key(|lane| (lane.node, lane.region));
    Ok(Fulfilment { nodes, lanes })
}

/// What can be promised in a region: each product by the soonest of the nodes that have it. An order may
/// come after the cut-off, so a day is added to the longest time.
fn promises(fulfilment: &Fulfilment, region: usize, products: usize) -> Vec<Promise> {
    let mut lanes: Vec<&Lane> = fulfilment.lanes.iter().filter(|lane| usize::from(lane.region) == region).collect();
    lanes.sort_by_key(|lane| (lane.max_days, lane.min_days));
    let mut promised = SkuBits::none(products);
    let mut promises: Vec<Promise> = Vec::new();
    for lane in lanes {
        let node = &fulfilment.nodes[usize::from(lane.node)];
        let (min_days, max_days) = (lane.min_days, lane.max_days.saturating_add(1));
        for stock in node.stock.0.iter().filter(|stock| !node.closed && stock.available() > 0) {
            if promised.contains(stock.product) {
                continue;
            }
            promised.insert(stock.product);
            match promises.last_mut().filter(|last| (last.min_days, last.max_days) == (min_days, max_days)) {
                Some(last) => last.products.insert(stock.product),
                None => {
                    let mut bits = SkuBits::none(products);
                    bits.insert(stock.product);
                    promises.push(Promise { min_days, max_days, products: bits });
                }
            }
        }
    }
    promises
}

fn forecast(folder: &Path, catalog: &Catalog) -> Result<Option<Forecast>, SnapshotError> {
    let Some(table) = Table::<DemandRow>::read_optional(folder, "demand")? else { return Ok(None) };
    let mut products = vec![[Quantiles::default(); Forecast::WEEKS]; catalog.len()];
    let mut seen = BTreeSet::new();
    table.each(|row| {
        let id = id_of(catalog, &row.sku)?;
        let week = row.week.checked_sub(1).and_then(|week| products[id.0 as usize].get_mut(week));
        let week = week.ok_or_else(|| bad(&format!("week {}; weeks 1 to {} are kept", row.week, Forecast::WEEKS)))?;
        if !seen.insert((id, row.week)) {
            return Err(bad(&format!("week {} of `{}` comes twice", row.week, row.sku)));
        }
        *week = Quantiles { p10: row.p10, p50: row.p50, p90: row.p90 };
        Ok(())
    })?;
    Ok(Some(Forecast { products }))
}

fn id_of(catalog: &Catalog, sku: &str) -> Result<SkuId, Error> {
    catalog.id(&Sku::new(sku)?).ok_or_else(|| bad(&format!("the table of products has no `{sku}`")))
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadRequest, message)
}
