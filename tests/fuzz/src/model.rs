//! Bytes interpreted as an ONNX model.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tradewind_targets::model(bytes));
