//! Declared inputs and outputs of a model, and inputs that determine a shape.

use crate::{
    bounds::framework,
    frontend,
    model::decode,
    refusal::Refusal,
    tensor::{ElementType, TensorError, read_input},
};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::{
    pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto},
    tensor::proto_from_reader,
};
use tradewind_core::tensor::Tensor;

/// Inputs that determine a shape or select elements: operator, input number, name in the specification.
const SHAPE_INPUTS: [(&str, usize, &str); 28] = [
    ("BlackmanWindow", 0, "size"),
    ("CenterCropPad", 1, "shape"),
    ("ConstantOfShape", 0, "shape"),
    ("CumProd", 1, "axis"),
    ("CumSum", 1, "axis"),
    ("DFT", 1, "dft_length"),
    ("DFT", 2, "axis"),
    ("Expand", 1, "shape"),
    ("HammingWindow", 0, "size"),
    ("HannWindow", 0, "size"),
    ("OneHot", 1, "depth"),
    ("Pad", 1, "pads"),
    ("Pad", 3, "axes"),
    ("Range", 0, "start"),
    ("Range", 1, "limit"),
    ("Range", 2, "delta"),
    ("Reshape", 1, "shape"),
    ("Resize", 3, "sizes"),
    ("Slice", 1, "starts"),
    ("Slice", 2, "ends"),
    ("Slice", 3, "axes"),
    ("Slice", 4, "steps"),
    ("Split", 1, "split"),
    ("Squeeze", 1, "axes"),
    ("Tile", 1, "repeats"),
    ("TopK", 1, "k"),
    ("Trilu", 1, "k"),
    ("Unsqueeze", 1, "axes"),
];

/// Operators through which such an input is traced back to the model's inputs.
const PASSED_THROUGH: [&str; 4] = ["Cast", "Concat", "Identity", "Squeeze"];

/// Operators of ai.onnx.ml that return labels and scores.
const CLASSIFIERS: [&str; 3] = ["LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier"];

/// Declared inputs and outputs of a model.
///
/// ```
/// use tradewind_compiler::Interface;
///
/// let interface = Interface::read(include_bytes!("../tests/two-features.onnx"))?;
/// assert_eq!(interface.outputs[0].name, "score");
/// assert!(interface.shape_inputs.is_empty());
/// # Ok::<(), tradewind_compiler::Refusal>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// Required inputs, in order.
    pub inputs: Vec<Declared>,
    /// Optional inputs, in order: initializers that are also listed as inputs. They are constants of a plan unless
    /// [`Options::overrides`](crate::Options::overrides) names them.
    pub defaults: Vec<Declared>,
    /// Outputs, in order.
    pub outputs: Vec<Declared>,
    /// Integer inputs that determine a shape, with their role in the operator: `axes`, `k`. A plan's shapes are known
    /// when it is compiled, so such inputs need [`bind_input`].
    pub shape_inputs: BTreeMap<String, String>,
    /// Axes of [`inputs`](Self::inputs) without an extent, other than the batch, by input and axis number:
    /// [`Options::bind`](crate::Options::bind) fixes them.
    pub open_axes: Vec<(String, usize)>,
    /// Whether the model has a classifier of ai.onnx.ml, with labels and scores.
    pub classifies: bool,
}

/// Declared input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Name.
    pub name: String,
    /// Element type; `None` for a sequence, a map or an optional.
    pub element: Option<ElementType>,
}

impl Interface {
    /// Reads a model's declarations.
    ///
    /// # Errors
    /// A [`Refusal`] if the bytes are not an ONNX model.
    pub fn read(onnx: &[u8]) -> Result<Self, Refusal> {
        let proto = decode(&framework(), onnx)?;
        let graph =
            proto.graph.as_ref().ok_or_else(|| Refusal::whole("it contains no graph, so it is not an ONNX model"))?;
        let constant: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let (defaults, inputs): (Vec<_>, Vec<_>) =
            graph.input.iter().partition(|input| constant.contains(input.name.as_str()));
        let open_axes = frontend::open_axes(inputs.iter().copied());
        let inputs: Vec<Declared> = inputs.into_iter().map(Declared::new).collect();
        Ok(Self {
            shape_inputs: shape_inputs(graph, &inputs),
            inputs,
            defaults: defaults.into_iter().map(Declared::new).collect(),
            open_axes,
            outputs: graph.output.iter().map(Declared::new).collect(),
            classifies: graph
                .node
                .iter()
                .any(|node| node.domain == "ai.onnx.ml" && CLASSIFIERS.contains(&node.op_type.as_str())),
        })
    }
}

impl Declared {
    fn new(info: &ValueInfoProto) -> Self {
        let kind = info.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let element = kind.map(|type_proto::Value::TensorType(tensor)| ElementType::new(tensor.elem_type));
        Self { name: info.name.clone(), element }
    }
}

/// Default value of an input, if it has one.
///
/// # Errors
/// [`TensorError`] if plans do not support its type, or `onnx` is not a model.
pub fn default_input(onnx: &[u8], input: &str) -> Result<Option<Tensor>, TensorError> {
    let proto = decode(&framework(), onnx).map_err(|refusal| TensorError::Damaged(refusal.to_string()))?;
    let known = proto.graph.into_iter().flat_map(|graph| graph.initializer).find(|tensor| tensor.name == input);
    known.map(|tensor| read_input(&tensor.encode_to_vec())).transpose()
}

/// Replaces an input by the constant `tensor` (a `TensorProto`).
///
/// # Errors
/// [`TensorError`] if `tensor` is invalid.
pub fn bind_input(onnx: &[u8], input: &str, tensor: &[u8]) -> Result<Vec<u8>, TensorError> {
    let tensor =
        proto_from_reader(tensor).map_err(|error| TensorError::Damaged(format!("invalid tensor ({error:#})")))?;
    let initializer = vec![TensorProto { name: input.to_owned(), ..tensor }];
    let addition =
        ModelProto { graph: Some(GraphProto { initializer, ..GraphProto::default() }), ..ModelProto::default() };
    // Concatenated protobuf messages are one message: lists are joined.
    let mut bound = onnx.to_vec();
    bound.extend(addition.encode_to_vec());
    Ok(bound)
}

fn shape_inputs(graph: &GraphProto, inputs: &[Declared]) -> BTreeMap<String, String> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    for node in graph.node.iter().filter(|node| ["", "ai.onnx"].contains(&node.domain.as_str())) {
        let reduces = node.op_type.starts_with("Reduce").then_some((1, "axes"));
        let listed = SHAPE_INPUTS.iter().filter(|(operator, ..)| *operator == node.op_type);
        for (place, role) in listed.map(|(_, place, role)| (*place, *role)).chain(reduces) {
            open.extend(node.input.get(place).map(|name| (name.as_str(), role)));
        }
    }
    let mut seen = BTreeSet::new();
    let mut found = BTreeMap::new();
    while let Some((name, role)) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some(input) = inputs.iter().find(|input| input.name == name) {
            if input.element.is_some_and(ElementType::is_integer) {
                found.insert(name.to_owned(), role.to_owned());
            }
            continue;
        }
        let producers = graph.node.iter().filter(|node| node.output.iter().any(|output| output == name));
        for node in producers.filter(|node| PASSED_THROUGH.contains(&node.op_type.as_str())) {
            let read = if node.op_type == "Concat" { node.input.len() } else { 1 };
            open.extend(node.input.iter().take(read).map(|name| (name.as_str(), role)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{NodeProto, TypeProto, tensor_proto::DataType};

    fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    fn input(name: &str, kind: DataType) -> ValueInfoProto {
        let tensor = type_proto::Tensor { elem_type: kind as i32, shape: None };
        let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        ValueInfoProto { name: name.into(), r#type: Some(kind), ..ValueInfoProto::default() }
    }

    #[test]
    fn only_integers_that_determine_a_shape_are_named() {
        let graph = GraphProto {
            node: vec![
                node("Concat", &["rows", "columns"], "joined"),
                node("Cast", &["joined"], "shape"),
                node("Reshape", &["x", "shape"], "matrix"),
                node("Add", &["matrix", "other"], "sum"),
                node("ReduceSum", &["sum", "axes"], "total"),
                node("OneHot", &["indices", "depth", "values"], "hot"),
            ],
            input: vec![
                input("x", DataType::Float),
                input("rows", DataType::Int32),
                input("columns", DataType::Int32),
                input("other", DataType::Int64),
                input("axes", DataType::Int64),
                input("indices", DataType::Int64),
                input("depth", DataType::Float),
                input("values", DataType::Int64),
            ],
            ..GraphProto::default()
        };
        let onnx = ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
        let found = Interface::read(&onnx).expect("a model").shape_inputs;
        let expected = [("axes", "axes"), ("columns", "shape"), ("rows", "shape")];
        assert_eq!(found, expected.map(|(name, role)| (name.to_owned(), role.to_owned())).into());
    }

    #[test]
    fn a_bound_input_is_a_constant() {
        let graph = GraphProto { input: vec![input("axes", DataType::Int64)], ..GraphProto::default() };
        let onnx = ModelProto { graph: Some(graph), ..ModelProto::default() }.encode_to_vec();
        let axes = TensorProto { data_type: DataType::Int64 as i32, int64_data: vec![1], ..TensorProto::default() };
        let bound = bind_input(&onnx, "axes", &axes.encode_to_vec()).expect("a tensor");
        assert_eq!(Interface::read(&bound).expect("a model").inputs, []);
        assert!(bind_input(&onnx, "axes", b"none").is_err());
    }
}
