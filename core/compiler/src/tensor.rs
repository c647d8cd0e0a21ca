//! Tensors in files: the `TensorProto` of the ONNX project's own test data.

use crate::refusal::Refusal;
use tract_onnx::{pb::tensor_proto::DataType, tensor::proto_from_reader};
use tradewind_core::tensor::{Tensor, TensorData};

/// Reads a `TensorProto`, in the types that plans have: `f64` and `f16` become F32, `i8`, `i16`,
/// `u16`, `u32` and `u64` I64.
///
/// # Errors
/// A [`Refusal`] of what is no tensor, or of a type that plans do not have.
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor, Refusal> {
    let proto = proto_from_reader(bytes).map_err(|error| Refusal::whole(format!("not a tensor: {error}")))?;
    let refuse = |what: String| Refusal::whole(format!("tensor `{}` {what}", proto.name));
    let kind =
        DataType::try_from(proto.data_type).map_err(|_| refuse(format!("has the unknown type {}", proto.data_type)))?;
    let raw = &proto.raw_data;
    let data = match kind {
        DataType::Float => TensorData::F32(numbers(raw, f32::from_le_bytes, &proto.float_data, |&x| x)),
        DataType::Double => {
            TensorData::F32(numbers(raw, |b| f64::from_le_bytes(b) as f32, &proto.double_data, |&x| x as f32))
        }
        DataType::Int64 => TensorData::I64(numbers(raw, i64::from_le_bytes, &proto.int64_data, |&x| x)),
        DataType::Int32 => TensorData::I32(numbers(raw, i32::from_le_bytes, &proto.int32_data, |&x| x)),
        DataType::Uint8 => TensorData::U8(numbers(raw, u8::from_le_bytes, &proto.int32_data, |&x| x as u8)),
        DataType::Bool => {
            TensorData::Bool(numbers(raw, |[b]: [u8; 1]| u8::from(b != 0), &proto.int32_data, |&x| u8::from(x != 0)))
        }
        DataType::Int8 => {
            TensorData::I64(numbers(raw, |b| i8::from_le_bytes(b).into(), &proto.int32_data, |&x| x.into()))
        }
        DataType::Int16 => {
            TensorData::I64(numbers(raw, |b| i16::from_le_bytes(b).into(), &proto.int32_data, |&x| x.into()))
        }
        DataType::Uint16 => {
            TensorData::I64(numbers(raw, |b| u16::from_le_bytes(b).into(), &proto.int32_data, |&x| x.into()))
        }
        DataType::String => {
            let text = proto.string_data.iter().map(|bytes| String::from_utf8(bytes.clone()));
            TensorData::Text(text.collect::<Result<_, _>>().map_err(|_| refuse("holds text that is not UTF-8".into()))?)
        }
        other => return Err(refuse(format!("has type {other:?}, which plans do not have"))),
    };
    let shape = proto.dims.iter().map(|&dim| u32::try_from(dim)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| refuse(format!("has the shape {:?}", proto.dims)))?;
    Tensor::new(proto.name.clone(), shape, data).map_err(|error| Refusal::whole(error.to_string()))
}

/// The elements, from the raw bytes or from the field of their type.
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
