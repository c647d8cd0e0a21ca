//! Quantised activations: a tensor that is rounded to 8 bits and back becomes one that is rounded as a float, with the
//! same values.

use crate::attributes::{constant, load};
use std::collections::BTreeMap;
use tract_onnx::{
    pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType},
    prelude::*,
};

/// Replaces each `QuantizeLinear` that is read only by `DequantizeLinear` of the same scale and zero: of `clamp(round(x
/// / scale) + zero, least, most)`, minus zero, times the scale.
pub(crate) fn rewrite(graph: &mut GraphProto) {
    let mut readers: BTreeMap<&str, Vec<&NodeProto>> = BTreeMap::new();
    for node in &graph.node {
        node.input.iter().for_each(|input| readers.entry(input).or_default().push(node));
    }
    let is_output = |name: &str| graph.output.iter().any(|output| output.name == name);
    let rounded = graph.node.iter().filter(|node| node.op_type == "QuantizeLinear").filter_map(|node| {
        let ([_, parameters @ ..], [output]) = (&node.input[..], &node.output[..]) else { return None };
        let back = |reader: &&NodeProto| reader.op_type == "DequantizeLinear" && reader.input[1..] == *parameters;
        let all_back = readers.get(output.as_str()).is_some_and(|readers| readers.iter().all(back));
        let bounds = bounds(graph, parameters).filter(|_| all_back && !is_output(output))?;
        Some((output.clone(), bounds))
    });
    let rounded: BTreeMap<String, [f32; 2]> = rounded.collect();
    let mut bounds = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        if let Some(range) = node.output.first().and_then(|output| rounded.get(output)) {
            let names = ["least", "most"].map(|name| format!("{}.{name}", node.output[0]));
            bounds.extend(names.iter().zip(range).map(|(name, bound)| TensorProto {
                name: name.clone(),
                data_type: DataType::Float as i32,
                float_data: vec![*bound],
                ..TensorProto::default()
            }));
            graph.node.extend(rounding(&node, &names));
        } else if node.op_type == "DequantizeLinear" && node.input.first().is_some_and(|x| rounded.contains_key(x)) {
            graph.node.push(NodeProto {
                op_type: "Mul".into(),
                input: node.input[..2].to_vec(),
                attribute: Vec::new(),
                ..node
            });
        } else {
            graph.node.push(node);
        }
    }
    graph.initializer.extend(bounds);
}

/// Least and most of the quantised values minus their zero, if there is one scale for all elements.
fn bounds(graph: &GraphProto, parameters: &[String]) -> Option<[f32; 2]> {
    let value = |name: &String| load(constant(graph, name)?).ok();
    let (scale, zero) = (value(parameters.first()?)?, parameters.get(1).map(value));
    // Without a zero the values are `u8`.
    let zero = match zero {
        Some(zero) => zero?,
        None => tensor0(0u8),
    };
    let of = |least: f32, most: f32| {
        let zero = *zero.cast_to::<f32>().ok()?.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.first()?;
        Some([least - zero, most - zero])
    };
    if scale.datum_type() != f32::datum_type() || scale.len() != 1 || zero.len() != 1 {
        return None;
    }
    match zero.datum_type().unquantized() {
        DatumType::U8 => of(0.0, 255.0),
        DatumType::I8 => of(-128.0, 127.0),
        DatumType::U16 => of(0.0, 65_535.0),
        DatumType::I16 => of(-32_768.0, 32_767.0),
        _ => None,
    }
}

/// `clamp(round(x / scale), bounds)`.
fn rounding(node: &NodeProto, bounds: &[String; 2]) -> [NodeProto; 3] {
    let output = &node.output[0];
    let [quotient, whole] = ["quotient", "whole"].map(|name| format!("{output}.{name}"));
    let make = |op_type: &str, input: &[&String], output: &str| NodeProto {
        name: format!("{output}.{op_type}"),
        op_type: op_type.into(),
        input: input.iter().map(|name| (*name).clone()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    [
        make("Div", &[&node.input[0], &node.input[1]], &quotient),
        make("Round", &[&quotient], &whole),
        make("Clip", &[&whole, &bounds[0], &bounds[1]], output),
    ]
}
