//! Tables of a ranking pack: statistics and neighbours of products.

use super::{EventLog, TrainingError, csv_error, file_error, read_rows};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tradewind_core::{
    Catalog, Millis, Sku, SkuId,
    rank::{Neighbour, ProductStats, RankTables},
};

/// Number of days that count as recent.
const RECENT_DAYS: i32 = 28;

/// Learns the tables of a catalogue from the orders before a moment.
///
/// `neighbours` is the number of similar products to keep for each product.
///
/// # Errors
/// [`TrainingError::Core`] if `neighbours` exceeds the limit of the tables.
pub fn product_tables(
    catalog: Catalog,
    log: &EventLog,
    before: Millis,
    neighbours: usize,
) -> Result<RankTables, TrainingError> {
    let len = catalog.len();
    let (mut baskets, mut recent_baskets) = (0u32, 0u32);
    let (mut sold, mut recent) = (vec![0u32; len], vec![0u32; len]);
    let mut repeaters = vec![0u32; len];
    let mut gaps: Vec<Vec<i32>> = vec![Vec::new(); len];
    let mut owned: Vec<Vec<SkuId>> = Vec::new();
    for profile in log.shoppers.keys() {
        // Days of each product's purchases, ascending.
        let mut history: BTreeMap<SkuId, Vec<i32>> = BTreeMap::new();
        for order in log.before(profile, before) {
            let basket: BTreeSet<SkuId> = order.lines.iter().filter_map(|line| catalog.id(&line.sku)).collect();
            let days = before.day().since(order.at.day());
            let (counted, lately) = (u32::from(!basket.is_empty()), u32::from(days <= RECENT_DAYS));
            baskets += counted;
            recent_baskets += counted * lately;
            for id in basket {
                sold[id.0 as usize] += 1;
                recent[id.0 as usize] += lately;
                history.entry(id).or_default().push(order.at.day().0);
            }
        }
        for (id, days) in &history {
            repeaters[id.0 as usize] += u32::from(days.len() >= 2);
            gaps[id.0 as usize].extend(days.windows(2).map(|pair| pair[1] - pair[0]));
        }
        owned.push(history.into_keys().collect());
    }
    let (buyers, neighbours) = together(len, &owned, neighbours);
    let share = |part: u32, whole: u32| part as f32 / whole.max(1) as f32;
    let stats = gaps.iter_mut().enumerate().map(|(id, gaps)| ProductStats {
        popularity: share(sold[id], baskets),
        recent_popularity: share(recent[id], recent_baskets),
        repeat_rate: share(repeaters[id] + 1, buyers[id] + 4),
        gap_days: median(gaps),
    });
    Ok(RankTables::new(catalog, &stats.collect::<Vec<_>>(), &neighbours)?)
}

/// Median of the values; NaN without values.
fn median(values: &mut [i32]) -> f32 {
    values.sort_unstable();
    match (values.get((values.len().wrapping_sub(1)) / 2), values.get(values.len() / 2)) {
        (Some(&low), Some(&high)) => (low + high) as f32 / 2.0,
        _ => f32::NAN,
    }
}

/// Number of shoppers who own each product, and its neighbours by cosine similarity.
fn together(len: usize, owned: &[Vec<SkuId>], most: usize) -> (Vec<u32>, Vec<Vec<Neighbour>>) {
    let mut owners: Vec<Vec<u32>> = vec![Vec::new(); len];
    for (n, products) in owned.iter().enumerate() {
        products.iter().for_each(|id| owners[id.0 as usize].push(n as u32));
    }
    let buyers: Vec<u32> = owners.iter().map(|owners| owners.len() as u32).collect();
    let (mut both, mut found) = (vec![0u32; len], Vec::new());
    let neighbours = owners.iter().enumerate().map(|(id, owners)| {
        for other in owners.iter().flat_map(|&owner| &owned[owner as usize]) {
            let both = &mut both[other.0 as usize];
            if *both == 0 {
                found.push(other.0);
            }
            *both += 1;
        }
        let mut similar: Vec<(f64, u32)> = Vec::with_capacity(found.len());
        for other in found.drain(..) {
            let both = std::mem::take(&mut both[other as usize]);
            if other as usize != id {
                let norm = (f64::from(buyers[id]) * f64::from(buyers[other as usize])).sqrt();
                similar.push((f64::from(both) / norm, other));
            }
        }
        let best_first = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if most < similar.len() {
            similar.select_nth_unstable_by(most, best_first);
            similar.truncate(most);
        }
        similar.sort_unstable_by(best_first);
        similar.into_iter().map(|(cosine, id)| Neighbour { id: SkuId(id), similarity: cosine as f32 }).collect()
    });
    let neighbours = neighbours.collect();
    (buyers, neighbours)
}

/// Row of a products file. `neighbours` is a list of `SKU:SIMILARITY` separated by spaces, the similarity from 0 to 1;
/// an empty `gap_days` means unknown.
#[derive(Serialize, Deserialize)]
struct Row {
    sku: String,
    category: String,
    title: String,
    #[serde(default)]
    popularity: f32,
    #[serde(default)]
    recent_popularity: f32,
    #[serde(default)]
    repeat_rate: f32,
    gap_days: Option<f32>,
    #[serde(default)]
    neighbours: String,
}

/// Reads a products file: tables, and the title of each product, in order of SKU.
///
/// [`product_tables`] needs only the columns `sku,category,title`.
///
/// # Errors
/// [`TrainingError`] names the file and row.
pub fn read_products(path: &Path) -> Result<(RankTables, Vec<String>), TrainingError> {
    let mut rows: Vec<Row> = read_rows(path)?;
    rows.sort_by(|a, b| a.sku.cmp(&b.sku));
    let products = rows.iter().map(|row| Ok((Sku::new(row.sku.as_str())?, row.category.as_str())));
    let catalog = Catalog::new(products.collect::<Result<Vec<_>, tradewind_core::Error>>()?)?;
    let mut stats = Vec::with_capacity(rows.len());
    let mut neighbours = Vec::with_capacity(rows.len());
    for (n, row) in rows.iter().enumerate() {
        stats.push(ProductStats {
            popularity: row.popularity,
            recent_popularity: row.recent_popularity,
            repeat_rate: row.repeat_rate,
            gap_days: row.gap_days.unwrap_or(f32::NAN),
        });
        let parsed = row.neighbours.split_whitespace().map(|pair| neighbour(&catalog, pair));
        neighbours.push(parsed.collect::<Option<Vec<_>>>().ok_or_else(|| TrainingError::Row {
            path: path.display().to_string(),
            row: n + 1,
            message: "a neighbour is not `SKU:SIMILARITY` of a product in this file".into(),
        })?);
    }
    let titles = rows.into_iter().map(|row| row.title).collect();
    Ok((RankTables::new(catalog, &stats, &neighbours)?, titles))
}

fn neighbour(catalog: &Catalog, pair: &str) -> Option<Neighbour> {
    let (sku, similarity) = pair.rsplit_once(':')?;
    Some(Neighbour { id: catalog.id(&Sku::new(sku).ok()?)?, similarity: similarity.parse().ok()? })
}

/// Writes a products file.
///
/// # Errors
/// [`TrainingError`] if the file cannot be written.
pub fn write_products(path: &Path, tables: &RankTables, titles: &[String]) -> Result<(), TrainingError> {
    let mut writer = csv::Writer::from_path(path).map_err(csv_error(path))?;
    for (id, (sku, title)) in tables.catalog.skus().zip(titles).enumerate() {
        let stats = tables.stats(SkuId(id as u32));
        let neighbours = tables
            .neighbours(SkuId(id as u32))
            .filter_map(|neighbour| Some(format!("{}:{:.5}", tables.catalog.sku(neighbour.id)?, neighbour.similarity)));
        let row = Row {
            sku: sku.to_string(),
            category: tables.catalog.category(SkuId(id as u32)).to_owned(),
            title: title.clone(),
            popularity: stats.popularity,
            recent_popularity: stats.recent_popularity,
            repeat_rate: stats.repeat_rate,
            gap_days: (!stats.gap_days.is_nan()).then_some(stats.gap_days),
            neighbours: neighbours.collect::<Vec<_>>().join(" "),
        };
        writer.serialize(row).map_err(csv_error(path))?;
    }
    writer.flush().map_err(file_error(path))
}
