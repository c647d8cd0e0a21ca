//! From ONNX bytes to tract's decluttered graph, with the batch bound to one symbol.

mod bind;
mod defaults;

pub(crate) use bind::open_axes;

use crate::{
    Options,
    bounds::{self, framework},
    dialect, idioms,
    model::{bytes_of, decode, width},
    narrow::{Floats, narrow},
    operators::{Operators, is_known, refused},
    quantized, quiet,
    refusal::{Refusal, node_name},
    text, unroll,
    vectorize::{self, Vectorized},
    wide,
};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::{
    Onnx,
    pb::{GraphProto, ModelProto, TensorProto},
    prelude::*,
    tract_hir::infer::{Factoid, InferenceModelExt},
};
use tradewind_core::exec::PLAN_LIMITS;

/// First version of the format in which constants need not be listed as inputs.
const LISTS_CONSTANTS_APART: i64 = 4;

/// Symbol of the number of rows, in tract's shapes and in refusals.
pub(crate) const BATCH: &str = "N";

/// Newest supported operator set: the meaning of its operators is known to be unchanged.
const NEWEST_OPERATORS: i64 = 28;

/// Maximum nodes of a model: tract's passes take quadratic time, a few seconds for this many.
const MOST_NODES: usize = 1 << 14;

/// Integer operators whose results tract turns into extents.
const COUNTING: [&str; 10] =
    ["ConstantOfShape", "Expand", "Pad", "Range", "Reshape", "Resize", "Slice", "Split", "Tile", "TopK"];

/// Model in tract's representation.
#[derive(Debug)]
pub(crate) struct Graph {
    pub model: TypedModel,
    pub batch: Symbol,
    /// Names of the model's inputs, in order, except initializers.
    pub inputs: Vec<String>,
    /// Names of the model's outputs, in order.
    pub outputs: Vec<String>,
    /// Strings known to each text input, in ascending order.
    pub text: BTreeMap<String, Vec<String>>,
    /// Inputs that are features of texts.
    pub vectorized: Vec<Vectorized>,
    /// Notes for the user.
    pub notes: BTreeSet<String>,
    operators: Operators,
}

impl Graph {
    /// Reads, types and declutters a model.
    pub fn read(onnx: &[u8], options: &Options, floats: Floats) -> Result<Self, Refusal> {
        let framework = framework();
        let mut proto = decode(&framework, onnx)?;
        merge_imports(&mut proto)?;
        let lists_all = proto.ir_version < LISTS_CONSTANTS_APART;
        let graph = proto
            .graph
            .as_mut()
            .ok_or_else(|| Refusal::whole("it contains no graph, so it is not an ONNX model; export it again"))?;
        let nodes = count(graph);
        if nodes > MOST_NODES {
            return Err(Refusal::whole(format!(
                "it has {nodes} nodes (at most {MOST_NODES}), and a plan has at most {} steps",
                PLAN_LIMITS.steps
            )));
        }
        let (mut operators, mut notes) = (Operators::default(), BTreeSet::new());
        let defaults = defaults::settle(graph, &options.overrides)?;
        if let Some(note) = defaults.filter(|_| !lists_all) {
            notes.insert(note);
        }
        let vectorized = vectorize::rewrite(graph)?;
        idioms::rewrite(graph, &mut notes);
        quantized::rewrite(graph);
        unroll(&framework, &mut proto, options, &mut notes)?;
        let Some(graph) = &mut proto.graph else { return Err(Refusal::whole("it contains no graph")) };
        check_operators(&framework, graph, &mut operators)?;
        graph.initializer.iter().try_for_each(check_tensor)?;
        bind::bind(graph, &options.bind)?;
        let inputs = graph.input.iter().map(|input| input.name.clone()).collect();
        let kept = match floats {
            Floats::Plan => wide::widen(graph, &mut notes)?,
            Floats::Model => wide::Kept::default(),
        };
        narrow(graph, floats, &kept, &mut notes)?;
        // Declared shapes inside the graph use other names for the batch, and some exporters write wrong ones; the
        // inputs' shapes are enough.
        graph.value_info.clear();
        let text = text::known(graph);
        let branches = graph.node.iter().find(|node| node.attribute.iter().any(|attribute| attribute.g.is_some()));
        if let Some(node) = branches.filter(|_| !text.is_empty()) {
            let reason = "a model that takes text has no branches or loops; export it without";
            return Err(Refusal::at(node_name(node), &node.op_type, reason));
        }
        let outputs = graph.output.iter().map(|output| output.name.clone()).collect();
        idioms::copy_passed(graph);

        let typed = quiet::catch(|| {
            let mut parsed = framework.parse(&proto, None)?;
            if let [missing, ..] = &parsed.unresolved_inputs[..] {
                let reason =
                    format!("a node reads `{missing}`, which nothing produces; check the model with onnx.checker");
                return Err(TractError::new(Refusal::whole(reason)));
            }
            // Constants are checked before tract computes extents with them.
            check_extents(&parsed.model, &operators)?;
            parsed.model.analyse(false)?;
            check_extremes(&parsed.model, &operators)?;
            check_extents(&parsed.model, &operators)?;
            bounds::check_folded(&parsed.model, &operators)?;
            let batch = parsed.model.symbols.sym(BATCH);
            let mut typed = parsed.model.into_typed()?;
            dialect::pin(&mut typed)?;
            let declared = output_shapes(&typed)?;
            let model = typed.into_decluttered()?;
            if output_shapes(&model)? != declared {
                let reason = "the ONNX reader loses the shape of an output; please report the model";
                return Err(TractError::new(Refusal::whole(reason)));
            }
            Ok((model, batch))
        });
        match typed {
            Ok(Ok((model, batch))) => Ok(Self { model, batch, inputs, outputs, text, vectorized, notes, operators }),
            Ok(Err(error)) => Err(operators.refusal(&error)),
            Err(panic) => Err(Refusal::whole(format!("the ONNX reader failed: {panic}; please report it"))),
        }
    }

    /// ONNX node and operator of a tract node.
    pub fn origin(&self, name: &str) -> (String, String) {
        self.operators.origin(name)
    }
}

/// Replaces control flow and sequences. Their form may depend on the shapes of inputs, which are bound in a copy: an
/// operator that cannot be part of a plan is refused before an axis that has no number.
fn unroll(
    framework: &Onnx,
    proto: &mut ModelProto,
    options: &Options,
    notes: &mut BTreeSet<String>,
) -> Result<(), Refusal> {
    let inputs = proto.graph.iter().flat_map(|graph| graph.input.clone()).collect();
    let mut bound = GraphProto { input: inputs, ..GraphProto::default() };
    let open = bind::bind(&mut bound, &options.bind).is_err();
    unroll::rewrite(framework, proto, if open { Vec::new() } else { bound.input }, notes)
}

/// Refuses unsupported operators before tract reads them.
fn check_operators(framework: &Onnx, graph: &GraphProto, operators: &mut Operators) -> Result<(), Refusal> {
    for node in &graph.node {
        let name = node_name(node);
        let operator = node.op_type.as_str();
        operators.0.insert(name.to_string(), operator.to_string());
        if let Some(reason) = refused(&node.op_type).or_else(|| dialect::refused(node)) {
            return Err(Refusal::at(name, operator, reason));
        }
        if !is_known(framework, node) {
            let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
            return Err(Refusal::at(
                name,
                operator,
                format!("operator `{operator}` of `{domain}` is not supported; export the model without it"),
            ));
        }
        for inner in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            check_operators(framework, inner, operators)?;
        }
    }
    Ok(())
}

/// Some exporters import `ai.onnx` twice; the highest version applies.
fn merge_imports(proto: &mut ModelProto) -> Result<(), Refusal> {
    let is_default = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let imports = proto.opset_import.iter().filter(|import| is_default(&import.domain));
    let ml_only = proto.opset_import.iter().any(|import| import.domain == "ai.onnx.ml");
    match imports.map(|import| import.version).max() {
        Some(version) if version > NEWEST_OPERATORS => Err(Refusal::whole(format!(
            "it uses operator set {version} (newest supported: {NEWEST_OPERATORS}); export it for that set"
        ))),
        Some(version) => {
            for import in proto.opset_import.iter_mut().filter(|import| is_default(&import.domain)) {
                import.version = version;
            }
            Ok(())
        }
        None if ml_only => Ok(()),
        None => Err(Refusal::whole("it has no opset_import, so its operators have no version; export it again")),
    }
}

fn output_shapes(model: &TypedModel) -> TractResult<Vec<ShapeFact>> {
    model.output_outlets()?.iter().map(|outlet| Ok(model.outlet_fact(*outlet)?.shape.clone())).collect()
}

/// Refuses maximum and minimum of an empty tensor: an infinity, which tract's constant folding turns into the largest
/// finite number.
fn check_extremes(model: &InferenceModel, operators: &Operators) -> TractResult<()> {
    for node in model
        .nodes()
        .iter()
        .filter(|node| ["ReduceMax", "ReduceMin"].contains(&operators.origin(&node.name).1.as_str()))
    {
        let none = |outlet: &OutletId| -> TractResult<bool> {
            Ok(model.outlet_fact(*outlet)?.shape.dims().any(|dim| dim.concretize() == Some(0.to_dim())))
        };
        if let Some(input) = node.inputs.first()
            && none(input)?
        {
            let (node, operator) = operators.origin(&node.name);
            return Err(TractError::new(Refusal::at(node, operator, "it reduces a tensor without elements")));
        }
    }
    Ok(())
}

/// Refuses integers that count elements (extents, and values computed with extents) and do not fit 32 bits, to which
/// tract truncates them.
fn check_extents(model: &InferenceModel, operators: &Operators) -> TractResult<()> {
    for node in model.nodes() {
        let (name, operator) = operators.origin(&node.name);
        let of_extents = |outlet: &OutletId| -> TractResult<bool> {
            Ok(model.outlet_fact(*outlet)?.datum_type.concretize() == Some(TDim::datum_type()))
        };
        let mut counts = COUNTING.contains(&operator.as_str());
        for input in &node.inputs {
            counts |= of_extents(input)?;
        }
        for (n, input) in node.inputs.iter().enumerate().filter(|_| counts) {
            // The bounds and steps of a slice are read with 64 bits.
            let bound = operator == "Slice" && n != 3;
            let Some(known) = model.outlet_fact(*input)?.value.concretize().filter(|_| !bound) else { continue };
            if !known.datum_type().is_integer() {
                continue;
            }
            let known = known.cast_to::<i64>()?;
            let numbers = known.try_as_plain_ram()?.as_slice::<i64>()?;
            if let Some(number) = numbers.iter().find(|number| i32::try_from(**number).is_err()) {
                let reason = format!("it counts elements with {number} (at most {})", i32::MAX);
                return Err(TractError::new(Refusal::at(name, operator, reason)));
            }
        }
    }
    Ok(())
}

/// Number of nodes of a graph, including branches and loops.
fn count(graph: &GraphProto) -> usize {
    let inner = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.g.as_ref());
    graph.node.len() + inner.map(count).sum::<usize>()
}

/// Refuses constants that are shorter than their shape.
fn check_tensor(tensor: &TensorProto) -> Result<(), Refusal> {
    let name = &tensor.name;
    let Some(width) = width(tensor.data_type) else { return Ok(()) };
    let expected = bytes_of(&tensor.dims, width);
    let found = tensor.raw_data.len();
    if found > 0 && expected != u64::try_from(found).ok() {
        return Err(Refusal::whole(format!(
            "`{name}` has {found} bytes, which does not match its shape {:?}; check that the file is complete",
            tensor.dims
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{
        AttributeProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
        attribute_proto::AttributeType,
        tensor_proto::DataType,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    };

    fn dim(value: Option<dimension::Value>) -> Dimension {
        Dimension { value, ..Dimension::default() }
    }

    fn named(name: &str) -> Dimension {
        dim(Some(dimension::Value::DimParam(name.into())))
    }

    /// Reads a model with one input `x`, `[rows, 1]`, and nodes that end in `y`.
    fn read(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Result<(), Refusal> {
        let port = |name: &str, dims: Option<Vec<Dimension>>| ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: DataType::Float as i32,
                    shape: dims.map(|dim| TensorShapeProto { dim }),
                })),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        };
        let dims = vec![named("rows"), dim(Some(dimension::Value::DimValue(1)))];
        let (input, output) = (vec![port("x", Some(dims))], vec![port("y", None)]);
        let graph = GraphProto { node, initializer, input, output, ..GraphProto::default() };
        let operators = OperatorSetIdProto { domain: String::new(), version: 17 };
        let model =
            ModelProto { ir_version: 8, opset_import: vec![operators], graph: Some(graph), ..ModelProto::default() };
        Graph::read(&prost::Message::encode_to_vec(&model), &Options::default(), Floats::Plan).map(drop)
    }

    fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    #[test]
    fn extents_that_tract_would_cut_to_32_bits_are_refused() {
        for (operator, first) in [("Expand", "x"), ("Tile", "x"), ("Reshape", "x")] {
            for (extent, fits) in [(1, true), ((1 << 32) + 1, false), (-(1 << 32) - 1, false)] {
                let shape = TensorProto {
                    name: "shape".into(),
                    dims: vec![2],
                    data_type: DataType::Int64 as i32,
                    int64_data: vec![if operator == "Reshape" { -1 } else { 1 }, extent],
                    ..TensorProto::default()
                };
                let outcome = read(vec![node(operator, &[first, "shape"], "y")], vec![shape]);
                assert_eq!(outcome.is_ok(), fits, "{operator} {extent}: {outcome:?}");
                // If truncation makes the number negative, tract itself refuses it.
                let counted = outcome.is_err_and(|refusal| refusal.reason().contains("counts elements"));
                assert!(counted || extent <= 1, "{operator} {extent}");
            }
        }
    }

    #[test]
    fn more_nodes_than_are_read_in_a_moment_are_refused() {
        let mut nodes: Vec<_> = (0..MOST_NODES).map(|_| node("Sin", &["x"], "t")).collect();
        nodes.push(node("Sin", &["x"], "y"));
        assert!(read(nodes, Vec::new()).is_err_and(|refusal| refusal.reason().contains("16385 nodes")));
    }

    #[test]
    fn a_normalisation_whose_axis_is_before_the_first_is_refused() {
        for (axis, fits) in [(-1, true), (1, true), (-3, false), (i64::MIN, false), (2, false)] {
            let scale = TensorProto {
                name: "scale".into(),
                dims: vec![1],
                data_type: DataType::Float as i32,
                float_data: vec![1.0],
                ..TensorProto::default()
            };
            let mut norm = node("LayerNormalization", &["x", "scale"], "y");
            norm.output.extend(["mean".to_string(), "deviation".into()]);
            norm.attribute.push(AttributeProto {
                name: "axis".into(),
                r#type: AttributeType::Int as i32,
                i: axis,
                ..AttributeProto::default()
            });
            let outcome = read(vec![norm], vec![scale]);
            assert_eq!(outcome.is_ok(), fits, "{axis}: {outcome:?}");
        }
    }
}
