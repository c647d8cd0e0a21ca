//! Network layers that are lowered directly from their ONNX nodes.
//!
//! tract unrolls recurrent layers only for a known batch, and interprets some windows, masks and normalisations
//! differently from onnxruntime, or not at all. Each layer here stays one node through tract's passes.

mod attention;
mod convolution;
mod norm;
mod pool;
mod recurrent;
mod window;

use crate::whole::{Node, Operator, Shapes, build, input, known, optional, shape};
use tract_onnx::model::OnnxOpRegister;

/// Replaces tract's operators by ours.
pub(crate) fn register(operators: &mut OnnxOpRegister) {
    for operator in ["GRU", "LSTM", "RNN"] {
        operators.insert(operator, |_, node| build(node, recurrent::Recurrent::read));
    }
    operators.insert("Attention", |_, node| build(node, attention::Attention::read));
    operators.insert("BatchNormalization", |_, node| build(node, norm::BatchNorm::read));
    operators.insert("LRN", |_, node| build(node, norm::LocalResponse::read));
    for operator in ["Conv", "ConvTranspose"] {
        operators.insert(operator, |_, node| build(node, convolution::Convolution::read));
    }
    for operator in ["AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"] {
        operators.insert(operator, |_, node| build(node, pool::Pool::read));
    }
}
