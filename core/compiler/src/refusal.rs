//! Why a model cannot be compiled.

use std::fmt;
use tract_onnx::pb::NodeProto;

/// A model that cannot become a plan: which node, which operator, why, and what to do about it.
///
/// ```
/// use tradewind_compiler::{Options, compile};
///
/// let refusal = compile(b"not a model", &Options::default()).err().unwrap();
/// assert!(refusal.to_string().contains("not an ONNX model"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    node: String,
    operator: String,
    reason: String,
}

impl Refusal {
    /// A refusal of the model as a whole.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self::at("", "", reason)
    }

    /// A refusal of one node.
    pub(crate) fn at(node: impl Into<String>, operator: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { node: node.into(), operator: operator.into(), reason: reason.into() }
    }

    /// The ONNX node, by its name or that of its first output; empty for the model as a whole.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The operator of that node; empty for the model as a whole.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// What is wrong, and what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.node.as_str(), self.operator.as_str()) {
            ("", _) => write!(f, "the model: {}", self.reason),
            (node, "") => write!(f, "node `{node}`: {}", self.reason),
            (node, operator) => write!(f, "node `{node}` ({operator}): {}", self.reason),
        }
    }
}

/// What a node is called in a refusal: its name, or that of its first output.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// The result of one step of compilation, whose node is not yet known.
pub(crate) type Reasoned<T> = Result<T, Reason>;

/// Why something cannot be compiled, before the walk over the graph adds the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason(pub String);

impl Reason {
    /// `Err(Reason)`, for tail positions.
    pub fn err<T>(reason: impl Into<String>) -> Reasoned<T> {
        Err(Self(reason.into()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

impl From<tract_onnx::prelude::TractError> for Reason {
    fn from(error: tract_onnx::prelude::TractError) -> Self {
        Self(format!("{error:#}"))
    }
}
