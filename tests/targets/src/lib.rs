//! What is fuzzed: one function for each target, which panics where a promise is broken.
//!
//! | target | input | promise |
//! |---|---|---|
//! | [`pack`] | bytes taken for a pack | it is loaded or refused, and what was loaded answers |
//! | [`executor`] | a pack's plan and weights | the plan runs, faults or is refused; the same twice |
//! | `model` | bytes taken for an ONNX model | it is compiled or refused |
//!
//! `cargo xtask fuzz` drives them with libFuzzer, under limits of time and memory; the tests replay
//! the corpora in `tests/fuzz/corpus` and alter the plans of all cases with [`altered`].

mod alter;
mod run;

pub use alter::{Random, altered};
pub use run::{executor, pack};

/// The compiler: a model is compiled or refused, and a panic inside tract is a refusal.
#[cfg(feature = "compiler")]
pub fn model(bytes: &[u8]) {
    // A large batch would be refused for its working memory alone.
    let options = tradewind_compiler::Options { joint_rows: 8, ..Default::default() };
    let _outcome = tradewind_compiler::compile(bytes, &options);
}
