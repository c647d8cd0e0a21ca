//! What a pack says of an insight: its rows, its columns, its output, and which facts are reasons.

use super::Value;
use crate::{
    bounded,
    domain::quantiles::Quantiles,
    error::{Error, ErrorKind, Result},
    model::source::{Part, Source, Unit, of_rows},
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// A decision that is data: a model over rows of sources, without code of its own.
///
/// The model's input is `features` (f32, a column for each of [`inputs`](Self::inputs)), and beside it any of the
/// columns of text that its rows have: see [`Rows`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InsightSpec {
    /// What a row is.
    pub rows: Rows,
    /// The columns of the model's input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub inputs: Vec<Source>,
    /// What the model gives for each row.
    pub output: Output,
    /// Which rows are answered.
    #[serde(default)]
    pub keep: Keep,
    /// Which facts about a row are reasons, in the order in which they are told.
    #[serde(default)]
    #[serde(deserialize_with = "bounded::list::<100, _, _>")]
    pub evidence: Vec<Rule>,
}

/// What the rows of an insight are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rows {
    /// The shopper of the request: one row.
    Shopper,
    /// The shopper and each product that was asked for, or else that the shopper bought. Text: `sku`.
    ShopperProduct,
    /// The shopper and each hour of the week, from Monday 00:00.
    ShopperHour,
    /// Each product that was asked for, or else that the pack's tables have, or else the snapshot. Text: `sku`.
    Product,
    /// Each such product at each node of the snapshot. Text: `sku`, `node`.
    ProductNode,
    /// Each text of the request. Text: `text`.
    Text,
}

/// What a model gives for a row, and what is checked of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Output {
    /// A probability, in the last of one or two columns.
    Probability,
    /// The 10 %, 50 % and 90 % quantiles of an amount, in three columns.
    Quantiles(Range),
    /// An amount, in a column.
    Amount(Range),
    /// One of several labels: the one whose column is the greatest, the first of equals.
    Label(#[serde(deserialize_with = "bounded::list::<1000, _, _>")] Vec<String>),
    /// A number that compares rows of one reply, in a column.
    Score,
}

/// The bounds of an amount.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// What it is measured in.
    pub unit: Unit,
    /// The least that is believed.
    pub least: f32,
    /// The most that is believed.
    pub most: f32,
}

/// Which rows are answered; greatest first, of equals the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Those with at least this value: a probability (of a label, that label's), the median, the amount, the score.
    #[serde(default)]
    pub at_least: Option<f32>,
    /// At most so many.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A fact is a reason where its value lies within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The fact.
    pub source: Source,
    /// The least value that is a reason.
    #[serde(default)]
    pub at_least: Option<f32>,
    /// The greatest value that is a reason.
    #[serde(default)]
    pub at_most: Option<f32>,
}

impl Rows {
    /// What the sources of these rows are facts about.
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

    /// The columns of text that these rows have.
    pub const fn text(self) -> &'static [&'static str] {
        match self {
            Self::Shopper | Self::ShopperHour => &[],
            Self::ShopperProduct | Self::Product => &["sku"],
            Self::ProductNode => &["sku", "node"],
            Self::Text => &["text"],
        }
    }

    /// What they are called.
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
    /// The columns that a model may give.
    pub(super) fn widths(&self) -> core::ops::RangeInclusive<usize> {
        match self {
            Self::Probability => 1..=2,
            Self::Quantiles(_) => 3..=3,
            Self::Amount(_) | Self::Score => 1..=1,
            Self::Label(labels) => labels.len()..=labels.len(),
        }
    }

    /// The number by which a row of the model's output is compared.
    ///
    /// # Errors
    /// [`NotFinite`](ErrorKind::NotFinite) for a row that says nothing that the spec allows.
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
        // Which number it was, no message says: to write numbers with fractions takes 15 kB of the module.
        key.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFinite,
                "the model gave a value that its spec does not allow; check the pack with `tradewind inspect`",
            )
        })
    }

    /// What a row of the model's output says, of those that have a key.
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
    /// Whether a value is a reason. NaN is none.
    pub(super) fn holds(&self, value: f32) -> bool {
        let reaches = self.at_least.is_none_or(|bound| value >= bound);
        !value.is_nan() && reaches && self.at_most.is_none_or(|bound| value <= bound)
    }
}

impl InsightSpec {
    /// Checks that the spec does not contradict itself.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) says where it does.
    pub fn check(&self) -> Result<()> {
        of_rows(&self.inputs, self.rows.parts(), self.rows.name())?;
        for rule in &self.evidence {
            of_rows(&[rule.source], self.rows.parts(), self.rows.name())?;
        }
        let numbers = self.evidence.iter().flat_map(|rule| [rule.at_least, rule.at_most]);
        if numbers.chain([self.keep.at_least]).flatten().any(f32::is_nan) {
            return Err(contradiction("a bound that is no number"));
        }
        match &self.output {
            Output::Quantiles(Range { least, most, .. }) | Output::Amount(Range { least, most, .. })
                if !(least.is_finite() && most.is_finite() && least <= most) =>
            {
                Err(contradiction("a range of amounts that is none"))
            }
            Output::Label(labels) if labels.len() < 2 => Err(contradiction("fewer than two labels")),
            _ => Ok(()),
        }
    }
}

fn contradiction(what: &str) -> Error {
    Error::new(ErrorKind::PackCorrupt, format!("the insight's spec has {what}"))
}
