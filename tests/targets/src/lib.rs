//! Fuzz targets: one function for each, which panics if a guarantee is violated.
//!
//! | target | input | guarantee |
//! |---|---|---|
//! | [`pack`] | bytes interpreted as a pack | it is loaded or refused, and a loaded pack replies |
//! | [`executor`] | a pack's plan and weights | the plan runs, faults or is refused, with the same result twice |
//! | `model` | bytes interpreted as an ONNX model | it is compiled or refused |
//!
//! `cargo xtask fuzz` drives them with libFuzzer, under limits of time and memory; the tests replay the corpora in
//! `tests/fuzz/corpus` and alter the plans of all cases with [`altered`].

mod alter;
mod run;

pub use alter::{Random, altered};
pub use run::{executor, pack};

/// The compiler: a model is compiled or refused, and a panic inside tract is a refusal.
#[cfg(feature = "compiler")]
pub fn model(bytes: &[u8]) {
    // A large batch would be refused because of its working memory.
    let options = tradewind_compiler::Options { joint_rows: 8, ..Default::default() };
    let _outcome = tradewind_compiler::compile(bytes, &options);
}
