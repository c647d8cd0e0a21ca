//! Every model of the corpus, on every runtime: onnxruntime's recorded outputs are the judge.

use anyhow::{Context, Result, ensure};
use tradewind_compiler::{Options, compile};
use tradewind_core::message::{InferRequest, Reply, Request};
use tradewind_host::comparison::compare_outputs;
use tradewind_tests::{Case, Comparison, PACK, Subject, cases, pack_of, refused, runtimes};

#[test]
fn every_case_gives_the_recorded_outputs_on_every_runtime() -> Result<()> {
    let mut runtimes = runtimes()?;
    let mut wrong = Vec::new();
    let cases = cases()?;
    for case in &cases {
        if let Err(error) = check(case, &mut runtimes) {
            wrong.push(format!("{}: {error:#}", case.name));
        }
    }
    ensure!(wrong.is_empty(), "{} of {} cases are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let readme = std::fs::read_to_string(tradewind_tests::root().join("README.md"))?;
    ensure!(readme.contains(&format!("{} models", cases.len())), "the README says another number than {}", cases.len());
    Ok(())
}

fn check(case: &Case, runtimes: &mut [Subject]) -> Result<()> {
    let pack = pack_of(case)?;
    for runtime in &mut *runtimes {
        let reply = postcard::from_bytes(&runtime.guest.load(&pack)?)?;
        ensure!(matches!(reply, Reply::Loaded(_)), "{}: {reply:?}", runtime.name);
    }
    for (n, set) in case.sets.iter().enumerate() {
        let request = Request::Infer(InferRequest { pack: PACK.into(), inputs: set.inputs.clone() });
        let request = postcard::to_allocvec(&request)?;
        let mut first: Option<Vec<u8>> = None;
        for runtime in &mut *runtimes {
            let reply = runtime.guest.call(&request)?;
            let place = || format!("set {n} on {}", runtime.name);
            let Reply::Tensors(outputs) = postcard::from_bytes(&reply)? else {
                anyhow::bail!("{}: {:?}", place(), postcard::from_bytes::<Reply>(&reply)?);
            };
            compare_outputs(&outputs, &set.outputs, false).map_err(anyhow::Error::msg).with_context(place)?;
            match (&first, runtime.comparison) {
                (None, _) => first = Some(reply),
                (Some(first), Comparison::Exact) => {
                    ensure!(*first == reply, "{}: other bytes than the first runtime's", place())
                }
                (Some(_), Comparison::Close) => {}
            }
        }
    }
    Ok(())
}

#[test]
fn models_that_cannot_be_run_are_refused_with_the_reason() -> Result<()> {
    let mut wrong = Vec::new();
    for model in refused()? {
        match compile(&model.onnx, &Options::default()) {
            Ok(_) => wrong.push(format!("{}: was packed", model.name)),
            Err(refusal) => {
                let message = refusal.to_string();
                let missing: Vec<_> = model.says.iter().filter(|words| !message.contains(*words)).collect();
                if !missing.is_empty() {
                    wrong.push(format!("{}: `{message}` does not say {missing:?}", model.name));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_row_has_the_same_result_alone_and_among_others() -> Result<()> {
    use tradewind_core::{Executor, aligned::AlignedBytes, exec::Matrix};
    for case in cases()? {
        let compiled = compile(&case.onnx, &case.options)?;
        let weights = AlignedBytes::copy_of(&compiled.weights)?;
        let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
        let independent = executor.plan().batch == tradewind_core::plan::Batch::Independent;
        let Some((input, output)) = executor.score_ports().filter(|_| independent) else { continue };
        let columns = input.shape[1].at(0);
        let width: usize = output.shape.iter().skip(1).map(|dim| dim.at(0)).product();
        let Some(tradewind_core::tensor::TensorData::F32(rows)) =
            case.sets.iter().map(|set| &set.inputs[0].data).max_by_key(|data| data.len())
        else {
            continue;
        };
        let count = rows.len() / columns;
        let mut together = vec![0.0; count * width];
        executor.score(weights.as_slice(), count, Matrix::Rows(rows), &mut together)?;
        for (n, row) in rows.chunks_exact(columns).enumerate() {
            let mut alone = vec![0.0; width];
            executor.score(weights.as_slice(), 1, Matrix::Rows(row), &mut alone)?;
            let same = alone.iter().zip(&together[n * width..]).all(|(a, b)| a.to_bits() == b.to_bits());
            ensure!(same, "{}: row {n} gives {alone:?} alone", case.name);
        }
        // Column by column it is the same matrix.
        let by_column: Vec<f32> =
            (0..columns).flat_map(|column| rows.iter().skip(column).step_by(columns).copied()).collect();
        let mut again = vec![0.0; count * width];
        executor.score(weights.as_slice(), count, Matrix::Columns(&by_column), &mut again)?;
        let same = again.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits());
        ensure!(same, "{}: column-major gives other scores", case.name);
    }
    Ok(())
}
