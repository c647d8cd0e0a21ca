//! One corpus, all runtimes: the module gives identical bytes under all of them, native code agrees within the
//! tolerance, and both match the recorded results. The test prints a table of all compared replies.
//!
//! With `TRADEWIND_RECORD` set the decisions' replies are recorded instead of compared.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use std::{
    env, fs,
    io::{Write, stdout},
};
use tradewind_compiler::{Options, Precision, compile};
use tradewind_core::{
    Channel, Digest, ErrorKind, Event, EventKind, Line, Millis, Sku,
    message::{self, InferRequest, LOADED, Loaded, PackInfo},
    rank::{RankRequest, Ranking, Reason},
    snapshot::Snapshot,
    tensor::TensorData,
};
use tradewind_host::{
    comparison::{compare, compare_outputs},
    packing::{Source, Storage},
    receipts::readable,
};
use tradewind_tests::{Case, Ensemble, PACK, cases, decisions, dist, pack_of, random, root};

#[test]
fn every_runtime_answers_every_case_alike() -> Result<()> {
    let mut all = Ensemble::default();
    models(&mut all)?;
    graphs(&mut all)?;
    smaller_models(&mut all)?;
    columns(&mut all)?;
    rankings(&mut all)?;
    decide(&mut all)?;
    faults(&mut all)?;
    // The test harness would capture `print!`.
    Ok(write!(stdout().lock(), "\n{all}\n")?)
}

/// Compares every model of the corpus with onnxruntime's recorded outputs.
fn models(all: &mut Ensemble) -> Result<()> {
    let cases = cases()?;
    all.begin(format!("{} models", cases.len()))?;
    right(all, &cases)?;
    let readme = fs::read_to_string(root().join("README.md"))?;
    ensure!(readme.contains(&format!("{} models", cases.len())), "the README says another number than {}", cases.len());
    Ok(())
}

/// Random graphs, nearly all of which the compiler accepts.
fn graphs(all: &mut Ensemble) -> Result<()> {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for case in random()? {
        match compile(&case.onnx, &case.options) {
            Ok(_) => taken.push(case),
            Err(refusal) => refused.push(format!("{}: {refusal}", case.name)),
        }
    }
    let allowed = taken.len() / 50;
    ensure!(refused.len() <= allowed, "{} are refused, {allowed} may be:\n{}", refused.len(), refused.join("\n"));
    all.begin(format!("{} random graphs", taken.len()))?;
    right(all, &taken)
}

fn right(all: &mut Ensemble, cases: &[Case]) -> Result<()> {
    let judged = cases.iter().map(|case| judge(all, case).with_context(|| case.name.clone()));
    let wrong: Vec<_> = judged.filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    Ok(())
}

fn judge(all: &mut Ensemble, case: &Case) -> Result<()> {
    all.load(&pack_of(case)?)?.each(loaded)?;
    for (n, set) in case.sets.iter().enumerate() {
        let request = InferRequest { pack: PACK.into(), inputs: set.inputs.clone() };
        let judged = all.call(&message::request(&request))?.each(|answer| {
            let outputs = message::answer::<InferRequest>(answer)?;
            compare_outputs(&outputs, &set.outputs, false).map_err(anyhow::Error::msg)
        });
        judged.with_context(|| format!("set {n}"))?;
    }
    Ok(())
}

fn loaded(answer: &[u8]) -> Result<()> {
    message::body::<Loaded>(answer, LOADED)?;
    Ok(())
}

/// Loads a pack in all runtimes, and returns its description.
fn load(all: &mut Ensemble, pack: &[u8]) -> Result<PackInfo> {
    match message::body(&all.load(pack)?.exact, LOADED)? {
        Loaded::Pack(info) => Ok(info),
        other => bail!("{other:?}"),
    }
}

/// Models whose weights take half and a quarter of the bytes: the loss is identical everywhere.
fn smaller_models(all: &mut Ensemble) -> Result<()> {
    let mut smaller = Vec::new();
    for case in cases()?.into_iter().filter(|case| case.options == Options::default()) {
        let compiled = compile(&case.onnx, &case.options)?;
        if compiled.at(Precision::Int8) != compiled {
            smaller.push(case);
        }
    }
    all.begin(format!("{} models, weights as f16 and int8", smaller.len()))?;
    let folder = tempfile::tempdir()?;
    for case in smaller {
        let path = folder.path().join(format!("{}.onnx", case.name));
        fs::write(&path, &case.onnx)?;
        for precision in [Precision::F16, Precision::Int8] {
            let storage = Storage::default().precision(precision).max_loss(f32::INFINITY);
            let packed = Source::read(&path)?.pack(&case.options, storage).with_context(|| case.name.clone())?;
            let pack = load(all, &packed.bytes).with_context(|| case.name.clone())?;
            let request = InferRequest { pack: pack.name, inputs: case.sets[0].inputs.clone() };
            let answers = all.call(&message::request(&request)).with_context(|| case.name.clone())?;
            let expected = message::answer::<InferRequest>(&answers.exact).with_context(|| case.name.clone())?;
            answers.each(|answer| {
                let outputs = message::answer::<InferRequest>(answer)?;
                let mut pairs = outputs.iter().zip(&expected);
                pairs.try_for_each(|(one, other)| compare(&one.data, &other.data).map_err(anyhow::Error::msg))
            })?;
        }
    }
    Ok(())
}

/// A column-major matrix, through the export without a message.
fn columns(all: &mut Ensemble) -> Result<()> {
    let case = cases()?.into_iter().find(|case| case.name == "lightgbm-regression").context("the case is gone")?;
    let set = case.sets.iter().max_by_key(|set| set.inputs[0].rows()).context("no set")?;
    let TensorData::F32(rows) = &set.inputs[0].data else { bail!("not f32") };
    let count = set.inputs[0].rows();
    let width = rows.len() / count;
    let columns: Vec<f32> = (0..width).flat_map(|column| rows.iter().skip(column).step_by(width).copied()).collect();
    all.begin("a matrix by columns".into())?;
    let pack = load(all, &pack_of(&case)?)?;
    let request = InferRequest { pack: pack.name, inputs: set.inputs.clone() };
    let outputs = message::answer::<InferRequest>(&all.call(&message::request(&request))?.exact)?;
    let TensorData::F32(expected) = &outputs.last().context("no output")?.data else { bail!("not f32") };
    let expected: Vec<u8> = expected.iter().flat_map(|value| value.to_le_bytes()).collect();
    let scores = all.score(pack.handle, count, &columns, count)?;
    ensure!(scores.exact.starts_with(&expected), "other scores than by rows");
    for (pack, rows) in [(99, count), (pack.handle, count + 1)] {
        all.score(pack, rows, &columns, count)?.each(|answer| fault(answer.split_at(4 * count).1, None))?;
    }
    Ok(())
}

/// Recorded reply: a line of `tests/cases/rank/replies.jsonl`.
#[derive(Deserialize)]
struct Recorded {
    items: Vec<Item>,
    considered: u32,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    score: f32,
    reasons: Vec<Reason>,
}

/// Histories of real households.
fn rankings(all: &mut Ensemble) -> Result<()> {
    let requests = decisions::rankings()?;
    let replies = fs::read_to_string(root().join("tests/cases/rank/replies.jsonl"))?;
    let count = requests.len();
    ensure!(count >= 10 && count == replies.lines().count(), "{count} requests");
    all.begin(format!("{count} rankings of real households"))?;
    all.load(&fs::read(dist("packs/recommend.pack")?)?)?.each(loaded)?;
    for (n, (request, recorded)) in requests.into_iter().zip(replies.lines()).enumerate() {
        let recorded: Recorded = serde_json::from_str(recorded)?;
        let answers = all.call(&message::request(&request));
        let answers = answers.with_context(|| format!("request {n}"))?;
        answers.each(|answer| ranked(answer, &recorded)).with_context(|| format!("request {n}"))?;
    }
    Ok(())
}

fn ranked(answer: &[u8], recorded: &Recorded) -> Result<()> {
    let Ranking { items, considered, .. } = message::answer::<RankRequest>(answer)?;
    ensure!(considered == recorded.considered && items.len() == recorded.items.len(), "{considered} considered");
    for (found, expected) in items.iter().zip(&recorded.items) {
        let sku = &expected.sku;
        ensure!(found.sku.as_str() == sku, "{sku} is now {}", found.sku);
        let near = (found.score - expected.score).abs() <= 1e-4 * (1.0 + expected.score.abs());
        ensure!(near, "{sku} has {}, not {}", found.score, expected.score);
        ensure!(found.reasons == expected.reasons, "{sku}: {:?}", found.reasons);
    }
    Ok(())
}

/// Packs of all decisions, then their snapshot.
fn files() -> Result<Vec<Vec<u8>>> {
    let packs = ["recommend", "price", "demand", "late"].map(|name| format!("packs/{name}.pack"));
    let files = packs.into_iter().chain(["reference.snapshot".into()]);
    files.map(|file| Ok(fs::read(dist(&file)?)?)).collect()
}

/// Prices, a plan and exceptions with the reference snapshot.
fn decide(all: &mut Ensemble) -> Result<()> {
    let files = files()?;
    let snapshot = Snapshot::read(files.last().context("no files")?)?;
    let requests = requests(snapshot.root)?;
    all.begin(format!("{} decisions over the reference snapshot", requests.len()))?;
    for file in &files {
        all.load(file)?.each(loaded)?;
    }
    let mut replies = String::new();
    for (name, request) in &requests {
        let answers = all.call(request).with_context(|| name.clone())?;
        let read = |reply: &[u8]| readable(reply).context("it is no reply");
        let reply = read(&answers.exact)?;
        ensure!(reply.get("fault").is_none(), "{name}: {reply}");
        answers.each(|answer| close(&read(answer)?, &reply)).with_context(|| name.clone())?;
        replies.push_str(&(reply.to_string() + "\n"));
    }
    let path = decisions::folder().join("replies.jsonl");
    if env::var_os("TRADEWIND_RECORD").is_some() {
        return Ok(fs::write(path, replies)?);
    }
    let recorded = fs::read_to_string(&path)?;
    for (((name, _), reply), recorded) in requests.iter().zip(replies.lines()).zip(recorded.lines()) {
        ensure!(reply == recorded, "{name}: was\n{recorded}\nis\n{reply}");
    }
    ensure!(replies.lines().count() == recorded.lines().count(), "other requests than those that were recorded");
    Ok(())
}

/// Requests for decisions, by name.
fn requests(root: Digest) -> Result<Vec<(String, Vec<u8>)>> {
    let quotes = decisions::quotes(root)?.into_iter().enumerate();
    let mut requests: Vec<_> =
        quotes.map(|(n, quote)| (format!("quote {}", n + 1), message::request(&quote))).collect();
    requests.push(("orders".into(), message::request(&decisions::orders(root)?)));
    requests.push(("shipments".into(), message::request(&decisions::shipments(root)?)));
    Ok(requests)
}

/// Compares decisions, allowing differences in the last digits of numbers.
fn close(found: &Value, expected: &Value) -> Result<()> {
    let number = |value: &Value| value.as_f64().unwrap_or(-1.0);
    let (name, expected) = expected.as_object().and_then(|reply| reply.iter().next()).context("no reply")?;
    let found = &found[name];
    let near = match name.as_str() {
        "quote" => {
            let (units, wanted) = (number(&found["units"]), number(&expected["units"]));
            let same = ["price", "reasons"].iter().all(|field| found[*field] == expected[*field]);
            same && (units - wanted).abs() <= 1e-3 * wanted.abs()
        }
        "allocate" => {
            let (total, wanted) = (number(&found["total"]), number(&expected["total"]));
            (total - wanted).abs() * 1_000.0 <= wanted
        }
        "exceptions" => found.as_array().map(Vec::len) == expected.as_array().map(Vec::len),
        _ => false,
    };
    ensure!(near, "{found}, not {expected}");
    Ok(())
}

fn fault(answer: &[u8], kind: Option<ErrorKind>) -> Result<()> {
    let fault = message::fault(answer).with_context(|| format!("{:?}", readable(answer)))?;
    ensure!(kind.is_none_or(|kind| fault.code == kind.code()), "{fault}");
    Ok(())
}

/// Invalid requests, and requests that need more memory than their bytes: identical messages everywhere.
fn faults(all: &mut Ensemble) -> Result<()> {
    all.begin("faults, and greedy requests".into())?;
    for garbage in [&[][..], &[0xff; 40], &[0, 0], &[1, 0], &[99], b"{\"at\": 1}"] {
        all.call(garbage)?.each(|answer| fault(answer, Some(ErrorKind::Malformed)))?;
    }
    all.load(b"not a pack")?.each(|answer| fault(answer, Some(ErrorKind::NotAPack)))?;
    let pack = fs::read(dist("packs/recommend.pack")?)?;
    for at in 0..pack.len().ilog2() {
        let (mut flipped, cut) = (pack.clone(), &pack[..pack.len() >> (at + 1)]);
        // Shells verify bytes; the module gives identical results everywhere, even for altered ones.
        flipped[1 << at] ^= 1;
        all.load(&flipped)?;
        all.load(cut)?.each(|answer| fault(answer, None))?;
    }
    all.load(&pack)?.each(loaded)?;
    let day = Millis(1_512_396_000_000);
    let quotes = decisions::quotes(Digest::default())?;
    let quote = quotes.into_iter().next().context("no quotes")?;
    for request in [
        message::request(&RankRequest::new("nobody", day, 5)),
        message::request(&InferRequest { pack: "recommend".into(), inputs: Vec::new() }),
        message::request(&quote),
    ] {
        all.call(&request)?.each(|answer| fault(answer, None))?;
    }

    // Inputs that need more memory than their bytes, or more time.
    let many = 3_000_000_u32;
    let length = postcard::to_allocvec(&many)?;
    let empty_texts = [&[2, 1, b'm', 1, 1, b'x', 0, 5][..], &length, &vec![0; many as usize]].concat();
    let exclude = [&[3, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &vec![0; many as usize]].concat();
    for request in [empty_texts, exclude, vec![0; 5 << 20]] {
        all.call(&request)?.each(|answer| fault(answer, None))?;
    }
    // Two hundred orders of a thousand products each, of which few can be served.
    let order = |n: i64| {
        let line = |code: usize| Ok(Line { sku: Sku::new(format!("{}", code * 7))?, quantity: 1 });
        let lines = (0..1_000).map(line).collect::<Result<Vec<_>>>()?;
        Ok(Event { at: Millis(n), channel: Channel::Web, kind: EventKind::Purchase { lines } })
    };
    let events = (0..200).map(order).collect::<Result<Vec<_>>>()?;
    let request = RankRequest { events, ..RankRequest::new("recommend", Millis(1_000), 5) };
    all.call(&message::request(&request))?.each(|answer| {
        message::answer::<RankRequest>(answer)?;
        Ok(())
    })
}
