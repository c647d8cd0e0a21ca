//! Reading the attributes of an ONNX node.

use crate::refusal::{Reason, Reasoned};
use tract_onnx::{
    pb::{AttributeProto, GraphProto, NodeProto, TensorProto},
    prelude::*,
    tensor::load_tensor,
};

/// Attributes of a node. Absent attributes are empty; malformed ones are errors.
pub(crate) struct Attributes<'a>(pub &'a NodeProto);

/// Elements of a tensor attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum List {
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    Strings(Vec<String>),
}

impl<'a> Attributes<'a> {
    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub fn ints(&self, name: &str) -> &'a [i64] {
        self.find(name).map_or(&[], |attribute| &attribute.ints)
    }

    pub fn floats(&self, name: &str) -> &'a [f32] {
        self.find(name).map_or(&[], |attribute| &attribute.floats)
    }

    pub fn float(&self, name: &str) -> Option<f32> {
        self.find(name).map(|attribute| attribute.f)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.find(name).map(|attribute| attribute.i)
    }

    pub fn string(&self, name: &str, default: &str) -> Reasoned<String> {
        self.find(name).map_or_else(|| Ok(default.to_string()), |attribute| utf8(name, &attribute.s))
    }

    pub fn strings(&self, name: &str) -> Reasoned<Vec<String>> {
        let strings = self.find(name).map_or(&[][..], |attribute| &attribute.strings);
        strings.iter().map(|bytes| utf8(name, bytes)).collect()
    }

    /// Reads a list of floats from `name`, or from a tensor of any float type in `name_as_tensor`.
    pub fn numbers(&self, name: &str) -> Reasoned<Numbers> {
        match self.tensor(&format!("{name}_as_tensor"))? {
            Some(numbers) if !numbers.values.is_empty() => Ok(numbers),
            _ => Ok(Numbers { values: self.floats(name).iter().map(|&value| value.into()).collect(), exact: true }),
        }
    }

    /// Reads a tensor attribute as a list of its own type; f64 as f32.
    pub fn list(&self, name: &str) -> Reasoned<Option<List>> {
        let Some(proto) = self.find(name).and_then(|attribute| attribute.t.as_ref()) else { return Ok(None) };
        let tensor = load(proto)?;
        let datum_type = tensor.datum_type();
        Ok(Some(if datum_type == String::datum_type() {
            List::Strings(tensor.try_as_plain_ram()?.as_slice::<String>()?.to_vec())
        } else if datum_type.is_float() {
            List::Floats(tensor.cast_to::<f32>()?.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        } else {
            List::Integers(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
        }))
    }

    /// Reads a tensor attribute as numbers.
    pub fn tensor(&self, name: &str) -> Reasoned<Option<Numbers>> {
        let Some(proto) = self.find(name).and_then(|attribute| attribute.t.as_ref()) else { return Ok(None) };
        let tensor = load(proto)?;
        let values = tensor.cast_to::<f64>()?.try_as_plain_ram()?.as_slice::<f64>()?.to_vec();
        Ok(Some(Numbers { values, exact: tensor.datum_type() != f64::datum_type() }))
    }
}

/// List of numbers in the model's precision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    pub values: Vec<f64>,
    /// Whether all of them were f32 or narrower.
    pub exact: bool,
}

impl Numbers {
    pub fn rounded(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }
}

/// Constant of a graph: an initializer, or the value of a `Constant`.
pub(crate) fn constant<'a>(graph: &'a GraphProto, name: &str) -> Option<&'a TensorProto> {
    let initializer = graph.initializer.iter().find(|tensor| tensor.name == name);
    let made = |node: &&NodeProto| node.op_type == "Constant" && node.output.iter().any(|output| output == name);
    let value = || graph.node.iter().find(made)?.attribute.iter().find_map(|attribute| attribute.t.as_ref());
    initializer.or_else(value)
}

/// Elements of a tensor that the model contains.
pub(crate) fn load(proto: &TensorProto) -> Reasoned<Tensor> {
    Ok(load_tensor(&tract_onnx::data_resolver::MmapDataResolver, proto, None)?)
}

fn utf8(name: &str, bytes: &[u8]) -> Reasoned<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Reason(format!("attribute `{name}` is not UTF-8")))
}
