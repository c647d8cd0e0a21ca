//! One corpus, every runtime: the module gives the same bytes under all of them, native code the same within the
//! tolerance, and both what was recorded. The test prints a table of all answers that were compared.
//!
//! With `TRADEWIND_RECORD` set the decisions' replies are written, and not compared.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::{
    env, fs,
    io::{Write, stdout},
};
use tradewind_compiler::{Options, Precision, compile};
use tradewind_core::{
    Channel, Digest, ErrorKind, Event, EventKind, Line, Millis, Sku,
    message::{InferRequest, Reply, Request},
    pack::PackView,
    rank::{RankRequest, Ranking},
    snapshot::Snapshot,
    tensor::TensorData,
};
use tradewind_host::{
    comparison::{compare, compare_outputs},
    packing::{Source, Storage},
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
    // The harness would keep what `print!` writes.
    Ok(write!(stdout().lock(), "\n{all}\n")?)
}

/// Every model of the corpus: onnxruntime's recorded outputs are the judge.
fn models(all: &mut Ensemble) -> Result<()> {
    let cases = cases()?;
    all.begin(format!("{} models", cases.len()))?;
    right(all, &cases)?;
    let readme = fs::read_to_string(root().join("README.md"))?;
    ensure!(readme.contains(&format!("{} models", cases.len())), "the README says another number than {}", cases.len());
    Ok(())
}

/// Random graphs, of which the compiler takes nearly all.
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
        let request = Request::Infer(InferRequest { pack: PACK.into(), inputs: set.inputs.clone() });
        let judged = all.call(&postcard::to_allocvec(&request)?)?.each(|answer| {
            let Reply::Tensors(outputs) = postcard::from_bytes(answer)? else {
                bail!("{:?}", postcard::from_bytes::<Reply>(answer)?);
            };
            compare_outputs(&outputs, &set.outputs, false).map_err(anyhow::Error::msg)
        });
        judged.with_context(|| format!("set {n}"))?;
    }
    Ok(())
}

fn loaded(answer: &[u8]) -> Result<()> {
    let reply: Reply = postcard::from_bytes(answer)?;
    ensure!(matches!(reply, Reply::Loaded(_) | Reply::Snapshot(_)), "{reply:?}");
    Ok(())
}

/// Models whose weights take half and a quarter of the bytes: whatever is lost, it is the same everywhere.
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
            let storage = Storage { precision, max_loss: f32::INFINITY };
            let packed = Source::read(&path)?.pack(&case.options, storage).with_context(|| case.name.clone())?;
            let Reply::Loaded(pack) = postcard::from_bytes(&all.load(&packed.bytes)?.exact)? else {
                bail!("{} is not loaded", case.name);
            };
            let request = Request::Infer(InferRequest { pack: pack.name, inputs: case.sets[0].inputs.clone() });
            let answers = all.call(&postcard::to_allocvec(&request)?).with_context(|| case.name.clone())?;
            let Reply::Tensors(expected) = postcard::from_bytes(&answers.exact)? else {
                bail!("{} is not answered", case.name);
            };
            answers.each(|answer| {
                let Reply::Tensors(outputs) = postcard::from_bytes(answer)? else { bail!("no tensors") };
                let mut pairs = outputs.iter().zip(&expected);
                pairs.try_for_each(|(one, other)| compare(&one.data, &other.data).map_err(anyhow::Error::msg))
            })?;
        }
    }
    Ok(())
}

/// A matrix by columns, through the entry that has no message.
fn columns(all: &mut Ensemble) -> Result<()> {
    let case = cases()?.into_iter().find(|case| case.name == "lightgbm-regression").context("the case is gone")?;
    let set = case.sets.iter().max_by_key(|set| set.inputs[0].rows()).context("no set")?;
    let TensorData::F32(rows) = &set.inputs[0].data else { bail!("not f32") };
    let count = set.inputs[0].rows();
    let width = rows.len() / count;
    let columns: Vec<f32> = (0..width).flat_map(|column| rows.iter().skip(column).step_by(width).copied()).collect();
    all.begin("a matrix by columns".into())?;
    let Reply::Loaded(pack) = postcard::from_bytes(&all.load(&pack_of(&case)?)?.exact)? else { bail!("not loaded") };
    let request = Request::Infer(InferRequest { pack: pack.name, inputs: set.inputs.clone() });
    let Reply::Tensors(outputs) = postcard::from_bytes(&all.call(&postcard::to_allocvec(&request)?)?.exact)? else {
        bail!("no tensors");
    };
    let TensorData::F32(expected) = &outputs.last().context("no output")?.data else { bail!("not f32") };
    let expected: Vec<u8> = expected.iter().flat_map(|value| value.to_le_bytes()).collect();
    let scores = all.score(pack.handle, count, &columns, count)?;
    ensure!(scores.exact.starts_with(&expected), "other scores than by rows");
    for (pack, rows) in [(99, count), (pack.handle, count + 1)] {
        all.score(pack, rows, &columns, count)?.each(|answer| fault(answer.split_at(4 * count).1, None))?;
    }
    Ok(())
}

/// A recorded reply: a line of `tests/cases/rank/replies.jsonl`.
#[derive(Deserialize)]
struct Recorded {
    items: Vec<Item>,
    considered: u32,
}

#[derive(Deserialize)]
struct Item {
    sku: String,
    score: f32,
    reasons: Vec<String>,
}

/// Real households' histories.
fn rankings(all: &mut Ensemble) -> Result<()> {
    let requests = decisions::rankings()?;
    let replies = fs::read_to_string(root().join("tests/cases/rank/replies.jsonl"))?;
    let count = requests.len();
    ensure!(count >= 10 && count == replies.lines().count(), "{count} requests");
    all.begin(format!("{count} rankings of real households"))?;
    all.load(&fs::read(dist("packs/recommend.pack")?)?)?.each(loaded)?;
    for (n, (request, recorded)) in requests.into_iter().zip(replies.lines()).enumerate() {
        let recorded: Recorded = serde_json::from_str(recorded)?;
        let answers = all.call(&postcard::to_allocvec(&Request::Rank(request))?);
        let answers = answers.with_context(|| format!("request {n}"))?;
        answers.each(|answer| ranked(answer, &recorded)).with_context(|| format!("request {n}"))?;
    }
    Ok(())
}

fn ranked(answer: &[u8], recorded: &Recorded) -> Result<()> {
    let Reply::Ranking(Ranking { items, considered, .. }) = postcard::from_bytes(answer)? else { bail!("no ranking") };
    ensure!(considered == recorded.considered && items.len() == recorded.items.len(), "{considered} considered");
    for (found, expected) in items.iter().zip(&recorded.items) {
        let sku = &expected.sku;
        ensure!(found.sku.as_str() == sku, "{sku} is now {}", found.sku);
        let near = (found.score - expected.score).abs() <= 1e-4 * (1.0 + expected.score.abs());
        ensure!(near, "{sku} has {}, not {}", found.score, expected.score);
        let reasons: Vec<_> = found.reasons.iter().map(ToString::to_string).collect();
        ensure!(reasons == expected.reasons, "{sku}: {reasons:?}");
    }
    Ok(())
}

/// The packs that decide, then the snapshot that they decide over.
fn files() -> Result<Vec<Vec<u8>>> {
    let packs = ["recommend", "price", "demand", "late"].map(|name| format!("packs/{name}.pack"));
    let files = packs.into_iter().chain(["reference.snapshot".into()]);
    files.map(|file| Ok(fs::read(dist(&file)?)?)).collect()
}

/// Prices, a plan and exceptions over the reference snapshot.
fn decide(all: &mut Ensemble) -> Result<()> {
    let files = files()?;
    let snapshot = Snapshot::read(&PackView::parse(files.last().context("no files")?)?)?;
    let requests = requests(snapshot.root)?;
    all.begin(format!("{} decisions over the reference snapshot", requests.len()))?;
    for file in &files {
        all.load(file)?.each(loaded)?;
    }
    let mut replies = String::new();
    for (name, request) in &requests {
        let answers = all.call(&postcard::to_allocvec(request)?).with_context(|| name.clone())?;
        let reply: Reply = postcard::from_bytes(&answers.exact)?;
        ensure!(!matches!(reply, Reply::Fault(_)), "{name}: {reply:?}");
        answers.each(|answer| close(&postcard::from_bytes(answer)?, &reply)).with_context(|| name.clone())?;
        replies.push_str(&(serde_json::to_string(&reply)? + "\n"));
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

/// What is decided, by name.
fn requests(root: Digest) -> Result<Vec<(String, Request)>> {
    let quotes = decisions::quotes(root)?.into_iter().enumerate();
    let mut requests: Vec<_> = quotes.map(|(n, quote)| (format!("quote {}", n + 1), Request::Quote(quote))).collect();
    requests.push(("orders".into(), Request::Allocate(decisions::orders(root)?)));
    requests.push(("shipments".into(), Request::Exceptions(decisions::shipments(root)?)));
    Ok(requests)
}

/// The same decision, from numbers that may differ in their last digits.
fn close(found: &Reply, expected: &Reply) -> Result<()> {
    match (found, expected) {
        (Reply::Quote(found), Reply::Quote(expected)) => {
            ensure!(found.price == expected.price && found.reasons == expected.reasons, "{found:?}, not {expected:?}");
            let (found, expected) = (found.units.unwrap_or(-1.0), expected.units.unwrap_or(-1.0));
            ensure!((found - expected).abs() <= 1e-3 * expected.abs(), "{found} units, not {expected}");
        }
        (Reply::Allocated(found), Reply::Allocated(expected)) => {
            let difference = (found.total.0 - expected.total.0).abs();
            ensure!(difference * 1_000 <= expected.total.0, "costs {:?}, not {:?}", found.total, expected.total);
        }
        (Reply::Exceptions(found), Reply::Exceptions(expected)) => {
            ensure!(found.len() == expected.len(), "{} exceptions, not {}", found.len(), expected.len());
        }
        _ => bail!("{found:?}, not {expected:?}"),
    }
    Ok(())
}

fn fault(answer: &[u8], kind: Option<ErrorKind>) -> Result<()> {
    let reply: Reply = postcard::from_bytes(answer)?;
    let Reply::Fault(fault) = reply else { bail!("{reply:?}") };
    ensure!(kind.is_none_or(|kind| fault.code == kind.code()), "{fault}");
    Ok(())
}

/// What cannot be answered, or takes more than its bytes look like: the same words everywhere.
fn faults(all: &mut Ensemble) -> Result<()> {
    all.begin("faults, and greedy requests".into())?;
    for garbage in [&[][..], &[0xff; 40], &[0, 0], b"{\"at\": 1}"] {
        all.call(garbage)?.each(|answer| fault(answer, Some(ErrorKind::Malformed)))?;
    }
    all.load(b"not a pack")?.each(|answer| fault(answer, Some(ErrorKind::NotAPack)))?;
    let pack = fs::read(dist("packs/recommend.pack")?)?;
    for at in 0..pack.len().ilog2() {
        let (mut flipped, cut) = (pack.clone(), &pack[..pack.len() >> (at + 1)]);
        // Bytes are the shells' to verify; the module makes the same of them everywhere, whatever it is.
        flipped[1 << at] ^= 1;
        all.load(&flipped)?;
        all.load(cut)?.each(|answer| fault(answer, None))?;
    }
    all.load(&pack)?.each(loaded)?;
    let day = Millis(1_512_396_000_000);
    let quotes = decisions::quotes(Digest::default())?;
    let quote = quotes.into_iter().next().context("no quotes")?;
    for request in [
        Request::Rank(RankRequest::new("nobody", day, 5)),
        Request::Infer(InferRequest { pack: "recommend".into(), inputs: Vec::new() }),
        Request::Quote(quote),
    ] {
        all.call(&postcard::to_allocvec(&request)?)?.each(|answer| fault(answer, None))?;
    }

    // Things that take more memory than their bytes, or more time.
    let many = 3_000_000_u32;
    let length = postcard::to_allocvec(&many)?;
    let empty_texts = [&[1, 1, b'm', 1, 1, b'x', 0, 5][..], &length, &vec![0; many as usize]].concat();
    let exclude = [&[2, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &vec![0; many as usize]].concat();
    for request in [empty_texts, exclude, vec![0; 5 << 20]] {
        all.call(&request)?.each(|answer| fault(answer, None))?;
    }
    // Two hundred orders of a thousand products each, of which few can be kept.
    let order = |n: i64| {
        let line = |code: usize| Ok(Line { sku: Sku::new(format!("{}", code * 7))?, quantity: 1 });
        let lines = (0..1_000).map(line).collect::<Result<Vec<_>>>()?;
        Ok(Event { at: Millis(n), channel: Channel::Web, kind: EventKind::Purchase(lines) })
    };
    let events = (0..200).map(order).collect::<Result<Vec<_>>>()?;
    let request = RankRequest { events, ..RankRequest::new("recommend", Millis(1_000), 5) };
    all.call(&postcard::to_allocvec(&Request::Rank(request))?)?.each(|answer| {
        let reply: Reply = postcard::from_bytes(answer)?;
        ensure!(matches!(reply, Reply::Ranking(_)), "{reply:?}");
        Ok(())
    })
}
