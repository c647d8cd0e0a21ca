//! Packing: from a folder with an ONNX model to a pack.

mod loss;

pub use loss::Loss;

use crate::{
    comparison::{compare, compare_outputs},
    data_sets::{DataSet, Fault, data_sets},
    sha256,
    training::{TrainingError, read_products},
};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, mem, ops::Range, path::Path};
use tradewind_compiler::{
    Compiled, Interface, Options, Precision, ReadError, Reference, Refusal, Values, compile, default_input, fit_input,
    read_input, read_model, read_tensor,
};
use tradewind_core::{
    Engine, ErrorKind, Executor, Millis, Task,
    aligned::AlignedBytes,
    demand::PriceSpec,
    exec::Data,
    guest::{Client, ClientError},
    insight::{InsightRequest, InsightSpec, Rows},
    pack::{self, ModelCard, PackWriter, Sample, SectionKind},
    plan::{Batch, DType, Dim, Plan},
    rank::{RankRequest, RankSpec},
    tensor::{Tensor, TensorData},
    text::{JOINER, TextFeatures, TextPart},
};
use tradewind_json::Words;

/// Folder or file to pack.
///
/// A folder contains `pack.json` (`{"name": …, "version": …, "task": …}`, where the task is `infer`, `rank`, `demand`,
/// `price`, `late` or `insight`), `model.onnx`, and optionally:
///
/// - `card.json`, a [`ModelCard`];
/// - `test_data_set_N/input_I.pb` and `output_I.pb`, recorded inputs and outputs; an input with a default that one of
///   them contains is an input of the pack, as if [`Options::overrides`] named it;
/// - for the task `rank`, `spec.json` (a [`RankSpec`]) and `products.csv`;
/// - for the tasks `demand` and `price`, `spec.json` (a [`DemandSpec`](tradewind_core::demand::DemandSpec)
///   or [`PriceSpec`]);
/// - for the task `late`, `spec.json` (a [`LateSpec`](tradewind_core::late::LateSpec));
/// - for the task `insight`, `spec.json` (an [`InsightSpec`]), and, if its rows need products or its evidence has
///   texts, `products.csv` and `words.json` ([`Words`]).
///
/// A single file is a model with the task `infer`.
#[derive(Debug)]
pub struct Source {
    name: String,
    version: String,
    onnx: Vec<u8>,
    card: Option<ModelCard>,
    task: Task,
    tables: Option<tradewind_core::rank::RankTables>,
    words: Option<Words>,
    samples: Vec<DataSet>,
}

/// Pack with the reports of its checks.
#[derive(Debug)]
#[non_exhaustive]
pub struct Packed {
    /// Pack, unsigned.
    pub bytes: Vec<u8>,
    /// The same pack without recorded samples, for pages; with the same root, unsigned.
    pub page: Vec<u8>,
    /// Changes by the compiler.
    pub notes: Vec<String>,
    /// Comparisons of the plan with references.
    pub checks: Vec<String>,
    /// Loss of each output by encoded weights; empty if the weights are unchanged.
    pub losses: Vec<Loss>,
}

/// Precision of a pack's weights, and the maximum loss.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Storage {
    /// Precision of the large weights.
    pub precision: Precision,
    /// Maximum [`Loss::largest`] of a pack.
    pub max_loss: f32,
}

/// Default of the maximum loss: two hundredths of an output's scale, or of its labels. Bytes cost the networks among
/// the test cases at most 1.2 %, halves 0.1 %.
pub const MAX_LOSS: f32 = 0.02;

impl Default for Storage {
    fn default() -> Self {
        Self { precision: Precision::F32, max_loss: MAX_LOSS }
    }
}

impl Storage {
    /// Sets the precision of the large weights.
    #[must_use]
    pub const fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Sets the maximum loss.
    #[must_use]
    pub const fn max_loss(self, max_loss: f32) -> Self {
        Self { max_loss, ..self }
    }
}

/// Reason why a model was not packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The compiler refused the model.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file could not be read.
    #[error("`{path}`: {message}")]
    File {
        /// Path of the file.
        path: String,
        /// Description of the error.
        message: String,
    },
    /// The products file is invalid.
    #[error(transparent)]
    Tables(#[from] TrainingError),
    /// The core refused the plan or the pack.
    #[error(transparent)]
    Core(#[from] tradewind_core::Error),
    /// The plan's outputs differ from the recorded ones, or from those of the reference runtime.
    #[error("the plan's outputs differ from the recorded ones: {0}; if these are from this model, please report a bug")]
    Wrong(String),
    /// A module would refuse the pack.
    #[error("a module would not load the pack: {0}; make its specification, tables and model fit each other")]
    Unfit(String),
    /// The pack cannot decide.
    #[error("the pack loads, but cannot decide about a shopper without a history: {0}")]
    Undecided(String),
    /// Encoded weights change the outputs by more than the maximum loss.
    #[error(
        "with {precision:?} weights {loss}; the maximum is {:.3} %; \
         use a higher precision, or raise --max-loss",
        100.0 * max_loss
    )]
    Loss {
        /// Requested precision.
        precision: Precision,
        /// Maximum loss.
        max_loss: f32,
        /// Loss of the output that exceeds it most.
        loss: Loss,
    },
}

impl From<ReadError> for PackError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => Self::Refused(refusal),
            ReadError::File { path, message } => Self::File { path, message },
        }
    }
}

impl From<Fault> for PackError {
    fn from(Fault { path, message }: Fault) -> Self {
        file_error(&path, message)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PackJson {
    name: String,
    version: String,
    task: TaskName,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TaskName {
    Infer,
    Rank,
    Demand,
    Price,
    Late,
    Insight,
}

impl Source {
    /// Reads a folder, or a single ONNX file, whose name becomes the pack's.
    ///
    /// # Errors
    /// [`PackError::File`] or [`PackError::Tables`] names the file and the error.
    pub fn read(path: &Path) -> Result<Self, PackError> {
        if !path.is_dir() {
            let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
            return Ok(Self {
                name,
                version: "0".into(),
                onnx: read_model(path)?,
                card: None,
                task: Task::Infer,
                tables: None,
                words: None,
                samples: Vec::new(),
            });
        }
        let PackJson { name, version, task } = read_json(&path.join("pack.json"))?;
        let (task, tables) = match task {
            TaskName::Infer => (Task::Infer, None),
            TaskName::Demand => (Task::Demand(read_json(&path.join("spec.json"))?), None),
            TaskName::Price => {
                let spec: PriceSpec = read_json(&path.join("spec.json"))?;
                spec.check()?;
                (Task::Price(spec), None)
            }
            TaskName::Insight => {
                let spec: InsightSpec = read_json(&path.join("spec.json"))?;
                spec.check()?;
                let products = path.join("products.csv");
                let tables = products.exists().then(|| read_products(&products)).transpose()?;
                (Task::Insight(spec), tables.map(|(tables, _)| tables))
            }
            TaskName::Late => (Task::Late(read_json(&path.join("spec.json"))?), None),
            TaskName::Rank => {
                let spec: RankSpec = read_json(&path.join("spec.json"))?;
                (Task::Rank(spec), Some(read_products(&path.join("products.csv"))?.0))
            }
        };
        let card = read_optional_json(&path.join("card.json"))?;
        let words: Option<Words> = read_optional_json(&path.join("words.json"))?;
        if let Some(words) = &words {
            let told = match &task {
                Task::Insight(spec) => spec.evidence.iter().map(|rule| rule.source).collect(),
                _ => Vec::new(),
            };
            words.check(&told).map_err(|error| file_error(&path.join("words.json"), error))?;
        }
        Ok(Self {
            name,
            version,
            onnx: read_model(&path.join("model.onnx"))?,
            card,
            task,
            tables,
            words,
            samples: data_sets(path)?,
        })
    }

    /// Compiles the model, compares the plan with the recorded outputs and the reference runtime, and writes the pack.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn pack(self, options: &Options, storage: Storage) -> Result<Packed, PackError> {
        let compiled = self.compile(options)?;
        self.pack_compiled(compiled, options, storage)
    }

    /// Compiles the model: the first half of [`pack`](Self::pack).
    ///
    /// # Errors
    /// [`PackError`] for samples that cannot be read, and the compiler's refusal.
    pub fn compile(&self, options: &Options) -> Result<Compiled, PackError> {
        let (_, overrides) = self.samples(options)?;
        Ok(compile(&self.onnx, &Options { overrides, ..options.clone() })?)
    }

    /// The second half of [`pack`](Self::pack).
    ///
    /// # Errors
    /// [`PackError`].
    pub fn pack_compiled(self, compiled: Compiled, options: &Options, storage: Storage) -> Result<Packed, PackError> {
        let (mut samples, overrides) = self.samples(options)?;
        for (n, sample) in samples.iter_mut().enumerate() {
            let inputs = mem::take(&mut sample.inputs).into_iter().map(|input| fit_input(input, &compiled.plan));
            sample.inputs =
                inputs.collect::<Result<_, _>>().map_err(|error| PackError::Wrong(format!("sample {n}: {error}")))?;
        }
        let options = &Options { overrides, ..options.clone() };
        let mut runner = Runner::new(&compiled)?;
        let mut checks = Vec::new();
        for (n, sample) in samples.iter().enumerate() {
            let outputs = runner.run(&sample.inputs)?;
            compare_outputs(&outputs, &sample.outputs, false)
                .map_err(|difference| PackError::Wrong(format!("sample {n}: {difference}")))?;
        }
        checks.push(match samples.len() {
            0 => "no recorded samples to compare outputs with".to_owned(),
            count => format!("{count} recorded samples match"),
        });
        checks.push(beside_reference(&self.onnx, options, &mut runner)?);
        let mut losses = Vec::new();
        let stored = compiled.at(storage.precision);
        if stored == compiled {
            if storage.precision != Precision::F32 {
                checks.push("no weights can be encoded: they are too small, or must stay exact".into());
            }
        } else {
            losses = runner.losses(&mut Runner::new(&stored)?, &samples)?;
            let worst = losses.iter().max_by(|a, b| a.largest.total_cmp(&b.largest));
            if let Some(loss) = worst.filter(|loss| loss.largest.is_nan() || loss.largest > storage.max_loss) {
                let Storage { precision, max_loss } = storage;
                return Err(PackError::Loss { precision, max_loss, loss: loss.clone() });
            }
            let (before, after) = (compiled.weights.len(), stored.weights.len());
            checks.push(format!("weights take {after} bytes instead of {before}"));
        }

        let (notes, mut writer) = (stored.notes.clone(), writer(&self.name, &self.version, stored, &self.task)?);
        let mut last = SectionKind::Task;
        if let Some(tables) = &self.tables {
            writer = writer.columns(SectionKind::Tables, tables)?;
            last = SectionKind::Tables;
        }
        if let Some(words) = &self.words {
            let json = serde_json::to_vec(words).map_err(|error| file_error(Path::new("words.json"), error))?;
            writer = writer.bytes(SectionKind::Words, json);
            last = SectionKind::Words;
        }
        if let Some(card) = &self.card {
            writer = writer.postcard(SectionKind::Card, card)?;
            last = SectionKind::Card;
        }
        let count = samples.len();
        let mut room = SAMPLES_LEN;
        samples.retain(|sample| {
            let len = postcard::to_allocvec(sample).map_or(usize::MAX, |bytes| bytes.len());
            let fits = len <= room;
            room -= if fits { len } else { 0 };
            fits
        });
        if samples.len() < count {
            checks.push(format!("{} of {count} recorded samples are kept, in {SAMPLES_LEN} bytes", samples.len()));
        }
        if !samples.is_empty() {
            writer = writer.postcard(SectionKind::Samples, &samples)?;
        }
        let bytes = writer.finish(sha256)?;
        let page = pack::cut(&bytes, last)?;
        self.decide_once(&page)?;
        Ok(Packed { bytes, page, notes, checks, losses })
    }

    /// Loads a pack, and asks it about a shopper without a history, unless that needs a snapshot.
    fn decide_once(&self, pack: &[u8]) -> Result<(), PackError> {
        let mut client = Client::new(Engine::new());
        client.load(pack).map_err(|error| PackError::Unfit(error.to_string()))?;
        let at = Millis(MOMENT);
        let decided = match &self.task {
            Task::Rank(_) => client.rank(RankRequest::new(self.name.as_str(), at, 12)).map(drop),
            Task::Insight(spec) => {
                let texts = (spec.rows == Rows::Text).then(|| "text".to_owned());
                client
                    .insight(InsightRequest { texts: texts.into_iter().collect(), ..InsightRequest::new(None, at) })
                    .map(drop)
            }
            Task::Infer | Task::Demand(_) | Task::Price(_) | Task::Late(_) => Ok(()),
        };
        match decided {
            Err(ClientError::Fault(fault)) if fault.kind() == Some(ErrorKind::NoSnapshot) => Ok(()),
            decided => decided.map_err(|error| PackError::Undecided(error.to_string())),
        }
    }

    /// Recorded samples, each with all inputs of the pack, and the names of inputs that override a default.
    fn samples(&self, options: &Options) -> Result<(Vec<Sample>, BTreeSet<String>), PackError> {
        let interface = Interface::read(&self.onnx)?;
        let mut overrides = options.overrides.clone();
        let mut samples = Vec::new();
        for set in &self.samples {
            let mut inputs = Vec::new();
            for (name, file) in set.inputs_of(&interface)? {
                if interface.defaults.iter().any(|input| input.name == name) {
                    overrides.insert(name.clone());
                }
                let tensor = read_input(&file.bytes).map_err(|error| file_error(&file.path, error))?;
                inputs.push(Tensor { name, ..tensor });
            }
            let outputs = set.outputs.iter();
            let outputs = outputs.map(|file| read_tensor(&file.bytes).map_err(|error| file_error(&file.path, error)));
            samples.push(Sample { inputs, outputs: outputs.collect::<Result<_, _>>()? });
        }
        for name in interface.defaults.iter().map(|input| &input.name).filter(|name| overrides.contains(*name)) {
            let default = default_input(&self.onnx, name)
                .map_err(|error| PackError::Wrong(format!("the default of `{name}`: {error}")))?;
            for Sample { inputs, .. } in &mut samples {
                if inputs.iter().all(|input| input.name != *name) {
                    inputs.extend(default.clone().map(|tensor| Tensor { name: name.clone(), ..tensor }));
                }
            }
        }
        Ok((samples, overrides))
    }
}

/// Writes a pack with only a compiled model, for the task `infer`; unsigned.
///
/// # Errors
/// [`PackError::Core`] if the pack is too large.
pub fn pack_model(name: &str, compiled: Compiled) -> Result<Vec<u8>, PackError> {
    Ok(writer(name, "0", compiled, &Task::Infer)?.finish(sha256)?)
}

/// Creates a pack with the sections that every pack has.
fn writer(name: &str, version: &str, compiled: Compiled, task: &Task) -> Result<PackWriter, PackError> {
    Ok(PackWriter::new(name, version)
        .postcard(SectionKind::Plan, &compiled.plan)?
        .bytes(SectionKind::Weights, compiled.weights)
        .postcard(SectionKind::Task, task)?)
}

/// Plan that runs natively.
struct Runner {
    executor: Executor,
    weights: AlignedBytes,
}

impl Runner {
    fn new(compiled: &Compiled) -> Result<Self, PackError> {
        let mut plan = compiled.plan.clone();
        let weights = match plan.expand(&compiled.weights)? {
            Some(expanded) => expanded,
            None => AlignedBytes::copy_of(&compiled.weights)?,
        };
        Ok(Self { executor: Executor::new(plan, weights.as_slice())?, weights })
    }

    /// Losses of another plan, for the recorded and for generated inputs.
    fn losses(&mut self, other: &mut Self, samples: &[Sample]) -> Result<Vec<Loss>, PackError> {
        let plan = self.executor.plan().clone();
        let rows = match plan.batch {
            Batch::Independent => 256,
            Batch::Joint => plan.tile.min(32) as usize,
        };
        let bounds = self.index_bounds(&plan)?;
        let mut runs = Vec::new();
        for inputs in samples.iter().map(|sample| &sample.inputs).chain([&made_up(&plan, rows, &below(&bounds))?]) {
            runs.push((self.run(inputs)?, other.run(inputs)?));
        }
        Ok(loss::losses(&runs))
    }

    /// For each input, the greatest power of two such that all smaller indices are in their tables, so that generated
    /// inputs reach all of a table.
    fn index_bounds(&mut self, plan: &Plan) -> Result<Vec<u32>, PackError> {
        let mut bounds = vec![2; plan.inputs.len()];
        for n in 0..bounds.len() {
            while bounds[n] < MOST_INDICES {
                bounds[n] *= 2;
                let mut inputs = made_up(plan, 1, &below(&bounds))?;
                match &mut inputs[n].data {
                    TensorData::I64(data) => data.fill(i64::from(bounds[n] - 1)),
                    TensorData::I32(data) => data.fill(bounds[n] as i32 - 1),
                    _ => break,
                }
                if self.run(&inputs).is_err() {
                    bounds[n] /= 2;
                    break;
                }
            }
        }
        Ok(bounds)
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PackError> {
        Ok(self.executor.infer(self.weights.as_slice(), inputs)?)
    }
}

/// Maximum bytes of the recorded samples in a pack; all of them are compared when it is made.
const SAMPLES_LEN: usize = 64 << 10;

/// Maximum index to try for a table.
const MOST_INDICES: u32 = 1 << 20;

/// First generated moment: November 2023, in milliseconds.
const MOMENT: i64 = 1_700_000_000_000;

/// Compares the plan with the reference runtime on generated inputs, if that runtime supports the model.
fn beside_reference(onnx: &[u8], options: &Options, runner: &mut Runner) -> Result<String, PackError> {
    let reference = match Reference::new(onnx, options) {
        Ok(reference) => reference,
        Err(unavailable) => return Ok(unavailable.to_string()),
    };
    let plan = runner.executor.plan().clone();
    let rows = match plan.batch {
        Batch::Independent => 2 * plan.tile as usize + 1,
        Batch::Joint => plan.tile.min(5) as usize,
    };
    if let Some(reason) =
        differs(&reference, rows, &made_up(&plan, rows, &below(&vec![2; plan.inputs.len()]))?, runner)?
    {
        return Ok(reason);
    }
    // f64 buffers are for large integers: inputs that are not indices are moments.
    if plan.buffers.iter().any(|buffer| buffer.dtype == DType::F64) {
        let bounds = runner.index_bounds(&plan)?;
        let ranges = bounds.iter().map(|&bound| if bound < MOST_INDICES { 0..2 } else { MOMENT..MOMENT + (1 << 30) });
        if let Some(reason) = differs(&reference, rows, &made_up(&plan, rows, &ranges.collect::<Vec<_>>())?, runner)? {
            return Ok(reason);
        }
        return Ok(format!("{rows} generated rows, and as many with moments, match the reference runtime in f64"));
    }
    Ok(format!("{rows} generated rows match the reference runtime"))
}

/// Compares outputs with those of the reference runtime; returns the reason if the inputs cannot be compared.
///
/// # Errors
/// [`PackError::Wrong`] if the outputs differ.
fn differs(
    reference: &Reference,
    rows: usize,
    inputs: &[Tensor],
    runner: &mut Runner,
) -> Result<Option<String>, PackError> {
    let data: Vec<Data<'_>> = inputs.iter().filter_map(|tensor| tensor.data.as_data()).collect();
    let expected = match reference.run(rows, &data) {
        Ok(expected) => expected,
        Err(unavailable) => return Ok(Some(unavailable.to_string())),
    };
    let outputs = match runner.run(inputs) {
        // A generated index may be outside a table; then nothing can be compared.
        Err(PackError::Core(error)) if error.kind() == ErrorKind::IndexOutOfRange => {
            return Ok(Some(format!("generated inputs are invalid for the model: {error}")));
        }
        outputs => outputs?,
    };
    for (found, expected) in outputs.iter().zip(expected) {
        if matches!(found.data, TensorData::Text(_)) {
            continue;
        }
        compare(&found.data, &tensor_data(expected)).map_err(|difference| {
            PackError::Wrong(format!("output `{}` differs from the reference runtime: {difference}", found.name))
        })?;
    }
    Ok(None)
}

/// Ranges of integers from 0.
fn below(bounds: &[u32]) -> Vec<Range<i64>> {
    bounds.iter().map(|&bound| 0..bound.into()).collect()
}

/// Generates inputs of the plan's types and shapes, always the same: numbers between −2 and 2, integers within each
/// input's range, texts of strings that the model knows.
fn made_up(plan: &Plan, rows: usize, ranges: &[Range<i64>]) -> Result<Vec<Tensor>, PackError> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as u32
    };
    let inputs = plan.inputs.iter().enumerate().zip(ranges).map(|((n, port), range)| {
        let len = range.end - range.start;
        let shape: Vec<u32> = port.shape.iter().map(|dim: &Dim| dim.at(rows) as u32).collect();
        let elements = shape.iter().product::<u32>() as usize;
        if !port.categories.is_empty() {
            let reads = |text: &&TextFeatures| text.parts.contains(&TextPart::Input(n as u16));
            let grams = plan.texts.iter().filter(reads).flat_map(|text| &text.vectorizer.grams);
            let known: Vec<String> = grams.chain(&port.categories).map(|known| known.replace(JOINER, " ")).collect();
            let words = if known.len() > port.categories.len() { 8 } else { 1 };
            let mut word = || known[next() as usize % known.len()].as_str();
            let text = |_| (0..words).map(|_| word()).collect::<Vec<_>>().join(" ");
            return Tensor::new(port.name.clone(), shape, TensorData::Text((0..elements).map(text).collect()));
        }
        let dtype = plan.buffers.get(port.buffer.0 as usize).map(|buffer| buffer.dtype);
        let mut data = TensorData::zeros(dtype.unwrap_or(DType::F32), elements);
        match &mut data {
            TensorData::F32(data) => data.iter_mut().for_each(|x| *x = (next() as f32 / (1 << 22) as f32) - 2.0),
            TensorData::I64(data) => data.iter_mut().for_each(|x| *x = range.start + i64::from(next()) % len),
            TensorData::I32(data) => data.iter_mut().for_each(|x| *x = (i64::from(next()) % len) as i32),
            TensorData::U8(data) | TensorData::Bool(data) => data.iter_mut().for_each(|x| *x = (next() & 1) as u8),
            TensorData::F64(data) if *range == (0..2) => {
                data.iter_mut().for_each(|x| *x = f64::from(next()) / f64::from(1 << 22) - 2.0)
            }
            TensorData::F64(data) => data.iter_mut().for_each(|x| *x = (range.start + i64::from(next()) % len) as f64),
            TensorData::Text(_) => {}
        }
        Tensor::new(port.name.clone(), shape, data)
    });
    Ok(inputs.collect::<Result<_, _>>()?)
}

fn tensor_data(values: Values) -> TensorData {
    match values {
        Values::F32(data) => TensorData::F32(data),
        Values::I64(data) => TensorData::I64(data),
        Values::I32(data) => TensorData::I32(data),
        Values::U8(data) => TensorData::U8(data),
        Values::Bool(data) => TensorData::Bool(data.into_iter().map(u8::from).collect()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(|error| file_error(path, error))
}

fn file_error(path: &Path, error: impl ToString) -> PackError {
    PackError::File { path: path.display().to_string(), message: error.to_string() }
}

fn read_optional_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, PackError> {
    path.exists().then(|| read_json(path)).transpose()
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, PackError> {
    serde_json::from_slice(tradewind_json::without_bom(&read(path)?)).map_err(|error| file_error(path, error))
}
