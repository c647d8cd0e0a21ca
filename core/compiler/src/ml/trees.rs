//! `TreeEnsembleRegressor`, `TreeEnsembleClassifier` and `TreeEnsemble`.
//!
//! The specification does not define a missing vote, a single weight column, or one base value for two classes. The
//! results here are onnxruntime's, including its oddities, because models are checked with it before they are shipped.

use super::{
    Attributes, Operator, Output,
    ensemble::{Ensemble, Reach},
    forest::forest,
    labels::{Label, Labels, Transform, column, flat},
};
use crate::{
    builder::Builder,
    refusal::{Reason, Reasoned},
    value::Value,
};
use tradewind_core::plan::{Aggregate, BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Scores of an ensemble, and the targets that any tree voted for.
struct Scores {
    /// `[rows, targets]`.
    values: Value,
    voted: Voted,
}

/// Whether a row has a vote for a target: known when packing for most ensembles, and counted by a second walk for the
/// rest.
struct Voted {
    reach: Vec<Reach>,
    /// `[rows, targets]`, Bool.
    counted: Option<Value>,
}

impl Voted {
    /// Whether rows have a vote for `target`, `[rows, 1]`, if that depends on the row.
    fn per_row(&self, target: usize) -> Reasoned<Option<Value>> {
        match &self.counted {
            Some(counted) if self.reach[target] == Reach::Sometimes => column(counted, target).map(Some),
            _ => Ok(None),
        }
    }

    /// `score`, `[rows, 1]`, or zero if no tree voted for `target`.
    fn or_zero(&self, builder: &mut Builder, target: usize, score: &Value) -> Reasoned<Value> {
        let zero = Value::scalar(0.0);
        match (self.reach[target], self.per_row(target)?) {
            (Reach::Never, _) => zero.broadcast(&score.shape),
            (_, Some(voted)) => builder.select(&voted, score, &zero),
            _ => Ok(score.clone()),
        }
    }
}

fn score(
    builder: &mut Builder,
    input: &Value,
    ensemble: &Ensemble,
    targets: usize,
    aggregate: Aggregate,
    base: &[f32],
) -> Reasoned<Scores> {
    if ensemble.rounded {
        let text = format!("node `{}`: tree thresholds and weights in f64 are rounded to f32", builder.node);
        builder.note(text);
    }
    let features = input.shape.last().and_then(|extent| extent.constant()).unwrap_or(0);
    if let Some(wide) = ensemble.features().find(|feature| *feature as usize >= features) {
        return Reason::err(format!("a tree uses feature {wide} of rows with {features} features"));
    }
    let x = builder.cast(input, DType::F32)?;
    let mut padded = base.to_vec();
    padded.resize(targets, 0.0);
    let values = builder.trees(&x, &forest(ensemble, aggregate)?, &padded, aggregate)?;
    let reach = ensemble.reach(targets);
    let counted = if reach.contains(&Reach::Sometimes) {
        let presence = forest(&ensemble.presence(), Aggregate::Max)?;
        let count = builder.trees(&x, &presence, &vec![0.0; targets], Aggregate::Max)?;
        Some(builder.compare(CompareOp::Greater, &count, &Value::scalar(0.0))?)
    } else {
        None
    };
    Ok(Scores { values, voted: Voted { reach, counted } })
}

/// `TreeEnsembleRegressor` or `TreeEnsemble`.
#[derive(Debug)]
pub(super) struct TreeRegressor {
    ensemble: Ensemble,
    targets: usize,
    aggregate: Aggregate,
    base: Vec<f32>,
    transform: Transform,
}

impl TreeRegressor {
    pub fn read_v3(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let targets = count(attributes)?;
        let aggregate = match attributes.string("aggregate_function", "SUM")?.as_str() {
            "AVERAGE" => Aggregate::Average,
            "SUM" => Aggregate::Sum,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => return Reason::err(format!("unknown aggregate `{other}`")),
        };
        let base = attributes.numbers("base_values")?;
        if !base.values.is_empty() && base.values.len() != targets {
            return Reason::err(format!("{} base values for {targets} targets", base.values.len()));
        }
        Ok(Self {
            ensemble: Ensemble::read(attributes, "target", targets)?,
            targets,
            aggregate,
            base: base.rounded(),
            transform: Transform::read(&attributes.string("post_transform", "NONE")?)?,
        })
    }

    pub fn read_v5(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let targets = count(attributes)?;
        let aggregate = match attributes.int("aggregate_function").unwrap_or(1) {
            0 => Aggregate::Average,
            1 => Aggregate::Sum,
            2 => Aggregate::Min,
            3 => Aggregate::Max,
            other => return Reason::err(format!("unknown aggregate {other}")),
        };
        let transform = match attributes.int("post_transform").unwrap_or(0) {
            0 => Transform::None,
            1 => Transform::Logistic,
            2 => Transform::Softmax,
            3 => Transform::SoftmaxZero,
            4 => Transform::Probit,
            other => return Reason::err(format!("unknown post transform {other}")),
        };
        let ensemble = Ensemble::read_v5(attributes, targets)?;
        Ok(Self { ensemble, targets, aggregate, base: Vec::new(), transform })
    }
}

fn count(attributes: &Attributes<'_>) -> Reasoned<usize> {
    let targets = attributes.int("n_targets").unwrap_or(1);
    usize::try_from(targets).ok().filter(|targets| *targets > 0).ok_or_else(|| Reason(format!("{targets} targets")))
}

impl Operator for TreeRegressor {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Scores(self.targets)]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let scores = score(builder, input, &self.ensemble, self.targets, self.aggregate, &self.base)?;
        if self.targets == 1 {
            return Ok(vec![self.transform.apply_to_one_column(builder, &scores.values)?]);
        }
        let values = without_votes(builder, &scores)?;
        Ok(vec![self.transform.apply(builder, &values)?])
    }
}

/// The scores, or zero (not the base value) if no tree voted.
fn without_votes(builder: &mut Builder, scores: &Scores) -> Reasoned<Value> {
    if scores.voted.reach.iter().all(|reach| *reach == Reach::Always) {
        return Ok(scores.values.clone());
    }
    let columns = (0..scores.voted.reach.len())
        .map(|target| scores.voted.or_zero(builder, target, &column(&scores.values, target)?))
        .collect::<Reasoned<Vec<_>>>()?;
    builder.concat(&columns, 1)
}

/// `TreeEnsembleClassifier`.
#[derive(Debug)]
pub(super) struct TreeClassifier {
    ensemble: Ensemble,
    labels: Labels,
    base: Vec<f32>,
    transform: Transform,
    /// Whether there are two classes, and leaves vote for only one.
    lone_column: bool,
    /// Whether no leaf weight is negative.
    positive: bool,
}

impl TreeClassifier {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let labels = Labels::read(attributes, "classlabels_strings", "classlabels_int64s")?;
        let classes = labels.len();
        let base = attributes.numbers("base_values")?.rounded();
        if base.len() > 1 && base.len() != classes || base.len() == 1 && classes > 2 {
            return Reason::err(format!("{} base values for {classes} classes", base.len()));
        }
        let ensemble = Ensemble::read(attributes, "class", classes)?;
        let lone_column = classes == 2 && {
            let mut targets = ensemble.votes().map(|vote| vote.target);
            let first = targets.next();
            targets.all(|target| Some(target) == first)
        };
        let positive = ensemble.votes().all(|vote| vote.weight >= 0.0);
        let transform = Transform::read(&attributes.string("post_transform", "NONE")?)?;
        Ok(Self { ensemble, labels, base, transform, lone_column, positive })
    }

    fn base(&self, class: usize) -> f32 {
        self.base.get(class).copied().unwrap_or(0.0)
    }

    /// Three classes or more: the first maximum among those with votes.
    fn many(&self, builder: &mut Builder, scores: &Scores) -> Reasoned<[Value; 2]> {
        // Base values count as votes.
        let (values, compared) = if self.base.is_empty() {
            let mut compared = scores.values.clone();
            if scores.voted.reach.iter().any(|reach| *reach != Reach::Always) {
                let least = Value::scalar(f32::NEG_INFINITY);
                let columns = (0..self.labels.len())
                    .map(|class| {
                        let score = column(&scores.values, class)?;
                        match (scores.voted.reach[class], scores.voted.per_row(class)?) {
                            (Reach::Never, _) => least.broadcast(&score.shape),
                            (_, Some(voted)) => builder.select(&voted, &score, &least),
                            _ => Ok(score),
                        }
                    })
                    .collect::<Reasoned<Vec<_>>>()?;
                compared = builder.concat(&columns, 1)?;
            }
            (without_votes(builder, scores)?, compared)
        } else {
            (scores.values.clone(), scores.values.clone())
        };
        let winners = flat(&builder.reduce(ReduceOp::ArgMax, &compared, &[1])?);
        Ok([self.labels.pick(builder, &winners)?, self.transform.apply(builder, &values)?])
    }

    /// Two classes, the second with a vote: two scores, of which the second decides.
    fn two_voted(&self, builder: &mut Builder, scores: &Scores) -> Reasoned<[Value; 2]> {
        let (first, second) = (column(&scores.values, 0)?, column(&scores.values, 1)?);
        let (first, second) = if self.base.len() == 2 {
            // The second score is computed from the votes for the first.
            let second = builder.binary(BinaryOp::Add, &first, &Value::scalar(self.base(1)))?;
            (builder.unary(UnaryOp::Neg, &second)?, second)
        } else {
            (self.shifted(builder, &first)?, second)
        };
        let first = scores.voted.or_zero(builder, 0, &first)?;
        let label = self.label(builder, &second)?;
        let both = builder.concat(&[first, second], 1)?;
        Ok([label, self.transform.apply(builder, &both)?])
    }

    /// Two classes, the second without a vote: the first score decides, and with fewer than two base values it
    /// determines both.
    fn one_voted(&self, builder: &mut Builder, scores: &Scores) -> Reasoned<[Value; 2]> {
        let first = self.shifted(builder, &column(&scores.values, 0)?)?;
        let first = scores.voted.or_zero(builder, 0, &first)?;
        let label = self.label(builder, &first)?;
        if self.base.len() == 2 {
            let zero = Value::scalar(0.0).broadcast(&first.shape)?;
            let both = builder.concat(&[first, zero], 1)?;
            return Ok([label, self.transform.apply(builder, &both)?]);
        }
        if self.transform == Transform::Probit || (!self.lone_column && self.base.len() == 1) {
            return Reason::err(
                "the score of the second class is undefined for rows that no tree gives a vote for it; \
                 export both weight columns, or another post transform",
            );
        }
        let pair = if self.transform == Transform::Logistic {
            let opposite = builder.unary(UnaryOp::Neg, &first)?;
            let both = builder.concat(&[opposite, first], 1)?;
            builder.unary(UnaryOp::Sigmoid, &both)?
        } else {
            let rest = if self.lone_column && self.positive { 1.0 } else { 0.0 };
            let rest = builder.binary(BinaryOp::Sub, &Value::scalar(rest), &first)?;
            builder.concat(&[rest, first], 1)?
        };
        Ok([label, pair])
    }

    /// First column of scores with the first base value.
    fn shifted(&self, builder: &mut Builder, first: &Value) -> Reasoned<Value> {
        match self.base.first() {
            Some(base) => builder.binary(BinaryOp::Add, first, &Value::scalar(*base)),
            None => Ok(first.clone()),
        }
    }

    /// Label of two classes by the deciding score, `[rows, 1]`.
    fn label(&self, builder: &mut Builder, decider: &Value) -> Reasoned<Value> {
        let bound = if self.lone_column && self.positive { 0.5 } else { 0.0 };
        let holds = builder.compare(CompareOp::Greater, &flat(decider), &Value::scalar(bound))?;
        let [yes, no] = if self.lone_column {
            [Label::Class(1), Label::Class(0)]
        } else {
            // onnxruntime returns 1 or 0 here, for any labels.
            if matches!(&self.labels, Labels::Integers(labels) if labels != &[0, 1]) {
                let text =
                    format!("node `{}`: with two weight columns the label is 1 or 0, as in onnxruntime", builder.node);
                builder.note(text);
            }
            [Label::Literal(1), Label::Literal(0)]
        };
        self.labels.choose(builder, &holds, yes, no)
    }
}

impl Operator for TreeClassifier {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Labels(self.labels.datum_type()), Output::Scores(self.labels.len())]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let classes = self.labels.len();
        // Two classes have their own rules for base values.
        let base = if classes == 2 { &[][..] } else { &self.base };
        let scores = score(builder, input, &self.ensemble, classes, Aggregate::Sum, base)?;
        let outputs = match classes {
            1 => {
                let holds = builder.compare(CompareOp::Greater, &flat(&scores.values), &Value::scalar(0.0))?;
                let label = self.labels.choose(builder, &holds, Label::Literal(1), Label::Literal(0))?;
                [label, self.transform.apply_to_one_column(builder, &scores.values)?]
            }
            2 => match (scores.voted.reach[1], scores.voted.per_row(1)?) {
                (Reach::Never, _) => self.one_voted(builder, &scores)?,
                (_, Some(voted)) => {
                    let [label, both] = self.two_voted(builder, &scores)?;
                    let [other_label, other_both] = self.one_voted(builder, &scores)?;
                    let categories = label.categories.clone();
                    let label = builder.select(&flat(&voted), &label, &other_label)?.with_categories(categories);
                    [label, builder.select(&voted, &both, &other_both)?]
                }
                _ => self.two_voted(builder, &scores)?,
            },
            _ => self.many(builder, &scores)?,
        };
        Ok(outputs.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Options,
        extent::Extent,
        lower::Draft,
        ml::{
            ensemble::{Node, Vote},
            threshold::{TreeMode, TreeTest},
        },
        plan::finish,
    };
    use tradewind_core::{
        Executor,
        aligned::AlignedBytes,
        exec::{Data, DataMut},
    };

    #[test]
    fn a_large_tree_over_a_million_features_looks_at_those_of_its_tests() {
        // The first of the features 1, 871, 1741 … that is at most 0 determines the leaf.
        const FEATURES: usize = 1 << 20;
        const TESTS: usize = 1200;
        let feature = |n: usize| 1 + 870 * n;
        let mut ensemble = Ensemble { roots: vec![0], ..Ensemble::default() };
        for n in 0..=TESTS {
            let test = TreeTest { feature: feature(n) as u32, missing_true: false, mode: TreeMode::LessOrEqual };
            let leaf = Node::Leaf(vec![Vote { target: 0, weight: n as f32 }]);
            if n < TESTS {
                let branch = Node::Branch { test, threshold: 0.0, on_true: 2 * n + 1, on_false: 2 * n + 2 };
                ensemble.nodes.push(branch);
            }
            ensemble.nodes.push(leaf);
        }
        let mut builder = Builder::default();
        let rows = Extent { fixed: 0, per_row: 1 };
        let x = builder.tensor(DType::F32, &[rows, Extent::fixed(FEATURES as i64)]).expect("it can be counted");
        let y = score(&mut builder, &x, &ensemble, 1, Aggregate::Sum, &[0.5]).expect("it can be scored").values;
        let draft =
            Draft { builder, inputs: vec![("x".into(), x)], outputs: vec![("y".into(), y)], vectorized: vec![] };
        let compiled = finish(draft, &Options::default()).expect("a small plan");
        let weights = AlignedBytes::copy_of(&compiled.weights).expect("small");
        let mut executor = Executor::new(compiled.plan, weights.as_slice()).expect("a sound plan");
        let mut x = vec![1.0; FEATURES];
        let mut y = [0.0];
        for (n, expected) in [(TESTS, 1200.5), (1000, 1000.5), (2, 2.5)] {
            x[feature(n)] = 0.0;
            executor.run(weights.as_slice(), 1, &[Data::F32(&x)], &mut [DataMut::F32(&mut y)]).expect("it runs");
            assert_eq!(y, [expected]);
        }
    }
}
