"""Control flow and sequences whose form is known when packing, quantised activations, and batches on a later axis."""

from typing import Any

import numpy as np
from numpy.random import Generator
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import BaggingRegressor, RandomForestClassifier
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import KNeighborsRegressor
from skl2onnx import to_onnx

from .corpus import REGISTRY, Case, Draw, Feed, batches
from .graph import Graph, body

case = REGISTRY.family("flow")

WIDTH = 6


def register() -> None:
    """The decorators below have already done it."""


def floats(*dims: int | None, name: str = "x") -> Draw:
    """Normal numbers; `None` is the batch."""

    def draw(rng: Generator, rows: int) -> Feed:
        return {name: rng.normal(size=[rows if dim is None else dim for dim in dims]).astype(np.float32)}

    return draw


def normal(rng: Generator, *dims: int) -> Any:
    """Weights."""
    return rng.normal(size=dims).astype(np.float32)


def model(g: Graph, rng: Generator, draw: Draw, opset: int = 17) -> Case:
    """A case of the usual batches."""
    return Case(g.model(opset), batches(rng, draw))


FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
node = helper.make_node


def branches(g: Graph, condition: str, then: str, otherwise: str, **inputs: Any) -> None:
    """An `If` of two nodes."""
    chosen = [
        body([node(operator, [inputs["of"], *more], ["chosen"])], {}, {"chosen": FLOAT})
        for operator, more in ((then, inputs.get("axes", [])), (otherwise, []))
    ]
    g.op("If", condition, out="y", then_branch=chosen[0], else_branch=chosen[1])


@case("flow-if-squeeze")
def if_squeeze(rng: Generator) -> Case:
    """`squeeze(1)` as PyTorch writes it: by the extent of an axis, which is known."""
    g = Graph("squeeze")
    h = g.op("MatMul", g.input("x", ["N", WIDTH]), g.weight("w", normal(rng, WIDTH, 1)))
    extent = g.op("Gather", g.op("Shape", h), g.weight("place", 1, np.int64), axis=0)
    condition = g.op("Equal", extent, g.weight("one", 1, np.int64))
    branches(g, condition, "Squeeze", "Identity", of=h, axes=[g.ints("axes", 1)])
    g.output("y", ["N"])
    return model(g, rng, floats(None, WIDTH))


@case("flow-if-rank")
def if_rank(rng: Generator) -> Case:
    """A branch by the number of axes, whose results have different shapes."""
    g = Graph("rank")
    x = g.input("x", ["N", WIDTH])
    condition = g.op("Equal", g.op("Size", g.op("Shape", x)), g.weight("two", 2, np.int64))
    branches(g, condition, "Unsqueeze", "Identity", of=x, axes=[g.ints("axes", 1)])
    g.output("y", ["N", 1, WIDTH])
    return model(g, rng, floats(None, WIDTH))


def running(condition: list[NodeProto], weights: dict[str, object]) -> GraphProto:
    """Adds column after column to a state, and gives a function of each."""
    nodes = [
        node("Gather", ["x", "turn"], ["column"], axis=1),
        node("Add", ["sum", "column"], ["next"]),
        node("Tanh", ["next"], ["bent"]),
        *condition,
    ]
    inputs = {"turn": INT64, "go": BOOL, "sum": FLOAT}
    return body(nodes, inputs, {"on": BOOL, "next": FLOAT, "bent": FLOAT}, weights)


@case("flow-loop")
def loop(rng: Generator) -> Case:
    """A loop of a constant number of turns, with a state and a list."""
    g = Graph("loop")
    start = g.op("Gather", g.input("x", ["N", WIDTH]), g.weight("first", 0, np.int64), axis=1)
    repeated = running([node("Identity", ["go"], ["on"])], {})
    _, listed = g.op_n("Loop", [g.weight("turns", 5, np.int64), "", start], ["last", g.fresh("Loop")], body=repeated)
    g.op("Transpose", listed, out="y", perm=[1, 0])
    g.output("y", ["N", 5])
    g.output("last", ["N"])
    return model(g, rng, floats(None, WIDTH))


@case("flow-while")
def while_(rng: Generator) -> Case:
    """A loop that ends by a condition of its own counter."""
    g = Graph("while")
    start = g.op("Gather", g.input("x", ["N", WIDTH]), g.weight("first", 0, np.int64), axis=1)
    condition = [node("Less", ["turn", "last_turn"], ["less"]), node("And", ["less", "go"], ["on"])]
    repeated = running(condition, {"last_turn": np.int64(3)})
    _, listed = g.op_n("Loop", ["", g.weight("go_on", True, np.bool_), start], ["last", g.fresh("Loop")], body=repeated)
    g.op("Transpose", listed, out="y", perm=[1, 0])
    g.output("y", ["N", 4])
    g.output("last", ["N"])
    return model(g, rng, floats(None, WIDTH))


@case("flow-scan")
def scan(rng: Generator) -> Case:
    """A scan over columns from the last to the first, whose results are put in front."""
    g = Graph("scan")
    start = g.op("Gather", g.input("x", ["N", WIDTH]), g.weight("first", 0, np.int64), axis=1)
    nodes = [
        node("Mul", ["state", "decay"], ["less"]),
        node("Add", ["less", "column"], ["next"]),
        node("Identity", ["next"], ["seen"]),
    ]
    repeated = body(
        nodes, {"state": FLOAT, "column": FLOAT}, {"next": FLOAT, "seen": FLOAT}, {"decay": np.float32(0.5)}
    )
    g.op_n(
        "Scan",
        [start, "x"],
        ["last", "y"],
        body=repeated,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_input_directions=[1],
        scan_output_axes=[-1],
        scan_output_directions=[1],
    )
    g.output("y", ["N", WIDTH])
    g.output("last", ["N"])
    # onnxruntime ends the process when it scans no rows.
    return Case(g.model(17), batches(rng, floats(None, WIDTH), empty=False))


@case("flow-embedding-bag")
def embedding_bag(rng: Generator) -> Case:
    """`EmbeddingBag` of three bags, as PyTorch writes it: a loop over the bags' bounds."""
    g = Graph("bag")
    g.input("ids", [12], "i64")
    g.ints("bounds", 0, 4, 7, 12)
    g.weight("table", normal(rng, 20, 4))
    g.weight("one", 1, np.int64)
    g.ints("axis", 0)
    nodes = [
        node("Gather", ["bounds", "turn"], ["from"], axis=0),
        node("Add", ["turn", "one"], ["after"]),
        node("Gather", ["bounds", "after"], ["to"], axis=0),
        node("Unsqueeze", ["from", "axis"], ["from_1"]),
        node("Unsqueeze", ["to", "axis"], ["to_1"]),
        node("Slice", ["ids", "from_1", "to_1", "axis"], ["own"]),
        node("Gather", ["table", "own"], ["rows"], axis=0),
        node("ReduceMean", ["rows"], ["mean"], axes=[0], keepdims=0),
        node("Identity", ["go"], ["on"]),
    ]
    repeated = body(nodes, {"turn": INT64, "go": BOOL}, {"on": BOOL, "mean": FLOAT})
    g.op("Loop", g.weight("turns", 3, np.int64), g.weight("go_on", True, np.bool_), out="y", body=repeated)
    g.output("y", [3, 4])
    return Case(g.model(17), [("ordinary", {"ids": rng.integers(0, 20, 12)})])


@case("flow-split-sequence")
def split_sequence(rng: Generator) -> Case:
    """Parts of columns, some taken from the end, erased, counted and joined again."""
    g = Graph("split")
    g.input("x", ["N", WIDTH])
    parts = g.op("SplitToSequence", "x", g.weight("size", 4, np.int64), axis=1)
    wide, narrow = (g.op("SequenceAt", parts, g.weight(f"at{n}", n, np.int64)) for n in (0, -1))
    columns = g.op("SplitToSequence", "x", axis=-1, keepdims=0)
    fewer = g.op("SequenceErase", columns, g.weight("second", 1, np.int64))
    joined = g.op("ConcatFromSequence", fewer, axis=1, new_axis=1)
    count = g.cast(g.op("SequenceLength", fewer), "f32")
    grown = g.op("SequenceInsert", g.op("SequenceConstruct", wide, joined), narrow, g.weight("front", 0, np.int64))
    g.op("Mul", g.op("ConcatFromSequence", grown, axis=1), count, out="y")
    g.output("y", ["N", 11])
    return model(g, rng, floats(None, WIDTH))


@case("flow-quantised-activations")
def quantised_activations(rng: Generator) -> Case:
    """A layer as static quantisation leaves it: inputs rounded to 8 bits and back, weights of 8 bits."""
    g = Graph("quantised")
    g.input("x", ["N", WIDTH])
    g.weight("step", 0.03)
    g.weight("zero", 140, np.uint8)
    rounded = g.op("QuantizeLinear", "x", "step", "zero")
    x = g.op("DequantizeLinear", rounded, "step", "zero")
    g.weight("held", rng.integers(-127, 128, (WIDTH, 4)), np.int8)
    g.weight("steps", np.abs(normal(rng, 4)) / 100)
    g.weight("zeros", np.zeros(4), np.int8)
    g.op("MatMul", x, g.op("DequantizeLinear", "held", "steps", "zeros", axis=1), out="y")
    g.output("y", ["N", 4])
    return model(g, rng, floats(None, WIDTH))


@case("flow-seen-items")
def seen_items(rng: Generator) -> Case:
    """Scores without what a shopper has seen: positions by a `Range` over the batch."""
    g = Graph("seen")
    g.input("x", ["N", WIDTH])
    shape = g.op("Shape", g.input("ids", ["N", 3], "i64"))
    count = g.op("Gather", shape, g.weight("first", 0, np.int64), axis=0)
    rows = g.op("Range", "first", count, g.weight("one", 1, np.int64))
    spread = g.op("Expand", g.op("Unsqueeze", rows, g.ints("second", 1)), shape)
    last = g.ints("last", 2)
    places = g.op("Concat", g.op("Unsqueeze", spread, last), g.op("Unsqueeze", "ids", last), axis=2)
    scores = g.op("MatMul", "x", g.weight("w", normal(rng, WIDTH, 8)))
    low = g.op("ConstantOfShape", shape, value=numpy_helper.from_array(np.array([-1e9], np.float32)))
    g.op("ScatterND", scores, places, low, out="y")
    g.output("y", ["N", 8])

    def draw(rng: Generator, rows: int) -> Feed:
        ids = np.stack([rng.permutation(8)[:3] for _ in range(rows)]) if rows else np.zeros((0, 3))
        return floats(None, WIDTH)(rng, rows) | {"ids": ids.astype(np.int64)}

    return model(g, rng, draw)


@case("flow-gru-steps-first")
def gru_steps_first(rng: Generator) -> Case:
    """A GRU whose inputs have steps before rows, as PyTorch has by default."""
    g = Graph("gru")
    g.input("x", [7, "batch", WIDTH])
    weights = [g.weight(name, normal(rng, *dims)) for name, dims in (("w", (1, 15, 6)), ("r", (1, 15, 5)), ("b", (1, 30)))]
    steps, last = g.op_n("GRU", ["x", *weights], ["steps", "last"], hidden_size=5, linear_before_reset=1)
    g.op("Squeeze", steps, g.ints("second", 1), out="all")
    g.op("Squeeze", last, g.ints("first", 0), out="y")
    g.output("all", [7, "batch", 5])
    g.output("y", ["batch", 5])
    return model(g, rng, floats(7, None, WIDTH))


def fitted(rng: Generator, estimator: Any, target: str) -> Case:
    """An estimator by skl2onnx, with scikit-learn's own outputs."""
    whole = target == "levels"
    x = rng.integers(0, 4, (300, WIDTH)) if whole else normal(rng, 300, WIDTH)
    classes = np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.5] if not whole else [2, 4])
    y = {"labels": np.stack([x[:, 0] > 0, x[:, 3] > 0.5], 1).astype(int), "number": x[:, 0]}.get(target, classes)
    estimator.fit(x, y)
    options = None if target == "number" else {id(estimator): {"zipmap": False}}
    onnx_model = to_onnx(estimator, x[:1], options=options)
    name = onnx_model.graph.input[0].name

    def draw(rng: Generator, rows: int) -> Feed:
        return {name: rng.integers(0, 4, (rows, WIDTH))} if whole else floats(None, WIDTH, name=name)(rng, rows)

    return Case(onnx_model, batches(rng, draw, empty=False, many=600))


@case("flow-qda")
def qda(rng: Generator) -> Case:
    """Quadratic discriminants, whose labels have rows on the second axis."""
    return fitted(rng, QuadraticDiscriminantAnalysis(), "classes")


@case("flow-categorical-naive-bayes")
def categorical(rng: Generator) -> Case:
    """Naive Bayes of categories: tables whose columns are selected for each row."""
    return fitted(rng, CategoricalNB(), "levels")


@case("flow-multi-label-forest")
def multi_label(rng: Generator) -> Case:
    """A forest of two labels: probabilities of `[labels, rows, 2]`."""
    return fitted(rng, RandomForestClassifier(10, max_depth=5, random_state=0), "labels")


@case("flow-bagged-neighbours")
def bagged(rng: Generator) -> Case:
    """The mean of five regressors, joined before the rows."""
    return fitted(rng, BaggingRegressor(KNeighborsRegressor(3), 5, random_state=0), "number")
