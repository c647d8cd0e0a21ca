//! Plans altered as plans: see [`tradewind_targets::altered`].
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| tradewind_targets::executor(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // One in eight is altered as bytes.
    let altered = (seed % 8 > 0).then(|| tradewind_targets::altered(&data[..size], u64::from(seed))).flatten();
    match altered.filter(|altered| altered.len() <= max_size) {
        Some(altered) => {
            data[..altered.len()].copy_from_slice(&altered);
            altered.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});
