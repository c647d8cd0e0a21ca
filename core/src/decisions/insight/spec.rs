//! Spec of an insight: its rows, columns, output, and the facts that are reasons.

use super::Value;
use crate::{
    bounded,
    domain::quantiles::Quantiles,
    error::{Error, ErrorKind, Result},
    model::source::{Part, Source, Unit, of_rows},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Decision defined by data: a model over rows of sources, without its own code.
///
/// The model's inputs are `features` (f32, a column for each of [`inputs`](Self::inputs)), and any of the text columns
/// of its rows: see [`Rows`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsightSpec {
    /// Subject of a row.
    pub rows: Rows,
    /// Columns of the model's input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub inputs: Vec<Source>,
    /// Output of the model for each row.
    pub output: Output,
    /// Rows that are returned.
    #[serde(default)]
    pub keep: Keep,
    /// Facts that are reasons, in the order in which they are returned.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::list::<100, _, _>")]
    pub evidence: Vec<Rule>,
}

/// Subject of the rows of an insight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rows {
    /// The shopper of the request: one row.
    Shopper,
    /// The shopper and each requested product, or by default each product that the shopper bought. Text: `sku`.
    ShopperProduct,
    /// The shopper and each hour of the week, from Monday 00:00.
    ShopperHour,
    /// Each requested product, or by default each product of the pack's tables, or else of the snapshot. Text: `sku`.
    Product,
    /// Each such product at each node of the snapshot. Text: `sku`, `node`.
    ProductNode,
    /// Each text of the request. Text: `text`.
    Text,
}

/// Output of a model for a row, and its valid range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// Probability, in the last of one or two columns.
    Probability,
    /// 10 %, 50 % and 90 % quantiles of an amount, in three columns.
    Quantiles(Range),
    /// Amount, in one column.
    Amount(Range),
    /// Label with the greatest column; the first of equals.
    Label(#[serde(deserialize_with = "bounded::list::<1000, _, _>")] Vec<String>),
    /// Score that orders the rows of one reply, in one column.
    Score,
}

/// Unit and valid range of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Unit of the amount.
    pub unit: Unit,
    /// Minimum valid amount.
    pub least: f32,
    /// Maximum valid amount.
    pub most: f32,
}

/// Rows that are returned: greatest value first, ties in order of row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Minimum value: a probability (for labels, that of the label), the median, the amount, or the score.
    #[serde(default)]
    pub at_least: Option<f32>,
    /// Maximum number of rows.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Rule that makes a fact a reason if its value is within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Source of the fact.
    pub source: Source,
    /// Minimum value that is a reason.
    #[serde(default)]
    pub at_least: Option<f32>,
    /// Maximum value that is a reason.
    #[serde(default)]
    pub at_most: Option<f32>,
}

impl Rows {
    /// Parts of these rows, whose sources a model can read.
    pub const fn parts(self) -> &'static [Part] {
        match self {
            Self::Shopper => &[Part::Shopper],
            Self::ShopperProduct => &[Part::Shopper, Part::Product, Part::Habit],
            Self::ShopperHour => &[Part::Clock, Part::Shopper],
            Self::Product => &[Part::Product, Part::Week],
            Self::ProductNode => &[Part::Product, Part::Week, Part::Stock],
            Self::Text => &[],
        }
    }

    /// Text columns of these rows.
    pub const fn text(self) -> &'static [&'static str] {
        match self {
            Self::Shopper | Self::ShopperHour => &[],
            Self::ShopperProduct | Self::Product => &["sku"],
            Self::ProductNode => &["sku", "node"],
            Self::Text => &["text"],
        }
    }

    /// Name in specs and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shopper => "shopper",
            Self::ShopperProduct => "shopper_product",
            Self::ShopperHour => "shopper_hour",
            Self::Product => "product",
            Self::ProductNode => "product_node",
            Self::Text => "text",
        }
    }
}

impl Output {
    /// Valid numbers of output columns.
    pub(super) fn widths(&self) -> core::ops::RangeInclusive<usize> {
        match self {
            Self::Probability => 1..=2,
            Self::Quantiles(_) => 3..=3,
            Self::Amount(_) | Self::Score => 1..=1,
            Self::Label(labels) => labels.len()..=labels.len(),
        }
    }

    /// Number by which rows of the model's output are sorted.
    ///
    /// # Errors
    /// [`NotFinite`](ErrorKind::NotFinite) for a value that the spec does not allow.
    pub(super) fn key(&self, row: &[f32]) -> Result<f32> {
        let within = |least: f32, value: f32, most: f32| (least <= value && value <= most).then_some(value);
        let key = match (self, row) {
            (Self::Probability, &[.., value]) => within(0.0, value, 1.0),
            (Self::Score, &[value]) => within(f32::MIN, value, f32::MAX),
            (Self::Amount(range), &[value]) => within(range.least, value, range.most),
            (Self::Quantiles(range), &[p10, p50, p90]) => {
                within(range.least, p10, p50).and(within(p50, p90, range.most)).and(Some(p50))
            }
            (Self::Label(_), row) => {
                let finite = row.iter().all(|value| value.is_finite());
                finite.then(|| row.iter().copied().fold(f32::MIN, f32::max))
            }
            _ => None,
        };
        // The message does not contain the value: formatting floats takes 15 kB of the module.
        key.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFinite,
                "the model's output is outside its spec's range; check the pack with `tradewind inspect`",
            )
        })
    }

    /// Value of a row of the model's output that has a key.
    pub(super) fn value(&self, row: &[f32]) -> Value {
        let at = |place: usize| row.get(place).copied().unwrap_or_default();
        match self {
            Self::Probability => Value::Probability(row.last().copied().unwrap_or_default()),
            Self::Quantiles(_) => Value::Quantiles(Quantiles { p10: at(0), p50: at(1), p90: at(2) }),
            Self::Amount(_) => Value::Amount(at(0)),
            Self::Score => Value::Score(at(0)),
            Self::Label(labels) => {
                let greatest = row.iter().copied().fold(f32::MIN, f32::max);
                let place = row.iter().position(|value| *value == greatest).unwrap_or_default();
                Value::Label(labels.get(place).cloned().unwrap_or_default())
            }
        }
    }
}

impl Rule {
    /// Whether a value is a reason; NaN never is.
    pub(super) fn holds(&self, value: f32) -> bool {
        let reaches = self.at_least.is_none_or(|bound| value >= bound);
        !value.is_nan() && reaches && self.at_most.is_none_or(|bound| value <= bound)
    }
}

impl InsightSpec {
    /// Checks that the spec is consistent.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) names the inconsistency.
    pub fn check(&self) -> Result<()> {
        of_rows(&self.inputs, self.rows.parts(), self.rows.name())?;
        for rule in &self.evidence {
            of_rows(&[rule.source], self.rows.parts(), self.rows.name())?;
        }
        let numbers = self.evidence.iter().flat_map(|rule| [rule.at_least, rule.at_most]);
        if numbers.chain([self.keep.at_least]).flatten().any(f32::is_nan) {
            return Err(contradiction("a bound that is NaN"));
        }
        match &self.output {
            Output::Quantiles(Range { least, most, .. }) | Output::Amount(Range { least, most, .. })
                if !(least.is_finite() && most.is_finite() && least <= most) =>
            {
                Err(contradiction("an invalid range of amounts"))
            }
            Output::Label(labels) if labels.len() < 2 => Err(contradiction("fewer than two labels")),
            _ => Ok(()),
        }
    }
}

fn contradiction(what: &str) -> Error {
    Error::new(ErrorKind::PackCorrupt, format!("the insight's spec has {what}"))
}
