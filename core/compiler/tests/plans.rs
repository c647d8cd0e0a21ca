//! Structure of plans of the shared cases. The workspace's own `tests` check their results for every case and runtime.

use std::{error::Error, fs};
use tradewind_compiler::{Compiled, Options, Reference, Values, compile};
use tradewind_core::{
    aligned::AlignedBytes,
    exec::{Data, DataMut, Executor},
    plan::{Activation, Batch, DType, Dense, Kernel},
};

type Tested = Result<(), Box<dyn Error>>;

fn onnx(case: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(fs::read(format!("{}/../../tests/cases/onnx/{case}/model.onnx", env!("CARGO_MANIFEST_DIR")))?)
}

fn compiled(case: &str) -> Result<Compiled, Box<dyn Error>> {
    Ok(compile(&onnx(case)?, &Options::default())?)
}

#[test]
fn a_network_is_one_step_for_each_layer() -> Tested {
    let plan = compiled("mlp-gemm-relu")?.plan;
    assert_eq!(plan.batch, Batch::Independent);
    let activations: Vec<Activation> = plan
        .steps
        .iter()
        .filter_map(|step| match step.kernel {
            Kernel::Dense(Dense { activation, .. }) => Some(activation),
            _ => None,
        })
        .collect();
    assert_eq!(activations.len(), plan.steps.len(), "only dense layers: {:?}", plan.steps);
    assert_eq!(activations.iter().rposition(|last| *last == Activation::Relu), activations.len().checked_sub(2));
    Ok(())
}

#[test]
fn steps_name_the_onnx_nodes_that_they_come_from() -> Tested {
    let plan = compiled("two-tower-matmul")?.plan;
    assert!(plan.steps.iter().all(|step| step.node.starts_with('/')), "{:?}", plan.steps);
    Ok(())
}

#[test]
fn an_index_of_strings_has_their_list() -> Tested {
    let plan = compiled("linear-classifier-none")?.plan;
    let labels = plan.outputs.iter().find(|port| !port.categories.is_empty()).ok_or("no strings")?;
    assert_eq!(plan.buffers[usize::from(labels.buffer.0)].dtype, DType::I64);
    Ok(())
}

#[test]
fn what_changes_on_the_way_is_noted() -> Tested {
    let notes = compiled("mlp-f64")?.notes;
    assert!(notes.iter().any(|note| note.contains("f64")), "{notes:?}");
    Ok(())
}

#[test]
fn a_second_symbol_is_refused_until_it_is_bound() -> Tested {
    let model = onnx("two-tower-reduce-sum")?;
    let refusal = compile(&model, &Options::default()).err().ok_or("it has two symbols")?;
    assert!(refusal.reason().contains("`items`") && refusal.reason().contains("`candidates`"), "{refusal}");
    let options = Options { bind: [("candidates".to_string(), 9)].into(), ..Options::default() };
    assert_eq!(compile(&model, &options)?.plan.inputs[1].shape[1].fixed, 9);
    Ok(())
}

#[test]
fn the_reference_agrees_with_the_plan() -> Tested {
    let (model, options) = (onnx("mlp-layer-norm")?, Options::default());
    let Compiled { plan, weights, .. } = compile(&model, &options)?;
    let rows = 300; // more than a tile
    let width = usize::try_from(plan.inputs[0].shape[1].fixed)?;
    let x: Vec<f32> = (0..rows * width).map(|n| (n as f32 * 0.37).sin()).collect();
    let len = plan.outputs[0].shape.iter().map(|dim| dim.at(rows)).product();
    let mut found = vec![0.0; len];
    let weights = AlignedBytes::copy_of(&weights)?;
    let mut executor = Executor::new(plan, weights.as_slice())?;
    executor.run(weights.as_slice(), rows, &[Data::F32(&x)], &mut [DataMut::F32(&mut found)])?;
    let expected = Reference::new(&model, &options)?.run(rows, &[Data::F32(&x)])?;
    let [Values::F32(expected)] = &expected[..] else { return Err("one output of floats".into()) };
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 + 1e-4 * expected.abs(), "{found} beside {expected}");
    }
    Ok(())
}

#[test]
fn an_ensemble_of_trees_has_no_reference() -> Tested {
    let unavailable = Reference::new(&onnx("trees-sum-1")?, &Options::default()).err().ok_or("tract has no trees")?;
    assert!(unavailable.reason.contains("the reference runtime lacks"), "{unavailable}");
    Ok(())
}

#[test]
fn rows_of_sequences_are_computed_apart() -> Tested {
    // Exported with steps before the batch, and flattened to a matrix of both.
    for case in ["sasrec", "bert4rec", "transformer-encoder"] {
        assert_eq!(compiled(case)?.plan.batch, Batch::Independent, "{case}");
    }
    Ok(())
}
