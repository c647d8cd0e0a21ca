//! Conversion of sparse constants to dense ones.

use super::{Data, width};
use crate::refusal::{Refusal, node_name};
use std::collections::BTreeSet;
use tract_onnx::pb::{
    AttributeProto, GraphProto, SparseTensorProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
};

/// Makes the sparse constants of a graph, and of nested graphs, dense.
pub(super) fn fill(graph: &mut GraphProto, data: &mut Data) -> Result<(), Refusal> {
    for sparse in std::mem::take(&mut graph.sparse_initializer) {
        let name = sparse.values.as_ref().map_or("", |values| &values.name).to_owned();
        let filled = dense(&name, sparse, data);
        graph
            .initializer
            .push(filled.map_err(|reason| Refusal::whole(format!("the sparse initializer `{name}` {}", reason.0)))?);
    }
    for node in &mut graph.node {
        let (name, operator) = (node_name(node).to_owned(), node.op_type.clone());
        for attribute in &mut node.attribute {
            if let Some(sparse) = attribute.sparse_tensor.take() {
                let filled = dense(&name, sparse, data);
                let filled =
                    filled.map_err(|reason| Refusal::at(&name, &operator, format!("its sparse value {}", reason.0)))?;
                *attribute = AttributeProto {
                    name: "value".into(),
                    r#type: AttributeType::Tensor as i32,
                    t: Some(filled),
                    ..AttributeProto::default()
                };
            }
            attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|inner| fill(inner, data))?;
        }
    }
    Ok(())
}

/// Error in a sparse tensor, as the end of a sentence about it.
struct Fault(String);

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self(format!("is too large: {}", refusal.reason()))
    }
}

fn dense(name: &str, sparse: SparseTensorProto, data: &mut Data) -> Result<TensorProto, Fault> {
    let fault = |what: String| Fault(format!("{what}; export the model again"));
    let SparseTensorProto { values: Some(values), indices: Some(indices), dims } = sparse else {
        return Err(fault("has no values or no indices".into()));
    };
    let wide = width(values.data_type).ok_or_else(|| fault("has values of an unsupported type".into()))?;
    let bytes = data.add(name, &dims, wide)? as usize;
    let wide = wide as usize;
    let values_raw = raw(&values);
    let places = places(&indices, &dims).map_err(fault)?;
    if values_raw.len() != places.len() * wide {
        return Err(fault(format!("has {} values for {} indices", values_raw.len() / wide, places.len())));
    }
    let mut raw_data = vec![0; bytes];
    let mut seen = BTreeSet::new();
    for (place, value) in places.into_iter().zip(values_raw.chunks_exact(wide)) {
        if !seen.insert(place) {
            return Err(fault(format!("has two values for element {place}")));
        }
        if let Some(slot) = raw_data.get_mut(place * wide..(place + 1) * wide) {
            slot.copy_from_slice(value);
        }
    }
    Ok(TensorProto { name: values.name, dims, data_type: values.data_type, raw_data, ..TensorProto::default() })
}

/// Position of each value among all elements: indices are positions (`[values]`), or one number for each axis
/// (`[values, rank]`).
fn places(indices: &TensorProto, dims: &[i64]) -> Result<Vec<usize>, String> {
    if indices.data_type != DataType::Int64 as i32 {
        return Err("has indices that are not int64".into());
    }
    let bytes = raw(indices);
    let numbers: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let elements: i64 = dims.iter().product();
    let (count, extents) = match indices.dims[..] {
        [count] => (count, vec![elements]),
        [count, rank] if rank == dims.len() as i64 => (count, dims.to_vec()),
        _ => return Err(format!("has indices of shape {:?} for a tensor of shape {dims:?}", indices.dims)),
    };
    if i64::try_from(numbers.len()).ok() != count.checked_mul(extents.len() as i64) {
        return Err(format!("has {} numbers as indices, but their shape is {:?}", numbers.len(), indices.dims));
    }
    if extents.is_empty() {
        return Ok(vec![0; count as usize]);
    }
    let place = |index: &[i64]| {
        let fits = index.iter().zip(&extents).all(|(at, extent)| (0..*extent).contains(at));
        let flat = index.iter().zip(&extents).fold(0, |flat, (at, extent)| flat * extent + at);
        if fits { Ok(flat as usize) } else { Err(format!("has the index {index:?}, outside its shape {dims:?}")) }
    };
    numbers.chunks_exact(extents.len()).map(place).collect()
}

/// Bytes of a tensor's elements, from any of its fields.
fn raw(tensor: &TensorProto) -> Vec<u8> {
    fn le<T: Copy, const N: usize>(list: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        list.iter().flat_map(|&x| bytes(x)).collect()
    }
    if !tensor.raw_data.is_empty() {
        return tensor.raw_data.clone();
    }
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => le(&tensor.float_data, f32::to_le_bytes),
        Ok(DataType::Double) => le(&tensor.double_data, f64::to_le_bytes),
        Ok(DataType::Int64) => le(&tensor.int64_data, i64::to_le_bytes),
        Ok(DataType::Uint64) => le(&tensor.uint64_data, u64::to_le_bytes),
        Ok(DataType::Uint32) => le(&tensor.uint64_data, |x| (x as u32).to_le_bytes()),
        Ok(DataType::Int32) => le(&tensor.int32_data, i32::to_le_bytes),
        Ok(DataType::Int16 | DataType::Uint16 | DataType::Float16) => {
            le(&tensor.int32_data, |x| (x as u16).to_le_bytes())
        }
        Ok(DataType::Int8 | DataType::Uint8 | DataType::Bool) => le(&tensor.int32_data, |x| [x as u8]),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dims: &[i64], int64_data: &[i64]) -> TensorProto {
        TensorProto {
            name: "w".into(),
            dims: dims.to_vec(),
            data_type: DataType::Int64 as i32,
            int64_data: int64_data.to_vec(),
            ..TensorProto::default()
        }
    }

    fn filled(values: &[i64], indices: TensorProto, dims: &[i64]) -> Result<Vec<i64>, String> {
        let sparse = SparseTensorProto {
            values: Some(tensor(&[values.len() as i64], values)),
            indices: Some(indices),
            dims: dims.to_vec(),
        };
        let dense = dense("w", sparse, &mut Data::default()).map_err(|fault| fault.0)?;
        assert_eq!((dense.name.as_str(), &dense.dims[..]), ("w", dims));
        Ok(dense.raw_data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    #[test]
    fn indices_are_places_or_have_a_number_for_each_axis() {
        assert_eq!(filled(&[7, 8], tensor(&[2], &[1, 5]), &[2, 3]), Ok(vec![0, 7, 0, 0, 0, 8]));
        assert_eq!(filled(&[7, 8], tensor(&[2, 2], &[0, 1, 1, 2]), &[2, 3]), Ok(vec![0, 7, 0, 0, 0, 8]));
        assert_eq!(filled(&[], tensor(&[0], &[]), &[2]), Ok(vec![0, 0]));
    }

    #[test]
    fn indices_that_do_not_fit_are_told() {
        for (values, indices, dims, words) in [
            (&[7][..], tensor(&[1], &[6]), &[2, 3][..], "index [6]"),
            (&[7], tensor(&[1, 2], &[0, -1]), &[2, 3], "index [0, -1]"),
            (&[7, 8], tensor(&[1], &[0]), &[2, 3], "2 values for 1 indices"),
            (&[7, 8], tensor(&[2], &[1, 1]), &[2, 3], "two values for element 1"),
            (&[7], tensor(&[1, 3], &[0, 0, 0]), &[2, 3], "shape [1, 3]"),
            (&[7], tensor(&[1], &[0]), &[1 << 40, 1 << 40], "too large"),
            (&[7], tensor(&[1], &[0]), &[-2, -3], "too large"),
        ] {
            let found = filled(values, indices, dims);
            assert!(found.as_ref().is_err_and(|fault| fault.contains(words)), "{found:?} does not say `{words}`");
        }
    }
}
