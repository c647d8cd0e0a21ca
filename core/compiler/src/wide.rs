//! Tensors that stay f64: plans compute in f32, and lose integers beyond 2²⁴.
//!
//! The difference of two timestamps in milliseconds is lost in f32, which has steps of two minutes there. So values
//! that a model casts to f64, and values computed from them, stay in double precision until an operator without f64
//! support reads them; there they are rounded to f32. A tensor `t` keeps its name as f32, and is also `t.f64`: nodes
//! that are not rewritten here read the former. An f64 input is read as f32, and its constants are rounded with it; if
//! that would lose the result, the plan reads the input as f64.

use crate::{
    attributes::Attributes,
    refusal::{Refusal, node_name},
};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::{
    data_resolver::MmapDataResolver,
    pb::{
        AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType, tensor_proto::DataType,
        type_proto,
    },
    tensor::load_tensor,
};

/// Integers are exact in f32 up to here.
const EXACT_IN_F32: f64 = (1 << 24) as f64;

/// Maximum error of a rounded input, relative to its divisor.
const ALLOWED: f64 = 1e-5;

/// A product with more constants than this is computed in f32.
const LARGEST_MATRIX: i64 = 1 << 12;

/// Tensors kept in double precision.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Tensors with an f64 form.
    pub tensors: BTreeSet<String>,
    /// Constants, and results of casts, that are f64.
    pub names: BTreeSet<String>,
}

/// Handling of double precision by an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Moves elements of these inputs (all if empty).
    Moves(&'static [usize]),
    /// Computes with these inputs.
    Calculates(&'static [usize]),
    /// Computes with these inputs, and returns a type other than f64.
    Decides(&'static [usize]),
    /// Depends on the order of its first input, which f32 does not keep.
    Orders,
    /// Reads f32.
    Rounds,
}

use Role::{Calculates, Decides, Moves, Orders, Rounds};

fn role(node: &NodeProto, doubles: &BTreeMap<String, TensorProto>) -> Role {
    if node.domain == "ai.onnx.ml" {
        return if node.op_type == "Scaler" { Decides(&[0]) } else { Rounds };
    }
    let small = |n: usize| {
        let matrix = node.input.get(n).and_then(|name| doubles.get(name));
        matrix.is_some_and(|matrix| matrix.dims.iter().product::<i64>() <= LARGEST_MATRIX)
    };
    match node.op_type.as_str() {
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Transpose" | "Slice" | "Split" | "Expand"
        | "Tile" | "Gather" | "GatherElements" | "GatherND" | "Dropout" => Moves(&[0]),
        "Concat" => Moves(&[]),
        "Where" => Moves(&[1, 2]),
        "Pad" => Moves(&[0, 2]),
        "Add" | "Sub" | "Mul" | "Div" | "Min" | "Max" | "Sum" | "Mean" | "Mod" => Calculates(&[]),
        "Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" => {
            Calculates(&[0])
        }
        "Clip" => Calculates(&[0, 1, 2]),
        "MatMul" if small(0) || small(1) => Calculates(&[]),
        "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal" => Decides(&[]),
        "Cast" if to(node) != Some(DataType::Double) => Decides(&[0]),
        "Sin" | "Cos" => Decides(&[0]),
        "ArgMax" | "ArgMin" | "TopK" | "CumSum" => Orders,
        _ => Rounds,
    }
}

impl Role {
    /// Whether an input has the elements' type.
    fn reads(self, place: usize) -> bool {
        match self {
            Moves(places) | Calculates(places) | Decides(places) => places.is_empty() || places.contains(&place),
            Orders => place == 0,
            Rounds => false,
        }
    }
}

fn to(node: &NodeProto) -> Option<DataType> {
    let to = Attributes(node).int("to").and_then(|to| i32::try_from(to).ok())?;
    DataType::try_from(to).ok().filter(|_| node.op_type == "Cast")
}

/// Name of a tensor's f64 form.
pub(crate) fn wide(name: &str) -> String {
    format!("{name}.f64")
}

/// Rewrites a graph so that tensors that must stay f64 do.
pub(crate) fn widen(graph: &mut GraphProto, notes: &mut BTreeSet<String>) -> Result<Kept, Refusal> {
    let doubles = doubles(graph);
    let kinds = kinds(graph);
    let exact_inputs = exact_inputs(graph, &doubles);
    let wanted = wanted(graph, &doubles);
    let mut widening = Widening {
        doubles,
        kinds,
        wanted,
        kept: Kept::default(),
        exact: BTreeSet::new(),
        nodes: Vec::new(),
        constants: Vec::new(),
    };
    for input in graph.input.iter_mut().filter(|input| exact_inputs.contains(&input.name)) {
        notes.insert(format!("input `{}` is f64 in the plan too: f32 would lose the result", input.name));
        widening.input(&mut input.name);
    }
    for node in std::mem::take(&mut graph.node) {
        widening.node(node)?;
    }
    let Widening { kept, nodes, constants, .. } = widening;
    let calculated = nodes.iter().filter(|node| node.output.iter().any(|name| name.ends_with(".f64"))).count();
    if let Some(first) = nodes.iter().find(|node| node.output.iter().any(|name| kept.names.contains(name))) {
        notes.insert(format!(
            "{calculated} nodes are computed in f64, `{}` first; other nodes read them rounded to f32",
            node_name(first)
        ));
    }
    graph.node = nodes;
    graph.initializer.extend(constants);
    Ok(kept)
}

/// All f64 constants, by name.
fn doubles(graph: &GraphProto) -> BTreeMap<String, TensorProto> {
    let initializers = graph.initializer.iter().map(|tensor| (&tensor.name, tensor));
    let nodes = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        Some((node.output.first()?, node.attribute.iter().find_map(|attribute| attribute.t.as_ref())?))
    });
    let constants = initializers.chain(nodes).filter(|(_, tensor)| tensor.data_type == DataType::Double as i32);
    constants.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
}

fn values(tensor: &TensorProto) -> Option<Vec<f64>> {
    let loaded = load_tensor(&MmapDataResolver, tensor, None).ok()?;
    Some(loaded.try_as_plain_ram().ok()?.as_slice::<f64>().ok()?.to_vec())
}

/// Element types known from the graph: of inputs, constants and casts, and of nodes that move them.
fn kinds(graph: &GraphProto) -> BTreeMap<String, i32> {
    let mut kinds: BTreeMap<String, i32> =
        graph.initializer.iter().map(|tensor| (tensor.name.clone(), tensor.data_type)).collect();
    for input in &graph.input {
        if let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref())
        {
            kinds.insert(input.name.clone(), tensor.elem_type);
        }
    }
    for node in &graph.node {
        let first = node.input.first().and_then(|name| kinds.get(name)).copied();
        let kind = match node.op_type.as_str() {
            "Cast" => Attributes(node).int("to").and_then(|to| i32::try_from(to).ok()),
            "Constant" => {
                node.attribute.iter().find_map(|attribute| attribute.t.as_ref()).map(|tensor| tensor.data_type)
            }
            "Shape" | "Size" | "ArgMax" | "ArgMin" => Some(DataType::Int64 as i32),
            "Where" => node.input.get(1).and_then(|name| kinds.get(name)).copied(),
            _ if matches!(role(node, &BTreeMap::new()), Moves(_) | Calculates(_)) => first,
            _ => None,
        };
        if let Some(kind) = kind {
            kinds.extend(node.output.iter().map(|output| (output.clone(), kind)));
        }
    }
    kinds
}

/// Tensors that are used in computations, or moved to where they are.
fn wanted(graph: &GraphProto, doubles: &BTreeMap<String, TensorProto>) -> BTreeSet<String> {
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for node in graph.node.iter().rev() {
        let role = role(node, doubles);
        let passes = match role {
            Calculates(_) | Decides(_) | Orders => to(node) != Some(DataType::Float),
            // Also a cast of f64 to f64.
            Moves(_) => node.output.iter().any(|output| wanted.contains(output)),
            Rounds => to(node) == Some(DataType::Double) && node.output.iter().any(|output| wanted.contains(output)),
        };
        if passes {
            let read = node.input.iter().enumerate().filter(|(place, _)| role == Rounds || role.reads(*place));
            wanted.extend(read.map(|(_, name)| name.clone()));
        }
    }
    wanted
}

/// Graph being rewritten.
struct Widening {
    doubles: BTreeMap<String, TensorProto>,
    kinds: BTreeMap<String, i32>,
    wanted: BTreeSet<String>,
    kept: Kept,
    /// Tensors that are exact in f32.
    exact: BTreeSet<String>,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Widening {
    fn node(&mut self, node: NodeProto) -> Result<(), Refusal> {
        let role = role(&node, &self.doubles);
        let is_wide = |place: usize, name: &String| role.reads(place) && self.kept.tensors.contains(name);
        if to(&node) == Some(DataType::Double) {
            self.cast(node);
            return Ok(());
        }
        if !node.input.iter().enumerate().any(|(place, name)| is_wide(place, name)) {
            self.nodes.push(node);
            return Ok(());
        }
        match role {
            Orders if node.input.first().is_some_and(|first| !self.exact.contains(first)) => Err(Refusal::at(
                node_name(&node),
                &node.op_type,
                "ordering f64 is not supported; give it integers, or cast to f32 before it",
            )),
            Orders | Rounds => {
                self.nodes.push(node);
                Ok(())
            }
            Decides(_) if ["Sin", "Cos"].contains(&&*node.op_type) => {
                self.periodic(node);
                Ok(())
            }
            Decides(_) => {
                let node = self.reading_wide(node, role);
                self.nodes.push(node);
                Ok(())
            }
            Moves(_) | Calculates(_) => {
                let exact = matches!(role, Moves(_))
                    && node
                        .input
                        .iter()
                        .enumerate()
                        .all(|(place, name)| !role.reads(place) || self.exact.contains(name));
                let node = self.reading_wide(node, role);
                self.giving_wide(node, exact);
                Ok(())
            }
        }
    }

    /// Renames an f64 input to its f64 form; a plan's ports keep the model's names.
    fn input(&mut self, name: &mut String) {
        let as_wide = wide(name);
        self.nodes.push(cast_of(&format!("{name}.f32"), &as_wide, name, DataType::Float));
        self.kept.names.insert(as_wide.clone());
        self.kept.tensors.insert(std::mem::replace(name, as_wide));
    }

    /// Rewrites a cast to f64.
    fn cast(&mut self, mut node: NodeProto) {
        let (Some(from), Some(output)) = (node.input.first().cloned(), node.output.first().cloned()) else {
            return self.nodes.push(node);
        };
        let kind = self.kinds.get(&from).and_then(|kind| DataType::try_from(*kind).ok());
        if self.kept.tensors.contains(&from) {
            node.op_type = "Identity".into();
            node.attribute.clear();
            node.input = vec![wide(&from)];
            let exact = self.exact.contains(&from);
            self.giving_wide(node, exact);
        } else if kind == Some(DataType::Double) || !self.wanted.contains(&output) {
            // It is f32 already, or no node needs more precision.
            self.nodes.push(node);
        } else {
            use DataType::{Bool, Float, Float16, Int8, Int16, Uint8, Uint16};
            self.kept.names.insert(wide(&output));
            let exact = matches!(kind, Some(Float | Float16 | Bool | Int8 | Int16 | Uint8 | Uint16));
            self.giving_wide(node, exact);
        }
    }

    /// Makes a node read the f64 form of all inputs of the elements' type.
    fn reading_wide(&mut self, mut node: NodeProto, role: Role) -> NodeProto {
        let name = node_name(&node).to_string();
        for (place, input) in
            node.input.iter_mut().enumerate().filter(|(place, input)| role.reads(*place) && !input.is_empty())
        {
            let as_wide = wide(input);
            if !self.kept.tensors.contains(input) && self.kept.names.insert(as_wide.clone()) {
                match self.doubles.get(input) {
                    Some(constant) => {
                        self.constants.push(TensorProto { name: as_wide.clone(), ..constant.clone() });
                    }
                    None => self.nodes.push(cast_of(&format!("{name}.f64-{place}"), input, &as_wide, DataType::Double)),
                }
            }
            *input = as_wide;
        }
        node
    }

    /// Appends a node whose outputs are f64, and their f32 form.
    fn giving_wide(&mut self, mut node: NodeProto, exact: bool) {
        let name = node_name(&node).to_string();
        // The other output of a dropout is a mask.
        let count = if node.op_type == "Dropout" { 1 } else { node.output.len() };
        let mut rounded = Vec::new();
        for (n, output) in node.output.iter_mut().take(count).enumerate().filter(|(_, output)| !output.is_empty()) {
            let as_wide = wide(output);
            rounded.push(cast_of(&format!("{name}.f32-{n}"), &as_wide, output, DataType::Float));
            self.kept.tensors.insert(output.clone());
            if exact {
                self.exact.insert(output.clone());
            }
            *output = as_wide;
        }
        self.nodes.push(node);
        self.nodes.extend(rounded);
    }

    /// Rewrites a function of an angle: full turns are subtracted in f64.
    fn periodic(&mut self, mut node: NodeProto) {
        let (name, turn) = (node_name(&node).to_string(), wide("tradewind.turn"));
        let Some(angle) = node.input.first_mut() else { return };
        if self.kept.names.insert(turn.clone()) {
            self.constants.push(TensorProto {
                name: turn.clone(),
                data_type: DataType::Double as i32,
                double_data: vec![std::f64::consts::TAU],
                ..TensorProto::default()
            });
        }
        let part = |part: &str| format!("{name}.{part}");
        let step = |operator: &str, inputs: &[&str], output: &str| NodeProto {
            name: part(output),
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![part(output)],
            ..NodeProto::default()
        };
        let x = wide(angle);
        let small = part("small");
        self.nodes.extend([
            step("Div", &[&x, &turn], "turns"),
            step("Round", &[&part("turns")], "whole"),
            step("Mul", &[&part("whole"), &turn], "back"),
            step("Sub", &[&x, &part("back")], "angle"),
            cast_of(&small, &part("angle"), &small, DataType::Float),
        ]);
        *angle = small;
        self.nodes.push(node);
    }
}

fn cast_of(name: &str, from: &str, output: &str, to: DataType) -> NodeProto {
    NodeProto {
        name: name.into(),
        op_type: "Cast".into(),
        input: vec![from.into()],
        output: vec![output.into()],
        attribute: vec![AttributeProto {
            name: "to".into(),
            r#type: AttributeType::Int as i32,
            i: to as i64,
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    }
}

/// f64 inputs that must not be rounded: the model subtracts a large constant from one, or compares one with it, so that
/// f32 would lose the result; or it does so with two of them.
fn exact_inputs(graph: &GraphProto, doubles: &BTreeMap<String, TensorProto>) -> BTreeSet<String> {
    let constant: BTreeSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    // For each unchanged copy of an input, the inputs that it comes from.
    let mut given: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for input in graph.input.iter().filter(|input| !constant.contains(input.name.as_str())) {
        if let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|kind| kind.value.as_ref())
            && tensor.elem_type == DataType::Double as i32
        {
            given.insert(&input.name, [input.name.as_str()].into());
        }
    }
    let mut exact: BTreeSet<&str> = BTreeSet::new();
    for node in &graph.node {
        let role = role(node, doubles);
        let read = node.input.iter().enumerate().filter(|(place, _)| role.reads(*place) || role == Rounds);
        let read: Vec<&BTreeSet<&str>> = read.filter_map(|(_, name)| given.get(name.as_str())).collect();
        if read.is_empty() {
            continue;
        }
        let sources: BTreeSet<&str> = read.iter().flat_map(|inputs| inputs.iter().copied()).collect();
        if is_lost(graph, node, doubles, read.len()) {
            exact.extend(&sources);
        }
        if matches!(role, Moves(_)) || to(node) == Some(DataType::Double) {
            given.extend(node.output.iter().map(|output| (output.as_str(), sources.clone())));
        }
    }
    exact.into_iter().map(String::from).collect()
}

/// Whether a node loses its result if its `given` f64 inputs are rounded.
fn is_lost(graph: &GraphProto, node: &NodeProto, doubles: &BTreeMap<String, TensorProto>, given: usize) -> bool {
    let known = |name: &String| doubles.get(name).and_then(values);
    let [constants, divisors]: [Vec<f64>; 2] = match (node.op_type.as_str(), &node.input[..]) {
        ("Scaler", [_, ..]) => {
            let attributes = Attributes(node);
            [
                attributes.floats("offset").iter().map(|&offset| offset.into()).collect(),
                attributes.floats("scale").iter().map(|&scale| 1.0 / f64::from(scale)).collect(),
            ]
        }
        ("Sub" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal", _) if given > 1 => return true,
        ("Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal", [x, y]) => {
            [known(x).or_else(|| known(y)).unwrap_or_default(), Vec::new()]
        }
        ("Add" | "Sub", [x, y]) => {
            let Some(constants) = known(x).or_else(|| known(y)) else { return false };
            let readers = graph.node.iter().filter(|reader| reader.input.first() == node.output.first());
            let scaled = readers.filter_map(|reader| {
                let scale = reader.input.get(1).and_then(&known)?;
                match reader.op_type.as_str() {
                    "Div" => Some(scale),
                    "Mul" => Some(scale.iter().map(|scale| 1.0 / scale).collect()),
                    _ => None,
                }
            });
            [constants, scaled.min_by_key(Vec::len).unwrap_or_default()]
        }
        _ => return false,
    };
    let divisor = |n: usize| divisors.get(if divisors.len() == constants.len() { n } else { 0 });
    constants.iter().enumerate().any(|(n, constant)| {
        let parts = divisor(n).map(|divisor: &f64| constant.abs() / EXACT_IN_F32 / divisor.abs());
        constant.is_finite()
            && constant.abs() > EXACT_IN_F32
            && parts.is_none_or(|parts| parts.is_nan() || parts > ALLOWED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{TypeProto, ValueInfoProto};

    fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output.into()],
            ..NodeProto::default()
        }
    }

    fn graph(input: DataType, constants: &[(&str, f64)], nodes: Vec<NodeProto>) -> GraphProto {
        let tensor = type_proto::Tensor { elem_type: input as i32, shape: None };
        let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
        let double = |(name, value): &(&str, f64)| TensorProto {
            name: (*name).into(),
            dims: vec![1],
            data_type: DataType::Double as i32,
            double_data: vec![*value],
            ..TensorProto::default()
        };
        GraphProto {
            node: nodes,
            initializer: constants.iter().map(double).collect(),
            input: vec![ValueInfoProto { name: "x".into(), r#type: Some(kind), ..ValueInfoProto::default() }],
            ..GraphProto::default()
        }
    }

    #[test]
    fn only_what_is_calculated_with_stays_f64() {
        let cast = || cast_of("cast", "x", "d", DataType::Double);
        let mut calculated = graph(
            DataType::Int64,
            &[("c", 1e12)],
            vec![cast(), node("Sub", &["d", "c"], "s"), node("Exp", &["s"], "y")],
        );
        let kept = widen(&mut calculated, &mut BTreeSet::new()).expect("a graph");
        assert_eq!(kept.tensors, ["d", "s"].map(String::from).into());
        let inputs =
            |output: &str| calculated.node.iter().find(|node| node.output == [output]).map(|node| node.input.clone());
        assert_eq!(inputs("s.f64"), Some(vec!["d.f64".into(), "c.f64".into()]));
        assert_eq!(inputs("y"), Some(vec!["s".into()]));
        let mut moved = graph(DataType::Int64, &[], vec![cast(), node("Exp", &["d"], "y")]);
        assert!(widen(&mut moved, &mut BTreeSet::new()).expect("a graph").tensors.is_empty());
        let mut given = graph(DataType::Double, &[("c", 2.0)], vec![node("Sub", &["x", "c"], "y")]);
        assert!(widen(&mut given, &mut BTreeSet::new()).expect("a graph").tensors.is_empty());
    }

    #[test]
    fn an_input_stays_f64_where_f32_would_lose_the_answer() {
        let kept = |nodes: Vec<NodeProto>, constants: &[(&str, f64)]| {
            let mut graph = graph(DataType::Double, constants, nodes);
            let kept = widen(&mut graph, &mut BTreeSet::new()).expect("a graph");
            assert_eq!(graph.input[0].name == "x.f64", kept.tensors.contains("x"));
            kept.tensors.contains("x")
        };
        let scaled = |mean: f64, scale: f64| {
            let nodes = vec![node("Sub", &["x", "mean"], "s"), node("Div", &["s", "scale"], "y")];
            kept(nodes, &[("mean", mean), ("scale", scale)])
        };
        assert!(!scaled(2_010.0, 5.0), "years");
        assert!(!scaled(2e7, 1e7), "incomes");
        assert!(scaled(1.7e12, 7.5e8), "moments");
        assert!(kept(vec![node("Less", &["x", "now"], "y")], &[("now", 1.7e12)]), "a moment that is compared");
        assert!(!kept(vec![node("Less", &["x", "age"], "y")], &[("age", 30.5)]), "an age that is compared");
        let columns = vec![node("Split", &["x"], "a"), node("Split", &["x"], "b"), node("Sub", &["a", "b"], "y")];
        assert!(kept(columns, &[]), "two columns of one input");
    }

    #[test]
    fn an_order_of_f64_is_refused() {
        let ordered = vec![cast_of("cast", "x", "d", DataType::Double), node("ArgMax", &["d"], "y")];
        assert!(widen(&mut graph(DataType::Int64, &[], ordered), &mut BTreeSet::new()).is_err());
    }
}
