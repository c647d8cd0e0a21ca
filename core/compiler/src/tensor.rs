//! Tensors in files: the `TensorProto` of the ONNX project's own test data.

use prost::Message;
use std::fmt;
use tract_onnx::{
    pb::{TensorProto, tensor_proto::DataType},
    prelude::f16,
    tensor::proto_from_reader,
};
use tradewind_core::{
    exec::dtype,
    plan::{DType, Plan},
    tensor::{Tensor, TensorData},
};

/// Reason why a file is not a supported tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The bytes are not a `TensorProto`, or are inconsistent.
    #[error("{0}; check that the file is complete")]
    Damaged(String),
    /// The tensor has a type that plans do not support.
    #[error("{0}, which plans do not have")]
    Unsupported(String),
}

/// Element type of ONNX; plans support fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementType(i32);

/// Reads a `TensorProto`, converted to the types of a plan's outputs: `f64` and `f16` become F32, `i8`, `i16`, `u16`,
/// `u32` and `u64` become I64.
///
/// # Errors
/// [`TensorError`].
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor, TensorError> {
    rounded(read_input(bytes)?)
}

/// Reads an input, which stays f64 until [`fit_input`], because some plans read f64.
///
/// # Errors
/// [`TensorError`].
pub fn read_input(bytes: &[u8]) -> Result<Tensor, TensorError> {
    let proto =
        proto_from_reader(bytes).map_err(|error| TensorError::Damaged(format!("invalid tensor ({error:#})")))?;
    let unsupported = |what: String| TensorError::Unsupported(format!("tensor `{}` {what}", proto.name));
    let kind = ElementType(proto.data_type);
    let raw = &proto.raw_data;
    let ints = &proto.int32_data;
    let data = match kind.known() {
        Some(DataType::Float) => TensorData::F32(numbers(raw, f32::from_le_bytes, &proto.float_data, |&x| x)),
        Some(DataType::Double) => TensorData::F64(numbers(raw, f64::from_le_bytes, &proto.double_data, |&x| x)),
        Some(DataType::Float16) => TensorData::F32(numbers(
            raw,
            |b| f16::from_le_bytes(b).to_f32(),
            ints,
            |&x| f16::from_bits(x as u16).to_f32(),
        )),
        Some(DataType::Int64) => TensorData::I64(numbers(raw, i64::from_le_bytes, &proto.int64_data, |&x| x)),
        Some(DataType::Int32) => TensorData::I32(numbers(raw, i32::from_le_bytes, ints, |&x| x)),
        Some(DataType::Uint8) => TensorData::U8(numbers(raw, u8::from_le_bytes, ints, |&x| x as u8)),
        Some(DataType::Bool) => {
            TensorData::Bool(numbers(raw, |[b]: [u8; 1]| u8::from(b != 0), ints, |&x| u8::from(x != 0)))
        }
        Some(DataType::Int8) => TensorData::I64(numbers(raw, |b| i8::from_le_bytes(b).into(), ints, |&x| x.into())),
        Some(DataType::Int16) => TensorData::I64(numbers(raw, |b| i16::from_le_bytes(b).into(), ints, |&x| x.into())),
        Some(DataType::Uint16) => TensorData::I64(numbers(raw, |b| u16::from_le_bytes(b).into(), ints, |&x| x.into())),
        Some(DataType::Uint32) => {
            TensorData::I64(numbers(raw, |b| u32::from_le_bytes(b).into(), &proto.uint64_data, |&x| x as i64))
        }
        Some(DataType::Uint64) => {
            let wide = numbers(raw, u64::from_le_bytes, &proto.uint64_data, |&x| x);
            let wide = wide.into_iter().map(i64::try_from).collect::<Result<_, _>>();
            TensorData::I64(wide.map_err(|_| unsupported("contains a number beyond i64".into()))?)
        }
        Some(DataType::String) => {
            let text = proto.string_data.iter().map(|bytes| String::from_utf8(bytes.clone()));
            TensorData::Text(
                text.collect::<Result<_, _>>().map_err(|_| unsupported("contains text that is not UTF-8".into()))?,
            )
        }
        _ => return Err(unsupported(format!("has type {kind}"))),
    };
    let shape = proto.dims.iter().map(|&dim| u32::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| unsupported(format!("has the invalid shape {:?}", proto.dims)))?;
    Tensor::new(proto.name.clone(), shape, data).map_err(|error| TensorError::Damaged(error.to_string()))
}

/// Converts an input to its port's type: f64 becomes F32 if the port is F32.
///
/// # Errors
/// [`TensorError::Unsupported`] for a number beyond f32.
pub fn fit_input(tensor: Tensor, plan: &Plan) -> Result<Tensor, TensorError> {
    let port = plan.inputs.iter().find(|port| port.name == tensor.name);
    if port.and_then(|port| dtype(plan, port)) == Some(DType::F64) { Ok(tensor) } else { rounded(tensor) }
}

fn rounded(mut tensor: Tensor) -> Result<Tensor, TensorError> {
    if let TensorData::F64(wide) = &tensor.data {
        if let Some(beyond) = wide.iter().find(|x| x.is_finite() && !(**x as f32).is_finite()) {
            let text = format!("tensor `{}` contains {beyond:e}, beyond f32", tensor.name);
            return Err(TensorError::Unsupported(text));
        }
        tensor.data = TensorData::F32(wide.iter().map(|x| *x as f32).collect());
    }
    Ok(tensor)
}

/// Writes a `TensorProto` with elements of type `kind`, or of the plan's type if `None`: the inverse of
/// [`read_tensor`].
///
/// # Errors
/// [`TensorError::Unsupported`] if elements of the plan's type cannot be converted to `kind`, such as text to numbers,
/// or a number beyond the type's range.
pub fn write_tensor(tensor: &Tensor, kind: Option<ElementType>) -> Result<Vec<u8>, TensorError> {
    let kind = kind.unwrap_or_else(|| ElementType::of(&tensor.data));
    let mut proto = TensorProto {
        name: tensor.name.clone(),
        dims: tensor.shape.iter().map(|&extent| extent.into()).collect(),
        data_type: kind.0,
        ..TensorProto::default()
    };
    let unsupported = |what: &str| TensorError::Unsupported(format!("`{}` {what} as {kind}", tensor.name));
    let integers: Option<Vec<i64>> = match &tensor.data {
        TensorData::F32(_) | TensorData::F64(_) | TensorData::Text(_) => None,
        TensorData::I64(data) => Some(data.clone()),
        TensorData::I32(data) => Some(data.iter().map(|&x| x.into()).collect()),
        TensorData::U8(data) | TensorData::Bool(data) => Some(data.iter().map(|&x| x.into()).collect()),
    };
    let raw = match (&tensor.data, integers, kind.known()) {
        (TensorData::Text(text), _, Some(DataType::String)) => {
            proto.string_data = text.iter().map(|text| text.clone().into_bytes()).collect();
            return Ok(proto.encode_to_vec());
        }
        (TensorData::F32(data), _, Some(DataType::Float)) => Some(raw(data, |x| Some(x.to_le_bytes()))),
        (TensorData::F32(data), _, Some(DataType::Double)) => Some(raw(data, |x| Some(f64::from(x).to_le_bytes()))),
        (TensorData::F64(data), _, Some(DataType::Double)) => Some(raw(data, |x| Some(x.to_le_bytes()))),
        (TensorData::F32(data), _, Some(DataType::Float16)) => {
            Some(raw(data, |x| Some(f16::from_f32(x).to_le_bytes())))
        }
        (_, Some(data), Some(kind)) => match kind {
            DataType::Int64 => Some(raw(&data, |x| Some(x.to_le_bytes()))),
            DataType::Int32 => Some(raw(&data, |x| i32::try_from(x).ok().map(i32::to_le_bytes))),
            DataType::Int16 => Some(raw(&data, |x| i16::try_from(x).ok().map(i16::to_le_bytes))),
            DataType::Int8 => Some(raw(&data, |x| i8::try_from(x).ok().map(i8::to_le_bytes))),
            DataType::Uint64 => Some(raw(&data, |x| u64::try_from(x).ok().map(u64::to_le_bytes))),
            DataType::Uint32 => Some(raw(&data, |x| u32::try_from(x).ok().map(u32::to_le_bytes))),
            DataType::Uint16 => Some(raw(&data, |x| u16::try_from(x).ok().map(u16::to_le_bytes))),
            DataType::Uint8 => Some(raw(&data, |x| u8::try_from(x).ok().map(u8::to_le_bytes))),
            DataType::Bool => Some(raw(&data, |x| u8::try_from(x).ok().filter(|x| *x < 2).map(u8::to_le_bytes))),
            _ => None,
        },
        _ => None,
    };
    proto.raw_data = raw
        .ok_or_else(|| unsupported("cannot be written"))?
        .ok_or_else(|| unsupported("contains a number that cannot be written"))?;
    Ok(proto.encode_to_vec())
}

impl ElementType {
    pub(crate) const fn new(data_type: i32) -> Self {
        Self(data_type)
    }

    /// ONNX type of a plan's elements.
    fn of(data: &TensorData) -> Self {
        Self(match data {
            TensorData::F32(_) => DataType::Float,
            TensorData::I64(_) => DataType::Int64,
            TensorData::I32(_) => DataType::Int32,
            TensorData::U8(_) => DataType::Uint8,
            TensorData::Bool(_) => DataType::Bool,
            TensorData::Text(_) => DataType::String,
            TensorData::F64(_) => DataType::Double,
        } as i32)
    }

    /// Whether numbers of this type are integers.
    pub fn is_integer(self) -> bool {
        use DataType::{Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
        matches!(self.known(), Some(Int8 | Int16 | Int32 | Int64 | Uint8 | Uint16 | Uint32 | Uint64))
    }

    fn known(self) -> Option<DataType> {
        DataType::try_from(self.0).ok()
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Types added to ONNX after the reader's version.
            17..=20 | 24 => f.write_str("float8"),
            21 => f.write_str("uint4"),
            22 => f.write_str("int4"),
            23 => f.write_str("float4"),
            25 => f.write_str("uint2"),
            26 => f.write_str("int2"),
            other => match self.known() {
                Some(kind) => f.write_str(&kind.as_str_name().to_lowercase()),
                None => write!(f, "number {other}"),
            },
        }
    }
}

/// Elements, from the raw bytes or from the field of their type.
fn numbers<const N: usize, T, F>(
    raw: &[u8],
    from_bytes: impl Fn([u8; N]) -> T,
    field: &[F],
    from_field: impl Fn(&F) -> T,
) -> Vec<T> {
    if raw.is_empty() {
        return field.iter().map(from_field).collect();
    }
    raw.as_chunks::<N>().0.iter().map(|bytes| from_bytes(*bytes)).collect()
}

/// Bytes of all elements, unless one cannot be converted.
fn raw<const N: usize, T: Copy>(elements: &[T], to_bytes: impl Fn(T) -> Option<[u8; N]>) -> Option<Vec<u8>> {
    elements.iter().map(|&element| to_bytes(element)).collect::<Option<Vec<_>>>().map(|chunks| chunks.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let float = TensorData::F32(vec![0.5, -2.0, f32::INFINITY]);
        let whole = TensorData::I64(vec![0, 1, 1]);
        let cases = [
            (float.clone(), vec![DataType::Float, DataType::Double, DataType::Float16]),
            (
                whole.clone(),
                vec![DataType::Int64, DataType::Int8, DataType::Uint16, DataType::Uint32, DataType::Uint64],
            ),
            (TensorData::I32(vec![-1, 0, 1]), vec![DataType::Int32]),
            (TensorData::U8(vec![0, 1, 255]), vec![DataType::Uint8]),
            (TensorData::Bool(vec![0, 1, 1]), vec![DataType::Bool]),
            (TensorData::Text(vec!["a".into(), String::new(), "ü".into()]), vec![DataType::String]),
        ];
        for (data, kinds) in cases {
            let tensor = Tensor::new("t", [3, 1], data).expect("three elements");
            for kind in kinds {
                let bytes = write_tensor(&tensor, Some(ElementType(kind as i32))).expect("a type that fits");
                assert_eq!(read_tensor(&bytes), Ok(tensor.clone()), "{kind:?}");
            }
            assert_eq!(write_tensor(&tensor, None).and_then(|bytes| read_tensor(&bytes)), Ok(tensor));
        }
        let large = Tensor::new("t", [1], TensorData::I64(vec![300])).expect("one element");
        assert!(write_tensor(&large, Some(ElementType(DataType::Uint8 as i32))).is_err());
        assert!(write_tensor(&large, Some(ElementType(DataType::String as i32))).is_err());
        let kind = DataType::Double as i32;
        let beyond = TensorProto { data_type: kind, dims: vec![1], double_data: vec![1e200], ..TensorProto::default() };
        assert!(matches!(read_tensor(&beyond.encode_to_vec()), Err(TensorError::Unsupported(_))));
    }
}
