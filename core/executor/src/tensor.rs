//! Tensors in requests, replies and a pack's samples.

use crate::{
    bounded,
    error::{Error, ErrorKind, Result},
    exec::{Data, DataMut},
    plan::DType,
};
use alloc::{format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Named tensor, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tensor {
    /// Name of the model's input or output.
    pub name: String,
    /// Shape. The product of its extents is the number of elements.
    #[serde(deserialize_with = "bounded::list::<16, _, _>")]
    pub shape: Vec<u32>,
    /// The elements.
    pub data: TensorData,
}

/// Elements of a tensor. Numbers are encoded as little-endian bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the element type of its name")]
pub enum TensorData {
    F32(#[serde(with = "little_endian")] Vec<f32>),
    I64(#[serde(with = "little_endian")] Vec<i64>),
    I32(#[serde(with = "little_endian")] Vec<i32>),
    U8(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Bytes that are 0 or 1.
    Bool(#[serde(with = "serde_bytes")] Vec<u8>),
    Text(#[serde(deserialize_with = "bounded::list::<65_536, _, _>")] Vec<String>),
    /// For inputs only.
    F64(#[serde(with = "little_endian")] Vec<f64>),
}

impl Tensor {
    /// Creates a tensor, after checking that it has as many elements as its shape, and only 0 and 1 in a `Bool`.
    ///
    /// # Errors
    /// [`BadTensor`](ErrorKind::BadTensor).
    ///
    /// ```
    /// use tradewind_executor::tensor::{Tensor, TensorData};
    /// let x = Tensor::new("x", [2, 3], TensorData::F32(vec![0.0; 6]))?;
    /// assert_eq!(x.rows(), 2);
    /// assert!(Tensor::new("x", [2, 3], TensorData::F32(vec![0.0; 5])).is_err());
    /// # Ok::<(), tradewind_executor::Error>(())
    /// ```
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<u32>>, data: TensorData) -> Result<Self> {
        let tensor = Self { name: name.into(), shape: shape.into(), data };
        tensor.check()?;
        Ok(tensor)
    }

    /// Checks a received tensor as [`new`](Self::new) does.
    ///
    /// # Errors
    /// [`BadTensor`](ErrorKind::BadTensor).
    pub fn check(&self) -> Result<()> {
        let elements = self.shape.iter().try_fold(1u64, |len, &extent| len.checked_mul(u64::from(extent)));
        if elements != Some(self.data.len() as u64) {
            return Err(Error::new(
                ErrorKind::BadTensor,
                format!("tensor `{}` of shape {:?} holds {} elements", self.name, self.shape, self.data.len()),
            ));
        }
        if let TensorData::Bool(data) = &self.data
            && data.iter().any(|&byte| byte > 1)
        {
            return Err(Error::new(
                ErrorKind::BadTensor,
                format!("tensor `{}` of booleans holds a byte other than 0 and 1", self.name),
            ));
        }
        Ok(())
    }

    /// The leading extent; 1 for a scalar.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |&rows| rows as usize)
    }
}

impl TensorData {
    /// The number of elements.
    pub const fn len(&self) -> usize {
        match (self, self.as_data()) {
            (Self::Text(text), _) => text.len(),
            (_, Some(data)) => data.len(),
            (_, None) => 0,
        }
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as executor input; `None` for text.
    pub const fn as_data(&self) -> Option<Data<'_>> {
        Some(match self {
            Self::F32(data) => Data::F32(data.as_slice()),
            Self::I64(data) => Data::I64(data.as_slice()),
            Self::I32(data) => Data::I32(data.as_slice()),
            Self::U8(data) => Data::U8(data.as_slice()),
            Self::Bool(data) => Data::Bool(data.as_slice()),
            Self::F64(data) => Data::F64(data.as_slice()),
            Self::Text(_) => return None,
        })
    }

    /// The elements as executor output; empty for text and doubles, which it does not write.
    pub const fn as_data_mut(&mut self) -> DataMut<'_> {
        match self {
            Self::F32(data) => DataMut::F32(data.as_mut_slice()),
            Self::I64(data) => DataMut::I64(data.as_mut_slice()),
            Self::I32(data) => DataMut::I32(data.as_mut_slice()),
            Self::U8(data) => DataMut::U8(data.as_mut_slice()),
            Self::Bool(data) => DataMut::Bool(data.as_mut_slice()),
            Self::Text(_) | Self::F64(_) => DataMut::U8(&mut []),
        }
    }

    /// Creates `len` zeros of a type.
    pub fn zeros(dtype: DType, len: usize) -> Self {
        match dtype {
            DType::F32 => Self::F32(alloc::vec![0.0; len]),
            DType::I64 => Self::I64(alloc::vec![0; len]),
            DType::I32 => Self::I32(alloc::vec![0; len]),
            DType::U8 => Self::U8(alloc::vec![0; len]),
            DType::Bool => Self::Bool(alloc::vec![0; len]),
            DType::F64 => Self::F64(alloc::vec![0.0; len]),
        }
    }
}

/// Encodes numbers as one byte string instead of element by element: five times faster to decode.
mod little_endian {
    use alloc::vec::Vec;
    use bytemuck::Pod;
    use serde::{Deserializer, Serializer, de::Error};

    #[cfg(target_endian = "big")]
    compile_error!("numbers are read and written as they lie in memory: little-endian only");

    pub fn serialize<T: Pod, S: Serializer>(numbers: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::cast_slice(numbers))
    }

    pub fn deserialize<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let bytes: &[u8] = serde_bytes::deserialize(deserializer)?;
        let width = size_of::<T>();
        if !bytes.len().is_multiple_of(width) {
            return Err(D::Error::custom("a number is cut off"));
        }
        let mut numbers = alloc::vec![T::zeroed(); bytes.len() / width];
        bytemuck::cast_slice_mut(&mut numbers).copy_from_slice(bytes);
        Ok(numbers)
    }
}
