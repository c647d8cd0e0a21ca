//! Matrices in NumPy's format.

use super::{TrainingError, file_error};
use npyz::WriterBuilder;
use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

/// Writes `features.npy`, f32 `[rows, columns]`, row-major, and `columns.json`, names of the columns.
pub(super) fn write_matrix(folder: &Path, columns: &[&str], matrix: &[f32]) -> Result<(), TrainingError> {
    let rows = matrix.len() / columns.len().max(1);
    let matrix_path = folder.join("features.npy");
    let file = BufWriter::new(File::create(&matrix_path).map_err(file_error(&matrix_path))?);
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[rows as u64, columns.len() as u64])
        .writer(file)
        .begin_nd()
        .map_err(file_error(&matrix_path))?;
    writer.extend(matrix).map_err(file_error(&matrix_path))?;
    writer.finish().map_err(file_error(&matrix_path))?;

    let columns: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let columns_path = folder.join("columns.json");
    fs::write(&columns_path, format!("[{}]\n", columns.join(", "))).map_err(file_error(&columns_path))
}
