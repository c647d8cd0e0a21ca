//! Distances between rows and points.

use super::{Attributes, Operator, Output};
use crate::{
    builder::Builder,
    idioms::SQUARED,
    refusal::{Reason, Reasoned},
    value::Value,
};

/// [`DISTANCES`](crate::idioms::DISTANCES) between each row of the first input and each row of the second.
#[derive(Debug)]
pub(super) struct Distances {
    /// Squared Euclidean instead of Manhattan.
    squared: bool,
}

impl Distances {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        Ok(Self { squared: attributes.int(SQUARED).unwrap_or(1) != 0 })
    }
}

impl Operator for Distances {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Table]
    }

    fn lower(&self, _: &mut Builder, _: &Value) -> Reasoned<Vec<Value>> {
        Reason::err("its second input has no points")
    }

    fn lower_all(&self, builder: &mut Builder, inputs: &[Value]) -> Reasoned<Vec<Value>> {
        let [rows, points] = inputs else { return Reason::err("it needs rows and points") };
        Ok(vec![builder.distances(rows, points, self.squared)?])
    }
}
