//! Model cards.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Information that users need before they rely on a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Purpose of the model, in a sentence or two.
    pub summary: String,
    /// Kind of model, and how it was trained.
    pub model: String,
    /// Licence of the model itself.
    pub licence: String,
    /// Data used for training and evaluation.
    pub data: Vec<DataSource>,
    /// Measured quality.
    pub metrics: Vec<Metric>,
    /// Intended use.
    pub intended_use: String,
    /// Known limits, and uses that were not tested.
    pub limits: Vec<String>,
}

/// Data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Name and version.
    pub name: String,
    /// Licence of the data.
    pub licence: String,
    /// Use of the data; whether it is real, a proxy or generated.
    pub note: String,
}

/// Measured quality, compared with a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Name of the metric, for example `R@20`.
    pub name: String,
    /// Data on which it was measured.
    pub split: String,
    /// Value of the model.
    pub value: f64,
    /// Name of the baseline.
    pub baseline: String,
    /// Value of the baseline.
    pub baseline_value: f64,
    /// Lower end of the 95 % interval of the difference, model minus baseline.
    pub difference_low: f64,
    /// Upper end of that interval.
    pub difference_high: f64,
}
