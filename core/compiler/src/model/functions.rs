//! Inlining of a model's own functions.
//!
//! As in onnxruntime, a known operator is not looked up among the functions, and the model's operator sets apply.

use crate::{
    operators::is_known,
    refusal::{Refusal, node_name},
};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::{
    Onnx,
    pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto},
};

/// Maximum nodes, and bytes of these, after inlining.
const MOST_NODES: usize = 1 << 15;
const MOST_BYTES: usize = 256 << 20;

/// Maximum depth of calls.
const MOST_DEPTH: usize = 64;

/// Inlines all functions. `onnx` contains the bytes of `proto`.
pub(super) fn inline(framework: &Onnx, proto: &mut ModelProto, onnx: &[u8]) -> Result<(), Refusal> {
    if proto.functions.is_empty() {
        return Ok(());
    }
    let newer = newer::Model::decode(onnx).map_err(|error| Refusal::whole(format!("its functions: {error}")))?;
    let Some(graph) = &mut proto.graph else { return Ok(()) };
    if let Some(newer) = &newer.graph {
        name_overloads(&mut graph.node, &newer.node);
    }
    let mut functions = BTreeMap::new();
    for (mut proto, newer) in std::mem::take(&mut proto.functions).into_iter().zip(newer.functions) {
        name_overloads(&mut proto.node, &newer.node);
        let name = overloaded(proto.name.as_deref().unwrap_or_default(), &newer.overload);
        let id = Id(domain(proto.domain.as_deref().unwrap_or_default()).to_owned(), name);
        if functions.contains_key(&id) {
            return Err(Refusal::whole(format!("it has two functions `{id}`; export it again")));
        }
        functions.insert(id, Function { proto, defaults: newer.attribute_proto });
    }
    let mut names = BTreeSet::new();
    each_name(graph, &mut |name| {
        names.insert(name.clone());
    });
    let mut calls = Calls { framework, functions: &functions, names, counts: BTreeMap::new(), nodes: 0, bytes: 0 };
    let mut called = Vec::new();
    graph.node = calls.expand(std::mem::take(&mut graph.node), &mut called)?;
    // A model without a version uses those of its functions.
    for import in functions.into_values().flat_map(|function| function.proto.opset_import) {
        if proto.opset_import.iter().all(|known| domain(&known.domain) != domain(&import.domain)) {
            proto.opset_import.push(import);
        }
    }
    Ok(())
}

/// Domain and name of a function; the name includes its overload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Id(String, String);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.0, self.1)
    }
}

struct Function {
    proto: FunctionProto,
    /// Values of attributes that a call omits.
    defaults: Vec<AttributeProto>,
}

/// Inlining of all calls.
struct Calls<'a> {
    framework: &'a Onnx,
    functions: &'a BTreeMap<Id, Function>,
    /// All names in use.
    names: BTreeSet<String>,
    /// Number of uses of a name.
    counts: BTreeMap<String, usize>,
    nodes: usize,
    bytes: usize,
}

impl<'a> Calls<'a> {
    /// Inlines calls in nodes; `called` are the enclosing functions.
    fn expand(&mut self, nodes: Vec<NodeProto>, called: &mut Vec<&'a Id>) -> Result<Vec<NodeProto>, Refusal> {
        let mut expanded = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for attribute in &mut node.attribute {
                for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    inner.node = self.expand(std::mem::take(&mut inner.node), called)?;
                }
            }
            let id = Id(domain(&node.domain).to_owned(), node.op_type.clone());
            let function = self.functions.get_key_value(&id).filter(|_| !is_known(self.framework, &node));
            match function {
                Some((id, function)) => expanded.extend(self.call(&node, id, function, called)?),
                None => expanded.push(node),
            }
        }
        Ok(expanded)
    }

    fn call(
        &mut self,
        node: &NodeProto,
        id: &'a Id,
        function: &'a Function,
        called: &mut Vec<&'a Id>,
    ) -> Result<Vec<NodeProto>, Refusal> {
        let refused = |reason: String| Refusal::at(node_name(node), &node.op_type, reason);
        if called.contains(&id) {
            let way: Vec<String> = called.iter().chain([&id]).map(|id| format!("`{id}`")).collect();
            return Err(refused(format!("a function calls itself: {}", way.join(" calls "))));
        }
        if called.len() >= MOST_DEPTH {
            return Err(refused(format!("more than {MOST_DEPTH} functions call each other")));
        }
        let Function { proto, .. } = function;
        if node.input.len() > proto.input.len() || node.output.len() > proto.output.len() {
            return Err(refused(format!(
                "it has {} inputs and {} outputs, but the function `{id}` has at most {} and {}",
                node.input.len(),
                node.output.len(),
                proto.input.len(),
                proto.output.len()
            )));
        }
        let base = if node_name(node).is_empty() { &node.op_type } else { node_name(node) };
        let mut scope = Scope { base: base.to_owned(), names: BTreeMap::new(), call: node, function, calls: self };
        for (n, formal) in proto.input.iter().enumerate() {
            scope.names.insert(formal.clone(), node.input.get(n).cloned().unwrap_or_default());
        }
        let mut copies = Vec::new();
        for (formal, actual) in proto.output.iter().zip(&node.output).filter(|(_, actual)| !actual.is_empty()) {
            match scope.names.get(formal) {
                None => drop(scope.names.insert(formal.clone(), actual.clone())),
                // An input, or an output that already exists.
                Some(from) if from.is_empty() => {
                    return Err(refused(format!("the function `{id}` gives its input `{formal}`, which is left out")));
                }
                Some(from) => copies.push(NodeProto {
                    name: scope.calls.fresh(format!("{base}/{formal}")),
                    op_type: "Identity".into(),
                    input: vec![from.clone()],
                    output: vec![actual.clone()],
                    ..NodeProto::default()
                }),
            }
        }
        let mut nodes = Vec::with_capacity(proto.node.len());
        for inner in &proto.node {
            nodes.push(scope.node(inner).map_err(|reason| refused(format!("the function `{id}`: {reason}")))?);
        }
        nodes.extend(copies);
        // A call counts too, because empty functions could call each other without end.
        self.nodes += nodes.len() + 1;
        self.bytes += nodes.iter().map(Message::encoded_len).sum::<usize>();
        if self.nodes > MOST_NODES || self.bytes > MOST_BYTES {
            return Err(refused(format!(
                "with its functions inlined, the model has more than {MOST_NODES} nodes or {} MB",
                MOST_BYTES >> 20
            )));
        }
        called.push(id);
        let expanded = self.expand(nodes, called);
        called.pop();
        expanded
    }

    /// Returns an unused name similar to `base`.
    fn fresh(&mut self, base: String) -> String {
        let mut name = base.clone();
        while !self.names.insert(name.clone()) {
            let count = self.counts.entry(base.clone()).or_default();
            *count += 1;
            name = format!("{base}.{count}");
        }
        name
    }
}

/// Scope of one call.
struct Scope<'s, 'a> {
    /// Prefix of inner names.
    base: String,
    /// Outer names of the function's names.
    names: BTreeMap<String, String>,
    call: &'s NodeProto,
    function: &'a Function,
    calls: &'s mut Calls<'a>,
}

impl Scope<'_, '_> {
    fn node(&mut self, node: &NodeProto) -> Result<NodeProto, String> {
        let mut node = node.clone();
        self.fill(&mut node)?;
        Ok(node)
    }

    /// Gives a node its outer names and attributes.
    fn fill(&mut self, node: &mut NodeProto) -> Result<(), String> {
        let label = format!("{}/{}", self.base, if node.name.is_empty() { &node.op_type } else { &node.name });
        node.name = self.calls.fresh(label);
        for name in node.input.iter_mut().chain(&mut node.output) {
            self.rename(name);
        }
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for mut attribute in std::mem::take(&mut node.attribute) {
            if !attribute.ref_attr_name.is_empty() {
                attributes.extend(self.given(&attribute)?);
                continue;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
            attributes.push(attribute);
        }
        node.attribute = attributes;
        Ok(())
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), String> {
        own_names(graph, &mut |name| self.rename(name));
        graph.node.iter_mut().try_for_each(|node| self.fill(node))
    }

    /// Attribute that another refers to: the call's, or the function's default, or `None`.
    fn given(&self, attribute: &AttributeProto) -> Result<Option<AttributeProto>, String> {
        let wanted = &attribute.ref_attr_name;
        let mut known = self.call.attribute.iter().chain(&self.function.defaults);
        let Some(found) = known.find(|found| found.name == *wanted) else { return Ok(None) };
        if attribute.r#type != found.r#type && attribute.r#type != 0 && found.r#type != 0 {
            return Err(format!("its attribute `{wanted}` has another type than it needs"));
        }
        Ok(Some(AttributeProto { name: attribute.name.clone(), ..found.clone() }))
    }

    fn rename(&mut self, name: &mut String) {
        if name.is_empty() {
            return;
        }
        *name = match self.names.get(name) {
            Some(outside) => outside.clone(),
            None => {
                let outside = self.calls.fresh(format!("{}/{name}", self.base));
                self.names.insert(std::mem::take(name), outside.clone());
                outside
            }
        };
    }
}

/// Names of a graph's tensors outside its nodes.
fn own_names(graph: &mut GraphProto, visit: &mut dyn FnMut(&mut String)) {
    let ports = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    ports.for_each(|port| visit(&mut port.name));
    graph.initializer.iter_mut().for_each(|tensor| visit(&mut tensor.name));
    let sparse = graph.sparse_initializer.iter_mut().filter_map(|sparse| sparse.values.as_mut());
    sparse.for_each(|tensor| visit(&mut tensor.name));
}

/// All names of a graph, of tensors and nodes, including nested graphs.
fn each_name(graph: &mut GraphProto, visit: &mut dyn FnMut(&mut String)) {
    own_names(graph, visit);
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).chain([&mut node.name]).for_each(&mut *visit);
        for attribute in &mut node.attribute {
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|inner| each_name(inner, visit));
        }
    }
}

/// Makes overloads part of the names of operators.
fn name_overloads(nodes: &mut [NodeProto], newer: &[newer::Node]) {
    for (node, newer) in nodes.iter_mut().zip(newer) {
        node.op_type = overloaded(&node.op_type, &newer.overload);
        for (attribute, newer) in node.attribute.iter_mut().zip(&newer.attribute) {
            let graphs = attribute.g.iter_mut().chain(&mut attribute.graphs);
            for (graph, newer) in graphs.zip(newer.g.iter().chain(&newer.graphs)) {
                name_overloads(&mut graph.node, &newer.node);
            }
        }
    }
}

fn overloaded(name: &str, overload: &str) -> String {
    if overload.is_empty() { name.to_owned() } else { format!("{name}:{overload}") }
}

fn domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// Fields added to ONNX messages after the reader's version.
mod newer {
    use tract_onnx::pb::AttributeProto;

    #[derive(prost::Message)]
    pub struct Model {
        #[prost(message, optional, tag = "7")]
        pub graph: Option<Graph>,
        #[prost(message, repeated, tag = "25")]
        pub functions: Vec<Function>,
    }

    #[derive(prost::Message)]
    pub struct Function {
        #[prost(message, repeated, tag = "7")]
        pub node: Vec<Node>,
        #[prost(message, repeated, tag = "11")]
        pub attribute_proto: Vec<AttributeProto>,
        #[prost(string, tag = "13")]
        pub overload: String,
    }

    #[derive(prost::Message)]
    pub struct Graph {
        #[prost(message, repeated, tag = "1")]
        pub node: Vec<Node>,
    }

    #[derive(prost::Message)]
    pub struct Node {
        #[prost(message, repeated, tag = "5")]
        pub attribute: Vec<Attribute>,
        #[prost(string, tag = "8")]
        pub overload: String,
    }

    #[derive(prost::Message)]
    pub struct Attribute {
        #[prost(message, optional, tag = "6")]
        pub g: Option<Graph>,
        #[prost(message, repeated, tag = "11")]
        pub graphs: Vec<Graph>,
    }
}
