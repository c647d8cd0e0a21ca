"""Dense networks in the forms that torch, Keras and older exporters leave."""

from typing import Any

import numpy as np
from numpy.random import Generator

from .corpus import REGISTRY, Case, Draw, Feed, batches
from .graph import Graph


def dense(rng: Generator, size: int, into: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of a layer, in torch's layout [out, in]."""
    return rng.normal(0, into**-0.5, (size, into)), rng.normal(0, 0.1, size)


def gemm(g: Graph, rng: Generator, x: str, layer: str, size: int, into: int, out: str = "") -> str:
    """torch's Linear: Gemm with the weight transposed."""
    w, b = dense(rng, size, into)
    names = g.weight(f"{layer}.weight", w), g.weight(f"{layer}.bias", b)
    return g.op("Gemm", x, *names, out=out, alpha=1.0, beta=1.0, transB=1)


def matmul(g: Graph, rng: Generator, x: str, layer: str, size: int, into: int, out: str = "") -> str:
    """Keras' Dense: MatMul with [in, out], then Add."""
    w, b = dense(rng, size, into)
    product = g.op("MatMul", x, g.weight(f"{layer}/kernel", w.T))
    return g.op("Add", product, g.weight(f"{layer}/bias", b), out=out)


def normal(name: str, *dims: int) -> Draw:
    """Ordinary rows of one input."""
    return lambda rng, rows: {name: rng.normal(0, 1, (rows, *dims)).astype(np.float32)}


def tough(name: str, *dims: int, infinite: bool = False) -> Feed:
    """Rows on which a dense network is still well defined: signed zeros, denormals, and large numbers."""
    values = [0.0, -0.0, 1e-40, -1e-40, 1e-30, 30.0, -30.0, 1e4, -1e4] + ([np.inf, -np.inf] if infinite else [])
    rows = np.array(values, dtype=np.float32).reshape(-1, *[1] * len(dims))
    return {name: np.broadcast_to(rows, (len(values), *dims)).copy()}


def usual(
    rng: Generator, g: Graph, *dims: int, name: str = "input", infinite: bool = False, opset: int = 17, many: int = 200
) -> Case:
    """A finished graph with one input, on the usual sets."""
    return Case(g.model(opset), batches(rng, normal(name, *dims), tough(name, *dims, infinite=infinite), many=many))


case = REGISTRY.family("dense")


def register() -> None:
    """The decorators below have already done it."""


@case("mlp-gemm-relu")
def mlp_gemm_relu(rng: Generator) -> Case:
    """64 → 128 → 64 → 1 as torch exports it."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 64])
    x = g.op("Relu", gemm(g, rng, x, "0", 128, 64))
    x = g.op("Relu", gemm(g, rng, x, "2", 64, 128))
    gemm(g, rng, x, "4", 1, 64, out="output")
    g.output("output", ["batch", 1])
    return usual(rng, g, 64)


@case("mlp-matmul-tanh-sigmoid")
def mlp_matmul(rng: Generator) -> Case:
    """MatMul and Add, an unnamed batch, names with slashes and colons."""
    g = Graph("model")
    x = g.input("dense_input:0", [None, 12])
    x = g.op("Tanh", matmul(g, rng, x, "dense", 16, 12))
    x = matmul(g, rng, x, "dense_1", 3, 16)
    g.op("Sigmoid", x, out="Identity:0")
    g.output("Identity:0", [None, 3])
    return usual(rng, g, 12, name="dense_input:0")


@case("mlp-softmax-log-softmax")
def mlp_softmax(rng: Generator) -> Case:
    """Probabilities and their logarithms."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 8])
    x = g.op("LeakyRelu", gemm(g, rng, x, "0", 12, 8), alpha=0.2)
    x = gemm(g, rng, x, "2", 5, 12)
    g.op("Softmax", x, out="probabilities", axis=-1)
    g.op("LogSoftmax", x, out="log_probabilities", axis=1)
    g.output("probabilities", ["batch", 5])
    g.output("log_probabilities", ["batch", 5])
    return usual(rng, g, 8)


@case("mlp-softmax-opset-11")
def mlp_softmax_old(rng: Generator) -> Case:
    """Before opset 13 Softmax flattens: axis 1 of [N, 2, 3] runs over six numbers."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 2, 3])
    g.op("Softmax", x, out="output", axis=1)
    g.output("output", ["batch", 2, 3])
    return usual(rng, g, 2, 3, opset=11)


@case("mlp-gelu-erf")
def mlp_gelu(rng: Generator) -> Case:
    """torch's GELU: x/√2 → Erf → +1 → ·x → ·½."""
    g = Graph("main_graph")
    x = gemm(g, rng, g.input("input", ["batch", 10]), "0", 16, 10)
    e = g.op("Erf", g.op("Div", x, g.weight("sqrt2", np.sqrt(2.0))))
    y = g.op("Mul", g.op("Mul", x, g.op("Add", e, g.weight("one", 1.0))), g.weight("half", 0.5))
    gemm(g, rng, y, "2", 2, 16, out="output")
    g.output("output", ["batch", 2])
    return usual(rng, g, 10)


@case("mlp-batch-norm")
def mlp_batch_norm(rng: Generator) -> Case:
    """BatchNormalization in inference, once before and once after the activation."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 6])
    for layer, (out, into) in enumerate(((8, 6), (4, 8))):
        x = gemm(g, rng, x, f"{layer}.fc", out, into)
        scale, shift, mean = (g.weight(f"{layer}.bn.{n}", rng.normal(1, 0.3, out)) for n in ("weight", "bias", "mean"))
        variance = g.weight(f"{layer}.bn.var", rng.uniform(0.2, 2, out))
        x = g.op("BatchNormalization", x, scale, shift, mean, variance, epsilon=1e-5, momentum=0.9)
        x = g.op("Relu", x, out="output" if layer else "")
    g.output("output", ["batch", 4])
    return usual(rng, g, 6)


@case("mlp-layer-norm-composed")
def mlp_layer_norm(rng: Generator) -> Case:
    """Layer normalisation as torch exports it before opset 17."""
    g = Graph("main_graph")
    x = gemm(g, rng, g.input("input", ["batch", 6]), "0", 8, 6)
    centred = g.op("Sub", x, g.op("ReduceMean", x, axes=[-1], keepdims=1))
    squares = g.op("Pow", centred, g.weight("two", 2.0))
    variance = g.op("ReduceMean", squares, axes=[-1], keepdims=1)
    deviation = g.op("Sqrt", g.op("Add", variance, g.weight("epsilon", 1e-5)))
    scaled = g.op("Mul", g.op("Div", centred, deviation), g.weight("ln.weight", rng.normal(1, 0.2, 8)))
    g.op("Add", scaled, g.weight("ln.bias", rng.normal(0, 0.2, 8)), out="output")
    g.output("output", ["batch", 8])
    return usual(rng, g, 6, opset=14)


@case("mlp-layer-norm")
def mlp_layer_norm_op(rng: Generator) -> Case:
    """LayerNormalization as one operator."""
    g = Graph("main_graph")
    x = gemm(g, rng, g.input("input", ["batch", 6]), "0", 8, 6)
    weights = g.weight("ln.weight", rng.normal(1, 0.2, 8)), g.weight("ln.bias", rng.normal(0, 0.2, 8))
    g.op("LayerNormalization", x, *weights, out="output", axis=-1, epsilon=1e-5)
    g.output("output", ["batch", 8])
    return usual(rng, g, 6)


@case("mlp-dropout")
def mlp_dropout(rng: Generator) -> Case:
    """Dropout left in the graph: in inference it does nothing."""
    g = Graph("main_graph")
    x = g.op("Relu", gemm(g, rng, g.input("input", ["batch", 5]), "0", 8, 5))
    x = g.op("Dropout", x, g.weight("ratio", 0.3), g.weight("training", False, np.bool_))
    x = gemm(g, rng, x, "1", 8, 8)
    x = g.op("Dropout", x, g.weight("ratio_1", 0.5))
    gemm(g, rng, g.op("Identity", x), "2", 2, 8, out="output")
    g.output("output", ["batch", 2])
    return usual(rng, g, 5)


@case("mlp-flatten")
def mlp_flatten(rng: Generator) -> Case:
    """Flatten of [N, 4, 3] before the first layer."""
    g = Graph("main_graph")
    x = g.op("Flatten", g.input("input", ["batch", 4, 3]), axis=1)
    gemm(g, rng, x, "1", 3, 12, out="output")
    g.output("output", ["batch", 3])
    return usual(rng, g, 4, 3)


@case("mlp-view-by-shape")
def mlp_view(rng: Generator) -> Case:
    """torch's x.view(x.size(0), -1): the target shape is computed in the graph."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 4, 3])
    size = g.op("Gather", g.op("Shape", x), g.weight("zero", 0, np.int64), axis=0)
    shape = g.op("Concat", g.op("Unsqueeze", size, g.ints("axes", 0)), g.ints("rest", -1), axis=0)
    x = g.op("Reshape", x, shape, allowzero=0)
    w, b = dense(rng, 2, 12)
    g.op("Gemm", x, g.weight("1.weight", w), g.weight("1.bias", b), out="output", transB=1)
    g.output("output", ["batch", 2])
    sets = batches(rng, normal("input", 4, 3), tough("input", 4, 3), empty=False)
    return Case(g.model(), sets)


@case("mlp-concat-two-inputs")
def mlp_concat(rng: Generator) -> Case:
    """A user's and an item's numbers side by side."""
    g = Graph("main_graph")
    both = g.op("Concat", g.input("user", ["batch", 5]), g.input("item", ["batch", 3]), axis=1)
    x = g.op("Relu", gemm(g, rng, both, "0", 8, 8))
    x = gemm(g, rng, x, "2", 1, 8)
    g.op("Squeeze", x, g.ints("last", -1), out="score")
    g.output("score", ["batch"])
    sides: Draw = lambda r, n: normal("user", 5)(r, n) | normal("item", 3)(r, n)
    return Case(g.model(), batches(rng, sides, tough("user", 5) | tough("item", 3)))


@case("mlp-clip")
def mlp_clip(rng: Generator) -> Case:
    """Clip with both bounds, with one, with none; infinities go through the bare ones."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 4])
    low, high = g.weight("low", 0.0), g.weight("high", 6.0)
    g.op("Clip", x, low, high, out="both")
    g.op("Clip", x, low, out="below")
    g.op("Clip", x, "", high, out="above")
    g.op("Clip", x, out="neither")
    for name in ("both", "below", "above", "neither"):
        g.output(name, ["batch", 4])
    return usual(rng, g, 4, infinite=True)


@case("mlp-residual")
def mlp_residual(rng: Generator) -> Case:
    """Two residual blocks: a buffer that lives across the block."""
    g = Graph("main_graph")
    x = gemm(g, rng, g.input("input", ["batch", 6]), "in", 8, 6)
    for block in range(2):
        y = g.op("Relu", gemm(g, rng, x, f"{block}.a", 8, 8))
        x = g.op("Add", x, gemm(g, rng, y, f"{block}.b", 8, 8))
    gemm(g, rng, x, "out", 2, 8, out="output")
    g.output("output", ["batch", 2])
    return usual(rng, g, 6)


@case("mlp-activations")
def mlp_activations(rng: Generator) -> Case:
    """One output for each further activation."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 5])
    plain: dict[str, Any] = {}
    for operator, attributes in (
        ("Elu", {"alpha": 0.7}),
        ("Selu", plain),
        ("Softplus", plain),
        ("HardSigmoid", {"alpha": 0.25, "beta": 0.4}),
    ):
        g.output(g.op(operator, x, out=operator.lower(), **attributes), ["batch", 5])
    g.op("PRelu", x, g.weight("slope", rng.uniform(0, 0.5, 5)), out="prelu")
    g.op("Mul", x, g.op("Sigmoid", x), out="silu")
    g.op("Mul", x, g.op("Tanh", g.op("Softplus", x)), out="mish")
    for name in ("prelu", "silu", "mish"):
        g.output(name, ["batch", 5])
    return usual(rng, g, 5, many=40)


@case("mlp-activations-rare")
def mlp_activations_rare(rng: Generator) -> Case:
    """Operators that few exporters write."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 4])
    g.op("Softsign", x, out="softsign")
    g.op("HardSwish", x, out="hardswish")
    g.op("ThresholdedRelu", x, out="thresholdedrelu", alpha=0.3)
    g.op("Celu", x, out="celu", alpha=1.5)
    for name in ("softsign", "hardswish", "thresholdedrelu", "celu"):
        g.output(name, ["batch", 4])
    return usual(rng, g, 4, many=40)


@case("mlp-elementwise")
def mlp_elementwise(rng: Generator) -> Case:
    """Plain arithmetic, with broadcasting along rows and columns."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 4])
    positive = g.op("Add", g.op("Abs", x), g.weight("half", 0.5), out="positive")
    for operator, source in (
        ("Neg", x), ("Floor", x), ("Ceil", x), ("Round", x), ("Sign", x),
        ("Exp", g.op("Neg", positive)), ("Log", positive), ("Sqrt", positive), ("Reciprocal", positive),
        ("Sin", g.op("Tanh", x)), ("Cos", g.op("Tanh", x)),
    ):  # fmt: skip
        g.output(g.op(operator, source, out=operator.lower()), ["batch", 4])
    row = g.weight("row", rng.normal(0, 1, 4))
    column = g.op("ReduceSum", x, g.ints("columns", 1), keepdims=1)
    for operator in ("Add", "Sub", "Mul", "Min", "Max"):
        g.output(g.op(operator, row, g.op(operator, x, column), out=operator.lower()), ["batch", 4])
    g.op("Pow", positive, g.weight("power", [0.5, 1.5, 2.0, -1.0]), out="pow")
    g.op("Div", column, positive, out="div")
    for name in ("pow", "div"):
        g.output(name, ["batch", 4])
    return usual(rng, g, 4, many=40)


@case("mlp-shapes")
def mlp_shapes(rng: Generator) -> Case:
    """Slice, Split, Transpose, Reshape, Expand, Tile, Pad and Gather over columns."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 6])
    g.op("Slice", x, g.ints("from", 4), g.ints("to", -7), g.ints("axis", 1), g.ints("step", -2), out="slice")
    left, right = g.op_n("Split", [x, g.ints("parts", 2, 4)], ["left", "right"], axis=1)
    cube = g.op("Reshape", x, g.ints("cube", -1, 2, 3))
    turned = g.op("Transpose", cube, perm=[0, 2, 1], out="turned")
    g.op("Reshape", turned, g.ints("flat", 0, -1), out="flattened")
    g.op("Tile", left, g.ints("times", 1, 2), out="tiled")
    g.op("Pad", left, g.ints("pads", 0, 1, 0, 2), g.weight("fill", 9.0), out="padded")
    g.op("Gather", x, g.ints("columns", 5, 0, -1), out="columns_out", axis=1)
    g.output("slice", ["batch", 3])
    g.output(right, ["batch", 4])
    g.output("turned", ["batch", 3, 2])
    g.output("flattened", ["batch", 6])
    g.output("tiled", ["batch", 4])
    g.output("padded", ["batch", 5])
    g.output("columns_out", ["batch", 3])
    sets = batches(rng, normal("input", 6), tough("input", 6), empty=False, many=40)
    return Case(g.model(), sets)


@case("mlp-reductions")
def mlp_reductions(rng: Generator) -> Case:
    """Every reduction over the last axis, kept and dropped."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 3, 5])
    for operator in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd"):
        g.op(operator, x, out=operator.lower(), axes=[2], keepdims=0)
        g.output(operator.lower(), ["batch", 3])
    g.op("ReduceSum", x, g.ints("axes", 1, -1), out="reducesum", keepdims=1)
    g.output("reducesum", ["batch", 1, 1])
    g.op("ReduceLogSumExp", x, out="reducelogsumexp", axes=[1], keepdims=1)
    g.output("reducelogsumexp", ["batch", 1, 5])
    feed = {"input": tough("input", 3, 5)["input"][:7]}
    return Case(g.model(), batches(rng, normal("input", 3, 5), feed, many=40))


@case("mlp-fixed-batch")
def mlp_fixed(rng: Generator) -> Case:
    """A model exported for exactly one row."""
    g = Graph("main_graph")
    x = g.op("Relu", gemm(g, rng, g.input("input", [1, 4]), "0", 6, 4))
    gemm(g, rng, x, "2", 2, 6, out="output")
    g.output("output", [1, 2])
    draw = normal("input", 4)
    return Case(g.model(), [("one", draw(rng, 1)), ("one", draw(rng, 1))])


@case("mlp-f64")
def mlp_f64(rng: Generator) -> Case:
    """A network in double precision that ends in f32."""
    g = Graph("main_graph")
    x = g.input("input", ["batch", 4], "f64")
    w, b = dense(rng, 3, 4)
    x = g.op("Gemm", x, g.weight("w", w, np.float64), g.weight("b", b, np.float64), transB=1)
    g.cast(g.op("Sigmoid", x), "f32", out="output")
    g.output("output", ["batch", 3])
    draw: Draw = lambda r, n: {"input": r.normal(0, 1, (n, 4))}
    return Case(g.model(), batches(rng, draw))
