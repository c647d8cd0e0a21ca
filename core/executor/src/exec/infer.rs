//! Inference on named tensors.

use super::{Data, DataMut, Executor, dtype, port_len};
use crate::{
    aligned::headroom,
    error::{Error, ErrorKind, Result},
    plan::{Dim, Port},
    tensor::{Tensor, TensorData},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

impl Executor {
    /// Runs the plan over named tensors, in any order, and returns the outputs in the plan's order. If the plan has a
    /// batch, the number of rows comes from the shapes.
    ///
    /// # Errors
    /// [`BadTensor`](ErrorKind::BadTensor) if a tensor is missing, unknown, or of the wrong type or shape; otherwise as
    /// for [`run`](Self::run).
    pub fn infer(&mut self, weights: &[u8], tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        let plan = self.plan();
        let mut given = Vec::with_capacity(plan.inputs.len());
        let mut rows = None;
        for port in &plan.inputs {
            let Some(tensor) = tensors.iter().find(|tensor| tensor.name == port.name) else {
                return Err(bad(&format_args!("input `{}` is missing", port.name)));
            };
            tensor.check()?;
            rows = agree(rows, rows_of(port, tensor)?, port)?;
            given.push(data_for(port, &tensor.data)?);
        }
        if let Some(extra) = tensors.iter().find(|tensor| plan.inputs.iter().all(|port| port.name != tensor.name)) {
            return Err(bad(&format_args!("the model has no input `{}`", extra.name)));
        }
        let rows = rows.unwrap_or(1);
        let mut total = 0usize;
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for port in &plan.outputs {
            let len = port_len(port, rows);
            let dtype =
                dtype(plan, port).ok_or_else(|| Error::new(ErrorKind::InvalidPlan, "an output without a buffer"))?;
            total = total.saturating_add(len.saturating_mul(dtype.bytes()));
            // All outputs so far, their encoding (which doubles when it grows), and the reply's buffer.
            headroom(total.saturating_mul(4))?;
            let shape = port.shape.iter().map(|dim| dim.at(rows) as u32).collect();
            outputs.push(Tensor { name: port.name.clone(), shape, data: TensorData::zeros(dtype, len) });
        }
        let inputs: Vec<Data<'_>> = given.iter().map(Given::data).collect();
        let mut slots: Vec<DataMut<'_>> = outputs.iter_mut().map(|tensor| tensor.data.as_data_mut()).collect();
        self.run(weights, rows, &inputs, &mut slots)?;
        let plan = self.plan();
        for (port, tensor) in plan.outputs.iter().zip(&mut outputs) {
            if !port.categories.is_empty() {
                // An output that is an unchanged input keeps strings that the plan does not know.
                let passed = plan.inputs.iter().find(|input| input.buffer == port.buffer);
                tensor.data = match tensors.iter().find(|given| passed.is_some_and(|input| input.name == given.name)) {
                    Some(given) => given.data.clone(),
                    None => text(port, &tensor.data)?,
                };
            }
        }
        Ok(outputs)
    }
}

/// Elements for a port.
enum Given<'a> {
    Numbers(Data<'a>),
    Texts(Vec<&'a str>),
}

impl Given<'_> {
    fn data(&self) -> Data<'_> {
        match self {
            Self::Numbers(data) => *data,
            Self::Texts(texts) => Data::Text(texts),
        }
    }
}

/// Elements of a tensor for a port.
fn data_for<'a>(port: &Port, data: &'a TensorData) -> Result<Given<'a>> {
    let other = |found, wanted| bad(&format_args!("input `{}` is {found}; the model takes {wanted}", port.name));
    match (data, data.as_data(), port.categories.is_empty()) {
        (TensorData::Text(text), _, false) => texts(text).map(Given::Texts),
        (_, Some(numbers), true) => Ok(Given::Numbers(numbers)),
        (_, None, _) => Err(other("text", "numbers")),
        (_, _, false) => Err(other("numbers", "text")),
    }
}

#[inline(never)]
fn texts(texts: &[String]) -> Result<Vec<&str>> {
    headroom(texts.len().saturating_mul(size_of::<&str>()))?;
    Ok(texts.iter().map(String::as_str).collect())
}

/// Strings of an output's indices.
#[inline(never)]
fn text(port: &Port, data: &TensorData) -> Result<TensorData> {
    let TensorData::I64(indices) = data else {
        return Err(Error::new(ErrorKind::InvalidPlan, "categories that are no indices"));
    };
    let text = indices.iter().map(|&index| {
        usize::try_from(index).ok().and_then(|index| port.categories.get(index)).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::IndexOutOfRange,
                format!("output `{}` is a string that the model does not know", port.name),
            )
        })
    });
    text.collect::<Result<_>>().map(TensorData::Text)
}

/// Number of rows of a tensor for a port, `None` if the port has no batch; or an error if the tensor's shape does not
/// match.
fn rows_of(port: &Port, tensor: &Tensor) -> Result<Option<usize>> {
    let mut rows = None;
    let fits = tensor.shape.len() == port.shape.len()
        && port.shape.iter().zip(&tensor.shape).all(|(dim, &extent)| match dim {
            Dim { fixed, per_row: 0 } => extent == *fixed,
            Dim { fixed, per_row } => {
                let found =
                    extent.checked_sub(*fixed).filter(|rest| rest % per_row == 0).map(|rest| (rest / per_row) as usize);
                let same = found.is_some() && (rows.is_none() || rows == found);
                rows = found;
                same
            }
        });
    if fits {
        return Ok(rows);
    }
    Err(misfit(port, tensor))
}

#[cold]
fn misfit(port: &Port, tensor: &Tensor) -> Error {
    let extent = |dim: &Dim| if dim.per_row == 0 { dim.fixed.to_string() } else { "rows".to_string() };
    let wanted: Vec<_> = port.shape.iter().map(extent).collect();
    bad(&format_args!("input `{}` has shape {:?}; the model takes [{}]", port.name, tensor.shape, wanted.join(", ")))
}

fn agree(rows: Option<usize>, found: Option<usize>, port: &Port) -> Result<Option<usize>> {
    match (rows, found) {
        (Some(rows), Some(found)) if rows != found => {
            Err(bad(&format_args!("input `{}` has {found} rows, another input {rows}", port.name)))
        }
        (rows, found) => Ok(found.or(rows)),
    }
}

#[cold]
fn bad(what: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::BadTensor, what.to_string())
}
