//! Conversion of elements to the model's types.

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use tradewind_core::{plan::DType, tensor::TensorData};

/// 2⁵³: every smaller integer is exact in 64-bit floats.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Elements in the file's types; the model's input determines the conversion.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<String>),
    Json(Vec<Value>),
    /// Cells of a CSV, unchanged.
    Cells(Vec<String>),
}

/// One element of [`Elements`].
#[derive(Debug, Clone, Copy)]
enum Element<'a> {
    Missing,
    Float(f64),
    Integer(i64),
    Bool(bool),
    Text(&'a str),
    Cell(&'a str),
}

impl Elements {
    /// Converts the elements to a plan's type (`None` for text), losing only digits of floats. `whence` describes the
    /// position of an element for messages.
    pub fn converted(&self, dtype: Option<DType>, whence: impl Fn(usize) -> String) -> anyhow::Result<TensorData> {
        fn all<'e, T>(
            elements: &'e Elements,
            whence: impl Fn(usize) -> String,
            read: impl Fn(Element<'e>) -> anyhow::Result<T>,
        ) -> anyhow::Result<Vec<T>> {
            let element = |at| elements.at(at).and_then(&read).with_context(|| whence(at));
            (0..elements.len()).map(element).collect()
        }
        Ok(match dtype {
            None => TensorData::Text(all(self, whence, Element::text)?),
            Some(DType::F32) => TensorData::F32(all(self, whence, Element::float)?),
            Some(DType::F64) => TensorData::F64(all(self, whence, Element::double)?),
            Some(DType::I64) => TensorData::I64(all(self, whence, Element::integer)?),
            Some(DType::I32) => TensorData::I32(all(self, whence, Element::narrow)?),
            Some(DType::U8) => TensorData::U8(all(self, whence, Element::narrow)?),
            Some(DType::Bool) => TensorData::Bool(all(self, whence, Element::boolean)?),
        })
    }

    /// Description of the elements' types.
    pub fn kinds(&self) -> String {
        let kinds: BTreeSet<&str> = match self {
            Self::Float(_) => ["float"].into(),
            Self::Integer(_) => ["integer"].into(),
            Self::Bool(_) => ["bool"].into(),
            Self::Text(_) => ["text"].into(),
            Self::Cells(_) => ["cells"].into(),
            Self::Json(elements) => elements.iter().map(json_kind).collect(),
        };
        kinds.into_iter().collect::<Vec<_>>().join(" and ")
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Float(elements) => elements.len(),
            Self::Integer(elements) => elements.len(),
            Self::Bool(elements) => elements.len(),
            Self::Text(elements) | Self::Cells(elements) => elements.len(),
            Self::Json(elements) => elements.len(),
        }
    }

    fn at(&self, at: usize) -> anyhow::Result<Element<'_>> {
        Ok(match self {
            Self::Float(elements) => Element::Float(elements[at]),
            Self::Integer(elements) => Element::Integer(elements[at]),
            Self::Bool(elements) => Element::Bool(elements[at]),
            Self::Text(elements) => Element::Text(&elements[at]),
            Self::Cells(elements) => Element::Cell(&elements[at]),
            Self::Json(elements) => match &elements[at] {
                Value::Null => Element::Missing,
                Value::Bool(element) => Element::Bool(*element),
                Value::String(element) => Element::Text(element),
                Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                    (Some(element), _) => Element::Integer(element),
                    // From 2^63 on an integer is a float, which is not an integer in range.
                    (None, Some(element)) => Element::Float(element),
                    (None, None) => bail!("{number} is out of range"),
                },
                other => bail!("{other} is not a number, text or boolean"),
            },
        })
    }
}

impl Element<'_> {
    fn text(self) -> anyhow::Result<String> {
        match self {
            Self::Text(text) | Self::Cell(text) => Ok(text.to_owned()),
            Self::Missing => bail!("null is not text"),
            Self::Float(x) => bail!("the number {x} is not text"),
            Self::Integer(x) => bail!("the number {x} is not text"),
            Self::Bool(x) => bail!("the boolean {x} is not text"),
        }
    }

    /// Converts to a float; missing values become NaN.
    fn double(self) -> anyhow::Result<f64> {
        Ok(match self {
            Self::Missing | Self::Cell("") => f64::NAN,
            // JSON has no numbers for these.
            Self::Text(word @ ("NaN" | "Infinity" | "-Infinity")) => word.parse()?,
            Self::Text(text) => bail!("the text `{text}` is not a number"),
            Self::Float(x) => x,
            Self::Integer(x) => x as f64,
            Self::Bool(x) => x.into(),
            Self::Cell(cell) => match truth(cell) {
                Some(x) => x.into(),
                None => cell.trim().parse().map_err(|_| anyhow!("`{cell}` is not a number"))?,
            },
        })
    }

    fn float(self) -> anyhow::Result<f32> {
        if let Self::Integer(x) = self {
            // Rounded only once.
            return Ok(x as f32);
        }
        let wide = self.double()?;
        let narrow = wide as f32;
        ensure!(narrow.is_finite() || !wide.is_finite(), "{wide:e} is beyond f32");
        Ok(narrow)
    }

    fn integer(self) -> anyhow::Result<i64> {
        let whole = |x: f64| {
            ensure!(x.fract() == 0.0, "{x} is not an integer");
            ensure!(x.abs() < MOST_EXACT, "{x} as a float may be another integer; write all its digits");
            Ok(x as i64)
        };
        match self {
            Self::Missing | Self::Cell("") => bail!("missing integer"),
            Self::Text(text) => bail!("the text `{text}` is not a number"),
            Self::Float(x) => whole(x),
            Self::Integer(x) => Ok(x),
            Self::Bool(x) => Ok(x.into()),
            Self::Cell(cell) => match (cell.trim().parse(), truth(cell)) {
                (Ok(x), _) => Ok(x),
                (Err(_), Some(x)) => Ok(x.into()),
                _ => whole(cell.trim().parse().map_err(|_| anyhow!("`{cell}` is not a number"))?),
            },
        }
    }

    fn narrow<T: TryFrom<i64>>(self) -> anyhow::Result<T> {
        let wide = self.integer()?;
        T::try_from(wide).map_err(|_| anyhow!("{wide} is out of range"))
    }

    fn boolean(self) -> anyhow::Result<u8> {
        match self.narrow()? {
            bit @ 0..2 => Ok(bit),
            other => bail!("{other} is not a boolean (expected 0, 1, false or true)"),
        }
    }
}

/// Parses a boolean, as written by spreadsheets, Python and databases.
fn truth(cell: &str) -> Option<bool> {
    cell.to_ascii_lowercase().parse().ok()
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}
