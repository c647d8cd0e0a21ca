//! Model cards.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// What a person should know before they rely on a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// What the model does, in a sentence or two.
    pub summary: String,
    /// The kind of model and how it was trained.
    pub model: String,
    /// The licence of the model itself.
    pub licence: String,
    /// What it was trained and evaluated on.
    pub data: Vec<DataSource>,
    /// How well it does.
    pub metrics: Vec<Metric>,
    /// What it is meant for.
    pub intended_use: String,
    /// What it cannot do, or was not tested on.
    pub limits: Vec<String>,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Its name and version.
    pub name: String,
    /// The terms it comes under.
    pub licence: String,
    /// How it was used; whether it is real, a proxy or generated.
    pub note: String,
}

/// A measured quality, beside a baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// For example `R@20`.
    pub name: String,
    /// What it was measured on.
    pub split: String,
    /// The model's value.
    pub value: f64,
    /// What it is compared with.
    pub baseline: String,
    /// The baseline's value.
    pub baseline_value: f64,
    /// Lower end of the 95 % interval of the difference, model minus baseline.
    pub difference_low: f64,
    /// Upper end of that interval.
    pub difference_high: f64,
}
