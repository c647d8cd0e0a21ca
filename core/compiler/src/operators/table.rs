//! Mechanism of each ONNX operator.

use Mechanism::{Estimator, Layer, Refused, Rewritten, Tract, Wired};

/// How an operator becomes part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// `idioms`, `unroll` or `vectorize` replaces it by other nodes before tract reads the model.
    Rewritten,
    /// tract reads it; `lower` converts the resulting core operators to kernel calls, or refuses them.
    Tract,
    /// `dialect` builds it from core operators, because tract interprets it differently from onnxruntime.
    Wired,
    /// `nn` keeps the layer as one node and lowers it.
    Layer,
    /// `ml` keeps the ai.onnx.ml operator as one node and lowers it.
    Estimator,
    /// It is refused for any inputs, with this reason and advice.
    Refused(&'static str),
}

const ONNX: &str = "ai.onnx";
const ML: &str = "ai.onnx.ml";
const MICROSOFT: &str = "com.microsoft";

const DICTIONARIES: &str = "its inputs are dictionaries; give the model a table with a column for each key";
const TEXT: &str = "it splits texts; do that before the model, and give it numbers";
const RANDOM: &str = "its result is random, and a decision must be repeatable; export the model for inference";
const INTEGERS: &str = "it computes with integers of 8 bits that it makes of its inputs; export the model with floats, and pack \
     it with `--weights int8`";
const SIZE: &str =
    "the size of its result depends on the data, and a plan knows every size; export it as a mask or TopK";

/// Domain, operator and mechanism. `core/OPERATORS.md` has the same list.
#[rustfmt::skip]
pub(crate) const OPERATORS: &[(&str, &str, Mechanism)] = &[
    (ONNX, "Abs", Tract),
    (ONNX, "Acos", Tract),
    (ONNX, "Acosh", Tract),
    (ONNX, "Add", Tract),
    (ONNX, "And", Tract),
    (ONNX, "ArgMax", Tract),
    (ONNX, "ArgMin", Tract),
    (ONNX, "Asin", Tract),
    (ONNX, "Asinh", Tract),
    (ONNX, "Atan", Tract),
    (ONNX, "Atanh", Tract),
    (ONNX, "Attention", Layer),
    (ONNX, "AveragePool", Layer),
    (ONNX, "BatchNormalization", Layer),
    (ONNX, "BitShift", Tract),
    (ONNX, "BitwiseAnd", Tract),
    (ONNX, "BitwiseNot", Tract),
    (ONNX, "BitwiseOr", Tract),
    (ONNX, "BitwiseXor", Tract),
    (ONNX, "BlackmanWindow", Tract),
    (ONNX, "Cast", Wired),
    (ONNX, "CastLike", Tract),
    (ONNX, "Ceil", Tract),
    (ONNX, "Celu", Wired),
    (ONNX, "Clip", Wired),
    (ONNX, "Compress", Refused(SIZE)),
    (ONNX, "Concat", Tract),
    (ONNX, "ConcatFromSequence", Rewritten),
    (ONNX, "Constant", Tract),
    (ONNX, "ConstantLike", Tract),
    (ONNX, "ConstantOfShape", Tract),
    (ONNX, "Conv", Layer),
    (ONNX, "ConvInteger", Refused(INTEGERS)),
    (ONNX, "ConvTranspose", Layer),
    (ONNX, "Cos", Tract),
    (ONNX, "Cosh", Tract),
    (ONNX, "CumProd", Wired),
    (ONNX, "CumSum", Tract),
    (ONNX, "DFT", Tract),
    (ONNX, "DepthToSpace", Tract),
    (ONNX, "DequantizeLinear", Tract),
    (ONNX, "Div", Wired),
    (ONNX, "Dropout", Tract),
    (ONNX, "DynamicQuantizeLinear", Refused(INTEGERS)),
    (ONNX, "Einsum", Tract),
    (ONNX, "Elu", Tract),
    (ONNX, "Equal", Wired),
    (ONNX, "Erf", Tract),
    (ONNX, "Exp", Tract),
    (ONNX, "Expand", Tract),
    (ONNX, "EyeLike", Tract),
    (ONNX, "Flatten", Tract),
    (ONNX, "Floor", Tract),
    (ONNX, "GRU", Layer),
    (ONNX, "Gather", Tract),
    (ONNX, "GatherElements", Tract),
    (ONNX, "GatherND", Tract),
    (ONNX, "Gelu", Tract),
    (ONNX, "Gemm", Tract),
    (ONNX, "GlobalAveragePool", Layer),
    (ONNX, "GlobalLpPool", Layer),
    (ONNX, "GlobalMaxPool", Layer),
    (ONNX, "Greater", Tract),
    (ONNX, "GreaterOrEqual", Tract),
    (ONNX, "GridSample", Tract),
    (ONNX, "GroupNormalization", Tract),
    (ONNX, "HammingWindow", Tract),
    (ONNX, "HannWindow", Tract),
    (ONNX, "HardSigmoid", Tract),
    (ONNX, "HardSwish", Tract),
    (ONNX, "Hardmax", Tract),
    (ONNX, "Identity", Tract),
    (ONNX, "If", Rewritten),
    (ONNX, "InstanceNormalization", Tract),
    (ONNX, "IsInf", Tract),
    (ONNX, "IsNaN", Tract),
    (ONNX, "LRN", Layer),
    (ONNX, "LSTM", Layer),
    (ONNX, "LayerNormalization", Wired),
    (ONNX, "LeakyRelu", Tract),
    (ONNX, "Less", Tract),
    (ONNX, "LessOrEqual", Tract),
    (ONNX, "Log", Tract),
    (ONNX, "LogSoftmax", Wired),
    (ONNX, "Loop", Rewritten),
    (ONNX, "LpNormalization", Tract),
    (ONNX, "LpPool", Layer),
    (ONNX, "MatMul", Wired),
    (ONNX, "MatMulInteger", Refused(INTEGERS)),
    (ONNX, "Max", Tract),
    (ONNX, "MaxPool", Layer),
    (ONNX, "Mean", Wired),
    (ONNX, "MeanVarianceNormalization", Tract),
    (ONNX, "MelWeightMatrix", Tract),
    (ONNX, "Min", Tract),
    (ONNX, "Mish", Wired),
    (ONNX, "Mod", Wired),
    (ONNX, "Mul", Tract),
    (ONNX, "Multinomial", Refused(RANDOM)),
    (ONNX, "Neg", Tract),
    (ONNX, "NonMaxSuppression", Refused(SIZE)),
    (ONNX, "NonZero", Refused(SIZE)),
    (ONNX, "Not", Tract),
    (ONNX, "OneHot", Wired),
    (ONNX, "Or", Tract),
    (ONNX, "PRelu", Wired),
    (ONNX, "Pad", Wired),
    (ONNX, "ParametricSoftplus", Tract),
    (ONNX, "Pow", Tract),
    (ONNX, "QLinearConv", Refused(INTEGERS)),
    (ONNX, "QLinearMatMul", Refused(INTEGERS)),
    (ONNX, "QuantizeLinear", Tract),
    (ONNX, "RMSNormalization", Wired),
    (ONNX, "RNN", Layer),
    (ONNX, "RandomNormal", Refused(RANDOM)),
    (ONNX, "RandomNormalLike", Refused(RANDOM)),
    (ONNX, "RandomUniform", Refused(RANDOM)),
    (ONNX, "RandomUniformLike", Refused(RANDOM)),
    (ONNX, "Range", Tract),
    (ONNX, "Reciprocal", Tract),
    (ONNX, "ReduceL1", Tract),
    (ONNX, "ReduceL2", Tract),
    (ONNX, "ReduceLogSum", Tract),
    (ONNX, "ReduceLogSumExp", Rewritten),
    (ONNX, "ReduceMax", Tract),
    (ONNX, "ReduceMean", Tract),
    (ONNX, "ReduceMin", Tract),
    (ONNX, "ReduceProd", Tract),
    (ONNX, "ReduceSum", Tract),
    (ONNX, "ReduceSumSquare", Tract),
    (ONNX, "RegexFullMatch", Refused(TEXT)),
    (ONNX, "Relu", Tract),
    (ONNX, "Reshape", Tract),
    (ONNX, "Resize", Tract),
    (ONNX, "ReverseSequence", Wired),
    (ONNX, "RotaryEmbedding", Tract),
    (ONNX, "Round", Tract),
    (ONNX, "Rsqrt", Tract),
    (ONNX, "STFT", Tract),
    (ONNX, "ScaledTanh", Tract),
    (ONNX, "Scan", Rewritten),
    (ONNX, "Scatter", Tract),
    (ONNX, "ScatterElements", Tract),
    (ONNX, "ScatterND", Tract),
    (ONNX, "Selu", Tract),
    (ONNX, "SequenceAt", Rewritten),
    (ONNX, "SequenceConstruct", Rewritten),
    (ONNX, "SequenceEmpty", Rewritten),
    (ONNX, "SequenceErase", Rewritten),
    (ONNX, "SequenceInsert", Rewritten),
    (ONNX, "SequenceLength", Rewritten),
    (ONNX, "Shape", Tract),
    (ONNX, "Shrink", Tract),
    (ONNX, "Sigmoid", Tract),
    (ONNX, "Sign", Tract),
    (ONNX, "SimplifiedLayerNormalization", Wired),
    (ONNX, "Sin", Tract),
    (ONNX, "Sinh", Tract),
    (ONNX, "Size", Tract),
    (ONNX, "Slice", Wired),
    (ONNX, "Softmax", Tract),
    (ONNX, "Softplus", Wired),
    (ONNX, "Softsign", Tract),
    (ONNX, "SpaceToDepth", Tract),
    (ONNX, "Split", Tract),
    (ONNX, "SplitToSequence", Rewritten),
    (ONNX, "Sqrt", Tract),
    (ONNX, "Squeeze", Tract),
    (ONNX, "StringConcat", Rewritten),
    (ONNX, "StringNormalizer", Rewritten),
    (ONNX, "StringSplit", Refused(TEXT)),
    (ONNX, "Sub", Tract),
    (ONNX, "Sum", Tract),
    (ONNX, "Swish", Wired),
    (ONNX, "Tan", Tract),
    (ONNX, "Tanh", Tract),
    (ONNX, "TfIdfVectorizer", Rewritten),
    (ONNX, "ThresholdedRelu", Tract),
    (ONNX, "Tile", Tract),
    (ONNX, "TopK", Tract),
    (ONNX, "Transpose", Tract),
    (ONNX, "Trilu", Tract),
    (ONNX, "Unique", Refused(SIZE)),
    (ONNX, "Unsqueeze", Tract),
    (ONNX, "Where", Tract),
    (ONNX, "Xor", Tract),
    (ML, "ArrayFeatureExtractor", Wired),
    (ML, "Binarizer", Estimator),
    (ML, "CategoryMapper", Estimator),
    (ML, "DictVectorizer", Refused(DICTIONARIES)),
    (ML, "FeatureVectorizer", Estimator),
    (ML, "Imputer", Estimator),
    (ML, "LabelEncoder", Estimator),
    (ML, "LinearClassifier", Estimator),
    (ML, "LinearRegressor", Estimator),
    (ML, "Normalizer", Estimator),
    (ML, "OneHotEncoder", Estimator),
    (ML, "SVMClassifier", Estimator),
    (ML, "SVMRegressor", Estimator),
    (ML, "Scaler", Estimator),
    (ML, "TreeEnsemble", Estimator),
    (ML, "TreeEnsembleClassifier", Estimator),
    (ML, "TreeEnsembleRegressor", Estimator),
    (ML, "ZipMap", Rewritten),
    (MICROSOFT, "BiasGelu", Tract),
    (MICROSOFT, "FastGelu", Tract),
    (MICROSOFT, "FusedGemm", Rewritten),
    (MICROSOFT, "FusedMatMul", Wired),
    (MICROSOFT, "GatherBlockQuantized", Tract),
    (MICROSOFT, "GroupQueryAttention", Tract),
    (MICROSOFT, "MatMulNBits", Tract),
    (MICROSOFT, "MultiHeadAttention", Tract),
    (MICROSOFT, "QuickGelu", Tract),
    (MICROSOFT, "SkipLayerNormalization", Tract),
    (MICROSOFT, "SkipSimplifiedLayerNormalization", Tract),
    (MICROSOFT, "Tokenizer", Rewritten),
];

/// Reason to refuse an operator by its name alone.
pub(crate) fn refused(operator: &str) -> Option<&'static str> {
    OPERATORS.iter().find_map(|(_, name, mechanism)| match mechanism {
        Refused(reason) if *name == operator => Some(*reason),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dialect, idioms::DISTANCES, ml, nn};
    use std::{collections::BTreeSet, fs};
    use tract_onnx::{model::OnnxOpRegister, onnx};

    fn named(wanted: fn(Mechanism) -> bool) -> BTreeSet<&'static str> {
        OPERATORS.iter().filter(|(_, _, mechanism)| wanted(*mechanism)).map(|(_, name, _)| *name).collect()
    }

    /// Operators that a family registers, except our custom one, which no model contains.
    fn registered(register: fn(&mut OnnxOpRegister)) -> BTreeSet<String> {
        let mut operators = OnnxOpRegister::default();
        register(&mut operators);
        operators.0.into_keys().filter(|name| name != DISTANCES).collect()
    }

    #[test]
    fn the_table_lists_each_operator_once() {
        let names: BTreeSet<&str> = named(|_| true);
        assert_eq!(names.len(), OPERATORS.len());
        assert!(OPERATORS.is_sorted_by_key(|(domain, name, _)| (*domain, *name)));
    }

    #[test]
    fn the_table_says_what_is_registered() {
        let same = |table: BTreeSet<&str>, found: BTreeSet<String>| {
            assert_eq!(table.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), found);
        };
        same(named(|mechanism| mechanism == Wired), registered(dialect::register));
        same(named(|mechanism| mechanism == Layer), registered(nn::register));
        same(named(|mechanism| mechanism == Estimator), registered(ml::register));
        let others = named(|mechanism| mechanism != Tract);
        let own = onnx().op_register.0.into_keys().filter(|name| !others.contains(name.as_str())).collect();
        same(named(|mechanism| mechanism == Tract), own);
    }

    #[test]
    fn the_page_lists_the_same() -> std::io::Result<()> {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../OPERATORS.md"))?;
        let rows = [
            ("rewritten", "`idioms`, `unroll`, `vectorize`", named(|mechanism| mechanism == Rewritten)),
            ("tract", "`lower`", named(|mechanism| mechanism == Tract)),
            ("wired", "`dialect`", named(|mechanism| mechanism == Wired)),
            ("layer", "`nn`", named(|mechanism| mechanism == Layer)),
            ("estimator", "`ml`", named(|mechanism| mechanism == Estimator)),
            ("refused", "`operators`", named(|mechanism| matches!(mechanism, Refused(_)))),
        ];
        for (mechanism, module, names) in rows {
            let row = format!("| {mechanism} | {module} | {} |", names.into_iter().collect::<Vec<_>>().join(", "));
            assert!(page.contains(&row), "core/OPERATORS.md lacks this row:\n{row}");
        }
        Ok(())
    }
}
