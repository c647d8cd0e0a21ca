//! Binding of a model to its spec: text inputs by name, a matrix of features, and output columns.

use crate::{
    aligned::headroom,
    error::{Error, ErrorKind, Result},
    exec::{Data, DataMut, Executor, Matrix, is_matrix, is_text_column},
    plan::{DType, Port},
};
use alloc::{format, vec, vec::Vec};

/// Model whose inputs and output are matched with its spec.
#[derive(Debug)]
pub(crate) struct Model {
    /// For each input of the plan, the index of its text column; `None` for the features.
    inputs: Vec<Option<usize>>,
    /// Number of feature columns.
    features: usize,
    /// Number of output columns.
    pub(crate) width: usize,
}

/// Text of a row in one column.
pub(crate) type Text<'a> = dyn Fn(usize) -> &'a str + 'a;

impl Model {
    /// Matches the inputs of a plan: text columns by name, and a matrix of `features` columns (no matrix for 0
    /// columns). Without text columns, the matrix may have any name.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if the plan has other inputs, or its output is not `width` columns of
    /// f32 (any number for `None`): then plan and spec do not belong together.
    pub(crate) fn bind(executor: &Executor, text: &[&str], features: usize, width: Option<usize>) -> Result<Self> {
        let bound = if text.is_empty() { Self::matrix(executor) } else { Self::named(executor, text) };
        match bound {
            Some(bound) if bound.features == features && width.is_none_or(|width| width == bound.width) => Ok(bound),
            found => Err(misfit(text, features, width, found.map(|found| (found.features, found.width)))),
        }
    }

    /// Matches a plan with one matrix as input; its last matrix output is used.
    fn matrix(executor: &Executor) -> Option<Self> {
        let (input, output) = executor.score_ports()?;
        let columns = |port: &Port| port.shape.iter().skip(1).map(|dim| dim.at(0)).product();
        let (features, width) = (columns(input), columns(output));
        (width > 0).then(|| Self { inputs: vec![None], features, width })
    }

    /// Matches a plan with text inputs, optional `features`, and one matrix as output.
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

    /// Runs the model on `rows` rows of features and the text of each column; returns the outputs, row-major.
    ///
    /// # Errors
    /// Errors of [`Executor::run`].
    pub(crate) fn run(
        &self,
        executor: &mut Executor,
        weights: &[u8],
        rows: usize,
        matrix: &[f32],
        text: &[&Text<'_>],
    ) -> Result<Vec<f32>> {
        headroom(rows.saturating_mul(4 * self.width + size_of::<&str>() * text.len()))?;
        let mut given = vec![0.0; rows * self.width];
        if text.is_empty() {
            executor.score(weights, rows, Matrix::Rows(matrix), &mut given)?;
            return Ok(given);
        }
        let column = |place: &Option<usize>| place.and_then(|place| text.get(place));
        let texts = self.inputs.iter().map(|place| column(place).map(|text| (0..rows).map(text).collect::<Vec<_>>()));
        let texts: Vec<Option<Vec<&str>>> = texts.collect();
        let inputs = texts.iter().map(|texts| texts.as_ref().map_or(Data::F32(matrix), |texts| Data::Text(texts)));
        executor.run(weights, rows, &inputs.collect::<Vec<_>>(), &mut [DataMut::F32(&mut given)])?;
        Ok(given)
    }
}

#[cold]
fn misfit(text: &[&str], features: usize, width: Option<usize>, found: Option<(usize, usize)>) -> Error {
    let columns = if text.is_empty() { "" } else { " and one text column each of " };
    let width = width.map_or_else(|| "some".into(), |width| format!("{width}"));
    let found = match found {
        Some((features, width)) => format!("has {features} and {width}"),
        None => "has other inputs or outputs".into(),
    };
    Error::new(
        ErrorKind::PackCorrupt,
        format!(
            "the spec needs `features`, f32 [rows, {features}]{columns}{}, and {width} output columns of f32; \
             the model {found}",
            text.join(", ")
        ),
    )
}
