//! Supported operators, the mechanism for each, and the ONNX node of each tract node.

mod table;

pub(crate) use table::refused;

use crate::{
    dialect, ml, nn,
    refusal::{Reason, Refusal},
};
use std::collections::BTreeMap;
use tract_onnx::{Onnx, onnx, pb::NodeProto, prelude::TractError};

/// Domains whose operators have tract's meaning.
const DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// Operator of every ONNX node, by the node's name.
#[derive(Debug, Default)]
pub(crate) struct Operators(pub BTreeMap<String, String>);

/// tract's ONNX reader, with custom operators where needed.
pub(crate) fn reader() -> Onnx {
    let mut framework = onnx();
    ml::register(&mut framework.op_register);
    nn::register(&mut framework.op_register);
    dialect::register(&mut framework.op_register);
    framework
}

/// Whether tract or this crate supports an operator.
pub(crate) fn is_known(framework: &Onnx, node: &NodeProto) -> bool {
    DOMAINS.contains(&node.domain.as_str()) && framework.op_register.0.contains_key(&node.op_type)
}

impl Operators {
    /// ONNX node and operator of a tract node, whose name extends the ONNX name.
    pub fn origin(&self, name: &str) -> (String, String) {
        let known = |name: &str| self.0.get_key_value(name);
        let prefix = (1..=name.len()).rev().filter_map(|end| name.get(..end)).find_map(known);
        match prefix {
            Some((node, operator)) => (node.clone(), operator.clone()),
            // A node without a name is called `12-LSTM`.
            None => {
                let operator = name.split_once('-').map(|(_, rest)| rest.split('.').next().unwrap_or(rest));
                (name.to_string(), operator.unwrap_or_default().to_string())
            }
        }
    }

    /// Converts tract's error about a model to a refusal.
    pub fn refusal(&self, error: &TractError) -> Refusal {
        if let Some(refusal) = error.chain().find_map(|cause| cause.downcast_ref::<Refusal>()) {
            return refusal.clone();
        }
        let reason = error.chain().find_map(|cause| cause.downcast_ref::<Reason>());
        let reason = reason.map(|reason| reason.0.clone()).unwrap_or_else(|| {
            let cause = error.root_cause().to_string();
            format!("the ONNX reader cannot infer its types and shapes: {cause}; {}", advice(&cause))
        });
        match error.chain().find_map(|cause| node_in(&cause.to_string())) {
            Some(name) => {
                let (node, operator) = self.origin(&name);
                Refusal::at(node, operator, reason)
            }
            None => Refusal::whole(reason),
        }
    }
}

/// Advice for tract's error `cause`.
fn advice(cause: &str) -> &'static str {
    let cause = cause.to_lowercase();
    let speaks_of = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if speaks_of(&["const", "known scalar", "determined"]) && !speaks_of(&["constraint"]) {
        "make that input a constant of the model"
    } else if speaks_of(&["datumtype", "tensorproto.datatype"]) {
        "export it with f32, integers and booleans"
    } else if speaks_of(&["not supported", "unsupported", "not implemented", "no implementation"]) {
        "export the model without it"
    } else {
        "check the model with onnx.checker, and that it was exported with a free batch"
    }
}

/// Name of the node in a text like `Failed analyse for node #3 "/fc1/Gemm" Gemm`.
fn node_in(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('#')?;
    let (number, rest) = rest.split_once(" \"")?;
    let (name, _) = rest.split_once('"')?;
    number.chars().all(|digit| digit.is_ascii_digit()).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_traced_to_onnx() {
        let operators = Operators([("/fc".to_string(), "Gemm".to_string()), ("/fc1".into(), "MatMul".into())].into());
        assert_eq!(operators.origin("/fc1.ab"), ("/fc1".into(), "MatMul".into()));
        assert_eq!(operators.origin("x"), ("x".into(), String::new()));
        assert_eq!(node_in("Failed analyse for node #3 \"/fc\" Gemm").as_deref(), Some("/fc"));
    }
}
