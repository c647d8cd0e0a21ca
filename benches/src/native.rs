//! Competitors in Rust, each in its own process (`bench work NAME`).

use crate::{
    case::{Case, Input},
    worker::{Prepared, Question, Took},
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, Write, stdin, stdout},
    time::Instant,
};
use tradewind_compiler::{Options, Reference, Values, compile};
use tradewind_core::{
    Engine,
    aligned::AlignedBytes,
    exec::{Data, Executor},
    guest::Guest,
    message::{self, InferRequest},
    tensor::{Tensor, TensorData},
};
use tradewind_host::Runtime;
use tradewind_tests::{PACK, module};

type Run = Box<dyn FnMut() -> Result<Vec<TensorData>>>;

/// Answers requests until standard input ends.
///
/// # Errors
/// If a request is invalid, or a prepared case fails later.
pub fn work(competitor: &str) -> Result<()> {
    let mut cases: BTreeMap<String, Run> = BTreeMap::new();
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Question::Prepare(case) => {
                serde_json::to_string(&match open(competitor, &case).and_then(|mut run| Ok((run()?, run))) {
                    Ok((outputs, run)) => {
                        cases.insert(case.name, run);
                        Prepared::Ready { outputs: outputs.iter().map(numbers).collect(), phases: Vec::new() }
                    }
                    Err(error) => Prepared::Refused(format!("{error:#}")),
                })?
            }
            Question::Run { case, iterations } => {
                let run = cases.get_mut(&case).context("the case was not prepared")?;
                let start = Instant::now();
                for _ in 0..iterations {
                    std::hint::black_box(run()?);
                }
                serde_json::to_string(&Took { nanoseconds: start.elapsed().as_nanos() as f64 })?
            }
        };
        writeln!(stdout(), "{answer}")?;
    }
    Ok(())
}

fn open(competitor: &str, case: &Case) -> Result<Run> {
    match competitor {
        "wasmtime" => guest(Runtime::new(&module()?)?.unverified_guest()?, case),
        "native" if case.request.is_some() => guest(Engine::new(), case),
        "native" => executor(case),
        "tract" => reference(case),
        other => bail!("unknown competitor `{other}` (expected wasmtime, native or tract)"),
    }
}

/// Tradewind with messages: encode, call and decode.
fn guest<G: Guest<Error: std::error::Error + Send + Sync + 'static> + 'static>(
    mut guest: G,
    case: &Case,
) -> Result<Run> {
    guest.load(&fs::read(case.pack.as_ref().context("it is not compiled")?)?)?;
    if let Some(snapshot) = &case.snapshot {
        guest.load(&fs::read(snapshot)?)?;
    }
    if let Some(request) = &case.request {
        let request = fs::read(request)?;
        return Ok(Box::new(move || {
            let reply = guest.call(&request)?;
            match message::fault(&reply) {
                Some(fault) => bail!(fault),
                None => Ok(Vec::new()),
            }
        }));
    }
    let request = InferRequest { pack: PACK.into(), inputs: tensors(case)? };
    Ok(Box::new(move || {
        let reply = guest.call(&message::request(&request))?;
        let outputs = message::answer::<InferRequest>(&reply)?;
        Ok(outputs.into_iter().map(|tensor| tensor.data).collect())
    }))
}

/// Executor without messages, compiled natively.
fn executor(case: &Case) -> Result<Run> {
    let compiled = compile(&onnx(case)?, &Options::default())?;
    let weights = AlignedBytes::copy_of(&compiled.weights)?;
    let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
    let inputs = tensors(case)?;
    Ok(Box::new(move || {
        let outputs = executor.infer(weights.as_slice(), &inputs)?;
        Ok(outputs.into_iter().map(|tensor| tensor.data).collect())
    }))
}

/// tract, which supports almost no ai.onnx.ml operators.
fn reference(case: &Case) -> Result<Run> {
    let reference = Reference::new(&onnx(case)?, &Options::default())?;
    let (inputs, rows) = (tensors(case)?, case.rows);
    Ok(Box::new(move || {
        let inputs: Vec<Data<'_>> = inputs.iter().filter_map(|tensor| tensor.data.as_data()).collect();
        let outputs = reference.run(rows, &inputs)?;
        Ok(outputs.into_iter().map(data).collect())
    }))
}

fn onnx(case: &Case) -> Result<Vec<u8>> {
    Ok(fs::read(case.onnx.as_ref().context("it is not an ONNX model")?)?)
}

fn tensors(case: &Case) -> Result<Vec<Tensor>> {
    case.inputs.iter().map(tensor).collect()
}

fn tensor(input: &Input) -> Result<Tensor> {
    let bytes = fs::read(&input.file).with_context(|| input.file.display().to_string())?;
    let count = input.shape.iter().product();
    let data = match input.dtype.as_str() {
        "f32" => {
            TensorData::F32(bytes.as_chunks().0.iter().take(count).map(|bytes| f32::from_le_bytes(*bytes)).collect())
        }
        "i64" => {
            TensorData::I64(bytes.as_chunks().0.iter().take(count).map(|bytes| i64::from_le_bytes(*bytes)).collect())
        }
        other => bail!("unsupported element type `{other}` (expected f32 or i64)"),
    };
    let shape: Vec<u32> = input.shape.iter().map(|&extent| extent as u32).collect();
    Ok(Tensor::new(input.name.clone(), shape, data)?)
}

fn data(values: Values) -> TensorData {
    match values {
        Values::F32(values) => TensorData::F32(values),
        Values::I64(values) => TensorData::I64(values),
        Values::I32(values) => TensorData::I32(values),
        Values::U8(values) => TensorData::U8(values),
        Values::Bool(values) => TensorData::Bool(values.into_iter().map(u8::from).collect()),
    }
}

fn numbers(data: &TensorData) -> Vec<f64> {
    match data {
        TensorData::F32(values) => values.iter().copied().map(f64::from).collect(),
        TensorData::I64(values) => values.iter().map(|&value| value as f64).collect(),
        TensorData::I32(values) => values.iter().copied().map(f64::from).collect(),
        TensorData::U8(values) | TensorData::Bool(values) => values.iter().copied().map(f64::from).collect(),
        TensorData::F64(values) => values.clone(),
        TensorData::Text(_) => Vec::new(),
    }
}
