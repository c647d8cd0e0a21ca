//! Models of the corpus: what is refused, and what holds of every plan that runs. Their outputs: `runtimes.rs`.

use anyhow::{Result, ensure};
use tradewind_compiler::{Options, compile};
use tradewind_core::{
    Executor,
    aligned::AlignedBytes,
    exec::Matrix,
    plan::Batch,
    tensor::{Tensor, TensorData},
};
use tradewind_tests::{cases, refused};

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
    for case in cases()? {
        let compiled = compile(&case.onnx, &case.options)?;
        let weights = AlignedBytes::copy_of(&compiled.weights)?;
        let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
        if executor.plan().batch != Batch::Independent {
            continue;
        }
        for set in &case.sets {
            let inputs = executor.plan().inputs.clone();
            let batched = |tensor: &Tensor| {
                let port = inputs.iter().find(|port| port.name == tensor.name);
                port.is_some_and(|port| port.shape.iter().any(|dim| dim.per_row > 0))
            };
            let count = set.inputs.iter().find(|tensor| batched(tensor)).map_or(0, Tensor::rows);
            let together = executor.infer(weights.as_slice(), &set.inputs)?;
            for n in 0..count {
                let of_row = |tensor: &Tensor| if batched(tensor) { row(tensor, n, count) } else { tensor.clone() };
                let alone =
                    executor.infer(weights.as_slice(), &set.inputs.iter().map(of_row).collect::<Vec<Tensor>>())?;
                let among: Vec<Tensor> = together.iter().map(|tensor| row(tensor, n, count)).collect();
                // Bytes, not numbers: NaN is to stay NaN.
                let same = postcard::to_allocvec(&alone)? == postcard::to_allocvec(&among)?;
                ensure!(same, "{}: row {n} of {count} gives {alone:?} alone, {among:?} among others", case.name);
            }
        }
    }
    Ok(())
}

/// Row `n` of a tensor of so many.
fn row(tensor: &Tensor, n: usize, count: usize) -> Tensor {
    fn part<T: Clone>(elements: &[T], n: usize, count: usize) -> Vec<T> {
        let width = elements.len() / count;
        elements[n * width..(n + 1) * width].to_vec()
    }
    let mut shape = tensor.shape.clone();
    shape[0] /= count as u32;
    let data = match &tensor.data {
        TensorData::F32(data) => TensorData::F32(part(data, n, count)),
        TensorData::I64(data) => TensorData::I64(part(data, n, count)),
        TensorData::I32(data) => TensorData::I32(part(data, n, count)),
        TensorData::U8(data) => TensorData::U8(part(data, n, count)),
        TensorData::Bool(data) => TensorData::Bool(part(data, n, count)),
        TensorData::Text(data) => TensorData::Text(part(data, n, count)),
    };
    Tensor { name: tensor.name.clone(), shape, data }
}

#[test]
fn a_matrix_has_the_same_scores_by_row_and_by_column() -> Result<()> {
    for case in cases()? {
        let compiled = compile(&case.onnx, &case.options)?;
        let weights = AlignedBytes::copy_of(&compiled.weights)?;
        let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
        let independent = executor.plan().batch == Batch::Independent;
        let Some((input, output)) = executor.score_ports().filter(|_| independent) else { continue };
        let columns = input.shape[1].at(0);
        let width: usize = output.shape.iter().skip(1).map(|dim| dim.at(0)).product();
        let Some(TensorData::F32(rows)) = case.sets.iter().map(|set| &set.inputs[0].data).max_by_key(|data| data.len())
        else {
            continue;
        };
        let count = rows.len() / columns;
        let mut by_row = vec![0.0; count * width];
        executor.score(weights.as_slice(), count, Matrix::Rows(rows), &mut by_row)?;
        let transposed: Vec<f32> =
            (0..columns).flat_map(|column| rows.iter().skip(column).step_by(columns).copied()).collect();
        let mut by_column = vec![0.0; count * width];
        executor.score(weights.as_slice(), count, Matrix::Columns(&transposed), &mut by_column)?;
        let same = by_row.iter().zip(&by_column).all(|(a, b)| a.to_bits() == b.to_bits());
        ensure!(same, "{}: column-major gives other scores", case.name);
    }
    Ok(())
}
