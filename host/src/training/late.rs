//! Training rows of lateness.

use super::{TrainingError, csv_error, file_error, matrix::write_matrix};
use serde::Deserialize;
use std::{fs, path::Path};
use tradewind_core::{
    Millis,
    late::{LateSpec, Leg},
};

#[derive(Deserialize)]
struct Row<'a> {
    from: &'a str,
    to: &'a str,
    departs: i64,
    utc_offset: i16,
    distance: f32,
}

/// Writes a row for each leg into `folder`, in the order of the legs: `features.npy`, f32 `[legs, features]`,
/// row-major, in the order of the spec's features, and `columns.json`, names of the features.
///
/// Legs are read from CSV with the columns `from,to,departs,utc_offset,distance`: codes of the locations, milliseconds
/// since 1970, offset of local time at the origin from UTC in minutes, kilometres. Other columns are ignored. Returns
/// the number of rows.
///
/// # Errors
/// [`TrainingError`] names the file and row.
pub fn write_late_features(folder: &Path, spec: &LateSpec, legs: &Path) -> Result<usize, TrainingError> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let mut reader = csv::Reader::from_path(legs).map_err(csv_error(legs))?;
    let header = reader.headers().map_err(csv_error(legs))?.clone();
    let (mut record, mut matrix, mut count) = (csv::StringRecord::new(), Vec::new(), 0);
    while reader.read_record(&mut record).map_err(csv_error(legs))? {
        let Row { from, to, departs, utc_offset, distance } =
            record.deserialize(Some(&header)).map_err(csv_error(legs))?;
        let leg = Leg { from, to, departs: Millis(departs), utc_offset, distance };
        count += 1;
        spec.row(&leg, &mut matrix).map_err(|error| TrainingError::Row {
            path: legs.display().to_string(),
            row: count,
            message: error.to_string(),
        })?;
    }
    let names: Vec<_> = spec.features.iter().map(|feature| feature.name()).collect();
    write_matrix(folder, &names, &matrix)?;
    Ok(count)
}
