//! A model that is bound to what it is shown: its inputs by name, a matrix of features, and the columns that it gives.

use crate::{
    aligned::headroom,
    error::{Error, ErrorKind, Result},
    exec::{Data, DataMut, Executor, Matrix, is_matrix, is_text_column},
    plan::{DType, Port},
};
use alloc::{format, vec, vec::Vec};

/// Which input of a model is which.
#[derive(Debug)]
pub(crate) struct Model {
    /// For each input of the plan, which column of text it is; the features, where it is none.
    inputs: Vec<Option<usize>>,
    /// Columns of features.
    features: usize,
    /// Columns that are given for each row.
    pub(crate) width: usize,
}

/// The text of a row in one column.
pub(crate) type Text<'a> = dyn Fn(usize) -> &'a str + 'a;

impl Model {
    /// Finds the inputs of a plan: columns of text by their names, and a matrix of so many features, unless there are
    /// none. Where there is no text, the features' input may have any name.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) where the plan takes something else, or does not give `width` columns of
    /// f32 (any number, where that is `None`): then it and its spec were not made for each other.
    pub(crate) fn bind(executor: &Executor, text: &[&str], features: usize, width: Option<usize>) -> Result<Self> {
        let bound = if text.is_empty() { Self::matrix(executor) } else { Self::named(executor, text) };
        match bound {
            Some(bound) if bound.features == features && width.is_none_or(|width| width == bound.width) => Ok(bound),
            found => Err(misfit(text, features, width, found.map(|found| (found.features, found.width)))),
        }
    }

    /// Of a plan that takes one matrix; of its outputs, the last that is one counts.
    fn matrix(executor: &Executor) -> Option<Self> {
        let (input, output) = executor.score_ports()?;
        let columns = |port: &Port| port.shape.iter().skip(1).map(|dim| dim.at(0)).product();
        let (features, width) = (columns(input), columns(output));
        (width > 0).then(|| Self { inputs: vec![None], features, width })
    }

    /// Of a plan that takes text and `features`, and gives one matrix.
    fn named(executor: &Executor, text: &[&str]) -> Option<Self> {
        let plan = executor.plan();
        let columns = |port: &Port| port.shape.get(1).map_or(0, |dim| dim.at(0));
        let is_floats = |port: &Port| is_matrix(plan, port, columns(port), DType::F32);
        let (mut inputs, mut features) = (Vec::new(), None);
        for port in &plan.inputs {
            let place = text.iter().position(|name| *name == port.name && is_text_column(plan, port));
            if place.is_none() {
                if port.name != "features" || !is_floats(port) {
                    return None;
                }
                features = Some(columns(port));
            }
            inputs.push(place);
        }
        let named = (0..text.len()).all(|place| inputs.contains(&Some(place)));
        let all = named && inputs.len() == text.len() + usize::from(features.is_some());
        match plan.outputs.as_slice() {
            [port] if all && is_floats(port) => {
                Some(Self { inputs, features: features.unwrap_or(0), width: columns(port) })
            }
            _ => None,
        }
    }

    /// Runs the model on so many rows of features, with the text of each column; what it gives comes row by row.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub(crate) fn run(
        &self,
        executor: &mut Executor,
        weights: &[u8],
        rows: usize,
        matrix: &[f32],
        text: &[&Text<'_>],
    ) -> Result<Vec<f32>> {
        headroom(rows.saturating_mul(4 * self.width + 8 * text.len()))?;
        let mut given = vec![0.0; rows * self.width];
        if text.is_empty() {
            executor.score(weights, rows, Matrix::Rows(matrix), &mut given)?;
            return Ok(given);
        }
        let ports = executor.plan().inputs.iter().zip(&self.inputs);
        let indices: Vec<Vec<i64>> = ports
            .map(|(port, place)| match place.and_then(|place| text.get(place)) {
                Some(text) => {
                    // Rows mostly come with the text of the row before.
                    let mut last = ("", port.index(""));
                    let index = |row| {
                        let text = text(row);
                        if text != last.0 {
                            last = (text, port.index(text));
                        }
                        last.1
                    };
                    (0..rows).map(index).collect()
                }
                None => Vec::new(),
            })
            .collect();
        let inputs = self.inputs.iter().zip(&indices);
        let inputs = inputs.map(|(place, indices)| place.map_or(Data::F32(matrix), |_| Data::I64(indices)));
        executor.run(weights, rows, &inputs.collect::<Vec<_>>(), &mut [DataMut::F32(&mut given)])?;
        Ok(given)
    }
}

#[cold]
fn misfit(text: &[&str], features: usize, width: Option<usize>, found: Option<(usize, usize)>) -> Error {
    let columns = if text.is_empty() { "" } else { " beside text, one each of " };
    let width = width.map_or_else(|| "some".into(), |width| format!("{width}"));
    let found = match found {
        Some((features, width)) => format!("takes {features} and gives {width}"),
        None => "takes or gives something else".into(),
    };
    Error::new(
        ErrorKind::PackCorrupt,
        format!(
            "by its spec the model takes `features`, f32 [rows, {features}]{columns}{}, and gives {width} columns of f32; \
             it {found}: they were not made for each other",
            text.join(", ")
        ),
    )
}
