//! Reasons why a model cannot be compiled.

use std::fmt;
use tract_onnx::pb::NodeProto;

/// Model that cannot be compiled: node, operator, reason, and advice.
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
    /// Refuses the model as a whole.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        Self::at("", "", reason)
    }

    /// Refuses one node.
    pub(crate) fn at(node: impl Into<String>, operator: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { node: node.into(), operator: operator.into(), reason: reason.into() }
    }

    /// ONNX node, by its name or that of its first output; empty for the model as a whole.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Operator of that node; empty for the model as a whole.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Reason and advice.
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

/// Name of a node in a refusal: its name, or that of its first output.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name }
}

/// Result of one step of compilation, whose node is not yet known.
pub(crate) type Reasoned<T> = Result<T, Reason>;

/// Reason for a refusal, before the lowering adds the node.
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
