//! Conversion of an ONNX file to one self-contained graph: external data is read, functions are inlined, sparse
//! constants become dense.

mod external;
mod functions;
mod sparse;

use crate::{bounds::framework, quiet, refusal::Refusal};
use external::Data;
use prost::Message;
use std::{fs, path::Path};
use tract_onnx::{
    Onnx,
    pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, tensor_proto::DataType},
    prelude::Framework,
};
use tradewind_core::pack::MAGIC;

/// Maximum bytes of constants read from other files or made dense.
const MOST_DATA: u64 = 256 << 20;

/// Reason why a model's file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file, or one that holds its data, cannot be read.
    #[error("cannot read `{path}`: {message}")]
    File {
        /// Path of the file.
        path: String,
        /// Reason.
        message: String,
    },
    /// The model cannot be compiled.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Reads a model's file, with external data beside it (as saved by PyTorch), and returns self-contained bytes.
///
/// # Errors
/// [`ReadError`] if a file is missing or too short, or if data is outside the model's folder.
pub fn read_model(path: &Path) -> Result<Vec<u8>, ReadError> {
    let onnx = fs::read(path).map_err(|error| unreadable(path, error))?;
    // Invalid models are refused during compilation.
    let framework = framework();
    let Ok(mut proto) = decode_as_it_is(&framework, &onnx) else { return Ok(onnx) };
    if !external::any(&mut proto) {
        return Ok(onnx);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    external::load(&mut proto, folder)?;
    // The reader's messages lack parts of functions, so these are inlined here.
    functions::inline(&framework, &mut proto, &onnx)?;
    Ok(proto.encode_to_vec())
}

/// Decodes a self-contained model.
pub(crate) fn decode(framework: &Onnx, onnx: &[u8]) -> Result<ModelProto, Refusal> {
    let mut proto = decode_as_it_is(framework, onnx)?;
    external::refuse(&mut proto)?;
    functions::inline(framework, &mut proto, onnx)?;
    let mut data = Data::default();
    if let Some(graph) = &mut proto.graph {
        sparse::fill(graph, &mut data)?;
    }
    Ok(proto)
}

fn decode_as_it_is(framework: &Onnx, mut onnx: &[u8]) -> Result<ModelProto, Refusal> {
    if onnx.is_empty() {
        return Err(Refusal::whole("the file is empty"));
    }
    if onnx.starts_with(&MAGIC) {
        return Err(Refusal::whole("it is a pack, which is already compiled; give its ONNX file instead"));
    }
    let decoded = quiet::catch(|| framework.proto_model_for_read(&mut onnx).map_err(|error| format!("{error:#}")));
    decoded.and_then(|decoded| decoded).map_err(|error| {
        Refusal::whole(format!("its bytes are not an ONNX model ({error}); check that the file is complete"))
    })
}

/// Calls `visit` for every tensor of a model, including attributes and functions.
fn each_tensor<E>(proto: &mut ModelProto, visit: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>) -> Result<(), E> {
    fn nodes<E>(list: &mut [NodeProto], visit: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>) -> Result<(), E> {
        for attribute in list.iter_mut().flat_map(|node| &mut node.attribute) {
            let AttributeProto { t, tensors, sparse_tensor, sparse_tensors, g, graphs, .. } = attribute;
            let sparse = sparse_tensor.iter_mut().chain(sparse_tensors);
            let parts = sparse.flat_map(|sparse| sparse.values.iter_mut().chain(&mut sparse.indices));
            t.iter_mut().chain(tensors).chain(parts).try_for_each(&mut *visit)?;
            g.iter_mut().chain(graphs).try_for_each(|inner| graph(inner, visit))?;
        }
        Ok(())
    }
    fn graph<E>(inner: &mut GraphProto, visit: &mut dyn FnMut(&mut TensorProto) -> Result<(), E>) -> Result<(), E> {
        let sparse = inner.sparse_initializer.iter_mut();
        let parts = sparse.flat_map(|sparse| sparse.values.iter_mut().chain(&mut sparse.indices));
        inner.initializer.iter_mut().chain(parts).try_for_each(&mut *visit)?;
        nodes(&mut inner.node, visit)
    }
    proto.graph.iter_mut().try_for_each(|inner| graph(inner, visit))?;
    proto.functions.iter_mut().try_for_each(|function| nodes(&mut function.node, visit))
}

/// Bytes per element; `None` for elements of varying size, or a type that plans lack.
pub(crate) fn width(data_type: i32) -> Option<u64> {
    match DataType::try_from(data_type) {
        Ok(DataType::Double | DataType::Int64 | DataType::Uint64) => Some(8),
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => Some(4),
        Ok(DataType::Float16 | DataType::Int16 | DataType::Uint16) => Some(2),
        Ok(DataType::Bool | DataType::Int8 | DataType::Uint8) => Some(1),
        _ => None,
    }
}

/// Size in bytes of a tensor of this shape.
pub(crate) fn bytes_of(dims: &[i64], width: u64) -> Option<u64> {
    dims.iter().try_fold(width, |bytes, extent| bytes.checked_mul(u64::try_from(*extent).ok()?))
}

fn unreadable(path: &Path, message: impl ToString) -> ReadError {
    ReadError::File { path: path.display().to_string(), message: message.to_string() }
}
