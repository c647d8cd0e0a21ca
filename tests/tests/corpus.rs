//! Models of the corpus: refusals, and properties of every plan that runs. `runtimes.rs` checks their outputs.

use anyhow::{Result, ensure};
use tradewind_compiler::{Options, compile};
use tradewind_core::{
    Executor,
    aligned::AlignedBytes,
    exec::Matrix,
    plan::Batch,
    tensor::{Tensor, TensorData},
};
use tradewind_host::packing::{Source, Storage};
use tradewind_tests::{cases, random, refused, root};

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
    for case in cases()?.into_iter().chain(random()?) {
        // A few random graphs are refused.
        let Ok(compiled) = compile(&case.onnx, &case.options) else { continue };
        let weights = AlignedBytes::copy_of(&compiled.weights)?;
        let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
        let plan = executor.plan();
        let (ports, tile) = ([&plan.inputs[..], &plan.outputs].concat(), plan.tile as usize);
        if plan.batch != Batch::Independent {
            continue;
        }
        let batch = |tensor: &Tensor| {
            let port = ports.iter().find(|port| port.name == tensor.name)?;
            port.shape.iter().position(|dim| dim.per_row > 0)
        };
        for set in &case.sets {
            let count = set.inputs.iter().find_map(|tensor| Some(tensor.shape[batch(tensor)?] as usize)).unwrap_or(0);
            if count == 0 {
                continue;
            }
            let rows_of = |rows: &[usize]| -> Vec<Tensor> {
                let picked = |tensor: &Tensor| match batch(tensor) {
                    Some(axis) => picked(tensor, axis, count, rows),
                    None => tensor.clone(),
                };
                set.inputs.iter().map(picked).collect()
            };
            let alone = (0..count).map(|n| executor.infer(weights.as_slice(), &rows_of(&[n])));
            let alone = alone.collect::<Result<Vec<_>, _>>()?;
            // Batches around the tile, with rows of the set in another order.
            for size in [1, 2, count, tile - 1, tile, tile + 1, 2 * tile + 44] {
                let rows: Vec<usize> = (0..size).map(|n| (n * 7 + size) % count).collect();
                let together = executor.infer(weights.as_slice(), &rows_of(&rows))?;
                for (n, row) in rows.iter().enumerate() {
                    let own = |tensor: &Tensor| picked(tensor, batch(tensor).unwrap_or(0), size, &[n]);
                    let among: Vec<Tensor> = together.iter().map(own).collect();
                    // Compared as bytes, because NaN must stay NaN.
                    let same = postcard::to_allocvec(&alone[*row])? == postcard::to_allocvec(&among)?;
                    let name = &case.name;
                    ensure!(same, "{name}: row {n} of {size} gives {:?} alone, {among:?} among others", alone[*row]);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn rows_together_have_the_same_results_whatever_the_largest_batch() -> Result<()> {
    let mut joint = 0;
    for case in cases()?.into_iter().chain(random()?) {
        let Ok(compiled) = compile(&case.onnx, &case.options) else { continue };
        if compiled.plan.batch != Batch::Joint || compiled.plan.tile == 1 {
            continue;
        }
        joint += 1;
        let more = Options { joint_rows: 2 * case.options.joint_rows + 44, ..case.options.clone() };
        let larger = compile(&case.onnx, &more)?;
        let mut answers = Vec::new();
        for compiled in [compiled, larger] {
            let weights = AlignedBytes::copy_of(&compiled.weights)?;
            let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
            let outputs = case.sets.iter().map(|set| executor.infer(weights.as_slice(), &set.inputs));
            let outputs: Vec<_> = outputs.map(|outputs| outputs.map_err(|error| error.kind())).collect();
            answers.push(postcard::to_allocvec(&outputs.into_iter().flatten().collect::<Vec<_>>())?);
        }
        ensure!(answers[0] == answers[1], "{}: other results where batches may be larger", case.name);
    }
    ensure!(joint >= 10, "only {joint} models have rows that depend on each other");
    Ok(())
}

/// Selects rows of a tensor with `count` rows on an axis.
fn picked(tensor: &Tensor, axis: usize, count: usize, rows: &[usize]) -> Tensor {
    fn parts<T: Clone>(elements: &[T], [stretch, width]: [usize; 2], rows: &[usize]) -> Vec<T> {
        let stretches = elements.chunks_exact(stretch.max(1));
        let picked = stretches.flat_map(|stretch| rows.iter().map(move |row| &stretch[row * width..(row + 1) * width]));
        picked.flatten().cloned().collect()
    }
    let stretch = tensor.shape[axis..].iter().product::<u32>() as usize;
    let width = [stretch, stretch / count];
    let mut shape = tensor.shape.clone();
    shape[axis] = shape[axis] / count as u32 * rows.len() as u32;
    let data = match &tensor.data {
        TensorData::F32(data) => TensorData::F32(parts(data, width, rows)),
        TensorData::I64(data) => TensorData::I64(parts(data, width, rows)),
        TensorData::I32(data) => TensorData::I32(parts(data, width, rows)),
        TensorData::U8(data) => TensorData::U8(parts(data, width, rows)),
        TensorData::Bool(data) => TensorData::Bool(parts(data, width, rows)),
        TensorData::Text(data) => TensorData::Text(parts(data, width, rows)),
        TensorData::F64(data) => TensorData::F64(parts(data, width, rows)),
    };
    Tensor { name: tensor.name.clone(), shape, data }
}

#[test]
fn what_stays_f64_is_compared_with_moments_in_f64() -> Result<()> {
    for case in ["moments-difference", "moments-since", "moments-compared", "moments-linear"] {
        let model = root().join("tests/cases/onnx").join(case).join("model.onnx");
        let packed = Source::read(&model)?.pack(&Options::default(), Storage::default())?;
        let compared = packed.checks.iter().any(|check| check.contains("moments"));
        ensure!(compared, "{case}: {:?}", packed.checks);
    }
    Ok(())
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
