//! Tables in CSV, JSON, JSON Lines and Parquet, read into the same rows.

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::de::DeserializeOwned;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Reason why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// No file or several files for a table.
    #[error("`{path}` has {found} the table `{name}`: it needs one of {}", FORMATS.map(|end| format!("{name}.{end}")).join(", "))]
    Missing {
        /// Path of the folder.
        path: String,
        /// Name of the table.
        name: &'static str,
        /// Number of files, as text.
        found: &'static str,
    },
    /// A file cannot be read.
    #[error("`{path}`: {message}")]
    File {
        /// Path of the file.
        path: String,
        /// Reason.
        message: String,
    },
    /// A row is invalid.
    #[error("`{path}`, row {row}: {message}")]
    Row {
        /// Path of the file.
        path: String,
        /// Row, counted from 1 (in CSV, after the header).
        row: usize,
        /// Reason, with the column if it is about a cell.
        message: String,
    },
}

/// Formats of a table, by file extension.
const FORMATS: [&str; 4] = ["csv", "json", "jsonl", "parquet"];

/// Table of rows, with its file.
#[derive(Debug, Clone)]
pub struct Table<T> {
    /// Path of the file.
    pub path: PathBuf,
    /// Rows.
    pub rows: Vec<T>,
}

impl<T: DeserializeOwned> Table<T> {
    /// Reads the table `name` of a folder, in any format.
    ///
    /// # Errors
    /// [`TableError`] names the file and row.
    pub fn read(folder: &Path, name: &'static str) -> Result<Self, TableError> {
        Self::read_optional(folder, name)?.ok_or_else(|| missing(folder, name, "no file for"))
    }

    /// Like [`read`](Self::read), for an optional table.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_optional(folder: &Path, name: &'static str) -> Result<Option<Self>, TableError> {
        let paths = FORMATS.map(|end| folder.join(name).with_extension(end));
        let mut found = paths.into_iter().filter(|path| path.exists());
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(missing(folder, name, "several files for")),
            (Some(path), None) => Self::read_file(path).map(Some),
        }
    }

    /// Reads a file, with the format given by its extension.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_file(path: PathBuf) -> Result<Self, TableError> {
        let rows = match path.extension().and_then(|end| end.to_str()) {
            Some("csv") => csv_rows(&path),
            Some("json") => json_rows(&path),
            Some("jsonl") => json_lines(&path),
            Some("parquet") => parquet_rows(&path),
            _ => Err(file(&path, format!("unknown extension of a table (expected one of {})", FORMATS.join(", ")))),
        }?;
        Ok(Self { path, rows })
    }
}

impl<T> Table<T> {
    /// Calls a function for each row; errors are reported with file and row.
    ///
    /// # Errors
    /// [`TableError::Row`].
    pub fn each<'a, E: std::fmt::Display>(
        &'a self,
        mut each: impl FnMut(&'a T) -> Result<(), E>,
    ) -> Result<(), TableError> {
        for (n, row) in self.rows.iter().enumerate() {
            each(row).map_err(|error| self.error(n, error))?;
        }
        Ok(())
    }

    /// Error about the row at a position, counted from 0.
    pub fn error(&self, place: usize, error: impl std::fmt::Display) -> TableError {
        row_error(&self.path, place, error)
    }
}

fn csv_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TableError> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| file(path, error))?;
    let header = reader.headers().map_err(|error| file(path, error))?.clone();
    let rows = reader.deserialize().enumerate();
    rows.map(|(n, row)| row.map_err(|error| row_error(path, n, csv_message(&header, &error)))).collect()
}

/// Error about a row, with the name of the column.
fn csv_message(header: &csv::StringRecord, error: &csv::Error) -> String {
    let csv::ErrorKind::Deserialize { err: cell, .. } = error.kind() else { return error.to_string() };
    let column = cell.field().and_then(|field| header.get(usize::try_from(field).ok()?));
    match column {
        Some(column) => format!("column `{column}`: {}", cell.kind()),
        None => cell.kind().to_string(),
    }
}

fn json_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TableError> {
    let text = text(path)?;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).map_err(|error| file(path, error))?;
    values(path, rows.into_iter().map(Ok::<_, serde_json::Error>))
}

fn json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TableError> {
    let text = text(path)?;
    values(path, text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str))
}

/// Text of a file, without the byte order mark that some programs write.
fn text(path: &Path) -> Result<String, TableError> {
    let text = fs::read_to_string(path).map_err(|error| file(path, error))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn parquet_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, TableError> {
    let opened = File::open(path).map_err(|error| file(path, error))?;
    let reader = SerializedFileReader::new(opened).map_err(|error| file(path, error))?;
    let rows = reader.get_row_iter(None).map_err(|error| file(path, error))?;
    values(path, rows.map(|row| row.map(|row| without_nulls(row.to_json_value()))))
}

/// Removes columns that are empty in a row.
fn without_nulls(mut row: serde_json::Value) -> serde_json::Value {
    if let Some(row) = row.as_object_mut() {
        row.retain(|_, value| !value.is_null());
    }
    row
}

fn values<T: DeserializeOwned, E: std::fmt::Display>(
    path: &Path,
    rows: impl Iterator<Item = Result<serde_json::Value, E>>,
) -> Result<Vec<T>, TableError> {
    rows.enumerate()
        .map(|(n, row)| {
            let row = row.map_err(|error| row_error(path, n, error))?;
            serde_path_to_error::deserialize(row).map_err(|error| match error.path().to_string().as_str() {
                "." => row_error(path, n, error.inner()),
                column => row_error(path, n, format!("column `{column}`: {}", error.inner())),
            })
        })
        .collect()
}

fn missing(folder: &Path, name: &'static str, found: &'static str) -> TableError {
    TableError::Missing { path: folder.display().to_string(), name, found }
}

fn file(path: &Path, error: impl std::fmt::Display) -> TableError {
    TableError::File { path: path.display().to_string(), message: error.to_string() }
}

fn row_error(path: &Path, place: usize, error: impl std::fmt::Display) -> TableError {
    TableError::Row { path: path.display().to_string(), row: place + 1, message: error.to_string() }
}
