//! Packs whose weights take fewer bytes: half and a quarter, within the loss that is allowed.

use anyhow::{Context, Result, ensure};
use std::fs;
use tradewind_compiler::{Options, Precision, compile};
use tradewind_core::{
    guest::Client,
    message::InferRequest,
    pack::{PackView, SectionKind},
};
use tradewind_host::packing::{MAX_LOSS, PackError, Packed, Source, Storage};
use tradewind_tests::{cases, root, runtimes};

const PRECISIONS: [Precision; 2] = [Precision::F16, Precision::Int8];

fn packed(path: &str, precision: Precision, max_loss: f32) -> Result<Packed, PackError> {
    Source::read(&root().join(path))?.pack(&Options::default(), Storage { precision, max_loss })
}

fn section(packed: &Packed, kind: SectionKind) -> Result<&[u8]> {
    let range = PackView::parse(&packed.bytes)?.section(kind).context("no such section")?;
    Ok(&packed.bytes[range])
}

#[test]
fn an_embedding_model_takes_half_and_a_quarter_of_the_bytes() -> Result<()> {
    let model = "tests/cases/onnx/matrix-factorisation/model.onnx";
    let whole = section(&packed(model, Precision::F32, MAX_LOSS)?, SectionKind::Weights)?.len();
    for (precision, part) in PRECISIONS.into_iter().zip([0.56, 0.38]) {
        let packed = packed(model, precision, MAX_LOSS)?;
        let bytes = section(&packed, SectionKind::Weights)?.len();
        // Biases stay as they are, and there is a scale for every 32 bytes.
        ensure!((bytes as f32) < part * whole as f32, "{precision:?}: {bytes} of {whole} bytes");
        ensure!(!packed.losses.is_empty() && packed.losses.iter().all(|loss| loss.largest > 0.0));
    }
    Ok(())
}

#[test]
fn a_model_that_loses_too_much_is_refused_with_the_output_and_the_loss() -> Result<()> {
    let refused = packed("tests/cases/onnx/mlp-gemm-relu/model.onnx", Precision::Int8, 1e-6);
    let message = refused.err().context("it was packed")?.to_string();
    ensure!(message.contains("Int8") && message.contains('`') && message.contains("--max-loss"), "{message}");
    Ok(())
}

#[test]
fn every_runtime_gives_the_same_answers_from_fewer_bytes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut clients: Vec<_> =
        runtimes()?.into_iter().map(|runtime| (runtime.name, Client::new(runtime.guest))).collect();
    for case in cases()?.iter().filter(|case| case.options == Options::default()) {
        let compiled = compile(&case.onnx, &case.options)?;
        if compiled.at(Precision::Int8) == compiled {
            continue;
        }
        let path = folder.path().join(format!("{}.onnx", case.name));
        fs::write(&path, &case.onnx)?;
        for precision in PRECISIONS {
            // What is asked here is whether runtimes agree, however much is lost.
            let storage = Storage { precision, max_loss: f32::INFINITY };
            let packed = Source::read(&path)?.pack(&case.options, storage).with_context(|| case.name.clone())?;
            let mut first = None;
            for (runtime, client) in &mut clients {
                let pack = client.load(&packed.bytes).map_err(anyhow::Error::msg)?.name;
                let request = InferRequest { pack, inputs: case.sets[0].inputs.clone() };
                let outputs = client.infer(request).map_err(anyhow::Error::msg)?;
                let first = first.get_or_insert_with(|| outputs.clone());
                let pairs = first.iter().zip(&outputs);
                for (one, other) in pairs {
                    tradewind_host::comparison::compare(&other.data, &one.data)
                        .map_err(anyhow::Error::msg)
                        .with_context(|| format!("{} on {runtime}: `{}`", case.name, one.name))?;
                }
            }
        }
    }
    Ok(())
}
