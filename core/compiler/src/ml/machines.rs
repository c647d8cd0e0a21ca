//! `SVMClassifier` and `SVMRegressor`: support vector machines, with a kernel or linear.

use super::{
    Attributes, Operator, Output,
    labels::{Labels, Transform, flat},
};
use crate::{
    builder::Builder,
    extent::Extent,
    refusal::{Reason, Reasoned},
    value::{Constant, Value},
};
use tradewind_core::plan::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Kernel function of a row and a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `x·v`
    Linear,
    /// `(γ x·v + c)^d`
    Polynomial,
    /// `exp(−γ |x − v|²)`
    Radial,
    /// `tanh(γ x·v + c)`
    Sigmoid,
}

/// Kernel with its parameters and support vectors.
#[derive(Debug)]
struct Vectors {
    kind: Kind,
    gamma: f32,
    offset: f32,
    degree: f32,
    /// Row-major `[count, features]`.
    coordinates: Vec<f32>,
    count: usize,
}

impl Vectors {
    /// Reads a node's attributes; `kind` overrides them.
    fn read(attributes: &Attributes<'_>, kind: Option<Kind>, coordinates: &[f32], count: usize) -> Reasoned<Self> {
        if count == 0 || coordinates.is_empty() || !coordinates.len().is_multiple_of(count) {
            return Reason::err(format!("{} coordinates for {count} vectors", coordinates.len()));
        }
        let named = match attributes.string("kernel_type", "LINEAR")?.as_str() {
            "LINEAR" => Kind::Linear,
            "POLY" => Kind::Polynomial,
            "RBF" => Kind::Radial,
            "SIGMOID" => Kind::Sigmoid,
            other => return Reason::err(format!("unknown kernel `{other}`")),
        };
        let (gamma, offset, degree) = match *attributes.floats("kernel_params") {
            [] => (0.0, 0.0, 0.0),
            [gamma, offset, degree] => (gamma, offset, degree),
            ref other => return Reason::err(format!("{} kernel parameters (expected 3)", other.len())),
        };
        Ok(Self { kind: kind.unwrap_or(named), gamma, offset, degree, coordinates: coordinates.to_vec(), count })
    }

    /// Kernel of each row and each vector, `[rows, count]`; `plus` is added to a linear one.
    fn products(&self, builder: &mut Builder, input: &Value, plus: f32) -> Reasoned<Value> {
        let features = self.coordinates.len() / self.count;
        if input.shape.last().and_then(|extent| extent.constant()) != Some(features) {
            return Reason::err(format!(
                "its vectors have {features} coordinates, which differs from the rows' number"
            ));
        }
        let x = builder.cast(input, DType::F32)?;
        if self.kind == Kind::Radial {
            let vectors = Builder::f32s(&self.coordinates, &[self.count, features])?;
            let distances = builder.distances(&x, &vectors, true)?;
            let scaled = builder.binary(BinaryOp::Mul, &distances, &Value::scalar(-self.gamma))?;
            return builder.unary(UnaryOp::Exp, &scaled);
        }
        let columns: Vec<f32> =
            (0..self.coordinates.len()).map(|n| self.coordinates[n % self.count * features + n / self.count]).collect();
        let mut products = builder.dense(&x, &columns, self.count, None)?;
        let mut offset = plus;
        if self.kind != Kind::Linear {
            products = builder.binary(BinaryOp::Mul, &products, &Value::scalar(self.gamma))?;
            offset = self.offset;
        }
        if offset != 0.0 {
            products = builder.binary(BinaryOp::Add, &products, &Value::scalar(offset))?;
        }
        match (self.kind, self.degree) {
            (Kind::Sigmoid, _) => builder.unary(UnaryOp::Tanh, &products),
            (Kind::Polynomial, 2.0) => builder.unary(UnaryOp::Square, &products),
            (Kind::Polynomial, 3.0) => {
                let square = builder.unary(UnaryOp::Square, &products)?;
                builder.binary(BinaryOp::Mul, &square, &products)
            }
            (Kind::Polynomial, degree) => builder.binary(BinaryOp::Pow, &products, &Value::scalar(degree)),
            _ => Ok(products),
        }
    }
}

/// `SVMRegressor`.
#[derive(Debug)]
pub(super) struct SvmRegressor {
    vectors: Vectors,
    /// One per vector; `None` if the only vector contains the coefficients.
    coefficients: Vec<f32>,
    rho: f32,
    one_class: bool,
}

impl SvmRegressor {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let coefficients = attributes.floats("coefficients").to_vec();
        let &[rho, ..] = attributes.floats("rho") else { return Reason::err("it has no `rho`") };
        let one_class = attributes.int("one_class").unwrap_or(0) != 0;
        let count = usize::try_from(attributes.int("n_supports").unwrap_or(0)).unwrap_or(0);
        if count == 0 {
            let vectors = Vectors::read(attributes, Some(Kind::Linear), &coefficients, 1)?;
            return Ok(Self { vectors, coefficients: Vec::new(), rho, one_class });
        }
        if coefficients.len() != count {
            return Reason::err(format!("{} coefficients for {count} support vectors", coefficients.len()));
        }
        let vectors = Vectors::read(attributes, None, attributes.floats("support_vectors"), count)?;
        Ok(Self { vectors, coefficients, rho, one_class })
    }
}

impl Operator for SvmRegressor {
    fn outputs(&self) -> Vec<Output> {
        vec![Output::Scores(1)]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let score = if self.coefficients.is_empty() {
            self.vectors.products(builder, input, self.rho)?
        } else {
            let products = self.vectors.products(builder, input, 0.0)?;
            builder.dense(&products, &self.coefficients, 1, Some(&[self.rho]))?
        };
        if !self.one_class {
            return Ok(vec![score]);
        }
        let inside = builder.compare(CompareOp::Greater, &score, &Value::scalar(0.0))?;
        Ok(vec![builder.select(&inside, &Value::scalar(1.0), &Value::scalar(-1.0))?])
    }
}

/// `SVMClassifier`.
#[derive(Debug)]
pub(super) struct SvmClassifier {
    labels: Labels,
    transform: Transform,
    vectors: Vectors,
    machine: Machine,
}

/// Computation after the kernel.
#[derive(Debug)]
enum Machine {
    /// A score for each class; the vectors are the coefficients.
    Linear { rho: f32, all_positive: bool, has_probabilities: bool },
    /// A score for each pair of classes.
    Pairs(Pairs),
}

#[derive(Debug)]
struct Pairs {
    /// Number of support vectors of each class.
    sizes: Vec<usize>,
    /// Row-major `[classes − 1, vectors]`.
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    /// Slope and offset of a sigmoid for each pair; empty without probabilities.
    sigmoids: Vec<(f32, f32)>,
}

impl SvmClassifier {
    pub fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let labels = Labels::read(attributes, "classlabels_strings", "classlabels_ints")?;
        let transform = Transform::read(&attributes.string("post_transform", "NONE")?)?;
        let (coefficients, rho) = (attributes.floats("coefficients"), attributes.floats("rho"));
        let (slopes, offsets) = (attributes.floats("prob_a"), attributes.floats("prob_b"));
        let sizes = attributes.ints("vectors_per_class").iter().map(|&size| usize::try_from(size).unwrap_or(0));
        let sizes: Vec<usize> = sizes.collect();
        let (count, classes) = (sizes.iter().sum::<usize>(), labels.len());
        if classes < 2 {
            return Reason::err("it has a single class, so its result is constant");
        }
        if count == 0 {
            let &[rho, ..] = rho else { return Reason::err("it has no `rho`") };
            let vectors = Vectors::read(attributes, Some(Kind::Linear), coefficients, classes)?;
            let all_positive = coefficients.iter().all(|coefficient| *coefficient >= 0.0);
            let machine = Machine::Linear { rho, all_positive, has_probabilities: !slopes.is_empty() };
            return Ok(Self { labels, transform, vectors, machine });
        }
        let pairs = classes * (classes - 1) / 2;
        let fits = |found: usize, wanted: usize, what: &str| {
            if found == wanted { Ok(()) } else { Reason::err(format!("{found} {what} (expected {wanted})")) }
        };
        fits(sizes.len(), classes, "counts of vectors")?;
        fits(coefficients.len(), (classes - 1) * count, "coefficients")?;
        fits(rho.len(), pairs, "`rho`")?;
        if !slopes.is_empty() || !offsets.is_empty() {
            fits(slopes.len(), pairs, "`prob_a`")?;
            fits(offsets.len(), pairs, "`prob_b`")?;
        }
        if classes == 2 && slopes.is_empty() && transform == Transform::Probit {
            return Reason::err("the score of the other class is undefined for PROBIT; export with another transform");
        }
        let vectors = Vectors::read(attributes, None, attributes.floats("support_vectors"), count)?;
        let sigmoids = slopes.iter().copied().zip(offsets.iter().copied()).collect();
        let pairs = Pairs { sizes, coefficients: coefficients.to_vec(), rho: rho.to_vec(), sigmoids };
        Ok(Self { labels, transform, vectors, machine: Machine::Pairs(pairs) })
    }
}

impl Operator for SvmClassifier {
    fn outputs(&self) -> Vec<Output> {
        let classes = self.labels.len();
        let scores = match &self.machine {
            Machine::Pairs(pairs) if classes > 2 && pairs.sigmoids.is_empty() => pairs.rho.len(),
            _ => classes,
        };
        vec![Output::Labels(self.labels.datum_type()), Output::Scores(scores)]
    }

    fn lower(&self, builder: &mut Builder, input: &Value) -> Reasoned<Vec<Value>> {
        let pairs = match &self.machine {
            Machine::Pairs(pairs) => pairs,
            Machine::Linear { rho, all_positive, has_probabilities } => {
                let scores = self.vectors.products(builder, input, *rho)?;
                let mut winners = flat(&builder.reduce(ReduceOp::ArgMax, &scores, &[1])?);
                if self.labels.len() == 2 && !has_probabilities {
                    // If the maximum score counts as positive, the label is the second class.
                    let greatest = flat(&builder.reduce(ReduceOp::Max, &scores, &[1])?);
                    let (op, bound) =
                        if *all_positive { (CompareOp::GreaterOrEqual, 0.5) } else { (CompareOp::Greater, 0.0) };
                    let positive = builder.compare(op, &greatest, &Value::scalar(bound))?;
                    winners = builder.select(&positive, &Value::integer(DType::I64, 1), &winners)?;
                }
                let label = self.labels.pick(builder, &winners)?;
                return Ok(vec![label, self.transform.apply(builder, &scores)?]);
            }
        };
        let products = self.vectors.products(builder, input, 0.0)?;
        let scores = pairs.scores(builder, &products)?;
        let winners = pairs.winners(builder, &scores)?;
        let label = self.labels.pick(builder, &winners)?;
        if !pairs.sigmoids.is_empty() {
            let probabilities = pairs.probabilities(builder, &scores)?;
            return Ok(vec![label, self.transform.apply(builder, &probabilities)?]);
        }
        if pairs.sizes.len() > 2 {
            return Ok(vec![label, self.transform.apply(builder, &scores)?]);
        }
        let other = match self.transform {
            Transform::None | Transform::Logistic => builder.unary(UnaryOp::Neg, &scores)?,
            _ => builder.binary(BinaryOp::Sub, &Value::scalar(1.0), &scores)?,
        };
        let both = builder.concat(&[other, scores], 1)?;
        let both = if self.transform == Transform::Logistic { self.transform.apply(builder, &both)? } else { both };
        Ok(vec![label, both])
    }
}

impl Pairs {
    /// Pairs of classes, in the order of their scores.
    fn each(&self) -> impl Iterator<Item = (usize, usize)> {
        let classes = self.sizes.len();
        (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
    }

    /// Score of each pair, `[rows, pairs]`, only from the vectors of its two classes, so that an overflowing kernel
    /// does not affect other pairs.
    fn scores(&self, builder: &mut Builder, products: &Value) -> Reasoned<Value> {
        let count: usize = self.sizes.iter().sum();
        let mut scores = Vec::new();
        for ((i, j), rho) in self.each().zip(&self.rho) {
            let mut score: Option<Value> = None;
            for (class, row) in [(i, j - 1), (j, i)] {
                let (start, size) = (self.sizes[..class].iter().sum::<usize>(), self.sizes[class]);
                if size == 0 {
                    continue;
                }
                let extent = Extent::fixed(size as i64);
                let part = products.clone().slice(1, Extent::fixed(start as i64), extent, 1)?;
                let weights = &self.coefficients[row * count + start..][..size];
                let weights = Value::constant(Constant::f32(weights), &[size])?.broadcast(&part.shape)?;
                let sum = builder.contract(&part, &weights, 1)?;
                score = Some(match score {
                    None => sum,
                    Some(score) => builder.binary(BinaryOp::Add, &score, &sum)?,
                });
            }
            let Some(score) = score else { return Reason::err("two classes without support vectors") };
            let score = builder.binary(BinaryOp::Add, &score, &Value::scalar(*rho))?;
            scores.push(score.insert_axis(1));
        }
        match &scores[..] {
            [score] => Ok(score.clone()),
            scores => builder.concat(scores, 1),
        }
    }

    /// Class with the most votes, the first on ties: a positive score is a vote for the first class of its pair.
    fn winners(&self, builder: &mut Builder, scores: &Value) -> Reasoned<Value> {
        let classes = self.sizes.len();
        let positive = builder.compare(CompareOp::Greater, scores, &Value::scalar(0.0))?;
        let positive = builder.cast(&positive, DType::F32)?;
        let mut votes = vec![0.0; self.rho.len() * classes];
        for ((i, j), row) in self.each().zip(votes.chunks_exact_mut(classes)) {
            row[i] = 1.0;
            row[j] = -1.0;
        }
        // A class starts with the votes of all pairs in which it is second.
        let at_first: Vec<f32> = (0..classes).map(|class| class as f32).collect();
        let votes = builder.dense(&positive, &votes, classes, Some(&at_first))?;
        Ok(flat(&builder.reduce(ReduceOp::ArgMax, &votes, &[1])?))
    }

    /// Probability of each class: sigmoids of the scores, coupled.
    fn probabilities(&self, builder: &mut Builder, scores: &Value) -> Reasoned<Value> {
        let (classes, pairs) = (self.sizes.len(), self.rho.len());
        let (slopes, offsets): (Vec<f32>, Vec<f32>) = self.sigmoids.iter().copied().unzip();
        let scaled = builder.binary(BinaryOp::Mul, scores, &Builder::f32s(&slopes, &[pairs])?)?;
        let shifted = builder.binary(BinaryOp::Add, &scaled, &Builder::f32s(&offsets, &[pairs])?)?;
        let second = builder.unary(UnaryOp::Sigmoid, &shifted)?;
        let first = builder.binary(BinaryOp::Sub, &Value::scalar(1.0), &second)?;
        let first = builder.binary(BinaryOp::Max, &first, &Value::scalar(1e-7))?;
        let first = builder.binary(BinaryOp::Min, &first, &Value::scalar(1.0 - 1e-7))?;
        let second = builder.binary(BinaryOp::Sub, &Value::scalar(1.0), &first)?;
        // As a matrix [class, class]; its diagonal is never read.
        let both = builder.concat(&[first, second], 1)?;
        let mut places = vec![0i64; classes * classes];
        for ((i, j), n) in self.each().zip(0..) {
            places[i * classes + j] = n;
            places[j * classes + i] = n + pairs as i64;
        }
        let places = Value::constant(Constant::i64(&places), &[classes * classes])?;
        let matrix = builder.gather(&both, 1, &places)?;
        builder.couple(&matrix, classes)
    }
}
