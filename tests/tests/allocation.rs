//! The executor allocates its memory when it is created, and nothing when it runs.
#![expect(unsafe_code, reason = "a global allocator that counts is written over the system's")]

use anyhow::{Result, ensure};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};
use tradewind_compiler::compile;
use tradewind_core::{
    Executor,
    aligned::AlignedBytes,
    exec::{Data, DataMut},
    plan::Port,
    tensor::TensorData,
};
use tradewind_tests::cases;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_run_allocates_nothing_once_the_plan_is_loaded() -> Result<()> {
    for case in cases()? {
        let compiled = compile(&case.onnx, &case.options)?;
        // Dividing texts into tokens allocates.
        if !compiled.plan.texts.is_empty() {
            continue;
        }
        let weights = AlignedBytes::copy_of(&compiled.weights)?;
        let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
        for set in &case.sets {
            let plan = executor.plan().clone();
            // The executor's text inputs and outputs are indices.
            let indexed = |data: &TensorData| match data {
                TensorData::Text(text) => TensorData::I64(vec![0; text.len()]),
                data => data.clone(),
            };
            let given = |port: &Port| set.inputs.iter().find(|input| input.name == port.name);
            let rows_of = |port: &Port| {
                let axis = port.shape.iter().position(|dim| dim.per_row > 0)?;
                Some(given(port)?.shape[axis] as usize)
            };
            let rows = plan.inputs.iter().filter_map(rows_of).max().unwrap_or(1);
            let inputs: Vec<TensorData> =
                plan.inputs.iter().filter_map(given).map(|input| indexed(&input.data)).collect();
            let inputs: Vec<Data<'_>> = inputs.iter().filter_map(TensorData::as_data).collect();
            let mut outputs: Vec<TensorData> = set.outputs.iter().map(|output| indexed(&output.data)).collect();
            let mut slots: Vec<DataMut<'_>> = outputs.iter_mut().map(TensorData::as_data_mut).collect();
            let before = ALLOCATIONS.with(Cell::get);
            let result = executor.run(weights.as_slice(), rows, &inputs, &mut slots);
            let during = ALLOCATIONS.with(Cell::get) - before;
            result?;
            ensure!(during == 0, "{}: {during} allocations", case.name);
        }
    }
    Ok(())
}
