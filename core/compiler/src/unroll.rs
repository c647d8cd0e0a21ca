//! Control flow and sequences whose form is known when packing: branches are chosen, loops unrolled, and sequences
//! replaced by their tensors, so that a plan has none of them.

use crate::{
    attributes::Attributes,
    idioms::replaced_sequence,
    quiet,
    refusal::{Refusal, node_name},
};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::{
    Onnx,
    pb::{
        AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, attribute_proto::AttributeType,
        tensor_proto::DataType,
    },
    prelude::*,
    tract_hir::infer::InferenceModelExt,
};

/// Operators that this pass replaces.
const OPERATORS: [&str; 11] = [
    "If",
    "Loop",
    "Scan",
    "SequenceEmpty",
    "SequenceConstruct",
    "SequenceInsert",
    "SequenceErase",
    "SequenceAt",
    "SequenceLength",
    "SplitToSequence",
    "ConcatFromSequence",
];

/// Maximum iterations of a loop.
const MOST_ITERATIONS: i64 = 4096;

/// Maximum nodes after unrolling, and names made.
const MOST_NODES: usize = 1 << 14;
const MOST_NAMES: usize = 4 * MOST_NODES;

/// First operator sets in which `Unsqueeze` has its axes as input, and in which `Scan` has no batch of its own.
const AXES_ARE_INPUTS: i64 = 13;
const SCANS_WITHOUT_BATCH: i64 = 9;

/// Replaces control flow and sequences of a model. Shapes are computed from those of `inputs`, in which the batch is a
/// symbol.
pub(crate) fn rewrite(
    framework: &Onnx,
    proto: &mut ModelProto,
    inputs: Vec<ValueInfoProto>,
    notes: &mut BTreeSet<String>,
) -> Result<(), Refusal> {
    let Some(graph) = &mut proto.graph else { return Ok(()) };
    let replaced = |node: &NodeProto| is_default(node) && OPERATORS.contains(&node.op_type.as_str());
    if !graph.node.iter().any(replaced) {
        return Ok(());
    }
    let nodes = std::mem::take(&mut graph.node);
    let imports = proto.opset_import.clone();
    let versions = imports.iter().filter(|import| import.domain.is_empty() || import.domain == "ai.onnx");
    let version = versions.map(|import| import.version).max().unwrap_or_default();
    let known = ModelProto { ir_version: proto.ir_version, opset_import: imports, ..ModelProto::default() };
    let mut unrolled = Unrolled { framework, known, version, inputs, graph, sequences: BTreeMap::new(), made: 0 };
    unrolled.nodes(nodes)?;
    let Unrolled { graph, sequences, .. } = unrolled;
    for output in std::mem::take(&mut graph.output) {
        match sequences.get(&output.name) {
            Some(parts) => graph.output.extend(replaced_sequence(&output.name, parts, notes)),
            None => graph.output.push(output),
        }
    }
    Ok(())
}

fn is_default(node: &NodeProto) -> bool {
    node.domain.is_empty() || node.domain == "ai.onnx"
}

/// A graph whose nodes are replaced one by one, in order.
struct Unrolled<'a> {
    framework: &'a Onnx,
    /// The model without its graph.
    known: ModelProto,
    /// Version of the operator set.
    version: i64,
    /// Inputs with their shapes.
    inputs: Vec<ValueInfoProto>,
    /// The graph so far.
    graph: &'a mut GraphProto,
    /// Tensors of each sequence.
    sequences: BTreeMap<String, Vec<String>>,
    /// Number of names made.
    made: usize,
}

/// Values known when packing: integers or booleans, in row-major order; `None` for extents that grow with the batch.
type Known = Vec<Option<i64>>;

impl Unrolled<'_> {
    fn nodes(&mut self, nodes: Vec<NodeProto>) -> Result<(), Refusal> {
        for node in nodes {
            // Loops without nodes of their own still make names.
            if self.graph.node.len() >= MOST_NODES || self.made >= MOST_NAMES {
                let reason = format!("without its loops the model has more than {MOST_NODES} nodes");
                return Err(Refusal::at(node_name(&node), &node.op_type, reason));
            }
            self.node(node)?;
        }
        Ok(())
    }

    fn node(&mut self, node: NodeProto) -> Result<(), Refusal> {
        let refused = |reason: String| Refusal::at(node_name(&node), &node.op_type, reason);
        if !is_default(&node) {
            self.graph.node.push(node);
            return Ok(());
        }
        match node.op_type.as_str() {
            "If" => self.branch(node),
            "Loop" => self.repeat(&node).map_err(|fault| fault.at(&node)),
            "Scan" => self.scan(&node).map_err(|fault| fault.at(&node)),
            operator if OPERATORS.contains(&operator) => {
                let replaced = self.sequence(&node).map_err(refused)?;
                let Some(output) = node.output.first().cloned() else { return Ok(()) };
                match replaced {
                    Replaced::Sequence(parts) => drop(self.sequences.insert(output, parts)),
                    Replaced::Tensor(tensor) => self.copy(&tensor, output),
                }
                Ok(())
            }
            "Identity" if node.input.first().is_some_and(|input| self.sequences.contains_key(input)) => {
                self.give(&node.input, &node.output);
                Ok(())
            }
            _ => {
                self.graph.node.push(node);
                Ok(())
            }
        }
    }

    /// The branch that a known condition chooses; other branches stay.
    fn branch(&mut self, node: NodeProto) -> Result<(), Refusal> {
        let condition = node.input.first().and_then(|input| self.known_one(input));
        let Some(condition) = condition else {
            self.graph.node.push(node);
            return Ok(());
        };
        let name = if condition == 0 { "else_branch" } else { "then_branch" };
        let Some(body) = subgraph(&node, name) else {
            return Err(Refusal::at(node_name(&node), &node.op_type, format!("its `{name}` is missing")));
        };
        let results = self.inline(body, BTreeMap::new(), node_name(&node))?;
        self.give(&results, &node.output);
        Ok(())
    }

    fn repeat(&mut self, node: &NodeProto) -> Result<(), Fault> {
        let body = subgraph(node, "body").ok_or("its `body` is missing")?;
        let input = |n: usize| node.input.get(n).filter(|name| !name.is_empty());
        let most = match input(0) {
            Some(most) => self.known_one(most).ok_or(
                "its number of iterations is not known when packing; make it a constant, or bind the axis that it \
                 depends on to a number",
            )?,
            None => MOST_ITERATIONS + 1,
        };
        let going = |condition: Option<i64>| {
            condition.ok_or("whether it goes on depends on data; export the model with a fixed number of iterations")
        };
        let mut goes = match input(1) {
            Some(condition) => going(self.known_one(condition))? != 0,
            None => true,
        };
        let mut states: Vec<String> = node.input.iter().skip(2).cloned().collect();
        let mut scans: Vec<Vec<String>> = vec![Vec::new(); node.output.len().saturating_sub(states.len())];
        let mut n = 0;
        while goes && n < most {
            if n == MOST_ITERATIONS {
                return Err(Fault::of(format!("it has more than {MOST_ITERATIONS} iterations")));
            }
            let (at, go) = (self.integers(&[n], &[]), self.boolean());
            let actual = [at, go].into_iter().chain(states.iter().cloned());
            let formal = body.input.iter().map(|port| port.name.clone()).zip(actual).collect();
            let mut results = self.inline(body, formal, &format!("{}.{n}", node_name(node)))?;
            if results.len() != 1 + states.len() + scans.len() {
                return Err("its body has another number of outputs than the loop".into());
            }
            let per_iteration = results.split_off(1 + states.len());
            states = results.split_off(1);
            goes = going(results.first().and_then(|condition| self.known_one(condition)))? != 0;
            for (parts, value) in scans.iter_mut().zip(per_iteration) {
                parts.push(self.unsqueezed(&value, 0));
            }
            n += 1;
        }
        let mut results = states;
        for parts in scans {
            results.push(self.joined(&parts, 0)?);
        }
        self.give(&results, &node.output);
        Ok(())
    }

    fn scan(&mut self, node: &NodeProto) -> Result<(), Fault> {
        let body = subgraph(node, "body").ok_or("its `body` is missing")?;
        let attributes = Attributes(node);
        let count = attributes.int("num_scan_inputs").and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| (1..=node.input.len()).contains(count));
        let count = count.ok_or("its `num_scan_inputs` is not a number of its inputs")?;
        if self.version < SCANS_WITHOUT_BATCH {
            return Err("it has a batch of its own; export the model with a newer operator set".into());
        }
        let (states, scanned) = node.input.split_at(node.input.len() - count);
        let at = |name: &str, n: usize| attributes.ints(name).get(n).copied().unwrap_or_default();
        let mut axes = Vec::new();
        let mut iterations = None;
        for (n, input) in scanned.iter().enumerate() {
            let shape = self.shape(input).ok_or("the shape of what it scans is not known when packing")?;
            let axis = from_end(at("scan_input_axes", n), shape.len())
                .ok_or_else(|| Fault::of(format!("`{input}` has no such axis")))?;
            let extent = shape[axis].ok_or("it scans an axis that grows with the batch; scan one with a number")?;
            if extent > MOST_ITERATIONS {
                return Err(Fault::of(format!("it has more than {MOST_ITERATIONS} iterations")));
            }
            if *iterations.get_or_insert(extent) != extent {
                return Err("it scans inputs of different lengths together".into());
            }
            axes.push(axis as i64);
        }
        let iterations = iterations.unwrap_or_default();
        let mut states = states.to_vec();
        let mut scans: Vec<Vec<String>> = vec![Vec::new(); node.output.len().saturating_sub(states.len())];
        for n in 0..iterations {
            let mut actual = states.clone();
            for (place, input) in scanned.iter().enumerate() {
                let turn = if at("scan_input_directions", place) == 0 { n } else { iterations - 1 - n };
                actual.push(self.element(input, axes[place], turn));
            }
            let formal = body.input.iter().map(|port| port.name.clone()).zip(actual).collect();
            let mut results = self.inline(body, formal, &format!("{}.{n}", node_name(node)))?;
            if results.len() != states.len() + scans.len() {
                return Err("its body has another number of outputs than the scan".into());
            }
            let per_iteration = results.split_off(states.len());
            states = results;
            for (place, (parts, value)) in scans.iter_mut().zip(per_iteration).enumerate() {
                let value = self.unsqueezed(&value, at("scan_output_axes", place));
                let at = if at("scan_output_directions", place) == 0 { parts.len() } else { 0 };
                parts.insert(at, value);
            }
        }
        let mut results = states;
        for (place, parts) in scans.iter().enumerate() {
            results.push(self.joined(parts, at("scan_output_axes", place))?);
        }
        self.give(&results, &node.output);
        Ok(())
    }

    /// Adds the nodes of a body, in which names of `formal` stand for others, and returns the names of its outputs.
    fn inline(
        &mut self,
        body: &GraphProto,
        mut formal: BTreeMap<String, String>,
        base: &str,
    ) -> Result<Vec<String>, Refusal> {
        for tensor in &body.initializer {
            let name = self.fresh(&tensor.name);
            formal.insert(tensor.name.clone(), name.clone());
            self.graph.initializer.push(TensorProto { name, ..tensor.clone() });
        }
        for node in &body.node {
            let mut node = node.clone();
            node.name = format!("{base}/{}", node_name(&node));
            node.input.iter_mut().for_each(|name| rename(name, &formal));
            for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
                let name = self.fresh(output);
                formal.insert(std::mem::replace(output, name.clone()), name);
            }
            for inner in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
                rename_captured(inner, &formal);
            }
            self.nodes(vec![node])?;
        }
        let outputs = body.output.iter().map(|output| {
            let mut name = output.name.clone();
            rename(&mut name, &formal);
            name
        });
        Ok(outputs.collect())
    }

    /// What a node makes or takes of a sequence.
    fn sequence(&mut self, node: &NodeProto) -> Result<Replaced, String> {
        let attributes = Attributes(node);
        let input = |n: usize| node.input.get(n).filter(|name| !name.is_empty()).cloned();
        let first = input(0).unwrap_or_default();
        let parts = || {
            let parts = self.sequences.get(&first).cloned();
            parts.ok_or_else(|| format!("the tensors of the sequence `{first}` are not known when packing"))
        };
        let place = |place: i64, len: usize| {
            from_end(place, len).ok_or_else(|| format!("element {place} of a sequence of {len}"))
        };
        let unknown = |name: &str| format!("`{name}` is not known when packing; make it a constant");
        Ok(match node.op_type.as_str() {
            "SequenceEmpty" => Replaced::Sequence(Vec::new()),
            "SequenceConstruct" => Replaced::Sequence(node.input.clone()),
            "SequenceInsert" => {
                let (mut parts, tensor) = (parts()?, input(1).ok_or("it inserts nothing")?);
                let at = match input(2) {
                    Some(name) => self.known_one(&name).ok_or_else(|| unknown(&name))?,
                    None => parts.len() as i64,
                };
                // From the end it counts the elements before it is inserted; at their number it comes last.
                let at = if at == parts.len() as i64 { parts.len() } else { place(at, parts.len())? };
                parts.insert(at, tensor);
                Replaced::Sequence(parts)
            }
            "SequenceErase" => {
                let mut parts = parts()?;
                let at = match input(1) {
                    Some(name) => self.known_one(&name).ok_or_else(|| unknown(&name))?,
                    None => -1,
                };
                parts.remove(place(at, parts.len())?);
                Replaced::Sequence(parts)
            }
            "SequenceAt" => {
                let (parts, name) = (parts()?, input(1).unwrap_or_default());
                let at = self.known_one(&name).ok_or_else(|| unknown(&name))?;
                Replaced::Tensor(parts[place(at, parts.len())?].clone())
            }
            "SequenceLength" => {
                let count = parts()?.len() as i64;
                Replaced::Tensor(self.integers(&[count], &[]))
            }
            "ConcatFromSequence" => {
                let (mut parts, axis) = (parts()?, attributes.int("axis").unwrap_or_default());
                if attributes.int("new_axis").unwrap_or_default() != 0 {
                    parts = parts.iter().map(|part| self.unsqueezed(part, axis)).collect();
                }
                Replaced::Tensor(self.joined(&parts, axis).map_err(|fault| fault.reason)?)
            }
            _ => Replaced::Sequence(self.split(&first, input(1), &attributes)?),
        })
    }

    /// Parts of a tensor along an axis.
    fn split(&mut self, x: &str, sizes: Option<String>, attributes: &Attributes<'_>) -> Result<Vec<String>, String> {
        let shape = self.shape(x).ok_or("the shape of what it splits is not known when packing")?;
        let axis = from_end(attributes.int("axis").unwrap_or_default(), shape.len()).ok_or("it has no such axis")?;
        let limited = |count: i64| match count {
            count if count > MOST_ITERATIONS => Err(format!("it makes {count} parts (at most {MOST_ITERATIONS})")),
            count => Ok(count),
        };
        let extent = shape[axis].ok_or("it splits the batch; split another axis")?;
        let Some(sizes) = sizes else {
            let kept = attributes.int("keepdims").unwrap_or(1) != 0;
            let axis = axis as i64;
            return Ok((0..limited(extent)?)
                .map(|n| if kept { self.range(x, axis, n, n + 1) } else { self.element(x, axis, n) })
                .collect());
        };
        let known =
            self.known(&sizes).and_then(|(known, rank)| Some((known.into_iter().collect::<Option<Vec<_>>>()?, rank)));
        let (known, rank) = known.ok_or_else(|| format!("`{sizes}` is not known when packing; make it a constant"))?;
        let sizes = match (&known[..], rank) {
            ([size], 0) if *size > 0 => {
                limited(extent / size)?;
                (0..extent).step_by(*size as usize).map(|from| (*size).min(extent - from)).collect()
            }
            _ => known,
        };
        let mut from = 0_i64;
        Ok(sizes
            .into_iter()
            .map(|size| {
                let start = from;
                from = start.saturating_add(size);
                self.range(x, axis as i64, start, from)
            })
            .collect())
    }

    fn fresh(&mut self, base: &str) -> String {
        self.made += 1;
        format!("{base}.{}", self.made)
    }

    /// Adds a node of one output, and returns its name.
    fn make(&mut self, op_type: &str, input: Vec<String>, attribute: Vec<AttributeProto>) -> String {
        let output = self.fresh(input.first().map_or(op_type, String::as_str));
        let node = NodeProto {
            name: format!("{output}.{op_type}"),
            op_type: op_type.into(),
            input,
            output: vec![output.clone()],
            attribute,
            ..NodeProto::default()
        };
        self.graph.node.push(node);
        output
    }

    fn copy(&mut self, from: &str, to: String) {
        self.graph.node.push(NodeProto {
            name: format!("{to}.copy"),
            op_type: "Identity".into(),
            input: vec![from.into()],
            output: vec![to],
            ..NodeProto::default()
        });
    }

    /// Gives results, tensors or sequences, the names of a node's outputs.
    fn give(&mut self, results: &[String], outputs: &[String]) {
        for (result, output) in results.iter().zip(outputs).filter(|(_, output)| !output.is_empty()) {
            match self.sequences.get(result).cloned() {
                Some(parts) => drop(self.sequences.insert(output.clone(), parts)),
                None => self.copy(result, output.clone()),
            }
        }
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = self.fresh("constant");
        self.graph.initializer.push(TensorProto { name: name.clone(), ..tensor });
        name
    }

    fn integers(&mut self, values: &[i64], dims: &[i64]) -> String {
        self.constant(TensorProto {
            dims: dims.to_vec(),
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    /// The constant `true`.
    fn boolean(&mut self) -> String {
        self.constant(TensorProto { data_type: DataType::Bool as i32, int32_data: vec![1], ..TensorProto::default() })
    }

    fn unsqueezed(&mut self, x: &str, axis: i64) -> String {
        if self.version >= AXES_ARE_INPUTS {
            let axes = self.integers(&[axis], &[1]);
            return self.make("Unsqueeze", vec![x.into(), axes], Vec::new());
        }
        let kind = AttributeType::Ints as i32;
        let axes = AttributeProto { name: "axes".into(), r#type: kind, ints: vec![axis], ..AttributeProto::default() };
        self.make("Unsqueeze", vec![x.into()], vec![axes])
    }

    fn joined(&mut self, parts: &[String], axis: i64) -> Result<String, Fault> {
        match parts {
            [] => Err("it makes a tensor of no elements".into()),
            [one] => Ok(one.clone()),
            _ => Ok(self.make("Concat", parts.to_vec(), vec![integer("axis", axis)])),
        }
    }

    /// Element `n` of an axis, without it.
    fn element(&mut self, x: &str, axis: i64, n: i64) -> String {
        let at = self.integers(&[n], &[]);
        self.make("Gather", vec![x.into(), at], vec![integer("axis", axis)])
    }

    fn range(&mut self, x: &str, axis: i64, from: i64, to: i64) -> String {
        let [from, to, axes] = [from, to, axis].map(|number| self.integers(&[number], &[1]));
        self.make("Slice", vec![x.into(), from, to, axes], Vec::new())
    }

    /// The shape of a tensor.
    fn shape(&self, name: &str) -> Option<Known> {
        let output = format!("{name}.shape");
        let shape = NodeProto {
            name: output.clone(),
            op_type: "Shape".into(),
            input: vec![name.into()],
            output: vec![output.clone()],
            ..NodeProto::default()
        };
        self.evaluate(&output, Some(shape)).map(|(known, _)| known)
    }

    /// A tensor's integers or booleans and its number of axes, if they are known when packing.
    fn known(&self, name: &str) -> Option<(Known, usize)> {
        self.evaluate(name, None)
    }

    fn known_one(&self, name: &str) -> Option<i64> {
        match &self.known(name)?.0[..] {
            [one] => *one,
            _ => None,
        }
    }

    /// Has tract compute a tensor from constants and the shapes of inputs, with the nodes that it needs and `last`.
    fn evaluate(&self, name: &str, last: Option<NodeProto>) -> Option<(Known, usize)> {
        let mut needed = BTreeSet::from([name.to_owned()]);
        let mut nodes = Vec::new();
        for node in last.iter().chain(self.graph.node.iter().rev()) {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
                for inner in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
                    captured(inner, &mut needed);
                }
                nodes.push(node.clone());
            }
        }
        nodes.reverse();
        let own = |tensor: &&TensorProto| needed.contains(&tensor.name);
        let output = ValueInfoProto { name: name.into(), ..ValueInfoProto::default() };
        let graph = GraphProto {
            name: "known".into(),
            node: nodes,
            initializer: self.graph.initializer.iter().filter(own).cloned().collect(),
            input: self.inputs.iter().filter(|input| needed.contains(&input.name)).cloned().collect(),
            output: vec![output],
            ..GraphProto::default()
        };
        let proto = ModelProto { graph: Some(graph), ..self.known.clone() };
        let evaluated = quiet::catch(|| -> TractResult<Option<(Known, usize)>> {
            let mut model = self.framework.parse(&proto, None)?.model;
            model.analyse(false)?;
            let model = model.into_typed()?.into_decluttered()?;
            let Some(tensor) = model.outlet_fact(model.output_outlets()?[0])?.konst.clone() else { return Ok(None) };
            let tensor = tensor.cast_to::<TDim>()?;
            let known = tensor.try_as_plain_ram()?.as_slice::<TDim>()?.iter().map(|dim| dim.to_i64().ok());
            Ok(Some((known.collect(), tensor.rank())))
        });
        evaluated.ok()?.ok()?
    }
}

/// What replaces a node of a sequence.
enum Replaced {
    Sequence(Vec<String>),
    Tensor(String),
}

/// Reason why a loop cannot be unrolled: its own, or a refusal inside it.
struct Fault {
    reason: String,
    inner: Option<Refusal>,
}

impl Fault {
    const fn of(reason: String) -> Self {
        Self { reason, inner: None }
    }

    fn at(self, node: &NodeProto) -> Refusal {
        self.inner.unwrap_or_else(|| Refusal::at(node_name(node), &node.op_type, self.reason))
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::of(reason.into())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason().to_owned(), inner: Some(refusal) }
    }
}

fn subgraph<'a>(node: &'a NodeProto, name: &str) -> Option<&'a GraphProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)?.g.as_ref()
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

/// Place that may count from the end.
fn from_end(place: i64, len: usize) -> Option<usize> {
    let place = if place < 0 { place + len as i64 } else { place };
    usize::try_from(place).ok().filter(|place| *place < len)
}

fn rename(name: &mut String, formal: &BTreeMap<String, String>) {
    if let Some(actual) = formal.get(name) {
        name.clone_from(actual);
    }
}

/// Renames what an inner graph reads of those around it.
fn rename_captured(graph: &mut GraphProto, formal: &BTreeMap<String, String>) {
    for node in &mut graph.node {
        node.input.iter_mut().for_each(|name| rename(name, formal));
        node.attribute
            .iter_mut()
            .filter_map(|attribute| attribute.g.as_mut())
            .for_each(|inner| rename_captured(inner, formal));
    }
    graph.output.iter_mut().for_each(|output| rename(&mut output.name, formal));
}

/// Adds the names that an inner graph reads.
fn captured(graph: &GraphProto, names: &mut BTreeSet<String>) {
    for node in &graph.node {
        names.extend(node.input.iter().cloned());
        node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()).for_each(|inner| captured(inner, names));
    }
    names.extend(graph.output.iter().map(|output| output.name.clone()));
}
