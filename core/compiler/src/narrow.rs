//! Conversion of 16-bit and 64-bit floats to f32 before tract reads a model.
//!
//! A plan computes in f32, and tract lacks many operators for other types. Tensors that must stay f64 are determined
//! before: see [`wide`](crate::wide).

use crate::{
    refusal::{Refusal, node_name},
    wide::Kept,
};
use std::collections::BTreeSet;
use tract_onnx::{
    data_resolver::MmapDataResolver,
    pb::{AttributeProto, GraphProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType, type_proto},
    tensor::load_tensor,
};

/// Float types of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floats {
    /// The plan's types.
    Plan,
    /// The model's types.
    Model,
}

/// Custom attribute: the rows of a tree ensemble were f64.
///
/// Its thresholds must then be rounded like the rows, or rows equal to a threshold would miss it.
pub(crate) const ROUNDED_ROWS: &str = "tradewind_rounded_rows";

/// Converts every f16 of a graph to f32, and for a plan every f64 except kept ones; adds notes.
pub(crate) fn narrow(
    graph: &mut GraphProto,
    floats: Floats,
    kept: &Kept,
    notes: &mut BTreeSet<String>,
) -> Result<(), Refusal> {
    let width = |data_type: i32| match DataType::try_from(data_type) {
        Ok(DataType::Double) if floats == Floats::Plan => Some("f64"),
        Ok(DataType::Float16) => Some("f16"),
        _ => None,
    };
    let mut rounded: BTreeSet<String> = BTreeSet::new();
    for input in graph.input.iter_mut().filter(|input| !kept.names.contains(&input.name)) {
        let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        let Some(type_proto::Value::TensorType(tensor)) = kind else { continue };
        if let Some(width) = width(tensor.elem_type) {
            if tensor.elem_type == DataType::Double as i32 {
                rounded.insert(input.name.clone());
            }
            tensor.elem_type = DataType::Float as i32;
            notes.insert(format!("input `{}` is {width} in the model and f32 in the plan", input.name));
        }
    }
    let (mut constants, mut results) = (Vec::new(), Vec::new());
    for tensor in &mut graph.initializer {
        if width(tensor.data_type).is_some() && !kept.names.contains(&tensor.name) {
            rewrite(tensor).map_err(|reason| Refusal::whole(format!("initializer `{}`: {reason}", tensor.name)))?;
            constants.push(tensor.name.clone());
        }
    }
    for node in &mut graph.node {
        // Their thresholds stay f64 until they are rounded in the right direction.
        if node.domain == "ai.onnx.ml" {
            if node.input.first().is_some_and(|input| rounded.contains(input) || kept.tensors.contains(input)) {
                node.attribute.push(AttributeProto {
                    name: ROUNDED_ROWS.into(),
                    r#type: AttributeType::Int as i32,
                    i: 1,
                    ..AttributeProto::default()
                });
            }
            continue;
        }
        let (name, operator) = (node_name(node).to_string(), node.op_type.clone());
        for attribute in &mut node.attribute {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                if width(tensor.data_type).is_some() {
                    rewrite(tensor).map_err(|reason| Refusal::at(&name, &operator, reason))?;
                    constants.push(name.clone());
                }
            }
            let is_kept = node.output.iter().any(|output| kept.names.contains(output));
            let type_of_result =
                !is_kept && matches!((operator.as_str(), attribute.name.as_str()), ("Cast", "to") | (_, "dtype"));
            if type_of_result && i32::try_from(attribute.i).is_ok_and(|kind| width(kind).is_some()) {
                attribute.i = DataType::Float as i64;
                results.push(name.clone());
            }
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                narrow(inner, floats, &Kept::default(), notes)?;
            }
        }
    }
    if let [first, ..] = &constants[..] {
        notes.insert(format!("{} constants of 16 or 64 bits are rounded to f32, `{first}` first", constants.len()));
    }
    if let [first, ..] = &results[..] {
        notes.insert(format!("{} casts to f16 or f64 give f32, `{first}` first", results.len()));
    }
    Ok(())
}

fn rewrite(tensor: &mut TensorProto) -> Result<(), String> {
    let loaded = load_tensor(&MmapDataResolver, tensor, None)
        .and_then(|loaded| loaded.cast_to::<f32>().map(|cast| cast.into_owned()));
    let loaded = loaded.map_err(|error| format!("{error:#}"))?;
    let values = loaded.try_as_plain_ram().and_then(|plain| plain.as_slice::<f32>().map(<[f32]>::to_vec));
    let values = values.map_err(|error| format!("{error:#}"))?;
    *tensor = TensorProto {
        name: std::mem::take(&mut tensor.name),
        dims: std::mem::take(&mut tensor.dims),
        data_type: DataType::Float as i32,
        float_data: values,
        ..TensorProto::default()
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_become_floats_and_are_noted() {
        let mut graph = GraphProto {
            initializer: vec![TensorProto {
                name: "weight".into(),
                dims: vec![2],
                data_type: DataType::Double as i32,
                double_data: vec![0.1, -2.0],
                ..TensorProto::default()
            }],
            ..GraphProto::default()
        };
        let mut notes = BTreeSet::new();
        narrow(&mut graph, Floats::Plan, &Kept::default(), &mut notes).expect("a tensor that can be read");
        assert_eq!(graph.initializer[0].float_data, [0.1, -2.0]);
        assert!(notes.iter().any(|note| note.contains("`weight`")));
    }
}
