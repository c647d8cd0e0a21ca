//! Comparison of outputs, with the same rule for packing, `tradewind verify` and the tests.
//!
//! - Shapes are equal, except for empty tensors.
//! - Floats differ by at most a thousandth, or a hundred-thousandth of the tensor's largest expected finite magnitude,
//!   or 10⁻⁷. NaN equals NaN, and an infinity equals itself.
//! - Integers, booleans and text are equal.
//! - A classifier's label may differ only if the two largest expected scores of its row agree within the tolerance.

use tradewind_core::tensor::{Tensor, TensorData};

/// Allowed relative difference.
const RELATIVE: f32 = 1e-3;
/// Allowed difference, relative to the largest finite expected magnitude.
const OF_LARGEST: f32 = 1e-5;
/// Allowed absolute difference.
const ABSOLUTE: f32 = 1e-7;

/// Compares all outputs of a model. `classifies` says whether one of them contains labels for another's scores.
///
/// # Errors
/// The first difference.
pub fn compare_outputs(found: &[Tensor], expected: &[Tensor], classifies: bool) -> Result<(), String> {
    if found.len() != expected.len() {
        let extra = expected.get(found.len()).map(|extra| format!(": the model does not give `{}`", extra.name));
        return Err(format!("{} outputs instead of {}{}", found.len(), expected.len(), extra.unwrap_or_default()));
    }
    let ties = if classifies { ties(expected) } else { Vec::new() };
    for (found, expected) in found.iter().zip(expected) {
        let name = &found.name;
        if found.shape != expected.shape && !(found.data.is_empty() && expected.data.is_empty()) {
            return Err(format!("`{name}` has shape {:?} instead of {:?}", found.shape, expected.shape));
        }
        let is_label = !matches!(expected.data, TensorData::F32(_)) && expected.data.len() == ties.len();
        let excused = |at: usize| is_label && ties[at];
        if let Some(difference) = difference(&found.data, &expected.data, excused) {
            return Err(format!("`{name}`{}", difference.at(&expected.shape)));
        }
    }
    Ok(())
}

/// Compares the elements of two tensors.
///
/// # Errors
/// The first difference.
pub fn compare(found: &TensorData, expected: &TensorData) -> Result<(), String> {
    match difference(found, expected, |_| false) {
        None => Ok(()),
        Some(difference) => Err(difference.at(&[expected.len() as u32]).trim_start().to_owned()),
    }
}

/// First difference of two tensors.
enum Difference {
    /// In an element: position, found value and expected value.
    Element(usize, String, String),
    /// In type or number of elements.
    Kind(String),
}

impl Difference {
    fn at(&self, shape: &[u32]) -> String {
        match self {
            Self::Kind(what) => format!(" {what}"),
            Self::Element(flat, found, expected) => {
                let mut rest = *flat;
                let mut index: Vec<String> = Vec::new();
                for extent in shape.iter().rev().map(|&extent| (extent as usize).max(1)) {
                    index.push((rest % extent).to_string());
                    rest /= extent;
                }
                index.reverse();
                format!(" [{}] is {found} instead of {expected}", index.join(", "))
            }
        }
    }
}

fn difference(found: &TensorData, expected: &TensorData, excused: impl Fn(usize) -> bool) -> Option<Difference> {
    fn first<T: ToString>(
        found: &[T],
        expected: &[T],
        agree: impl Fn(&T, &T) -> bool,
        excused: impl Fn(usize) -> bool,
    ) -> Option<Difference> {
        if found.len() != expected.len() {
            return Some(Difference::Kind(format!("has {} elements instead of {}", found.len(), expected.len())));
        }
        let mut pairs = found.iter().zip(expected).enumerate();
        let (at, (found, expected)) = pairs.find(|(at, (a, b))| !agree(a, b) && !excused(*at))?;
        Some(Difference::Element(at, found.to_string(), expected.to_string()))
    }
    match (found, expected) {
        (TensorData::F32(found), TensorData::F32(expected)) => {
            let absolute = absolute(expected);
            first(found, expected, |&a, &b| close(a, b, absolute), excused)
        }
        (TensorData::I64(found), TensorData::I64(expected)) => first(found, expected, |a, b| a == b, excused),
        (TensorData::I32(found), TensorData::I32(expected)) => first(found, expected, |a, b| a == b, excused),
        (TensorData::U8(found), TensorData::U8(expected)) | (TensorData::Bool(found), TensorData::Bool(expected)) => {
            first(found, expected, |a, b| a == b, excused)
        }
        (TensorData::Text(found), TensorData::Text(expected)) => first(found, expected, |a, b| a == b, excused),
        _ => Some(Difference::Kind(format!("contains {} instead of {}", type_name(found), type_name(expected)))),
    }
}

/// Allowed absolute difference for these expected values.
fn absolute(expected: &[f32]) -> f32 {
    let largest = expected.iter().filter(|x| x.is_finite()).fold(0.0f32, |largest, x| largest.max(x.abs()));
    (largest * OF_LARGEST).max(ABSOLUTE)
}

fn close(found: f32, expected: f32, absolute: f32) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (expected.is_finite() && (found - expected).abs() <= absolute + RELATIVE * expected.abs())
}

/// Whether the two largest scores of each row agree, if exactly one output has scores and rows have at least two of
/// them.
fn ties(expected: &[Tensor]) -> Vec<bool> {
    let mut scores = expected.iter().filter_map(|output| match &output.data {
        TensorData::F32(scores) => Some((output, scores)),
        _ => None,
    });
    let (Some((output, scores)), None) = (scores.next(), scores.next()) else { return Vec::new() };
    let &[_, classes @ (2..)] = &output.shape[..] else { return Vec::new() };
    let absolute = absolute(scores);
    let tie = |row: &[f32]| {
        let mut sorted = row.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        close(sorted[1], sorted[0], absolute)
    };
    scores.chunks_exact(classes as usize).map(tie).collect()
}

fn type_name(data: &TensorData) -> &'static str {
    match data {
        TensorData::F32(_) => "f32",
        TensorData::I64(_) => "i64",
        TensorData::I32(_) => "i32",
        TensorData::U8(_) => "u8",
        TensorData::Bool(_) => "booleans",
        TensorData::Text(_) => "text",
        TensorData::F64(_) => "f64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[u32], data: TensorData) -> Tensor {
        Tensor::new(name, shape, data).expect("as many elements as the shape says")
    }

    #[test]
    fn floats_agree_within_the_tolerance_and_not_beyond() {
        let agree =
            |a: f32, b: f32| compare(&TensorData::F32(vec![a, 100.0]), &TensorData::F32(vec![b, 100.0])).is_ok();
        assert!(agree(1.0019, 1.0) && !agree(1.0021, 1.0), "a thousandth of it and a hundred-thousandth of 100");
        assert!(agree(9e-4, 0.0) && !agree(1.1e-3, 0.0));
        assert!(agree(f32::NAN, f32::NAN) && agree(f32::INFINITY, f32::INFINITY));
        for (a, b) in [(f32::NAN, 0.0), (0.0, f32::NAN), (f32::MAX, f32::INFINITY), (f32::INFINITY, f32::NEG_INFINITY)]
        {
            assert!(!agree(a, b), "{a} for {b}");
        }
    }

    #[test]
    fn a_difference_is_told_by_output_and_index() {
        let found = [tensor("y", &[2, 2], TensorData::I64(vec![1, 2, 3, 4]))];
        let expected = [tensor("y", &[2, 2], TensorData::I64(vec![1, 2, 5, 4]))];
        assert_eq!(compare_outputs(&found, &expected, false), Err("`y` [1, 0] is 3 instead of 5".into()));
        let expected = [tensor("y", &[4], TensorData::I64(vec![1, 2, 3, 4]))];
        assert_eq!(compare_outputs(&found, &expected, false), Err("`y` has shape [2, 2] instead of [4]".into()));
        let expected = [tensor("y", &[2, 2], TensorData::F32(vec![1.0, 2.0, 3.0, 4.0]))];
        assert_eq!(compare_outputs(&found, &expected, false), Err("`y` contains i64 instead of f32".into()));
    }

    #[test]
    fn labels_may_differ_where_scores_tie_only() {
        let outputs = |labels: [i64; 2]| {
            let scores = TensorData::F32(vec![0.5, 0.5, 0.9, 0.1]);
            [tensor("label", &[2], TensorData::I64(labels.to_vec())), tensor("scores", &[2, 2], scores)]
        };
        assert_eq!(compare_outputs(&outputs([1, 0]), &outputs([0, 0]), true), Ok(()));
        assert!(compare_outputs(&outputs([1, 0]), &outputs([0, 0]), false).is_err());
        assert!(compare_outputs(&outputs([0, 1]), &outputs([0, 0]), true).is_err());
    }
}
