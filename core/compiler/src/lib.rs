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
//! # The way of a model
//!
//! ```text
//! ONNX bytes ─ frontend ─▶ tract's decluttered graph ─ lower ─▶ draft ─ plan ─▶ Plan + weights
//!               narrow        dialect, ml, nn            builder     fuse, batch, layout, weights
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `model` | reads the protobuf: data beside the file, functions in the place of their calls, sparse constants |
//! | `frontend` | settles inputs with defaults, binds the batch to one symbol, has tract type and declutter it |
//! | `idioms` | says otherwise what exporters write in a roundabout way: dictionaries, sequences, distances |
//! | `text` | finds the strings that each input is told apart by |
//! | `wide` | keeps f64 where f32 would lose the answer |
//! | `narrow` | makes all other f64 and f16 f32 before tract sees them |
//! | `operators` | the operators that are read, the mechanism for each, and which node of the model a node of tract's comes from |
//! | `bounds` | limits what tract computes while it reads a model |
//! | `dialect` | wires anew the few ONNX operators that tract reads otherwise than onnxruntime |
//! | `ml` | the ai.onnx.ml operators, straight from their ONNX nodes |
//! | `nn` | recurrent layers, convolutions and pools, likewise |
//! | `lower` | walks the graph and makes kernel calls, one file for each family of operators |
//! | `value`, `extent` | a tensor during the walk: where it lies, how it is reached, how its extents grow with the batch |
//! | `builder`, `walk` | one method for each kernel; the geometry of the strided ones |
//! | `fuse` | folds biases and rectifiers into dense layers |
//! | `batch` | proves that rows do not look at each other, so that they may run in tiles |
//! | `layout` | places buffers in the arena by their lives |
//! | `weights` | stores each constant once |
//! | `encode` | gives the large ones fewer bytes, where that is asked for: [`Compiled::at`] |
//! | `plan` | runs those passes |
//! | [`Reference`] | tract itself, to hold a plan against |
//! | [`Interface`] | what a model declares; which of its inputs determine a shape |
//! | [`read_tensor`], [`read_input`], [`fit_input`], [`write_tensor`] | a tensor from and to a file of the ONNX project's test layout |
//! | [`Refusal`] | why a model cannot be compiled |
//!
//! # Who is right
//!
//! tract is the parser and the shape checker. Where it, the specification and onnxruntime disagree,
//! onnxruntime is right: its recorded answers are the tests. A panic inside tract is a [`Refusal`].

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
mod quiet;
mod reference;
mod refusal;
mod tensor;
mod text;
mod value;
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

/// How to compile a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The largest batch of a model whose rows are computed together; 256 unless set.
    pub joint_rows: u32,
    /// Extents of axes that the model leaves open, by their name (`steps` = 50) or by input and place (`ids[1]` = 50).
    /// `N` is a leading axis without a name. One that means no axis, or a fixed one, is refused.
    pub bind: BTreeMap<String, i64>,
    /// Inputs with a default that are inputs of the plan; the others are constants.
    pub overrides: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { joint_rows: 256, bind: BTreeMap::new(), overrides: BTreeSet::new() }
    }
}

/// A compiled model.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What to run.
    pub plan: Plan,
    /// The constants that it reads, to lie at a multiple of 16 bytes.
    pub weights: Vec<u8>,
    /// What changed on the way and may matter, such as f64 that became f32. Sorted.
    pub notes: Vec<String>,
}

/// Compiles an ONNX model.
///
/// # Errors
/// A [`Refusal`] where the bytes are no valid model, an operator or shape cannot be part of a plan,
/// or the plan would pass the executor's limits.
pub fn compile(onnx: &[u8], options: &Options) -> Result<Compiled, Refusal> {
    let compiled = quiet::catch(|| compile_or_panic(onnx, options));
    compiled
        .unwrap_or_else(|panic| Err(Refusal::whole(format!("the compiler failed on it: {panic}; please report it"))))
}

fn compile_or_panic(onnx: &[u8], options: &Options) -> Result<Compiled, Refusal> {
    let graph = frontend::Graph::read(onnx, options, narrow::Floats::Plan)?;
    let draft = lower::lower(&graph)?;
    let compiled = plan::finish(draft, options).map_err(|reason| Refusal::whole(reason.0))?;
    // The executor is the judge of what it can run: its limits, and every index of every step.
    AlignedBytes::copy_of(&compiled.weights)
        .and_then(|weights| Executor::new(compiled.plan.clone(), weights.as_slice()))
        .map_err(|error| Refusal::whole(format!("its plan cannot be run: {error}")))?;
    Ok(compiled)
}
