//! Lowering of tract's decluttered graph to kernel calls, node by node in order of evaluation.

mod axes;
mod double;
mod einsum;
mod elementwise;
mod gather;
mod reduce;

use crate::{
    builder::Builder,
    extent::Extent,
    frontend::Graph,
    refusal::{Reason, Reasoned, Refusal},
    value::{Constant, Home, Value, categories},
    vectorize::Vectorized,
    whole,
};
use std::{collections::HashMap, sync::Arc};
use tract_onnx::{
    prelude::*,
    tract_core::ops::{konst::Const, source::TypedSource},
};
use tradewind_core::plan::{BinaryOp, DType, ReduceOp};

/// Plan before its passes: kernel calls in order, inputs and outputs.
#[derive(Debug)]
pub(crate) struct Draft {
    pub builder: Builder,
    pub inputs: Vec<(String, Value)>,
    pub outputs: Vec<(String, Value)>,
    /// Inputs that are features of texts.
    pub vectorized: Vec<Vectorized>,
}

/// Lowers a graph.
pub(crate) fn lower(graph: &Graph) -> Result<Draft, Refusal> {
    let builder = Builder { notes: graph.notes.clone(), ..Builder::default() };
    let mut walk = Walk { graph, builder, values: HashMap::new() };
    let order = graph.model.eval_order().map_err(|error| Refusal::whole(format!("{error:#}")))?;
    let inputs = walk.sources()?;
    for node in order.into_iter().map(|id| graph.model.node(id)) {
        let (name, operator) = graph.origin(&node.name);
        walk.builder.node = name.clone();
        walk.node(node).map_err(|reason| Refusal::at(name, operator, reason.0))?;
    }
    let outputs = walk.outputs()?;
    Ok(Draft { builder: walk.builder, inputs, outputs, vectorized: graph.vectorized.clone() })
}

/// State of the lowering.
struct Walk<'a> {
    graph: &'a Graph,
    builder: Builder,
    values: HashMap<OutletId, Value>,
}

/// Context of lowering a node: the node, its inputs, and the plan under construction.
pub(crate) struct Site<'a> {
    pub node: &'a TypedNode,
    model: &'a TypedModel,
    batch: &'a Symbol,
    pub inputs: Vec<Value>,
    /// Values lowered so far.
    values: &'a HashMap<OutletId, Value>,
    pub builder: &'a mut Builder,
}

impl Walk<'_> {
    /// Creates a buffer for each input of the model.
    fn sources(&mut self) -> Result<Vec<(String, Value)>, Refusal> {
        let model = &self.graph.model;
        let outlets = model.input_outlets().map_err(|error| Refusal::whole(format!("{error:#}")))?;
        let mut inputs = Vec::new();
        if outlets.len() != self.graph.inputs.len() {
            return Err(Refusal::whole("the ONNX reader lost an input; please report the model"));
        }
        // The reader may rename nodes, so the model's own names are used.
        for (outlet, name) in outlets.iter().zip(&self.graph.inputs) {
            let input = self.source(name, *outlet);
            let value = input.map_err(|reason| Refusal::whole(format!("input `{name}`: {reason}")))?;
            self.values.insert(*outlet, value.clone());
            inputs.push((name.clone(), value));
        }
        Ok(inputs)
    }

    fn source(&mut self, name: &str, outlet: OutletId) -> Reasoned<Value> {
        let fact = self.graph.model.outlet_fact(outlet)?;
        let dtype = dtype(fact.datum_type)?;
        if let Some(note) = narrowing(fact.datum_type) {
            self.builder.note(format!(
                "input `{name}` is {} in the model and {dtype:?} in the plan{note}",
                type_name(fact.datum_type)
            ));
        }
        let shape = shape(&fact.shape, &self.graph.batch)?;
        let categories = self.graph.text.get(name).map(|known| known.clone().into());
        Ok(self.builder.tensor(dtype, &shape)?.with_categories(categories))
    }

    fn node(&mut self, node: &TypedNode) -> Reasoned<()> {
        if node.op_is::<TypedSource>() {
            return Ok(());
        }
        let inputs = node
            .inputs
            .iter()
            .map(|outlet| self.values.get(outlet).cloned().ok_or_else(|| Reason("an input is missing".into())))
            .collect::<Reasoned<Vec<_>>>()?;
        for output in &node.outputs {
            if let Some(note) = narrowing(output.fact.datum_type) {
                let text = format!(
                    "{} is computed in {:?}{note}",
                    type_name(output.fact.datum_type),
                    dtype(output.fact.datum_type)?
                );
                self.builder.note(text);
            }
        }
        let site = Site {
            node,
            model: &self.graph.model,
            batch: &self.graph.batch,
            inputs,
            values: &self.values,
            builder: &mut self.builder,
        };
        let values = site.lower()?;
        for (slot, (value, output)) in values.into_iter().zip(&node.outputs).enumerate() {
            // The lowered value must match tract's type, or a later kernel would read invalid data.
            let (shape, kind) = (shape(&output.fact.shape, &self.graph.batch)?, dtype(output.fact.datum_type)?);
            let text = output.fact.datum_type == String::datum_type();
            if value.shape != shape || value.dtype != kind || value.categories.is_some() != text {
                return Reason::err(format!(
                    "it was lowered to {:?} {}, but is {kind:?} {}; this is a bug in the compiler, please report it",
                    value.dtype,
                    crate::value::show(&value.shape),
                    crate::value::show(&shape)
                ));
            }
            self.values.insert(OutletId::new(node.id, slot), value);
        }
        Ok(())
    }

    /// Puts each of the model's outputs into a buffer that it fills.
    fn outputs(&mut self) -> Result<Vec<(String, Value)>, Refusal> {
        let outlets = self.graph.model.output_outlets().map_err(|error| Refusal::whole(format!("{error:#}")))?;
        let mut outputs = Vec::new();
        for (name, outlet) in self.graph.outputs.iter().zip(outlets) {
            self.builder.node.clone_from(name);
            let value = self.values.get(outlet).cloned().ok_or_else(|| Reason("it is never computed".into()));
            self.check_text(name, *outlet)?;
            let value = value.and_then(|value| match value.home {
                // Ports are never doubles.
                _ if value.dtype == DType::F64 => self.builder.cast(&value, DType::F32),
                Home::Buffer(..) if value.is_packed() => Ok(value),
                _ => self.builder.copied(&value),
            });
            outputs.push((name.clone(), value.map_err(|reason| Refusal::whole(format!("output `{name}`: {reason}")))?));
        }
        Ok(outputs)
    }

    /// Refuses a text output that an input's strings reach after changes: a plan cannot represent strings that the
    /// model does not know.
    fn check_text(&self, name: &str, output: OutletId) -> Result<(), Refusal> {
        let model = &self.graph.model;
        let buffer = |outlet: OutletId| match self.values.get(&outlet).map(|value| (&value.home, value.is_packed())) {
            Some((Home::Buffer(id, _), true)) => Some(*id),
            _ => None,
        };
        let mut open = vec![output];
        while let Some(outlet) = open.pop() {
            let node = model.node(outlet.node);
            let fact = model.outlet_fact(outlet).map_err(|error| Refusal::whole(format!("{error:#}")))?;
            // The strings of a custom operator are its own.
            if fact.datum_type != String::datum_type() || whole::is(node) {
                continue;
            }
            if node.op_is::<TypedSource>() && buffer(outlet) != buffer(output) {
                let maker = model.node(output.node);
                let (at, operator) = self.graph.origin(&maker.name);
                let reason = format!(
                    "output `{name}` would hold strings of input `{}`, which a plan gives only as they came, or looked \
                     up; put it together outside of the model",
                    node.name
                );
                return Err(Refusal::at(at, operator, reason));
            }
            open.extend(&node.inputs);
        }
        Ok(())
    }
}

impl Site<'_> {
    fn lower(mut self) -> Reasoned<Vec<Value>> {
        if let Some(konst) = self.node.op_as::<Const>() {
            let tensor = konst.val().clone();
            return Ok(vec![self.constant(&tensor)?]);
        }
        if let Some(lowered) = whole::lowered(self.node, &self.inputs, self.builder) {
            let (outputs, wraps) = lowered?;
            let outlets = outputs.into_iter().zip(&self.node.outputs);
            let whole = outlets.map(
                |(output, outlet)| {
                    if wraps { self.wrapped(&output, outlet.fact.datum_type) } else { Ok(output) }
                },
            );
            return whole.collect();
        }
        let families = [elementwise::lower, axes::lower, einsum::lower, gather::lower, reduce::lower];
        for family in families {
            if let Some(outputs) = family(&mut self)? {
                return Ok(outputs);
            }
        }
        let name = self.node.op().name();
        Reason::err(format!("`{name}` cannot be part of a plan yet; export the model without it"))
    }

    /// Extents of an output, from tract's shape inference.
    fn output_shape(&self, slot: usize) -> Reasoned<Vec<Extent>> {
        let output = self.node.outputs.get(slot).ok_or_else(|| Reason("an output is missing".into()))?;
        shape(&output.fact.shape, self.batch)
    }

    fn output_dtype(&self) -> Reasoned<DType> {
        let output = self.node.outputs.first().ok_or_else(|| Reason("an output is missing".into()))?;
        dtype(output.fact.datum_type)
    }

    fn extent(&self, dim: &TDim) -> Reasoned<Extent> {
        Extent::of(dim, self.batch)
    }

    /// tract's type of an input.
    fn input_type(&self, n: usize) -> Reasoned<DatumType> {
        let outlet = self.node.inputs.get(n).ok_or_else(|| Reason("an input is missing".into()))?;
        Ok(self.model.outlet_fact(*outlet)?.datum_type)
    }

    fn input(&self, n: usize) -> Reasoned<Value> {
        self.inputs.get(n).cloned().ok_or_else(|| Reason("an input is missing".into()))
    }

    /// Numeric input; bytes become I32, so that sums do not overflow.
    fn number(&mut self, n: usize) -> Reasoned<Value> {
        let value = self.input(n)?;
        if value.dtype == DType::U8 { self.builder.cast(&value, DType::I32) } else { Ok(value) }
    }

    /// Wraps a result computed in a wider type to `datum_type`.
    pub fn wrapped(&mut self, value: &Value, datum_type: DatumType) -> Reasoned<Value> {
        let bits = match datum_type {
            DatumType::U8 if value.dtype != DType::U8 => return self.builder.cast(value, DType::U8),
            DatumType::I8 => 8,
            DatumType::I16 | DatumType::U16 => 16,
            DatumType::U32 => 32,
            _ => return Ok(value.clone()),
        };
        let integer = |n| Value::integer(value.dtype, n);
        let mask = integer((1 << bits) - 1);
        if datum_type.is_unsigned() {
            return self.builder.binary(BinaryOp::And, value, &mask);
        }
        let half = integer(1 << (bits - 1));
        let shifted = self.builder.binary(BinaryOp::Add, value, &half)?;
        let within = self.builder.binary(BinaryOp::And, &shifted, &mask)?;
        self.builder.binary(BinaryOp::Sub, &within, &half)
    }

    /// Node that makes the first input, if nothing else reads its output.
    ///
    /// A step that absorbs such a node reads its inputs instead; the node's own steps are dropped later as unused.
    fn only_maker(&self) -> Option<(&TypedNode, Vec<Value>)> {
        let outlet = *self.node.inputs.first()?;
        let maker = self.model.node(outlet.node);
        let is_output = self.model.output_outlets().is_ok_and(|outputs| outputs.contains(&outlet));
        if is_output || maker.outputs.len() != 1 || maker.outputs[0].successors.len() != 1 {
            return None;
        }
        let inputs = maker.inputs.iter().map(|outlet| self.values.get(outlet).cloned()).collect::<Option<_>>()?;
        Some((maker, inputs))
    }

    fn constant(&mut self, tensor: &Arc<Tensor>) -> Reasoned<Value> {
        if tensor.datum_type() == TDim::datum_type() {
            let plain = tensor.try_as_plain_ram()?;
            let extents = plain.as_slice::<TDim>()?.iter().map(|dim| self.extent(dim)).collect::<Reasoned<Vec<_>>>()?;
            if extents.iter().any(|extent| extent.varies()) {
                return self.counted(&extents, tensor.shape());
            }
        }
        constant(tensor)
    }

    /// Tensor of extents that depend on the batch: `fixed + per_row × rows`, where rows are counted by summing ones.
    fn counted(&mut self, extents: &[Extent], shape: &[usize]) -> Reasoned<Value> {
        let rows = Value::integer(DType::I64, 1).broadcast(&[Extent { fixed: 0, per_row: 1 }])?;
        let rows = self.builder.reduce(ReduceOp::Sum, &rows, &[0])?;
        let part = |part: fn(&Extent) -> i64| {
            Value::constant(Constant::i64(&extents.iter().map(part).collect::<Vec<_>>()), &[extents.len()])
        };
        let scaled = self.builder.binary(BinaryOp::Mul, &part(|extent| extent.per_row)?, &rows)?;
        let extents = self.builder.binary(BinaryOp::Add, &scaled, &part(|extent| extent.fixed)?)?;
        let shape: Vec<Extent> = shape.iter().map(|&extent| Extent::fixed(extent as i64)).collect();
        self.builder.reshape_all(&extents, &shape)
    }
}

/// Converts a tract tensor to a constant.
fn constant(tensor: &Tensor) -> Reasoned<Value> {
    let dtype = dtype(tensor.datum_type())?;
    if tensor.datum_type() == String::datum_type() {
        let (categories, positions) = categories(tensor.try_as_plain_ram()?.as_slice::<String>()?);
        let value = Value::constant(Constant::i64(&positions), tensor.shape())?;
        return Ok(value.with_categories(Some(categories)));
    }
    let constant = match dtype {
        DType::F32 => Constant::f32(tensor.cast_to::<f32>()?.try_as_plain_ram()?.as_slice()?),
        DType::F64 => Constant::f64(tensor.try_as_plain_ram()?.as_slice()?),
        DType::I64 => Constant::i64(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice()?),
        DType::I32 => Constant::i32(tensor.cast_to::<i32>()?.try_as_plain_ram()?.as_slice()?),
        DType::Bool => Constant::bool(tensor.try_as_plain_ram()?.as_slice()?),
        DType::U8 => Constant { dtype, bytes: tensor.try_as_plain_ram()?.as_slice::<u8>()?.to_vec() },
    };
    Value::constant(constant, tensor.shape())
}

fn shape(shape: &ShapeFact, batch: &Symbol) -> Reasoned<Vec<Extent>> {
    shape.iter().map(|dim| Extent::of(dim, batch)).collect()
}

/// Converts a tract type to the plan's.
fn dtype(datum_type: DatumType) -> Reasoned<DType> {
    match datum_type {
        DatumType::F32 | DatumType::F16 => Ok(DType::F32),
        DatumType::F64 => Ok(DType::F64),
        DatumType::I64 | DatumType::TDim | DatumType::String => Ok(DType::I64),
        DatumType::U64 | DatumType::U32 | DatumType::U16 | DatumType::I16 | DatumType::I8 => Ok(DType::I64),
        DatumType::I32 => Ok(DType::I32),
        DatumType::U8 => Ok(DType::U8),
        DatumType::Bool => Ok(DType::Bool),
        other => Reason::err(format!("tensors of {} are not supported; export the model in f32", type_name(other))),
    }
}

/// Loss of precision of this type in a plan.
fn narrowing(datum_type: DatumType) -> Option<&'static str> {
    match datum_type {
        DatumType::U64 => Some(": values from 2^63 on become negative"),
        _ => None,
    }
}

fn type_name(datum_type: DatumType) -> String {
    format!("{datum_type:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_become_positions() -> Reasoned<()> {
        let tensor = tensor1(&["b".to_string(), "a".into(), "b".into()]);
        let value = constant(&tensor)?;
        assert_eq!(value.categories.as_deref(), Some(&["b".to_string(), "a".into()][..]));
        assert_eq!(value.known().and_then(|known| known.as_integers()), Some(vec![0, 1, 0]));
        Ok(())
    }

    #[test]
    fn the_symbol_of_the_batch_has_the_name_that_messages_use() {
        assert_eq!(Extent { fixed: 0, per_row: 1 }.to_string(), crate::frontend::BATCH);
    }
}
