//! Training rows of insights.

use super::{EventLog, Target, TrainingError, csv_error, file_error, matrix::write_matrix};
use std::{fs, path::Path};
use tradewind_core::{
    Millis,
    insight::{InsightSpec, Subject},
    rank::RankTables,
};

/// Writes the rows of each target into `folder`, as the module computes them:
///
/// - `features.npy`: f32 `[rows, inputs]`, row-major, in the order of the spec's inputs;
/// - `rows.csv`: `profile,at,sku,hour`, aligned with the matrix, rows of one target together; `sku` or `hour` is empty
///   if a row has no product or hour;
/// - `columns.json`: names of the inputs.
///
/// Returns the number of rows.
///
/// # Errors
/// [`TrainingError`] if the spec's rows are not about shoppers or products, or a file cannot be written.
pub fn write_insight_features(
    folder: &Path,
    spec: &InsightSpec,
    tables: &RankTables,
    log: &EventLog,
    targets: &[Target],
) -> Result<usize, TrainingError> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let rows_path = folder.join("rows.csv");
    let mut rows = csv::Writer::from_path(&rows_path).map_err(csv_error(&rows_path))?;
    rows.write_record(["profile", "at", "sku", "hour"]).map_err(csv_error(&rows_path))?;
    let (mut matrix, mut count) = (Vec::new(), 0);
    for target in targets {
        let at = Millis(target.at);
        let profile = log.profile(&target.profile, at);
        for subject in spec.features(tables, &profile, at, &mut matrix)? {
            let (sku, hour) = match &subject {
                Subject::Sku(sku) | Subject::Stock(sku, _) => (sku.as_str(), String::new()),
                Subject::Hour(hour) => ("", hour.to_string()),
                Subject::Shopper | Subject::Text(_) => ("", String::new()),
            };
            let row = [target.profile.as_str(), &target.at.to_string(), sku, &hour];
            rows.write_record(row).map_err(csv_error(&rows_path))?;
            count += 1;
        }
    }
    rows.flush().map_err(file_error(&rows_path))?;
    let names: Vec<_> = spec.inputs.iter().map(|source| source.name()).collect();
    write_matrix(folder, &names, &matrix)?;
    Ok(count)
}
