//! Packs with encoded weights: half and a quarter of the bytes, within the allowed loss.

use anyhow::{Context, Result, ensure};
use tradewind_compiler::{Options, Precision};
use tradewind_core::pack::{PackView, SectionKind};
use tradewind_host::packing::{MAX_LOSS, PackError, Packed, Source, Storage};
use tradewind_tests::root;

const PRECISIONS: [Precision; 2] = [Precision::F16, Precision::Int8];

fn packed(path: &str, precision: Precision, max_loss: f32) -> Result<Packed, PackError> {
    Source::read(&root().join(path))?
        .pack(&Options::default(), Storage::default().precision(precision).max_loss(max_loss))
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
        // Biases are unchanged, and there is a scale for every 32 bytes.
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
