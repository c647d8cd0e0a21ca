//! Weekly sales, and weeks to forecast.

use super::{TrainingError, csv_error, file_error, matrix::write_matrix, read_rows};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};
use tradewind_core::{
    BasisPoints, Money, Sku, Source,
    demand::Outlook,
    offer::{Offer, Week},
};

/// Units of each product sold in each week.
///
/// Read from CSV with the columns `sku,week,units,price,list,display,mailer`: product, number of the week, units sold,
/// price and list price in minor units, shares of displays and mailers in basis points. The weeks of a product are in
/// order and without gaps; weeks before its first are unknown.
#[derive(Debug)]
pub struct Sales {
    products: BTreeMap<Sku, Product>,
}

#[derive(Debug)]
struct Product {
    first: u32,
    weeks: Vec<Week>,
}

/// Week to forecast, read from CSV with the columns `split,sku,week,horizon`.
#[derive(Debug, Clone, Deserialize)]
pub struct WeekTarget {
    /// Split, for example `train` or `test`.
    pub split: String,
    /// Product.
    pub sku: String,
    /// Week to forecast.
    pub week: u32,
    /// Number of weeks from the last known week to this one.
    pub horizon: u8,
}

#[derive(Deserialize)]
struct Row {
    sku: String,
    week: u32,
    units: u32,
    price: i64,
    list: i64,
    display: i32,
    mailer: i32,
}

impl Sales {
    /// Reads sales.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and row.
    pub fn read(path: &Path) -> Result<Self, TrainingError> {
        let mut products: BTreeMap<Sku, Product> = BTreeMap::new();
        for (n, row) in read_rows::<Row>(path)?.into_iter().enumerate() {
            let wrong = |message: String| TrainingError::Row { path: path.display().to_string(), row: n + 1, message };
            let Row { sku, week, units, price, list, display, mailer } = row;
            let offer = Offer {
                price: Money(price),
                list: Money(list),
                display: BasisPoints(display),
                mailer: BasisPoints(mailer),
            };
            offer.check().map_err(|error| wrong(error.to_string()))?;
            let sku = Sku::new(sku).map_err(|error| wrong(error.to_string()))?;
            let product = products.entry(sku).or_insert_with(|| Product { first: week, weeks: Vec::new() });
            let next = product.first as usize + product.weeks.len();
            if week as usize != next {
                return Err(wrong(format!("week {week} is out of order: expected week {next}")));
            }
            product.weeks.push(Week::new(offer, units));
        }
        Ok(Self { products })
    }

    /// Known weeks of a product before a target, and the target's week.
    fn until(&self, target: &WeekTarget) -> Option<(&[Week], &Week)> {
        let product = self.products.get(&Sku::new(target.sku.as_str()).ok()?)?;
        let place = target.week.checked_sub(product.first)? as usize;
        let known = (place + 1).checked_sub(usize::from(target.horizon))?;
        Some((product.weeks.get(..known)?, product.weeks.get(place)?))
    }
}

impl WeekTarget {
    /// Reads the targets of one split.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and row.
    pub fn read(path: &Path, split: &str) -> Result<Vec<Self>, TrainingError> {
        let mut targets: Vec<Self> = read_rows(path)?;
        targets.retain(|target| target.split == split);
        Ok(targets)
    }
}

/// Writes a row for each target into `folder`:
///
/// - `features.npy`: f32 `[rows, features]`, row-major, in the order of `features`;
/// - `rows.csv`: `sku,week,horizon,units`, aligned with the matrix;
/// - `columns.json`: names of the features.
///
/// # Errors
/// [`TrainingError`] if the sales do not include a target, or a file cannot be written.
pub fn write_week_features(
    folder: &Path,
    features: &[Source],
    sales: &Sales,
    targets: &[WeekTarget],
) -> Result<(), TrainingError> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let rows_path = folder.join("rows.csv");
    let mut rows = csv::Writer::from_path(&rows_path).map_err(csv_error(&rows_path))?;
    rows.write_record(["sku", "week", "horizon", "units"]).map_err(csv_error(&rows_path))?;
    let mut matrix = Vec::with_capacity(targets.len() * features.len());
    for target in targets {
        let WeekTarget { sku, week, horizon, .. } = target;
        let (history, sold) = sales.until(target).ok_or_else(|| {
            let message = format!("the sales of `{sku}` do not cover week {week} and the {horizon} weeks before it");
            tradewind_core::Error::new(tradewind_core::ErrorKind::BadRequest, message)
        })?;
        Outlook::new(history, sold.offer, *horizon)?.row(features, &mut matrix);
        let row = [sku.as_str(), &week.to_string(), &horizon.to_string(), &sold.units.to_string()];
        rows.write_record(row).map_err(csv_error(&rows_path))?;
    }
    rows.flush().map_err(file_error(&rows_path))?;
    let names: Vec<_> = features.iter().map(|feature| feature.name()).collect();
    write_matrix(folder, &names, &matrix)
}
