//! Loading and running of hostile packs.

use crate::Random;
use tradewind_core::{
    Engine, Executor, Millis,
    aligned::AlignedBytes,
    exec::Matrix,
    message::{self, Decision, Describe, InferRequest, LOADED, Loaded},
    pack::{ModelCard, PackView, Sample, SectionKind},
    plan::{DType, Plan, Port},
    rank::RankRequest,
    tensor::{Tensor, TensorData},
};

/// Maximum cost of one run, in operations and in elements of a tensor: a plan may need more, within its limits, and
/// would keep a fuzzer from trying others.
const MOST_WORK: u64 = 1 << 22;
const MOST_ELEMENTS: usize = 1 << 18;

/// Checks that the pack is loaded or refused, and that a loaded pack replies.
pub fn pack(bytes: &[u8]) {
    if let Ok(view) = PackView::parse(bytes) {
        let _refused = view.verify(None, |bytes| [bytes.len() as u8; 32], |_, _, _| true);
        let _card = view.read::<ModelCard>(SectionKind::Card);
        let _samples = view.read::<Vec<Sample>>(SectionKind::Samples);
    }
    let Ok(aligned) = AlignedBytes::copy_of(bytes) else { return };
    let mut engine = Engine::new();
    let Ok(Loaded::Pack(info)) = message::body(&engine.load(aligned), LOADED) else { return };
    let plan = PackView::parse(bytes).and_then(|view| view.read::<Plan>(SectionKind::Plan));
    let inputs = plan.ok().filter(|plan| plan.work(plan.tile as usize) <= MOST_WORK);
    if let Some(inputs) = inputs.and_then(|plan| made_up(&plan, 3, &mut Random(1))) {
        call(&mut engine, &InferRequest { pack: info.name.clone(), inputs });
        call(&mut engine, &RankRequest::new(&info.name, Millis(1), 5));
    }
    call(&mut engine, &Describe);
}

fn call<D: Decision>(engine: &mut Engine, request: &D) {
    engine.call(&message::request(request));
}

/// Checks that the pack's plan runs, faults or is refused, for batches around its tile, and that its results do not
/// depend on earlier calls.
pub fn executor(bytes: &[u8]) {
    let Ok(view) = PackView::parse(bytes) else { return };
    let Ok(mut plan) = view.read::<Plan>(SectionKind::Plan) else { return };
    let weights = view.bytes(SectionKind::Weights).unwrap_or_default();
    let Ok(section) = AlignedBytes::copy_of(weights) else { return };
    let Ok(expanded) = plan.expand(section.as_slice()) else { return };
    let weights = expanded.unwrap_or(section);
    let weights = weights.as_slice();
    let Ok(mut executor) = Executor::new(plan, weights) else { return };
    let plan = executor.plan().clone();
    let tile = plan.tile as usize;
    let random = &mut Random(bytes.len() as u64);
    let mut answered = Vec::new();
    for rows in [1, 0, 2, tile, tile + 1] {
        // An empty batch still runs the kernels.
        if plan.work(tile).saturating_mul(rows.div_ceil(tile).max(1) as u64) > MOST_WORK {
            continue;
        }
        let Some(inputs) = made_up(&plan, rows, random) else { continue };
        let answer = answer(&mut executor, weights, rows, &inputs);
        answered.push((rows, inputs, answer));
    }
    for (rows, inputs, before) in answered.into_iter().rev() {
        let again = answer(&mut executor, weights, rows, &inputs);
        assert!(again == before, "{rows} rows were answered otherwise after another request");
    }
}

/// Results of the executor as bytes: the outputs, and the scores if it supports them.
fn answer(executor: &mut Executor, weights: &[u8], rows: usize, inputs: &[Tensor]) -> [Vec<u8>; 2] {
    let outputs = executor.infer(weights, inputs).map_err(|error| error.to_string());
    let len = |port: &Port| elements(port, rows).unwrap_or(0);
    let mut scores = vec![0.0; executor.score_ports().map_or(0, |(_, output)| len(output))];
    if let (Some(_), Some(TensorData::F32(values))) = (executor.score_ports(), inputs.first().map(|input| &input.data))
    {
        let _scored = executor.score(weights, rows, Matrix::Columns(values), &mut scores);
    }
    [postcard::to_allocvec(&outputs).unwrap_or_default(), postcard::to_allocvec(&scores).unwrap_or_default()]
}

/// Generates inputs for `rows` rows, including boundary values; `None` if they, or the outputs, would be too large.
fn made_up(plan: &Plan, rows: usize, random: &mut Random) -> Option<Vec<Tensor>> {
    plan.outputs.iter().try_for_each(|port| elements(port, rows).map(drop))?;
    let inputs = plan.inputs.iter().map(|port| {
        let len = elements(port, rows)?;
        let dtype = plan.buffers.get(port.buffer.0 as usize)?.dtype;
        let shape: Vec<u32> = port.shape.iter().map(|dim| dim.at(rows) as u32).collect();
        Tensor::new(port.name.clone(), shape, values(dtype, len, random)).ok()
    });
    inputs.collect()
}

fn elements(port: &Port, rows: usize) -> Option<usize> {
    let len = port.shape.iter().try_fold(1usize, |len, dim| len.checked_mul(dim.at(rows)));
    len.filter(|len| *len <= MOST_ELEMENTS)
}

fn values(dtype: DType, len: usize, random: &mut Random) -> TensorData {
    const FLOATS: [f32; 6] = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX];
    const INTEGERS: [i64; 6] = [i64::MIN, i64::MAX, -1, i32::MIN as i64, 0, 5];
    let mut float = || match random.below(8) {
        0 => FLOATS[random.below(FLOATS.len())],
        _ => (random.below(1 << 16) as f32 - 32_768.0) / 8_192.0,
    };
    match dtype {
        DType::F32 => TensorData::F32((0..len).map(|_| float()).collect()),
        DType::F64 => TensorData::F64((0..len).map(|_| float().into()).collect()),
        DType::I64 => TensorData::I64((0..len).map(|_| integer(&INTEGERS, random)).collect()),
        DType::I32 => TensorData::I32((0..len).map(|_| integer(&INTEGERS, random) as i32).collect()),
        DType::U8 => TensorData::U8((0..len).map(|_| random.number() as u8).collect()),
        DType::Bool => TensorData::Bool((0..len).map(|_| random.below(2) as u8).collect()),
    }
}

/// Mostly an index that is inside every table.
fn integer(edges: &[i64], random: &mut Random) -> i64 {
    match random.below(64) {
        0 => edges[random.below(edges.len())],
        _ => random.below(4) as i64,
    }
}
