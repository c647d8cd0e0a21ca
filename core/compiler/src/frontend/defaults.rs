//! Inputs with a default: initializers that are also listed as inputs.

use crate::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{
    GraphProto, TensorShapeProto,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// Makes each input with a default only an input if it is among `overrides`, and otherwise only a constant. Returns a
/// note that lists the constants.
pub(super) fn settle(graph: &mut GraphProto, overrides: &BTreeSet<String>) -> Result<Option<String>, Refusal> {
    let defaults: BTreeMap<String, Vec<i64>> =
        graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.dims.clone())).collect();
    let named = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let inputs: BTreeSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    if let Some(name) = overrides.iter().find(|name| !inputs.contains(name.as_str())) {
        let known = inputs.iter().copied().filter(|name| defaults.contains_key(*name)).collect::<Vec<_>>();
        return Err(Refusal::whole(match known.is_empty() {
            true => format!("`{name}` cannot be overridden: the model has no inputs with a default"),
            false => format!("`{name}` cannot be overridden (inputs with a default: {})", named(known)),
        }));
    }
    let constant = |name: &str| defaults.contains_key(name) && !overrides.contains(name);
    let constants: Vec<&str> = inputs.iter().copied().filter(|name| constant(name)).collect();
    let note = (!constants.is_empty()).then(|| {
        format!("inputs with a default became constants (`--override` makes them inputs): {}", named(constants))
    });
    for input in &mut graph.input {
        let Some(dims) = defaults.get(&input.name).filter(|_| overrides.contains(&input.name)) else { continue };
        let kind = input.r#type.as_mut().and_then(|kind| kind.value.as_mut());
        if let Some(type_proto::Value::TensorType(tensor)) = kind {
            let dim = dims
                .iter()
                .map(|extent| Dimension { value: Some(dimension::Value::DimValue(*extent)), ..Dimension::default() });
            tensor.shape.get_or_insert_with(|| TensorShapeProto { dim: dim.collect() });
        }
    }
    graph.input.retain(|input| !constant(&input.name));
    graph.initializer.retain(|tensor| !overrides.contains(&tensor.name));
    Ok(note)
}
