//! Loss of accuracy by encoded weights.

use std::fmt;
use tradewind_core::tensor::{Tensor, TensorData};

/// Difference between an output of a plan and that of the plan with the original weights, over all compared rows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// Name of the output.
    pub output: String,
    /// Maximum difference, relative to the greatest expected magnitude; for labels and other outputs that are not f32,
    /// the share that changed. The bound applies to this value.
    pub largest: f32,
    /// Mean difference, relative to the same magnitude.
    pub mean: f32,
    /// Number of rows in which another column is the greatest, or the label differs, and number of rows; `None` for
    /// outputs with one number per row.
    pub changed: Option<(usize, usize)>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, largest, mean, changed } = self;
        write!(f, "`{output}` differs by at most {:.3} %, {:.3} % on average", 100.0 * largest, 100.0 * mean)?;
        match changed {
            Some((changed, rows)) => write!(f, "; the top result changes in {changed} of {rows} rows"),
            None => Ok(()),
        }
    }
}

/// Losses of all outputs over several runs, each a pair of expected and found.
pub fn losses(runs: &[(Vec<Tensor>, Vec<Tensor>)]) -> Vec<Loss> {
    let outputs = runs.first().map_or(0, |(expected, _)| expected.len());
    (0..outputs).map(|n| loss(&runs.iter().map(|run| (&run.0[n], &run.1[n])).collect::<Vec<_>>())).collect()
}

fn loss(pairs: &[(&Tensor, &Tensor)]) -> Loss {
    let (mut scale, mut largest, mut sum, mut count) = (0.0f32, 0.0f32, 0.0f64, 0);
    let (mut changed, mut rows) = (0, 0);
    for (expected, found) in pairs {
        if let (TensorData::F32(x), TensorData::F32(y)) = (&expected.data, &found.data) {
            scale = x.iter().filter(|x| x.is_finite()).fold(scale, |scale, x| scale.max(x.abs()));
            for (x, y) in x.iter().zip(y) {
                let same = x == y || (x.is_nan() && y.is_nan());
                let difference = if same { 0.0 } else { (x - y).abs() };
                largest = largest.max(if difference.is_nan() { f32::INFINITY } else { difference });
                sum += f64::from(difference);
                count += 1;
            }
            // The other axis is the batch.
            let width = expected.shape.iter().skip(1).next_back().map_or(1, |width| *width as usize);
            if width > 1 {
                let firsts = x.chunks(width).zip(y.chunks(width)).map(|(x, y)| first(x) == first(y));
                (changed, rows) = firsts.fold((changed, rows), |(n, rows), same| (n + usize::from(!same), rows + 1));
            }
        } else {
            let len = expected.shape.iter().product::<u32>() as usize;
            (changed, rows) = (changed + differing(&expected.data, &found.data), rows + len);
        }
    }
    let part = |difference: f32| if difference == 0.0 { 0.0 } else { difference / scale };
    let (largest, mean) = match count {
        0 => [changed as f32 / rows.max(1) as f32; 2].into(),
        _ => (part(largest), part((sum / f64::from(count)) as f32)),
    };
    let output = pairs.first().map(|(expected, _)| expected.name.clone()).unwrap_or_default();
    Loss { output, largest, mean, changed: (rows > 0).then_some((changed, rows)) }
}

/// Index of the greatest value; the first of equals.
fn first(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]).then(b.cmp(a)))
}

fn differing(expected: &TensorData, found: &TensorData) -> usize {
    fn count<T: PartialEq>(expected: &[T], found: &[T]) -> usize {
        expected.iter().zip(found).filter(|(x, y)| x != y).count()
    }
    match (expected, found) {
        (TensorData::I64(x), TensorData::I64(y)) => count(x, y),
        (TensorData::I32(x), TensorData::I32(y)) => count(x, y),
        (TensorData::U8(x), TensorData::U8(y)) | (TensorData::Bool(x), TensorData::Bool(y)) => count(x, y),
        (TensorData::Text(x), TensorData::Text(y)) => count(x, y),
        // Outputs of one model have one type each.
        _ => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: [u32; 2], data: TensorData) -> Vec<Tensor> {
        vec![Tensor::new("y", shape, data).expect("the shape matches")]
    }

    #[test]
    fn differences_are_relative_to_the_greatest_and_changed_tops_are_counted() {
        let runs = [
            (
                tensor([2, 2], TensorData::F32(vec![1.0, 4.0, -2.0, 0.0])),
                tensor([2, 2], TensorData::F32(vec![1.0, 3.0, -2.0, 0.0])),
            ),
            (tensor([1, 2], TensorData::F32(vec![1.0, 1.5])), tensor([1, 2], TensorData::F32(vec![1.5, 1.0]))),
        ];
        let [loss] = &losses(&runs)[..] else { panic!("one output") };
        assert_eq!((loss.largest, loss.changed), (0.25, Some((1, 3))));
        assert!((loss.mean - 2.0 / 6.0 / 4.0).abs() < 1e-6);
    }

    #[test]
    fn changed_labels_count_and_new_nans_are_unbounded() {
        let labels = |second| tensor([2, 1], TensorData::I64(vec![3, second]));
        let [loss] = &losses(&[(labels(4), labels(5))])[..] else { panic!("one output") };
        assert_eq!((loss.largest, loss.changed), (0.5, Some((1, 2))));
        let numbers = |second| tensor([2, 1], TensorData::F32(vec![3.0, second]));
        assert_eq!(losses(&[(numbers(4.0), numbers(f32::NAN))])[0].largest, f32::INFINITY);
        assert_eq!(losses(&[(numbers(f32::NAN), numbers(f32::NAN))])[0].largest, 0.0);
    }
}
