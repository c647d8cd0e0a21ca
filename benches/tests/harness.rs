//! Smoke test of the harness, on a small model with Tradewind's runtimes and tract.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{fs, process::Command};
use tradewind_core::tensor::TensorData;
use tradewind_tests::cases;

#[test]
fn runtimes_agree_and_results_are_written() -> Result<()> {
    let cases = cases()?;
    let case = cases.iter().find(|case| case.name == "mlp-gemm-relu").context("no such case")?;
    let input = &case.sets[0].inputs[0];
    let TensorData::F32(values) = &input.data else { anyhow::bail!("not f32") };
    let models = json!([{
        "name": "small", "title": "A small network", "library": null,
        "inputs": [{ "name": input.name, "type": "f32", "row": input.shape[1..] }],
        "targets": [{ "rows": 1, "ratio": 1.0 }, { "rows": 5, "ratio": 1.0 }],
    }]);
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    fs::write(file("models.json"), models.to_string())?;
    fs::write(file("small.onnx"), &case.onnx)?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(file(&format!("small.{}.bin", input.name)), bytes)?;

    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let status = bench
        .args(["run", "--quick", "--only", "small", "--models"])
        .arg(folder.path())
        .arg("--out")
        .arg(folder.path())
        .status()?;
    ensure!(status.success(), "the benchmark failed; see its message above");
    let results = fs::read_to_string(file("RESULTS.md"))?;
    let row = results.lines().rfind(|line| line.starts_with("| A small network | 5 |")).context("no times")?;
    ensure!(!row.contains("refused"), "a runtime refuses: {row}");
    ensure!(file("plots/rows-1.svg").exists(), "no plot");
    Ok(())
}
