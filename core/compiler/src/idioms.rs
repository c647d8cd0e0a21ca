//! Graph rewrites applied before tract reads the model.

use crate::attributes::load;
use std::collections::BTreeSet;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, type_proto,
};

/// Custom operator for the distances between rows and points, `[rows, points]`.
pub(crate) const DISTANCES: &str = "TradewindDistances";

/// Attribute of [`DISTANCES`]: squared Euclidean instead of Manhattan distances.
pub(crate) const SQUARED: &str = "squared";

/// Rewrites a graph, with notes about changes that users see.
pub(crate) fn rewrite(graph: &mut GraphProto, notes: &mut BTreeSet<String>) {
    split_sequences(graph, notes);
    for node in &mut graph.node {
        // The default value is f32 zeros, but tract makes zeros of f64.
        if node.op_type == "ConstantOfShape" && node.attribute.is_empty() {
            let zero = TensorProto {
                dims: vec![1],
                data_type: DataType::Float as i32,
                float_data: vec![0.0],
                ..TensorProto::default()
            };
            node.attribute.push(AttributeProto {
                name: "value".into(),
                r#type: AttributeType::Tensor as i32,
                t: Some(zero),
                ..AttributeProto::default()
            });
        }
        if node.op_type == "ZipMap" && node.domain == "ai.onnx.ml" {
            table_of_dictionaries(node, &mut graph.output, notes);
        }
    }
    let nodes = std::mem::take(&mut graph.node);
    let read: BTreeSet<String> = nodes.iter().flat_map(|node| node.input.iter().cloned()).collect();
    for node in nodes {
        if let Some(pair) = scanned_distances(&node, &read, graph) {
            graph.node.extend(pair);
        } else if node.op_type == "ReduceLogSumExp" {
            graph.node.extend(shifted_log_sum_exp(&node));
        } else if node.op_type == "FusedGemm" {
            graph.node.extend(layer_and_activation(node));
        } else {
            graph.node.push(node);
        }
    }
}

/// Splits onnxruntime's own `Gemm` with an activation.
fn layer_and_activation(mut node: NodeProto) -> [NodeProto; 2] {
    let mut activation = NodeProto { name: format!("{}.activation", node.name), ..NodeProto::default() };
    let (own, others) = node.attribute.into_iter().partition(|attribute| attribute.name.starts_with("activation"));
    node.attribute = others;
    for attribute in own {
        match attribute.name.strip_prefix("activation_") {
            Some(name) => activation.attribute.push(AttributeProto { name: name.into(), ..attribute }),
            None => activation.op_type = String::from_utf8_lossy(&attribute.s).into_owned(),
        }
    }
    activation.output = std::mem::take(&mut node.output);
    node.output = activation.output.iter().map(|output| format!("{output}.product")).collect();
    activation.input.clone_from(&node.output);
    (node.op_type, node.domain) = ("Gemm".into(), String::new());
    [node, activation]
}

/// Rewrites `ln Σ exp(x)` as `m + ln Σ exp(x − m)` with the maximum `m`, like onnxruntime; tract's version overflows.
fn shifted_log_sum_exp(node: &NodeProto) -> Vec<NodeProto> {
    let (Some(x), Some(output)) = (node.input.first(), node.output.first()) else { return vec![node.clone()] };
    let base = if node.name.is_empty() { output } else { &node.name };
    let make = |op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>| NodeProto {
        name: format!("{base}.{output}"),
        op_type: op_type.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_string()],
        attribute,
        ..NodeProto::default()
    };
    let part = |name: &str| format!("{output}.{name}");
    let keep = AttributeProto {
        name: "keepdims".into(),
        r#type: AttributeType::Int as i32,
        i: 1,
        ..AttributeProto::default()
    };
    let nought = AttributeProto {
        name: "value".into(),
        r#type: AttributeType::Tensor as i32,
        t: Some(TensorProto { data_type: DataType::Float as i32, float_data: vec![0.0], ..TensorProto::default() }),
        ..AttributeProto::default()
    };
    let others = node.attribute.iter().filter(|attribute| attribute.name != "keepdims").cloned();
    let kept: Vec<AttributeProto> = others.chain([keep]).collect();
    // The axes are an attribute or a second input.
    let reduce = |op_type: &str, x: &str, output: &str, attribute: &[AttributeProto]| {
        let inputs: Vec<&str> = std::iter::once(x).chain(node.input.iter().skip(1).map(String::as_str)).collect();
        make(op_type, &inputs, output, attribute.to_vec())
    };
    let [greatest, infinite, zero, shift, less, power, sum, back] =
        ["greatest", "infinite", "zero", "shift", "less", "power", "sum", "back"].map(part);
    vec![
        reduce("ReduceMax", x, &greatest, &kept),
        // An infinite maximum would give NaN.
        make("IsInf", &[&greatest], &infinite, Vec::new()),
        make("Constant", &[], &zero, vec![nought]),
        make("Where", &[&infinite, &zero, &greatest], &shift, Vec::new()),
        make("Sub", &[x, &shift], &less, Vec::new()),
        make("Exp", &[&less], &power, Vec::new()),
        reduce("ReduceLogSum", &power, &sum, &node.attribute),
        reduce("ReduceMax", &shift, &back, &node.attribute),
        make("Add", &[&sum, &back], output, Vec::new()),
    ]
}

/// Replaces `ZipMap`, which makes a dictionary of each row, by the table of its values.
fn table_of_dictionaries(node: &mut NodeProto, outputs: &mut [ValueInfoProto], notes: &mut BTreeSet<String>) {
    let mut classes = Vec::new();
    for attribute in std::mem::take(&mut node.attribute) {
        classes.extend(attribute.ints.iter().map(i64::to_string));
        classes.extend(attribute.strings.iter().map(|name| format!("`{}`", String::from_utf8_lossy(name))));
    }
    (node.op_type, node.domain) = ("Identity".into(), String::new());
    for output in outputs.iter_mut().filter(|output| node.output.contains(&output.name)) {
        output.r#type = Some(tensor_of_floats());
        notes.insert(format!(
            "output `{}` is a table with a column for each class ({}) instead of a dictionary for each row",
            output.name,
            classes.join(", ")
        ));
    }
}

/// Replaces an output that is a sequence by its tensors, under their own names.
fn split_sequences(graph: &mut GraphProto, notes: &mut BTreeSet<String>) {
    for output in std::mem::take(&mut graph.output) {
        let maker = graph.node.iter().position(|node| {
            node.op_type == "SequenceConstruct" && node.output.first().is_some_and(|name| *name == output.name)
        });
        let Some(maker) = maker else {
            graph.output.push(output);
            continue;
        };
        let parts = graph.node.remove(maker).input;
        graph.output.extend(replaced_sequence(&output.name, &parts, notes));
    }
}

/// The tensors of an output that is a sequence, as outputs.
pub(crate) fn replaced_sequence(name: &str, parts: &[String], notes: &mut BTreeSet<String>) -> Vec<ValueInfoProto> {
    notes.insert(format!("output `{name}`, a sequence, is replaced by `{}`", parts.join("`, `")));
    let output = |name: &String| ValueInfoProto {
        name: name.clone(),
        r#type: Some(tensor_of_floats()),
        ..ValueInfoProto::default()
    };
    parts.iter().map(output).collect()
}

/// Adds a node for outputs that no node of their graph makes, such as inputs: tract forgets the type of an input that
/// is also an output.
pub(crate) fn copy_passed(graph: &mut GraphProto) {
    let made: BTreeSet<String> = graph.node.iter().flat_map(|node| node.output.iter().cloned()).collect();
    for output in &mut graph.output {
        if !made.contains(&output.name) {
            let passed = std::mem::take(&mut output.name);
            output.name = format!("{passed}.passed");
            graph.node.push(NodeProto {
                name: output.name.clone(),
                op_type: "Identity".into(),
                input: vec![passed],
                output: vec![output.name.clone()],
                ..NodeProto::default()
            });
        }
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(copy_passed);
    }
}

fn tensor_of_floats() -> TypeProto {
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }
}

/// Recognises skl2onnx's distances: a `Scan` over the points, `[points, rows]`, if nothing else reads it.
fn scanned_distances(node: &NodeProto, read: &BTreeSet<String>, graph: &GraphProto) -> Option<[NodeProto; 2]> {
    let ([rows, points], [state, scanned]) = (&node.input[..], &node.output[..]) else { return None };
    let only = |name: &str| node.attribute.iter().all(|attribute| ["body", name].contains(&&*attribute.name));
    let is_output = graph.output.iter().any(|output| output.name == *state);
    if node.op_type != "Scan" || !only("num_scan_inputs") || read.contains(state) || is_output {
        return None;
    }
    let squared = metric(node.attribute.iter().find_map(|attribute| attribute.g.as_ref())?)?;
    let untransposed = format!("{scanned}.rows");
    let attribute = |name: &str, value: AttributeProto| AttributeProto { name: name.into(), ..value };
    let distances = NodeProto {
        name: node.name.clone(),
        op_type: DISTANCES.into(),
        input: vec![rows.clone(), points.clone()],
        output: vec![untransposed.clone()],
        attribute: vec![attribute(
            SQUARED,
            AttributeProto { r#type: AttributeType::Int as i32, i: squared.into(), ..AttributeProto::default() },
        )],
        ..NodeProto::default()
    };
    let transpose = NodeProto {
        name: format!("{}.transpose", if node.name.is_empty() { scanned } else { &node.name }),
        op_type: "Transpose".into(),
        input: vec![untransposed],
        output: vec![scanned.clone()],
        attribute: vec![attribute(
            "perm",
            AttributeProto { r#type: AttributeType::Ints as i32, ints: vec![1, 0], ..AttributeProto::default() },
        )],
        ..NodeProto::default()
    };
    Some([distances, transpose])
}

/// Whether a body sums the squares (`true`) or magnitudes (`false`) of `state − item` along each row; `None` for any
/// other.
fn metric(body: &GraphProto) -> Option<bool> {
    let ([state, item], [same, sums]) = (&body.input[..], &body.output[..]) else { return None };
    let (copies, steps): (Vec<&NodeProto>, Vec<&NodeProto>) =
        body.node.iter().partition(|node| node.op_type == "Identity");
    let origin = |name: &str| {
        let copy = copies.iter().find(|node| node.output.first().is_some_and(|output| output == name));
        copy.and_then(|node| node.input.first()).map_or(name, String::as_str).to_string()
    };
    let (difference, rest) = steps.split_first()?;
    let (sum, between) = rest.split_last()?;
    let squared = match (between, sum.op_type.as_str()) {
        ([], "ReduceSumSquare") => true,
        ([magnitude], "ReduceSum") if magnitude.op_type == "Abs" => false,
        _ => return None,
    };
    let chained = rest.iter().zip(&steps).all(|(node, before)| node.input.first() == before.output.first());
    let number = |name: &str| sum.attribute.iter().find(|attribute| attribute.name == name);
    let axes = match (number("axes"), sum.input.get(1)) {
        (Some(axes), None) => axes.ints.clone(),
        (None, Some(name)) => integers(body.initializer.iter().find(|tensor| tensor.name == *name)?)?,
        _ => return None,
    };
    let is_distance = difference.op_type == "Sub"
        && difference.input == [state.name.clone(), item.name.clone()]
        && chained
        && axes == [1]
        && number("keepdims").is_some_and(|keep| keep.i == 0)
        && origin(&same.name) == state.name
        && Some(origin(&sums.name)) == sum.output.first().cloned();
    is_distance.then_some(squared)
}

fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    let loaded = load(tensor).ok()?;
    Some(loaded.cast_to::<i64>().ok()?.try_as_plain_ram().ok()?.as_slice::<i64>().ok()?.to_vec())
}
