//! Named tensors in and out.

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

impl Executor {
    /// Runs the plan over named tensors, in any order; the outputs come in the plan's order. Where
    /// the plan has a batch, the number of rows is read off the shapes.
    ///
    /// # Errors
    /// [`BadTensor`](ErrorKind::BadTensor) when a tensor is missing, unknown, or of the wrong type
    /// or shape; else as [`run`](Self::run).
    pub fn infer(&mut self, weights: &[u8], tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        let plan = self.plan();
        let mut inputs = Vec::with_capacity(plan.inputs.len());
        let mut rows = None;
        for port in &plan.inputs {
            let tensor = tensors
                .iter()
                .find(|tensor| tensor.name == port.name)
                .ok_or_else(|| Error::new(ErrorKind::BadTensor, format!("input `{}` is missing", port.name)))?;
            tensor.check()?;
            rows = agree(rows, rows_of(port, tensor)?, port)?;
            inputs.push(input(port, &tensor.data)?);
        }
        if let Some(extra) = tensors.iter().find(|tensor| plan.inputs.iter().all(|port| port.name != tensor.name)) {
            return Err(Error::new(ErrorKind::BadTensor, format!("the model has no input `{}`", extra.name)));
        }
        let rows = rows.unwrap_or(1);
        let inputs: Vec<Data<'_>> = inputs.iter().map(Input::as_data).collect();
        let mut total = 0usize;
        let mut outputs = Vec::with_capacity(plan.outputs.len());
        for port in &plan.outputs {
            let len = port_len(port, rows);
            let dtype =
                dtype(plan, port).ok_or_else(|| Error::new(ErrorKind::InvalidPlan, "an output without a buffer"))?;
            total = total.saturating_add(len.saturating_mul(dtype.bytes()));
            // All outputs so far, their encoding while it doubles, and the reply's buffer.
            headroom(total.saturating_mul(4))?;
            outputs.push(TensorData::zeros(dtype, len));
        }
        let mut slots: Vec<DataMut<'_>> = outputs.iter_mut().map(TensorData::as_data_mut).collect();
        self.run(weights, rows, &inputs, &mut slots)?;
        let plan = self.plan();
        plan.outputs.iter().zip(outputs).map(|(port, data)| output(port, data, rows)).collect()
    }
}

/// An input as the executor reads it.
enum Input<'a> {
    Numbers(Data<'a>),
    /// The indices of strings.
    Text(Vec<i64>),
}

impl Input<'_> {
    fn as_data(&self) -> Data<'_> {
        match self {
            Self::Numbers(data) => *data,
            Self::Text(indices) => Data::I64(indices),
        }
    }
}

/// The elements of a tensor for a port: of text, the indices among the port's categories.
fn input<'a>(port: &Port, data: &'a TensorData) -> Result<Input<'a>> {
    let other = |found: &str, wanted: &str| {
        Error::new(ErrorKind::BadTensor, format!("input `{}` is {found}; the model takes {wanted}", port.name))
    };
    match (data, data.as_data()) {
        (TensorData::Text(_), _) if port.categories.is_empty() => Err(other("text", "numbers")),
        (TensorData::Text(text), _) => {
            headroom(text.len().saturating_mul(size_of::<i64>()))?;
            let index = |string: &String| port.categories.binary_search(string).map_or(-1, |index| index as i64);
            Ok(Input::Text(text.iter().map(index).collect()))
        }
        (_, Some(data)) if port.categories.is_empty() => Ok(Input::Numbers(data)),
        _ => Err(other("numbers", "text")),
    }
}

/// The number of rows that a tensor brings for a port, `None` where the port has none; or why the
/// tensor's shape does not fit.
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
    let wanted: Vec<_> = port
        .shape
        .iter()
        .map(|dim| if dim.per_row == 0 { dim.fixed.to_string() } else { "rows".to_string() })
        .collect();
    Err(Error::new(
        ErrorKind::BadTensor,
        format!("input `{}` has shape {:?}; the model takes [{}]", port.name, tensor.shape, wanted.join(", ")),
    ))
}

fn agree(rows: Option<usize>, found: Option<usize>, port: &Port) -> Result<Option<usize>> {
    match (rows, found) {
        (Some(rows), Some(found)) if rows != found => Err(Error::new(
            ErrorKind::BadTensor,
            format!("input `{}` has {found} rows, another input {rows}", port.name),
        )),
        (rows, found) => Ok(found.or(rows)),
    }
}

fn output(port: &Port, data: TensorData, rows: usize) -> Result<Tensor> {
    let data = match data {
        TensorData::I64(indices) if !port.categories.is_empty() => {
            let text = indices.iter().map(|&index| {
                usize::try_from(index).ok().and_then(|index| port.categories.get(index)).cloned().ok_or_else(|| {
                    Error::new(
                        ErrorKind::IndexOutOfRange,
                        format!("output `{}` is a string that the model does not know", port.name),
                    )
                })
            });
            TensorData::Text(text.collect::<Result<_>>()?)
        }
        data => data,
    };
    let shape: Vec<u32> = port.shape.iter().map(|dim| dim.at(rows) as u32).collect();
    Tensor::new(port.name.clone(), shape, data)
}
