//! Shared parts of classifiers: class labels, and transforms of scores.

use crate::{
    attributes::Attributes,
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value, categories},
};
use tract_onnx::prelude::{Datum as _, DatumType};
use tradewind_core::plan::UnaryOp;

/// Labels of a classifier's classes.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Integers(Vec<i64>),
    Strings(Vec<String>),
}

impl Labels {
    /// Reads the attributes `strings` and `integers`.
    pub fn read(attributes: &Attributes<'_>, strings: &str, integers: &str) -> Reasoned<Self> {
        let texts = attributes.strings(strings)?;
        match (texts.is_empty(), attributes.ints(integers)) {
            (false, _) => Ok(Self::Strings(texts)),
            (true, []) => Reason::err(format!("neither `{strings}` nor `{integers}` names the classes")),
            (true, labels) => Ok(Self::Integers(labels.to_vec())),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Integers(labels) => labels.len(),
            Self::Strings(labels) => labels.len(),
        }
    }

    pub fn datum_type(&self) -> DatumType {
        match self {
            Self::Integers(_) => i64::datum_type(),
            Self::Strings(_) => String::datum_type(),
        }
    }

    /// Label of each class position in `winners`, `[rows]` of I64.
    pub fn pick(&self, builder: &mut Builder, winners: &Value) -> Reasoned<Value> {
        match self {
            Self::Integers(labels) if labels.iter().zip(0..).all(|(label, position)| *label == position) => {
                Ok(winners.clone())
            }
            Self::Integers(labels) => {
                let table = Value::constant(Constant::i64(labels), &[labels.len()])?;
                builder.gather(&table, 0, winners)
            }
            Self::Strings(labels) => {
                let (categories, positions) = categories(labels);
                let value = if positions.iter().zip(0..).all(|(position, n)| *position == n) {
                    winners.clone()
                } else {
                    let table = Value::constant(Constant::i64(&positions), &[positions.len()])?;
                    builder.gather(&table, 0, winners)?
                };
                Ok(value.with_categories(Some(categories)))
            }
        }
    }

    /// Label `yes` if `condition` holds, otherwise `no`: an integer, or a position among the strings.
    pub fn choose(&self, builder: &mut Builder, condition: &Value, yes: Label, no: Label) -> Reasoned<Value> {
        let (table, categories) = match self {
            Self::Integers(labels) => (labels.clone(), None),
            Self::Strings(labels) => {
                let (categories, positions) = categories(labels);
                (positions, Some(categories))
            }
        };
        let resolve = |label: Label| match (label, self) {
            (Label::Literal(value), Self::Integers(_)) => Some(value),
            (Label::Literal(position) | Label::Class(position), _) => {
                table.get(usize::try_from(position).ok()?).copied()
            }
        };
        let (Some(yes), Some(no)) = (resolve(yes), resolve(no)) else {
            return Reason::err("it has fewer class labels than classes");
        };
        let [yes, no] = [yes, no].map(|label| Value::integer(tradewind_core::plan::DType::I64, label));
        Ok(builder.select(condition, &yes, &no)?.with_categories(categories))
    }
}

/// One of two labels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    /// Label of the class at this position.
    Class(i64),
    /// This integer, for any labels; for strings the class at this position.
    Literal(i64),
}

/// `post_transform` of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
    Probit,
}

impl Transform {
    pub fn read(name: &str) -> Reasoned<Self> {
        match name {
            "NONE" => Ok(Self::None),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX" => Ok(Self::Softmax),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            "PROBIT" => Ok(Self::Probit),
            other => Reason::err(format!("unknown post transform `{other}`")),
        }
    }

    /// Transforms scores `[rows, columns]`, each row independently.
    pub fn apply(self, builder: &mut Builder, scores: &Value) -> Reasoned<Value> {
        match self {
            Self::None => Ok(scores.clone()),
            Self::Logistic => builder.unary(UnaryOp::Sigmoid, scores),
            Self::Softmax => builder.softmax(scores, 1, false, false),
            Self::SoftmaxZero => builder.softmax(scores, 1, false, true),
            Self::Probit => builder.unary(UnaryOp::Probit, scores),
        }
    }

    /// onnxruntime transforms a single column only for `PROBIT`.
    pub fn apply_to_one_column(self, builder: &mut Builder, scores: &Value) -> Reasoned<Value> {
        if self == Self::Probit { self.apply(builder, scores) } else { Ok(scores.clone()) }
    }
}

/// Column `n` of `[rows, columns]`, as `[rows, 1]`.
pub(super) fn column(scores: &Value, n: usize) -> Reasoned<Value> {
    scores.clone().slice(1, Extent::fixed(n as i64), Extent::ONE, 1)
}

/// Reshapes `[rows, 1]` to `[rows]`.
pub(super) fn flat(column: &Value) -> Value {
    column.clone().remove_axis(1)
}
