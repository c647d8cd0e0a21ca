//! Compiles ONNX models to plans for Tradewind's portable module.
//!
//! ```
//! use tradewind_compiler::{Options, compile};
//! use tradewind_core::{aligned::AlignedBytes, exec::{Data, DataMut, Executor}};
//!
//! let onnx = include_bytes!("../tests/two-features.onnx"); // score = 2·x₀ − x₁ + 0.5
//! let compiled = compile(onnx, &Options::default())?;
//! assert_eq!(compiled.plan.outputs[0].name, "score");
//!
//! let weights = AlignedBytes::copy_of(&compiled.weights)?;
//! let mut executor = Executor::new(compiled.plan, weights.as_slice())?;
//! let mut scores = [0.0; 2];
//! let rows = [1.0, 0.0, /* and */ 3.0, 4.0];
//! executor.run(weights.as_slice(), 2, &[Data::F32(&rows)], &mut [DataMut::F32(&mut scores)])?;
//! assert_eq!(scores, [2.5, 2.5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Pipeline
//!
//! ```text
//! ONNX bytes ─ frontend ─▶ tract's decluttered graph ─ lower ─▶ draft ─ plan ─▶ Plan + weights
//!               narrow        dialect, ml, nn            builder     fuse, batch, layout, weights
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `model` | reads the protobuf: external data, inlined functions, sparse constants |
//! | `frontend` | resolves inputs with defaults, binds the batch to one symbol, runs tract's inference and decluttering |
//! | `idioms` | rewrites exporters' patterns: dictionaries, sequences, distances |
//! | `vectorize` | turns TF-IDF with its tokeniser into an input of text features |
//! | `text` | collects the strings that the model distinguishes for each input |
//! | `wide` | keeps f64 where f32 would lose the result |
//! | `narrow` | converts all other f64 and f16 to f32 before tract sees them |
//! | `operators` | supported operators, the mechanism for each, and the ONNX node of each tract node |
//! | `bounds` | limits tract's computations while it reads a model |
//! | `dialect` | custom versions of the few ONNX operators that tract interprets differently from onnxruntime |
//! | `ml` | ai.onnx.ml operators, lowered directly from their ONNX nodes |
//! | `nn` | recurrent layers, convolutions and pools, likewise |
//! | `whole`, `attributes` | operators of `ml` and `nn` that stay one node through tract's passes; attributes of ONNX nodes |
//! | `lower` | converts the graph to kernel calls, one file for each family of operators |
//! | `value`, `extent` | a tensor during lowering: buffer, view, and growth of its extents with the batch |
//! | `builder`, `walk` | one method for each kernel; the geometry of the strided ones |
//! | `fuse` | folds biases and rectifiers into dense layers |
//! | `batch` | proves that rows are independent, so that they can run in tiles |
//! | `layout` | places buffers in the arena by their lifetimes |
//! | `weights` | stores each constant once |
//! | `encode` | compresses large constants on request: [`Compiled::at`] |
//! | `plan` | runs these passes |
//! | [`Reference`] | tract as a reference for comparing plans |
//! | [`Interface`] | a model's declarations; inputs that determine a shape |
//! | [`read_tensor`], [`read_input`], [`fit_input`], [`write_tensor`] | tensors in the ONNX project's test files |
//! | `quiet` | converts panics in tract to refusals |
//! | [`Refusal`] | reason why a model cannot be compiled |
//!
//! # Reference behaviour
//!
//! tract is the parser and the shape checker. If tract, the specification and onnxruntime disagree, onnxruntime's
//! behaviour is correct: its recorded outputs are the tests. A panic inside tract becomes a [`Refusal`].

mod attributes;
mod batch;
mod bounds;
mod builder;
mod dialect;
mod encode;
mod extent;
mod frontend;
mod fuse;
mod idioms;
mod interface;
mod layout;
mod lower;
mod ml;
mod model;
mod narrow;
mod nn;
mod operators;
mod plan;
mod quantized;
mod quiet;
mod reference;
mod refusal;
mod tensor;
mod text;
mod unroll;
mod value;
mod vectorize;
mod walk;
mod weights;
mod whole;
mod wide;

use std::collections::{BTreeMap, BTreeSet};
use tradewind_core::{aligned::AlignedBytes, exec::Executor, plan::Plan};

pub use encode::Precision;
pub use interface::{Declared, Interface, bind_input, default_input};
pub use model::{ReadError, read_model};
pub use reference::{Reference, Unavailable, Values};
pub use refusal::Refusal;
pub use tensor::{ElementType, TensorError, fit_input, read_input, read_tensor, write_tensor};

/// Options for compiling a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Maximum batch of a model whose rows depend on each other (default 256).
    pub joint_rows: u32,
    /// Extents of the model's open axes, by name (`steps` = 50) or by input and axis number (`ids[1]` = 50). `N` is a
    /// leading axis without a name. A name that matches no axis, or a fixed one, is refused.
    pub bind: BTreeMap<String, i64>,
    /// Inputs with a default that become inputs of the plan; the others become constants.
    pub overrides: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { joint_rows: 256, bind: BTreeMap::new(), overrides: BTreeSet::new() }
    }
}

/// Compiled model.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// Plan.
    pub plan: Plan,
    /// Constants of the plan; must be aligned to 16 bytes.
    pub weights: Vec<u8>,
    /// Sorted notes about changes that may matter, such as f64 converted to f32.
    pub notes: Vec<String>,
}

/// Compiles an ONNX model.
///
/// # Errors
/// A [`Refusal`] if the bytes are not a valid model, an operator or shape cannot be part of a plan, or the plan would
/// exceed the executor's limits.
pub fn compile(onnx: &[u8], options: &Options) -> Result<Compiled, Refusal> {
    let compiled = quiet::catch(|| compile_or_panic(onnx, options));
    compiled.unwrap_or_else(|panic| Err(Refusal::whole(format!("the compiler failed: {panic}; please report it"))))
}

fn compile_or_panic(onnx: &[u8], options: &Options) -> Result<Compiled, Refusal> {
    let graph = frontend::Graph::read(onnx, options, narrow::Floats::Plan)?;
    let draft = lower::lower(&graph)?;
    let compiled = plan::finish(draft, options).map_err(|reason| Refusal::whole(reason.0))?;
    // The executor has the last word: it checks its limits, and every index of every step.
    AlignedBytes::copy_of(&compiled.weights)
        .and_then(|weights| Executor::new(compiled.plan.clone(), weights.as_slice()))
        .map_err(|error| Refusal::whole(format!("its plan cannot be run: {error}")))?;
    Ok(compiled)
}
