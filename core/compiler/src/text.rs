//! Strings known to a model.
//!
//! In a plan a string is an index into a list. The list of an input contains the strings that nodes compare it with:
//! keys of maps, and constants. Any other string is the index −1, for which a map has its default.

use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType, type_proto};

/// Operators that look strings up, and pass none through.
const MAPS: [&str; 3] = ["CategoryMapper", "LabelEncoder", "OneHotEncoder"];

/// Strings that the model distinguishes for each text input, in ascending order; at least one.
pub(crate) fn known(graph: &GraphProto) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<&str, BTreeSet<String>> =
        graph.initializer.iter().map(|tensor| (&*tensor.name, strings(tensor))).collect();
    for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
        let values = node.attribute.iter().filter_map(|attribute| attribute.t.as_ref()).flat_map(strings);
        let lists = node.attribute.iter().flat_map(|attribute| attribute.strings.iter().chain([&attribute.s]));
        let found = values.chain(lists.map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect();
        told.extend(node.output.first().map(|name| (&**name, found)));
    }
    // Nodes come after their inputs, so in reverse order all strings that an output reaches are known.
    for node in graph.node.iter().rev().filter(|node| node.op_type != "Constant") {
        let found: BTreeSet<String> = if MAPS.contains(&&*node.op_type) {
            keys(node)
        } else {
            let beside = node.input.iter().chain(&node.output).filter_map(|name| told.get(&**name));
            beside.flatten().cloned().collect()
        };
        if !found.is_empty() {
            for name in &node.input {
                told.entry(name).or_default().extend(found.iter().cloned());
            }
        }
    }
    let inputs = graph.input.iter().filter(|input| {
        let kind = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        matches!(kind, Some(type_proto::Value::TensorType(tensor)) if tensor.elem_type == DataType::String as i32)
    });
    let list = |name: &str| match told.get(name) {
        Some(strings) if !strings.is_empty() => strings.iter().cloned().collect(),
        // A text port has a list, even if no node reads the text.
        _ => vec![String::new()],
    };
    inputs.map(|input| (input.name.clone(), list(&input.name))).collect()
}

/// Keys of a map.
fn keys(node: &NodeProto) -> BTreeSet<String> {
    let lists = ["keys_strings", "cats_strings", "classes_strings"];
    let listed = node.attribute.iter().filter(|attribute| lists.contains(&&*attribute.name));
    let tensors = node.attribute.iter().filter(|attribute| attribute.name == "keys_tensor");
    let texts =
        listed.flat_map(|attribute| &attribute.strings).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    texts.chain(tensors.filter_map(|attribute| attribute.t.as_ref()).flat_map(strings)).collect()
}

fn strings(tensor: &TensorProto) -> BTreeSet<String> {
    let texts = if tensor.data_type == DataType::String as i32 { &tensor.string_data[..] } else { &[] };
    texts.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}
