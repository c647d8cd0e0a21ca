//! Feature matrices.

use super::{EventLog, TrainingError, csv_error, file_error, matrix::write_matrix, read_rows};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, path::Path};
use tradewind_core::{
    Millis, Sku,
    rank::{Moment, RankSpec, RankTables},
};

/// Training target: a shopper and the next order.
///
/// Read from CSV with the columns `split,profile,at,order`.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Split, for example `train` or `test`.
    pub split: String,
    /// Shopper.
    pub profile: String,
    /// Moment of the decision; the shopper's earlier orders are known.
    pub at: i64,
    /// Next order; empty if it is not the target.
    #[serde(default)]
    pub order: String,
}

impl Target {
    /// Reads the targets of one split.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and row.
    pub fn read(path: &Path, split: &str) -> Result<Vec<Self>, TrainingError> {
        let mut targets: Vec<Self> = read_rows(path)?;
        targets.retain(|target| target.split == split);
        Ok(targets)
    }

    /// Products of the next order.
    pub fn bought<'a>(&self, log: &'a EventLog) -> BTreeSet<&'a Sku> {
        let orders = log.shoppers.get(&self.profile).into_iter().flatten();
        orders.filter(|order| order.name == self.order).flat_map(|order| &order.lines).map(|line| &line.sku).collect()
    }
}

/// Writes a row for each candidate of each target into `folder`:
///
/// - `features.npy`: f32 `[rows, features]`, row-major, in the order of the spec's features;
/// - `rows.csv`: `profile,at,sku,label`, aligned with the matrix, rows of one target together;
/// - `columns.json`: names of the features.
///
/// Returns the number of rows.
///
/// # Errors
/// [`TrainingError`] if a file cannot be written.
pub fn write_features(
    folder: &Path,
    spec: &RankSpec,
    tables: &RankTables,
    log: &EventLog,
    targets: &[Target],
) -> Result<usize, TrainingError> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let rows_path = folder.join("rows.csv");
    let mut rows = csv::Writer::from_path(&rows_path).map_err(csv_error(&rows_path))?;
    rows.write_record(["profile", "at", "sku", "label"]).map_err(csv_error(&rows_path))?;
    let mut matrix: Vec<f32> = Vec::new();
    let mut count = 0;
    for target in targets {
        let at = Millis(target.at);
        let profile = log.profile(&target.profile, at);
        let bought = target.bought(log);
        let moment = Moment::new(tables, &profile, at);
        for candidate in moment.candidates(&spec.candidates, &|_| false) {
            let Some(sku) = tables.catalog.sku(candidate.id) else { continue };
            moment.row(&spec.features, &candidate, &mut matrix);
            let label = if bought.contains(&sku) { "1" } else { "0" };
            let row = [target.profile.as_str(), &target.at.to_string(), sku.as_str(), label];
            rows.write_record(row).map_err(csv_error(&rows_path))?;
            count += 1;
        }
    }
    rows.flush().map_err(file_error(&rows_path))?;

    let names: Vec<_> = spec.features.iter().map(|feature| feature.name()).collect();
    write_matrix(folder, &names, &matrix)?;
    Ok(count)
}
