//! Lateness: probability that a leg arrives late.
//!
//! ```text
//! from, to ──────────────────────┐
//! departure, distance → features → plan → probability
//! ```
//!
//! A leg is described by facts known at dispatch. The model reads origin and destination as text: it contains what it
//! learnt about each location, and its answer for unknown ones. The same code computes the features for training and
//! for serving.

use super::{
    bound::Model,
    source::{Part, Row, Source, of_rows},
};
use crate::{
    aligned::headroom,
    bounded,
    error::{Error, ErrorKind, Result},
    exec::Executor,
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

pub use super::leg::Leg;

/// Columns of a lateness model, in addition to the locations.
///
/// The model has three inputs, `from` and `to` (text, one column each) and `features` (f32, a column for each feature),
/// and one output: the probability that the leg arrives late (f32, one column). The model card defines late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateSpec {
    /// Columns of the input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Source>,
}

impl LateSpec {
    /// Appends a leg's row, one value for each feature.
    ///
    /// ```
    /// use tradewind_core::{Millis, Source, late::{LateSpec, Leg}};
    ///
    /// let spec = LateSpec { features: vec![Source::Hour, Source::Weekday, Source::Distance] };
    /// // Monday, 4 December 2017, 02:30 UTC: Sunday evening in Chicago.
    /// let departs = Millis(1_512_354_600_000);
    /// let leg = Leg { from: "ORD", to: "SEA", departs, utc_offset: -360, distance: 2765.0 };
    /// let mut row = Vec::new();
    /// spec.row(&leg, &mut row)?;
    /// assert_eq!(row, [20.0, 6.0, 2765.0]);
    /// # Ok::<(), tradewind_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for an invalid moment, offset or distance.
    pub fn row(&self, leg: &Leg<'_>, row: &mut Vec<f32>) -> Result<()> {
        leg.check()?;
        Row { clock: Some(leg.departure()), leg: Some(leg), ..Row::default() }.append(&self.features, row);
        Ok(())
    }
}

/// Computes the probability that each leg is late.
pub(crate) type LateRisk<'a> = dyn FnMut(&[Leg<'_>]) -> Result<Vec<f32>> + 'a;

/// Loaded lateness pack.
#[derive(Debug)]
pub struct LateModel {
    spec: LateSpec,
    model: Model,
}

impl LateModel {
    /// Creates the model, if spec and plan match.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if they do not.
    pub fn new(spec: LateSpec, executor: &Executor) -> Result<Self> {
        of_rows(&spec.features, &[Part::Clock, Part::Leg], "legs")?;
        let model = Model::bind(executor, &["from", "to"], spec.features.len(), Some(1))?;
        Ok(Self { spec, model })
    }

    /// Probability that each leg arrives late (0 to 1).
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for an invalid leg, [`NotFinite`](ErrorKind::NotFinite) if an output is
    /// not a probability; else errors of [`Executor::run`].
    pub fn probabilities(&self, legs: &[Leg<'_>], executor: &mut Executor, weights: &[u8]) -> Result<Vec<f32>> {
        headroom(legs.len().saturating_mul(4 * self.spec.features.len()))?;
        let mut matrix = Vec::with_capacity(legs.len() * self.spec.features.len());
        legs.iter().try_for_each(|leg| self.spec.row(leg, &mut matrix))?;
        let from = |row: usize| legs.get(row).map_or("", |leg| leg.from);
        let to = |row: usize| legs.get(row).map_or("", |leg| leg.to);
        let probabilities = self.model.run(executor, weights, legs.len(), &matrix, &[&from, &to])?;
        match probabilities.iter().position(|probability| !(0.0..=1.0).contains(probability)) {
            None => Ok(probabilities),
            Some(at) => Err(Error::new(
                ErrorKind::NotFinite,
                format!("leg {at} has an invalid probability; check the pack with `tradewind inspect`"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Millis;
    use crate::plan::{Batch, Buffer, BufferId, DType, Dim, Operand, Plan, Port, Step, Unary, UnaryOp};
    use alloc::{string::ToString, vec};

    const MIDNIGHT: Millis = Millis(1_512_345_600_000);

    fn leg(from: &'static str, departs: Millis) -> Leg<'static> {
        Leg { from, to: "B", departs, utc_offset: 0, distance: 0.5 }
    }

    /// Model whose output is the distance; it ignores its other inputs.
    fn executor(features: u32) -> Executor {
        let (mut buffers, mut offset) = (Vec::new(), 0);
        let mut buffer = |dtype: DType, width: u32| {
            buffers.push(Buffer { dtype, len: Dim::per_row(width), offset });
            offset += 64 * width;
            BufferId(buffers.len() as u16 - 1)
        };
        let port = |name: &str, width, buffer, categories: &[&str]| Port {
            name: name.into(),
            shape: vec![Dim::per_row(1), Dim::fixed(width)],
            buffer,
            categories: categories.iter().map(|&category| category.into()).collect(),
        };
        let inputs = vec![
            port("features", features, buffer(DType::F32, features), &[]),
            port("to", 1, buffer(DType::I64, 1), &["A", "B"]),
            port("from", 1, buffer(DType::I64, 1), &["A", "B"]),
        ];
        let output = port("probability", features, buffer(DType::F32, features), &[]);
        let step = Step {
            kernel: Unary { op: UnaryOp::Abs }.into(),
            inputs: vec![Operand::Buffer(BufferId(0))],
            output: BufferId(3),
            node: "abs".into(),
        };
        let plan = Plan {
            batch: Batch::Independent,
            tile: 8,
            arena_bytes: offset,
            inputs,
            outputs: vec![output],
            buffers,
            weights: vec![],
            steps: vec![step],
            texts: vec![],
        };
        Executor::new(plan, &[]).unwrap()
    }

    #[test]
    fn legs_have_probabilities_by_row_and_invalid_values_are_refused() {
        let mut executor = executor(1);
        let model = LateModel::new(LateSpec { features: vec![Source::Distance] }, &executor).unwrap();
        let legs = [leg("A", MIDNIGHT), Leg { distance: 0.25, ..leg("nowhere", MIDNIGHT) }];
        assert_eq!(model.probabilities(&legs, &mut executor, &[]).unwrap(), [0.5, 0.25]);
        assert!(model.probabilities(&[], &mut executor, &[]).unwrap().is_empty());

        let kind =
            |leg, executor: &mut Executor| model.probabilities(&[leg], executor, &[]).map_err(|error| error.kind());
        let bad = Err(ErrorKind::BadRequest);
        assert_eq!(kind(leg("A", Millis(-1)), &mut executor), bad);
        assert_eq!(kind(Leg { utc_offset: i16::MIN, ..leg("A", MIDNIGHT) }, &mut executor), bad);
        assert_eq!(kind(Leg { distance: f32::NAN, ..leg("A", MIDNIGHT) }, &mut executor), bad);
        let answer = kind(Leg { distance: 2.0, ..leg("A", MIDNIGHT) }, &mut executor);
        assert_eq!(answer, Err(ErrorKind::NotFinite), "2 is not a probability");
    }

    #[test]
    fn sources_that_are_not_defined_for_legs_are_refused() {
        let error = LateModel::new(LateSpec { features: vec![Source::ShopperOrders] }, &executor(1)).unwrap_err();
        assert!(error.to_string().contains("source 16 "), "{error}");
    }

    #[test]
    fn a_model_of_another_form_is_refused() {
        let spec = |count| LateSpec { features: vec![Source::Hour; count] };
        assert!(LateModel::new(spec(1), &executor(1)).is_ok());
        assert!(LateModel::new(spec(2), &executor(1)).is_err(), "one column too many");
        assert!(LateModel::new(spec(2), &executor(2)).is_err(), "two outputs for each row");
    }
}
