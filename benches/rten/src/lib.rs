//! rten behind a C ABI with almost no overhead: JavaScript writes inputs and reads outputs in rten's
//! own buffers.

use rten::{Model, Value, ValueOrView, ValueView};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};
use std::cell::RefCell;

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

#[derive(Default)]
struct State {
    model: Option<Model>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    error: String,
}

/// Result of `load` and `run` if rten refuses; `error` has the reason.
const FAILED: u32 = u32::MAX;

/// Allocates a buffer for a model; `load` frees it.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(len: usize) -> *mut u8 {
    Box::leak(vec![0; len].into_boxed_slice()).as_mut_ptr()
}

/// Loads the ONNX model in a buffer from `alloc` of exactly that length.
///
/// # Safety
/// The buffer is from `alloc`, has `len` bytes, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn load(ptr: *mut u8, len: usize) -> u32 {
    // SAFETY: guaranteed by the caller; `alloc` leaked a box of exactly this slice.
    let bytes = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(ptr, len)) };
    with(|state| {
        *state = State::default();
        state.model = Some(Model::load(bytes.into_vec()).map_err(|error| error.to_string())?);
        Ok(0)
    })
}

/// Address for the next input: i32 if `integers` is 1, else f32. Its shape is the first `rank` extents.
#[unsafe(no_mangle)]
pub extern "C" fn input(integers: u32, rank: usize, d0: usize, d1: usize, d2: usize) -> *const u8 {
    let shape = [d0, d1, d2];
    let shape = &shape[..rank.min(3)];
    let value = match integers {
        1 => Value::from(Tensor::<i32>::zeros(shape)),
        _ => Value::from(Tensor::<f32>::zeros(shape)),
    };
    STATE.with_borrow_mut(|state| {
        state.inputs.push(value);
        state.inputs.last().map_or(std::ptr::null(), |value| bytes(value).as_ptr())
    })
}

/// Runs the model; returns the number of outputs.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u32 {
    with(|state| {
        let model = state.model.as_ref().ok_or("no model is loaded")?;
        let ids = model.input_ids().iter().copied();
        let inputs = ids.zip(state.inputs.iter().map(|value| ValueOrView::View(value.as_view()))).collect();
        state.outputs = model.run(inputs, model.output_ids(), None).map_err(|error| error.to_string())?;
        Ok(state.outputs.len() as u32)
    })
}

/// Address of an output, in row-major order.
#[unsafe(no_mangle)]
pub extern "C" fn output(index: usize) -> *const u8 {
    STATE.with_borrow_mut(|state| {
        match &mut state.outputs[index] {
            Value::FloatTensor(tensor) => tensor.make_contiguous(),
            Value::Int32Tensor(tensor) => tensor.make_contiguous(),
            _ => {}
        }
        bytes(&state.outputs[index]).as_ptr()
    })
}

/// Number of elements of an output.
#[unsafe(no_mangle)]
pub extern "C" fn output_len(index: usize) -> usize {
    STATE.with_borrow(|state| state.outputs[index].len())
}

/// Type of an output: i32 (1) or f32 (0).
#[unsafe(no_mangle)]
pub extern "C" fn output_is_integers(index: usize) -> u32 {
    STATE.with_borrow(|state| u32::from(matches!(state.outputs[index], Value::Int32Tensor(_))))
}

/// Reason for the last failure.
#[unsafe(no_mangle)]
pub extern "C" fn error() -> *const u8 {
    STATE.with_borrow(|state| state.error.as_ptr())
}

/// Length of that reason in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn error_len() -> usize {
    STATE.with_borrow(|state| state.error.len())
}

fn with(f: impl FnOnce(&mut State) -> Result<u32, String>) -> u32 {
    STATE.with_borrow_mut(|state| {
        f(state).unwrap_or_else(|error| {
            state.error = error;
            FAILED
        })
    })
}

fn bytes(value: &Value) -> &[u8] {
    fn as_bytes<T>(tensor: TensorView<'_, T>) -> &[u8] {
        let data = tensor.data().unwrap_or_default();
        // SAFETY: f32 and i32 have no padding, and any byte may be read.
        unsafe { std::slice::from_raw_parts(data.as_ptr().cast(), size_of_val(data)) }
    }
    match value.as_view() {
        ValueView::FloatTensor(tensor) => as_bytes(tensor),
        ValueView::Int32Tensor(tensor) => as_bytes(tensor),
        _ => &[],
    }
}
