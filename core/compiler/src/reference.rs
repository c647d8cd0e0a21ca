//! tract as a reference for comparing a plan before it is packed.

use crate::{Options, Refusal, frontend::Graph, narrow::Floats, quiet, whole};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tradewind_core::exec::Data;

/// The same model, run by tract.
///
/// ```no_run
/// # use tradewind_compiler::{Options, Reference, Values};
/// # use tradewind_core::exec::Data;
/// # let onnx = [0u8];
/// if let Ok(reference) = Reference::new(&onnx, &Options::default()) {
///     let outputs = reference.run(2, &[Data::F32(&[0.0; 128])])?;
///     assert!(matches!(&outputs[..], [Values::F32(scores)] if scores.len() == 2));
/// }
/// # Ok::<(), tradewind_compiler::Unavailable>(())
/// ```
#[derive(Debug)]
pub struct Reference {
    model: Arc<TypedRunnableModel>,
    batch: Symbol,
    inputs: Vec<TypedFact>,
}

/// Reason why tract cannot run a model; its plan may still be correct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing to compare the plan with: {reason}")]
pub struct Unavailable {
    /// Reason.
    pub reason: String,
}

/// Elements of an output, in the plan's type.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is the element type of its name")]
pub enum Values {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

impl Reference {
    /// Prepares `onnx`, read as by [`compile`](crate::compile), with the model's f64 kept.
    ///
    /// # Errors
    /// [`Unavailable`] if tract cannot run the model: it has an ai.onnx.ml operator, which only plans implement
    /// correctly, or tract fails.
    pub fn new(onnx: &[u8], options: &Options) -> Result<Self, Unavailable> {
        let Graph { model, batch, text, vectorized, .. } =
            Graph::read(onnx, options, Floats::Model).map_err(|refusal: Refusal| unavailable(refusal))?;
        if !text.is_empty() || !vectorized.is_empty() {
            return Err(unavailable("the model takes text, which the reference runtime is not given"));
        }
        if whole::any(&model) {
            return Err(unavailable("the model has operators that the reference runtime lacks"));
        }
        attempt(|| {
            let inputs = model.input_outlets()?.iter().map(|outlet| model.outlet_fact(*outlet).cloned());
            let inputs = inputs.collect::<TractResult<Vec<_>>>()?;
            Ok(Self { model: model.into_optimized()?.into_runnable()?, batch, inputs })
        })
    }

    /// Computes the outputs for a batch of `rows` rows, in the order and types of the plan's ports.
    ///
    /// # Errors
    /// [`Unavailable`] if the inputs do not match, or tract fails on them.
    pub fn run(&self, rows: usize, inputs: &[Data<'_>]) -> Result<Vec<Values>, Unavailable> {
        attempt(|| {
            let symbols = SymbolValues::default().with(&self.batch, rows as i64);
            let mut tensors = tvec!();
            for (fact, data) in self.inputs.iter().zip(inputs) {
                let shape = fact.shape.eval_to_usize(&symbols)?;
                let tensor = match *data {
                    Data::F32(values) => Tensor::from_shape(&shape, values)?,
                    Data::I64(values) => Tensor::from_shape(&shape, values)?,
                    Data::I32(values) => Tensor::from_shape(&shape, values)?,
                    Data::U8(values) => Tensor::from_shape(&shape, values)?,
                    Data::F64(values) => Tensor::from_shape(&shape, values)?,
                    Data::Text(_) => return Err(TractError::msg("the reference runtime is given numbers only")),
                    Data::Bool(values) => {
                        Tensor::from_shape(&shape, &values.iter().map(|value| *value != 0).collect::<Vec<_>>())?
                    }
                };
                tensors.push(tensor.cast_to_dt(fact.datum_type)?.into_owned().into_tvalue());
            }
            let outputs = self.model.run(tensors)?;
            outputs.iter().map(|output| values(output)).collect()
        })
    }
}

fn values(tensor: &Tensor) -> TractResult<Values> {
    fn as_vec<D: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<D>> {
        Ok(tensor.cast_to::<D>()?.try_as_plain_ram()?.as_slice::<D>()?.to_vec())
    }
    Ok(match tensor.datum_type() {
        DatumType::F32 | DatumType::F16 | DatumType::F64 => Values::F32(as_vec(tensor)?),
        DatumType::I32 => Values::I32(as_vec(tensor)?),
        DatumType::U8 => Values::U8(as_vec(tensor)?),
        DatumType::Bool => Values::Bool(as_vec(tensor)?),
        _ => Values::I64(as_vec(tensor)?),
    })
}

fn attempt<T>(f: impl FnOnce() -> TractResult<T>) -> Result<T, Unavailable> {
    match quiet::catch(f) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(unavailable(error.root_cause())),
        Err(panic) => Err(unavailable(panic)),
    }
}

fn unavailable(reason: impl ToString) -> Unavailable {
    Unavailable { reason: reason.to_string() }
}
