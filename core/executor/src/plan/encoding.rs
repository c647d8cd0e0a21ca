//! Encodings of weights that are smaller in a pack than in memory.

use super::{DType, Plan, Weight};
use crate::{
    aligned::{AlignedBytes, align_up},
    error::{Error, ErrorKind, Result},
    exec::PLAN_LIMITS,
};
use alloc::{format, vec::Vec};
use serde::{Deserialize, Serialize};

/// Encoding of a [`Weight`]'s elements in the pack's weights section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// The form that kernels read.
    Plain,
    /// F32 in half precision (IEEE 754 binary16); all finite.
    F16,
    /// F32, each the product of a signed byte and a scale.
    ///
    /// First the scales (F32, finite, not negative), then one byte per element. Elements form blocks, of which the last
    /// may be shorter; each block has `lanes` scales, used by its elements in rotation. A row of a table is a block
    /// with one lane, a panel of [`Kernel::Dense`](super::Kernel::Dense) a block with one lane per column.
    Int8 {
        /// Elements per block; a multiple of `lanes`.
        block: u32,
        /// Scales per block.
        lanes: u32,
    },
}

/// Groups of a weight's elements with similar magnitudes, which may share a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Columns of each panel of [`DENSE_PANEL`](super::DENSE_PANEL) columns, with this number of rows.
    Panels(u32),
    /// Rows of this many elements.
    Rows(u32),
    /// Any contiguous elements.
    Any,
}

impl Weight {
    /// Bytes in the pack's weights section.
    pub fn stored_bytes(&self) -> u64 {
        let len = u64::from(self.len);
        match self.encoding {
            Encoding::Plain => len * self.dtype.bytes() as u64,
            Encoding::F16 => len * 2,
            Encoding::Int8 { block, lanes } => len + 4 * len.div_ceil(block.max(1).into()) * u64::from(lanes),
        }
    }
}

impl Plan {
    /// Expands encoded weights: returns them in the form that kernels read, and updates the plan. Returns `None`
    /// without encoded weights; then the section is used in place.
    ///
    /// # Errors
    /// [`InvalidPlan`](ErrorKind::InvalidPlan) for a weight outside the section, an inconsistent encoding, a number
    /// that is not finite, or a total above [`weights_bytes`](crate::exec::Limits::weights_bytes);
    /// [`OutOfMemory`](ErrorKind::OutOfMemory) if memory is exhausted. The plan is then unchanged.
    pub fn expand(&mut self, section: &[u8]) -> Result<Option<AlignedBytes>> {
        if self.weights.iter().all(|weight| weight.encoding == Encoding::Plain) {
            return Ok(None);
        }
        self.expand_encoded(section).map(Some)
    }

    #[inline(never)]
    fn expand_encoded(&mut self, section: &[u8]) -> Result<AlignedBytes> {
        let mut len = 0u64;
        for (n, weight) in self.weights.iter().enumerate() {
            let known = match weight.encoding {
                Encoding::Plain => true,
                Encoding::F16 => weight.dtype == DType::F32,
                Encoding::Int8 { block, lanes } => {
                    weight.dtype == DType::F32 && lanes > 0 && block > 0 && block % lanes == 0
                }
            };
            let end = weight.stored_bytes().saturating_add(weight.offset.into());
            let placed = weight.offset.is_multiple_of(16) && end <= section.len() as u64;
            if !known || !placed {
                return Err(invalid(n, "lies outside the weights section, or has an encoding that contradicts itself"));
            }
            // Weights of 16 GiB, a hundred thousand times, do not overflow.
            len += (u64::from(weight.len) * weight.dtype.bytes() as u64).next_multiple_of(16);
        }
        if len > PLAN_LIMITS.weights_bytes as u64 {
            let most = PLAN_LIMITS.weights_bytes;
            return Err(Error::new(
                ErrorKind::InvalidPlan,
                format!("{len} bytes of weights; at most {most} are expanded"),
            ));
        }
        let mut expanded = AlignedBytes::zeroed(len as usize)?;
        let mut offsets = Vec::with_capacity(self.weights.len());
        let mut rest = expanded.as_mut_slice();
        let mut offset = 0;
        for (n, weight) in self.weights.iter().enumerate() {
            let taken = align_up(weight.len as usize * weight.dtype.bytes());
            let split = rest.split_at_mut_checked(taken);
            let (to, after) = split.ok_or_else(|| invalid(n, "does not fit"))?;
            let start = weight.offset as usize;
            let from = section.get(start..start + weight.stored_bytes() as usize);
            decode(weight, from.unwrap_or_default(), to)
                .ok_or_else(|| invalid(n, "contains a number that is not finite"))?;
            offsets.push(offset);
            offset += taken as u32;
            rest = after;
        }
        for (weight, offset) in self.weights.iter_mut().zip(offsets) {
            *weight = Weight { offset, encoding: Encoding::Plain, ..*weight };
        }
        Ok(expanded)
    }
}

/// Decodes one weight; `None` if a number is not finite.
fn decode(weight: &Weight, from: &[u8], to: &mut [u8]) -> Option<()> {
    let (words, _) = to.as_chunks_mut::<4>();
    match weight.encoding {
        Encoding::Plain => to.get_mut(..from.len())?.copy_from_slice(from),
        Encoding::F16 => {
            for (word, half) in words.iter_mut().zip(from.as_chunks().0) {
                *word = from_half(u16::from_le_bytes(*half))?.to_le_bytes();
            }
        }
        Encoding::Int8 { block, lanes } => {
            let (scales, bytes) = from.split_at_checked(from.len().checked_sub(weight.len as usize)?)?;
            let (block, lanes) = (block as usize, lanes as usize);
            let blocks = words.chunks_mut(block).zip(bytes.chunks(block));
            for ((words, bytes), scales) in blocks.zip(scales.as_chunks::<4>().0.chunks(lanes)) {
                for (scale, lane) in scales.iter().zip(0..) {
                    let scale = f32::from_le_bytes(*scale);
                    if !(0.0..=f32::MAX / 128.0).contains(&scale) {
                        return None;
                    }
                    let elements = words.iter_mut().zip(bytes).skip(lane).step_by(lanes);
                    elements.for_each(|(word, byte)| *word = (scale * f32::from(*byte as i8)).to_le_bytes());
                }
            }
        }
    }
    Some(())
}

/// Value of a half; `None` unless finite.
fn from_half(bits: u16) -> Option<f32> {
    let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    // After the shift, only the bias of the exponent is wrong (15 instead of 127). Multiplying by 2^(127 − 15) corrects
    // it exactly, including subnormals.
    let value = f32::from_bits(magnitude << 13) * f32::from_bits((127 + 127 - 15) << 23);
    (magnitude < 0x7c00).then(|| f32::from_bits(sign | value.to_bits()))
}

fn invalid(n: usize, what: &str) -> Error {
    Error::new(ErrorKind::InvalidPlan, format!("weight {n} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Batch;
    use alloc::vec;

    fn plan(weights: Vec<Weight>) -> Plan {
        let (inputs, outputs, buffers, steps) = (vec![], vec![], vec![], vec![]);
        Plan { batch: Batch::Joint, tile: 1, arena_bytes: 0, inputs, outputs, buffers, weights, steps, texts: vec![] }
    }

    fn weight(len: u32, encoding: Encoding) -> Weight {
        Weight { dtype: DType::F32, len, offset: 0, encoding }
    }

    fn expanded(weight: Weight, section: &[u8]) -> Result<Vec<f32>> {
        let len = weight.len as usize;
        let bytes = plan(vec![weight]).expand(section)?.expect("it is encoded");
        Ok(bytemuck::cast_slice(bytes.as_slice())[..len].to_vec())
    }

    #[test]
    fn every_finite_half_is_exact_and_every_other_refused() {
        for bits in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let magnitude = match exponent {
                0 => fraction * 2f64.powi(-24),
                _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
            };
            let value = if bits >> 15 == 0 { magnitude } else { -magnitude } as f32;
            let expected = (exponent < 31).then_some(value.to_bits());
            assert_eq!(from_half(bits).map(f32::to_bits), expected, "{bits:#06x}");
        }
        let refused = expanded(weight(1, Encoding::F16), &0x7c00u16.to_le_bytes()).expect_err("infinity");
        assert_eq!(refused.kind(), ErrorKind::InvalidPlan);
    }

    #[test]
    fn bytes_take_the_scales_of_their_block_in_turn() {
        let scales = [0.5f32, 2.0, 1.0, 0.0];
        let section = [bytemuck::cast_slice(&scales), &[1u8, 1, 0xff, 0xff, 127, 7]].concat();
        let found = expanded(weight(6, Encoding::Int8 { block: 4, lanes: 2 }), &section);
        assert_eq!(found, Ok(vec![0.5, 2.0, -0.5, -2.0, 127.0, 0.0]));
    }

    #[test]
    fn what_is_plain_is_used_where_it_lies() {
        assert!(plan(vec![weight(4, Encoding::Plain)]).expand(&[0; 16]).is_ok_and(|expanded| expanded.is_none()));
        let mut plan = plan(vec![weight(2, Encoding::F16), weight(2, Encoding::Plain)]);
        let section: Vec<u8> = (0..8).collect();
        let expanded = plan.expand(&section).expect("it is sound").expect("it is encoded");
        assert_eq!(expanded.as_slice()[16..24], section);
        assert_eq!(plan.weights[1], Weight { offset: 16, ..weight(2, Encoding::Plain) });
        assert_eq!(plan.weights[0], weight(2, Encoding::Plain));
    }

    #[test]
    fn hostile_encodings_are_refused() {
        let int8 = |block, lanes| Encoding::Int8 { block, lanes };
        let scale = |scale: f32| [&scale.to_le_bytes()[..], &[1; 12]].concat();
        let hostile = [
            ("halves of integers", Weight { dtype: DType::I32, ..weight(2, Encoding::F16) }, vec![0; 16]),
            ("no block", weight(2, int8(0, 1)), vec![0; 16]),
            ("no lane", weight(2, int8(1, 0)), vec![0; 16]),
            ("half a turn", weight(2, int8(3, 2)), vec![0; 16]),
            ("lanes without end", weight(1, int8(u32::MAX, u32::MAX)), vec![0; 16]),
            ("past the section", weight(9, Encoding::F16), vec![0; 16]),
            ("off alignment", Weight { offset: 4, ..weight(2, Encoding::F16) }, vec![0; 16]),
            ("a scale that is no number", weight(4, int8(4, 1)), scale(f32::NAN)),
            ("a scale below zero", weight(4, int8(4, 1)), scale(-1.0)),
            ("a product past the greatest", weight(4, int8(4, 1)), scale(f32::MAX)),
        ];
        for (what, weight, section) in hostile {
            let refused = expanded(weight, &section).expect_err(what);
            assert_eq!(refused.kind(), ErrorKind::InvalidPlan, "{what}: {refused}");
        }
        // A few bytes shared by many weights still count as gigabytes.
        let mut many = plan(vec![weight(1 << 20, Encoding::F16); 100]);
        let refused = many.expand(&vec![0; 2 << 20]).expect_err("400 MiB");
        assert!(refused.kind() == ErrorKind::InvalidPlan && refused.message().contains("419430400"), "{refused}");
    }
}
