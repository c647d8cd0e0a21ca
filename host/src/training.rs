//! Training data, computed by the code that serves: what a model is trained on is what it will be
//! shown.
//!
//! - [`EventLog`] reads purchases;
//! - [`product_tables`] learns what is known of each product from those before a date;
//! - [`write_features`] writes one row for each candidate of each decision to learn from;
//! - [`Sales`] reads what was sold by the week, and [`write_week_features`] writes one row for each
//!   week to be forecast.
//! - [`write_insight_features`] writes the rows of an insight at each of some moments;
//! - [`write_late_features`] writes one row for each leg.

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

/// Why training data could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A CSV file is not as it should be.
    #[error("`{path}`: {error}")]
    Csv {
        /// The file.
        path: String,
        /// What and where.
        error: csv::Error,
    },
    /// A file could not be read or written.
    #[error("`{path}`: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A row says something that cannot be.
    #[error("`{path}`, row {row}: {message}")]
    Row {
        /// The file.
        path: String,
        /// The row, counted from 1 after the header.
        row: usize,
        /// What is wrong.
        message: String,
    },
    /// The core refused something.
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
