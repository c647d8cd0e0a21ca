//! Tensors during lowering: buffer or constant, and view.
//!
//! Slices, broadcasts, transposes and most reshapes only change the view, so they cost nothing; kernels with views read
//! through it, and the others call [`Builder::packed`](crate::builder::Builder::packed) for a row-major copy.

use crate::{
    extent::Extent,
    refusal::{Reason, Reasoned},
};
use std::{collections::HashMap, sync::Arc};
use tradewind_core::plan::{BufferId, DType, View};

/// Maximum elements of a constant that are rearranged: the capacity of a plan's weights.
const MOST_KNOWN: usize = 1 << 24;

/// Tensor.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub dtype: DType,
    pub shape: Vec<Extent>,
    pub home: Home,
    pub offset: Extent,
    pub strides: Vec<Extent>,
    /// Strings of a text tensor: the elements are positions in this list.
    pub categories: Option<Arc<[String]>>,
}

/// Storage of a [`Value`]'s elements.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// In the arena; the buffer has this many elements.
    Buffer(BufferId, Extent),
    /// In the weights, if a kernel reads them.
    Constant(Arc<Constant>),
}

/// Elements known when packing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Constant {
    pub dtype: DType,
    /// Little-endian.
    pub bytes: Vec<u8>,
}

impl Constant {
    pub fn f32(values: &[f32]) -> Self {
        Self { dtype: DType::F32, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    pub fn f64(values: &[f64]) -> Self {
        Self { dtype: DType::F64, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    pub fn i64(values: &[i64]) -> Self {
        Self { dtype: DType::I64, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    pub fn i32(values: &[i32]) -> Self {
        Self { dtype: DType::I32, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }

    pub fn bool(values: &[bool]) -> Self {
        Self { dtype: DType::Bool, bytes: values.iter().map(|&value| value.into()).collect() }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.bytes()
    }

    pub fn as_f32(&self) -> Option<Vec<f32>> {
        let (words, _) = self.bytes.as_chunks::<4>();
        (self.dtype == DType::F32).then(|| words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }

    /// Elements of an F64.
    pub fn as_f64(&self) -> Option<Vec<f64>> {
        let (words, _) = self.bytes.as_chunks::<8>();
        (self.dtype == DType::F64).then(|| words.iter().map(|word| f64::from_le_bytes(*word)).collect())
    }

    /// Elements of an I64 or I32.
    pub fn as_integers(&self) -> Option<Vec<i64>> {
        match self.dtype {
            DType::I64 => Some(self.bytes.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect()),
            DType::I32 => Some(self.bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word).into()).collect()),
            _ => None,
        }
    }
}

impl Value {
    /// Row-major tensor that fills its buffer or constant.
    pub fn whole(dtype: DType, shape: Vec<Extent>, home: Home) -> Reasoned<Self> {
        let strides = row_major(&shape)?;
        Ok(Self { dtype, shape, home, offset: Extent::ZERO, strides, categories: None })
    }

    pub fn constant(constant: Constant, shape: &[usize]) -> Reasoned<Self> {
        let shape = shape.iter().map(|&extent| Extent::fixed(extent as i64)).collect();
        Self::whole(constant.dtype, shape, Home::Constant(Arc::new(constant)))
    }

    /// Scalar, for composing operators.
    pub fn scalar(value: f32) -> Self {
        Self {
            dtype: DType::F32,
            shape: Vec::new(),
            home: Home::Constant(Arc::new(Constant::f32(&[value]))),
            offset: Extent::ZERO,
            strides: Vec::new(),
            categories: None,
        }
    }

    /// Scalar in double precision.
    pub fn double(value: f64) -> Self {
        let constant = Constant::f64(&[value]);
        Self { dtype: DType::F64, home: Home::Constant(Arc::new(constant)), ..Self::scalar(0.0) }
    }

    /// Integer scalar of `dtype`, I64 or I32.
    pub fn integer(dtype: DType, value: i64) -> Self {
        let constant = match dtype {
            DType::I32 => Constant::i32(&[value as i32]),
            _ => Constant::i64(&[value]),
        };
        Self { dtype: constant.dtype, home: Home::Constant(Arc::new(constant)), ..Self::scalar(0.0) }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    pub fn len(&self) -> Reasoned<Extent> {
        Extent::product(&self.shape)
    }

    /// Whether it is row-major and fills its buffer or constant, so that it can be used without a view.
    pub fn is_packed(&self) -> bool {
        let home = match &self.home {
            Home::Buffer(_, len) => *len,
            Home::Constant(constant) => Extent::fixed(constant.len() as i64),
        };
        self.offset.is_zero() && self.len() == Ok(home) && is_row_major(&self.shape, &self.strides)
    }

    /// Elements in order, if they are known when packing and few enough for a plan.
    pub fn known(&self) -> Option<Arc<Constant>> {
        let Home::Constant(constant) = &self.home else { return None };
        if self.is_packed() {
            return Some(constant.clone());
        }
        let shape: Vec<usize> = self.shape.iter().map(|extent| extent.constant()).collect::<Option<_>>()?;
        let strides: Vec<usize> = self.strides.iter().map(|stride| stride.constant()).collect::<Option<_>>()?;
        shape.iter().try_fold(1, |len: usize, extent| len.checked_mul(*extent).filter(|len| *len <= MOST_KNOWN))?;
        let width = constant.dtype.bytes();
        let mut bytes = Vec::new();
        for index in indices(&shape) {
            let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            let start = (self.offset.constant()? + at) * width;
            bytes.extend_from_slice(constant.bytes.get(start..start + width)?);
        }
        Some(Arc::new(Constant { dtype: constant.dtype, bytes }))
    }

    /// The F32 that all elements equal, if known.
    pub fn known_uniform(&self) -> Option<f32> {
        let values = self.known()?.as_f32()?;
        let (first, rest) = values.split_first()?;
        rest.iter().all(|value| value.to_bits() == first.to_bits()).then_some(*first)
    }

    pub fn with_categories(mut self, categories: Option<Arc<[String]>>) -> Self {
        self.categories = categories;
        self
    }

    pub fn insert_axis(mut self, axis: usize) -> Self {
        self.shape.insert(axis, Extent::ONE);
        self.strides.insert(axis, Extent::ZERO);
        self
    }

    pub fn remove_axis(mut self, axis: usize) -> Self {
        self.shape.remove(axis);
        self.strides.remove(axis);
        self
    }

    pub fn move_axis(mut self, from: usize, to: usize) -> Self {
        let (extent, stride) = (self.shape.remove(from), self.strides.remove(from));
        self.shape.insert(to, extent);
        self.strides.insert(to, stride);
        self
    }

    /// Axis `n` of the result is axis `order[n]` of this.
    pub fn permuted(&self, order: &[usize]) -> Self {
        Self {
            shape: order.iter().map(|&axis| self.shape[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            ..self.clone()
        }
    }

    /// Every `step`-th of `extent` positions from `start` along an axis.
    pub fn slice(mut self, axis: usize, start: Extent, extent: Extent, step: i64) -> Reasoned<Self> {
        self.offset = self.offset.plus(start.times(self.strides[axis])?)?;
        self.shape[axis] = extent;
        self.strides[axis] = self.strides[axis].scaled(step)?;
        Ok(self)
    }

    /// Broadcasts to `shape`, with axes aligned at the right.
    pub fn broadcast(&self, shape: &[Extent]) -> Reasoned<Self> {
        let Some(leading) = shape.len().checked_sub(self.rank()) else {
            return Reason::err(format!("cannot broadcast {} to {}", show(&self.shape), show(shape)));
        };
        let mut strides = vec![Extent::ZERO; leading];
        for ((extent, stride), wanted) in self.shape.iter().zip(&self.strides).zip(&shape[leading..]) {
            strides.push(match () {
                () if extent == wanted => *stride,
                () if extent.is_one() => Extent::ZERO,
                () => return Reason::err(format!("cannot broadcast {} to {}", show(&self.shape), show(shape))),
            });
        }
        Ok(Self { shape: shape.to_vec(), strides, ..self.clone() })
    }

    /// Replaces the axes `at..at + count` by `to`, if that needs no copy.
    pub fn reshaped(&self, at: usize, count: usize, to: &[Extent]) -> Option<Self> {
        let (shape, strides) = (&self.shape[at..at + count], &self.strides[at..at + count]);
        let unit =
            shape.iter().zip(strides).rev().find(|(extent, _)| !extent.is_one()).map_or(Extent::ONE, |(_, s)| *s);
        let mut expected = unit;
        for (extent, stride) in shape.iter().zip(strides).rev().filter(|(extent, _)| !extent.is_one()) {
            if *stride != expected {
                return None;
            }
            expected = expected.times(*extent).ok()?;
        }
        let mut into = Vec::with_capacity(to.len());
        let mut stride = unit;
        for extent in to.iter().rev() {
            into.push(stride);
            stride = stride.times(*extent).ok()?;
        }
        into.reverse();
        let mut result = self.clone();
        result.shape.splice(at..at + count, to.iter().copied());
        result.strides.splice(at..at + count, into);
        Some(result)
    }
}

/// Converts a view to the plan's form.
pub(crate) fn view(offset: Extent, strides: &[Extent]) -> Reasoned<View> {
    Ok(View { offset: offset.dim()?, strides: Extent::dims(strides)? })
}

/// Strides of a row-major tensor.
pub(crate) fn row_major(shape: &[Extent]) -> Reasoned<Vec<Extent>> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = Extent::ONE;
    for extent in shape.iter().rev() {
        strides.push(stride);
        stride = stride.times(*extent)?;
    }
    strides.reverse();
    Ok(strides)
}

fn is_row_major(shape: &[Extent], strides: &[Extent]) -> bool {
    let Ok(expected) = row_major(shape) else { return false };
    // The stride of an axis of one element is never used.
    shape.iter().zip(strides).zip(expected).all(|((extent, stride), expected)| extent.is_one() || *stride == expected)
}

/// Broadcast shape of `shapes`, aligned at the right.
pub(crate) fn broadcast_shape(shapes: &[&[Extent]]) -> Reasoned<Vec<Extent>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut result = vec![Extent::ONE; rank];
    for shape in shapes {
        let leading = rank - shape.len();
        for (wanted, extent) in result[leading..].iter_mut().zip(*shape) {
            if wanted.is_one() {
                *wanted = *extent;
            } else if !extent.is_one() && extent != wanted {
                return Reason::err(format!("axes of {wanted} and {extent} elements do not match"));
            }
        }
    }
    Ok(result)
}

/// All indices of `shape`, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let len: usize = shape.iter().product();
    (0..len).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for (slot, extent) in index.iter_mut().zip(shape).rev() {
            *slot = flat % extent;
            flat /= extent;
        }
        index
    })
}

/// Distinct strings as a value's categories, with the position of each given string.
pub(crate) fn categories(strings: &[String]) -> (Arc<[String]>, Vec<i64>) {
    let mut unique: Vec<String> = Vec::new();
    let mut known: HashMap<&str, i64> = HashMap::new();
    let positions = strings
        .iter()
        .map(|string| {
            *known.entry(string).or_insert_with(|| {
                unique.push(string.clone());
                unique.len() as i64 - 1
            })
        })
        .collect();
    (unique.into(), positions)
}

pub(crate) fn show(shape: &[Extent]) -> String {
    let extents: Vec<String> = shape.iter().map(Extent::to_string).collect();
    format!("[{}]", extents.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Value {
        let values: Vec<i64> = (0..12).collect();
        Value::constant(Constant::i64(&values), &[3, 4]).expect("a small tensor")
    }

    fn elements(value: &Value) -> Vec<i64> {
        value.known().and_then(|known| known.as_integers()).expect("constant")
    }

    #[test]
    fn views_reach_the_right_elements() {
        let transposed = matrix().move_axis(0, 1);
        assert_eq!(elements(&transposed)[..4], [0, 4, 8, 1]);
        let odd = matrix().slice(1, Extent::ONE, Extent::fixed(2), 2).expect("a slice");
        assert_eq!(elements(&odd), [1, 3, 5, 7, 9, 11]);
        let repeated = matrix()
            .slice(0, Extent::fixed(2), Extent::ONE, 1)
            .and_then(|row| row.broadcast(&[Extent::fixed(2), Extent::fixed(4)]));
        assert_eq!(elements(&repeated.expect("a broadcast")), [8, 9, 10, 11, 8, 9, 10, 11]);
    }

    #[test]
    fn a_reshape_is_free_only_within_contiguous_axes() {
        let flat = matrix().reshaped(0, 2, &[Extent::fixed(2), Extent::fixed(6)]).expect("row-major");
        assert!(flat.is_packed());
        assert!(matrix().move_axis(0, 1).reshaped(0, 2, &[Extent::fixed(12)]).is_none());
        let tail = matrix().slice(0, Extent::ONE, Extent::fixed(2), 1).expect("a slice");
        let flat = tail.reshaped(0, 2, &[Extent::fixed(8)]).expect("contiguous rows");
        assert_eq!(elements(&flat), [4, 5, 6, 7, 8, 9, 10, 11]);
        assert!(!flat.is_packed());
    }
}
