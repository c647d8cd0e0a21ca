//! Training data, computed by the code that serves, so that models see the same features in both.
//!
//! - [`EventLog`] reads purchases;
//! - [`product_tables`] learns statistics of each product from purchases before a date;
//! - [`write_features`] writes a row for each candidate of each target;
//! - [`Sales`] reads weekly sales, and [`write_week_features`] writes a row for each week to forecast;
//! - [`write_insight_features`] writes the rows of an insight for each target;
//! - [`write_late_features`] writes a row for each leg.

mod features;
mod insight;
mod late;
mod log;
mod matrix;
mod sales;
mod tables;

pub use features::{Target, write_features};
pub use insight::write_insight_features;
pub use late::write_late_features;
pub use log::{EventLog, Order};
pub use sales::{Sales, WeekTarget, write_week_features};
pub use tables::{product_tables, read_products, write_products};

use std::path::Path;

/// Reason why training data could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A CSV file is invalid.
    #[error("`{path}`: {error}")]
    Csv {
        /// Path of the file.
        path: String,
        /// Error, with its position.
        error: csv::Error,
    },
    /// A file could not be read or written.
    #[error("`{path}`: {error}")]
    File {
        /// Path of the file.
        path: String,
        /// Error of the system.
        error: std::io::Error,
    },
    /// A row is invalid.
    #[error("`{path}`, row {row}: {message}")]
    Row {
        /// Path of the file.
        path: String,
        /// Number of the row, counted from 1 after the header.
        row: usize,
        /// Description of the error.
        message: String,
    },
    /// The core refused the data.
    #[error(transparent)]
    Core(#[from] tradewind_core::Error),
}

/// Reads the rows of a CSV file.
fn read_rows<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, TrainingError> {
    let error = |error| TrainingError::Csv { path: path.display().to_string(), error };
    let mut reader = csv::Reader::from_path(path).map_err(error)?;
    reader.deserialize().collect::<Result<_, _>>().map_err(error)
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> TrainingError + '_ {
    move |error| TrainingError::File { path: path.display().to_string(), error }
}

fn csv_error(path: &Path) -> impl Fn(csv::Error) -> TrainingError + '_ {
    move |error| TrainingError::Csv { path: path.display().to_string(), error }
}
