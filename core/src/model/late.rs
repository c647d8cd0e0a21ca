//! Lateness: how likely is a leg to arrive late?
//!
//! ```text
//! from, to ──────────────────────┐
//! departure, distance → features → plan → probability
//! ```
//!
//! A leg is described by what is known when it is dispatched. Where it starts and ends goes to the
//! model as text: what it learnt of each place is in the model, as is what it says of places that it
//! has never seen. The features are computed by the code that writes the training data.

use super::{bound::Model, columns::columns};
use crate::{
    aligned::headroom,
    bounded,
    domain::time::Millis,
    error::{Error, ErrorKind, Result},
    exec::Executor,
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// What a model is shown of a leg, beside its places.
///
/// The model has three inputs, `from` and `to` (text, a column each) and `features` (f32, a column
/// for each feature), and one output: the probability that the leg arrives late, a column of f32.
/// How late is late, its card says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateSpec {
    /// The columns of the input `features`, in order.
    #[serde(deserialize_with = "bounded::list::<1000, _, _>")]
    pub features: Vec<Feature>,
}

columns! {
    /// A column of the feature matrix.
    pub enum Feature {
        /// The hour of departure by the clock of its place: 0 to 23.
        Hour = "hour",
        /// The day of departure there: 0 for Monday to 6 for Sunday.
        Weekday = "weekday",
        /// Kilometres from start to end.
        Distance = "distance",
    }
}

/// The way of a shipment from one place to another, as it is known when it is dispatched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg<'a> {
    /// The code of the place where it starts.
    pub from: &'a str,
    /// The code of the place where it ends.
    pub to: &'a str,
    /// When it starts.
    pub departs: Millis,
    /// Minutes by which the clocks of the start are ahead of UTC.
    pub utc_offset: i16,
    /// Kilometres.
    pub distance: f32,
}

impl Leg<'_> {
    /// The largest difference of a clock from UTC, in minutes.
    pub const MAX_OFFSET: i16 = 1_440;

    fn check(&self) -> Result<()> {
        self.departs.check()?;
        if self.utc_offset.unsigned_abs() > Self::MAX_OFFSET.unsigned_abs() {
            let message = format!("a clock that is {} minutes ahead of UTC; at most a day is taken", self.utc_offset);
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        if !(0.0..=50_000.0).contains(&self.distance) {
            return Err(Error::new(ErrorKind::BadRequest, "a distance that is not 0 to 50,000 kilometres"));
        }
        Ok(())
    }

    /// Milliseconds since 1970-01-01 00:00 by the clock of the start.
    fn local(&self) -> i64 {
        self.departs.0.saturating_add(i64::from(self.utc_offset) * 60_000)
    }

    fn value(&self, feature: Feature) -> f32 {
        match feature {
            Feature::Hour => (self.local().rem_euclid(Millis::DAY) / 3_600_000) as f32,
            // The first of January 1970 was a Thursday.
            Feature::Weekday => (self.local().div_euclid(Millis::DAY) + 3).rem_euclid(7) as f32,
            Feature::Distance => self.distance,
        }
    }
}

impl LateSpec {
    /// Appends a leg's row, one value for each feature.
    ///
    /// ```
    /// use tradewind_core::{Millis, late::{Feature, LateSpec, Leg}};
    ///
    /// let spec = LateSpec { features: vec![Feature::Hour, Feature::Weekday, Feature::Distance] };
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
    /// [`BadRequest`](ErrorKind::BadRequest) for a moment, offset or distance that cannot be.
    pub fn row(&self, leg: &Leg<'_>, row: &mut Vec<f32>) -> Result<()> {
        leg.check()?;
        row.extend(self.features.iter().map(|&feature| leg.value(feature)));
        Ok(())
    }
}

/// How likely each of some legs is late.
pub(crate) type LateRisk<'a> = dyn FnMut(&[Leg<'_>]) -> Result<Vec<f32>> + 'a;

/// A lateness pack that is loaded.
#[derive(Debug)]
pub struct LateModel {
    spec: LateSpec,
    model: Model,
}

impl LateModel {
    /// Checks that spec and plan fit each other.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) when they do not.
    pub fn new(spec: LateSpec, executor: &Executor) -> Result<Self> {
        let model = Model::bind(executor, &["from", "to"], spec.features.len(), Some(1))?;
        Ok(Self { spec, model })
    }

    /// The probability of each leg to arrive late, from 0 to 1.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for a leg that cannot be,
    /// [`NotFinite`](ErrorKind::NotFinite) when the model gives no probability; else as
    /// [`Executor::run`].
    pub fn probabilities(&self, legs: &[Leg<'_>], executor: &mut Executor, weights: &[u8]) -> Result<Vec<f32>> {
        headroom(legs.len().saturating_mul(4 * self.spec.features.len()))?;
        let mut matrix = Vec::with_capacity(legs.len() * self.spec.features.len());
        legs.iter().try_for_each(|leg| self.spec.row(leg, &mut matrix))?;
        let from = |row: usize| legs.get(row).map_or("", |leg| leg.from);
        let to = |row: usize| legs.get(row).map_or("", |leg| leg.to);
        let probabilities = self.model.run(executor, weights, &matrix, &[&from, &to])?;
        match probabilities.iter().position(|probability| !(0.0..=1.0).contains(probability)) {
            None => Ok(probabilities),
            Some(at) => Err(Error::new(
                ErrorKind::NotFinite,
                format!("the model gave no probability for leg {at}; check the pack with `tradewind inspect`"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Batch, Buffer, BufferId, DType, Dim, Operand, Plan, Port, Step, Unary, UnaryOp};
    use alloc::vec;

    const MIDNIGHT: Millis = Millis(1_512_345_600_000);

    fn leg(from: &'static str, departs: Millis) -> Leg<'static> {
        Leg { from, to: "B", departs, utc_offset: 0, distance: 0.5 }
    }

    /// A model that gives the distance as the probability, and reads nothing else.
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
        };
        Executor::new(plan, &[]).unwrap()
    }

    #[test]
    fn hours_and_weekdays_are_those_of_the_place() {
        let spec = LateSpec { features: vec![Feature::Hour, Feature::Weekday] };
        let row = |utc_offset| {
            let mut row = Vec::new();
            spec.row(&Leg { utc_offset, ..leg("A", MIDNIGHT) }, &mut row).unwrap();
            row
        };
        assert_eq!(row(0), [0.0, 0.0], "Monday");
        assert_eq!(row(-1), [23.0, 6.0], "Sunday, a minute to midnight");
        assert_eq!(row(330), [5.0, 0.0]);
    }

    #[test]
    fn legs_have_probabilities_by_row_and_nonsense_is_refused() {
        let mut executor = executor(1);
        let model = LateModel::new(LateSpec { features: vec![Feature::Distance] }, &executor).unwrap();
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
        assert_eq!(answer, Err(ErrorKind::NotFinite), "2 is no probability");
    }

    #[test]
    fn a_model_of_another_form_is_refused() {
        let spec = |count| LateSpec { features: vec![Feature::Hour; count] };
        assert!(LateModel::new(spec(1), &executor(1)).is_ok());
        assert!(LateModel::new(spec(2), &executor(1)).is_err(), "a column too many");
        assert!(LateModel::new(spec(2), &executor(2)).is_err(), "two outputs a row");
    }
}
