//! Bytes interpreted as a pack.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tradewind_targets::pack(bytes));
