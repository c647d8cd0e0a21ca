//! `FeatureVectorizer`: concatenates columns of any number type as floats.

use super::{Attributes, Operator, Output};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Value, show},
};
use tradewind_core::plan::DType;

/// Number of columns for each input; excess columns are dropped, missing ones are 0.
#[derive(Debug)]
pub(super) struct FeatureVectorizer {
    widths: Vec<i64>,
}

impl FeatureVectorizer {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let widths = attributes.ints("inputdimensions").to_vec();
        if widths.is_empty() || widths.iter().any(|width| !(0..=i64::from(u16::MAX)).contains(width)) {
            return Reason::err("`inputdimensions` gives no number of columns for each input");
        }
        Ok(Self { widths })
    }
}

impl Operator for FeatureVectorizer {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Scores(self.widths.iter().sum::<i64>() as usize)]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        self.lower_all(builder, std::slice::from_ref(input))
    }

    fn lower_all(&self, builder: &mut Builder, inputs: &[Value]) -> Reasoned<Vec<Value>> {
        if inputs.len() != self.widths.len() {
            return Reason::err(format!("{} inputs for {} widths", inputs.len(), self.widths.len()));
        }
        let rows = inputs[0].shape[0];
        let output = builder.tensor(DType::F32, &[rows, Extent::fixed(self.widths.iter().sum())])?;
        builder.fill(&output, 0.0)?;
        let mut start = 0;
        for (input, &width) in inputs.iter().zip(&self.widths) {
            let columns = match input.shape[..] {
                [count, columns] if count == rows => columns.constant(),
                _ => None,
            };
            let Some(columns) = columns else {
                return Reason::err(format!("an input of shape {} for {rows} rows", show(&input.shape)));
            };
            let taken = Extent::fixed(width.min(columns as i64));
            let part = builder.cast(input, DType::F32)?.slice(1, Extent::ZERO, taken, 1)?;
            let place = output.clone().slice(1, Extent::fixed(start), taken, 1)?;
            builder.copy(&part, &place)?;
            start += width;
        }
        Ok(vec![output])
    }
}
