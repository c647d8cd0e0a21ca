//! Texts as counts of n-grams: `TfIdfVectorizer`, with the operators before it, becomes features that the executor
//! computes from text inputs ([`TextFeatures`]).

use crate::{
    attributes::{Attributes, constant},
    refusal::{Reason, Reasoned, Refusal, node_name},
};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};
use std::collections::{BTreeMap, BTreeSet};
use tract_onnx::pb::{
    GraphProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value as Extent},
    type_proto,
};
use tradewind_core::{
    plan::Port,
    text::{JOINER, TextFeatures, TextPart, Vectorizer},
};

/// Operator that is rewritten.
const VECTORIZER: &str = "TfIdfVectorizer";

/// Operators before it that only change the shape.
const SHAPES: [&str; 5] = ["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

/// Features of texts; in the graph they are an input of floats.
#[derive(Debug, Clone)]
pub(crate) struct Vectorized {
    /// Name of that input.
    input: String,
    /// Parts of a row's text.
    parts: Vec<Part>,
    vectorizer: Vectorizer,
}

/// Part of a row's text: an input, by name, or a constant.
#[derive(Debug, Clone)]
enum Part {
    Input(String),
    Text(String),
}

/// Rewrites all vectorizers of a graph.
pub(crate) fn rewrite(graph: &mut GraphProto) -> Result<Vec<Vectorized>, Refusal> {
    let mut found = Vec::new();
    let is_one = |node: &NodeProto| node.op_type == VECTORIZER && node.domain.is_empty();
    while let Some(place) = graph.node.iter().position(is_one) {
        let node = &graph.node[place];
        let refusal = |reason: Reason| Refusal::at(node_name(node), VECTORIZER, reason.0);
        let mut chain = Chain { graph, nodes: BTreeSet::from([place]) };
        let input = node.output.first().cloned().unwrap_or_default();
        let (parts, vectorizer, width) = chain.read(node).map_err(refusal)?;
        let nodes = chain.nodes;
        let vectorized = Vectorized { input, parts, vectorizer };
        replace(graph, &nodes, place, &vectorized, width);
        found.push(vectorized);
    }
    let alone = |node: &&NodeProto| ["StringConcat", "StringNormalizer", "Tokenizer"].contains(&node.op_type.as_str());
    match graph.node.iter().find(alone) {
        None => Ok(found),
        Some(node) => {
            let reason = "it changes a text, which is only supported before a TfIdfVectorizer of a text input; do it \
                          before the model";
            Err(Refusal::at(node_name(node), &node.op_type, reason))
        }
    }
}

/// Takes the features of texts out of a plan's inputs.
pub(crate) fn take(vectorized: &[Vectorized], ports: &mut Vec<Port>) -> Vec<TextFeatures> {
    let is_hidden = |port: &Port| vectorized.iter().any(|found| found.input == port.name);
    let (hidden, open): (Vec<Port>, Vec<Port>) = std::mem::take(ports).into_iter().partition(is_hidden);
    *ports = open;
    let place = |name: &str| ports.iter().position(|port| port.name == name).unwrap_or_default() as u16;
    let features = hidden.into_iter().filter_map(|port| {
        let Vectorized { parts, vectorizer, .. } = vectorized.iter().find(|found| found.input == port.name)?;
        let parts = parts.iter().map(|part| match part {
            Part::Input(name) => TextPart::Input(place(name)),
            Part::Text(text) => TextPart::Text(text.clone()),
        });
        let [rows, columns] = *port.shape.as_slice() else { return None };
        let (parts, vectorizer) = (parts.collect(), vectorizer.clone());
        Some(TextFeatures { buffer: port.buffer, rows, columns: columns.fixed, parts, vectorizer })
    });
    features.collect()
}

/// Replaces a vectorizer, and the nodes before it that nothing else reads, by an input of floats.
fn replace(graph: &mut GraphProto, nodes: &BTreeSet<usize>, vectorizer: usize, found: &Vectorized, width: u32) {
    let name = found.parts.iter().find_map(|part| match part {
        Part::Input(name) => Some(name),
        Part::Text(_) => None,
    });
    let text = graph.input.iter().find(|input| Some(&input.name) == name);
    let rows = text.and_then(dims).and_then(|dims| dims.first().cloned()).unwrap_or_default();
    let columns = Dimension { value: Some(Extent::DimValue(width.into())), ..Dimension::default() };
    let shape = TensorShapeProto { dim: vec![rows, columns] };
    let kind = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(kind)), ..TypeProto::default() };
    graph.input.push(ValueInfoProto { name: found.input.clone(), r#type: Some(kind), ..ValueInfoProto::default() });
    let mut gone = BTreeSet::from([vectorizer]);
    loop {
        let read = read(graph, &gone);
        let unread = |place: &&usize| graph.node[**place].output.iter().all(|name| !read.contains(name));
        let more: Vec<usize> = nodes.difference(&gone).filter(unread).copied().collect();
        if more.is_empty() {
            break;
        }
        gone.extend(more);
    }
    let mut place = 0;
    graph.node.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
}

/// Tensors that nodes read, except some nodes, and the outputs.
fn read(graph: &GraphProto, except: &BTreeSet<usize>) -> BTreeSet<String> {
    let nodes = graph.node.iter().enumerate().filter(|(place, _)| !except.contains(place));
    let read = nodes.flat_map(|(_, node)| node.input.iter().cloned());
    read.chain(graph.output.iter().map(|output| output.name.clone())).collect()
}

fn dims(input: &ValueInfoProto) -> Option<&[Dimension]> {
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    Some(&tensor.shape.as_ref()?.dim)
}

/// Nodes from a model's text inputs to a vectorizer.
struct Chain<'a> {
    graph: &'a GraphProto,
    nodes: BTreeSet<usize>,
}

/// Replacement of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// Division of a text into tokens.
struct Tokens {
    class: ClassUnicode,
    least: Option<u32>,
}

impl<'a> Chain<'a> {
    /// Reads a vectorizer: the parts of its text, its features, and their number.
    fn read(&mut self, vectorizer: &'a NodeProto) -> Reasoned<(Vec<Part>, Vectorizer, u32)> {
        let counted = Grams::read(&Attributes(vectorizer))?;
        let tokenizer = self.before(first_input(vectorizer)).filter(|node| node.op_type == "Tokenizer");
        let Some(tokenizer) = tokenizer else {
            return Reason::err(
                "it does not follow a `Tokenizer` of com.microsoft; export a vectorizer that takes whole texts",
            );
        };
        let tokens = tokens(&Attributes(tokenizer))?;
        let (mut name, mut case) = (first_input(tokenizer), None);
        while let Some(node) = self.before(name).filter(|node| node.op_type == "StringNormalizer") {
            // The last one counts.
            case = case.or(normalizer(&Attributes(node))?);
            name = first_input(node);
        }
        let (mut parts, mut axes) = (Vec::new(), None);
        self.parts(name, &mut parts, &mut axes)?;
        if axes.is_none() {
            return Reason::err("it reads no input of the model");
        }
        let width = counted.width;
        Ok((parts, counted.vectorizer(&tokens, case), width))
    }

    /// Node that produces a tensor, before nodes that only change its shape; `None` for an input or a constant.
    fn before(&mut self, name: &'a str) -> Option<&'a NodeProto> {
        let name = self.shaped(name);
        let place = self.graph.node.iter().position(|node| node.output.iter().any(|output| output == name))?;
        self.nodes.insert(place);
        self.graph.node.get(place)
    }

    /// Name of the tensor before nodes that only change its shape.
    fn shaped(&mut self, mut name: &'a str) -> &'a str {
        let graph = self.graph;
        let changes = |node: &NodeProto, name: &str| {
            SHAPES.contains(&node.op_type.as_str()) && node.output.iter().any(|output| output == name)
        };
        while let Some(place) = graph.node.iter().position(|node| changes(node, name)) {
            self.nodes.insert(place);
            name = first_input(&graph.node[place]);
        }
        name
    }

    /// Collects the parts of a text: inputs, constants, and what `StringConcat` joins of these.
    fn parts(&mut self, name: &'a str, parts: &mut Vec<Part>, axes: &mut Option<u8>) -> Reasoned<()> {
        let name = self.shaped(name);
        let graph = self.graph;
        if let Some(input) = graph.input.iter().find(|input| input.name == name) {
            let own = match dims(input).unwrap_or_default() {
                [_] => 1,
                [_, one] if matches!(one.value, Some(Extent::DimValue(1))) => 2,
                dims => {
                    let found = dims.len();
                    let reason = format!(
                        "the text input `{name}` has {found} axes or several columns, where one text for each row is \
                         needed, [rows] or [rows, 1]; export each column as an input"
                    );
                    return Reason::err(reason);
                }
            };
            if axes.replace(own).is_some_and(|other| other != own) {
                return Reason::err(format!("its text inputs have different shapes, `{name}` and another"));
            }
            parts.push(Part::Input(name.to_owned()));
            return Ok(());
        }
        if let Some(constant) = constant_text(graph, name)? {
            parts.push(Part::Text(constant));
            return Ok(());
        }
        match self.before(name) {
            Some(node) if node.op_type == "StringConcat" => {
                node.input.iter().try_for_each(|input| self.parts(input, parts, axes))
            }
            Some(node) => Reason::err(format!(
                "its text is computed by `{}` ({}); only `StringConcat` and `StringNormalizer` may change a text",
                node_name(node),
                node.op_type
            )),
            None => Reason::err(format!("nothing produces its text `{name}`")),
        }
    }
}

fn first_input(node: &NodeProto) -> &str {
    node.input.first().map_or("", String::as_str)
}

/// Constant text of one element.
fn constant_text(graph: &GraphProto, name: &str) -> Reasoned<Option<String>> {
    let Some(tensor) = constant(graph, name) else { return Ok(None) };
    let [bytes] = tensor.string_data.as_slice() else {
        return Reason::err(format!("the constant text `{name}` has {} elements, not one", tensor.string_data.len()));
    };
    Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
}

/// Letters that a `StringNormalizer` replaces.
fn normalizer(attributes: &Attributes<'_>) -> Reasoned<Option<Case>> {
    if !attributes.strings("stopwords")?.is_empty() {
        return Reason::err("a `StringNormalizer` removes stop words from whole texts; remove them in the vectorizer");
    }
    match attributes.string("case_change_action", "NONE")?.as_str() {
        "LOWER" => Ok(Some(Case::Lower)),
        "UPPER" => Ok(Some(Case::Upper)),
        "NONE" => Ok(None),
        other => Reason::err(format!("a `StringNormalizer` has the unknown action `{other}`")),
    }
}

/// How a `Tokenizer` divides a text.
fn tokens(attributes: &Attributes<'_>) -> Reasoned<Tokens> {
    if attributes.int("mark").unwrap_or(0) != 0 {
        return Reason::err("its tokenizer marks start and end of a text (`mark`), which is not supported");
    }
    let least = u32::try_from(attributes.int("mincharnum").unwrap_or(1)).unwrap_or(1).max(1);
    let expression = attributes.string("tokenexp", "")?;
    let separators = attributes.strings("separators")?;
    let mut tokens = match (expression.as_str(), separators.as_slice()) {
        ("", []) => return Reason::err("its tokenizer has neither `tokenexp` nor `separators`"),
        ("", [none]) if none.is_empty() => Tokens { class: any(), least: None },
        ("", separators) => {
            let mut class = ClassUnicode::empty();
            for separator in separators {
                class.union(&single(separator).ok_or_else(|| {
                    Reason(format!(
                        "its tokenizer has the separator `{separator}`; only single characters are supported"
                    ))
                })?);
            }
            class.negate();
            Tokens { class, least: Some(1) }
        }
        (expression, _) => runs(expression).ok_or_else(|| {
            Reason(format!(
                "its tokenizer has the expression `{expression}`; supported are runs of a class of characters, like \
                 `[a-z0-9]+` or `\\b\\w\\w+\\b`, and single characters"
            ))
        })?,
    };
    match &mut tokens.least {
        Some(own) => {
            *own = least.max(*own);
            // It separates the tokens of n-grams.
            let joiner = ClassUnicode::new([ClassUnicodeRange::new(JOINER, JOINER)]);
            tokens.class.difference(&joiner);
        }
        None if least > 1 => return Reason::err(format!("its tokens are characters, of which {least} are required")),
        None => {}
    }
    Ok(tokens)
}

fn any() -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])
}

/// Parses an expression as RE2 does: `\d`, `\s`, `\w` and `\b` are of ASCII.
fn parsed(expression: &str) -> Option<Hir> {
    let mut ascii = String::with_capacity(expression.len());
    let mut letters = expression.strip_prefix("(?u)").unwrap_or(expression).chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            ascii.push(letter);
            continue;
        }
        match letters.next()? {
            'd' => ascii.push_str("[0-9]"),
            'D' => ascii.push_str("[^0-9]"),
            's' => ascii.push_str(r"[\t\n\f\r ]"),
            'S' => ascii.push_str(r"[^\t\n\f\r ]"),
            'w' => ascii.push_str("[0-9A-Za-z_]"),
            'W' => ascii.push_str("[^0-9A-Za-z_]"),
            'b' => ascii.push_str(r"(?-u:\b)"),
            other => ascii.extend(['\\', other]),
        }
    }
    regex_syntax::parse(&ascii).ok()
}

/// The class of an expression for one character.
fn single(expression: &str) -> Option<ClassUnicode> {
    class(&parsed(expression)?)
}

fn class(hir: &Hir) -> Option<ClassUnicode> {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class.clone()),
        HirKind::Class(Class::Bytes(class)) => class.to_unicode_class(),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            let mut letters = text.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => Some(ClassUnicode::new([ClassUnicodeRange::new(letter, letter)])),
                _ => None,
            }
        }
        HirKind::Capture(capture) => class(&capture.sub),
        _ => None,
    }
}

/// Tokens of an expression that is a run of one class, or one character.
fn runs(expression: &str) -> Option<Tokens> {
    let hir = parsed(expression)?;
    let parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(&hir),
    };
    let is_edge = |part: &Hir| matches!(part.kind(), HirKind::Look(Look::WordAscii));
    let edges = parts.iter().filter(|part| is_edge(part)).count();
    let inner: Vec<&Hir> = parts.iter().filter(|part| !is_edge(part)).collect();
    let at_edges = parts.iter().enumerate().all(|(n, part)| !is_edge(part) || n == 0 || n + 1 == parts.len());
    let (mut of, mut least, mut endless) = (None::<ClassUnicode>, 0_u32, false);
    for part in &inner {
        let (own, min, open) = match part.kind() {
            HirKind::Repetition(repeated) if repeated.max.is_none() && repeated.greedy => {
                (class(&repeated.sub)?, repeated.min, true)
            }
            HirKind::Repetition(repeated) if repeated.max == Some(repeated.min) => {
                (class(&repeated.sub)?, repeated.min, false)
            }
            _ => (class(part)?, 1, false),
        };
        if of.as_ref().is_some_and(|of| *of != own) {
            return None;
        }
        of = Some(own);
        least = least.checked_add(min)?;
        endless |= open;
    }
    let class = of?;
    // A run of word characters begins and ends at the edges of a word.
    let fits = edges == 0 || (at_edges && endless && class == single(r"\w")?);
    match (fits, endless, least) {
        (true, true, 1..) => Some(Tokens { class, least: Some(least) }),
        (true, false, 1) => Some(Tokens { class, least: None }),
        _ => None,
    }
}

/// Attributes of a vectorizer.
struct Grams {
    /// N-grams, each with its column and weight.
    grams: Vec<(Vec<String>, u32, f32)>,
    /// Number of columns.
    width: u32,
    sizes: (u32, u32),
    skips: u32,
    is_weighted: bool,
    presence: bool,
}

impl Grams {
    fn read(attributes: &Attributes<'_>) -> Reasoned<Self> {
        let pool = attributes.strings("pool_strings")?;
        if pool.is_empty() {
            return Reason::err("it counts numbers, not text (`pool_strings` is empty)");
        }
        let size = |name: &str| -> Reasoned<u32> {
            let found = attributes.int(name).unwrap_or_default();
            let fits = u32::try_from(found).ok().filter(|size| *size <= Vectorizer::MAX_SIZE);
            fits.ok_or_else(|| Reason(format!("`{name}` is {found}; at most {} is supported", Vectorizer::MAX_SIZE)))
        };
        let sizes = (size("min_gram_length")?.max(1), size("max_gram_length")?);
        let (counts, columns) = (attributes.ints("ngram_counts"), attributes.ints("ngram_indexes"));
        let mut lists = Vec::with_capacity(columns.len());
        for (n, start) in counts.iter().enumerate() {
            let end = counts.get(n + 1).copied().unwrap_or(pool.len() as i64);
            let part = usize::try_from(*start).ok().zip(usize::try_from(end).ok());
            let part = part.and_then(|(start, end)| pool.get(start..end));
            let part = part.ok_or_else(|| Reason("`ngram_counts` does not match `pool_strings`".into()))?;
            lists.extend(part.chunks(n + 1).map(<[String]>::to_vec));
        }
        if lists.len() != columns.len() || lists.len() > Vectorizer::MAX_GRAMS {
            return Reason::err(format!("it has {} n-grams and {} columns", lists.len(), columns.len()));
        }
        let columns: Vec<u32> = columns
            .iter()
            .map(|&column| u32::try_from(column))
            .collect::<Result<_, _>>()
            .map_err(|_| Reason("a negative column".into()))?;
        let width = columns.iter().max().map_or(0, |last| *last as usize + 1);
        if width > columns.len() {
            return Reason::err("`ngram_indexes` leaves columns out");
        }
        let (weights, mode) = (attributes.floats("weights").to_vec(), attributes.string("mode", "")?);
        let presence = match mode.as_str() {
            "TF" | "TFIDF" => false,
            "IDF" => true,
            other => return Reason::err(format!("the unknown mode `{other}`")),
        };
        let weights = if mode == "TF" { Vec::new() } else { weights };
        let is_weighted = !weights.is_empty();
        if is_weighted && weights.len() != lists.len() {
            return Reason::err(format!("{} weights for {} n-grams", weights.len(), lists.len()));
        }
        let weights = weights.into_iter().chain(std::iter::repeat(1.0));
        let grams = lists.into_iter().zip(columns).zip(weights).map(|((gram, column), weight)| (gram, column, weight));
        let grams = grams.collect();
        Ok(Self { grams, width: width as u32, sizes, skips: size("max_skip_count")?, is_weighted, presence })
    }

    fn vectorizer(self, tokens: &Tokens, case: Option<Case>) -> Vectorizer {
        let joiner = if tokens.least.is_some() { JOINER.to_string() } else { String::new() };
        let is_token = |token: &String| match tokens.least {
            Some(_) => !token.contains(JOINER),
            None => token.chars().count() == 1,
        };
        let mut known = BTreeMap::new();
        for (gram, column, weight) in self.grams.iter().filter(|(gram, ..)| gram.iter().all(is_token)) {
            known.entry(gram.join(&joiner)).or_insert((*column, *weight));
        }
        let letters: BTreeSet<char> = known.keys().flat_map(|gram| gram.chars()).collect();
        let (grams, found): (Vec<_>, Vec<(u32, f32)>) = known.into_iter().unzip();
        let (columns, weights): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        Vectorizer {
            letters: ranges(case, &letters, &tokens.class),
            least: tokens.least.unwrap_or(0),
            shortest: self.sizes.0,
            longest: self.sizes.1,
            skips: self.skips,
            grams,
            columns,
            weights: if self.is_weighted { weights } else { Vec::new() },
            presence: self.presence,
        }
    }
}

/// Ranges of characters of tokens, with what replaces them: see [`Vectorizer::letters`]. `letters` are those of n-grams;
/// others are replaced only where that decides whether they belong to tokens.
fn ranges(case: Option<Case>, letters: &BTreeSet<char>, class: &ClassUnicode) -> Vec<u32> {
    let has = |letter: char| {
        let after = class.ranges().partition_point(|range| range.start() <= letter);
        after > 0 && letter <= class.ranges()[after - 1].end()
    };
    let mut ranges: Vec<[u32; 3]> = Vec::new();
    for letter in '\0'..=char::MAX {
        let folded = case.map_or(letter, |case| case.of(letter));
        if !has(folded) {
            continue;
        }
        let matters = letters.contains(&folded) || letters.contains(&letter) || !has(letter);
        let (from, to) = (u32::from(letter), u32::from(if matters { folded } else { letter }));
        match ranges.last_mut() {
            // No character is between 0xd7ff and 0xe000.
            Some([first, last, start])
                if to.wrapping_sub(*start) == from - *first
                    && (from == *last + 1 || (*last, from) == (0xd7ff, 0xe000)) =>
            {
                *last = from;
            }
            _ => ranges.push([from, from, to]),
        }
    }
    ranges.concat()
}

impl Case {
    fn of(self, letter: char) -> char {
        let mapped: Vec<char> = match self {
            Self::Lower => letter.to_lowercase().collect(),
            Self::Upper => letter.to_uppercase().collect(),
        };
        match (mapped.as_slice(), self) {
            ([one], _) => *one,
            // As C libraries do: `İ` has no lower case of one letter.
            ([first, ..], Self::Lower) => *first,
            _ => letter,
        }
    }
}
