//! `tradewind run`: runs a model on data, and prints outputs and costs.

mod arrays;
mod elements;
mod npz;

use super::{
    ModuleArgs,
    pack::{binding, bindings},
    watch::watched,
};
use anyhow::{Context, bail};
use arrays::{Arrays, write_arrays};
use serde_json::{Map, Value, json};
use std::{
    io::Write,
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tradewind_compiler::{Compiled, Interface, Options, compile, read_model};
use tradewind_core::{
    message::InferRequest,
    plan::{Batch, Dim, Port},
    tensor::{Tensor, TensorData},
};
use tradewind_host::{Tradewind, Trust, Verified, packing::pack_model};

/// Name of the temporary pack.
const PACK: &str = "model";
/// Maximum rows and columns shown of an output.
const SHOWN_ROWS: usize = 8;
const SHOWN_COLUMNS: usize = 8;
/// Maximum bytes of inputs and outputs in one request; larger batches are split.
const REQUEST_LEN: usize = 1 << 20;
/// Duration of the warm runs.
const WARM: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub struct Run {
    /// ONNX file.
    model: PathBuf,
    /// Inputs by name: arrays (.npz, or .json with an object of nested lists), or a table (.csv with commas, semicolons or
    /// tabs, .tsv, .parquet, .jsonl, or .json with a list of row objects). The model's types determine how cells are
    /// read. Inputs with a default are optional.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Output file, .npz or .json.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Extent of an input axis, by name (`steps=50`) or by input and axis number (`ids[1]=50`); may be repeated.
    #[arg(long, value_name = "AXIS=NUMBER", value_parser = binding)]
    bind: Vec<(String, i64)>,
    #[command(flatten)]
    module: ModuleArgs,
}

/// Times of a run.
struct Times {
    compile: Duration,
    /// Time of the first answer.
    cold: Duration,
    /// Median time of the later answers.
    warm: Duration,
}

impl Run {
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
        let (compiled, inputs, compile) = self.prepare()?;
        let rows = rows(&compiled.plan.inputs, &inputs);
        let notes = compiled.notes.clone();
        let parts = parts(&compiled, inputs, rows)?;
        let axes: Vec<_> = compiled.plan.outputs.iter().map(batch_axis).collect();
        let pack = pack_model(PACK, compiled)?;

        // The pack was just made by this process.
        let verified = Verified::pack(pack.as_slice(), &Trust::unsigned())?;
        let tradewind = Tradewind::builder().runtime(self.module.load()?).verified_pack(verified).build()?;
        let (outputs, cold) = answer(&tradewind, &axes, &parts)?;
        let mut warm = Vec::new();
        let started = Instant::now();
        while warm.is_empty() || started.elapsed() < WARM {
            warm.push(answer(&tradewind, &axes, &parts)?.1);
        }
        warm.sort_unstable();
        let times = Times { compile, cold, warm: warm[warm.len() / 2] };

        if let Some(path) = &self.out {
            write_arrays(path, &outputs).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        if self.json {
            serde_json::to_writer_pretty(&mut *out, &document(&outputs, rows, &pack, &notes, &times))?;
            writeln!(out)?;
        } else {
            outputs.iter().try_for_each(|output| show(out, output))?;
            summary(out, rows, &pack, &notes, &times)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Compiles the model for the data; returns it with its inputs and the time of compiling.
    fn prepare(&self) -> anyhow::Result<(Compiled, Vec<Tensor>, Duration)> {
        let refused = || format!("cannot compile `{}`", self.model.display());
        let data = || format!("`{}`", self.input.display());
        let onnx = read_model(&self.model).with_context(refused)?;
        let interface = Interface::read(&onnx).with_context(refused)?;
        // A refusal of the model takes precedence over errors in the data.
        let arrays = Arrays::read(&self.input);
        let holds = |name: &str| arrays.as_ref().is_ok_and(|arrays| arrays.names().any(|held| held == name));
        let given = interface.defaults.iter().filter(|input| holds(&input.name));
        let mut options = Options {
            bind: bindings(&self.bind)?,
            overrides: given.map(|input| input.name.clone()).collect(),
            ..Options::default()
        };
        let mut started = Instant::now();
        let mut compiled = watched(|| compile(&onnx, &options)).with_context(refused)?;
        let mut took = started.elapsed();
        let arrays = arrays.with_context(data)?;
        let unused = arrays.unused(&compiled.plan, &interface.defaults).with_context(data)?;
        let inputs = arrays.inputs(&compiled.plan).with_context(data)?;
        let rows = rows(&compiled.plan.inputs, &inputs);
        if compiled.plan.batch == Batch::Joint && rows > options.joint_rows as usize {
            options.joint_rows = u32::try_from(rows)?;
            started = Instant::now();
            compiled = watched(|| compile(&onnx, &options)).with_context(refused)?;
            took = started.elapsed();
        }
        if !unused.is_empty() {
            compiled.notes.push(format!("columns that the model does not use: `{}`", unused.join("`, `")));
        }
        Ok((compiled, inputs, took))
    }
}

/// Number of rows in the inputs; 1 if the model has no batch.
fn rows(ports: &[Port], inputs: &[Tensor]) -> usize {
    let batch = ports.iter().zip(inputs).find_map(|(port, tensor)| {
        let (dim, extent) = port.shape.iter().zip(&tensor.shape).find(|(dim, _)| dim.per_row > 0)?;
        Some((extent.saturating_sub(dim.fixed) / dim.per_row) as usize)
    });
    batch.unwrap_or(1)
}

/// Splits the inputs into requests, if rows are independent.
fn parts(compiled: &Compiled, inputs: Vec<Tensor>, rows: usize) -> anyhow::Result<Vec<Vec<Tensor>>> {
    let plan = &compiled.plan;
    let elements = |ports: &[Port]| -> usize {
        ports.iter().map(|port| port.shape.iter().map(|dim: &Dim| dim.at(1).max(1)).product::<usize>()).sum()
    };
    let most = (REQUEST_LEN / (8 * (elements(&plan.inputs) + elements(&plan.outputs)))).max(1);
    if plan.batch == Batch::Joint || rows <= most {
        return Ok(vec![inputs]);
    }
    let part = |from: usize| -> anyhow::Result<Vec<Tensor>> {
        let to = (from + most).min(rows);
        let cut = plan.inputs.iter().zip(&inputs).map(|(port, tensor)| {
            let Some(axis) = batch_axis(port) else { return Ok(tensor.clone()) };
            let (whole, mut shape) = (stretch(tensor, axis), tensor.shape.clone());
            shape[axis] = port.shape[axis].at(to - from) as u32;
            let width = whole / rows;
            Ok(Tensor::new(tensor.name.clone(), shape, slice(&tensor.data, whole, from * width..to * width))?)
        });
        cut.collect()
    };
    (0..rows).step_by(most).map(part).collect()
}

/// Axis of a port that grows with the batch.
fn batch_axis(port: &Port) -> Option<usize> {
    port.shape.iter().position(|dim| dim.per_row > 0)
}

/// Number of elements in the axes from `axis` on.
fn stretch(tensor: &Tensor, axis: usize) -> usize {
    tensor.shape[axis..].iter().map(|extent| *extent as usize).product()
}

/// The elements `range` of every `whole` elements.
fn slice(data: &TensorData, whole: usize, range: Range<usize>) -> TensorData {
    fn cut<T: Clone>(data: &[T], whole: usize, range: &Range<usize>) -> Vec<T> {
        data.chunks_exact(whole.max(1)).flat_map(|elements| &elements[range.clone()]).cloned().collect()
    }
    match data {
        TensorData::F32(data) => TensorData::F32(cut(data, whole, &range)),
        TensorData::I64(data) => TensorData::I64(cut(data, whole, &range)),
        TensorData::I32(data) => TensorData::I32(cut(data, whole, &range)),
        TensorData::U8(data) => TensorData::U8(cut(data, whole, &range)),
        TensorData::Bool(data) => TensorData::Bool(cut(data, whole, &range)),
        TensorData::Text(data) => TensorData::Text(cut(data, whole, &range)),
        TensorData::F64(data) => TensorData::F64(cut(data, whole, &range)),
    }
}

/// Outputs of all parts, joined on the axis of each output's batch, and the time from the first request to the last reply.
fn answer(
    tradewind: &Tradewind,
    axes: &[Option<usize>],
    parts: &[Vec<Tensor>],
) -> anyhow::Result<(Vec<Tensor>, Duration)> {
    let mut all: Vec<Tensor> = Vec::new();
    let mut took = Duration::ZERO;
    for inputs in parts {
        let request = InferRequest { pack: PACK.into(), inputs: inputs.clone() };
        let started = Instant::now();
        let outputs = tradewind.infer(&request).context("the module failed")?;
        took += started.elapsed();
        if all.is_empty() {
            all = outputs;
        } else {
            let whole = all.iter_mut().zip(axes);
            whole.zip(outputs).try_for_each(|((all, axis), part)| append(all, *axis, &part))?;
        }
    }
    Ok((all, took))
}

/// Adds a part's rows, on the axis of the batch.
fn append(all: &mut Tensor, axis: Option<usize>, part: &Tensor) -> anyhow::Result<()> {
    fn join<T: Clone>(all: &mut Vec<T>, whole: usize, part: &[T], more: usize) {
        let both = all.chunks_exact(whole.max(1)).zip(part.chunks_exact(more.max(1)));
        *all = both.flat_map(|(all, part)| all.iter().chain(part)).cloned().collect();
    }
    let Some(axis) = axis else { bail!("output `{}` has no rows to join", all.name) };
    let (whole, more) = (stretch(all, axis), stretch(part, axis));
    match (&mut all.data, &part.data) {
        (TensorData::F32(all), TensorData::F32(part)) => join(all, whole, part, more),
        (TensorData::I64(all), TensorData::I64(part)) => join(all, whole, part, more),
        (TensorData::I32(all), TensorData::I32(part)) => join(all, whole, part, more),
        (TensorData::U8(all), TensorData::U8(part)) | (TensorData::Bool(all), TensorData::Bool(part)) => {
            join(all, whole, part, more);
        }
        (TensorData::Text(all), TensorData::Text(part)) => join(all, whole, part, more),
        _ => bail!("output `{}` changes its type from request to request", all.name),
    }
    all.shape[axis] += part.shape[axis];
    Ok(())
}

/// Prints an output's first rows and columns.
fn show(out: &mut dyn Write, output: &Tensor) -> std::io::Result<()> {
    writeln!(out, "{}  {} {:?}", output.name, arrays::type_name(&output.data), output.shape)?;
    let cells = arrays::texts(&output.data);
    let width = output.shape.iter().skip(1).product::<u32>().max(1) as usize;
    let rows: Vec<&[String]> = cells.chunks(width).collect();
    let shown: Vec<&[String]> = rows.iter().take(SHOWN_ROWS).map(|row| &row[..row.len().min(SHOWN_COLUMNS)]).collect();
    let longest = shown.iter().flat_map(|row| row.iter()).map(|cell| cell.chars().count()).max().unwrap_or(0);
    for (n, row) in shown.iter().enumerate() {
        write!(out, "  {n:>3} ")?;
        row.iter().try_for_each(|cell| write!(out, "  {cell:>longest$}"))?;
        match width - row.len() {
            0 => writeln!(out)?,
            more => writeln!(out, "  … {more} more")?,
        }
    }
    if rows.len() > shown.len() {
        writeln!(out, "    …  {} more rows", rows.len() - shown.len())?;
    }
    writeln!(out)
}

fn summary(out: &mut dyn Write, rows: usize, pack: &[u8], notes: &[String], times: &Times) -> std::io::Result<()> {
    let each = |time: Duration| readable(time.div_f64(rows.max(1) as f64));
    writeln!(out, "rows      {rows}")?;
    writeln!(out, "a row     {} warm, {} with the first answer", each(times.warm), each(times.cold))?;
    writeln!(out, "batch     {} warm, {} at first", readable(times.warm), readable(times.cold))?;
    writeln!(out, "compiled  in {}", readable(times.compile))?;
    writeln!(out, "pack      {} bytes", pack.len())?;
    notes.iter().try_for_each(|note| writeln!(out, "note      {note}"))
}

fn readable(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        1e-6.. => format!("{:.2} µs", seconds * 1e6),
        _ => format!("{:.0} ns", seconds * 1e9),
    }
}

fn document(outputs: &[Tensor], rows: usize, pack: &[u8], notes: &[String], times: &Times) -> Value {
    let named: Map<String, Value> =
        outputs.iter().map(|output| (output.name.clone(), arrays::to_json(output))).collect();
    json!({
        "outputs": named,
        "rows": rows,
        "pack_bytes": pack.len(),
        "compile_seconds": times.compile.as_secs_f64(),
        "cold_seconds": times.cold.as_secs_f64(),
        "warm_seconds": times.warm.as_secs_f64(),
        "notes": notes,
    })
}
