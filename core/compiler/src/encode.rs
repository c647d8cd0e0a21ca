//! Compression of the large weights of a compiled model.

use crate::Compiled;
use tract_onnx::prelude::f16;
use tradewind_core::plan::{DENSE_PANEL, DType, Encoding, Groups, Operand, Plan, Weight};

/// Precision of the large weights of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The model's precision.
    F32,
    /// Half precision: half the bytes, eleven significant bits.
    F16,
    /// Bytes and scales: a quarter of the bytes, with steps of 1/127 of the maximum of a row or column.
    Int8,
}

/// Minimum number of elements: encoding a smaller weight would save less than a page of memory.
const SMALL: u32 = 256;

/// Block size if the kernel does not define groups. For normally distributed numbers, blocks of 64 or more have the
/// least error for their bytes; blocks of 16 take one and a half bits more per number and less than halve the error.
const BLOCK: u32 = 64;

/// Minimum number of elements that share a scale: shorter rows are combined.
const FEWEST: u32 = 32;

impl Compiled {
    /// Encodes embedding tables and the matrices of products with fewer bytes. Biases, scalars, trees and small weights
    /// are unchanged, and so are weights that the format cannot represent: with infinities, or beyond the largest half.
    #[must_use]
    pub fn at(&self, precision: Precision) -> Self {
        let mut plan = self.plan.clone();
        let mut section = Vec::new();
        for (n, weight) in plan.weights.iter_mut().enumerate() {
            let from = weight.offset as usize;
            let bytes = &self.weights[from..from + weight.len as usize * weight.dtype.bytes()];
            let groups = if precision == Precision::F32 { None } else { groups(&self.plan, n, weight) };
            let encoded = groups.and_then(|(block, lanes)| {
                let values: Vec<f32> = bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
                match precision {
                    Precision::F32 => None,
                    Precision::F16 => Some((Encoding::F16, halves(&values)?)),
                    Precision::Int8 => Some((Encoding::Int8 { block, lanes }, scaled(&values, block, lanes)?)),
                }
            });
            weight.offset = section.len() as u32;
            match encoded {
                None => section.extend_from_slice(bytes),
                Some((encoding, bytes)) => {
                    weight.encoding = encoding;
                    section.extend(bytes);
                }
            }
            section.resize(section.len().next_multiple_of(16), 0);
        }
        Self { plan, weights: section, notes: self.notes.clone() }
    }
}

/// Block and lanes of a weight that may lose precision: one that is large, and that all steps read as a table or as a
/// factor of products.
fn groups(plan: &Plan, weight: usize, Weight { dtype, len, .. }: &Weight) -> Option<(u32, u32)> {
    let uses = plan.steps.iter().flat_map(|step| {
        let inputs = step.inputs.iter().enumerate();
        let read = inputs.filter(|(_, input)| matches!(input, Operand::Weight(id) if usize::from(id.0) == weight));
        read.map(|(n, _)| {
            step.kernel.groups(n).map(|groups| match groups {
                Groups::Panels(rows) => (rows * DENSE_PANEL as u32, DENSE_PANEL as u32),
                Groups::Rows(row) => (row * FEWEST.div_ceil(row), 1),
                Groups::Any => (BLOCK, 1),
            })
        })
    });
    if *dtype != DType::F32 || *len < SMALL {
        return None;
    }
    uses.reduce(|one, other| one.and(other))?
}

/// Rounds to the nearest half, ties to even.
fn halves(values: &[f32]) -> Option<Vec<u8>> {
    let halves = values.iter().map(|value| Some(f16::from_f32(*value)).filter(|half| half.is_finite()));
    halves.map(|half| half.map(|half| half.to_bits().to_le_bytes())).collect::<Option<Vec<_>>>().map(|all| all.concat())
}

/// Scales, then bytes: symmetric, with the maximum magnitude of a lane at 127, rounded to the nearest, ties to even.
fn scaled(values: &[f32], block: u32, lanes: u32) -> Option<Vec<u8>> {
    let (block, lanes) = (block as usize, lanes as usize);
    let mut scales = Vec::new();
    let mut bytes = vec![0; values.len()];
    for (values, bytes) in values.chunks(block).zip(bytes.chunks_mut(block)) {
        for lane in 0..lanes {
            let lane_of = |values: &[f32]| values.iter().skip(lane).step_by(lanes).copied().collect::<Vec<f32>>();
            let values = lane_of(values);
            if !values.iter().all(|value| value.is_finite()) {
                return None;
            }
            let scale = values.iter().fold(0.0f32, |greatest, value| greatest.max(value.abs())) / 127.0;
            scales.extend(scale.to_le_bytes());
            for (byte, value) in bytes.iter_mut().skip(lane).step_by(lanes).zip(values) {
                // The cast turns 0 / 0 into 0; a scale so small that it is rounded is clamped to a byte.
                *byte = (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8;
            }
        }
    }
    Some([scales, bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_core::plan::{Batch, BufferId, Dim, Gather, Step, WeightId};

    /// Plan with a single table of rows for lookups.
    fn table(values: &[f32], row: u32) -> Compiled {
        let data = tradewind_core::plan::AxisShape {
            outer: Dim::fixed(1),
            axis: Dim::fixed(values.len() as u32 / row),
            inner: Dim::fixed(row),
        };
        let inputs = vec![Operand::Weight(WeightId(0)), Operand::Buffer(BufferId(0))];
        let kernel = Gather { data, picks: Dim::per_row(1) }.into();
        let plan = Plan {
            batch: Batch::Independent,
            tile: 1,
            arena_bytes: 0,
            inputs: vec![],
            outputs: vec![],
            buffers: vec![],
            weights: vec![Weight { dtype: DType::F32, len: values.len() as u32, offset: 0, encoding: Encoding::Plain }],
            steps: vec![Step { kernel, inputs, output: BufferId(1), node: String::new() }],
            texts: vec![],
        };
        let weights = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Compiled { plan, weights, notes: vec![] }
    }

    fn expanded(compiled: &Compiled) -> Vec<f32> {
        let bytes = compiled.plan.clone().expand(&compiled.weights).expect("it is sound").expect("it is encoded");
        bytes.as_slice().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
    }

    fn wave(len: usize) -> Vec<f32> {
        (0..len).map(|n| (n as f32 * 0.37).sin() * (1 + n / 64) as f32).collect()
    }

    #[test]
    fn a_table_takes_a_quarter_and_is_off_by_half_a_step() {
        let values = wave(64 * 100);
        let compiled = table(&values, 64).at(Precision::Int8);
        assert_eq!(compiled.weights.len(), 100 * (64 + 4));
        for (row, found) in values.chunks(64).zip(expanded(&compiled).chunks(64)) {
            let greatest = row.iter().fold(0.0f32, |greatest, x| greatest.max(x.abs()));
            assert!(
                row.iter().zip(found).all(|(x, y)| (x - y).abs() <= greatest / 127.0 * 0.5001),
                "{row:?}\n{found:?}"
            );
        }
    }

    #[test]
    fn halves_are_the_nearest() {
        let values = wave(640);
        let compiled = table(&values, 64).at(Precision::F16);
        assert_eq!(compiled.weights.len(), 2 * 640);
        assert!(values.iter().zip(expanded(&compiled)).all(|(x, y)| f16::from_f32(*x).to_f32() == y));
        // The smallest halves, a tie, and a value that rounds to the largest half.
        for (from, to) in [(6e-8, 5.960_464_5e-8), (1.000_488_3, 1.0), (65_519.0, 65_504.0), (-0.0, -0.0)] {
            let mut values = wave(256);
            values[0] = from;
            assert_eq!(expanded(&table(&values, 64).at(Precision::F16))[0].to_bits(), f32::to_bits(to), "{from}");
        }
    }

    #[test]
    fn what_the_format_cannot_hold_stays_plain() {
        for (value, precision) in [
            (f32::NAN, Precision::Int8),
            (f32::NEG_INFINITY, Precision::Int8),
            (f32::NAN, Precision::F16),
            (65_520.0, Precision::F16),
        ] {
            let mut values = wave(256);
            values[7] = value;
            let plain = table(&values, 64);
            // Compared as bytes, because NaN is not equal to itself.
            assert_eq!(plain.at(precision).weights, plain.weights, "{value}");
        }
        let biases = table(&wave(512), 1);
        assert_eq!(biases.at(Precision::Int8), biases);
        let small = table(&wave(128), 64);
        assert_eq!(small.at(Precision::F16), small);
        assert_eq!(table(&wave(512), 64).at(Precision::F32), table(&wave(512), 64));
    }

    #[test]
    fn rows_of_nothing_and_of_the_smallest_numbers_are_kept() {
        let mut values = wave(256);
        values[..64].fill(0.0);
        values[64..128].fill(f32::from_bits(1));
        let found = expanded(&table(&values, 64).at(Precision::Int8));
        assert_eq!(found[..64], values[..64]);
        assert!(found[64..128].iter().all(|x| x.abs() <= f32::from_bits(128)));
    }
}
